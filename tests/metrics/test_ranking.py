"""Areas and average precision against scikit-learn, and the limits' golden values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn import metrics as sk

from fairaudit.metrics.ranking import (
    Ties,
    area_and_variance,
    auroc_law,
    average_precision,
    average_precision_law,
    newcombe,
    ties,
)
from fairaudit.predictions import FloatArray


def _scores(rng: np.random.Generator, m: int, n: int, shift: float, spread: float) -> tuple[FloatArray, FloatArray]:
    return rng.normal(shift, spread, m), rng.normal(0, 1, n)


def _ties(high: FloatArray, low: FloatArray) -> Ties:
    return ties(np.r_[high, low], np.r_[np.ones(len(high), dtype=bool), np.zeros(len(low), dtype=bool)])


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random(300) < 0.3
    s = np.round(rng.random(300) + 0.3 * y, 1 + seed % 3).astype(np.float64)  # with ties
    t = ties(s, y)
    assert area_and_variance(t)[0] == pytest.approx(sk.roc_auc_score(y, s))
    assert average_precision(t) == pytest.approx(sk.average_precision_score(y, s))


def test_the_variance_is_delongs() -> None:
    rng = np.random.default_rng(1)
    high, low = _scores(rng, 13, 29, 1.0, 1.5)
    wins = (high[:, None] > low[None]) + 0.5 * (high[:, None] == low[None])
    expected = wins.mean(1).var(ddof=1) / 13 + wins.mean(0).var(ddof=1) / 29
    assert area_and_variance(_ties(high, low))[1] == pytest.approx(expected)


def test_newcombes_golden_values() -> None:
    low, high = newcombe(np.array([0.8, 1.0]), np.array([20.0, 10.0]), np.array([80.0, 10.0]), float(norm.ppf(0.975)))
    assert low == pytest.approx([0.6677, 0.8002], abs=5e-5)
    assert high == pytest.approx([0.8845, 1.0], abs=5e-5)


def test_limits_are_the_wider_of_two() -> None:
    drawn = [_scores(np.random.default_rng(s), 15, 40, 1.0, 2.0) for s in range(20)]
    law = auroc_law([_ties(*one) for one in drawn])
    low, high = law.limits(1.96)
    alone_low, alone_high = newcombe(law.value, np.full(20, 15.0), np.full(20, 40.0), 1.96)
    odds, half = np.log(law.value / (1 - law.value)), np.empty(20)
    for i, (above, below) in enumerate(drawn):
        wins = (above[:, None] > below[None]).astype(float)
        # two means, each with a variance of its own: Welch's test, whose degrees of freedom are Satterthwaite's
        a, b = wins.mean(1).var(ddof=1) / 15, wins.mean(0).var(ddof=1) / 40
        freedom = (a + b) ** 2 / (a**2 / 14 + b**2 / 39)
        half[i] = student.ppf(norm.cdf(1.96), freedom) * np.sqrt(a + b) / (law.value[i] * (1 - law.value[i]))
    assert low == pytest.approx(np.minimum(alone_low, 1 / (1 + np.exp(half - odds))))
    assert high == pytest.approx(np.maximum(alone_high, 1 / (1 + np.exp(-half - odds))))


def test_a_side_that_is_missing_leaves_nothing_to_rank() -> None:
    only = ties(np.array([0.1, 0.9]), np.array([True, True]))
    none = ties(np.array([]), np.array([], dtype=bool))
    perfect = ties(np.array([0.1, 0.9]), np.array([False, True]))
    law = auroc_law([only, none, perfect])
    assert np.isnan(law.value).tolist() == [True, True, False]
    assert law.support.tolist() == [0, 0, 1]
    low, high = law.limits(1.96)
    assert np.isnan(low[:2]).all()
    assert low[2] < 0.25
    assert high[2] == 1
    law = average_precision_law([only, none, perfect])
    assert law.value[0] == law.value[2] == 1
    assert np.isnan(law.value[1])
    assert np.isnan(law.limits(1.96)[0][1])
