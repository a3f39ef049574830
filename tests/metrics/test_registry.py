"""Every metric has a name, a formula, a direction and a source, and every one that an audit lists is in the registry."""

from __future__ import annotations

import numpy as np

from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.registry import entries
from fairaudit.metrics.score_measures import score_measures
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import Task


def test_entries_are_complete_and_distinct() -> None:
    found = list(entries())
    assert len({e.name for e in found}) == len(found)
    for e in found:
        assert e.formula, e.name
        assert e.source, e.name
        assert isinstance(e.direction, Direction)
        assert e.what in ("rate", "statistic", "scores", "disparity")


def test_whatever_is_listed_is_registered() -> None:
    rng = np.random.default_rng(0)
    score = rng.dirichlet(np.ones(4), 80)
    task = Task(tuple("abcd"), rng.integers(0, 4, 80), score.argmax(-1), score)
    ids = rng.integers(0, 2, 80)
    plain = Table(rng.integers(1, 9, (2, 4, 4)), task.classes)
    table = Table(plain.counts, task.classes, rows=score_measures(task, ids, plain))
    found = summarise(Grouping(("g",), ({"g": "x"}, {"g": "y"}), table, Comparison(0.95, 0, 1)), "named", 0)
    known = {e.name for e in entries()}
    assert {key.split("[")[0] for key in found.groups[0].metrics} <= known
    assert {d.metric.split("[")[0] for d in found.disparities} <= known
