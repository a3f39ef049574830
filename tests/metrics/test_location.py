"""Weighted means and quantiles against repeating every value as often as its weight says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.metrics.location import mean_and_sd, quantile

NUMBERS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 4)), min_size=1, max_size=20)


@given(NUMBERS, st.sampled_from([0.25, 0.5, 0.75]))
def test_a_weight_is_how_often_a_value_occurs(pairs: list[tuple[int, int]], p: float) -> None:
    values, weights = (np.array(part, dtype=float) for part in zip(*pairs, strict=True))
    repeated = np.repeat(values, weights.astype(int))
    assert quantile(values, weights, p) == pytest.approx(np.quantile(repeated, p, method="averaged_inverted_cdf"))
    assert mean_and_sd(values, weights)[0] == pytest.approx(repeated.mean())


def test_equal_weights_are_the_usual_numbers() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
    mean, sd = mean_and_sd(values, np.full(6, 7.5))
    assert [mean, sd] == pytest.approx([values.mean(), values.std(ddof=1)])
    assert quantile(values, np.full(6, 7.5), 0.5) == np.median(values)


def test_nothing_and_one() -> None:
    none = np.empty(0)
    assert all(map(math.isnan, (*mean_and_sd(none, none), quantile(none, none, 0.5))))
    assert mean_and_sd(np.array([4.0]), np.array([2.0]))[0] == 4
    assert math.isnan(mean_and_sd(np.array([4.0]), np.array([2.0]))[1])
