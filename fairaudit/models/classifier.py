"""From a checkpoint file to a network whose outputs have a meaning, and back."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.errors import ArchitectureError, CheckpointError, OutputError
from fairaudit.models.architecture import fits, recognise
from fairaudit.models.assembly import Assembled, assemble, outputs_of
from fairaudit.models.checkpoint import RawCheckpoint, read_checkpoint
from fairaudit.models.embedder import NAME as EMBEDDER
from fairaudit.models.factory import build_network, full_names
from fairaudit.models.fingerprint import Shapes
from fairaudit.models.head import Head, Task
from fairaudit.models.head_syntax import choose_head
from fairaudit.models.metadata import OWN_KEY, SelfDescription, describe
from fairaudit.models.preprocess import choose_preprocess
from fairaudit.models.state_dict import find_state_dict
from fairaudit.models.survey import shapes_of

__all__ = ["Classifier", "build_network", "load_classifier", "save_classifier"]

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network whose outputs have a meaning.

    Attributes:
        model: evaluation mode, CPU, float32; images (b,3,h,w) → logits (b,outputs).
        head: what the outputs mean.
        preprocess: how images must be prepared; its ``source`` says who said so.
        architecture: ``timm/NAME`` or ``torchvision/NAME``, or in words for a trusted module.
        arch_kwargs: constructor arguments that the network was built with.
        found_by: how the architecture was found, a clause.
        keys_matched: tensors of the checkpoint; every one is in the network.
        assumptions: what neither the file nor the user told, a clause each.
        warnings: what should be looked at, a sentence each.
        sha256: of the file.
        metadata: fairaudit's record in the file; empty for a file of another origin.
    """

    model: nn.Module
    head: Head
    preprocess: Preprocess
    architecture: str
    found_by: str
    keys_matched: int
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sha256: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    arch_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    name: str
    kwargs: Mapping[str, Any]
    by: str
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def load_classifier(
    path: Path, settings: ModelSettings, target: str | None, levels: Mapping[str, tuple[str, ...]]
) -> Classifier:
    """Read a checkpoint, recognise its network, load every weight, and settle what its outputs mean.

    Args:
        path: the file.
        settings: what the user set; everything left None is found out.
        target: name of the audited target; empty where several labels are audited; None where outputs need no meaning,
            and are numbered, because only what comes before them is wanted.
        levels: categorical column of the dataset → levels in the card's order.

    Raises:
        CheckpointError: the file cannot be read, or does not fit its network, its classes or the size of the images.
        UnsafeCheckpointError: loading it would run code.
        ArchitectureError: the network is unknown or cannot be told from others.
        UsageError: ``--head`` or ``--merge`` cannot be understood.
    """
    raw = read_checkpoint(path, settings.trust_checkpoint)
    described = describe(raw)
    own_head = Head.from_record(described.own["head"]) if "head" in described.own else None
    notes: tuple[str, ...] = ()
    if raw.module is not None:
        if settings.arch:
            raise CheckpointError(f"{path} carries its own network ({raw.kind}); leave --arch out")
        found = _Found(_module_name(raw), {}, f"the file carries it ({raw.kind}, trusted)")
        preprocess = choose_preprocess(found.name, {}, described, settings.preprocess)
        assembled = _carried(raw.module, preprocess.size, path)
    else:
        state = find_state_dict(raw.content, path)
        notes = state.notes
        found = _find(shapes_of(state.tensors), settings, described)
        preprocess = choose_preprocess(found.name, found.kwargs, described, settings.preprocess)
        assembled = assemble(found.name, found.kwargs, state.tensors, path.name)
        _try(assembled, preprocess.size, found)
    assumed: tuple[str, ...] = ()
    if target is not None and found.name == EMBEDDER:
        raise CheckpointError(
            f"{path} gives embeddings of {assembled.outputs} numbers, no classes; audit it with 'fairaudit embed', or give "
            "its backbone a new head with --weights"
        )
    if target is None:
        head = _numbered(assembled.outputs)
    else:
        head, assumed = choose_head(assembled.outputs, settings, target, levels, own_head, described.classes)
    unread = tuple(
        f"{described.origin or 'the file'} has {name!r} in a form that could not be read" for name in described.unreadable
    )
    return Classifier(
        model=assembled.network,
        head=head,
        preprocess=preprocess,
        architecture=found.name,
        found_by=found.by,
        keys_matched=assembled.keys_matched,
        assumptions=(*notes, *found.assumptions, *assembled.assumptions, *assumed),
        warnings=(*found.warnings, *unread),
        sha256=raw.sha256,
        metadata=described.own,
        arch_kwargs=found.kwargs,
    )


