"""Checkpoints made to do harm: refused in one sentence, at once, with no code run and no memory taken."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch

from fairaudit.config import ModelSettings
from fairaudit.errors import ArchitectureError, CheckpointError
from fairaudit.models.checkpoint import read_checkpoint
from fairaudit.models.classifier import load_classifier
from fairaudit.models.factory import build_network
from fairaudit.models.head import Head, Task
from fairaudit.models.metadata import OWN_KEY

LEVELS = {"gender": ("man", "woman")}
MOST_SECONDS, MOST_MIB = 5.0, 300


class Runs:
    """Makes a folder when it is unpickled, by one road of many."""

    def __init__(self, mark: Path, road: str) -> None:
        self.mark, self.road = mark, road

    def __reduce__(self) -> tuple[Any, ...]:
        command = f"import os; os.mkdir({str(self.mark)!r})"
        roads: dict[str, tuple[Any, ...]] = {
            "exec": (exec, (command,)),
            "eval": (eval, (f"__import__('os').mkdir({str(self.mark)!r})",)),
            "torch.load": (torch.load, (str(self.mark),)),
            "build": (type(self), (self.mark, "x"), {"mark": 1}),
        }
        return roads[self.road]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network: torch.nn.Module = timm.create_model("test_efficientnet", num_classes=2)
    return network.state_dict()


@contextmanager
def bounded() -> Iterator[None]:
    """The block must be over soon, and must not have touched memory worth mentioning."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    yield
    assert time.perf_counter() - began < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MIB


def refused(path: Path) -> str:
    with bounded(), pytest.raises(CheckpointError) as caught:
        load_classifier(path, ModelSettings(), "gender", LEVELS)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


@pytest.mark.parametrize("road", ["exec", "eval", "torch.load", "build"])
@pytest.mark.parametrize("where", ["zip", "legacy", "key"])
def test_no_road_from_a_pickle_to_code(tmp_path: Path, weights: dict[str, torch.Tensor], road: str, where: str) -> None:
    path, mark = tmp_path / "model.pt", tmp_path / "it-ran"
    malice = Runs(mark, road)
    content: dict[Any, Any] = {"state_dict": weights, "note": malice}
    if where == "key":
        content = {"state_dict": {**weights, "conv_stem.weight": malice}}
    torch.save(content, path, _use_new_zipfile_serialization=where != "legacy")
    assert "holds more than weights" in refused(path)
    assert not mark.exists()


