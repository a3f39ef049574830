"""Calibration: whether scores are the chances that they look like.

Means of losses have Student's limits around the mean, above it with a term for skewness, from losses to which the worst
one is added once so that faultless groups keep a width. Where nearly all losses are the same, a smaller one may be next:
the limits are then no closer than those of a share of faultless images of which none was seen. The calibration error of
bins is a sum of absolute values: noise only adds to it. Its lower limit takes off the most that noise can add on average,
which is a bin's standard deviation (√(2/π) of it in bins full enough to be normal), so that it is 0 where calibration
cannot be told from noise; the upper one takes off what noise adds at least.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from fairaudit.metrics.aggregates import Law
from fairaudit.metrics.clusters import FEW
from fairaudit.metrics.groups import SAME, members
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

BINS = 100
TINIEST = 1e-15


def log_losses(y_true: IntArray, y_score: FloatArray) -> FloatArray:
    """(n,) −ln of the true class's share of the scores."""
    total = np.maximum(y_score.sum(-1), TINIEST)
    return np.asarray(-np.log(np.clip(y_score[np.arange(len(y_true)), y_true] / total, TINIEST, 1.0)))


def mean_law(
    losses: FloatArray, ids: IntArray, groups: int, worst: float, most: float, effect: FloatArray | float = 1.0
) -> Law:
    """The mean loss of every group.

    Args:
        losses: (n,) losses ≥ 0.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
        worst: a loss that a faultless group might still show.
        most: the largest possible mean.
        effect: (g,) how many images are worth an independent one (``score_clusters``), for limits and variance.
    """
    keep = ids != MISSING
    x, g = losses[keep], ids[keep]
    n = np.bincount(g, minlength=groups).astype(np.float64)
    known = n > 0
    mean = np.divide(np.bincount(g, x, groups), n, out=np.full(groups, np.nan), where=known)
    largest = np.full(groups, worst)
    np.maximum.at(largest, g, x)
    # the worst loss is added once, and where images are worth less, as often as that makes an independent one
    centre = (np.where(known, mean * n, 0.0) + effect * largest) / (n + effect)
    second = (np.bincount(g, (x - centre[g]) ** 2, groups) + effect * (largest - centre) ** 2) / np.maximum(n, 1)
    third = (np.bincount(g, (x - centre[g]) ** 3, groups) + effect * (largest - centre) ** 3) / np.maximum(n, 1)
    fewer = np.maximum(n / effect, 1)
    alike = np.bincount(g, np.abs(x - _of_most(x, g, groups)[g]) > SAME, groups) < FEW
    # of n images of which none is faultless 3.7/n may be (at 95 %, two-sided): Student's quantile times 2/n
    variance = np.where(known, np.maximum(second / fewer, np.where(alike, (2 * mean / fewer) ** 2, 0.0)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = np.where(second > 0, np.maximum(third, 0.0) / (6 * second * fewer), 0.0)

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        half = stdtrit(fewer[i], ndtr(z)) * np.sqrt(variance[i])
        return np.maximum(mean[i] - half, 0.0), np.minimum(mean[i] + half + (1 + 2 * z**2) * skew[i], most)

    return Law(mean, n, limits, limits, variance)


def _of_most(x: FloatArray, ids: IntArray, groups: int) -> FloatArray:
    """(g,) the loss that all but a few of a group have, where there is one: the median of its first ones, for speed."""
    order = np.argsort(ids.astype(np.uint16), kind="stable")
    found = np.full(groups, np.nan)
    first = 0
    for g, n in enumerate(np.bincount(ids, minlength=groups).tolist()):
        some = np.sort(x[order[first : first + min(n, 2 * FEW - 1)]])
        if n:
            found[g] = some[(len(some) - 1) // 2]
        first += n
    return found


def equal_width(score: FloatArray, bins: int = BINS) -> IntArray:
    """(n,) bin of each score; a score on an edge belongs to the bin above it, 1 to the last."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)


def equal_mass(score: FloatArray, ids: IntArray, groups: int, bins: int = BINS) -> IntArray:
    """(n,) bin of each score among its group's, with as equally many images as ties allow: equal scores share a bin."""
    found = np.zeros(len(score), dtype=np.int64)
    for rows in members(ids, groups):
        within = np.argsort(score[rows])
        ranked = score[rows][within]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        below = np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
        found[rows[within]] = below * bins // max(len(rows), 1)
    return found


def error_law(
    score: FloatArray,
    positive: BoolArray,
    ids: IntArray,
    groups: int,
    bin_of: IntArray,
    bins: int = BINS,
    effect: FloatArray | float = 1.0,
) -> Law:
    """Expected calibration error of every group, Σ share of bin × |mean score − share of positives|.

    Args:
        score: (n,) scores in [0, 1].
        positive: (n,) whether what was scored is so.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
        bin_of: (n,) bin of each score.
        bins: how many bins.
        effect: (g,) how many images are worth an independent one (``score_clusters``), for the noise.
    """
    keep = ids != MISSING
    if not keep.all():
        score, positive, ids, bin_of = score[keep], positive[keep], ids[keep], bin_of[keep]
    cell = ids * bins + bin_of
    d = score - positive
    n = np.bincount(ids, minlength=groups).astype(np.float64)
    shape = (groups, bins)
    off = np.bincount(cell, d, groups * bins).reshape(shape)
    noise = np.bincount(cell, d**2, groups * bins).reshape(shape) * np.reshape(effect, (-1, 1))
    known, n1 = n > 0, np.maximum(n, 1)
    value = np.where(known, np.abs(off).sum(-1) / n1, np.nan)
    sd = np.sqrt(noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(sd > 0, off / sd, 0.0)
    folded = sd * np.sqrt(2 / np.pi) * np.exp(-(t**2) / 2) + off * (1 - 2 * ndtr(-t))
    least = (folded - np.abs(off)).sum(-1) / n1
    full = np.bincount(cell, minlength=groups * bins).reshape(shape) >= 10
    most = (np.where(full, np.sqrt(2 / np.pi), 1.0) * sd).sum(-1) / n1
    # One pseudo image in which score and label are as far apart as can be keeps a width where no error was seen.
    variance = np.where(known, (noise.sum(-1) + effect) / n1**2, np.nan)

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        half, v = z * np.sqrt(variance[i]), value[i]
        return np.maximum(v - most[i] - half, 0.0), np.minimum(np.maximum(v, v - least[i] + half), 1.0)

    return Law(value, n, limits, limits, variance)


def reliability(score: FloatArray, positive: BoolArray, bins: int = 10) -> tuple[IntArray, FloatArray, FloatArray]:
    """Per bin of equal width: images, mean score, share of positives (nan where empty), for reliability diagrams."""
    cell = equal_width(score, bins)
    n = np.bincount(cell, minlength=bins).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return n, np.bincount(cell, score, bins) / n, np.bincount(cell, positive.astype(np.float64), bins) / n
