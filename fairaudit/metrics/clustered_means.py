"""Means of numbers between 0 and 1, group by group, with limits that know that a person's images are alike.

The variance of a mean is that of its pulls (``influence``) summed person by person; its quantile is Student's with as
many degrees of freedom as there are people less one. Where all numbers are equal nothing is known of their variance:
exact limits of as many images as there are people are taken instead, which are never narrower than what so few people
can show.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from fairaudit.metrics.influence import mean_pull
from fairaudit.metrics.intervals import clopper_pearson
from fairaudit.metrics.paired_people import numbered
from fairaudit.predictions import MISSING, FloatArray, IntArray
from fairaudit.results import Estimate


def clustered_means(x: FloatArray, ids: IntArray, people: IntArray, groups: int, confidence: float) -> list[Estimate]:
    """The mean of each group.

    Args:
        x: (n,) numbers between 0 and 1; nan is left out.
        ids: (n,) group or ``MISSING``.
        people: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        groups: how many groups.
        confidence: of the limits.
    """
    ids = np.where(np.isnan(x), MISSING, ids)
    keep = ids != MISSING
    x = np.nan_to_num(x)
    pulls = mean_pull(x, ids, groups)
    person, group = numbered(people[keep]), ids[keep]
    cluster, place = np.unique(person * groups + group, return_inverse=True)
    of = cluster % groups
    squares = np.bincount(of, np.bincount(place, pulls[keep], len(cluster)) ** 2, groups)
    several = np.bincount(of, minlength=groups)
    n = np.bincount(group, minlength=groups)
    total = np.bincount(group, x[keep], groups)
    z = float(ndtri(0.5 + confidence / 2))
    found = []
    for g in range(groups):
        if n[g] == 0:
            found.append(Estimate(np.nan, np.nan, np.nan, 0, "absent"))
            continue
        mean, m = float(total[g] / n[g]), int(several[g])
        error = float(np.sqrt(squares[g] * m / (m - 1))) if m > 1 else 0.0
        if error > 1e-12:
            half = float(stdtrit(m - 1, 0.5 + confidence / 2)) * error
            low, high = max(mean - half, 0.0), min(mean + half, 1.0)
        else:
            low, high = (float(one) for one in clopper_pearson(np.array(mean * m), np.array(float(m)), z))
        found.append(Estimate(mean, min(low, mean), max(high, mean), int(n[g])))
    return found
