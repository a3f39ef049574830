"""Changes: every metric of every group before and after, and how far apart the groups lie before and after.

A group's proportion with one denominator for both models (accuracy, true positive rate …) changes by the images that one
model alone gets counted: McNemar's test, and Bonett and Price's interval (2012). Other metrics, and models that saw other
images, have MOVER limits, into which the correlation of the two sides enters as the paired bootstrap finds it.

A gap or spread is different: where groups are alike, its estimate is too large by all of its lower half-width, and a
percentile bootstrap of the change, as well as MOVER, counts that as noise. In simulations of a model that closes the gap
of 7 or 14 groups, the percentile bootstrap covered the truth in 3 to 44 % of trials and MOVER in 82 to 96 %. So the two
intervals are subtracted, each at half the error (Bonferroni), which covers whatever the bias and the correlation.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from fairaudit.comparison import Change, Trend
from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import OVER_GROUPS, Comparison, Kind
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.paired import PairedCounts, Sides, holm, mcnemar, values
from fairaudit.metrics.rates import RATES, Direction
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Estimate, Group

DEFINED = 0.9
"""Share of replicates in which a value must be defined for a test or correlation to rest on them."""


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

    def metrics(self) -> list[Metric]:
        """Every metric that is compared."""
        if self.wanted:
            return list(self.wanted)
        empty = np.zeros((1, len(self.classes), len(self.classes)), dtype=np.int64)
        return [m for m in Table(empty, self.classes, self.positive).catalogue() if m.rate in RATES]

    def table(self, counts: IntArray) -> Table:
        """Counts with the names of their classes."""
        return Table(counts, self.classes, self.positive)


def paired_changes(counts: PairedCounts, asked: Question) -> list[Change]:
    """Changes between two models that saw the same images."""
    rng, metrics = np.random.default_rng(asked.seed), asked.metrics()
    resampled = _evaluated(counts.resampled(asked.replicates, rng), metrics)
    null = _evaluated(counts.swapped(asked.replicates, rng), metrics)
    return list(_changes(counts.sides(), asked, counts, resampled, null))


def unpaired_changes(before: IntArray, after: IntArray, asked: Question) -> list[Change]:
    """Changes between two models that saw different images.

    Args:
        before: (g, k, k) counts of the first.
        after: (g, k, k) counts of the second.
        asked: what is asked.
    """
    null = _evaluated(_reshuffled(before, after, asked), asked.metrics())
    return list(_changes((before, after), asked, None, None, null))


def group_statistic(value: FloatArray, kind: Kind, direction: Direction) -> FloatArray:
    """Gap, spread or worst value over the last axis, leaving undefined groups out; nan where none is defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices that are all nan
        if kind == "gap":
            return np.asarray(np.nanmax(value, -1) - np.nanmin(value, -1))
        if kind == "spread":
            return np.asarray(np.nanstd(value, -1))
        return np.asarray(np.nanmax(value, -1) if direction is Direction.LOWER else np.nanmin(value, -1))


Replicates = tuple[FloatArray, FloatArray]
"""(B, g) of one metric, before and after."""


def _evaluated(drawn: Iterator[Sides], metrics: list[Metric]) -> list[Replicates]:
    """Replicates of every metric; counts are let go batch by batch."""
    batches = [(values(first, metrics), values(second, metrics)) for first, second in drawn]
    return [
        (np.concatenate([first[i] for first, _ in batches]), np.concatenate([second[i] for _, second in batches]))
        for i in range(len(metrics))
    ]


def _changes(
    sides: Sides,
    asked: Question,
    counts: PairedCounts | None,
    resampled: list[Replicates] | None,
    null: list[Replicates],
) -> Iterator[Change]:
    tables = [asked.table(side) for side in sides]
    for i, metric in enumerate(asked.metrics()):
        first, second = (table.measure(metric) for table in tables)
        rule = _Rule(asked, metric, (first, second), None if resampled is None else resampled[i], null[i])
        yield from rule.groups(None if counts is None else counts.discordant(metric))
        if len(asked.groups) > 1:
            keep = _usable(rule.measures, asked.min_support)
            yield from (rule.over(kind, keep, sides) for kind in OVER_GROUPS)


