"""Numbers: what a rule limits, read off a grouping: estimates and the two ends of the interval that will decide.

Every contrast of a rule must hold, which fixes the intervals: "all hold" is an intersection of statements, so the side that
proves a pass is not corrected; "one does not" is a union, so the side that proves a failure holds for all contrasts of the
rule at once (Šidák, and the studentized range for a gap).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairaudit.errors import UsageError
from fairaudit.metrics.disparity import NAMED, Comparison, named_key
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.needed import Sample
from fairaudit.metrics.rates import AGGREGATES, MACRO, Direction, rate_named
from fairaudit.metrics.rules import Rule
from fairaudit.results import Group


@dataclass(frozen=True)
class Grouping:
    """One grouping, ready to be judged.

    Attributes:
        by: the crossed attributes.
        groups: (g,) attribute → level.
        table: counts of every group.
        comparison: privileged group, confidence, smallest support.
    """

    by: tuple[str, ...]
    groups: tuple[Group, ...]
    table: Table
    comparison: Comparison


@dataclass(frozen=True)
class Number:
    """One number that a rule limits, before it is judged.

    Attributes:
        key: the metric's name in records.
        group: index of the group that it is about; None for all together.
        value: the estimate; nan where undefined.
        low: lower end of the interval that decides.
        high: upper end.
        support: the smallest denominator behind it.
        unjudged: why it cannot be judged; None where it can.
        said: what is to be said of it whatever the verdict.
        samples: the measures it is made of.
        joint: how many statements its inner limit holds for.
    """

    key: str
    group: int | None
    value: float
    low: float
    high: float
    support: int = 0
    unjudged: str | None = None
    said: str | None = None
    samples: tuple[Sample, ...] = ()
    joint: int = 1


def numbers_of(rule: Rule, grouping: Grouping) -> list[Number]:
    """Every number that the rule is about, worst group first where it is about each."""
    table, comparison = grouping.table, grouping.comparison
    if rule.named:
        rates = NAMED[rule.metric].rates
        how = "" if rule.of is None or rule.of in table.classes else rule.of.strip().casefold()
        if how in AGGREGATES and not (how == MACRO and NAMED[rule.metric].macro):
            raise UsageError(f"the rule {rule.text!r}: {rule.metric} is of one class; name it instead of [{how}]")
        families = [[Metric(r, m.of) for r in rates] for m in table.resolve(rates[0], rule.of)]
        keys = [named_key(table, rule.metric, metrics[0].of) for metrics in families]
    else:
        families = [[m] for m in table.resolve(rule.metric, rule.of)]
        keys = [table.key(metrics[0]) for metrics in families]
    numbers: list[Number] = []
    for key, metrics in zip(keys, families, strict=True):
        samples = tuple(_sample(table, m) for m in metrics)
        if rule.kind in ("gap", "spread") or (rule.kind == "worst_group" and rule.worse_by):
            numbers += _over_groups(rule, key, grouping, samples, len(families))
        elif rule.kind == "worst_group":
            numbers += _each_group(key, grouping, samples[0], len(families))
        else:
            numbers += _each_contrast(rule, key, grouping, samples[0], len(families))
    if not numbers:
        why = "no group has images" if comparison.privileged is None else "there is only one group to compare"
        numbers = [unjudged(keys[0], None, why)]
    return numbers


def _sample(table: Table, metric: Metric) -> Sample:
    measure, rate = table.measure(metric), rate_named(metric.rate)
    if rate is not None and rate.beta is None and not isinstance(metric.of, str):
        return Sample(measure, measure.support, rate.of, exact=True)
    return Sample(measure, table.n, "images")


def _over_groups(rule: Rule, key: str, grouping: Grouping, samples: tuple[Sample, ...], families: int) -> list[Number]:
    comparison, measures = grouping.comparison, [s.measure for s in samples]
    left_out = []
    for i in range(len(grouping.groups)):
        why = next((w for m in measures if (w := comparison.left_out(m, i)) is not None), None)
        if why is not None:
            left_out.append(unjudged(key, i, why))
    e = comparison.over_groups(measures, rule.kind, families).estimate
    if math.isnan(e.value):
        return [unjudged(key, None, e.reason or "undefined"), *left_out]
    joint = families * len(samples)
    return [Number(key, None, e.value, e.ci_low, e.ci_high, e.support, samples=samples, joint=joint), *left_out]


def _each_contrast(rule: Rule, key: str, grouping: Grouping, sample: Sample, families: int) -> list[Number]:
    comparison, measure = grouping.comparison, sample.measure
    plain = comparison.against_privileged(measure, rule.kind, family=1)
    judged = sum(c.group is not None and comparison.cannot_compare(measure, c.group) is None for c in plain)
    family = max(1, families * judged)
    wide = comparison.against_privileged(measure, rule.kind, family=family)
    numbers = []
    for z, s in zip(plain, wide, strict=True):
        assert z.group is not None  # contrasts against the privileged group always name the other one
        e = z.estimate
        why = comparison.cannot_compare(measure, z.group)
        if why is not None or math.isnan(e.value):
            if math.isinf(e.value):  # a record tells infinite from undefined by how its reason starts
                why = f"{e.reason}; {why}"
            why = why or e.reason or "undefined"
            numbers.append(Number(key, z.group, e.value, e.ci_low, e.ci_high, e.support, why))
            continue
        value, low, high = e.value, s.estimate.ci_low, e.ci_high
        if rule.operator in (">=", ">"):
            low, high = e.ci_low, s.estimate.ci_high
        if rule.kind == "difference":
            value = abs(value)
            low, high = max(0.0, s.estimate.ci_low, -s.estimate.ci_high), max(e.ci_high, -e.ci_low)
        numbers.append(Number(key, z.group, value, low, high, e.support, None, e.reason, (sample,), family))
    return numbers


def _each_group(key: str, grouping: Grouping, sample: Sample, families: int) -> list[Number]:
    comparison, measure = grouping.comparison, sample.measure
    family = max(1, int(comparison.usable(measure).sum()) * families)
    low, high = comparison.worst_limits(measure, family)
    numbers = []
    for i in range(len(grouping.groups)):
        why = comparison.left_out(measure, i)
        if why is not None:
            numbers.append(unjudged(key, i, why))
        else:
            value, support = float(measure.value[i]), int(measure.support[i])
            numbers.append(Number(key, i, value, float(low[i]), float(high[i]), support, samples=(sample,), joint=family))
    worst_first = measure.direction is Direction.HIGHER
    return sorted(numbers, key=lambda n: (math.isnan(n.value), n.value if worst_first else -n.value))


def unjudged(key: str, group: int | None, why: str) -> Number:
    """A number that cannot be judged."""
    return Number(key, group, math.nan, math.nan, math.nan, unjudged=why)
