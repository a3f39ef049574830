"""Means of numbers between 0 and 1, group by group, with limits that know that a person's images are alike.

The variance of a mean is that of its pulls (``influence``) summed person by person; its quantile is Student's with as
many degrees of freedom as there are people less one. Where the numbers of hardly anybody differ from 0, from 1, or from
what most have, that knows little, and the exact limits of a share of as many images as there are people hold as well:
nothing between 0 and 1 scatters more than what is either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from fairaudit.metrics.clusters import FEW
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.groups import SAME, usual
from fairaudit.metrics.influence import mean_pull
from fairaudit.metrics.intervals import gap, quantile
from fairaudit.metrics.paired_people import numbered
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray
from fairaudit.results import Estimate


@dataclass(frozen=True, eq=False)
class Means:
    """The mean of each group.

    Attributes:
        value: (g,) nan where nothing is known of a group.
        support: (g,) numbers in it.
        people: (g,) of how many people.
        error: (g,) standard error.
        scarce: (g,) whether hardly anybody's numbers differ from 0, from 1, or from what most have.
    """

    value: FloatArray
    support: IntArray
    people: FloatArray
    error: FloatArray
    scarce: BoolArray

    def limits(self, z: float) -> tuple[FloatArray, FloatArray]:
        """(g,) lower and upper limits, each missing the truth with probability at most 1 − Φ(z)."""
        half = stdtrit(np.maximum(self.people - 1, 1), ndtr(z)) * self.error
        exact = clopper_pearson(self.value * self.people, self.people, z)
        low, high = self.value - half, self.value + half
        low = np.where(self.scarce, np.fmin(low, exact[0]), low)
        high = np.where(self.scarce, np.fmax(high, exact[1]), high)
        return np.clip(low, 0.0, self.value), np.clip(high, self.value, 1.0)

    def estimates(self, confidence: float) -> list[Estimate]:
        """The mean of each group with its limits.

        Args:
            confidence: of the limits.
        """
        low, high = self.limits(quantile(confidence))
        return [
            Estimate(float(value), float(a), float(b), int(n)) if n else Estimate(np.nan, np.nan, np.nan, 0, "absent")
            for value, a, b, n in zip(self.value, low, high, self.support, strict=True)
        ]

    def gap(self, confidence: float, min_support: int) -> Estimate | None:
        """Largest less smallest mean; None of fewer than two groups.

        Args:
            confidence: of the limits.
            min_support: groups of fewer numbers are left out.
        """
        of = np.flatnonzero(self.support >= max(min_support, 1))
        if len(of) < 2:
            return None
        value = self.value[of]

        def limits(z: float) -> tuple[FloatArray, FloatArray]:
            low, high = self.limits(z)
            return low[of], high[of]

        ends = gap(value, limits, confidence)
        return Estimate(float(np.ptp(value)), float(ends.low), float(ends.high), int(self.support[of].min()))


def clustered_means(x: FloatArray, ids: IntArray, people: IntArray, groups: int) -> Means:
    """The mean of each group.

    Args:
        x: (n,) numbers between 0 and 1; nan is left out.
        ids: (n,) group or ``MISSING``.
        people: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        groups: how many groups.
    """
    ids = np.where(np.isnan(x), MISSING, ids)
    keep = ids != MISSING
    x = np.nan_to_num(x)
    pulls = mean_pull(x, ids, groups)[keep]
    person, group, x = numbered(people[keep]), ids[keep], x[keep]
    cluster, place = np.unique(person * groups + group, return_inverse=True)
    of = cluster % groups

    def each(values: FloatArray) -> FloatArray:
        return np.bincount(place, values, len(cluster)).astype(np.float64)

    several = np.bincount(of, minlength=groups).astype(np.float64)
    n = np.bincount(group, minlength=groups)
    above = np.bincount(of, each(x) > 0, groups)
    below = np.bincount(of, each(1 - x) > 0, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.bincount(group, x, groups) / n
        error = np.sqrt(np.bincount(of, each(pulls) ** 2, groups) * several / (several - 1))
    own = each(x) / np.bincount(place, minlength=len(cluster))
    apart = np.bincount(of, np.abs(own - usual(own, of, groups)[of]) > SAME, groups)
    scarce = (np.minimum(np.minimum(above, below), apart) < FEW) | (several < 2)
    return Means(value, n.astype(np.int64), several, np.nan_to_num(error, posinf=0.0), scarce)
