"""Ranking by bins is ranking by scores, within what is said to be unknown."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from fairaudit.metrics.ranking import area_and_variance, ties
from fairaudit.metrics.score_bins import RANK_BINS, area_error, binned, rank_bins, rank_histograms
from fairaudit.predictions import BoolArray, FloatArray, IntArray

N = 20_000


def drawn(spread: float, seed: int = 0) -> tuple[FloatArray, BoolArray, IntArray]:
    """Scores as a network gives them, surer the larger the spread; their labels and groups."""
    rng = np.random.default_rng(seed)
    positive = rng.random(N) < 0.4
    score = expit(spread * (positive - 0.5 + rng.normal(0, 0.7, N))).round(6)
    return score, positive, rng.integers(0, 3, N)


def test_a_higher_score_is_never_in_a_lower_bin() -> None:
    score = np.r_[0.0, np.geomspace(1e-8, 0.5, 500), 1 - np.geomspace(0.5, 1e-8, 500), 1.0]
    bins = rank_bins(score).astype(int)
    assert (np.diff(bins) >= 0).all()
    assert (bins[0], bins[-1]) == (0, RANK_BINS - 1)
    stored = rank_bins(np.array([0.0, 1e-6, 2e-6, 0.999998, 0.999999, 1.0]))
    assert (np.diff(stored) > 0).all()


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 20.0])
def test_areas_of_bins_are_scikit_learns_within_what_is_said(spread: float) -> None:
    score, positive, ids = drawn(spread)
    for g, one in enumerate(rank_histograms(score, positive, ids, 3)):
        t = binned(one)
        off = abs(area_and_variance(t)[0] - roc_auc_score(positive[ids == g], score[ids == g]))
        assert off <= 1e-4
        assert off <= area_error(t)


def test_what_is_said_to_be_unknown_is_half_of_the_pairs_within_bins() -> None:
    score, positive = np.array([0.3, 0.3, 0.3, 0.9]), np.array([True, False, False, False])
    t = binned(rank_histograms(score, positive, np.zeros(4, dtype=np.int64), 1)[0])
    assert area_error(t) == pytest.approx(0.5 * 2 / 3)
    assert np.isnan(area_error(ties(score, np.ones(4, dtype=bool))))


def test_histograms_of_batches_add_up() -> None:
    score, positive, ids = drawn(3.0)
    half = np.arange(N) < N // 3
    parts = [rank_histograms(score[p], positive[p], ids[p], 3) for p in (half, ~half)]
    assert np.array_equal(parts[0] + parts[1], rank_histograms(score, positive, ids, 3))


def test_the_variance_of_bins_is_that_of_scores() -> None:
    score, positive, ids = drawn(3.0)
    [one, *_] = rank_histograms(score, positive, ids, 3)
    exact = area_and_variance(ties(score[ids == 0], positive[ids == 0]))[1]
    assert area_and_variance(binned(one))[1] == pytest.approx(exact, rel=1e-3)
