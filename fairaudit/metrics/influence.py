"""Influence: how far each image pulls a metric of scores in its group, in closed form.

An image's pull is the derivative of the metric by the image's weight. Pulls of a group add up to 0; the sum of their
squares is the metric's sampling variance (of an area under the ROC curve DeLong's, up to n ÷ (n − 1)), the sum of products
with another model's their covariance, and where people are on several images both are taken of sums person by person.

A calibration error is a sum of absolute values, which has no derivative where a bin is calibrated: beside its pulls, which
hold while no bin changes its sign, the bins themselves are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics import calibration, ranking
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import MACRO
from fairaudit.metrics.scored import top_k
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray, Task


@dataclass(frozen=True, eq=False)
class Pull:
    """What each image does to one metric of its group.

    Attributes:
        pull: (n,) derivative of the group's value by the image's weight; 0 for images that are left out.
        side: (n,) which images are of the kind that must not be scarce, nor the others, for the pulls to tell the variance
            (positives of an area, hits of a share); None where there is no such kind.
        bins: (n,) bin of each image, of calibration errors.
        off: (n,) score less label of each image, of calibration errors; 0 for images that are left out.
    """

    pull: FloatArray
    side: BoolArray | None = None
    bins: IntArray | None = None
    off: FloatArray | None = None


def row_pulls(
    task: Task, ids: IntArray, table: Table, top: Sequence[int] = (), parts: Mapping[str, Task] | None = None
) -> dict[Metric, Pull]:
    """Pulls of every metric that ``score_measures`` and ``joint_measures`` find, by the same keys.

    Args:
        task: what was predicted.
        ids: (n,) group of each row or ``MISSING``.
        table: counts of the same groups.
        top: the k of each top-k accuracy; 3 and 5 where there are more classes than that, if none is given.
        parts: the targets that a joint target is made of.
    """
    found: dict[Metric, Pull] = {}
    if task.y_score is not None:
        keep = (ids != MISSING) & (task.y_true != MISSING)
        found = _of_scores(task, task.y_score, np.where(keep, ids, MISSING), table, top)
    if parts:
        known = ids != MISSING
        for part in parts.values():
            known = known & (part.y_true != MISSING)
        ids = np.where(known, ids, MISSING)
        right = np.stack([part.y_true == part.y_pred for part in parts.values()]).sum(0)
        groups = len(table.n)
        found[Metric("some_right")] = share_pull((right > 0) & (right < len(parts)), ids, groups)
        found[Metric("none_right")] = share_pull(right == 0, ids, groups)
    return found


def _of_scores(task: Task, score: FloatArray, ids: IntArray, table: Table, top: Sequence[int]) -> dict[Metric, Pull]:
    groups, k = len(table.n), len(task.classes)
    classes = [*range(k)] if table.positive is None else [table.positive]
    found: dict[Metric, Pull] = {}
    for name, pull in (("auroc", area_pull), ("average_precision", precision_pull)):
        each = [pull(score[:, c], task.y_true == c, ids, groups) for c in classes]
        found |= {Metric(name, c): Pull(p, task.y_true == c) for c, p in zip(classes, each, strict=True)}
        if table.positive is None:
            found[Metric(name, MACRO)] = Pull(np.mean(each, axis=0))
    for c in classes:
        s, y = score[:, c], task.y_true == c
        found[Metric("brier", c)] = Pull(mean_pull((s - y) ** 2, ids, groups))
        found[Metric("ece", c)] = error_pull(s, y, ids, groups, calibration.equal_width(s))
        mass = calibration.equal_mass(s, ids, groups)
        found[Metric("ece_equal_mass", c)] = error_pull(s, y, ids, groups, mass)
    y_true = np.maximum(task.y_true, 0)  # images without a label are left out of every group
    found[Metric("log_loss")] = Pull(mean_pull(calibration.log_losses(y_true, score), ids, groups))
    sure, right = score.max(-1), score.argmax(-1) == task.y_true
    found[Metric("confidence_ece")] = error_pull(sure, right, ids, groups, calibration.equal_width(sure))
    for one in top or [x for x in (3, 5) if x < k]:
        found[Metric(top_k(one).name)] = share_pull(ranking.among_top(y_true, score, one), ids, groups)
    return found


def mean_pull(x: FloatArray, ids: IntArray, groups: int) -> FloatArray:
    """(n,) pulls of a mean.

    Args:
        x: (n,) numbers.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
    """
    keep = ids != MISSING
    n = np.maximum(np.bincount(ids[keep], minlength=groups), 1)
    mean = np.bincount(ids[keep], x[keep], groups) / n
    return np.where(keep, (x - mean[ids]) / n[ids], 0.0)


def share_pull(hit: BoolArray, ids: IntArray, groups: int) -> Pull:
    """Pulls of a share of images.

    Args:
        hit: (n,) whether the image counts.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
    """
    return Pull(mean_pull(hit.astype(np.float64), ids, groups), hit)


def area_pull(score: FloatArray, positive: BoolArray, ids: IntArray, groups: int) -> FloatArray:
    """(n,) pulls of the area under the ROC curve: how the image's placement among the others differs from the area.

    Args:
        score: (n,) scores.
        positive: (n,) whether the image is of the class.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
    """
    found = np.zeros(len(score))
    for g in range(groups):
        rows = np.flatnonzero(ids == g)
        y = positive[rows]
        m, n = int(y.sum()), int((~y).sum())
        if m == 0 or n == 0:
            continue
        place = np.unique(score[rows], return_inverse=True)[1]
        hits, others = (np.bincount(place[which], minlength=len(rows)).astype(np.float64) for which in (y, ~y))
        below = ((np.cumsum(others) - others / 2) / n)[place]
        above = ((m - np.cumsum(hits) + hits / 2) / m)[place]
        area = below[y].mean()
        found[rows] = np.where(y, (below - area) / m, (above - area) / n)
    return found


def precision_pull(score: FloatArray, positive: BoolArray, ids: IntArray, groups: int) -> FloatArray:
    """(n,) pulls of average precision: by what is found at the image's score, and by whom it stands before.

    Args:
        score: (n,) scores.
        positive: (n,) whether the image is of the class.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
    """
    found = np.zeros(len(score))
    for g in range(groups):
        rows = np.flatnonzero(ids == g)
        y = positive[rows].astype(np.float64)
        m = float(y.sum())
        if m == 0:
            continue
        place = np.unique(score[rows], return_inverse=True)[1]
        hits, every = np.bincount(place, y), np.bincount(place).astype(np.float64)
        found_at, called = np.cumsum(hits[::-1])[::-1], np.cumsum(every[::-1])[::-1]
        precision = found_at / called
        value = float((hits * precision).sum() / m)
        # every positive at the same score or a lower one has this image among those called
        as_hit, as_called = np.cumsum(hits / called), np.cumsum(hits * precision / called)
        found[rows] = (y * (precision[place] - value) + y * as_hit[place] - as_called[place]) / m
    return found


def error_pull(score: FloatArray, positive: BoolArray, ids: IntArray, groups: int, bins: IntArray) -> Pull:
    """Pulls of an expected calibration error, with its bins.

    Args:
        score: (n,) scores in [0, 1].
        positive: (n,) whether what was scored is so.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
        bins: (n,) bin of each score.
    """
    keep = ids != MISSING
    off = np.where(keep, score - positive, 0.0)
    cell = ids * calibration.BINS + bins
    total = np.bincount(cell[keep], off[keep], groups * calibration.BINS)
    n = np.maximum(np.bincount(ids[keep], minlength=groups), 1)
    value = np.abs(total).reshape(groups, -1).sum(-1) / n
    pull = np.where(keep, (np.sign(total)[cell] * off - value[ids]) / n[ids], 0.0)
    return Pull(pull, None, bins, off)
