"""Groups: cells of one or more crossed attributes, ids and labels built from one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from fairaudit.errors import UnknownNameError
from fairaudit.predictions import MISSING, Column, IntArray


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
