"""Needed: how many more images would decide an inconclusive rule, if every rate stayed as it was observed.

The outer end of the interval must come inside the limit where the estimate is inside, and the inner end must leave it where
the estimate is outside. Limits are known exactly at the present counts; for more images each side of a group's interval is
shrunk as Wilson's would be, which is a closed form, follows the exact limits within a few percent, and falls as 1/n at
rates of 0 and 1 where others fall as 1/√n. One group may grow, or all that are smaller than some size; the cheapest counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.measure import Measure
from fairaudit.metrics.plan import spread_exceeds
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.rules import Rule
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Group, group_label

ON_THE_LIMIT = "more images cannot decide it: the estimate lies on the limit"
NEARLY = "a thousand times as many images would not decide it: the estimate lies too near the limit"

_FACTOR = 1e3
_GRID = np.linspace(0.0, 1.0, 16)

Decided = Callable[[FloatArray], BoolArray]


@dataclass(frozen=True)
class Needed:
    """What would decide a contrast.

    Attributes:
        groups: indices of the groups that must grow.
        more: images that they need together.
        size: images in each of them afterwards.
    """

    groups: tuple[int, ...]
    more: int
    size: int


@dataclass(frozen=True, eq=False)
class Sample:
    """One measure of an inconclusive rule, with what a reader counts as its images.

    Attributes:
        measure: the measure.
        size: (g,) what is counted.
        unit: its name in the plural: images, positives …
        exact: whether the limits are exact ones of a proportion.
    """

    measure: Measure
    size: IntArray
    unit: str
    exact: bool = False


def say_needed(
    rule: Rule, comparison: Comparison, groups: Sequence[Group], samples: Sequence[Sample], group: int | None, joint: int
) -> str:
    """The sentence that ends the reason of an inconclusive outcome.

    Args:
        rule: the rule.
        comparison: privileged group, confidence, floor.
        groups: (g,) their names.
        samples: the measures that it is about.
        group: index of the group that the outcome is about; None for all.
        joint: how many statements its inner limit holds for.
    """
    values = [_value(rule, comparison, s.measure, group) for s in samples]
    upper = rule.operator in ("<=", "<")
    if np.isclose(max(values) if upper else min(values), rule.limit, rtol=0.0, atol=1e-9):
        return ON_THE_LIMIT
    inside = [value < rule.limit if upper else value > rule.limit for value in values]
    found = [
        (needed(rule, comparison, sample, group, joint, within), sample.unit)
        for sample, within in zip(samples, inside, strict=True)
        if within == all(inside)
    ]
    known = sorted(((n, unit) for n, unit in found if n is not None), key=lambda part: part[0].more)
    if not all(inside):
        known = known[:1]  # one number beyond the limit is enough to fail, while all must be inside to pass
    elif len(known) < len(found):
        known = []
    said = [_words(n, unit, groups) for n, unit in known if n.more]
    return f"{'; and '.join(said)} would decide it if the rates stayed as they are" if said else NEARLY


def needed(
    rule: Rule, comparison: Comparison, sample: Sample, group: int | None, joint: int, within: bool
) -> Needed | None:
    """The cheapest growth that decides one measure; None where a thousand times as many images would not.

    Args:
        rule: the rule.
        comparison: privileged group, confidence, floor.
        sample: the measure.
        group: index of the group that the outcome is about; None for all usable ones.
        joint: how many statements the inner limit holds for.
        within: whether the estimate is inside the limit, so that a pass is looked for.
    """
    m = sample.measure
    ref = comparison.privileged
    if group is None:
        keep = np.flatnonzero(comparison.usable(m))
    elif rule.kind == "worst_group" or ref is None:
        keep = np.array([group])
    else:
        keep = np.array([group, ref])
    size = sample.size[keep].astype(np.float64)
    if within:
        z = intervals.quantile(comparison.confidence)
    elif rule.kind == "gap":
        z = intervals.studentized_range(len(keep), comparison.confidence ** (1 / joint))
    else:
        z = intervals.sidak(joint, comparison.confidence)
    decided, alone = _decided(rule, comparison, m, keep, z, joint, within)
    strategies = [np.arange(len(keep)) == i for i in alone] + [np.ones(len(keep), dtype=np.bool_)]
    if len(alone) == 2 and len(keep) > 2:
        strategies.append(np.isin(np.arange(len(keep)), alone))
    best: Needed | None = None
    correction = 0.5 if sample.exact and rule.kind != "spread" else 0.0
    found = _search(decided, sample, keep, z, correction, strategies)
    for who, target in zip(strategies, found, strict=True):
        if not np.isfinite(target):
            continue
        extra = np.where(who, np.maximum(np.ceil(target) - size, 0.0), 0.0)
        grown = keep[extra > 0]
        if best is None or extra.sum() < best.more:
            best = Needed(tuple(int(i) for i in grown), int(extra.sum()), int(np.ceil(target)))
    return best


def _search(
    decided: Decided, sample: Sample, keep: IntArray, z: float, correction: float, strategies: Sequence[BoolArray]
) -> list[float]:
    """Smallest size, per strategy, that its groups must have; inf where none decides."""
    p, n = sample.measure.value[keep], sample.measure.support[keep].astype(np.float64)
    size = sample.size[keep].astype(np.float64)
    who = np.stack(strategies)[:, None, :]  # (s, 1, g)
    start = np.where(who[:, 0], size, np.inf).min(1)
    base = _sides(p, n, z, correction)[:, None, None]
    rows = np.arange(len(start))
    low, high = np.zeros(len(start)), np.full(len(start), np.log(_FACTOR))
    for _ in range(3):
        steps = low[:, None] + (high - low)[:, None] * _GRID  # (s, c)
        target = start[:, None] * np.exp(steps)
        grow = np.where(who, np.maximum(target[:, :, None] / size, 1.0), 1.0)  # (s, c, g)
        good = decided(np.concatenate([_sides(p, n * grow, z, correction) / base, 1 / grow[None]]))
        first = good.argmax(1)
        high, low = steps[rows, first], steps[rows, np.maximum(first - 1, 0)]
    return [float(s * np.exp(h)) if g.any() else np.inf for s, h, g in zip(start, high, good, strict=True)]


def _sides(p: FloatArray, n: FloatArray, z: float, correction: float) -> FloatArray:
    """(2, …) half widths below and above of Wilson's interval; exact limits are wider by half an image."""
    p = np.where((p >= 0) & (p <= 1), p, 0.5)  # of what is no share, 1/√n is all that is known
    k = z**2 / n
    half = z * np.sqrt(p * (1 - p) / n + k / (4 * n))
    shift = k * (0.5 - p)
    return np.stack([half - shift, half + shift]) / (1 + k) + (correction / n + 1e-15)


