"""Crowding: how near images of different classes lie in a group, with limits that know of people.

The mean cosine distance of images of different classes; small where different people are embedded close together. Its
standard error is the jackknife's: everybody is left out once, with all of their images of a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from fairaudit.metrics.intervals import gap
from fairaudit.metrics.paired_people import numbered
from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Estimate

_BLOCK = 8192


@dataclass(frozen=True)
class Crowding:
    """One group's.

    Attributes:
        value: mean cosine distance of images of different classes; nan of one class.
        error: its standard error; nan where leaving somebody out leaves one class.
        people: of how many people.
    """

    value: float
    error: float
    people: int


def crowding(unit: Vectors, classes: IntArray, people: IntArray) -> Crowding:
    """Measure one group.

    Args:
        unit: (n, d) the group's rows of length 1.
        classes: (n,) their classes, none missing.
        people: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
    """
    place = np.unique(classes, return_inverse=True)[1]
    sizes = np.bincount(place).astype(np.float64)
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, place, unit.astype(np.float64))
    n, whole = float(len(unit)), sums.sum(0)
    cosines, pairs = float((whole**2).sum() - (sums**2).sum()), n * n - float((sizes**2).sum())
    if pairs <= 0:
        return Crowding(float("nan"), float("nan"), 0)
    # what goes with an image: its cosines with images of other classes, once from either side
    lost = np.empty(len(unit))
    for start in range(0, len(unit), _BLOCK):
        here = slice(start, start + _BLOCK)
        lost[here] = np.einsum("nd,nd->n", unit[here].astype(np.float64), whole - sums[place[here]])
    _, who = np.unique(numbered(people) * len(sizes) + place, return_inverse=True)
    m = int(who.max()) + 1
    less = pairs - 2 * np.bincount(who, n - sizes[place], m)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (cosines - 2 * np.bincount(who, lost, m)) / np.where(less > 0, less, np.nan)
    error = float(np.sqrt((m - 1) / m * ((without - without.mean()) ** 2).sum())) if m > 1 else float("nan")
    return Crowding(1 - cosines / pairs, error, m)


def crowding_gap(groups: Sequence[Crowding], confidence: float) -> Estimate:
    """Largest less smallest; nan of fewer than two groups that have any, without limits where one has no error.

    Args:
        groups: each group's.
        confidence: of the limits.
    """
    known = [one for one in groups if not np.isnan(one.value)]
    if len(known) < 2:
        return Estimate(np.nan, np.nan, np.nan, 0, "undefined: fewer than two groups with two classes")
    value, error = (np.array([getattr(one, name) for one in known]) for name in ("value", "error"))
    people = np.array([one.people for one in known])
    if not np.isfinite(error).all():
        return Estimate(float(np.ptp(value)), np.nan, np.nan, int(people.min()))

    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        half = stdtrit(people - 1, ndtr(z)) * error
        return np.maximum(value - half, 0.0), np.minimum(value + half, 2.0)

    ends = gap(value, limits, confidence, widest=2.0)
    return Estimate(float(np.ptp(value)), float(ends.low), float(ends.high), int(people.min()))
