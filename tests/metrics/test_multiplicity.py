"""p-values against the intervals they invert, adjustments against plain loops and SciPy, family-wise error simulated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import false_discovery_control

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.multiplicity import benjamini_hochberg, contrast_p_values, holm, p_value
from fairaudit.predictions import IntArray

ACCURACY = Metric("accuracy")


def _measure(right: IntArray, n: IntArray) -> Measure:
    counts = np.zeros((len(right), 2, 2), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = right, n - right
    return Table(counts, ("a", "b"), 0).measure(ACCURACY)


@pytest.mark.parametrize("seed", range(5))
def test_a_p_value_is_where_the_interval_meets_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 400, 4)
    m = _measure(rng.binomial(n, [0.9, 0.7, 0.85, 0.9]), n)
    found = contrast_p_values(m, Comparison(0.95, 0, 20))
    assert np.isnan(found[0])
    for i in (1, 2, 3):
        z = -ndtri(found[i] / 2)
        for step, excluded in ((-0.01, found[i] < 1), (0.01, False)):
            low, high = intervals.difference(m.value, m.limits, max(z + step, 0.0), i, 0)
            assert bool(low > 0 or high < 0) is bool(excluded)


def test_its_extremes() -> None:
    m = _measure(np.array([90, 90, 500, 0, 3]), np.array([100, 100, 500, 500, 5]))
    found = contrast_p_values(m, Comparison(0.95, 0, 20))
    assert found[1] == 1.0
    assert 0 < found[3] < 2e-15
    assert np.isnan(found[4]), "too small to be compared"
    assert p_value(m.value, m.limits, 2, 3) == p_value(m.value, m.limits, 3, 2)
    assert np.isnan(contrast_p_values(m, Comparison(0.95, None, 20))).all()


def test_adjustments() -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 7, 30):
        p = rng.random(m) ** 3
        order = np.argsort(p)
        expected, highest = np.empty(m), 0.0
        for rank, k in enumerate(order):
            highest = max(highest, (m - rank) * p[k])
            expected[k] = min(1.0, highest)
        np.testing.assert_allclose(holm(p), expected)
        np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))
        gaps = np.insert(p, m // 2, np.nan)
        np.testing.assert_allclose(np.delete(holm(gaps), m // 2), expected)
        assert np.isnan(holm(gaps)[m // 2])
        assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()


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
