"""What limits of groups come to, for all trials of a cell at once.

The package combines the limits of one audit. Here the same is written anew with an axis of trials behind that of the
groups; the tests hold the two to each other, trial by trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import chndtr

from fairaudit.metrics import intervals
from fairaudit.metrics.intervals import Limits
from fairaudit.predictions import BoolArray, FloatArray

CONFIDENCE = 0.95
Z = intervals.quantile(CONFIDENCE)
Sides = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One metric in every group of every trial.

    Attributes:
        rate: (g, trials) its values.
        limits: their limits at any quantile, (g, trials) each.
        alone: limits of a group standing alone.
        variance: (g, trials) sampling variance from smoothed counts.
    """

    rate: FloatArray
    limits: Limits
    alone: Limits
    variance: FloatArray


def over_pairs(drawn: Drawn, law: Callable[..., Sides], z: float) -> Iterator[Sides]:
    """Limits of all ordered pairs of different groups, (g − 1, trials) for one first of the pair at a time."""
    rate, limits = drawn.rate, drawn.limits(z)
    for i in range(len(drawn.rate)):
        yield law(rate, lambda _: limits, z, [i], np.flatnonzero(np.arange(len(drawn.rate)) != i))


def simultaneous(drawn: Drawn, joint: int = 1) -> float:
    """The quantile for all pairs of groups, where so many gaps are judged together."""
    return intervals.studentized_range(len(drawn.rate), CONFIDENCE ** (1 / joint))


def lower_gaps(drawn: Drawn, joint: int = 1) -> Sides:
    """(trials,) the largest lower limit of all pairs at once, and the mean of those above 0 over unordered pairs."""
    sides = [below for below, _ in over_pairs(drawn, intervals.difference, simultaneous(drawn, joint))]
    most = np.maximum(np.max([below.max(0) for below in sides], axis=0), 0.0)
    g = len(drawn.rate)
    return most, 2 * np.sum([np.maximum(below, 0.0).sum(0) for below in sides], axis=0) / (g * (g - 1))


def upper_gap(drawn: Drawn) -> FloatArray:
    """(trials,) the largest upper limit of any pair alone."""
    sides = [above.max(0) for _, above in over_pairs(drawn, intervals.difference, Z)]
    return np.asarray(np.minimum(np.max(sides, axis=0), 1.0))


def min_max_ratio(drawn: Drawn) -> Sides:
    """(trials,) limits of min ÷ max: any pair alone below, all pairs at once above."""
    low = np.min([below.min(0) for below, _ in over_pairs(drawn, intervals.ratio, Z)], axis=0)
    high = np.min([above.min(0) for _, above in over_pairs(drawn, intervals.ratio, simultaneous(drawn))], axis=0)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def against_first(drawn: Drawn, ratio: bool = False) -> Sides:
    """(g − 1, trials) limits of every other group against the first, all at once."""
    g = len(drawn.rate)
    s = intervals.sidak(g - 1, CONFIDENCE)
    law = intervals.ratio if ratio else intervals.difference
    return law(drawn.rate, drawn.limits, s, np.arange(1, g), [0])


def largest_against_first(drawn: Drawn) -> Sides:
    """(trials,) limits of the largest |difference| from the first group."""
    g = len(drawn.rate)
    low_s, high_s = against_first(drawn)
    low_z, high_z = intervals.difference(drawn.rate, drawn.limits, Z, np.arange(1, g), [0])
    lower, upper = np.maximum(low_s, -high_s).max(0), np.maximum(high_z, -low_z).max(0)
    return np.maximum(lower, 0.0), np.minimum(upper, 1.0)


def worst(drawn: Drawn) -> Sides:
    """(trials,) limits of the lowest rate: plain below, family-wise above."""
    return drawn.limits(Z)[0].min(0), drawn.limits(intervals.sidak(len(drawn.rate), CONFIDENCE))[1].min(0)


def pairwise_mean(drawn: Drawn, lower: FloatArray) -> Sides:
    """(trials,) limits of the mean |difference| over pairs, with the lower one known."""
    g = len(drawn.rate)
    p, (low, high) = drawn.rate, drawn.limits(Z)
    half = np.sort(np.maximum(p - low, high - p), axis=0)
    slopes = np.sort(np.abs(2 * (2 * np.arange(1, g + 1) - g - 1) / (g * (g - 1))))[:, None]
    return lower, np.minimum(1.0, mean_difference(p) + np.sqrt(((slopes * half) ** 2).sum(0)))