def _numbered(outputs: int) -> Head:
    if outputs == 1:
        return Head(1, (Task("output", ("0", "1"), (0,), "sigmoid"),))
    columns = tuple(range(outputs))
    return Head(outputs, (Task("output", tuple(map(str, columns)), columns),))


def _find(shapes: Shapes, settings: ModelSettings, described: SelfDescription) -> _Found:
    """The user's word first, then fairaudit's record, then the file's own name where it fits, then the tensors."""
    if settings.arch:
        names = full_names(settings.arch)
        recorded = described.arch_kwargs if described.arch in (names[0], names[0].partition("/")[2]) else {}
        kwargs = {**recorded, **settings.arch_kwargs}
        borrowed = {key: value for key, value in recorded.items() if key not in settings.arch_kwargs}
        by = f"--arch, with {_given(borrowed)} from {described.origin}" if borrowed else "--arch"
        return _Found(_first_that_fits(names, shapes, kwargs), kwargs, by)
    if "architecture" in described.own:
        kwargs = {**described.own.get("arch_kwargs", {}), **settings.arch_kwargs}
        return _Found(str(described.own["architecture"]), kwargs, "fairaudit metadata")
    if described.arch:
        kwargs = {**described.arch_kwargs, **settings.arch_kwargs}
        try:
            name = next((n for n in full_names(described.arch) if fits(n, shapes, kwargs)), None)
        except ArchitectureError:
            name = None  # a name of another program; the tensors decide
        if name is not None:
            built_with = f" with {_given(kwargs)}" if kwargs else ""
            return _Found(name, kwargs, f"named {described.arch}{built_with} in {described.origin}")
    recognition = recognise(shapes)
    name = recognition.entry.name
    return _Found(
        name,
        {**recognition.entry.kwargs, **settings.arch_kwargs},
        f"recognised from its {len(shapes)} tensors",
        (f"padding, activation and eps are those of {name}: weights cannot tell",),
        recognition.warnings,
    )


def _given(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in kwargs.items())


def _first_that_fits(names: list[str], shapes: Shapes, kwargs: Mapping[str, Any]) -> str:
    if len(names) == 1:
        return names[0]
    return next((name for name in names if fits(name, shapes, dict(kwargs))), names[0])


def _module_name(raw: RawCheckpoint) -> str:
    return f"{raw.kind} {type(raw.module).__name__}" if raw.kind == "pickled module" else raw.kind


def _carried(module: nn.Module, size: tuple[int, int], path: Path) -> Assembled:
    try:
        logits = outputs_of(module, size)
    except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot take two {_text(size)} images: {_first_line(error)}; see --size") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise CheckpointError(f"{path} gives {_kind(logits)}, not logits of shape (batch, outputs)")
    return Assembled(module, logits.shape[1], len(module.state_dict()), ("the module's outputs are read as logits",))


def _try(assembled: Assembled, size: tuple[int, int], found: _Found) -> None:
    try:
        logits = outputs_of(assembled.network, size)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise CheckpointError(
            f"{found.name} cannot take {_text(size)} images: {_first_line(error)}; choose another --size, "
            f"or build it for this one with --arch {found.name} --arch-kwargs img_size={size[0]} where it has positions"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, assembled.outputs):
        raise CheckpointError(f"{found.name} gives {_kind(logits)}, not {assembled.outputs} logits for each image")


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _kind(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def save_classifier(
    path: Path,
    model: nn.Module,
    *,
    architecture: str,
    arch_kwargs: Mapping[str, Any],
    head: Head | None,
    preprocess: Preprocess,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint that loads without any flag and without running code; whole or not at all.

    Args:
        path: ``.safetensors`` for that format, any other suffix for PyTorch's; replaced if it is there.
        model: its ``state_dict()`` is written.
        architecture: ``timm/NAME`` or ``torchvision/NAME``.
        arch_kwargs: constructor arguments, as JSON can hold them.
        head: what the outputs mean; None where they are embeddings.
        preprocess: how images were prepared.
        extra: anything else worth keeping, as JSON can hold it; ``Classifier.metadata["extra"]`` gives it back.

    Raises:
        OutputError: the file cannot be written.
    """
    record = json.dumps(
        {
            "format": _FORMAT,
            "architecture": full_names(architecture)[0],
            "arch_kwargs": dict(arch_kwargs),
            **({} if head is None else {"head": head.to_record()}),
            "preprocess": preprocess.model_dump(mode="json"),
            "extra": dict(extra or {}),
        }
    )
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    if path.suffix == ".safetensors":
        content = safetensors.torch.save(tensors, metadata={OWN_KEY: record})
    else:
        stream = io.BytesIO()
        torch.save({"state_dict": tensors, OWN_KEY: record}, stream)
        content = stream.getvalue()
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
            part = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except BaseException as error:
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{path} could not be written: {error.strerror or error}") from error
        raise
