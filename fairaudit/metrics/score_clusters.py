"""Design effects of what counts do not tell: how many images are worth one, where people are on several.

The variance of a metric is the sum of squared pulls (``influence``); with people it is that of pulls summed person by
person. Their quotient is the design effect, with the precautions of ``clusters``: at least 1, and where a kind of images is
of hardly anybody, all of a person's images are taken to be alike. Pairs of images have two persons each (``dyads``).
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from fairaudit.metrics.calibration import BINS
from fairaudit.metrics.clusters import FEW
from fairaudit.metrics.dyads import dyads_of
from fairaudit.metrics.influence import Pull
from fairaudit.metrics.paired_people import numbered
from fairaudit.predictions import MISSING, FloatArray, IntArray


def pull_effect(pull: Pull, ids: IntArray, identity: IntArray, groups: int, second: IntArray | None = None) -> FloatArray:
    """(g,) how many images are worth an independent one, for one metric.

    Args:
        pull: what each image does to the metric.
        ids: (n,) group or ``MISSING``.
        identity: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        groups: how many groups.
        second: (n,) who is on the other image, where rows are pairs.
    """
    rows = np.flatnonzero(ids != MISSING)
    who = identity if second is None else second
    dyads, place = dyads_of(ids[rows], (identity[rows], who[rows]), groups)
    person, group = numbered(identity[rows]), ids[rows]

    def by_person(x: FloatArray) -> FloatArray:
        return np.bincount(place, x[rows], len(dyads.group)).astype(np.float64)

    own = np.bincount(place, minlength=len(dyads.group)).astype(np.float64)
    people, n = dyads.people(own > 0), np.bincount(group, minlength=groups).astype(np.float64)
    scarce = dyads.people(by_person((pull.pull != 0).astype(np.float64)) > 0)
    if pull.side is not None:
        for kind in (pull.side, ~pull.side):
            scarce = np.minimum(scarce, dyads.people(by_person(kind.astype(np.float64)) > 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.maximum(dyads.worst(own) / n, 1.0)
        single = np.bincount(group, pull.pull[rows] ** 2, groups)
        added = by_person(pull.pull)
        effect = dyads.variance(added, people) / single
        if pull.bins is not None and pull.off is not None:
            effect = np.fmax(effect, _of_bins(pull.off[rows], pull.bins[rows], person, group, groups))
        student = dyads.student(added, people) / stdtrit(np.maximum(n - 1, 1), 0.975)
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
