"""Ties: which rows belong together, given pairs that do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def tied(n: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """(n,) a code for each position; positions that pairs tie together, directly or through others, share one.

    Args:
        n: how many positions.
        pairs: positions that belong together.
    """
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for one, other in pairs:
        parent[root(other)] = root(one)
    _, codes = np.unique([root(i) for i in range(n)], return_inverse=True)
    return codes.astype(np.int64)
