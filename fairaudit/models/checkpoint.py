"""Read a checkpoint file without running anything that it carries.

The format is told by content, not by suffix. PyTorch files are read with ``weights_only=True``; what can only be loaded
by running code (pickled modules, TorchScript, ``torch.export`` archives) is refused until the user trusts the file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fairaudit.errors import CheckpointError, UnsafeCheckpointError

_NUMPY_SCALAR = np.float64(0).__reduce__()[0]  # the function that unpickles one, under its names in numpy 1 and 2
_HARMLESS: tuple[Any, ...] = (
    # What training scripts store beside the weights; none of these runs anything when it is rebuilt.
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")),
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
)
_OTHER_FORMATS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file, as Keras writes; convert it to a PyTorch state dict first"),
    (b"GGUF", "a GGUF file; convert it to a PyTorch state dict first"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"<!DOCTYPE", "a web page, not weights; the download went wrong"),
    (b"<html", "a web page, not weights; the download went wrong"),
)
_UNFOLDED, _SMALL = 4, 2**26
"""How many times its own size a file may unfold to, and how many bytes more than that: tied weights are listed twice."""
_TRUST = "if you trust whoever made it, accept it with --trust-checkpoint"


@dataclass(frozen=True, eq=False)
class RawCheckpoint:
    """What a file holds, before anybody asks what it means.

    Attributes:
        path: the file.
        sha256: of its bytes, in hexadecimal.
        content: the object that ``torch.load`` gave, or the tensors of a safetensors file.
        header: the text metadata of a safetensors file; empty for the other formats.
        module: the network itself, where a trusted file carries one whole.
        kind: in words, for example ``"safetensors"`` or ``"TorchScript"``.
    """

    path: Path
    sha256: str
    content: Any = None
    header: Mapping[str, str] = field(default_factory=dict)
    module: nn.Module | None = None
    kind: str = "PyTorch"


def read_checkpoint(path: Path, trust: bool = False) -> RawCheckpoint:
    """Read a file into memory, on the CPU.

    Args:
        path: a ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` or ``.safetensors`` file, or any other name with such content.
        trust: whether code that the file carries may run.

    Raises:
        CheckpointError: there is no such file, or it is empty, damaged or of another format.
        UnsafeCheckpointError: loading it would run code, and ``trust`` is False.
    """
    start, size, digest = _probe(path)
    for magic, what in _OTHER_FORMATS:
        if start.startswith(magic):
            raise CheckpointError(f"{path} is {what}")
    if _is_safetensors(start, size):
        return _read_safetensors(path, digest)
    if start.startswith(b"PK"):
        return _read_archive(path, digest, trust)
    if start.startswith(b"\x80"):
        return _read_pickle(path, digest, trust)
    length = int.from_bytes(start[:8], "little") if len(start) > 8 else 0
    if start[8:9] == b"{" and length > size - 8:
        raise CheckpointError(
            f"{path} is damaged: a safetensors file that ends before its header does; fetch or copy it again"
        )
    raise CheckpointError(
        f"{path} is no checkpoint: neither a PyTorch file (.pt, .pth, .bin, .ckpt) nor a safetensors file by its content"
    )


def _probe(path: Path) -> tuple[bytes, int, str]:
    """First bytes, size and SHA-256."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, not a checkpoint; name the file inside it")
    if path.exists() and not path.is_file():  # a device or a pipe, perhaps behind a link, that may never end
        raise CheckpointError(f"{path} is no regular file, but a device or a pipe; name a file")
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if size == 0:
        raise CheckpointError(f"{path} is empty (0 bytes); fetch or copy it again")
    return start, size, digest


def _is_safetensors(start: bytes, size: int) -> bool:
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(path: Path, digest: str) -> RawCheckpoint:
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118  (no mapping)
            header = dict(stream.metadata() or {})
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; fetch or copy it again") from error
    return RawCheckpoint(path, digest, tensors, header, kind="safetensors")


def _read_archive(path: Path, digest: str, trust: bool) -> RawCheckpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2] or name for name in archive.namelist()}
            claimed = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:  # names that are no text, among others
        raise CheckpointError(f"{path} is damaged or cut short; fetch or copy it again") from error
    check_claim(claimed, path)
    if any(name.startswith("code/") for name in members) and "constants.pkl" in members:
        return _carried(path, digest, trust, "TorchScript")
    if "archive_format" in members or any("exported_program" in name for name in members):
        return _carried(path, digest, trust, "torch.export")
    if "data.pkl" not in members:
        raise CheckpointError(f"{path} is a zip archive but no PyTorch checkpoint: it has no data.pkl")
    return _read_pickle(path, digest, trust)


def check_claim(claimed: int, path: Path) -> None:
    """Refuse a file that would unfold to far more than it holds, before anything of that size is touched.

    Args:
        claimed: bytes that its parts are said to have together.
        path: the file.

    Raises:
        CheckpointError: that is more than shared or packed weights explain.
    """
    size = path.stat().st_size
    if claimed > _UNFOLDED * size + _SMALL:
        raise CheckpointError(
            f"{path} claims to unfold to {claimed / 1e9:,.1f} GB and has {size / 1e9:,.3f} GB itself (a decompression "
            "bomb?); save the weights anew with torch.save(model.state_dict(), …)"
        )


def _carried(path: Path, digest: str, trust: bool, kind: str) -> RawCheckpoint:
    """A program with its weights: TorchScript or ``torch.export``."""
    if not trust:
        raise UnsafeCheckpointError(
            f"{path} is a {kind} archive, which carries code that runs when it is loaded or called; "
            f"save the weights alone with torch.save(model.state_dict(), …), or, {_TRUST}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both loaders announce their own deprecations
            if kind == "TorchScript":
                module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
                module.eval()
            else:
                module = torch.export.load(path).module()
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"{path} is a {kind} archive that cannot be loaded: {_first_line(error)}") from error
    return RawCheckpoint(path, digest, module=module, kind=kind)


def _read_pickle(path: Path, digest: str, trust: bool) -> RawCheckpoint:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecation notes of storages in files of old versions
            # An open stream, because torch.load goes by the suffix where it is given a path.
            with torch.serialization.safe_globals(list(_HARMLESS)), path.open("rb") as stream:
                content = torch.load(stream, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        culprit = _culprit(str(error), path)
        if culprit is None:
            raise CheckpointError(f"{path} is damaged or no PyTorch checkpoint; fetch or copy it again") from error
        raise UnsafeCheckpointError(
            f"{path} holds more than weights: loading it would run {culprit}, so it was not loaded; "
            f"save the weights alone with torch.save(model.state_dict(), …), or, {_TRUST}"
        ) from error
    except (RuntimeError, EOFError, OSError, MemoryError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged or cut short; fetch or copy it again") from error
    except (ImportError, AttributeError) as error:
        raise CheckpointError(f"{path} needs code that is not installed here: {_first_line(error)}") from error
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch checkpoint: {_first_line(error)}") from error
    module = _whole_module(content)
    if module is not None:
        return RawCheckpoint(path, digest, module=module.float().eval(), kind="pickled module")
    return RawCheckpoint(path, digest, content)


def _whole_module(content: Any) -> nn.Module | None:
    if isinstance(content, nn.Module):
        return content
    if isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        return next((value for value in content.values() if isinstance(value, nn.Module) and value.state_dict()), None)
    return None


def _culprit(message: str, path: Path) -> str | None:
    """What ``weights_only`` objected to; None when the bytes themselves are no whole pickle."""
    named = re.search(r"GLOBAL ([\w.]+)", message) or re.search(r"unrecognized function <[^>]*?([\w.]+)[^\w.>]*>", message)
    return named.group(1) if named else _first_import(path)


def _first_import(path: Path) -> str | None:
    """The first name that a plain pickle would import, read without running it; None when it does not parse to its end."""
    names: list[str] = []
    strings: list[str] = []
    try:
        with path.open("rb") as stream:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "GLOBAL":
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        return None
    return names[0] if names else "a plain Python pickle"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
