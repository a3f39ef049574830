"""The permutation test over regions: against every dealing counted one by one, and for its level."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from fairaudit.metrics.region_test import grid_means, region_test


def enumerated(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Welch's t by SciPy, and exact p-values by all ways to deal the rows, in plain loops."""
    rows, n = np.concatenate([first, second]), len(first)

    def t(chosen: tuple[int, ...]) -> np.ndarray:
        inside = np.isin(np.arange(len(rows)), chosen)
        return np.asarray(stats.ttest_ind(rows[inside], rows[~inside], equal_var=False).statistic)

    observed = t(tuple(range(n)))
    every = np.stack([t(chosen) for chosen in combinations(range(len(rows)), n)])
    bar = np.abs(observed) - 1e-9
    alone = (np.abs(every) >= bar).mean(0)
    together = (np.abs(every).max(1)[:, None] >= bar).mean(0)
    return observed, alone, together


def test_it_agrees_with_every_dealing_counted_one_by_one() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(5, 6)), rng.normal(size=(4, 6)) * 1.5
    first[:, 2] += 2.5
    observed, alone, together = enumerated(first, second)
    found = region_test(first, second, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(found.t, observed, rtol=1e-9)
    np.testing.assert_allclose(found.difference, first.mean(0) - second.mean(0))
    np.testing.assert_allclose(found.p, alone, atol=0.012)  # three standard errors at p = 0.5
    np.testing.assert_allclose(found.p_adjusted, together, atol=0.012)
    assert (found.p_adjusted >= found.p).all()
    assert found.p_adjusted[2] == found.p_adjusted.min()


@pytest.mark.statistics
def test_false_alarms_stay_below_the_level_where_nothing_differs() -> None:
    """Neighbouring regions go together, the values are skewed and the groups are of unequal size."""
    rng = np.random.default_rng(0)
    alarms = alone = 0
    experiments = 2000
    for _ in range(experiments):
        noise = rng.exponential(size=(20, 12))
        rows = noise[:, :10] + noise[:, 1:11] + noise[:, 2:]
        found = region_test(rows[:6], rows[6:], 199, rng)
        alarms += bool((found.p_adjusted <= 0.05).any())
        alone += bool((found.p <= 0.05).any())
    # 5 % and what so many experiments scatter around it; the test itself is exact
    assert stats.binomtest(alarms, experiments, 0.05, alternative="greater").pvalue > 0.01
    assert alone / experiments > 0.15, "without the adjustment it would not hold, so the test is able to fail"


def test_a_difference_is_found_where_it_is_and_nowhere_else() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(25, 9)), rng.normal(size=(25, 9))
    first[:, 4] += 1.5
    found = region_test(first, second, 999, rng)
    assert np.flatnonzero(found.p_adjusted <= 0.05).tolist() == [4]
    assert found.p.min() == 1 / 1000, "no p is below what so many permutations can tell"


def test_turning_the_groups_round_turns_the_sign_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    one = region_test(first, second, 999, np.random.default_rng(5))
    other = region_test(second, first, 999, np.random.default_rng(5))
    np.testing.assert_allclose(one.t, -other.t)
    np.testing.assert_allclose(one.p_adjusted, other.p_adjusted, atol=0.05)


def test_regions_without_scatter() -> None:
    flat = np.ones((4, 2))
    found = region_test(flat, flat, 99, np.random.default_rng(0))
    assert (found.t.tolist(), found.p_adjusted.tolist()) == ([0.0, 0.0], [1.0, 1.0])
    apart = region_test(flat, flat + 1, 999, np.random.default_rng(0))
    exact = 2 / 70  # of the 70 ways to deal eight images, these two part them so
    assert apart.p_adjusted.max() == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("shape", [(1, 3), (4, 2)])
def test_what_cannot_be_tested(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two groups of two or more maps"):
        region_test(np.zeros(shape), np.zeros((4, 3)), 99, np.random.default_rng(0))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 7), (3, 2)])
def test_the_grid_against_plain_loops(rows: int, columns: int) -> None:
    maps = np.random.default_rng(3).normal(size=(2, 5, 7))
    found = grid_means(maps, rows, columns).reshape(2, rows, columns)
    for i in range(rows):
        for j in range(columns):
            down, across = slice(i * 5 // rows, (i + 1) * 5 // rows), slice(j * 7 // columns, (j + 1) * 7 // columns)
            np.testing.assert_allclose(found[:, i, j], maps[:, down, across].mean((1, 2)))