def _value(rule: Rule, comparison: Comparison, m: Measure, group: int | None) -> float:
    """The number that the rule limits, of one measure."""
    ref = comparison.privileged
    if group is None:
        p = m.value[comparison.usable(m)]
        return float(p.std()) if rule.kind == "spread" else float(p.max() - p.min())
    if rule.kind == "worst_group" or ref is None:
        return float(m.value[group])
    if rule.kind == "ratio":
        return float(m.value[group] / m.value[ref]) if m.value[ref] else math.inf
    value = float(m.value[group] - m.value[ref])
    if rule.kind == "shortfall" and m.direction is Direction.HIGHER:
        return -value
    return abs(value) if rule.kind == "difference" else value


def _decided(
    rule: Rule, comparison: Comparison, m: Measure, keep: IntArray, z: float, joint: int, within: bool
) -> tuple[Decided, list[int]]:
    """What must hold of shrunken sides, (3, …, g) lower, upper and variance, and which groups could do it alone."""
    limit, upper, p, g = rule.limit, rule.operator in ("<=", "<"), m.value[keep], len(keep)
    low, high = (side[keep] for side in (m.interval if rule.kind == "spread" else m.limits)(z))
    down, up = p - low, high - p
    if rule.kind == "spread":

        def spread_decided(shrink: FloatArray) -> BoolArray:
            if within:
                half = np.maximum(down * shrink[0], up * shrink[1]).max(-1)
                return np.asarray(p.std() + half / np.sqrt(g) <= limit)
            every = np.broadcast_to(p, shrink[2].shape)
            return spread_exceeds(every, m.variance[keep] * shrink[2], limit, comparison.confidence, joint)

        return spread_decided, [int(np.maximum(down, up).argmax())]
    if rule.kind == "worst_group":

        def worst_decided(shrink: FloatArray) -> BoolArray:
            rising = upper == within  # the side that must come inside, or the one that must leave
            end = (p + up * shrink[1] if rising else p - down * shrink[0])[..., 0]
            return np.asarray((end <= limit) if rising else (end >= limit))

        return worst_decided, []
    if rule.kind == "gap":
        i, j = _pairs(p, down, up)
        a, b = (up, down) if within else (down, up)
        sign = 1.0 if within else -1.0
        reach = p[i] - p[j] + sign * np.hypot(a[i], b[j])
        k = int(reach.argmax())

        def gap_decided(shrink: FloatArray) -> BoolArray:
            first, second = (shrink[1], shrink[0]) if within else (shrink[0], shrink[1])
            ends = p[i] - p[j] + sign * np.hypot((a * first)[..., i], (b * second)[..., j])
            return np.asarray((ends <= limit).all(-1) if within else (ends > limit).any(-1))

        return gap_decided, [int(i[k]), int(j[k])]

    def pair_decided(shrink: FloatArray) -> BoolArray:
        lower, higher = np.moveaxis(p - down * shrink[0], -1, 0), np.moveaxis(p + up * shrink[1], -1, 0)
        values = np.broadcast_to(p.reshape(-1, *[1] * (lower.ndim - 1)), lower.shape)
        compare = intervals.ratio if rule.kind == "ratio" else intervals.difference
        under, over = compare(values, lambda _z: (lower, higher), 0.0, 0, 1)
        if rule.kind == "difference":
            inner, outer = np.maximum(under, -over), np.maximum(over, -under)
            return np.asarray(outer <= limit if within else inner > limit)
        if rule.kind == "shortfall" and m.direction is Direction.HIGHER:
            under, over = -over, -under
        if upper:
            return np.asarray(over <= limit if within else under > limit)
        return np.asarray(under >= limit if within else over < limit)

    return pair_decided, [0, 1]


