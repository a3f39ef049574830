"""Deciding: what must hold of the limits of a rule's number when groups grow, for every kind of number.

Limits are given as half widths, and growth as how much they shrink; rates stay as they were observed. What is asked is
always the same: has the outer end of the interval come inside the limit, or the inner end left it?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.measure import Measure
from fairaudit.metrics.plan import spread_exceeds
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.rules import Rule
from fairaudit.predictions import BoolArray, FloatArray, IntArray

AVERAGED = ("average_odds_difference", "average_abs_odds_difference", "equalized_odds_average_gap")
"""Indices that are made of two measures at once."""

OVER_PAIRS = ("gap", "min_max_ratio", "pairwise_mean", "equalized_odds_average_gap")
"""Numbers whose inner limit holds for all pairs of groups."""

Decided = Callable[[list[FloatArray]], BoolArray]
"""How much the lower and the upper half width and the variance of every measure shrink, (3, …, g) each → (…) whether it
is decided."""


@dataclass(frozen=True, eq=False)
class Case:
    """A number that is not decided yet, and what would decide it.

    Attributes:
        rule: the rule.
        comparison: privileged group, confidence, floor.
        measures: what it is made of, one measure or two.
        keep: (g,) indices of the groups that it is about; a group and the privileged one where it compares these.
        z: quantile of the end that must move.
        joint: how many statements that end holds for.
        within: whether the estimate is inside the limit, so that a pass is looked for.
    """

    rule: Rule
    comparison: Comparison
    measures: tuple[Measure, ...]
    keep: IntArray
    z: float
    joint: int
    within: bool

    @property
    def kind(self) -> str:
        """How groups are compared; of an index its name."""
        return self.rule.metric if self.rule.kind == "index" else self.rule.kind

    @property
    def upper(self) -> bool:
        """Whether the limit is one from above."""
        return self.rule.operator in ("<=", "<")

    def sides(self, at: int = 0) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(g,) values of one measure, and its half widths below and above."""
        m = self.measures[at]
        low, high = (side[self.keep] for side in (m.interval if self.kind == "spread" else m.limits)(self.z))
        p = m.value[self.keep]
        return p, p - low, high - p


def value_of(rule: Rule, comparison: Comparison, measures: tuple[Measure, ...], group: int | None) -> float:
    """The number that the rule limits, as it was estimated.

    Args:
        rule: the rule.
        comparison: privileged group and floor.
        measures: what it is made of.
        group: index of the group that it is about; None for all.
    """
    m, ref = measures[0], comparison.privileged
    if group is None:
        kept = [one.value[comparison.usable(one)] for one in measures]
        p = kept[0]
        if rule.kind == "spread":
            return float(p.std())
        if rule.kind == "min_max_ratio":
            return float(p.min() / p.max()) if p.max() else math.nan
        if rule.kind == "pairwise_mean":
            return float(intervals.mean_apart(p))
        return float(np.mean([np.ptp(one) for one in kept]))
    if rule.kind == "worst_group" or ref is None:
        return float(m.value[group])
    if rule.kind == "ratio":
        return float(m.value[group] / m.value[ref]) if m.value[ref] else math.inf
    if rule.kind == "index":
        d = [float(one.value[group] - one.value[ref]) for one in measures]
        return sum(map(abs, d)) / 2 if rule.metric == "average_abs_odds_difference" else abs(sum(d)) / 2
    value = float(m.value[group] - m.value[ref])
    if rule.kind == "shortfall" and m.direction is Direction.HIGHER:
        return -value
    return abs(value) if rule.kind == "difference" else value


def decided_by(case: Case) -> tuple[Decided, list[int]]:
    """What must hold, and positions of the groups that could do it alone."""
    return _KINDS.get(case.kind, _pair)(case)


def _spread(case: Case) -> tuple[Decided, list[int]]:
    (p, down, up), limit, g = case.sides(), case.rule.limit, len(case.keep)
    variance = case.measures[0].variance[case.keep]

    def decided(shrink: list[FloatArray]) -> BoolArray:
        below, above, less = shrink[0]
        if case.within:
            half = np.maximum(down * below, up * above).max(-1)
            return np.asarray(p.std() + half / np.sqrt(g) <= limit)
        every = np.broadcast_to(p, less.shape)
        return spread_exceeds(every, variance * less, limit, case.comparison.confidence, case.joint)

    return decided, [int(np.maximum(down, up).argmax())]


