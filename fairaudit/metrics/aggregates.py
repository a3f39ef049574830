"""The sampling law of a rate: its limits and variance per class, and over classes: mean, pooled, weighted, worst.

Over classes an image counts in the numerator of one proportion at the most (where it may count in one of several, these are
negatively correlated, which only helps), but a wrong one lowers the F-score and the Jaccard index of two classes, the true
and the predicted one (``Rate.shared``). All limits take denominators, and the weights of classes, as fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from fairaudit.metrics.counts import Cells
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.intervals import Limits, f_score, f_score_variance, mover_mean, wilson
from fairaudit.metrics.rates import MICRO, WEIGHTED, WORST, Direction, Rate, rate_support, rate_values
from fairaudit.metrics.trials import Trials
from fairaudit.predictions import FloatArray


@dataclass(frozen=True, eq=False)
class Law:
    """A value with what is needed to judge it; axes are free, but alike.

    Attributes:
        value: nan where undefined.
        support: images in the denominator; 0 exactly where the value is undefined.
        limits: limits at any quantile, for what compares groups; asked for some groups (indices), each at its own quantile.
        interval: limits at any quantile, for a group standing alone.
        variance: sampling variance from smoothed counts.
        scarce: (g,) which class has the smallest support, where there are several.
        trials: the proportion whose exact limits make the limits, where there is one.
    """

    value: FloatArray
    support: FloatArray
    limits: Limits
    interval: Limits
    variance: FloatArray
    scarce: FloatArray | None = None
    trials: Trials | None = None


def rate_law(rate: Rate, c: Cells, effect: FloatArray | float = 1.0) -> Law:
    """The law of a rate, with the axes of its values.

    Args:
        rate: the rate.
        c: cells with any leading axes.
        effect: how many images are worth an independent one (``clusters``), with the axes of the values: limits and
            variance are those of so many fewer images, value and support remain those of all.
    """
    value, support = rate_values(rate, c), rate_support(rate, c)
    if rate.beta is None:
        x, n = (part / effect for part in rate.parts(c))
        return exact_law(value, support, x, n)
    beta = rate.beta
    tp, fn, fp = c.tp / effect, c.fn / effect, c.fp / effect

    variance = f_score_variance(tp, fn, fp, beta)
    if beta == 1:
        jaccard = Trials(tp, tp + fn + fp, bend=2.0)
        return Law(value, support, jaccard.limits, jaccard.limits, variance, trials=jaccard)

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        return f_score(tp[i], fn[i], fp[i], beta, z)

    return Law(value, support, limits, limits, variance)


def exact_law(value: FloatArray, support: FloatArray, x: FloatArray, n: FloatArray) -> Law:
    """The law of a proportion that says as much as x of n independent images do."""
    trials = Trials(x, n)
    return Law(value, support, trials.limits, trials.wilson, proportion_variance(x, n), trials=trials)


def proportion_variance(x: FloatArray, n: FloatArray) -> FloatArray:
    """Sampling variance of x/n with two pseudo hits and misses; nan where n is 0."""
    p = (x + 2) / (n + 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(n > 0, p * (1 - p) / n, np.nan))


def over_classes(
    rate: Rate,
    c: Cells,
    how: str,
    effect: FloatArray | float = 1.0,
    pooled: FloatArray | float = 1.0,
    shared: FloatArray | None = None,
) -> Law:
    """The law of a rate's aggregate over the last axis, the classes.

    Args:
        rate: a rate per class.
        c: cells of every class, (g, k).
        how: one of ``AGGREGATES``; what is none of the others is the mean.
        effect: how many images are worth an independent one, (g, k), see ``rate_law``.
        pooled: the same for accuracy, (g,), which pooled rates are functions of.
        shared: (g,) variance of a mean over that of independent classes, where it is known; None takes ``rate.shared``.
    """
    times = np.full(c.n.shape[0], float(rate.shared)) if shared is None else shared
    if how == MICRO:
        return _pooled(rate, c, pooled)
    every = rate_law(rate, c, effect)
    if how == WORST:
        return _worst(every, rate.direction)
    if how == WEIGHTED:
        return _weighted(every, c.tp + c.fn, times)
    k = every.value.shape[-1]

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        return mover_mean(every.value[i], *every.limits(np.asarray(z)[..., None], i), times[i])

    # Exact limits for the group alone as well: Wilson's are too short for many small classes.
    return Law(
        every.value.mean(-1),
        every.support.min(-1),
        limits,
        limits,
        times * every.variance.sum(-1) / k**2,
        every.support.argmin(-1),
    )


def _weighted(every: Law, labelled: FloatArray, shared: FloatArray) -> Law:
    """Classes without labelled images weigh nothing, whether or not their rate is defined (scikit-learn's ``weighted``)."""
    counted = labelled > 0
    total = labelled.sum(-1)
    weight = labelled / np.maximum(total, 1)[..., None]
    # Divided at the end: shares of images need not sum to 1 exactly, and nothing is better than faultless.
    value = np.where(total > 0, np.where(counted, labelled * every.value, 0.0).sum(-1) / np.maximum(total, 1), np.nan)

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        low, high = every.limits(np.asarray(z)[..., None], i)
        below = np.where(counted[i], weight[i] * (every.value[i] - low), 0.0)
        above = np.where(counted[i], weight[i] * (high - every.value[i]), 0.0)
        return (
            np.maximum(value[i] - np.sqrt(shared[i] * (below**2).sum(-1)), 0.0),
            np.minimum(value[i] + np.sqrt(shared[i] * (above**2).sum(-1)), 1.0),
        )

    variance = shared * np.where(counted, weight**2 * every.variance, 0.0).sum(-1)
    among = np.where(counted, every.support, np.inf)
    support = np.where(total > 0, among.min(-1), 0.0)
    return Law(value, support, limits, limits, np.where(np.isnan(value), np.nan, variance), among.argmin(-1))


def _worst(every: Law, direction: Direction) -> Law:
    """The worst class. "Every class is at least x" needs no correction; "some class is below x" is a union and does."""
    k = every.value.shape[-1]
    pick = np.min if direction is Direction.HIGHER else np.max

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        z = np.asarray(z)[..., None]
        narrow, wide = every.limits(z, i), every.limits(-ndtri(ndtr(-z) / k), i)
        if direction is Direction.HIGHER:
            return narrow[0].min(-1), wide[1].min(-1)
        return wide[0].max(-1), narrow[1].max(-1)

    # The largest of the classes' variances is no less than the worst class's.
    return Law(
        np.asarray(pick(every.value, axis=-1)),
        every.support.min(-1),
        limits,
        limits,
        every.variance.max(-1),
        every.support.argmin(-1),
    )


def _pooled(rate: Rate, c: Cells, effect: FloatArray | float) -> Law:
    """Cells summed over classes. An image is right or wrong once, so that every pooled rate is a function of accuracy."""
    k = c.tp.shape[-1]

    def at(accuracy: FloatArray) -> FloatArray:
        wrong = 1 - accuracy
        return rate_values(rate, Cells(accuracy, wrong, wrong, k - 2 + accuracy, accuracy, np.ones_like(accuracy)))

    def through(limits: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
        ends = np.stack([at(limit) for limit in limits])
        return ends.min(0), ends.max(0)

    pooled = Cells(c.tp.sum(-1), c.fp.sum(-1), c.fn.sum(-1), c.tn.sum(-1), c.right, c.n)
    support = np.minimum(rate_support(rate, pooled), c.n)
    right, n = c.right / effect, c.n / effect
    smooth, step = (right + 2) / (n + 4), 1e-6
    slope = (at(smooth + step) - at(smooth - step)) / (2 * step)
    return Law(
        rate_values(rate, pooled),
        support,
        lambda z, i=...: through(clopper_pearson(right[i], n[i], z)),
        lambda z: through(wilson(right, n, z)),
        np.where(support > 0, slope**2 * proportion_variance(right, n), np.nan),
    )
