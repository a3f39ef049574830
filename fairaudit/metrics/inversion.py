"""Inversion: the quantile at which the interval of a difference just reaches 0, and the p-value that this is.

Intervals of differences are MOVER's (``intervals.difference``): √((a − l)² + (u − b)²) below a − b, where l is the lower
limit of the larger value a and u the upper limit of the smaller value b at the same quantile z. The interval reaches 0
where that root is d = a − b.

Of proportions with exact limits the tail is a function of the limit, not the other way round: at l = a − d cos θ and
u = b + d sin θ the root is d for every θ, the z of l falls as θ grows and the z of u rises, and where they meet is the z
that is sought. Before they meet, it lies between them, so that the error is known at every step. Other limits are known
by z alone, and z is found by secants.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, ndtr, ndtri

from fairaudit.metrics.intervals import quantile, sidak
from fairaudit.metrics.measure import Measure
from fairaudit.metrics.roots import where_reached
from fairaudit.predictions import FloatArray, IntArray

FARTHEST = 8.0
"""A p-value of 1.2e-15; what is known of the tails of a sample goes no farther."""

_CLOSE = 1e-10
_STEPS = 60


def p_of(z: FloatArray) -> FloatArray:
    """Two-sided p-value of quantiles; 1 where z is not above 0."""
    return np.asarray(2 * ndtr(-np.clip(z, 0.0, FARTHEST)))


def exact_p(larger: FloatArray, smaller: FloatArray, bend: FloatArray, start: FloatArray) -> FloatArray:
    """Two-sided p-values of "no difference" between what is made of proportions with exact limits, see ``Trials``.

    Args:
        larger: (3, m) values, numerators and denominators of the larger ones.
        smaller: (3, m) the same of the smaller ones.
        bend: (m,) how values are made of proportions.
        start: (m,) θ to start from.
    """
    (a, x, n), (b, y, k) = larger, smaller
    d = a - b

    def tails(i: IntArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = np.maximum(a[i] - d[i] * np.cos(theta), 0.0), np.minimum(b[i] + d[i] * np.sin(theta), 1.0)
        low, high = (v / (bend[i] - (bend[i] - 1) * v) for v in (low, high))
        below, above = betainc(x[i], n[i] - x[i] + 1, low), betainc(k[i] - y[i], y[i] + 1, 1 - high)
        return -ndtri(np.maximum(below, 1e-300)), -ndtri(np.maximum(above, 1e-300))

    z = np.empty_like(d)
    open_, theta = np.arange(len(d)), start
    left, right = np.zeros_like(d), np.full_like(d, np.pi / 2)
    before = low_before = high_before = np.full_like(d, np.nan)
    for step in range(_STEPS):
        of_low, of_high = tails(open_, theta)
        apart = of_low - of_high
        left, right = np.where(apart > 0, theta, left), np.where(apart > 0, right, theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            if step:
                falls, rises = (of_low - low_before) / (theta - before), (of_high - high_before) / (theta - before)
            else:  # if both were straight in cos θ and in sin θ
                falls, rises = -np.maximum(of_low, 0.0) * np.tan(theta), np.maximum(of_high, 0.0) / np.tan(theta)
            new = theta + apart / (rises - falls)
            straight = (new > left) & (new < right)
            # The error of a secant's step is the product of the two before it, times a curvature that is small.
            near = straight & (np.abs((new - theta) * (theta - before)) <= _CLOSE)
            met = np.where(near, of_low + falls * (new - theta), (of_low + of_high) / 2)
        z[open_] = np.clip(met, np.minimum(of_low, of_high), np.maximum(of_low, of_high))
        more = ~near & (np.abs(apart) > _CLOSE) & (np.maximum(of_low, of_high) > 0)
        more &= (np.minimum(of_low, of_high) < FARTHEST) & (right - left > 1e-14)
        if not more.any():
            break
        new = np.where(straight, new, (left + right) / 2)
        open_, before, low_before, high_before = open_[more], theta[more], of_low[more], of_high[more]
        theta, left, right = new[more], left[more], right[more]
    return p_of(z)


def inverted_p(measure: Measure, others: IntArray, privileged: int, confidence: float) -> FloatArray:
    """Two-sided p-values of "no difference" from the privileged group, whatever the limits of the measure are.

    Args:
        measure: the metric in every group.
        others: (m,) groups whose value is defined and is not the privileged group's.
        privileged: the privileged group, whose value is defined.
        confidence: of the audit's intervals, whose limits are known; the search begins there.
    """
    value, base = measure.value[others], measure.value[privileged]
    above, d = value > base, np.abs(value - base)

    def reach(own: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray], i: IntArray | slice) -> FloatArray:
        inner = np.where(above[i], value[i] - own[0], own[1] - value[i])
        return np.asarray(np.hypot(inner, np.where(above[i], other[1] - base, base - other[0])))

    def at(i: IntArray, z: FloatArray) -> FloatArray:
        groups = np.concatenate([others[i], np.full(len(i), privileged)])
        low, high = measure.limits(np.concatenate([z, z]), groups)
        m = len(i)
        return reach((low[:m], high[:m]), (low[m:], high[m:]), i)

    def known(z: float) -> FloatArray:
        low, high = measure.limits(z)
        return reach((low[others], high[others]), (low[privileged], high[privileged]), slice(None))

    # Quantiles that an audit asks of all groups anyway.
    start, farther = quantile(confidence), sidak(len(measure.value) - 1, confidence)
    first = known(start)
    slope = first / start if farther == start else (known(farther) - first) / (farther - start)
    return p_of(where_reached(at, d, np.full_like(d, start), first, slope, FARTHEST, _CLOSE))


def exact_start(down: FloatArray, up: FloatArray, d: FloatArray, z: tuple[float, float]) -> FloatArray:
    """(m,) θ at about the z that ``exact_p`` seeks, from half widths at two quantiles.

    Args:
        down: (2, m) how far the larger value's lower limit lies below it.
        up: (2, m) how far the smaller value's upper limit lies above it.
        d: (m,) their difference.
        z: the quantiles.
    """
    root = np.hypot(down, up)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num((d - root[0]) / (root[1] - root[0]), nan=0.0)
    low, high = -z[0] / (z[1] - z[0]), (FARTHEST - z[0]) / (z[1] - z[0])
    share = np.clip(share, low, high)
    across, along = (np.maximum(side[0] + share * (side[1] - side[0]), 1e-9) for side in (up, down))
    return np.asarray(np.arctan2(across, along))
