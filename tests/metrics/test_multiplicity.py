"""p-values against the intervals they invert, adjustments against plain loops and SciPy, family-wise error simulated."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import false_discovery_control

from fairaudit.metrics import intervals
from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.design_effects import design_effects
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.multiplicity import all_p_values, benjamini_hochberg, contrast_p_values, holm
from fairaudit.metrics.score_measures import score_measures
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import FloatArray, IntArray, Task
from tests.metrics.test_multilabel import drawn, table_of

ACCURACY = Metric("accuracy")
KINDS = ("two classes", "three classes", "rare", "people", "scores", "labels")


def _measure(right: IntArray, n: IntArray) -> Measure:
    counts = np.zeros((len(right), 2, 2), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = right, n - right
    return Table(counts, ("a", "b"), 0).measure(ACCURACY)


@cache
def _measures(kind: str) -> list[Measure]:
    """Every metric of a table of five groups."""
    rng = np.random.default_rng(3)
    k = 3 if kind in ("three classes", "scores") else 2
    names = tuple("abc"[:k])
    if kind == "labels":
        table: Table = table_of(drawn(2, n=600, groups=5), betas=(0.5,), aggregates=("weighted", "worst"))
    elif kind in ("people", "scores"):
        n = 900
        ids, y, who = rng.integers(0, 5, n), rng.integers(0, k, n), rng.integers(0, 200, n)
        score = rng.dirichlet(np.ones(k), n) * 0.5
        score[np.arange(n), y] += 0.5 * rng.random(n)
        score /= score.sum(1, keepdims=True)
        task = Task(names, y, score.argmax(1), score)
        counts = confusion(y, task.y_pred, ids, 5, k)
        effects = design_effects(by_person(y, task.y_pred, ids, who, 5, k)) if kind == "people" else None
        table = Table(counts, names, 1 if k == 2 else None, effects=effects)
        if kind == "scores":
            table = replace(table, rows=score_measures(task, ids, table))
    else:
        most = 3 if kind == "rare" else 90
        counts = rng.integers(0, most, (5, k, k)) + np.eye(k, dtype=np.int64) * most
        table = Table(counts, names, 1 if kind == "two classes" else None, (0.5,), ("micro", "weighted", "worst"))
    return [table.measure(metric) for metric in table.catalogue()]


def _where_it_meets_zero(m: Measure, i: int, j: int) -> float:
    """The p-value by halving the quantiles between which the interval stops excluding 0."""
    if m.value[i] == m.value[j]:
        return 1.0
    inside, outside = 0.0, 8.0
    for _ in range(50):
        z = (inside + outside) / 2
        low, high = intervals.difference(m.value, m.limits, z, i, j)
        inside, outside = (z, outside) if low > 0 or high < 0 else (inside, z)
    return 2 * float(ndtr(-inside))


@pytest.mark.parametrize("kind", KINDS)
def test_every_measure_has_limits_for_some_groups_each_at_its_own_quantile(kind: str) -> None:
    z, groups = np.array([0.3, 4.0, 1.96, 2.5]), np.array([4, 1, 1, 0])
    for m in _measures(kind):
        found = m.limits(z, groups)
        for side in (0, 1):
            expected = [m.limits(float(q))[side][g] for q, g in zip(z, groups, strict=True)]
            np.testing.assert_allclose(found[side], expected, rtol=1e-12, atol=1e-14, err_msg=m.key)


@pytest.mark.parametrize("kind", KINDS)
def test_p_values_are_where_the_intervals_meet_zero(kind: str) -> None:
    measures, comparison = _measures(kind), Comparison(0.95, 2, 1)
    together = all_p_values(measures, comparison)
    for m, found in zip(measures, together, strict=True):
        for i in range(5):
            if i == 2 or m.reason[i] is not None or m.reason[2] is not None:
                assert math.isnan(found[i]), m.key
            else:
                assert found[i] == pytest.approx(_where_it_meets_zero(m, i, 2), abs=1e-9), (m.key, i)
        np.testing.assert_allclose(found, contrast_p_values(m, comparison), atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([2, 30, 3000]), confidence=st.floats(0.5, 0.999))
def test_a_p_value_and_the_interval_on_its_own_never_contradict_each_other(seed: int, most: int, confidence: float) -> None:
    counts = np.random.default_rng(seed).integers(0, most, (6, 2, 2))
    comparison = Comparison(confidence, 0, 1)
    table = Table(counts, ("no", "yes"), 1)
    for metric in table.catalogue():
        m = table.measure(metric)
        p = contrast_p_values(m, comparison)
        for contrast in comparison.against_privileged(m, "difference", family=1):
            assert contrast.group is not None
            e, own = contrast.estimate, p[contrast.group]
            if math.isnan(own):
                assert math.isnan(e.value)
            elif abs(own - (1 - confidence)) > 1e-9:
                assert (e.ci_low > 0 or e.ci_high < 0) == (own < 1 - confidence), (m.key, own, e)


def test_its_extremes() -> None:
    m = _measure(np.array([90, 90, 500, 0, 3]), np.array([100, 100, 500, 500, 5]))
    found = contrast_p_values(m, Comparison(0.95, 0, 20))
    assert np.isnan(found[0])
    assert found[1] == 1.0
    assert 0 < found[3] < 2e-15
    assert np.isnan(found[4]), "too small to be compared"
    assert contrast_p_values(m, Comparison(0.95, 3, 20))[2] == contrast_p_values(m, Comparison(0.95, 2, 20))[3]
    assert np.isnan(contrast_p_values(m, Comparison(0.95, None, 20))).all()
    assert np.isnan(contrast_p_values(m, Comparison(0.95, 4, 20))).all(), "nothing can be compared with it"


def _holm(p: FloatArray) -> FloatArray:
    adjusted, highest = np.empty(len(p)), 0.0
    for rank, k in enumerate(np.argsort(p)):
        highest = max(highest, (len(p) - rank) * p[k])
        adjusted[k] = min(1.0, highest)
    return adjusted


def test_adjustments() -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 7, 30):
        families = rng.random((4, m)) ** 3
        families[1:, ::3] = np.nan
        for p, found, discovered in zip(families, holm(families), benjamini_hochberg(families), strict=True):
            known = ~np.isnan(p)
            np.testing.assert_allclose(found[known], _holm(p[known]))
            assert np.isnan(found[~known]).all()
            assert np.isnan(discovered[~known]).all()
            if known.any():
                np.testing.assert_allclose(discovered[known], false_discovery_control(p[known]))
            assert (discovered[known] <= found[known] + 1e-12).all()
            np.testing.assert_array_equal(holm(p), found)


def test_an_audit_records_them_with_differences() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(5, 90, (5, 2, 2))
    counts[4] = [[2, 1], [0, 1]]  # too small to be compared
    table, comparison = Table(counts, ("no", "yes"), 1), Comparison(0.95, 1, 20)
    groups = tuple({"race": name} for name in "abcde")
    listed = summarise(Grouping(("race",), groups, table, comparison), "named", 0).disparities
    for metric in table.catalogue():
        m = table.measure(metric)
        p = contrast_p_values(m, comparison)
        own = {d.group["race"]: d for d in listed if d.metric == m.key and d.kind == "difference" and d.group is not None}
        assert [*own] == ["a", "c", "d", "e"]
        adjusted = holm(p), benjamini_hochberg(p)
        for name, d in own.items():
            i = "abcde".index(name)
            expected = [None if math.isnan(x[i]) else pytest.approx(x[i]) for x in (p, *adjusted)]
            assert [d.p_value, d.p_holm, d.p_bh] == expected
        assert own["e"].p_value is None
    assert all(d.p_value is d.p_holm is d.p_bh is None for d in listed if d.kind != "difference")


@pytest.mark.parametrize(
    ("truth", "n"),
    [
        ([0.9] * 7, [100] * 7),
        ([0.98] * 5, [20, 1000, 60, 300, 20]),
        ([0.9, 0.9, 0.9, 0.5], [200] * 4),  # one truly differs: the others must still be left alone
    ],
)
def test_family_wise_error(truth: list[float], n: list[int]) -> None:
    rng, trials = np.random.default_rng(7), 250
    equal = np.array(truth) == truth[0]
    alarms = 0
    for _ in range(trials):
        m = _measure(rng.binomial(n, truth), np.array(n))
        flagged = holm(contrast_p_values(m, Comparison(0.95, 0, 20))) <= 0.05
        alarms += bool(flagged[equal].any())
    assert alarms / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_a_real_difference_is_found() -> None:
    m = _measure(np.array([460, 455, 380]), np.array([500] * 3))
    adjusted = holm(contrast_p_values(m, Comparison(0.95, 0, 20)))
    assert adjusted[1] > 0.5
    assert adjusted[2] < 1e-6
    z = float(-ndtri(adjusted[2] / 4))  # the smaller of two: Holm doubles it
    low, high = intervals.difference(m.value, m.limits, z, 2, 0)
    assert low < -0.1
    assert high == pytest.approx(0.0, abs=1e-6)
