"""Verification: are two images of one class, decided by the cosine similarity of their embeddings.

In the words of ISO/IEC 19795: pairs of one class are mated (genuine) comparisons, others non-mated (impostor) ones; the
false match rate (FMR) is the share of impostors whose score reaches the threshold, the false non-match rate (FNMR) that
of genuine pairs whose score does not. Pairs are drawn within groups, as NIST's demographic reports compare people with
people like them: impostors from anywhere would mostly be of different groups, and easy. Scores are (1 + cosine) ÷ 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

BINS = 50
"""Of a histogram of scores."""

_TARGETS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_FEW = 30
"""A false match rate is set no lower than where so many impostors are still called genuine."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images of one group.

    Attributes:
        first: (p,) row of the one image.
        second: (p,) row of the other.
        genuine: (p,) whether both are of one class.
    """

    first: IntArray
    second: IntArray
    genuine: BoolArray


@dataclass(frozen=True, eq=False)
class Curve:
    """What every threshold makes of a group's pairs.

    Attributes:
        thresholds: (t,) scores, rising.
        fmr: (t,) false match rate; nan without impostors.
        fnmr: (t,) false non-match rate; nan without genuine pairs.
    """

    thresholds: FloatArray
    fmr: FloatArray
    fnmr: FloatArray


def sample_pairs(classes: IntArray, ids: IntArray, groups: int, most: int, seed: int) -> Pairs:
    """Draw genuine pairs and impostors of every group.

    Where a group has no more pairs of a kind than wanted all are taken; else every pair is equally likely, so that classes
    of many images have many of the genuine ones. No pair occurs twice.

    Args:
        classes: (n,) class or ``MISSING``.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
        most: pairs of each kind and group at the most.
        seed: of the draw.
    """
    first: list[IntArray] = []
    second: list[IntArray] = []
    genuine: list[BoolArray] = []
    for g in range(groups):
        rows = np.flatnonzero((ids == g) & (classes != MISSING))
        for kind in (True, False):
            rng = np.random.default_rng([seed, g, int(kind)])
            a, b = _genuine(rows, classes, most, rng) if kind else _impostors(rows, classes, most, rng)
            first.append(a)
            second.append(b)
            genuine.append(np.full(len(a), kind))
    joined = [np.concatenate([*some, np.zeros(0, dtype=np.int64)]).astype(np.int64) for some in (first, second)]
    return Pairs(joined[0], joined[1], np.concatenate([*genuine, np.zeros(0, dtype=np.bool_)]))


def _genuine(rows: IntArray, classes: IntArray, most: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Pairs of one class, by their place in the list of all such pairs, which is never written out."""
    order = rows[np.argsort(classes[rows], kind="stable")]
    _, start, size = np.unique(classes[order], return_index=True, return_counts=True)
    ends = np.cumsum(size * (size - 1) // 2)
    total = int(ends[-1]) if len(ends) else 0
    place = np.arange(total) if total <= most else np.sort(_distinct(total, most, rng))
    of = np.searchsorted(ends, place, side="right")
    within = place - np.where(of > 0, ends[of - 1], 0)
    # place within a class → (i, j), j < i: i is the largest with i (i − 1) / 2 ≤ place
    i = np.floor((1 + np.sqrt(1 + 8.0 * within)) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > within
    j = within - i * (i - 1) // 2
    return order[start[of] + i], order[start[of] + j]


def _impostors(rows: IntArray, classes: IntArray, most: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Pairs of different classes, likewise: an image goes with every one of the classes before its own."""
    order = rows[np.argsort(classes[rows], kind="stable")]
    _, first, of = np.unique(classes[order], return_index=True, return_inverse=True)
    before = first[of]
    ends = np.cumsum(before)
    total = int(ends[-1]) if len(ends) else 0
    place = np.arange(total) if total <= most else np.sort(_distinct(total, most, rng))
    i = np.searchsorted(ends, place, side="right")
    return order[i], order[place - (ends - before)[i]]


def _distinct(total: int, most: int, rng: np.random.Generator) -> IntArray:
    if total <= 8 * most:
        return np.asarray(rng.permutation(total)[:most])
    found = np.zeros(0, dtype=np.int64)
    while len(found) < most:
        found = np.unique(np.concatenate([found, rng.integers(0, total, most)]))
    return np.asarray(rng.permutation(found)[:most])


def scores(unit: Vectors, pairs: Pairs, at_once: int = 65536) -> FloatArray:
    """(p,) scores of pairs, 0 for opposite embeddings and 1 for equal ones.

    Args:
        unit: (n, d) rows of length 1.
        pairs: which rows.
        at_once: pairs whose embeddings are held in memory.
    """
    found = np.empty(len(pairs.first))
    for start in range(0, len(found), at_once):
        block = slice(start, start + at_once)
        cosine = np.einsum("pd,pd->p", unit[pairs.first[block]], unit[pairs.second[block]], dtype=np.float64)
        found[block] = (1 + cosine) / 2
    return np.clip(found, 0.0, 1.0)


def usual_fmr(impostors: int) -> float:
    """The lowest false match rate, a power of ten from 0.00001 to 0.1, that so many impostors can tell.

    Args:
        impostors: how many there are.
    """
    return next((rate for rate in _TARGETS if rate * impostors >= _FEW), _TARGETS[-1])


def can_tell(impostors: int, fmr: float) -> bool:
    """Whether a threshold can be set for a false match rate: at least one impostor may match.

    Args:
        impostors: how many there are.
        fmr: the rate.
    """
    return fmr * impostors >= 1 - 1e-9


def threshold_at(impostors: FloatArray, fmr: float) -> float:
    """The lowest threshold at which the false match rate is no higher than wanted; nan without impostors.

    Above 1 where more impostors than that have the highest score there is.

    Args:
        impostors: (p,) scores of impostors.
        fmr: wanted.
    """
    if not len(impostors):
        return float("nan")
    falling = np.sort(impostors)[::-1]
    allowed = int(np.floor(fmr * len(falling) + 1e-9))
    if allowed >= len(falling):
        return 0.0
    # just above the first that must not match, however many share its score
    return float(np.nextafter(falling[allowed], np.inf))


def equal_error(genuine: FloatArray, impostors: FloatArray) -> tuple[float, float]:
    """The equal error rate and its threshold; nan where a kind of pairs is lacking.

    The two rates are steps; where they cross without meeting, their mean at the threshold where they differ least is told.

    Args:
        genuine: (p,) scores of genuine pairs.
        impostors: (q,) scores of impostors.
    """
    if not len(genuine) or not len(impostors):
        return float("nan"), float("nan")
    at = np.unique(np.concatenate([genuine, impostors, [np.nextafter(max(genuine.max(), impostors.max()), np.inf)]]))
    fmr, fnmr = _rates(genuine, impostors, at)
    best = int(np.abs(fmr - fnmr).argmin())
    return float((fmr[best] + fnmr[best]) / 2), float(at[best])


def curve(genuine: FloatArray, impostors: FloatArray, points: int = 80) -> Curve:
    """FMR and FNMR at thresholds where one of them moves: quantiles of impostors, close together where few match.

    Args:
        genuine: (p,) scores of genuine pairs.
        impostors: (q,) scores of impostors.
        points: thresholds at the most.
    """
    quantiles: Sequence[FloatArray] = [
        np.quantile(some, 1 - np.geomspace(1 / len(some), 1, points // 2)) for some in (impostors, 1 - genuine) if len(some)
    ]
    if len(genuine):
        quantiles = [*quantiles[:-1], 1 - quantiles[-1]]
    at = np.unique(np.concatenate([*quantiles, np.zeros(0)]))
    fmr, fnmr = _rates(genuine, impostors, at)
    return Curve(at, fmr, fnmr)


def histogram(some: FloatArray) -> list[int]:
    """How many scores lie in each of ``BINS`` bins from 0 to 1."""
    return [int(n) for n in np.histogram(some, BINS, (0.0, 1.0))[0]]


def _rates(genuine: FloatArray, impostors: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.searchsorted(np.sort(impostors), at, side="left")
        fmr = (len(impostors) - below) / np.float64(len(impostors))
        fnmr = np.searchsorted(np.sort(genuine), at, side="left") / np.float64(len(genuine))
    return np.asarray(fmr), np.asarray(fnmr)
