"""Trials: proportions with exact limits, which are worth remembering, because many rates are made of few proportions.

A rate by another name has the same limits, and 1 − a rate has mirrored ones; so limits are computed of the rarer of hits
and misses, and kept for whoever asks next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from fairaudit.metrics.exact import Pair, clopper_pearson
from fairaudit.metrics.intervals import Limits, wilson
from fairaudit.predictions import BoolArray, FloatArray

_REMEMBERED = 20_000
"""Limits of more values at once are not kept: a few hundred such arrays would fill the memory."""


class _Rarer(NamedTuple):
    """The rarer of hits and misses, by which limits are kept."""

    x: bytes
    n: bytes


@dataclass(frozen=True, eq=False)
class Trials:
    """A proportion j = x/n with Clopper and Pearson's limits, and the value that is made of it: b j / (1 + (b − 1) j).

    Attributes:
        x: (…) numerator, as many as independent images would have.
        n: (…) denominator.
        bend: b; 1 where the value is the proportion, 2 for F1, which is made of the Jaccard index.
    """

    x: FloatArray
    n: FloatArray
    bend: float = 1.0

    def limits(self, z: Any, i: Any = ...) -> Pair:
        """Limits of the value at quantile z, or of some groups, each at its own."""
        if i is not ... or np.size(z) != 1 or self.x.size > _REMEMBERED:
            return self.made(*clopper_pearson(self.x[i], self.n[i], z))
        return self.made(*self.turned(*_exact(self.rarer, float(np.min(z)))))

    def wilson(self, z: float) -> Pair:
        """Wilson's limits of the proportion."""
        return wilson(self.x, self.n, z)

    def made(self, low: FloatArray, high: FloatArray) -> Pair:
        """Limits of the value from those of the proportion."""
        if self.bend == 1:
            return low, high
        return self.bend * low / (1 + (self.bend - 1) * low), self.bend * high / (1 + (self.bend - 1) * high)

    def turned(self, low: FloatArray, high: FloatArray) -> Pair:
        """Limits of the proportion from those of the rarer of hits and misses."""
        low, high = low.reshape(self.x.shape), high.reshape(self.x.shape)
        return np.where(self._mostly_hits, 1 - high, low), np.where(self._mostly_hits, 1 - low, high)

    @cached_property
    def rarer(self) -> _Rarer:
        """By what the limits are known."""
        x, n = np.asarray(self.x, dtype=np.float64), np.asarray(self.n, dtype=np.float64)
        return _Rarer(np.where(self._mostly_hits, n - x, x).tobytes(), n.tobytes())

    @cached_property
    def _mostly_hits(self) -> BoolArray:
        return np.asarray(self.x > self.n - self.x)


@lru_cache(maxsize=256)
def _exact(rarer: _Rarer, z: float) -> Pair:
    return clopper_pearson(np.frombuffer(rarer.x), np.frombuffer(rarer.n), z)


class Remembered:
    """Limits that are computed once per quantile, where they are asked of all groups."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.known: dict[float, Pair] = {}

    def __call__(self, z: Any, i: Any = None) -> Pair:
        """Limits of all groups at quantile z, or of some, each at its own."""
        if i is not None:
            return self.limits(z, i)
        if z not in self.known:
            self.known[z] = self.limits(z)
        return self.known[z]


def foresee(asked: Iterable[Limits], z: float) -> None:
    """Compute limits that will be asked of all groups at one quantile, those of proportions in one pass.

    Args:
        asked: limits of measures of the same groups; those that are not of proportions are left to be computed when asked.
        z: the quantile.
    """
    exact: list[tuple[Remembered, Trials]] = []
    plain: list[tuple[Remembered, Trials]] = []
    for one in asked:
        if isinstance(one, Remembered) and z not in one.known and isinstance(one.limits, MethodType):
            trials = one.limits.__self__
            if isinstance(trials, Trials):
                (exact if one.limits.__func__ is Trials.limits else plain).append((one, trials))
    if exact:
        rows = dict.fromkeys(trials.rarer for _, trials in exact)
        x, n = (np.frombuffer(b"".join(side)).reshape(len(rows), -1) for side in zip(*rows, strict=True))
        found = dict(zip(rows, zip(*clopper_pearson(x, n, z), strict=True), strict=True))
        for one, trials in exact:
            one.known[z] = trials.made(*trials.turned(*found[trials.rarer]))
    if plain:
        sides = wilson(np.stack([t.x for _, t in plain]), np.stack([t.n for _, t in plain]), z)
        for (one, _), low, high in zip(plain, *sides, strict=True):
            one.known[z] = low, high
