"""Label noise against simulated relabelling: un-mixing finds the truth, and no relabelling leaves the bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairaudit.errors import UsageError
from fairaudit.metrics.label_noise import label_noise, symmetric, unmix
from fairaudit.predictions import IntArray


def test_unmixing_finds_the_truth_in_expectation() -> None:
    n, x = np.array([4000.0, 1000.0, 500.0]), np.array([3800.0, 850.0, 300.0])
    error = np.array([[0.9, 0.08, 0.02], [0.05, 0.9, 0.05], [0.0, 0.2, 0.8]])
    observed = error.T @ n
    np.testing.assert_allclose(unmix(observed, error), n)
    moved = label_noise(error.T @ x, observed, error)
    np.testing.assert_allclose(moved.corrected, x / n)
    assert np.ptp(moved.observed) < np.ptp(moved.corrected), "noise hides differences"
    gap = moved.gap()
    assert gap[:2] == pytest.approx((np.ptp(moved.observed), 0.35))
    assert gap[2] <= gap[0] <= gap[3]
    assert gap[2] <= gap[1] <= gap[3]


def _relabel(rng: np.random.Generator, truth: IntArray, right: IntArray, rate: float, kind: str) -> IntArray:
    """Labels of which exactly that share of every group is wrong, spread evenly, chosen in the meanest ways."""
    labels, groups = truth.copy(), int(truth.max()) + 1
    for g in range(groups):
        members = np.flatnonzero(truth == g)
        key = {"any": rng.random(len(members)), "right": -right[members], "wrong": right[members]}[kind]
        moving = members[np.argsort(key, kind="stable")][: int(rate * len(members))]
        labels[moving] = np.array([h for h in range(groups) if h != g])[np.arange(len(moving)) % (groups - 1)]
    return labels


@pytest.mark.parametrize("kind", ["any", "right", "wrong"])
@pytest.mark.parametrize(("groups", "rate"), [(2, 0.05), (3, 0.1), (7, 0.2)])
def test_no_relabelling_leaves_the_bounds(kind: str, groups: int, rate: float) -> None:
    rng = np.random.default_rng(groups)
    for _ in range(20):
        n = rng.integers(6, 40, groups) * 60  # so that shares are whole numbers of images
        truth = np.repeat(np.arange(groups), n)
        right = (rng.random(len(truth)) < rng.uniform(0.5, 1, groups)[truth]).astype(np.int64)
        labels = _relabel(rng, truth, right, rate, kind)
        moved = label_noise(np.bincount(labels, right).astype(np.int64), np.bincount(labels), rate)
        value = np.bincount(truth, right) / n
        slack = 0.003  # whole images
        assert (moved.low - slack <= value).all()
        assert (value <= moved.high + slack).all()
        for i, j in itertools.permutations(range(groups), 2):
            low, high = moved.difference(i, j)[2:]
            assert low - slack <= value[i] - value[j] <= high + slack
        low, high = moved.gap()[2:]
        assert low - slack <= np.ptp(value) <= high + slack


def test_the_bounds_are_reached() -> None:
    """Two groups of 100, 90 right each, five labels of each wrong: the worst that can be is 85/95 + 5 against it."""
    moved = label_noise(np.array([90, 90]), np.array([100, 100]), 0.05)
    assert moved.high.tolist() == pytest.approx([95 / 100] * 2)
    assert moved.low.tolist() == pytest.approx([85 / 100] * 2)
    assert moved.difference(0, 1) == pytest.approx((0.0, 0.0, -0.1, 0.1))


def test_no_noise_moves_nothing() -> None:
    moved = label_noise(np.array([90, 70, 0]), np.array([100, 80, 0]), 0.0)
    for rates in (moved.corrected, moved.low, moved.high):
        np.testing.assert_allclose(rates, moved.observed)
    assert np.isnan(moved.observed[2])
    assert moved.gap() == pytest.approx((0.025,) * 4)


def test_more_noise_moves_more() -> None:
    x, n = np.array([930, 850, 180]), np.array([1000, 1000, 200])
    widths = [(m := label_noise(x, n, rate)).high - m.low for rate in (0.0, 0.02, 0.05, 0.1, 0.2)]
    assert (np.diff(widths, axis=0) > 0).all()
    gaps = [label_noise(x, n, rate).gap()[1] for rate in (0.0, 0.05, 0.1)]
    assert gaps == sorted(gaps)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            0.5,
            "a share of 0.5 wrong labels among 2 groups: it must be from 0 to below 0.5, where labels say nothing any more",
        ),
        (
            -0.1,
            "a share of -0.1 wrong labels among 2 groups: it must be from 0 to below 0.5, where labels say nothing "
            "any more",
        ),
        (np.eye(3), "the error matrix is 3 × 3; 2 groups need one row and column each"),
        (np.array([[0.9, 0.2], [0, 1]]), "the error matrix must hold shares from 0 to 1 that sum to 1 in every row"),
        (np.full((2, 2), 0.5), "the error matrix cannot be undone: two groups are labelled alike"),
    ],
)
def test_refusals(error: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        label_noise(np.array([9, 9]), np.array([10, 10]), error)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_the_symmetric_matrix() -> None:
    np.testing.assert_allclose(symmetric(3, 0.2), [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
