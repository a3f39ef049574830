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
from scipy.special import betaincinv, chndtr, ndtr, ndtri

from fairaudit.predictions import BoolArray, FloatArray, IntArray

Limits = Callable[[float], tuple[FloatArray, FloatArray]]


class Interval(NamedTuple):
    """Lower and upper limit."""

    low: float
    high: float


def quantile(confidence: float) -> float:
    """Two-sided normal quantile: 1.96 at 0.95."""
    return float(ndtri(0.5 + confidence / 2))


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


def clopper_pearson(x: FloatArray, n: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    """Clopper and Pearson's exact limits (1934), each with tail 1 − Φ(z); nan where n is 0."""
    x, n = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    tail = float(ndtr(-z))
    low = np.where(x > 0, betaincinv(np.maximum(x, 1e-300), n - x + 1, tail), 0.0)
    high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1e-300), 1 - tail), 1.0)
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
    s_low, s_high = (np.nan_to_num(limit, nan=default) for limit, default in
                     zip(clopper_pearson(fn, wrong, z), (0.0, 1.0), strict=True))  # fmt: skip
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


def gap(p: FloatArray, limits: Limits, confidence: float, joint: int = 1, widest: float = 1.0) -> Interval:
    """Limits of max − min over groups; the lower one is 0 where equality of all groups cannot be rejected.

    Args:
        p: (g,) values, at least two, none of them nan.
        limits: their limits function.
        confidence: of the interval.
        joint: how many gaps are judged together (2 for equalized odds); only the lower limit pays for it.
        widest: the largest gap that there can be.
    """
    i, j = _pairs(len(p))
    lower, _ = difference(p, limits, studentized_range(len(p), confidence ** (1 / joint)), i, j)
    _, upper = difference(p, limits, quantile(confidence), i, j)
    apart = _apart(len(p))
    return Interval(max(0.0, float(lower[apart].max())), min(widest, float(upper[apart].max())))


def min_max_ratio(p: FloatArray, limits: Limits, confidence: float, joint: int = 1) -> Interval:
    """Limits of min ÷ max over groups; the upper one is 1 where equality of all groups cannot be rejected.

    Args:
        p: (g,) values, at least two, none of them nan.
        limits: their limits function.
        confidence: of the interval.
        joint: how many ratios are judged together (2 for equalized odds); only the upper limit pays for it.
    """
    i, j = _pairs(len(p))
    lower, _ = ratio(p, limits, quantile(confidence), i, j)
    _, upper = ratio(p, limits, studentized_range(len(p), confidence ** (1 / joint)), i, j)
    apart = _apart(len(p))
    return Interval(max(0.0, float(lower[apart].min())), min(1.0, float(upper[apart].min())))


def reference_maximum(p: FloatArray, limits: Limits, confidence: float, reference: int) -> Interval:
    """Limits of the largest |p_g − p_reference|: family-wise below, unadjusted above."""
    others = np.flatnonzero(np.arange(len(p)) != reference)
    low_s, high_s = difference(p, limits, sidak(len(others), confidence), others, reference)
    low_z, high_z = difference(p, limits, quantile(confidence), others, reference)
    lower = float(np.maximum(low_s, -high_s).max())
    return Interval(max(0.0, lower), min(1.0, float(np.maximum(high_z, -low_z).max())))


def spread(
    p: FloatArray, variance: FloatArray, half_width: float, confidence: float, joint: int = 1, widest: float = 1.0
) -> Interval:
    """Limits of the population standard deviation over groups.

    Args:
        p: (g,) values.
        variance: (g,) sampling variance of each value, from smoothed counts.
        half_width: the largest one-sided half width of a group's own interval, for the upper limit.
        confidence: of the interval.
        joint: how many spreads are judged together; only the lower limit pays for it.
        widest: the largest gap that there can be; a standard deviation is half of it at the most.
    """
    g, v = len(p), variance
    s = float(((p - p.mean()) ** 2).sum())
    t1 = (1 - 1 / g) * float(v.sum())
    if t1 == 0:  # nothing varies: not the values, and not within any group
        return Interval(float(np.sqrt(s / g)), min(widest / 2, float(np.sqrt(s / g)) + half_width / float(np.sqrt(g))))
    t2 = (1 - 2 / g) * float((v**2).sum()) + float(v.sum()) ** 2 / g**2
    a = t2 / t1
    if s > 0:
        a = max(a, float(((p - p.mean()) ** 2 * v).sum()) / s)
    nu, tail, x = t1 / a, 0.5 + confidence ** (1 / joint) / 2, s / a
    nc = 0.0
    if chndtr(x, nu, 0.0) > tail:
        low, high = 0.0, 1.0
        while chndtr(x, nu, high) > tail:
            high *= 2
        for _ in range(100):
            nc = (low + high) / 2
            low, high = (nc, high) if chndtr(x, nu, nc) > tail else (low, nc)
    return Interval(float(np.sqrt(a * nc / g)), min(widest / 2, float(np.sqrt(s / g)) + half_width / float(np.sqrt(g))))


def pairwise_mean(p: FloatArray, limits: Limits, confidence: float, widest: float = 1.0, joint: int = 1) -> Interval:
    """Limits of the mean of |pᵢ − pⱼ| over pairs; the lower one is 0 where equality of all groups cannot be rejected.

    Below, the simultaneous lower limits of all pairs are averaged. Above, the mean is a linear combination of the values in
    their order, whose slopes are known; the order is not, so the widest interval meets the steepest slope.
    """
    i, j = _pairs(len(p))
    lower, _ = difference(p, limits, studentized_range(len(p), confidence ** (1 / joint)), i, j)
    low, high = limits(quantile(confidence))
    half = np.sort(np.maximum(p - low, high - p))
    g = len(p)
    slopes = np.sort(np.abs(2.0 * (2 * np.arange(1, g + 1) - g - 1) / (g * (g - 1))))
    apart = _apart(g)
    estimate = float(np.abs(p[i] - p[j])[apart].mean())
    # Of the two orders of a pair only one can have a lower limit above 0.
    return Interval(
        2 * float(np.maximum(lower[apart], 0.0).mean()),
        min(widest, estimate + float(np.sqrt(((slopes * half) ** 2).sum()))),
    )


def _pairs(g: int) -> tuple[IntArray, IntArray]:
    """(g, 1) and (1, g) indices: of 400 groups, what depends on one of a pair is computed 400 times and not 159,600."""
    every = np.arange(g)
    return every[:, None], every[None]


def _apart(g: int) -> BoolArray:
    return ~np.eye(g, dtype=np.bool_)