def mean_difference(p: FloatArray) -> FloatArray:
    """Mean of |pᵢ − pⱼ| over pairs of the first axis: each value counts by how many are below it less how many above."""
    g = len(p)
    sign = (2 * np.arange(1, g + 1) - g - 1).reshape(-1, *[1] * (p.ndim - 1))
    return np.asarray((sign * np.sort(p, axis=0)).sum(0) * 2 / (g * (g - 1)))


def spread_covers(drawn: Drawn, truth: float) -> BoolArray:
    """(trials,) whether the interval of the standard deviation contains it.

    The lower limit is at most σ exactly if the noncentral χ² distribution that belongs to σ leaves the sample its tail: no
    limit need be searched.
    """
    p, v, g = drawn.rate, drawn.variance, len(drawn.rate)
    s = ((p - p.mean(0)) ** 2).sum(0)
    t1 = (1 - 1 / g) * v.sum(0)
    a = ((1 - 2 / g) * (v**2).sum(0) + v.sum(0) ** 2 / g**2) / t1
    a = np.where(s > 0, np.maximum(a, ((p - p.mean(0)) ** 2 * v).sum(0) / np.where(s > 0, s, 1.0)), a)
    below = chndtr(s / a, t1 / a, g * truth**2 / a) <= 0.5 + CONFIDENCE / 2 + 1e-12
    low, high = drawn.alone(Z)
    half = np.maximum(p - low, high - p).max(0)
    return np.asarray(below & (truth <= np.minimum(0.5, p.std(0) + half / np.sqrt(g)) + 1e-9))


@dataclass(frozen=True, eq=False)
class Result:
    """What one kind of interval did in all trials of a cell.

    Attributes:
        covers: (trials,) whether it contained the truth, or all of them where there are several; where the package says
            "undefined" instead of an interval, it is not asked.
        below: share of trials in which it lay below the truth; nan where that has no meaning.
        above: share in which it lay above.
        sides: (…, trials) its limits, where they were needed.
    """

    covers: BoolArray
    below: float = np.nan
    above: float = np.nan
    sides: Sides | None = None

    @property
    def coverage(self) -> float:
        """Share of the trials."""
        return float(self.covers.mean())


def results(drawn: Drawn, truth: FloatArray) -> dict[str, Result]:
    """Every kind of interval over the groups of a cell.

    Args:
        drawn: what was drawn.
        truth: (g,) the true values.
    """
    (lower, mean), smallest = lower_gaps(drawn), min_max_ratio(drawn)
    differences, ratios = against_first(drawn), against_first(drawn, ratio=True)
    p, defined = drawn.rate, (drawn.rate[0] > 0) | (drawn.rate[1:] > 0)
    apart = _within(differences, (truth[1:] - truth[0])[:, None])
    held = _within(ratios, (truth[1:] / truth[0])[:, None]) | ~defined
    return {
        "gap": _result((lower, upper_gap(drawn)), float(np.ptp(truth))),
        "min_max_ratio": Result(_within(smallest, truth.min() / truth.max())[p.max(0) > 0], sides=smallest),
        "pairwise_mean": _result(pairwise_mean(drawn, mean), float(mean_difference(truth))),
        "worst_group": _result(worst(drawn), float(truth.min())),
        "largest difference": _result(largest_against_first(drawn), float(np.abs(truth - truth[0]).max())),
        "difference": Result(np.asarray(apart.all(0)), sides=differences),
        "ratio": Result(np.asarray(held.all(0)), sides=ratios),
        "spread": Result(spread_covers(drawn, float(truth.std()))),
    }


def equalized_odds(first: Drawn, p: FloatArray, second: Drawn, q: FloatArray) -> Result:
    """The larger of two gaps, judged together."""
    lower, upper = (np.maximum(one(first), one(second)) for one in (lambda d: lower_gaps(d, 2)[0], upper_gap))
    return _result((lower, upper), float(max(np.ptp(p), np.ptp(q))))


def _within(sides: Sides, truth: FloatArray | float) -> BoolArray:
    return np.asarray((sides[0] <= truth + 1e-9) & (truth <= sides[1] + 1e-9))


def _result(sides: Sides, truth: float) -> Result:
    below, above = float((sides[1] < truth - 1e-9).mean()), float((sides[0] > truth + 1e-9).mean())
    return Result(_within(sides, truth), below, above, sides)
