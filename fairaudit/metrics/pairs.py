"""Pairs: the largest number that two groups of many can make, without looking at all pairs of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairaudit.predictions import FloatArray, IntArray

ALL_PAIRS = 24
"""Up to so many groups it is faster to look at all pairs than to look for those that can be extreme."""

Keys = tuple[FloatArray, FloatArray]


def largest(of_pairs: Callable[[IntArray, IntArray], FloatArray], first: Keys, second: Keys) -> FloatArray:
    """The largest of a function of pairs i ≠ j that rises with both keys of i and with both keys of j.

    Args:
        of_pairs: (a, 1) and (1, b) indices → (a, b, …) numbers.
        first: (g, …) keys of i; with further axes only of ``ALL_PAIRS`` groups at the most.
        second: (g, …) keys of j.

    Returns:
        (…) numbers.
    """
    few = len(first[0]) <= ALL_PAIRS
    i, j = (np.arange(len(keys[0])) if few else foremost(*keys) for keys in (first, second))
    return np.asarray(of_pairs(i[:, None], j[None])[i[:, None] != j].max(0))


def foremost(a: FloatArray, b: FloatArray) -> IntArray:
    """Indices of values among which a function that rises with a and with b has its maximum, and its second largest.

    These are all that no other one reaches in both, and of the rest again all that no other one of the rest does: where
    the first is ruled out (no group is compared with itself), there is one of the second beside it.

    Args:
        a: (g,) first keys.
        b: (g,) second keys.
    """
    first = front(a, b)
    rest = np.ones(len(a), dtype=np.bool_)
    rest[first] = False
    others = np.flatnonzero(rest)
    return np.concatenate([first, others[front(a[others], b[others])]])


def front(a: FloatArray, b: FloatArray) -> IntArray:
    """Indices of values that no other one exceeds in both: where a function that rises in both has its maximum.

    Args:
        a: (g,) first keys.
        b: (g,) second keys.
    """
    order = np.argsort(-a)
    if (a[order[1:]] == a[order[:-1]]).any():  # of those with equal first keys the larger second one comes first
        order = np.lexsort((-b, -a))
    ordered = b[order]
    leads = np.ones(len(order), dtype=np.bool_)
    leads[1:] = ordered[1:] > np.maximum.accumulate(ordered)[:-1]
    return np.asarray(order[leads])


def exceeding(values: FloatArray, least: FloatArray) -> tuple[IntArray, IntArray]:
    """Indices i and j of all pairs in which j's value lies below i's least one.

    Args:
        values: (g,) numbers.
        least: (g,) not above them.
    """
    order = np.argsort(values, kind="stable")
    below = np.searchsorted(values[order], least)
    first = np.cumsum(below) - below
    i = np.repeat(np.arange(len(values)), below)
    return i, order[np.arange(len(i)) - np.repeat(first, below)]
