"""Pulls against derivatives of scikit-learn's weighted metrics, and against DeLong's covariance in plain loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from fairaudit.metrics.calibration import equal_width
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.influence import area_pull, error_pull, mean_pull, precision_pull, row_pulls
from fairaudit.metrics.joint import joined, joint_measures
from fairaudit.metrics.measure import Table
from fairaudit.metrics.ranking import area_and_variance, ties
from fairaudit.metrics.score_measures import score_measures
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray, Task


def scores(seed: int, n: int = 30, steps: int = 12) -> tuple[FloatArray, BoolArray]:
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    y[:2] = [True, False]
    return np.clip(np.round((rng.random(n) + 0.3 * y) * steps) / steps / 1.3, 0, 1), y


Weighted = Callable[[BoolArray, FloatArray, FloatArray], float]


def slopes(of: Weighted, y: BoolArray, s: FloatArray, step: float = 1e-6) -> FloatArray:
    found = []
    for i in range(len(y)):
        up, down = np.ones(len(y)), np.ones(len(y))
        up[i] += step
        down[i] -= step
        found.append((of(y, s, up) - of(y, s, down)) / (2 * step))
    return np.array(found)


@given(st.integers(0, 2**20))
@settings(max_examples=4, deadline=None)
def test_pulls_are_derivatives(seed: int) -> None:
    s, y = scores(seed)
    zero = np.zeros(len(s), dtype=np.int64)
    cases: list[tuple[FloatArray, Weighted]] = [
        (area_pull(s, y, zero, 1), lambda y, s, w: float(roc_auc_score(y, s, sample_weight=w))),
        (precision_pull(s, y, zero, 1), lambda y, s, w: float(average_precision_score(y, s, sample_weight=w))),
        (mean_pull((s - y) ** 2, zero, 1), lambda y, s, w: float(brier_score_loss(y, s, sample_weight=w))),
        (error_pull(s, y, zero, 1, equal_width(s)).pull, _error),
    ]
    for pull, of in cases:
        np.testing.assert_allclose(pull, slopes(of, y, s), atol=1e-6)
        assert pull.sum() == pytest.approx(0, abs=1e-12)


def _error(y: BoolArray, s: FloatArray, w: FloatArray) -> float:
    total = 0.0
    for b in set(equal_width(s).tolist()):
        own = equal_width(s) == b
        total += abs(float((w * (s - y))[own].sum()))
    return total / float(w.sum())


def test_groups_do_not_know_of_each_other() -> None:
    (s, y), (s2, y2) = scores(1), scores(2)
    ids = np.repeat([0, MISSING, 1], [30, 5, 30])
    every, labels = np.r_[s, np.full(5, 0.5), s2], np.r_[y, np.zeros(5, dtype=bool), y2]
    zero = np.zeros(30, dtype=np.int64)
    for pull in (area_pull, precision_pull):
        found = pull(every, labels, ids, 3)
        np.testing.assert_allclose(found[:30], pull(s, y, zero, 1))
        np.testing.assert_allclose(found[35:], pull(s2, y2, zero, 1))
        assert (found[30:35] == 0).all()
    assert (area_pull(s, np.ones(30, dtype=bool), zero, 1) == 0).all()  # undefined, and pulled by nobody


def test_products_of_pulls_are_delongs_covariance() -> None:
    rng = np.random.default_rng(3)
    s, y = scores(3, 40)
    other = np.clip(s + rng.normal(0, 0.2, 40), 0, 1)
    zero = np.zeros(40, dtype=np.int64)
    m, n = int(y.sum()), int((~y).sum())

    def placements(x: FloatArray) -> tuple[list[float], list[float]]:
        of_hits = [float(np.mean([(a > b) + (a == b) / 2 for b in x[~y]])) for a in x[y]]
        of_others = [float(np.mean([(a > b) + (a == b) / 2 for a in x[y]])) for b in x[~y]]
        return of_hits, of_others

    (v, w), (v2, w2) = placements(s), placements(other)
    expected = np.cov(v, v2, ddof=0)[0, 1] / m + np.cov(w, w2, ddof=0)[0, 1] / n
    assert float(area_pull(s, y, zero, 1) @ area_pull(other, y, zero, 1)) == pytest.approx(expected)
    variance = np.var(v, ddof=1) / m + np.var(w, ddof=1) / n
    assert area_and_variance(ties(s, y))[1] == pytest.approx(variance)
    own = area_pull(s, y, zero, 1)
    assert float((own[y] ** 2).sum() * m / (m - 1) + (own[~y] ** 2).sum() * n / (n - 1)) == pytest.approx(variance)


@pytest.mark.parametrize(
    ("k", "positive", "top"), [(2, 1, ()), (2, None, ()), (7, None, ()), (7, None, (2, 6)), (4, 2, ())]
)
def test_every_metric_of_rows_has_its_pulls(k: int, positive: int | None, top: tuple[int, ...]) -> None:
    rng = np.random.default_rng(k)
    y, ids = rng.integers(MISSING, k, 80), rng.integers(MISSING, 3, 80)
    score = rng.dirichlet(np.ones(k), 80)
    classes = tuple("abcdefg"[:k])
    task = Task(classes, y, score.argmax(-1).astype(np.int64), score)
    table = Table(confusion(y, task.y_pred, ids, 3, k), classes, positive)
    measures, pulls = score_measures(task, ids, table, top), row_pulls(task, ids, table, top)
    assert pulls.keys() == measures.keys()
    left_out = (ids == MISSING) | (y == MISSING)
    for metric, pull in pulls.items():
        assert (pull.pull[left_out] == 0).all(), metric
        assert (pull.bins is None) == (pull.off is None)
    assert row_pulls(Task(classes, y, task.y_pred), ids, table) == {}


def test_joint_targets_have_theirs() -> None:
    rng = np.random.default_rng(0)
    parts = {n: Task(("x", "y"), rng.integers(MISSING, 2, 50), rng.integers(0, 2, 50)) for n in ("race", "gender")}
    ids: IntArray = rng.integers(MISSING, 2, 50)
    task = joined([*parts.values()])
    table = Table(confusion(task.y_true, task.y_pred, ids, 2, 4), task.classes)
    measures, pulls = joint_measures([*parts.values()], ids, table), row_pulls(task, ids, table, (), parts)
    assert pulls.keys() == measures.keys()
    for metric, measure in measures.items():
        n = np.bincount(ids[(ids != MISSING) & (task.y_true != MISSING)], minlength=2)
        own = pulls[metric].pull
        variance = np.bincount(np.maximum(ids, 0), own**2, 2)
        np.testing.assert_allclose(variance, measure.value * (1 - measure.value) / n)
