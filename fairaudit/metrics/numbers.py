"""Numbers: what a rule limits, read off a grouping: estimates and the two ends of the interval that will decide.

Every contrast of a rule must hold, which fixes the intervals: "all hold" is an intersection of statements, so the side that
proves a pass is not corrected; "one does not" is a union, so the side that proves a failure holds for all contrasts of the
rule at once (Šidák, and the studentized range for a gap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fairaudit.errors import UsageError
from fairaudit.metrics.deciding import AVERAGED
from fairaudit.metrics.disparity import ALSO_LISTED, NAMED, Comparison, Contrast, named_key
from fairaudit.metrics.indices import INDICES, Draws, classes_ruled, index_contrasts, index_key
from fairaudit.metrics.inequality import ENTROPIES
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.needed import Sample
from fairaudit.metrics.rates import AGGREGATES, MACRO, Direction, rate_named
from fairaudit.metrics.rules import Rule
from fairaudit.results import Estimate, Group


@dataclass(frozen=True)
class Grouping:
    """One grouping, ready to be judged.

    Attributes:
        by: the crossed attributes.
        groups: (g,) attribute → level.
        table: counts of every group.
        comparison: privileged group, confidence, smallest support.
        draws: how the count bootstrap is drawn, for indices that have no closed form.
        given: column → level, where only the images of that level are counted; None where all are.
    """

    by: tuple[str, ...]
    groups: tuple[Group, ...]
    table: Table
    comparison: Comparison
    draws: Draws = field(default_factory=Draws)
    given: Group | None = None


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
        asked: what is asked of the samples, where it is not the rule itself.
        unknown: why it is not known how many more images would decide it, where there are no samples.
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
    asked: Rule | None = None
    unknown: str | None = None


def numbers_of(rule: Rule, grouping: Grouping, levels: int = 1) -> list[Number]:
    """Every number that the rule is about, worst group first where it is about each.

    Args:
        rule: the rule.
        grouping: its grouping, or that within one level of other columns.
        levels: how many levels are judged together.
    """
    table, comparison = grouping.table, grouping.comparison
    if rule.metric in INDICES:
        return _of_index(rule, grouping, levels)
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
    judged = len(families) * levels
    numbers: list[Number] = []
    for key, metrics in zip(keys, families, strict=True):
        samples = tuple(_sample(table, m) for m in metrics)
        if rule.kind in ("gap", "spread", *ALSO_LISTED) or (rule.kind == "worst_group" and rule.worse_by):
            numbers += _over_groups(rule, key, grouping, samples, judged)
        elif rule.kind == "worst_group":
            numbers += _each_group(key, grouping, samples[0], judged)
        else:
            numbers += _each_contrast(rule, key, grouping, samples[0], judged)
    if not numbers:
        why = "no group has images" if comparison.privileged is None else "there is only one group to compare"
        numbers = [unjudged(keys[0], None, why)]
    return numbers


def _of_index(rule: Rule, grouping: Grouping, levels: int) -> list[Number]:
    table, index = grouping.table, INDICES[rule.metric]
    if table.weighted is not None and rule.metric in ENTROPIES:
        raise UsageError(f"the rule {rule.text!r}: {rule.metric} is not weighted yet; judge it without weights")
    classes = classes_ruled(rule.metric, rule.of, table)
    numbers: list[Number] = []
    for of in classes:
        key = index_key(rule.metric, table, of)
        find = _index_contrasts if index.against else _index_over_groups
        numbers += find(rule, key, grouping, of, len(classes) * levels)
    if not numbers:
        why = "no group has images" if grouping.comparison.privileged is None else "there is only one group to compare"
        numbers = [unjudged(index_key(rule.metric, table, classes[0]), None, why)]
    return numbers


def _index_contrasts(rule: Rule, key: str, grouping: Grouping, of: int | None, families: int) -> list[Number]:
    def find(family: int) -> list[Contrast]:
        return index_contrasts(rule.metric, grouping.table, of, grouping.comparison, grouping.draws, family)

    plain = find(1)
    family = max(1, families * sum(c.estimate.reason is None for c in plain))
    wide = find(family)
    numbers = []
    for z, s in zip(plain, wide, strict=True):
        e, f = z.estimate, s.estimate
        value, low, high = abs(e.value), f.ci_low, e.ci_high
        if INDICES[rule.metric].direction is Direction.NONE:
            low, high = max(0.0, f.ci_low, -f.ci_high), max(e.ci_high, -e.ci_low)
        if e.reason is not None:
            value, low, high = e.value, e.ci_low, e.ci_high
        number = Number(key, z.group, value, low, high, e.support, e.reason)
        numbers.append(_sampled(number, rule, grouping, of, family))
    return numbers


def _index_over_groups(rule: Rule, key: str, grouping: Grouping, of: int | None, families: int) -> list[Number]:
    comparison, table = grouping.comparison, grouping.table
    # The selection rate of any class has the same support, which is all that is asked of an index of every class.
    measures = [table.measure(Metric(rate, of or 0)) for rate in INDICES[rule.metric].rates]
    left_out = _left_out(key, grouping, measures)

    def estimate(confidence: float) -> Estimate:
        as_sure = replace(comparison, confidence=confidence)
        [one] = index_contrasts(rule.metric, table, of, as_sure, grouping.draws)
        return one.estimate

    e = estimate(comparison.confidence)
    if math.isnan(e.value):
        return [unjudged(key, None, e.reason or "undefined"), *left_out]
    sure = e if families == 1 else estimate(comparison.confidence ** (1 / families))
    low, high = (sure.ci_low, e.ci_high) if rule.operator in ("<=", "<") else (e.ci_low, sure.ci_high)
    said = e.reason if math.isinf(e.value) else None
    number = Number(key, None, e.value, low, high, e.support, said=said)
    return [_sampled(number, rule, grouping, of, families), *left_out]


def _sampled(number: Number, rule: Rule, grouping: Grouping, of: int | None, joint: int) -> Number:
    """With the measures that an index is made of, where it is known how its limits move with more images."""
    table, c = (grouping.table, of) if of is None else grouping.table.seen_from(of)
    rates, usable = INDICES[rule.metric].rates, grouping.comparison.usable
    if rule.metric in ENTROPIES:
        return replace(number, unknown="its limits are drawn, not computed")
    if rule.metric == "differential_fairness":  # ε is at most x where no chance is less than e^−x times another
        every = [_sample(table, Metric(rates[0], i)) for i in range(len(table.classes))]
        called = tuple(s for s in every if s.measure.value[usable(s.measure)].max(initial=0.0) > 0)
        asked = replace(
            rule, kind="min_max_ratio", operator=">=" if "=" in rule.operator else ">", limit=math.exp(-rule.limit)
        )
        return replace(number, samples=called, joint=joint * len(every), asked=asked)
    samples = tuple(_sample(table, Metric(rate, c)) for rate in rates)
    if rule.metric not in AVERAGED:
        return replace(number, samples=samples, joint=joint * len(rates), asked=replace(rule, kind="min_max_ratio"))
    first, second = (s.measure for s in samples)
    if number.group is None and (usable(first) != usable(second)).any():
        return replace(number, unknown="not the same groups have enough positives as have enough negatives")
    together = joint if rule.metric == "average_odds_difference" else 2 * joint
    return replace(number, samples=(Sample(first, table.n, "images", exact=True, second=second),), joint=together)


def _left_out(key: str, grouping: Grouping, measures: Sequence[Measure]) -> list[Number]:
    """Groups that a number over groups leaves out: they cannot be judged, and are not dropped in silence."""
    left_out = []
    for i in range(len(grouping.groups)):
        why = next((w for m in measures if (w := grouping.comparison.left_out(m, i)) is not None), None)
        if why is not None:
            left_out.append(unjudged(key, i, why))
    return left_out


def _sample(table: Table, metric: Metric) -> Sample:
    measure, rate = table.measure(metric), rate_named(metric.rate)
    if rate is not None and rate.beta is None and not isinstance(metric.of, str):
        return Sample(measure, measure.support, rate.of, exact=True)
    return Sample(measure, table.n, "images")


def _over_groups(rule: Rule, key: str, grouping: Grouping, samples: tuple[Sample, ...], families: int) -> list[Number]:
    comparison, measures = grouping.comparison, [s.measure for s in samples]
    left_out = _left_out(key, grouping, measures)
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
