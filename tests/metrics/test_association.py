"""Cramér's V against scipy and tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association

from fairaudit.metrics.association import associations, contingency, cramers_v, over_represented
from fairaudit.predictions import MISSING, Column, IntArray

TABLES = st.tuples(st.integers(2, 5), st.integers(2, 5)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 60), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


def _column(*values: str | None) -> Column:
    return Column.of(list(values))


def _bergsma(table: IntArray) -> float:
    """From scipy's V without correction, by the formulas of the paper."""
    n, (r, c) = int(table.sum()), table.shape
    phi2 = float(association(table, method="cramer")) ** 2 * (min(r, c) - 1)
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    r_, c_ = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return math.sqrt(phi2 / min(r_ - 1, c_ - 1))


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (5, 3), (7, 9)])
def test_it_is_scipys_with_bergsmas_correction(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    for _ in range(50):
        table = rng.multinomial(400, rng.dirichlet(np.ones(shape[0] * shape[1]) * 3)).reshape(shape)
        if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all():
            assert cramers_v(table) == pytest.approx(min(1.0, _bergsma(table)), abs=1e-12)


def test_tables_made_by_hand() -> None:
    assert cramers_v(np.array([[30, 20], [60, 40]])) == 0, "independent to the last image"
    assert cramers_v(np.diag([50, 30])) == pytest.approx(1), "one decides the other"
    assert cramers_v(np.diag([5, 5, 5])) == pytest.approx(1)
    # chi² = 16/3, n = 12: phi² = 4/9 − 1/11; both sides have 2 − 1/11 levels
    assert cramers_v(np.array([[5, 1], [1, 5]])) == pytest.approx(math.sqrt((4 / 9 - 1 / 11) / (1 - 1 / 11)))


def test_absent_levels_do_not_count() -> None:
    table = np.array([[9, 0, 4], [0, 0, 0], [2, 0, 7]])
    assert cramers_v(table) == cramers_v(np.array([[9, 4], [2, 7]]))


@pytest.mark.parametrize(
    "table", [[[3, 4]], [[3], [4]], [[0, 0], [3, 4]], [[0, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [0, 1]]]
)
def test_one_level_has_no_v(table: list[list[int]]) -> None:
    assert math.isnan(cramers_v(np.array(table)))


@given(TABLES)
def test_it_stays_in_its_range_and_turns_with_the_table(rows: list[list[int]]) -> None:
    table = np.array(rows)
    v = cramers_v(table)
    assert math.isnan(v) or 0 <= v <= 1
    assert np.isclose(v, cramers_v(table.T), equal_nan=True)
    assert np.isclose(v, cramers_v(table[::-1]), equal_nan=True)


def test_on_independent_columns_it_is_near_0_where_the_plain_one_is_not() -> None:
    rng = np.random.default_rng(0)
    tables = [rng.multinomial(100, np.full(30, 1 / 30)).reshape(5, 6) for _ in range(200)]
    tables = [t for t in tables if (t.sum(axis=0) > 0).all() and (t.sum(axis=1) > 0).all()]
    plain = np.mean([association(t, method="cramer") for t in tables])
    corrected = np.mean([cramers_v(t) for t in tables])
    assert plain > 0.2
    assert corrected < 0.07


def test_the_cell_that_meets_beyond_expectation() -> None:
    # of 100 women 24 are blond, of 100 men 2: 24 − 13 blond women weigh more than 98 − 87 dark men
    assert over_represented(np.array([[24, 76], [2, 98]])) == (0, 0)
    assert over_represented(np.array([[0, 0], [3, 5]])) in {(1, 0), (1, 1)}, "a level without images is no finding"


def test_pairs_of_columns_strongest_first() -> None:
    columns = {
        "hair": _column("blond", "blond", "dark", "dark", "dark", None, "dark", "blond"),
        "gender": _column("woman", "woman", "man", "man", "man", "man", "woman", "woman"),
        "same": _column(*["x"] * 8),
        "coin": _column("a", "b", "a", "b", "a", "b", "a", "b"),
    }
    pairs = associations(columns)
    assert len(pairs) == 6
    first = pairs[0]
    assert (first.one, first.other, first.n) == ("hair", "gender", 7), "an image without a hair colour is left out"
    assert first.cell == ("blond", "woman"), "the first of equals"
    assert first.together == 3
    assert first.expected == pytest.approx(4 * 3 / 7)
    assert [math.isnan(pair.v) for pair in pairs] == [False] * 3 + [True] * 3
    assert all("same" in pair[:2] and pair.cell is None for pair in pairs[3:])


def test_counts_of_both_known() -> None:
    one = Column(np.array([0, 0, 1, MISSING, 1]), ("a", "b", "c"))
    other = Column(np.array([1, 0, 1, 1, MISSING]), ("x", "y"))
    assert contingency(one, other).tolist() == [[1, 1], [0, 1], [0, 0]]
