"""Coverage without chance: every outcome, weighed with its probability."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from fairaudit.metrics import intervals
from fairaudit.predictions import FloatArray

Z = intervals.quantile(0.95)
TWENTIETHS = np.arange(1, 20) / 20
"""True rates .05, .10 … .95."""
THOUSANDTHS = np.arange(50, 951) / 1000
"""True rates .050, .051 … .950: coverage of discrete counts saws up and down between the twentieths."""

Law = Callable[[FloatArray, FloatArray, float], tuple[FloatArray, FloatArray]]
"""Hits, images and quantile → limits of a rate."""


def rate_coverage(law: Law, n: int, truths: FloatArray) -> FloatArray:
    """Chance that the interval of a rate contains it.

    Args:
        law: limits of a rate.
        n: images.
        truths: (t,) true rates.

    Returns:
        (t,) chances.
    """
    x = np.arange(n + 1.0)
    low, high = law(x, np.full(x.shape, float(n)), Z)
    chance = stats.binom.pmf(x, n, truths[:, None])
    return np.asarray((chance * ((low <= truths[:, None]) & (truths[:, None] <= high))).sum(-1))


def difference_coverage(law: Law, n: int, m: int, truths: FloatArray) -> FloatArray:
    """Chance that the interval of the difference of two rates contains it.

    Outcomes of which there is less than one in 10¹² on either side of a group are left out, so that no more is enumerated
    than can matter.

    Args:
        law: limits of a rate, of which the difference's are made.
        n: images of the first group.
        m: images of the second group.
        truths: (t,) true rates of each.

    Returns:
        (t, t) chances.
    """
    limits = []
    for size in (n, m):
        x = np.arange(size + 1.0)
        limits.append((x / size, *law(x, np.full(x.shape, float(size)), Z)))
    kept = [[_likely(size, p) for p in truths] for size in (n, m)]
    found = np.empty((len(truths), len(truths)))
    for a, p in enumerate(truths):
        first, first_chance = kept[0][a]
        for b, q in enumerate(truths):
            second, second_chance = kept[1][b]
            rate, low, high = (
                np.broadcast_arrays(one[first][:, None], other[second][None])
                for one, other in zip(limits[0], limits[1], strict=True)
            )
            sides = np.stack(low), np.stack(high)
            below, above = intervals.difference(np.stack(rate), _always(sides), Z, 0, 1)
            inside = (below <= p - q + 1e-12) & (p - q <= above + 1e-12)
            found[a, b] = first_chance @ inside @ second_chance
    return found


def _always(sides: tuple[FloatArray, FloatArray]) -> intervals.Limits:
    """Limits that are asked for at one quantile."""
    return lambda _: sides


def _likely(n: int, p: float) -> tuple[slice, FloatArray]:
    """Hits that are not next to impossible, and their chances."""
    low, high = (int(x) for x in stats.binom.ppf([1e-12, 1 - 1e-12], n, p))
    return slice(low, high + 1), np.asarray(stats.binom.pmf(np.arange(low, high + 1), n, p))
