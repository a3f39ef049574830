"""Intervals in closed form: limits of one proportion, and limits of what is computed from several independent ones.

A *limits function* gives, for any normal quantile z, a lower and an upper limit of each group's value, each missing the
truth with probability at most 1 − Φ(z). Everything that compares groups is built from it by MOVER (the method of variance
estimates recovery: Newcombe 1998; Zou & Donner 2008; Donner & Zou 2012 for ratios), with the quantile that the comparison
needs. "gap ≤ limit" is an intersection of statements about pairs, so the lower end of a gap needs simultaneity (the
studentized range); "gap ≥ limit" is a union, so its upper end does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chndtr, ndtr, ndtri

from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.pairs import ALL_PAIRS, exceeding, largest
from fairaudit.metrics.roots import where_reached
from fairaudit.predictions import FloatArray, IntArray

Limits = Callable[..., tuple[FloatArray, FloatArray]]
"""z → lower and upper limit of every group. Those of a metric also take quantiles and indices of as many groups."""


class Interval(NamedTuple):
    """Lower and upper limit: numbers, or arrays where several values were given per group."""

    low: Any
    high: Any


@cache
def quantile(confidence: float) -> float:
    """Two-sided normal quantile: 1.96 at 0.95."""
    return float(ndtri(0.5 + confidence / 2))


@cache
def sidak(contrasts: int, confidence: float) -> float:
    """Two-sided normal quantile that covers several contrasts at once (Šidák 1967)."""
    return quantile(confidence ** (1.0 / max(contrasts, 1)))


@cache
def studentized_range(groups: int, confidence: float) -> float:
    """Quantile c = q/√2 of the range of independent normals, infinite degrees of freedom (Tukey); 1.96 for two groups."""
    if groups < 2:
        return quantile(confidence)
    z = np.linspace(-9.0, 9.0, 4001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    def covered(q: float) -> float:
        return groups * float(np.trapezoid(density * (ndtr(z) - ndtr(z - q)) ** (groups - 1), z))

    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if covered(middle) < confidence else (low, middle)
    return low / float(np.sqrt(2.0))


def wilson(x: FloatArray, n: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    """Wilson's score limits (1927) of proportions x/n; nan where n is 0."""
    x, n = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At 0 and n the limit is exactly 0 and 1; rounding must not leave it a hair inside.
    low = np.where(x == 0, 0.0, np.maximum(centre - half, 0.0))
    high = np.where(x == n, 1.0, np.minimum(centre + half, 1.0))
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def f_score(tp: FloatArray, fn: FloatArray, fp: FloatArray, beta: float, z: float) -> tuple[FloatArray, FloatArray]:
    """Limits of F-scores; nan where tp + fn + fp is 0.

    Fβ depends on two independent proportions: the Jaccard index J = TP / (TP + FN + FP), and the share s of FN among the
    errors. Exact limits of both are combined by MOVER along the path J first, s second; F1 does not depend on s, so that
    its limits are exact. Without an error nothing is known of s, and its worst is taken.

    Args:
        tp: (…) of the class and called so.
        fn: (…) of the class but not called so.
        fp: (…) not of the class but called so.
        beta: how many times more recall weighs than precision.
        z: quantile of each side.
    """
    wrong, weight = fn + fp, beta**2

    def score(j: FloatArray, s: FloatArray | float) -> FloatArray:
        return np.asarray((1 + weight) * j / ((1 + weight) * j + (1 - j) * (s * weight + 1 - s)))

    j_low, j_high = clopper_pearson(tp, tp + wrong, z)
    s_low, s_high = clopper_pearson(fn, wrong, z)
    s_low, s_high = np.where(np.isnan(s_low), 0.0, s_low), np.where(np.isnan(s_high), 1.0, s_high)
    kind, unkind = (s_low, s_high) if beta >= 1 else (s_high, s_low)
    with np.errstate(divide="ignore", invalid="ignore"):
        j = tp / (tp + wrong)
        s = np.where(wrong > 0, fn / wrong, unkind)
        f = score(j, s)
        down, up = score(j_low, s), score(j_high, s)
        low = f - np.hypot(f - down, down - score(j_low, unkind))
        high = f + np.hypot(up - f, score(j, kind) - f)
    # f is 1 without errors and 0 without hits; rounding must not leave a limit a hair inside.
    return np.where(tp > 0, np.maximum(low, 0.0), j_low), np.where(wrong > 0, np.minimum(high, 1.0), j_high)