def _worst(case: Case) -> tuple[Decided, list[int]]:
    (p, down, up), limit = case.sides(), case.rule.limit
    rising = case.upper == case.within  # the side that must come inside, or the one that must leave

    def decided(shrink: list[FloatArray]) -> BoolArray:
        end = (p + up * shrink[0][1] if rising else p - down * shrink[0][0])[..., 0]
        return np.asarray((end <= limit) if rising else (end >= limit))

    return decided, []


def _gap(case: Case) -> tuple[Decided, list[int]]:
    p, down, up = case.sides()
    i, j = pairs(p, down, up)
    a, b = (up, down) if case.within else (down, up)
    sign = 1.0 if case.within else -1.0
    k = int((p[i] - p[j] + sign * np.hypot(a[i], b[j])).argmax())

    def decided(shrink: list[FloatArray]) -> BoolArray:
        below, above, _ = shrink[0]
        first, second = (above, below) if case.within else (below, above)
        ends = p[i] - p[j] + sign * np.hypot((a * first)[..., i], (b * second)[..., j])
        return np.asarray((ends <= case.rule.limit).all(-1) if case.within else (ends > case.rule.limit).any(-1))

    return decided, [int(i[k]), int(j[k])]


def _min_max(case: Case) -> tuple[Decided, list[int]]:
    p, down, up = case.sides()
    large, small = pairs(p, down, up)

    def ends(lower: FloatArray, higher: FloatArray) -> FloatArray:
        values = np.broadcast_to(p.reshape(-1, *[1] * (lower.ndim - 1)), lower.shape)
        return intervals.ratio(values, lambda _z: (lower, higher), 0.0, small, large)[0 if case.within else 1]

    k = int(ends(p - down, p + up).argmin())

    def decided(shrink: list[FloatArray]) -> BoolArray:
        found = ends(*(np.moveaxis(side, -1, 0) for side in (p - down * shrink[0][0], p + up * shrink[0][1])))
        limit = case.rule.limit
        return np.asarray((found >= limit).all(0) if case.within else (found < limit).any(0))

    return decided, [int(large[k]), int(small[k])]


def _pairwise_mean(case: Case) -> tuple[Decided, list[int]]:
    (p, down, up), limit, g = case.sides(), case.rule.limit, len(case.keep)
    slopes = np.sort(np.abs(2.0 * (2 * np.arange(g) + 1 - g) / (g * (g - 1))))
    estimate = float(intervals.mean_apart(p))

    def decided(shrink: list[FloatArray]) -> BoolArray:
        below, above, _ = shrink[0]
        lower, higher = down * below, up * above
        if case.within:
            half = np.sort(np.maximum(lower, higher), axis=-1)
            return np.asarray(estimate + np.sqrt(((slopes * half) ** 2).sum(-1)) <= limit)
        total = np.zeros(lower.shape[:-1])
        for i in range(g):
            total += np.maximum(p[i] - p - np.hypot(lower[..., [i]], higher), 0.0).sum(-1)
        return np.asarray(2 * total / (g * (g - 1)) > limit)

    return decided, [int(np.maximum(down, up).argmax())] if case.within else []


def _pair(case: Case) -> tuple[Decided, list[int]]:
    """A group against the privileged one."""
    (p, down, up), rule, m = case.sides(), case.rule, case.measures[0]

    def decided(shrink: list[FloatArray]) -> BoolArray:
        lower, higher = np.moveaxis(p - down * shrink[0][0], -1, 0), np.moveaxis(p + up * shrink[0][1], -1, 0)
        values = np.broadcast_to(p.reshape(-1, *[1] * (lower.ndim - 1)), lower.shape)
        compare = intervals.ratio if rule.kind == "ratio" else intervals.difference
        under, over = compare(values, lambda _z: (lower, higher), 0.0, 0, 1)
        if rule.kind == "shortfall" and m.direction is Direction.HIGHER:
            under, over = -over, -under
        return _ends(case, under, over, absolute=rule.kind == "difference")

    return decided, [0, 1]


