"""Groups: cells of one or more crossed attributes, ids and labels built from one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from fairaudit.errors import UnknownNameError
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray

SAME = 1e-9
"""Numbers that are no further apart are the same."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Every cell of a grouping, and which one each row belongs to.

    Attributes:
        by: the crossed attributes.
        labels: (g,) one level per attribute; cells that no row has are listed too.
        ids: (n,) index into ``labels``; ``MISSING`` where an attribute is not known.
    """

    by: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    ids: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def as_mapping(self, index: int) -> dict[str, str]:
        """One cell as attribute → level."""
        return dict(zip(self.by, self.labels[index], strict=True))


def cross(columns: Mapping[str, Column], by: Sequence[str]) -> Groups:
    """Cross attributes; the last one varies fastest, levels keep their declared order.

    Args:
        columns: attribute → column, all of the same length.
        by: the attributes to cross, at least one.

    Raises:
        UnknownNameError: an attribute is not among the columns.
    """
    for name in by:
        if name not in columns:
            raise UnknownNameError("attribute", name, columns)
    chosen = [columns[name] for name in by]
    ids = np.zeros_like(chosen[0].codes)
    known = np.ones(ids.shape, dtype=np.bool_)
    for column in chosen:
        ids = ids * len(column.levels) + column.codes
        known &= column.codes != MISSING
    return Groups(tuple(by), tuple(product(*(c.levels for c in chosen))), np.where(known, ids, MISSING))


def members(ids: IntArray, groups: int) -> list[IntArray]:
    """Positions of each group's rows, in order.

    Args:
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
    """
    small = ids.astype(np.int16) if groups < 1 << 15 else ids  # numpy sorts short numbers faster
    counts = np.bincount(ids[ids != MISSING], minlength=groups)
    order = np.argsort(small, kind="stable")[len(ids) - int(counts.sum()) :]
    return np.split(order, np.cumsum(counts)[:-1])


UNKNOWN = "unknown"


def binned(values: FloatArray, edges: Sequence[float]) -> Column:
    """Levels of a numeric attribute: from each edge up to the next, the last without end; nan stays missing.

    Args:
        values: (n,) numbers.
        edges: rising; where values lie below the first one, they make a level of their own.
    """
    starts = np.asarray(edges, dtype=np.float64)
    codes = np.searchsorted(starts, values, side="right")
    levels = [f"under {edges[0]:g}", *(f"{a:g} to <{b:g}" for a, b in pairwise(edges))]
    levels.append(f"{edges[-1]:g} or more")
    known = ~np.isnan(values)
    first = 0 if (values[known] < edges[0]).any() else 1
    return Column(np.where(known, codes - first, MISSING).astype(np.int64), tuple(levels[first:]))


def with_unknown(column: Column) -> Column:
    """The column with a level of its own for what is missing, if anything is."""
    if not (column.codes == MISSING).any():
        return column
    name = UNKNOWN if UNKNOWN not in column.levels else f"({UNKNOWN})"
    codes = np.where(column.codes == MISSING, len(column.levels), column.codes)
    return replace(column, codes=codes, levels=(*column.levels, name))


def usual(own: FloatArray, of: IntArray, groups: int) -> FloatArray:
    """(g,) the lower median of each group; nan where it has none.

    Args:
        own: (c,) numbers.
        of: (c,) their groups.
        groups: how many groups.
    """
    if not len(own):
        return np.full(groups, np.nan)
    order = np.lexsort((own, of))
    size = np.bincount(of, minlength=groups)
    middle = np.cumsum(size) - size + np.maximum(size - 1, 0) // 2
    return np.where(size > 0, own[order][np.minimum(middle, len(own) - 1)], np.nan)