def f_score_variance(tp: FloatArray, fn: FloatArray, fp: FloatArray, beta: float) -> FloatArray:
    """Variance of F-scores by the delta method on smoothed counts (2 pseudo hits, 1 of each error); nan for 0 images."""
    m, weight = tp + fn + fp, beta**2
    a, b, c = ((x + extra) / (m + 4) for x, extra in ((tp, 2), (fn, 1), (fp, 1)))
    bottom = ((1 + weight) * a + weight * b + c) ** 2
    slopes = (weight * b + c) / bottom, -weight * a / bottom, -a / bottom
    total = (1 + weight) ** 2 * sum(p * slope**2 for p, slope in zip((a, b, c), slopes, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(m > 0, total / m, np.nan)


def mover_mean(
    p: FloatArray, low: FloatArray, high: FloatArray, shared: FloatArray | float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Limits of the mean over the last axis of values that are independent, or share images to a known degree.

    Args:
        p: (…, k) values.
        low: (…, k) their lower limits.
        high: (…, k) their upper limits.
        shared: (…) variance of their sum over the sum of their variances: how many of the values one image can move at
            the most (by Cauchy and Schwarz), or what is known of it.
    """
    k, mean = p.shape[-1], p.mean(-1)
    below = np.sqrt(shared * ((p - low) ** 2).sum(-1)) / k
    above = np.sqrt(shared * ((high - p) ** 2).sum(-1)) / k
    return np.maximum(mean - below, 0.0), np.minimum(mean + above, 1.0)


def difference(p: FloatArray, limits: Limits, z: float, i: Any, j: Any) -> tuple[FloatArray, FloatArray]:
    """Limits of pᵢ − pⱼ at quantile z (Newcombe's square-and-add rule).

    Args:
        p: (g,) values.
        limits: their limits function.
        z: quantile of each side.
        i: index of the minuend, anything numpy understands.
        j: index of the subtrahend.
    """
    low, high = limits(z)
    d = p[i] - p[j]
    below = d - np.hypot(p[i] - low[i], high[j] - p[j])
    above = d + np.hypot(high[i] - p[i], p[j] - low[j])
    return below, above


def ratio(p: FloatArray, limits: Limits, z: float, i: Any, j: Any) -> tuple[FloatArray, FloatArray]:
    """Limits of pᵢ ÷ pⱼ at quantile z (Donner & Zou 2012); the upper one is inf where pⱼ may be 0."""
    low, high = limits(z)
    pi, pj = p[i], p[j]
    li, ui, lj, uj = low[i], high[i], low[j], high[j]
    b = pi * pj
    a, c = uj * (2 * pj - uj), li * (2 * pi - li)
    a2, c2 = lj * (2 * pj - lj), ui * (2 * pi - ui)
    with np.errstate(divide="ignore", invalid="ignore"):
        bottom = b + np.sqrt(np.maximum(b * b - a * c, 0.0))
        below = np.where(bottom > 0, c / bottom, 0.0)
        above = np.where(a2 > 0, (b + np.sqrt(np.maximum(b * b - a2 * c2, 0.0))) / a2, np.inf)
    return below, above


def gap(p: FloatArray, limits: Limits, confidence: float, joint: int = 1, widest: FloatArray | float = 1.0) -> Interval:
    """Limits of max − min over groups; the lower one is 0 where equality of all groups cannot be rejected.

    Args:
        p: (g, …) values, at least two, none of them nan; of more than ``ALL_PAIRS`` groups (g,).
        limits: their limits function.
        confidence: of the interval.
        joint: how many gaps are judged together (2 for equalized odds); only the lower limit pays for it.
        widest: (…) the largest gap that there can be.
    """
    inner, outer = studentized_range(len(p), confidence ** (1 / joint)), quantile(confidence)
    low, high = limits(inner)
    lower = largest(lambda i, j: difference(p, limits, inner, i, j)[0], (p, low - p), (-p, p - high))
    low, high = limits(outer)
    upper = largest(lambda i, j: difference(p, limits, outer, i, j)[1], (p, high - p), (-p, p - low))
    return Interval(np.maximum(0.0, lower), np.minimum(widest, upper))


def min_max_ratio(p: FloatArray, limits: Limits, confidence: float, joint: int = 1) -> Interval:
    """Limits of min ÷ max over groups; the upper one is 1 where equality of all groups cannot be rejected.

    Args:
        p: (g, …) values, at least two, none of them nan; of more than ``ALL_PAIRS`` groups (g,).
        limits: their limits function.
        confidence: of the interval.
        joint: how many ratios are judged together (2 for equalized odds); only the upper limit pays for it.
    """
    outer, inner = quantile(confidence), studentized_range(len(p), confidence ** (1 / joint))
    low, high = limits(outer)
    lower = -largest(lambda i, j: -ratio(p, limits, outer, i, j)[0], (-p, p - low), (p, high - p))
    low, high = limits(inner)
    upper = -largest(lambda i, j: -ratio(p, limits, inner, i, j)[1], (-p, p - high), (p, low - p))
    return Interval(np.maximum(0.0, lower), np.minimum(1.0, upper))


def reference_maximum(p: FloatArray, limits: Limits, confidence: float, reference: int) -> Interval:
    """Limits of the largest |p_g − p_reference|: family-wise below, unadjusted above."""
    others = np.flatnonzero(np.arange(len(p)) != reference)
    low_s, high_s = difference(p, limits, sidak(len(others), confidence), others, reference)
    low_z, high_z = difference(p, limits, quantile(confidence), others, reference)
    lower = float(np.maximum(low_s, -high_s).max())
    return Interval(max(0.0, lower), min(1.0, float(np.maximum(high_z, -low_z).max())))


def spread(
    p: FloatArray,
    variance: FloatArray,
    half_width: FloatArray | float,
    confidence: float,
    joint: int = 1,
    widest: FloatArray | float = 1.0,
) -> Interval:
    """Limits of the population standard deviation over groups.

    Args:
        p: (g, …) values.
        variance: (g, …) sampling variance of each value, from smoothed counts.
        half_width: (…) the largest one-sided half width of a group's own interval, for the upper limit.
        confidence: of the interval.
        joint: how many spreads are judged together; only the lower limit pays for it.
        widest: (…) the largest gap that there can be; a standard deviation is half of it at the most.
    """
    g, v = len(p), variance
    apart = (p - p[0] - (p - p[0]).mean(0)) ** 2
    s, total = apart.sum(0), v.sum(0)
    t1, t2 = (1 - 1 / g) * total, (1 - 2 / g) * (v**2).sum(0) + total**2 / g**2
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.fmax(t2 / t1, (apart * v).sum(0) / s)
        nc = _noncentrality(np.atleast_1d(s / a), np.atleast_1d(t1 / a), 0.5 + confidence ** (1 / joint) / 2)
    sd = np.sqrt(s / g)
    # Where nothing varies, not the values, and not within any group, the lower limit is the estimate itself.
    low = np.where(t1 == 0, sd, np.sqrt(a * nc.reshape(np.shape(s)) / g))
    return Interval(low[()], np.minimum(np.asarray(widest) / 2, sd + half_width / np.sqrt(g)))


def _noncentrality(x: FloatArray, nu: FloatArray, tail: float) -> FloatArray:
    """(m,) λ at which noncentral χ² of ν degrees of freedom lies below x with that chance; 0 where it does so at none.

    In √λ the normal quantile of the chance is nearly a straight line, of slope −1.
    """

    def quantiles(i: IntArray, root: FloatArray) -> FloatArray:
        return np.asarray(-ndtri(chndtr(x[i], nu[i], root**2)))

    known = np.flatnonzero(chndtr(x, nu, 0.0) > tail)
    found = np.zeros_like(x)
    x, nu = x[known], nu[known]
    start = np.sqrt(np.maximum(x - nu, 0.0))
    wanted = np.full_like(x, -ndtri(tail))
    first = quantiles(np.arange(len(x)), start)
    found[known] = where_reached(quantiles, wanted, start, first, np.ones_like(x), np.inf, 1e-14) ** 2
    return found


def pairwise_mean(
    p: FloatArray, limits: Limits, confidence: float, widest: FloatArray | float = 1.0, joint: int = 1
) -> Interval:
    """Limits of the mean of |pᵢ − pⱼ| over pairs; the lower one is 0 where equality of all groups cannot be rejected.

    Below, the simultaneous lower limits of all pairs are averaged. Above, the mean is a linear combination of the values in
    their order, whose slopes are known; the order is not, so the widest interval meets the steepest slope.

    Args:
        p: (g, …) values, at least two, none of them nan; of more than ``ALL_PAIRS`` groups (g,).
        limits: their limits function.
        confidence: of the interval.
        widest: (…) the largest gap that there can be.
        joint: how many such means are judged together; only the lower limit pays for it.
    """
    g, inner = len(p), studentized_range(len(p), confidence ** (1 / joint))
    # Of the two orders of a pair only one can have a lower limit above 0, and a group differs from itself by nothing.
    if g > ALL_PAIRS:
        i, j = exceeding(p, limits(inner)[0])
    else:
        i, j = (every.ravel() for every in np.indices((g, g)))
    lower = np.maximum(difference(p, limits, inner, i, j)[0], 0.0)
    low, high = limits(quantile(confidence))
    half = np.sort(np.maximum(p - low, high - p), axis=0)
    slopes = np.sort(np.abs(2.0 * (2 * np.arange(g) + 1 - g) / (g * (g - 1)))).reshape(-1, *[1] * (p.ndim - 1))
    return Interval(
        2 * lower.sum(0) / (g * (g - 1)),
        np.minimum(widest, mean_apart(p) + np.sqrt(((slopes * half) ** 2).sum(0))),
    )


def mean_apart(p: FloatArray) -> FloatArray:
    """(…) mean of |pᵢ − pⱼ| over pairs of (g, …) values, at least two."""
    g, steps = len(p), np.diff(np.sort(p, axis=0), axis=0)
    # The step between the kth value and the next lies between k (g − k) pairs.
    pairs = np.arange(1, g) * np.arange(g - 1, 0, -1)
    return np.asarray(2 * (steps * pairs.reshape(-1, *[1] * (p.ndim - 1))).sum(0) / (g * (g - 1)))
