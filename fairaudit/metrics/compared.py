"""One metric of two models: how it changed in every group and over them, with intervals, p-values and what may be said.

A group's proportion with one denominator for both models (accuracy, true positive rate …) changes by the images that one
model alone gets counted: McNemar's test, and Bonett and Price's interval (2012). Other metrics, and models that saw other
images, have MOVER limits, into which the correlation of the two sides enters.

A gap or spread is different: where groups are alike, its estimate is too large by all of its lower half-width, and a
percentile bootstrap of the change, as well as MOVER, counts that as noise. In simulations of a model that closes the gap
of 7 or 14 groups, the percentile bootstrap covered the truth in 3 to 44 % of trials and MOVER in 82 to 96 %. So the two
intervals are subtracted, each at half the error (Bonferroni), which covers whatever the bias and the correlation. The mean
over groups has no such bias, and is the mean of changes that are independent of each other.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fairaudit.comparison import Change, Trend
from fairaudit.metrics import intervals
from fairaudit.metrics.change_limits import mover_change, mover_p
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.paired import Differing, holm
from fairaudit.metrics.rates import Direction, rate_named
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Estimate, Group

DEFINED = 0.9
"""Share of replicates in which a value must be defined for a test to rest on them."""

Over = Literal["mean", "gap", "spread", "worst_group"]
FOLLOWED: tuple[Over, ...] = ("mean", "gap", "spread", "worst_group")
"""What is followed over groups: their mean, each group counting once, and how far apart they lie."""

Replicates = tuple[FloatArray, FloatArray]
"""(B, g) of one metric, before and after."""


@dataclass(frozen=True)
class Question:
    """What is asked of two sides.

    Attributes:
        groups: (g,) attribute → level; (None,) for all images together.
        classes: (k,) names.
        positive: index of the class that plain metric names mean, or None.
        confidence: of every interval.
        min_support: smallest denominator that counts for kinds over groups.
        replicates: of the bootstrap and of the permutation test.
        seed: of both.
        families: how many models are compared with the first, for the correction.
        wanted: metrics to compare; empty takes all that are functions of counts.
    """

    groups: tuple[Group | None, ...]
    classes: tuple[str, ...]
    positive: int | None
    confidence: float
    min_support: int
    replicates: int
    seed: int
    families: int = 1
    wanted: tuple[Metric, ...] = ()

    def metrics(self, table: Table) -> list[Metric]:
        """Every metric that is compared through counts."""
        return list(self.wanted) or [m for m in table.catalogue() if rate_named(m.rate) or m.rate in STATISTICS]

    def table(self, counts: IntArray) -> Table:
        """Counts with the names of their classes."""
        return Table(counts, self.classes, self.positive)


@dataclass(frozen=True, eq=False)
class Compared:
    """One metric on both sides.

    Attributes:
        asked: what is asked.
        measures: before and after.
        null: replicates of both in a world in which nothing changed.
        correlation: (g,) of the two estimates where the images are the same; None where they are not.
        differing: the images that one side alone counts; None where the metric is no proportion of the same images.
        shared: in how many groups one person may be, of whom there are images in several; 1 where images are independent.
    """

    asked: Question
    measures: tuple[Measure, Measure]
    null: Replicates
    correlation: FloatArray | None = None
    differing: Differing | None = None
    shared: int = 1

    def changes(self) -> list[Change]:
        """Of every group, then over the groups that are usable on both sides."""
        found = self._groups()
        if len(self.asked.groups) > 1:
            floor = max(1, self.asked.min_support)
            keep = np.asarray((self.measures[0].support >= floor) & (self.measures[1].support >= floor))
            found += [self._over(kind, keep) for kind in FOLLOWED]
        return found

    def _limits(self, z: float) -> tuple[FloatArray, FloatArray]:
        """(g,) limits of every group's change."""
        if self.differing is not None:
            return self.differing.limits(z)
        none = np.zeros(len(self.measures[0].value))
        return mover_change(self.measures, z, none if self.correlation is None else self.correlation)

    def _tests(self, change: FloatArray) -> tuple[str, FloatArray, FloatArray]:
        """Which test, its p in every group, and the exact p where that is another."""
        none = np.full(len(change), np.nan)
        if self.differing is not None:
            return self.differing.test, self.differing.p, self.differing.p_exact
        if self.correlation is None:
            return "mover", mover_p(self.measures), none
        drawn = zip(change, self.null[0].T, self.null[1].T, strict=True)
        return "permutation", np.array([two_sided(d, b - a) for d, a, b in drawn]), none

    def _groups(self) -> list[Change]:
        """The change of every group, with p-values adjusted and intervals that hold together."""
        first, second = self.measures
        change = second.value - first.value
        tested = np.array([a is None and b is None for a, b in zip(first.reason, second.reason, strict=True)])
        low, high = self._limits(intervals.sidak(int(tested.sum()) * self.asked.families, self.asked.confidence))
        test, p, exact = self._tests(change)
        p = np.where(tested, p, np.nan)
        adjusted = holm(p, self.asked.families)
        alone = [m.interval(intervals.quantile(self.asked.confidence)) for m in self.measures]
        found = []
        for i, group in enumerate(self.asked.groups):
            sides = [
                Estimate(float(m.value[i]), float(one[0][i]), float(one[1][i]), int(m.support[i]), m.reason[i])
                for m, one in zip(self.measures, alone, strict=True)
            ]
            support = min(side.support for side in sides)
            if not tested[i]:
                why = "; ".join(dict.fromkeys(side.reason for side in sides if side.reason is not None))
                found.append(self._nothing(None, group, sides[0], sides[1], support, why))
                continue
            one = Change(first.key, None, group, sides[0], sides[1],
                         Estimate(float(change[i]), float(low[i]), float(high[i]), support),
                         float(p[i]), float(adjusted[i]), float(exact[i]), test)  # fmt: skip
            if self.differing is not None:
                one = replace(one, gained=int(self.differing.gained[i]), lost=int(self.differing.lost[i]))
            found.append(self._judged(one, both=test not in ("mcnemar", "mover")))
        return found

    def _over(self, kind: Over, keep: BoolArray) -> Change:
        """The change of a number over the groups that are usable on both sides."""
        direction = self.measures[0].direction
        left_out = len(keep) - int(keep.sum())
        reason = f"left out: {left_out} of {len(keep)} groups (undefined or too small on a side)" if left_out else None
        error = (1 - self.asked.confidence) / 2
        sides = [of_groups(m, keep) for m in self.measures]
        before, after = (self._number(m, kind, self.asked.confidence) for m in sides)
        before, after = (replace(e, reason=reason) if not math.isnan(e.value) else e for e in (before, after))
        support = min(before.support, after.support)
        if math.isnan(before.value) or math.isnan(after.value):
            return self._nothing(kind, None, before, after, support, before.reason or after.reason or "undefined")
        change = after.value - before.value
        if kind == "mean":
            limits = self._mean_change(keep)
        else:
            wide = [self._number(m, kind, 1 - error / self.asked.families) for m in sides]
            limits = wide[1].ci_low - wide[0].ci_high, wide[1].ci_high - wide[0].ci_low
        null = [group_statistic(x[:, keep], kind, direction) for x in self.null]
        p = two_sided(change, null[1] - null[0])
        one = Change(self.measures[0].key, kind, None, before, after, Estimate(change, *limits, support, reason),
                     p, min(1.0, p * self.asked.families), test="permutation")  # fmt: skip
        return self._judged(one, both=True)

    def _number(self, measure: Measure, kind: Over, confidence: float) -> Estimate:
        if kind != "mean":
            return Comparison(confidence, None, self.asked.min_support).over_groups([measure], kind).estimate
        if len(measure.value) < 2:
            return Estimate(math.nan, math.nan, math.nan, 0, "undefined: fewer than two groups have enough support")
        low, high = measure.limits(intervals.quantile(confidence))
        mean, down, up = mean_of(measure.value, low, high, self.shared)
        limits = max(mean - down, measure.least), min(mean + up, measure.most)
        return Estimate(mean, *limits, int(measure.support.min()))

    def _mean_change(self, keep: BoolArray) -> tuple[float, float]:
        low, high = self._limits(intervals.sidak(self.asked.families, self.asked.confidence))
        change = self.measures[1].value - self.measures[0].value
        mean, down, up = mean_of(change[keep], low[keep], high[keep], self.shared)
        return mean - down, mean + up

    def _judged(self, one: Change, both: bool) -> Change:
        """With its trend; where the test's null is wider than "no change", the interval must agree with it."""
        shown = one.p_adjusted <= 1 - self.asked.confidence
        if both:
            shown = shown and not one.change.ci_low <= 0 <= one.change.ci_high
        if not shown or one.change.value == 0:
            return one
        return replace(one, trend=trend(one.change.value, one.kind, self.measures[0].direction))

    def _nothing(
        self, kind: str | None, group: Group | None, before: Estimate, after: Estimate, support: int, why: str
    ) -> Change:
        empty = Estimate(math.nan, math.nan, math.nan, support, why)
        return Change(self.measures[0].key, kind, group, before, after, empty)


