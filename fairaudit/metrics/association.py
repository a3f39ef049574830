"""Association of two categorical columns: Cramér's V, and the two levels that meet more often than by chance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fairaudit.predictions import MISSING, Column, FloatArray, IntArray


class Pair(NamedTuple):
    """How two columns go together.

    Attributes:
        one: a column.
        other: another.
        v: Cramér's V; nan where a column has one level only.
        n: images for which both are known.
        cell: level of the one and level of the other that meet most beyond expectation; None where V is nan.
        together: images in that cell.
        expected: images that it would have if the columns were independent.
    """

    one: str
    other: str
    v: float
    n: int
    cell: tuple[str, str] | None
    together: int
    expected: float


def cramers_v(table: IntArray) -> float:
    """Cramér's V with Bergsma's correction of bias (Bergsma, J. Korean Stat. Soc. 42, 2013).

    0: independent; 1: one decides the other. Uncorrected, V of independent columns grows with the number of their levels
    and with fewer images; corrected, it is 0 on average up to truncation.

    Args:
        table: (r, c) images with each pair of levels. Levels that no image has do not count.

    Returns:
        V in [0, 1]; nan where fewer than two rows or columns have images, or there is but one image.
    """
    seen = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = seen.shape
    n = int(seen.sum())
    if min(rows, columns) < 2:
        return float("nan")
    expected = _expected(seen)
    phi2 = float(((seen - expected) ** 2 / expected).sum()) / n
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    fewer = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    # as many levels as images: nothing is left of the degrees of freedom that V is measured in
    return min(1.0, float(np.sqrt(phi2 / fewer))) if fewer > 1e-12 else float("nan")


def over_represented(table: IntArray) -> tuple[int, int]:
    """The cell that has most images beyond what independent columns would give it, by Pearson's residual.

    Args:
        table: (r, c) images with each pair of levels, at least one.

    Returns:
        Its row and column; the first of equals.
    """
    expected = _expected(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = np.where(expected > 0, (table - expected) / np.sqrt(expected), -np.inf)
    row, column = np.unravel_index(int(np.argmax(residuals)), table.shape)
    return int(row), int(column)


def contingency(one: Column, other: Column) -> IntArray:
    """(r, c) images with each pair of levels; images for which either is missing are left out."""
    known = (one.codes != MISSING) & (other.codes != MISSING)
    codes = one.codes[known] * len(other.levels) + other.codes[known]
    counts = np.bincount(codes, minlength=len(one.levels) * len(other.levels))
    return counts.reshape(len(one.levels), len(other.levels)).astype(np.int64)


def associations(columns: Mapping[str, Column]) -> list[Pair]:
    """Every pair of columns, strongest first; those without a V come last.

    Args:
        columns: name → column, all of the same length.
    """
    pairs = [_pair(one, other, columns) for one, other in combinations(columns, 2)]
    return sorted(pairs, key=lambda pair: (pair.v != pair.v, -pair.v if pair.v == pair.v else 0.0))


def _pair(one: str, other: str, columns: Mapping[str, Column]) -> Pair:
    table = contingency(columns[one], columns[other])
    v, n = cramers_v(table), int(table.sum())
    if v != v:
        return Pair(one, other, v, n, None, 0, float("nan"))
    row, column = over_represented(table)
    cell = columns[one].levels[row], columns[other].levels[column]
    return Pair(one, other, v, n, cell, int(table[row, column]), float(_expected(table)[row, column]))


def _expected(table: IntArray) -> FloatArray:
    expected: FloatArray = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(int(table.sum()), 1)
    return expected