@dataclass(frozen=True, eq=False)
class _Rule:
    """One metric on both sides."""

    asked: Question
    metric: Metric
    measures: tuple[Measure, Measure]
    resampled: Replicates | None
    null: Replicates

    def groups(self, discordant: tuple[IntArray, IntArray, IntArray] | None) -> list[Change]:
        """The change of every group, with p-values adjusted and intervals that hold together."""
        first, second = self.measures
        change = second.value - first.value
        tested = np.array([a is None and b is None for a, b in zip(first.reason, second.reason, strict=True)])
        z = intervals.sidak(int(tested.sum()) * self.asked.families, self.asked.confidence)
        exact = np.full(len(change), np.nan)
        if discordant is not None:
            gained, lost, n = discordant
            exact, p = mcnemar(gained, lost)
            low, high = bonett_price(gained, lost, n, z)
            test = "mcnemar"
        else:
            drawn = self.resampled
            r = np.zeros(len(change)) if drawn is None else np.array([_correlation(*g) for g in _by_group(drawn)])
            low, high = mover_change(self.measures, z, r)
            if drawn is None:
                p, test = mover_p(self.measures), "mover"
            else:
                p = np.array([_two_sided(d, b - a) for d, (a, b) in zip(change, _by_group(self.null), strict=True)])
                test = "permutation"
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
            one = Change(self.measures[0].key, None, group, sides[0], sides[1],
                         Estimate(float(change[i]), float(low[i]), float(high[i]), support),
                         float(p[i]), float(adjusted[i]), float(exact[i]), test)  # fmt: skip
            if discordant is not None:
                one = replace(one, gained=int(gained[i]), lost=int(lost[i]))
            found.append(self._judged(one, both=test == "permutation"))
        return found

    def over(self, kind: Kind, keep: BoolArray, sides: Sides) -> Change:
        """The change of a number over the groups that are usable on both sides."""
        direction = self.measures[0].direction
        left_out = len(keep) - int(keep.sum())
        reason = f"left out: {left_out} of {len(keep)} groups (undefined or too small on a side)" if left_out else None
        error = (1 - self.asked.confidence) / 2
        tight, wide = ([self._number(side[keep], kind, c) for side in sides]
                       for c in (self.asked.confidence, 1 - error / self.asked.families))  # fmt: skip
        before, after = (replace(e, reason=reason) if not math.isnan(e.value) else e for e in tight)
        support = min(before.support, after.support)
        if math.isnan(before.value) or math.isnan(after.value):
            return self._nothing(kind, None, before, after, support, before.reason or "undefined")
        change = after.value - before.value
        limits = wide[1].ci_low - wide[0].ci_high, wide[1].ci_high - wide[0].ci_low
        null = [group_statistic(x[:, keep], kind, direction) for x in self.null]
        p = _two_sided(change, null[1] - null[0])
        one = Change(self.measures[0].key, kind, None, before, after, Estimate(change, *limits, support, reason),
                     p, min(1.0, p * self.asked.families), test="permutation")  # fmt: skip
        return self._judged(one, both=True)

    def _number(self, counts: IntArray, kind: Kind, confidence: float) -> Estimate:
        measure = self.asked.table(counts).measure(self.metric)
        return Comparison(confidence, None, self.asked.min_support).over_groups([measure], kind).estimate

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


def trend(change: float, kind: str | None, direction: Direction) -> Trend:
    """What a change that the data show is called."""
    if kind in ("gap", "spread"):
        return Trend.BETTER if change < 0 else Trend.WORSE
    if direction is Direction.NONE:
        return Trend.HIGHER if change > 0 else Trend.LOWER
    return Trend.BETTER if change * int(direction) > 0 else Trend.WORSE


def bonett_price(gained: IntArray, lost: IntArray, n: IntArray, z: float) -> tuple[FloatArray, FloatArray]:
    """Limits of the difference of two proportions of the same images (Bonett & Price 2012): Wald with one image added each.

    Args:
        gained: (…) images counted by the second only.
        lost: (…) images counted by the first only.
        n: (…) images.
        z: quantile of each side.
    """
    size = n + 2.0
    up, down = (gained + 1) / size, (lost + 1) / size
    centre, half = up - down, z * np.sqrt((up + down - (up - down) ** 2) / size)
    return np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)


