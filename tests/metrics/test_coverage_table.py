"""The published table of coverages, held to the code: what it says is enumerated or simulated anew here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairaudit.metrics import intervals
from fairaudit.metrics.coverage import COVERAGE, Coverage
from fairaudit.predictions import FloatArray

TRIALS = 600


def find(quantity: str, words: str = "") -> Coverage:
    [one] = [c for c in COVERAGE if c.quantity.startswith(quantity) and words in c.simulated]
    return one


def test_every_row_is_a_finding() -> None:
    for one in COVERAGE:
        assert 0 <= one.least <= one.mean <= 1
        offered = not one.quantity.startswith("not offered")
        assert (one.mean >= 0.945) is offered, one.quantity
        assert (one.least >= 0.91) is offered, one.quantity
    assert len({(c.quantity, c.simulated) for c in COVERAGE}) == len(COVERAGE)


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_rates_enumerated(n: int) -> None:
    x = np.arange(n + 1.0)
    low, high = intervals.wilson(x, np.full(x.shape, float(n)), 1.959964)
    found = [stats.binom.pmf(x, n, p)[(low <= p) & (p <= high)].sum() for p in np.arange(0.05, 0.9501, 0.001)]
    told = find("rate of a group", f"n = {n:,},")
    assert told.mean == pytest.approx(np.mean(found), abs=6e-4)
    assert told.least == pytest.approx(min(found), abs=6e-4)


def test_differences_enumerated() -> None:
    n, truths = 20, np.arange(0.05, 0.951, 0.05)
    x, y = (grid.ravel().astype(float) for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    size = np.full(x.shape, float(n))

    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        a, b = intervals.clopper_pearson(x, size, z), intervals.clopper_pearson(y, size, z)
        return np.array([a[0], b[0]]), np.array([a[1], b[1]])

    low, high = intervals.difference(np.array([x, y]) / n, limits, 1.959964, 0, 1)
    found = [
        (stats.binom.pmf(x, n, p) * stats.binom.pmf(y, n, q))[(low <= p - q + 1e-12) & (p - q <= high + 1e-12)].sum()
        for p in truths
        for q in truths
    ]
    told = find("difference of two groups", "20 and 20")
    assert told.mean == pytest.approx(np.mean(found), abs=6e-4)
    assert told.least == pytest.approx(min(found), abs=6e-4)


@pytest.mark.parametrize(
    ("supports", "truths"),
    [([20] * 7, [0.9] * 7), ([1000] * 2, [0.9, 0.85]), ([5000] * 6 + [20], [0.9] * 7), ([100] * 14, [0.5] * 14)],
)
def test_what_compares_groups_simulated(supports: list[int], truths: list[float]) -> None:
    rng = np.random.default_rng(17)
    n, p = np.array(supports, dtype=np.float64), np.array(truths)
    hits = dict.fromkeys(("gap", "largest difference", "ratio"), 0)
    bootstrap = 0
    for x in rng.binomial(supports, p, (TRIALS, len(p))).astype(np.float64):

        def limits(z: float, x: FloatArray = x) -> tuple[FloatArray, FloatArray]:
            return intervals.clopper_pearson(x, n, z)

        for name, (low, high), value in (
            ("gap", intervals.gap(x / n, limits, 0.95), np.ptp(p)),
            ("largest difference", intervals.reference_maximum(x / n, limits, 0.95, 0), np.abs(p - p[0]).max()),
            ("ratio", intervals.min_max_ratio(x / n, limits, 0.95), p.min() / p.max()),
        ):
            hits[name] += bool(low - 1e-9 <= value <= high + 1e-9)
        low, high = np.quantile(np.ptp(rng.binomial(n.astype(int), x / n, (200, len(p))) / n, axis=1), [0.025, 0.975])
        bootstrap += bool(low <= np.ptp(p) <= high)
    for name, hit in hits.items():
        told = find(name)
        noise = 4 * math.sqrt(told.least * (1 - told.least) / TRIALS)
        assert hit / TRIALS >= told.least - noise, (name, hit / TRIALS)
    if len(p) == 14:
        assert bootstrap / TRIALS < 0.1, "the negative control covers"
        assert find("not offered").least <= bootstrap / TRIALS + 0.01
