"""States that a training must not go on from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fairaudit.engine.state import STATE
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import ArtifactError
from fairaudit.losses import cross_entropy, max_group
from fairaudit.losses.base import CrossEntropy
from tests.engine.interruptions import DATA, Halt, go, halting
from tests.engine.small import pictures


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was interrupted after its first epoch."""
    folder = tmp_path_factory.mktemp("left")
    with pytest.raises(Halt):
        go(folder, progress=halting(2, 1))
    return folder


def relabelled() -> TrainingData:
    targets = DATA.targets.clone()
    targets[5] = 1 - targets[5]
    return replace(DATA, targets=targets)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": 0.03}, "lr was 0.02 and is now 0.03"),
        ({"epochs": 5}, "epochs was 4 and is now 5"),
        ({"batch_size": 8}, "batch-size was 16 and is now 8"),
        ({"augment": ["mixup"]}, "augment was [] and is now ['mixup']"),
        ({"data": pictures(95)}, "number of training images was 96 and is now 95"),
        ({"data": relabelled()}, "the labels of the training images differ"),
        ({"data": replace(DATA, classes=("woman", "man"))}, "classes was female, male and is now woman, man"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(192, 2))}, "the layers of the network differ"),
        (
            {"loss": max_group.build},
            "loss was MeanLoss(n_groups=3) and is now MaxGroupLoss(ema=0.0, min_count=1, n_groups=3)",
        ),
        (
            {"loss": lambda groups: cross_entropy.build(groups, CrossEntropy(0.1))},
            "criterion was CrossEntropy(label_smoothing=0.0) and is now CrossEntropy(label_smoothing=0.1)",
        ),
    ],
)
def test_another_training_is_refused_in_one_sentence(left: Path, changes: dict[str, Any], sentence: str) -> None:
    before = (left / STATE).read_bytes()
    with pytest.raises(ArtifactError) as caught:
        go(left, **changes)
    assert str(caught.value) == (
        f"{left / STATE} is the state of another training: {sentence}; go on as it was begun, or choose another folder"
    )
    assert (left / STATE).read_bytes() == before


def test_what_does_not_change_the_result_may_differ(left: Path, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes((left / STATE).read_bytes())
    _, history = go(tmp_path, workers=2, cache="none", accumulate=2)
    assert len(history.epochs) == 4


def test_a_damaged_state_is_one_sentence(tmp_path: Path, left: Path) -> None:
    whole = (left / STATE).read_bytes()
    for content in (b"", b"something else", whole[: len(whole) // 2]):
        (tmp_path / STATE).write_bytes(content)
        with pytest.raises(ArtifactError) as caught:
            go(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path / STATE} is not the state of a training, or damaged; delete it to begin anew"
        )


def test_a_state_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "run"),))

    torch.save({"format": 1, "identity": {}, "epochs": Evil()}, tmp_path / STATE)
    with pytest.raises(ArtifactError):
        go(tmp_path)
    assert not (tmp_path / "run").exists()
