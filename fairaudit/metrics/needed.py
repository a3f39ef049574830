"""Needed: how many more images would decide an inconclusive rule, if every rate stayed as it was observed.

The outer end of the interval must come inside the limit where the estimate is inside, and the inner end must leave it where
the estimate is outside. Limits are known exactly at the present counts; for more images each side of a group's interval is
shrunk as Wilson's would be, which is a closed form, follows the exact limits within a few percent, and falls as 1/n at
rates of 0 and 1 where others fall as 1/√n. One group may grow, or all that are smaller than some size; the cheapest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.deciding import OVER_PAIRS, Case, Decided, decided_by, value_of
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.measure import Measure
from fairaudit.metrics.rules import Rule
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Group, group_label

ON_THE_LIMIT = "more images cannot decide it: the estimate lies on the limit"
NEARLY = "a thousand times as many images would not decide it: the estimate lies too near the limit"

_FACTOR = 1e3
_GRID = np.linspace(0.0, 1.0, 16)


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
        second: another measure of the same images, where the number is made of two at once.
    """

    measure: Measure
    size: IntArray
    unit: str
    exact: bool = False
    second: Measure | None = None

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that the number is made of."""
        return (self.measure,) if self.second is None else (self.measure, self.second)


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
    values = [value_of(rule, comparison, s.measures, group) for s in samples]
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
    return f"{'; and '.join(dict.fromkeys(said))} would decide it if the rates stayed as they are" if said else NEARLY


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
    ref, confidence = comparison.privileged, comparison.confidence
    if group is None:
        keep = np.flatnonzero(comparison.usable(sample.measure))
    elif rule.kind == "worst_group" or ref is None:
        keep = np.array([group])
    else:
        keep = np.array([group, ref])
    if within:
        z = intervals.quantile(confidence)
    elif (rule.metric if rule.kind == "index" else rule.kind) in OVER_PAIRS:
        z = intervals.studentized_range(len(keep), confidence ** (1 / joint))
    else:
        z = intervals.sidak(joint, confidence)
    case = Case(rule, comparison, sample.measures, keep, z, joint, within)
    decided, alone = decided_by(case)
    strategies = [np.arange(len(keep)) == i for i in alone] + [np.ones(len(keep), dtype=np.bool_)]
    if len(alone) == 2 and len(keep) > 2:
        strategies.append(np.isin(np.arange(len(keep)), alone))
    size = sample.size[keep].astype(np.float64)
    best: Needed | None = None
    for who, target in zip(strategies, _search(decided, sample, case, strategies), strict=True):
        if not np.isfinite(target):
            continue
        extra = np.where(who, np.maximum(np.ceil(target) - size, 0.0), 0.0)
        grown = keep[extra > 0]
        if best is None or extra.sum() < best.more:
            best = Needed(tuple(int(i) for i in grown), int(extra.sum()), int(np.ceil(target)))
    return best


def _search(decided: Decided, sample: Sample, case: Case, strategies: Sequence[BoolArray]) -> list[float]:
    """Smallest size, per strategy, that its groups must have; inf where none decides."""
    correction = 0.5 if sample.exact and case.kind != "spread" else 0.0
    counts = [(m.value[case.keep], m.support[case.keep].astype(np.float64)) for m in case.measures]
    bases = [_sides(p, n, case.z, correction)[:, None, None] for p, n in counts]
    size = sample.size[case.keep].astype(np.float64)
    who = np.stack(strategies)[:, None, :]  # (s, 1, g)
    start = np.where(who[:, 0], size, np.inf).min(1)
    rows = np.arange(len(start))
    low, high = np.zeros(len(start)), np.full(len(start), np.log(_FACTOR))
    for _ in range(3):
        steps = low[:, None] + (high - low)[:, None] * _GRID  # (s, c)
        target = start[:, None] * np.exp(steps)
        grow = np.where(who, np.maximum(target[:, :, None] / size, 1.0), 1.0)  # (s, c, g)
        shrinks = [
            np.concatenate([_sides(p, n * grow, case.z, correction) / base, 1 / grow[None]])
            for (p, n), base in zip(counts, bases, strict=True)
        ]
        good = decided(shrinks)
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