def of_groups(measure: Measure, keep: BoolArray) -> Measure:
    """A measure of some of its groups.

    Args:
        measure: the measure.
        keep: (g,) which groups.
    """

    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        low, high = measure.limits(z)
        return low[keep], high[keep]

    def interval(z: float) -> tuple[FloatArray, FloatArray]:
        low, high = measure.interval(z)
        return low[keep], high[keep]

    return replace(
        measure,
        value=measure.value[keep],
        support=measure.support[keep],
        reason=tuple(why for why, kept in zip(measure.reason, keep, strict=True) if kept),
        limits=limits,
        interval=interval,
        variance=measure.variance[keep],
    )


def mean_of(value: FloatArray, low: FloatArray, high: FloatArray, shared: int) -> tuple[float, float, float]:
    """The mean of independent numbers, and how far its limits lie below and above it (MOVER).

    Args:
        value: (g,) numbers.
        low: (g,) their lower limits.
        high: (g,) their upper limits.
        shared: how many of the numbers one person can move; by Cauchy and Schwarz the variance of their sum is at most that
            many times the sum of their variances.
    """
    down = math.sqrt(shared * float(((value - low) ** 2).sum())) / len(value)
    up = math.sqrt(shared * float(((high - value) ** 2).sum())) / len(value)
    return float(value.mean()), down, up


