"""Faithfulness on a linear network whose curves can be computed by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairaudit.attribution.explanations import _stability
from fairaudit.attribution.faithfulness import Curves, curves, judged, removal_order
from fairaudit.predictions import FloatArray, IntArray
from tests.attribution.planted import subject

WEIGHTS = np.array([2.0, -1.0, 0.5, 3.0])
SEGMENTS = np.arange(4).reshape(2, 2).repeat(4, 0).repeat(4, 1)
"""Four quarters of 4 × 4 pixels."""


class Linear(nn.Module):
    """The log-odds of the second class are the sum over quarters of weight × what is in it, 1 or 0."""

    def forward(self, x: Tensor) -> Tensor:
        means = torch.stack([x[:, :, a : a + 4, b : b + 4].mean((1, 2, 3)) for a in (0, 4) for b in (0, 4)], dim=1)
        odds = means @ torch.from_numpy(WEIGHTS).float()
        return torch.stack([torch.zeros_like(odds), odds], dim=1)


def asked(orders: list[IntArray], steps: int = 8) -> list[Curves]:
    ones = torch.ones(1, 3, 8, 8)
    return curves(subject(Linear(), 8), ones, 1, torch.zeros_like(ones), SEGMENTS, orders, steps)


def by_hand(order: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Scores after deleting 0, 1 … 4 quarters, and after inserting as many."""
    deletion = [1 / (1 + np.exp(-(WEIGHTS.sum() - WEIGHTS[list(order[:j])].sum()))) for j in range(5)]
    insertion = [1 / (1 + np.exp(-WEIGHTS[list(order[:j])].sum())) for j in range(5)]
    return np.array(deletion), np.array(insertion)


def test_curves_by_hand() -> None:
    order = (3, 0, 2, 1)
    [found] = asked([np.array(order)])
    deletion, insertion = by_hand(order)
    np.testing.assert_allclose(found.share, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.deletion, deletion, atol=1e-6)
    np.testing.assert_allclose(found.insertion, insertion, atol=1e-6)
    trapezoid = [float(((y[1:] + y[:-1]) / 2 * 0.25).sum()) for y in (deletion, insertion)]
    assert found.areas == pytest.approx(tuple(trapezoid))
    assert found.gain == pytest.approx(trapezoid[1] - trapezoid[0])


def test_orders_that_know_nothing_gain_nothing_on_average() -> None:
    """Over all 24 orders the gain is 0, and the order by weight has the largest of all."""
    every = list(itertools.permutations(range(4)))
    gains = {order: found.gain for order, found in zip(every, asked([np.array(o) for o in every]), strict=True)}
    assert np.mean(list(gains.values())) == pytest.approx(0, abs=1e-7)
    assert max(gains, key=lambda order: gains[order]) == (3, 0, 2, 1)
    assert np.std(list(gains.values())) > 0.05


def test_regions_are_taken_away_by_their_mean_and_not_by_their_size() -> None:
    segments = np.array([[0, 0, 0, 1]])
    assert removal_order(np.array([[1.0, 1.0, 1.0, 2.0]]), segments).tolist() == [1, 0]
    assert removal_order(np.zeros((1, 4)), segments).tolist() == [0, 1]


def test_fewer_steps_than_regions() -> None:
    [found] = asked([np.array([3, 0, 2, 1])], steps=1)
    np.testing.assert_allclose(found.share, [0, 0.5, 1])
    np.testing.assert_allclose(found.deletion, by_hand((3, 0, 2, 1))[0][[0, 2, 4]], atol=1e-6)


def line(gain: float) -> Curves:
    return Curves(np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.array([0.5, 0.5]) + gain)


def test_what_is_doubted_and_why() -> None:
    good, chance = line(0.4), [line(g / 100) for g in range(-9, 10)]
    fine = judged(good, chance, 0.9, None, 0.8)
    assert (fine.p, fine.doubts) == (1 / 20, ())
    assert fine.gain == pytest.approx(0.4)
    as_good_as_chance = judged(line(0.09), chance, None, None, None)
    assert as_good_as_chance.p == pytest.approx(2 / 20)
    assert as_good_as_chance.doubts == ("random orders of the regions do as well (p = 0.10)",)
    every = judged(line(-0.4), chance, 0.3, 0.25, 0.1).doubts
    assert every == (
        "random orders of the regions do as well (p = 1.00)",
        "the line explains 30% of the local behaviour",
        "the gradients miss 25% of the change they must add up to",
        "other seeds give other maps (correlation 0.10)",
    )


def test_too_few_random_orders_doubt_nothing() -> None:
    few = judged(line(0.4), [line(0.0)] * 5, None, None, None)
    assert few.p == pytest.approx(1 / 6)
    assert few.doubts == (), "even the best of six orders cannot be below 0.05"
    assert np.isnan(judged(line(0.4), [], None, None, None).p)


def test_a_network_that_never_moves_is_doubted() -> None:
    flat = judged(line(0.0), [line(0.0)] * 19, None, None, None)
    assert flat.p == 1.0
    assert flat.doubts


def test_stability_is_the_mean_correlation_of_pairs() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[2.0, 1.0], [3.0, 4.0]])
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert _stability([a, b, a]) == pytest.approx((expected + 1 + expected) / 3)
    assert _stability([a]) is None
    assert _stability([a, np.ones((2, 2))]) == 0.0