def mover_change(measures: tuple[Measure, Measure], z: float, correlation: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Limits of after − before by MOVER for correlated estimates (Zou & Donner 2008).

    Args:
        measures: before and after.
        z: quantile of each side.
        correlation: (g,) of the two estimates, 0 for other images.
    """
    first, second = measures
    (low1, high1), (low2, high2) = first.limits(z), second.limits(z)
    d = second.value - first.value
    down1, up1, down2, up2 = first.value - low1, high1 - first.value, second.value - low2, high2 - second.value
    below = np.sqrt(np.maximum(down2**2 + up1**2 - 2 * correlation * down2 * up1, 0.0))
    above = np.sqrt(np.maximum(up2**2 + down1**2 - 2 * correlation * up2 * down1, 0.0))
    return np.maximum(d - below, -1.0), np.minimum(d + above, 1.0)


def mover_p(measures: tuple[Measure, Measure]) -> FloatArray:
    """(g,) two-sided p of no change between other images: where the MOVER interval would just reach 0."""
    grid = np.linspace(0.0, 8.2, 165)
    none = np.zeros(len(measures[0].value))
    reach = [mover_change(measures, float(z), none) for z in grid]
    d = measures[1].value - measures[0].value
    nearest = np.where(d > 0, [low for low, _ in reach], -np.array([high for _, high in reach]))
    p = np.full(len(d), np.nan)
    for i in np.flatnonzero(~np.isnan(d)):
        # the limit that faces 0 moves towards it as z grows
        inside = np.flatnonzero(nearest[:, i] <= 0)
        at = grid[-1] if len(inside) == 0 else grid[inside[0]]
        if len(inside) and inside[0] > 0:
            j = inside[0]
            outer, inner = nearest[j - 1, i], nearest[j, i]
            at = grid[j - 1] + (grid[j] - grid[j - 1]) * outer / (outer - inner)
        p[i] = 2 * float(ndtr(-at)) if d[i] != 0 else 1.0
    return p


def _usable(measures: tuple[Measure, Measure], floor: int) -> BoolArray:
    return np.asarray((measures[0].support >= max(1, floor)) & (measures[1].support >= max(1, floor)))


def _by_group(drawn: Replicates) -> Iterator[Replicates]:
    return zip(drawn[0].T, drawn[1].T, strict=True)


def _correlation(before: FloatArray, after: FloatArray) -> float:
    known = ~(np.isnan(before) | np.isnan(after))
    if known.sum() < max(2, DEFINED * len(before)):
        return 0.0
    a, b = before[known] - before[known].mean(), after[known] - after[known].mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else 0.0


def _two_sided(change: float, null: FloatArray) -> float:
    """Permutation p (Phipson & Smyth 2010): the observed one is among the permutations, so p is never 0."""
    known = null[~np.isnan(null)]
    if len(known) < max(1, DEFINED * len(null)):
        return math.nan
    # Equal fractions that were summed in another order differ in the last bits, and are ties all the same.
    return (1 + int((np.abs(known) >= abs(change) - 1e-12).sum())) / (1 + len(known))


def _reshuffled(before: IntArray, after: IntArray, asked: Question) -> Iterator[Sides]:
    """Permutation of other images: within each group, chance decides which images are called "before"."""
    rng = np.random.default_rng(asked.seed)
    g, k = before.shape[:2]
    pooled, sizes = (before + after).reshape(g, -1), before.sum((-2, -1))
    size = max(1, 4_000_000 // max(1, pooled.size))
    for start in range(0, asked.replicates, size):
        b = min(size, asked.replicates - start)
        first = np.zeros((b, g, k * k), dtype=np.int64)
        for i in range(g):
            seen = np.flatnonzero(pooled[i])
            if len(seen):
                first[:, i, seen] = rng.multivariate_hypergeometric(pooled[i, seen], int(sizes[i]), size=b)
        yield first.reshape(b, g, k, k), (pooled - first).reshape(b, g, k, k)
