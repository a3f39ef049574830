"""Pairs, thresholds and error rates equal plain loops; scikit-learn's curve is the oracle of the equal error rate."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from fairaudit.metrics import verification as v
from fairaudit.metrics.retrieval import normalised
from fairaudit.predictions import MISSING


def people(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(-1, 15, n).astype(np.int64)
    return classes, (rng.integers(0, 4, n) - (rng.random(n) < 0.1) * 9).clip(MISSING).astype(np.int64)


def every(classes: np.ndarray, ids: np.ndarray, g: int, genuine: bool) -> set[frozenset[int]]:
    rows = [i for i in range(len(ids)) if ids[i] == g and classes[i] != MISSING]
    return {frozenset(p) for p in combinations(rows, 2) if (classes[p[0]] == classes[p[1]]) == genuine}


@pytest.mark.parametrize("most", [3, 20, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_within_groups_distinct_and_as_many_as_there_are(most: int, seed: int) -> None:
    classes, ids = people(seed)
    pairs = v.sample_pairs(classes, ids, 4, most, seed=1)
    for g in range(4):
        for kind in (True, False):
            own = (ids[pairs.first] == g) & (pairs.genuine == kind)
            found = [frozenset(p) for p in zip(pairs.first[own].tolist(), pairs.second[own].tolist(), strict=True)]
            known = every(classes, ids, g, kind)
            assert len(set(found)) == len(found) == min(most, len(known))
            assert set(found) <= known
    again = v.sample_pairs(classes, ids, 4, most, seed=1)
    np.testing.assert_array_equal(pairs.first, again.first)


def test_many_images_are_sampled_without_listing_every_pair() -> None:
    classes = np.repeat(np.arange(500), 40).astype(np.int64)
    pairs = v.sample_pairs(classes, np.zeros(20_000, dtype=np.int64), 1, 300, seed=0)
    assert pairs.genuine.sum() == (~pairs.genuine).sum() == 300
    assert ((classes[pairs.first] == classes[pairs.second]) == pairs.genuine).all()
    assert (pairs.first != pairs.second).all()
    assert len(np.unique(classes[pairs.first[pairs.genuine]])) > 150


def test_rare_impostors_are_all_found_and_every_pair_is_equally_likely() -> None:
    classes = np.r_[np.zeros(3000), 1].astype(np.int64)  # one image that is of another class
    pairs = v.sample_pairs(classes, np.zeros(3001, dtype=np.int64), 1, 20_000, seed=0)
    assert (~pairs.genuine).sum() == 3000
    mixed = np.repeat([0, 1, 2], [2, 3, 15]).astype(np.int64)  # 81 impostor pairs, 30 of them of the first two images
    drawn = [v.sample_pairs(mixed, np.zeros(20, dtype=np.int64), 1, 9, seed) for seed in range(400)]
    first_class = [(mixed[p.second[~p.genuine]] == 0).mean() for p in drawn]
    assert np.mean(first_class) == pytest.approx((2 * 3 + 2 * 15) / 81, abs=0.02)


def test_scores_are_half_of_one_plus_the_cosine() -> None:
    unit = normalised(np.array([[1.0, 0], [2, 0], [0, 3], [-1, 0]]))
    pairs = v.Pairs(np.array([0, 0, 0]), np.array([1, 2, 3]), np.array([True, False, False]))
    np.testing.assert_allclose(v.scores(unit, pairs, at_once=2), [1, 0.5, 0])


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]), min_size=1, max_size=40), st.floats(0.001, 1.0))
def test_the_threshold_is_the_lowest_that_holds_the_rate(values: list[float], wanted: float) -> None:
    impostors = np.array(values)
    at = v.threshold_at(impostors, wanted)
    assert (impostors >= at).mean() <= wanted + 1e-9
    lower = [t for t in [0.0, *np.unique(impostors)] if t < at]
    assert all((impostors >= t).mean() > wanted - 1e-9 for t in lower)


def test_the_usual_rate_is_one_that_the_pairs_can_tell() -> None:
    assert [v.usual_fmr(n) for n in (100, 3_000, 30_000, 5_000_000)] == [0.1, 0.01, 0.001, 1e-5]
    assert np.isnan(v.threshold_at(np.zeros(0), 0.1))


@pytest.mark.parametrize("seed", range(4))
def test_equal_error_and_curve_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genuine, impostors = rng.beta(5, 2, 83).round(2), rng.beta(2, 4, 120).round(2)
    fpr, tpr, _ = roc_curve([1] * 83 + [0] * 120, np.r_[genuine, impostors], drop_intermediate=False)
    best = np.abs(fpr - (1 - tpr)).argmin()
    rate, where = v.equal_error(genuine, impostors)
    assert rate == pytest.approx((fpr[best] + 1 - tpr[best]) / 2)
    assert abs((impostors >= where).mean() - (genuine < where).mean()) == pytest.approx(np.abs(fpr - 1 + tpr).min())
    told = v.curve(genuine, impostors)
    for t, fmr, fnmr in zip(told.thresholds, told.fmr, told.fnmr, strict=True):
        assert fmr == pytest.approx((impostors >= t).mean())
        assert fnmr == pytest.approx((genuine < t).mean())
    assert np.ptp(told.fmr) > 0.9
    assert np.ptp(told.fnmr) > 0.9


def test_without_genuine_pairs_there_is_half_a_curve_and_no_equal_error() -> None:
    told = v.curve(np.zeros(0), np.array([0.2, 0.4]))
    assert np.isnan(told.fnmr).all()
    assert np.isnan(v.equal_error(np.zeros(0), np.array([0.2]))[0])
    assert sum(v.histogram(np.array([0.0, 0.5, 1.0]))) == 3