def test_code_in_a_member_that_is_no_data_is_never_read(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    path, mark = tmp_path / "model.pt", tmp_path / "it-ran"
    torch.save(weights, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/code/__torch__.py", f"import os; os.mkdir({str(mark)!r})")
        archive.writestr("model/constants.pkl", b"")
    assert "carries code that runs" in refused(path)
    assert not mark.exists()


def test_a_zip_bomb(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    whole, path = io.BytesIO(), tmp_path / "model.pt"
    torch.save(weights, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            if name.endswith("/data/0"):
                with new.open(name, "w", force_zip64=True) as member:
                    for _ in range(600):
                        member.write(bytes(2**20))
            else:
                new.writestr(name, old.read(name))
    assert path.stat().st_size < 4e6
    assert "(a decompression bomb?)" in refused(path)


def huge_view() -> torch.Tensor:
    return torch.zeros(1).expand(500_000, 500_000)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_view_of_a_terabyte_onto_four_bytes(tmp_path: Path, weights: dict[str, torch.Tensor], legacy: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save({**weights, "conv_stem.weight": huge_view()}, path, _use_new_zipfile_serialization=not legacy)
    assert path.stat().st_size < 3e6
    said = refused(path)
    assert said.startswith(f"{path} claims to unfold to 1,000.0 GB and has 0.000 GB itself")


@pytest.mark.parametrize("kind", ["sparse", "meta", "complex"])
def test_tensors_without_numbers(tmp_path: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
    path, old = tmp_path / "model.pt", weights["conv_stem.weight"]
    place = torch.zeros((2, 1), dtype=torch.int64)
    sparse = torch.sparse_coo_tensor(place, torch.ones(1), (2**20, 2**20), check_invariants=True)
    odd = {"sparse": sparse, "meta": old.to("meta"), "complex": old.to(torch.complex64)}[kind]
    torch.save({**weights, "conv_stem.weight": odd}, path)
    assert "'conv_stem.weight' among the weights is sparse, complex or empty of numbers" in refused(path)


def test_tied_weights_and_views_of_one_storage_are_no_bomb(tmp_path: Path) -> None:
    path, one = tmp_path / "model.pt", torch.randn(64, 64)
    tied = {"a.weight": one, "b.weight": one, "c.weight": one[:32], "d.weight": one.T}
    torch.save(tied, path)
    assert set(read_checkpoint(path).content) == set(tied)
    with pytest.raises(ArchitectureError):  # read to the end, and of no known network
        load_classifier(path, ModelSettings(), "gender", LEVELS)


def headed(header: dict[str, Any], data: bytes = bytes(64), length: int | None = None) -> bytes:
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written) if length is None else length) + written + data


ONE = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}


@pytest.mark.parametrize(
    "content",
    [
        headed({"a.weight": {**ONE, "shape": [500_000, 500_000]}}),
        headed({"a.weight": {**ONE, "data_offsets": [0, 10**12]}}),
        headed({"a.weight": {**ONE, "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 64]}}),
        headed({"a.weight": {**ONE, "data_offsets": [64, 0]}}),
        headed({"a.weight": ONE, "b.weight": ONE}),
        headed({"a.weight": {**ONE, "shape": [4, 2], "data_offsets": [0, 32]}}),
        headed({"a.weight": {**ONE, "dtype": "F33"}}),
        headed({"a.weight": {**ONE, "shape": [-4, 4]}}),
        headed({"a.weight": ONE}, length=2**63 - 1),
        headed({"a.weight": ONE}, length=10**9),
        headed({"a.weight": ONE}, length=3),
        struct.pack(">Q", len(json.dumps({"a.weight": ONE}))) + json.dumps({"a.weight": ONE}).encode() + bytes(64),
        b"{" * 9 + b"[" * 100_000,
        struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995,
    ],
    ids=[
        *("terabyte", "offsets", "overflow", "backwards", "overlap", "hole", "type", "negative", "huge-header"),
        *("long-header", "short-header", "big-endian", "braces", "nested"),
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert refused(path).startswith(f"{path} is ")


def test_a_file_of_the_other_byte_order_is_read_rightly(tmp_path: Path) -> None:
    """PyTorch says in the archive which order it has; a reader that ignored it would load nonsense without a word."""
    path, values = tmp_path / "model.pt", torch.arange(6, dtype=torch.float32)
    whole = io.BytesIO()
    torch.save({"a.weight": values}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name.endswith("/data/0"):
                body = values.numpy().byteswap().tobytes()
            new.writestr(name, b"big" if name.endswith("/byteorder") else body)
    assert torch.equal(read_checkpoint(path).content["a.weight"], values)


@pytest.mark.parametrize("what", ["/dev/zero", "fifo"])
def test_what_never_ends_is_not_begun(tmp_path: Path, what: str) -> None:
    path = tmp_path / "model.pt"
    if what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(what)
    assert refused(path) == f"{path} is no regular file, but a device or a pipe; name a file"


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.symlink_to(path)
    assert refused(path).startswith(f"{path} cannot be read: ")


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained", "pretrained_cfg", "weights", "weights_backbone"])
@pytest.mark.parametrize("own", [True, False])
def test_what_a_checkpoint_says_of_itself_opens_no_other_file(
    tmp_path: Path, weights: dict[str, torch.Tensor], name: str, own: bool
) -> None:
    """Some versions of timm unpickle whatever ``checkpoint_path`` names, with the code in it."""
    path, mark = tmp_path / "model.pt", tmp_path / "it-ran"
    torch.save(Runs(mark, "exec"), tmp_path / "other.bin")
    kwargs = {name: str(tmp_path / "other.bin")}
    if own:
        record = {"format": 1, "architecture": "timm/test_efficientnet", "arch_kwargs": kwargs}
        torch.save({"state_dict": weights, OWN_KEY: json.dumps(record)}, path)
        assert f"{name} would fetch or open other weights than those of the checkpoint" in refused(path)
    with pytest.raises(ArchitectureError, match="would fetch or open other weights"):
        build_network("torchvision/resnet18", 2, kwargs)
    assert not mark.exists()


@pytest.mark.parametrize("key", ["arch", "classes", "class_to_idx", "args", "epoch"])
@pytest.mark.parametrize("kind", ["tensor", "laughs", "deep"])
def test_odd_things_under_known_names(tmp_path: Path, weights: dict[str, torch.Tensor], key: str, kind: str) -> None:
    """A list of ten lists of ten lists … is small in the file and would never end as a text."""
    laughs: Any = ["ha"]
    for _ in range(40):
        laughs = [laughs] * 10
    odd = {"tensor": torch.zeros(3), "laughs": laughs, "deep": "[" * 50_000}[kind]
    path = tmp_path / "model.pt"
    args = {"model": odd, "img_size": odd, "mean": odd, "class_names": odd} if key == "args" else None
    torch.save({"state_dict": weights, key: args or odd}, path)
    said = ""
    with bounded():
        try:
            load_classifier(path, ModelSettings(arch="timm/test_efficientnet"), "gender", LEVELS)
        except CheckpointError as error:
            said = str(error)
    assert not said or (kind == "deep" and "gender has 1 classes" in said), "a text of brackets may name one class"


def test_a_record_of_ours_that_was_tampered_with(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    good = {
        "format": 1,
        "architecture": "timm/test_efficientnet",
        "arch_kwargs": {},
        "head": Head(2, (Task("gender", ("man", "woman"), (0, 1)),)).to_record(),
        "preprocess": {"size": [32, 32]},
    }
    for key in good:
        odd: Any
        for odd in (None, 5, "x", [], [[]], {"a": 1}, True, 10**40):
            path = tmp_path / "model.safetensors"
            safetensors.torch.save_file(weights, path, metadata={OWN_KEY: json.dumps({**good, key: odd})})
            try:
                load_classifier(path, ModelSettings(), "gender", LEVELS)
            except CheckpointError:
                pass
            else:  # a file that says nothing of a part is completed, and the version is read by nobody yet
                assert key == "format" or odd in ([], {"a": 1})
