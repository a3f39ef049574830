"""Histograms of scores: they are stored, add up over shards, and give every rate at every threshold in one pass."""

from __future__ import annotations

import numpy as np

from fairaudit.metrics.calibration import equal_width, reliability
from fairaudit.metrics.groups import members
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray
from fairaudit.results import GroupScores

HISTOGRAM_BINS = 1024


def group_scores(score: FloatArray, positive: BoolArray, ids: IntArray, groups: int) -> tuple[GroupScores, ...]:
    """Histograms and reliability of every group.

    Args:
        score: (n,) scores of one class, in [0, 1].
        positive: (n,) whether the image is of that class.
        ids: (n,) group or ``MISSING``; rows without a label must be missing too.
        groups: how many groups.
    """
    keep = ids != MISSING
    cell = (ids[keep] * 2 + positive[keep]) * HISTOGRAM_BINS + equal_width(score[keep], HISTOGRAM_BINS)
    sides = np.bincount(cell, minlength=groups * 2 * HISTOGRAM_BINS).reshape(groups, 2, HISTOGRAM_BINS).tolist()
    found = []
    for (negatives, positives), rows in zip(sides, members(ids, groups), strict=True):
        n, mean, share = reliability(score[rows], positive[rows])
        diagram = tuple(zip(n.tolist(), mean.tolist(), share.tolist(), strict=True))
        found.append(GroupScores(tuple(negatives), tuple(positives), diagram))
    return tuple(found)


def sweep(negatives: IntArray, positives: IntArray) -> IntArray:
    """Counts of every group at every threshold: (b + 1, g, 2, 2) [threshold, group, true, called].

    At threshold t the class is called from bin t on; rates broadcast over thresholds as they do over groups.

    Args:
        negatives: (g, b) images of other classes per bin, rising.
        positives: (g, b) images of the class per bin.
    """

    def called(histogram: IntArray) -> IntArray:
        above = np.cumsum(histogram[:, ::-1], axis=-1)[:, ::-1]
        return np.concatenate([above, np.zeros((len(histogram), 1), dtype=np.int64)], axis=-1)

    fp, tp = called(negatives), called(positives)
    fn, tn = positives.sum(-1, keepdims=True) - tp, negatives.sum(-1, keepdims=True) - fp
    matrix = np.stack([np.stack([tn, fp], -1), np.stack([fn, tp], -1)], -2)
    return np.asarray(matrix.swapaxes(0, 1), dtype=np.int64)