def _averaged_pair(case: Case) -> tuple[Decided, list[int]]:
    """The mean of two measures' differences from the privileged group, or of their absolute values."""
    both = [case.sides(at) for at in (0, 1)]
    d = [float(p[0] - p[1]) for p, _, _ in both]

    def decided(shrink: list[FloatArray]) -> BoolArray:
        reach = []
        for (_, down, up), (below, above, _) in zip(both, shrink, strict=True):
            lower, higher = down * below, up * above
            reach.append((np.hypot(lower[..., 0], higher[..., 1]), np.hypot(higher[..., 0], lower[..., 1])))
        (fall, rise), (fall2, rise2) = reach
        if case.kind == "average_odds_difference":
            centre = sum(d) / 2
            return _ends(case, centre - np.hypot(fall, fall2) / 2, centre + np.hypot(rise, rise2) / 2, absolute=True)
        inner = sum(np.maximum(0.0, np.maximum(x - low, -x - high)) for x, (low, high) in zip(d, reach, strict=True)) / 2
        signed = [((x, high), (-x, low)) for x, (low, high) in zip(d, reach, strict=True)]
        outer = np.max([(a + b + np.hypot(x, y)) / 2 for a, x in signed[0] for b, y in signed[1]], axis=0)
        return np.asarray(outer <= case.rule.limit if case.within else inner > case.rule.limit)

    return decided, [0, 1]


def _averaged_gap(case: Case) -> tuple[Decided, list[int]]:
    """Half the sum of two gaps."""
    both = [case.sides(at) for at in (0, 1)]
    chosen = [pairs(*one) for one in both]

    def decided(shrink: list[FloatArray]) -> BoolArray:
        ends = []
        for (p, down, up), (i, j), (below, above, _) in zip(both, chosen, shrink, strict=True):
            lower, higher = down * below, up * above
            a, b = (higher, lower) if case.within else (lower, higher)
            ends.append((p[i] - p[j], np.hypot(a[..., i], b[..., j])))
        (d, reach), (e, other) = ends
        if not case.within:
            inner = [np.maximum(0.0, (x - half).max(-1)) for x, half in ends]
            return np.asarray((inner[0] + inner[1]) / 2 > case.rule.limit)
        widest = np.full(reach.shape[:-1], -np.inf)
        for k in range(len(d)):
            widest = np.maximum(widest, (d[k] + e + np.hypot(reach[..., [k]], other)).max(-1))
        return np.asarray(widest / 2 <= case.rule.limit)

    return decided, []


def _ends(case: Case, under: FloatArray, over: FloatArray, absolute: bool) -> BoolArray:
    limit = case.rule.limit
    if absolute:
        inner, outer = np.maximum(under, -over), np.maximum(over, -under)
        return np.asarray(outer <= limit if case.within else inner > limit)
    if case.upper:
        return np.asarray(over <= limit if case.within else under > limit)
    return np.asarray(under >= limit if case.within else over < limit)


_KINDS: Mapping[str, Callable[[Case], tuple[Decided, list[int]]]] = {
    "spread": _spread,
    "worst_group": _worst,
    "gap": _gap,
    "min_max_ratio": _min_max,
    "pairwise_mean": _pairwise_mean,
    "average_odds_difference": _averaged_pair,
    "average_abs_odds_difference": _averaged_pair,
    "equalized_odds_average_gap": _averaged_gap,
}


def pairs(p: FloatArray, down: FloatArray, up: FloatArray) -> tuple[IntArray, IntArray]:
    """Indices of the pairs that can make a gap: all of few groups, of many those of the foremost."""
    if len(p) <= 16:
        i, j = np.nonzero(~np.eye(len(p), dtype=np.bool_))
        return i, j
    keys = [(s * p + t * w) for s, w in ((1, up), (-1, down), (1, -down), (-1, -up)) for t in (0.0, 0.7, 1.0)]
    high = np.unique(np.concatenate([np.argsort(-k)[:4] for k in (*keys[:3], *keys[6:9])]))
    low = np.unique(np.concatenate([np.argsort(-k)[:4] for k in (*keys[3:6], *keys[9:])]))
    i, j = (axis.ravel() for axis in np.meshgrid(high, low, indexing="ij"))
    return i[i != j], j[i != j]
