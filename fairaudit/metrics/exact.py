"""Exact limits of proportions, of which hundreds of groups and metrics have the same ones again and again.

Forty labels in four hundred groups ask for the limits of two million proportions and mean a tenth as many different ones.
So where many are asked for at once, those that were not met before at that quantile are computed, and the others looked up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtr

from fairaudit.predictions import BoolArray, FloatArray, IntArray

Pair = tuple[FloatArray, FloatArray]

_MANY = 200
"""Of fewer it takes as long to look for those that are alike as to compute them all."""
_WIDTH = 31
"""Bits of a numerator, behind those of its denominator in one whole number."""
_KEPT = 1 << 20
"""Different proportions at one quantile; with more, what was known is forgotten."""


def clopper_pearson(x: FloatArray, n: FloatArray, z: Any) -> Pair:
    """Clopper and Pearson's exact limits (1934), each with tail 1 − Φ(z); nan where n is 0."""
    x, n = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if x.size >= _MANY and x.shape == n.shape and np.size(z) == 1 and _whole(x) and _whole(n):
        return _remembered(float(np.min(z))).limits(x, n)
    return _limits(x, n, z)


def _limits(x: FloatArray, n: FloatArray, z: Any) -> Pair:
    tail = ndtr(-np.asarray(z))
    low = np.where(x > 0, betaincinv(np.maximum(x, 1e-300), n - x + 1, tail), 0.0)
    high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1e-300), 1 - tail), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def _whole(counts: FloatArray) -> bool:
    """Whether these are numbers of images; of people and of weighted images they are not."""
    return bool((counts == np.floor(counts)).all() and counts.min() >= 0 and counts.max() < 1 << _WIDTH)


def _among(asked: IntArray, keys: IntArray) -> BoolArray:
    """Whether numbers stand among keys that ascend."""
    if not len(keys):
        return np.zeros(len(asked), dtype=np.bool_)
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.asarray(keys[at] == asked)


class _Known:
    """The limits of every proportion that was met at one quantile.

    Attributes:
        z: the quantile.
        found: (m,) numerators and denominators as one number, ascending, and (2, m) their limits.
    """

    def __init__(self, z: float) -> None:
        self.z = z
        self.found: tuple[IntArray, FloatArray] = np.zeros(0, dtype=np.int64), np.zeros((2, 0))

    def limits(self, x: FloatArray, n: FloatArray) -> Pair:
        """Limits in the shape of the counts."""
        asked = (n.astype(np.int64) << _WIDTH | x.astype(np.int64)).ravel()
        different, where = np.unique(asked, return_inverse=True)
        keys, known = self.found if len(self.found[0]) <= _KEPT else (np.zeros(0, dtype=np.int64), np.zeros((2, 0)))
        new = different[~_among(different, keys)]
        if len(new):
            before = np.searchsorted(keys, new)
            more = _limits((new & ((1 << _WIDTH) - 1)).astype(np.float64), (new >> _WIDTH).astype(np.float64), self.z)
            keys, known = np.insert(keys, before, new), np.insert(known, before, np.stack(more), axis=1)
            self.found = keys, known
        at = np.asarray(np.searchsorted(keys, different), dtype=np.int64)
        low, high = known[:, at[where]]
        return low.reshape(x.shape), high.reshape(x.shape)


@lru_cache(maxsize=32)
def _remembered(z: float) -> _Known:
    return _Known(z)
