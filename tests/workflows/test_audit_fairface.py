"""The published figures of two models on FairFace, reproduced from their predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.config import AuditSettings
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import Verdict, group_label
from fairaudit.workflows.audit import audit

pytestmark = pytest.mark.real

# S1, percent right by race × gender: n, then gender and race of the first model, gender and race of the second
CELLS = {
    "Black Female": (356, 93.0, 78.9, 83.1, 75.3),
    "Black Male": (376, 84.3, 86.2, 92.8, 75.0),
    "East Asian Female": (354, 88.1, 70.9, 92.1, 67.2),
    "East Asian Male": (365, 93.7, 68.2, 90.7, 66.6),
    "Indian Female": (378, 93.7, 76.7, 90.7, 69.6),
    "Indian Male": (352, 92.9, 59.7, 94.3, 59.7),
    "Latino_Hispanic Female": (383, 94.8, 41.0, 93.2, 60.3),
    "Latino_Hispanic Male": (354, 89.8, 33.6, 91.2, 56.8),
    "Middle Eastern Female": (396, 93.9, 62.9, 92.9, 54.0),
    "Middle Eastern Male": (385, 93.2, 67.0, 92.7, 54.3),
    "Southeast Asian Female": (372, 91.9, 56.5, 91.1, 55.6),
    "Southeast Asian Male": (357, 93.0, 51.5, 92.7, 58.0),
    "White Female": (349, 91.1, 62.5, 90.3, 66.2),
    "White Male": (385, 92.7, 66.8, 90.6, 60.5),
}
MACRO = {(0, "gender"): (91.9, 2.7), (0, "race"): (63.0, 13.7), (1, "gender"): (91.3, 2.6), (1, "race"): (62.8, 7.0)}
FILES = ("predictions_bal_aug.csv", "predictions_bal_aug_valattention.csv")


def _predictions(file: Path, target: str) -> Predictions:
    table = pd.read_csv(file)
    classes = tuple(sorted(table[target].unique()))
    columns = {name: Column.of(table[name].tolist()) for name in ("race", "gender", "age")}
    true, predicted = (Column.of(table[name].tolist(), classes).codes for name in (target, f"{target}_pred"))
    return Predictions(table["file"].to_numpy(dtype=object), {target: Task(classes, true, predicted)}, columns)


@pytest.mark.parametrize("target", ["gender", "race"])
@pytest.mark.parametrize("model", [0, 1])
def test_published_cells(shared: Path, model: int, target: str) -> None:
    predictions = _predictions(shared / "data" / "fairface" / FILES[model], target)
    settings = AuditSettings(by=(("race", "gender"),), rules=("accuracy gap by race,gender <= 0.35",))
    result = audit(predictions, settings, card_privileged={"race": "White"})
    assert result.overall.n == 5162
    assert ["includes the target" in note for note in result.notes] == [True]  # nobody is left out, nothing is suspected
    grouping = result.groupings[0]
    assert group_label(grouping.privileged) == "White Male"
    found = {group_label(g.group): g for g in grouping.groups}
    assert found.keys() == CELLS.keys()
    column = 1 + 2 * model + (target == "race")
    for name, published in CELLS.items():
        accuracy = found[name].metrics["accuracy"]
        assert found[name].n == accuracy.support == published[0]
        assert 100 * accuracy.value == pytest.approx(published[column], abs=0.051), name
        assert accuracy.ci_low < accuracy.value < accuracy.ci_high
    values = np.array([g.metrics["accuracy"].value for g in grouping.groups])
    spread = next(d.estimate for d in grouping.disparities if (d.metric, d.kind) == ("accuracy", "spread"))
    mean, deviation = MACRO[model, target]
    assert 100 * values.mean() == pytest.approx(mean, abs=0.051)
    assert 100 * spread.value == pytest.approx(deviation, abs=0.051)
    worst = next(d for d in grouping.disparities if (d.metric, d.kind) == ("accuracy", "worst_group"))
    assert group_label(worst.group) == min(CELLS, key=lambda name: CELLS[name][column])
    gap = next(d.estimate for d in grouping.disparities if (d.metric, d.kind) == ("accuracy", "gap"))
    assert 0 < gap.ci_low < gap.value < gap.ci_high
    assert result.verdict is (Verdict.FAIL if (model, target) == (0, "race") else Verdict.PASS)