def _pairs(p: FloatArray, down: FloatArray, up: FloatArray) -> tuple[IntArray, IntArray]:
    """Indices of the pairs that can make a gap: all of few groups, of many those of the foremost."""
    if len(p) <= 16:
        i, j = np.nonzero(~np.eye(len(p), dtype=np.bool_))
        return i, j
    keys = [(s * p + t * w) for s, w in ((1, up), (-1, down), (1, -down), (-1, -up)) for t in (0.0, 0.7, 1.0)]
    high = np.unique(np.concatenate([np.argsort(-k)[:4] for k in (*keys[:3], *keys[6:9])]))
    low = np.unique(np.concatenate([np.argsort(-k)[:4] for k in (*keys[3:6], *keys[9:])]))
    i, j = (axis.ravel() for axis in np.meshgrid(high, low, indexing="ij"))
    return i[i != j], j[i != j]


def _words(found: Needed, unit: str, groups: Sequence[Group]) -> str:
    if len(found.groups) == 1:
        return f"about {_round(found.more):,} more {unit} of {group_label(groups[found.groups[0]])}"
    if len(found.groups) == 2:
        a, b = (group_label(groups[i]) for i in found.groups)
        return f"about {_round(found.size):,} {unit} in each of {a} and {b} ({_round(found.more):,} more)"
    return f"about {_round(found.size):,} {unit} in each of {len(found.groups)} groups ({_round(found.more):,} more)"


def _round(n: int) -> int:
    """Three significant digits: an estimate must not look like a count."""
    return n if n < 1000 else round(n, 3 - len(str(n)))
