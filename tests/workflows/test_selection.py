"""Selection: the score of each rule, restated by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairaudit.config import Preprocess, Select
from fairaudit.engine.image_sources import CachedImages
from fairaudit.engine.training_data import Tasks, TrainingData
from fairaudit.workflows.selection import correct, validation_score


def data(targets: torch.Tensor, groups: list[int], tasks: Tasks | None = None) -> TrainingData:
    return TrainingData(
        images=CachedImages(torch.zeros(len(groups), 3, 8, 8, dtype=torch.uint8)),
        targets=targets,
        groups=torch.tensor(groups),
        classes=("a", "b") if tasks is None else tuple(c for _, classes in tasks for c in classes),
        group_labels=("x", "y", "z"),
        preprocess=Preprocess(size=(8, 8)),
        tasks=tasks,
    )


@pytest.mark.parametrize(("select", "score"), [("worst-group", 0.5), ("average", 5 / 7), ("gap", -0.3), ("last", 5 / 7)])
def test_each_rule(select: Select, score: float) -> None:
    targets = torch.tensor([0, 0, 1, 1, 1, 0, 1])
    groups = [0, 0, 1, 1, 1, 1, 1]
    logits = torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 1], [0, 1], [1, 0], [1, 0]])
    found = validation_score(logits, data(targets, groups), select)
    assert found.score == pytest.approx(score)
    assert found.group_accuracies[:2] == pytest.approx((0.5, 0.8))
    assert np.isnan(found.group_accuracies[2])  # no image: no accuracy, and not the worst


def test_several_targets_are_right_together() -> None:
    tasks = (("race", ("p", "q", "r")), ("gender", ("f", "m")))
    targets = torch.tensor([[0, 0], [1, 1], [2, 0]])
    logits = torch.tensor([[9.0, 0, 0, 9, 0], [0, 9, 0, 9, 0], [0, 0, 9, 9, 0]])
    several = data(targets, [0, 0, 1], tasks)
    assert correct(logits, several).tolist() == [True, False, True]
    assert validation_score(logits, several, "worst-group").group_accuracies[:2] == (0.5, 1.0)
