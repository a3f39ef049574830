"""Files that are no checkpoint, are damaged, or would run code."""

from __future__ import annotations

import argparse
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from fairaudit.errors import CheckpointError, UnsafeCheckpointError
from fairaudit.models.checkpoint import read_checkpoint
from fairaudit.models.classifier import build_network


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """The smallest network of timm that no other shares its tensors with."""
    torch.manual_seed(0)
    return build_network("timm/test_resnet", 2).eval()


@pytest.fixture
def tensors(tiny: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in tiny.state_dict().items()}


class Malice:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def message(path: Path, kind: type[CheckpointError] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        read_checkpoint(path)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "model.ckpt", "model.safetensors", "model"])
def test_the_format_is_told_by_content(tmp_path: Path, tensors: dict[str, Tensor], name: str) -> None:
    path = tmp_path / name
    for write in (
        torch.save,
        lambda t, p: torch.save(t, p, _use_new_zipfile_serialization=False),
        safetensors.torch.save_file,
    ):
        write(tensors, path)
        read = read_checkpoint(path)
        assert set(read.content) == set(tensors)
        assert all(torch.equal(read.content[key], tensors[key]) for key in tensors)


def test_what_training_scripts_store_beside_the_weights_is_harmless(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "model.pth.tar"
    extras = {"args": argparse.Namespace(lr=0.1, out=Path("x")), "metric": np.float64(0.5), "best": np.float32(0.5)}
    torch.save({"state_dict": tensors, **extras}, path)
    assert read_checkpoint(path).content["metric"] == 0.5


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    assert message(path) == f"{path}: no such file"
    assert message(tmp_path) == f"{tmp_path} is a folder, not a checkpoint; name the file inside it"
    path.touch()
    assert message(path) == f"{path} is empty (0 bytes); fetch or copy it again"


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_pytorch_file(tmp_path: Path, tensors: dict[str, Tensor], share: float) -> None:
    path = tmp_path / "model.pt"
    torch.save(tensors, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert message(path) == f"{path} is damaged or cut short; fetch or copy it again"


def test_a_truncated_old_pytorch_file(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "model.pt"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-1000])
    assert message(path).startswith(f"{path} is damaged")


def test_a_truncated_safetensors_file(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(tensors, path)
    whole = path.read_bytes()
    for size in (100, len(whole) - 10):
        path.write_bytes(whole[:size])
        assert message(path).startswith(f"{path} is damaged: ")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, not the weights themselves"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file, as Keras writes"),
        (b"<!DOCTYPE html><html>", "a web page, not weights"),
        (b"hello", "no checkpoint: neither a PyTorch file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    assert message(path).startswith(f"{path} is {what}")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("how", ["torch", "legacy", "pickle"])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, tensors: dict[str, Tensor], how: str, protocol: int) -> None:
    path, mark = tmp_path / "model.pt", tmp_path / "it-ran"
    content = {"state_dict": tensors, "note": Malice(mark)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(Malice(mark), protocol=protocol))
    else:
        torch.save(content, path, pickle_protocol=max(protocol, 2), _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert not mark.exists()
    if protocol == 2:
        assert isinstance(caught.value, UnsafeCheckpointError)
        assert re.fullmatch(
            re.escape(f"{path} holds more than weights: loading it would run ") + r"(posix|nt|os)\.mkdir"
            r", so it was not loaded; save the weights alone with torch\.save\(model\.state_dict\(\), …\), "
            r"or, if you trust whoever made it, accept it with --trust-checkpoint",
            str(caught.value),
        )


def test_a_pickled_module_is_refused_and_loads_with_trust(tmp_path: Path, tiny: nn.Module) -> None:
    path = tmp_path / "model.pt"
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), path)
    assert "loading it would run torch.nn.modules." in message(path, UnsafeCheckpointError)
    read = read_checkpoint(path, trust=True)
    assert isinstance(read.module, nn.Sequential)
    assert not read.module.training


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["TorchScript", "torch.export"])
def test_archives_with_code_are_refused_and_load_with_trust(tmp_path: Path, kind: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    example = torch.rand(2, 3, 2, 2)
    path = tmp_path / ("model.pt" if kind == "TorchScript" else "model.pt2")
    if kind == "TorchScript":
        torch.jit.trace(network, example).save(str(path))  # type: ignore[no-untyped-call]
    else:
        torch.export.save(torch.export.export(network, (example,)), path)
    assert message(path, UnsafeCheckpointError).startswith(f"{path} is a {kind} archive, which carries code that runs")
    module = read_checkpoint(path, trust=True).module
    assert module is not None
    torch.testing.assert_close(module(example), network(example))
