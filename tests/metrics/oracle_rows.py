"""Random rows and their audits, for tests that hold these to somebody else's definitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from fairaudit.config import AuditSettings
from fairaudit.predictions import BoolArray, Column, Predictions, Task
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit

GROUPS = ("a", "b", "c", "d", "only negatives", "three images")
SEEDS = (0, pytest.param(1, marks=pytest.mark.statistics))


def _task(rng: np.random.Generator, names: Sequence[str], negatives: BoolArray) -> Task:
    """Labels, scores and decisions that have something to do with each other; scores tie."""
    n, k = len(negatives), len(names)
    score = np.round(rng.dirichlet(np.full(k, 0.7), n), 2)
    score[:, -1] = np.clip(1 - score[:, :-1].sum(1), 0, 1)
    y = np.array([rng.choice(k, p=row / row.sum()) for row in score])
    y[negatives] = 0
    return Task(tuple(names), y, np.where(rng.random(n) < 0.8, score.argmax(1), rng.integers(0, k, n)), score)


@cache
def rows(seed: int) -> Predictions:
    """Four groups of a hundred, one without positives, one of three images; targets of two and four classes, and labels."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(6), [100, 110, 120, 130, 40, 3]))
    negatives = group == 4
    tasks = {
        "two": _task(rng, ("no", "yes"), negatives),
        "four": _task(rng, ("p", "q", "r", "s"), negatives),
        **{name: _task(rng, ("no", "yes"), negatives & (name == "x")) for name in "xyz"},
    }
    names = np.array([str(i) for i in range(len(group))], dtype=object)
    return Predictions(names, tasks, {"group": Column(group, GROUPS)})


@cache
def audited(seed: int, target: str) -> AuditResult:
    """The audit of one target; ``two`` has a positive class."""
    asked = {"target": target, "by": (("group",),), "min_support": 1, "bootstrap": 100, "privileged": ({"group": "b"},)}
    if target == "two":
        asked["positive"] = "yes"
    return audit(rows(seed), AuditSettings.model_validate(asked))


def part(seed: int, target: str, g: int) -> Task:
    """The rows of one group."""
    predictions = rows(seed)
    return predictions.tasks[target].take(predictions.attributes["group"].codes == g)
