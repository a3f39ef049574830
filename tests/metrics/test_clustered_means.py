"""Means of numbers that are the same in nearly every image: few images must not look certain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.metrics.clustered_means import clustered_means
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.groups import usual

Z = 1.959964


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 1.0])
def test_twelve_equal_numbers_are_as_unsure_as_a_share_of_twelve(value: float) -> None:
    found = clustered_means(np.full(12, value), np.zeros(12, dtype=np.int64), np.arange(12), 1)
    low, high = clopper_pearson(np.array([12 * value]), np.array([12.0]), Z)
    [one] = found.estimates(0.95)
    assert (one.value, one.ci_low, one.ci_high) == pytest.approx((value, low[0], high[0]))


def test_numbers_that_many_differ_in_are_left_to_their_own_variance() -> None:
    x = np.random.default_rng(0).random(400)
    found = clustered_means(x, np.zeros(400, dtype=np.int64), np.arange(400), 1)
    assert not found.scarce[0]
    [one] = found.estimates(0.95)
    assert one.ci_high - one.ci_low == pytest.approx(2 * Z * x.std() / 20, rel=0.02)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20))
def test_what_most_have_is_the_lower_median(drawn: list[tuple[int, float]]) -> None:
    of = np.array([g for g, _ in drawn], dtype=np.int64)
    own = np.array([x for _, x in drawn], dtype=np.float64)
    found = usual(own, of, 4)
    for g in range(4):
        mine = sorted(own[of == g].tolist())
        assert found[g] == mine[(len(mine) - 1) // 2] if mine else np.isnan(found[g])
