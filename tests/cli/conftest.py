"""The command line run in this process, and small faces and models to run it on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.models import shufflenet_v2_x0_5
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from fairaudit.cli.app import run
from fairaudit.data.faces import render, sample_face
from fairaudit.workflows import run_reports

RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")
GENDERS = ("Male", "Female")
REPORT_FILES = run_reports.report_files
PER_CELL = 3
SIZE = 32


@dataclass(frozen=True)
class Finished:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """Stdout as JSON, which must be nothing else."""
        record: dict[str, Any] = json.loads(self.out)
        return record

    def refused(self, message: str) -> None:
        """Assert that this was a refusal: one sentence, nothing on stdout, exit code 2."""
        assert self.err == f"fairaudit: {message}\n"
        assert self.out == ""
        assert self.code == 2


Cli = Callable[..., Finished]


def fairaudit(*words: object) -> Finished:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(word) for word in words])
    return Finished(code, out.getvalue(), err.getvalue())


def spawn(
    words: Sequence[object], cwd: Path, env: Mapping[str, str] | None = None, start: Sequence[str] = ("-m", "fairaudit")
) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *start, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files_below(folder: Path) -> list[str]:
    """Every file and folder, hidden ones too, so that nothing half-written is overlooked."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(scope="session", autouse=True)
def _undrawn() -> Iterator[None]:
    """No pages in run folders: figures take seconds, and few tests are about them (those ask for ``drawn``)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_reports, "report_files", lambda *_: {})
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run folders with their pages and figures, as users get them."""
    monkeypatch.setattr(run_reports, "report_files", REPORT_FILES)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``fairaudit`` in an empty working folder, with nobody's own settings."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("FAIRAUDIT_DATA", "RANK", "COLUMNS", "FAIRAUDIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return fairaudit


@pytest.fixture(scope="session")
def fairface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FairFace's official layout with drawn faces: three of each race × gender for validation, one for training."""
    root = tmp_path_factory.mktemp("official") / "fairface"
    for part, per_cell in (("train", 1), ("val", PER_CELL)):
        (root / part).mkdir(parents=True)
        rows = []
        cells = [(race, gender) for _ in range(per_cell) for race in RACES for gender in GENDERS]
        for k, (race, gender) in enumerate(cells, start=1):
            face = sample_face(np.random.default_rng([k, per_cell]), gender="man" if gender == "Male" else "woman")
            render(face, 48).save(root / part / f"{k}.jpg", quality=92)
            rows.append((f"{part}/{k}.jpg", "20-29", gender, race, k % 2 == 0))
        table = pd.DataFrame(rows, columns=["file", "age", "gender", "race", "service_test"])
        table.to_csv(root / f"fairface_label_{part}.csv", index=False)
    return root


def plain_images(files: Sequence[Path], size: int) -> torch.Tensor:
    """Network inputs by Pillow and torchvision alone: squash, bilinear, ImageNet's mean and std."""
    prepare = transforms.Compose(
        [
            transforms.PILToTensor(),
            transforms.Resize((size, size), InterpolationMode.BILINEAR, antialias=True),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])


def plain_loop(network: torch.nn.Module, files: Sequence[Path], size: int) -> torch.Tensor:
    """Logits, eight images at a time."""
    with torch.no_grad():
        return torch.cat([network(plain_images(files[k : k + 8], size)) for k in range(0, len(files), 8)])


def shufflenet() -> torch.nn.Module:
    """A small network of the index, with two classes."""
    network: torch.nn.Module = shufflenet_v2_x0_5(num_classes=2)
    return network.eval()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, fairface: Path) -> Path:
    """A bare state dict of random weights whose two classes are predicted about equally often."""
    torch.manual_seed(0)
    network = shufflenet()
    files = sorted((fairface / "val").iterdir())
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0  # take the statistics of the one batch that follows
        network.train()(plain_images(files, SIZE))
        network.eval()
        torch.nn.init.normal_(network.get_parameter("fc.weight"), std=0.2)
        logits = plain_loop(network, files, SIZE)
        network.get_parameter("fc.bias")[1] += (logits[:, 0] - logits[:, 1]).median() + 1e-3
    path = tmp_path_factory.mktemp("model") / "model.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def evaluate(model: Path, fairface: Path) -> tuple[str, ...]:
    """The words that evaluate that model on those faces; more may follow."""
    size = ("--size", str(SIZE), "--resize", "squash", "--interpolation", "bilinear")
    return ("evaluate", str(model), "--data", "fairface", "--root", str(fairface), *size, "--min-support", "2")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Of 40 women and 40 men each, 38 are predicted rightly in a, 36 in b, 20 in c; of d there are 12 men."""
    rows = []
    for race, gender, n, right in [
        *((race, gender, 40, right) for race, right in (("a", 38), ("b", 36), ("c", 20)) for gender in ("woman", "man")),
        ("d", "man", 12, 12),
    ]:
        other = {"woman": "man", "man": "woman"}[gender]
        rows += [(race, gender, gender if k < right else other) for k in range(n)]
    path = tmp_path / "predictions.csv"
    pd.DataFrame(rows, columns=["race", "gender", "gender_pred"]).to_csv(path, index=False)
    return path
