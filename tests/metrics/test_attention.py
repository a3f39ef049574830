"""Where a map's weight lies, on maps small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairaudit.metrics.attention import bottom_region, concentration, correlation, mass_share, points_inside

HEAT = np.array([[3.0, 1.0], [-5.0, 0.0]])
TOP = np.array([[True, True], [False, False]])
CORNER = np.array([[True, False], [False, False]])


def test_only_what_speaks_for_the_class_counts() -> None:
    assert mass_share(HEAT, CORNER) == pytest.approx(3 / 4)
    assert mass_share(HEAT, TOP) == 1.0
    assert mass_share(HEAT, ~TOP) == 0.0
    assert concentration(HEAT, CORNER) == pytest.approx(3.0), "a quarter of the image has three quarters"
    assert concentration(np.ones((2, 2)), TOP) == 1.0


def test_where_there_is_no_attention_nothing_is_said() -> None:
    against = -np.abs(HEAT)
    assert math.isnan(mass_share(against, TOP))
    assert math.isnan(concentration(HEAT, np.zeros((2, 2), dtype=bool)))
    assert points_inside(against, TOP) is None
    assert math.isnan(correlation(against, HEAT))
    assert math.isnan(correlation(HEAT, np.ones((2, 2))))


def test_the_pointing_game() -> None:
    assert points_inside(HEAT, CORNER) is True
    assert points_inside(HEAT, ~CORNER) is False
    equal = np.array([[2.0, 2.0], [2.0, 0.0]])
    assert points_inside(equal, TOP) is True, "two of the three highest pixels"
    assert points_inside(equal, CORNER) is False


def test_correlation_is_of_the_attention() -> None:
    other = np.random.default_rng(0).normal(size=(2, 2))
    assert correlation(HEAT, other) == pytest.approx(np.corrcoef(np.maximum(HEAT, 0).ravel(), other.ravel())[0, 1])
    assert correlation(HEAT, np.maximum(HEAT, 0)) == pytest.approx(1.0)


def test_as_many_pixels_elsewhere() -> None:
    values = np.array([[0.0, 9.0], [1.0, 1.0]])
    assert bottom_region(values, 2).tolist() == [[True, False], [True, False]]
    assert bottom_region(values, 0).sum() == 0
