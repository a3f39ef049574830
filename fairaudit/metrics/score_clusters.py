"""Design effects of what counts do not tell: how many images are worth one, where people are on several.

The variance of a metric is the sum of squared pulls (``influence``); with people it is that of pulls summed person by
person. Their quotient is the design effect, with the precautions of ``clusters``: at least 1, and where a kind of images is
of hardly anybody, all of a person's images are taken to be alike.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from fairaudit.metrics.calibration import BINS
from fairaudit.metrics.clusters import FEW
from fairaudit.metrics.influence import Pull
from fairaudit.metrics.paired_people import numbered
from fairaudit.predictions import MISSING, FloatArray, IntArray


def pull_effect(pull: Pull, ids: IntArray, identity: IntArray, groups: int) -> FloatArray:
    """(g,) how many images are worth an independent one, for one metric.

    Args:
        pull: what each image does to the metric.
        ids: (n,) group or ``MISSING``.
        identity: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        groups: how many groups.
    """
    rows = np.flatnonzero(ids != MISSING)
    person, group = numbered(identity[rows]), ids[rows]
    cluster, place = np.unique(person * groups + group, return_inverse=True)
    of = cluster % groups

    def by_person(x: FloatArray) -> FloatArray:
        return np.bincount(place, x[rows], len(cluster)).astype(np.float64)

    def total(x: FloatArray) -> FloatArray:
        return np.bincount(of, x, groups).astype(np.float64)

    own = np.bincount(place, minlength=len(cluster)).astype(np.float64)
    people, n = total(np.ones(len(cluster))), total(own)
    scarce = total((by_person((pull.pull != 0).astype(np.float64)) > 0).astype(np.float64))
    if pull.side is not None:
        for kind in (pull.side, ~pull.side):
            scarce = np.minimum(scarce, total((by_person(kind.astype(np.float64)) > 0).astype(np.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.maximum(total(own**2) / n, 1.0)
        single = np.bincount(group, pull.pull[rows] ** 2, groups)
        effect = total(by_person(pull.pull) ** 2) / single * people / (people - 1)
        if pull.bins is not None and pull.off is not None:
            effect = np.fmax(effect, _of_bins(pull.off[rows], pull.bins[rows], person, group, groups))
        student = stdtrit(np.maximum(people - 1, 1), 0.975) / stdtrit(np.maximum(n - 1, 1), 0.975)
        effect = effect * student**2
    few = (scarce < FEW) | (people < 2) | ~np.isfinite(effect)
    effect = np.where(few, np.fmax(worst, np.where(np.isfinite(effect), effect, 1.0)), np.maximum(effect, 1.0))
    return np.where(worst > 1.0, effect, 1.0)


def repeated(identity: IntArray) -> bool:
    """Whether anybody is on more than one image.

    Args:
        identity: (n,) who is on each image or ``MISSING``.
    """
    known = identity[identity != MISSING]
    return len(np.unique(known)) < len(known)


def _of_bins(off: FloatArray, bins: IntArray, person: IntArray, group: IntArray, groups: int) -> FloatArray:
    """(g,) the same of the noise within bins, which is what a calibration error is too large by."""
    cell = group * BINS + bins
    key = np.unique(person * groups * BINS + cell, return_inverse=True)[1]
    which = np.zeros(int(key.max(initial=-1)) + 1, dtype=np.int64)
    which[key] = group
    together = np.bincount(which, np.bincount(key, off) ** 2, groups) if len(off) else np.zeros(groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(together / np.bincount(group, off**2, groups))