def trend(change: float, kind: str | None, direction: Direction) -> Trend:
    """What a change that the data show is called."""
    if kind in ("gap", "spread"):
        return Trend.BETTER if change < 0 else Trend.WORSE
    if direction is Direction.NONE:
        return Trend.HIGHER if change > 0 else Trend.LOWER
    return Trend.BETTER if change * int(direction) > 0 else Trend.WORSE


def group_statistic(value: FloatArray, kind: Over, direction: Direction) -> FloatArray:
    """Mean, gap, spread or worst value over the last axis; nan where none is defined.

    Of gap, spread and worst group undefined groups are left out; a mean without one of its groups would be another mean.
    """
    if kind == "mean":
        return np.asarray(value.mean(-1)) if value.shape[-1] else np.full(value.shape[:-1], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices that are all nan
        if kind == "gap":
            return np.asarray(np.nanmax(value, -1) - np.nanmin(value, -1))
        if kind == "spread":
            return np.asarray(np.nanstd(value, -1))
        return np.asarray(np.nanmax(value, -1) if direction is Direction.LOWER else np.nanmin(value, -1))


def two_sided(change: float, null: FloatArray) -> float:
    """Permutation p (Phipson & Smyth 2010): the observed one is among the permutations, so p is never 0.

    Args:
        change: what was observed.
        null: (B,) what was seen where nothing changed, nan where it was undefined.
    """
    known = null[~np.isnan(null)]
    if len(known) < max(1, DEFINED * len(null)):
        return math.nan
    # Equal fractions that were summed in another order differ in the last bits, and are ties all the same.
    return (1 + int((np.abs(known) >= abs(change) - 1e-12).sum())) / (1 + len(known))


def correlation(before: FloatArray, after: FloatArray) -> FloatArray:
    """(g,) correlation over replicates of the two sides' values.

    Args:
        before: (B, g) replicates, nan where undefined.
        after: (B, g) likewise.
    """
    return np.array([_correlation(a, b) for a, b in zip(before.T, after.T, strict=True)])


def _correlation(before: FloatArray, after: FloatArray) -> float:
    known = ~(np.isnan(before) | np.isnan(after))
    if known.sum() < max(2, DEFINED * len(before)):
        return 0.0
    a, b = before[known] - before[known].mean(), after[known] - after[known].mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else 0.0
