"""The gate: a rule and the counts of a grouping in, pass, fail or inconclusive out.

A contrast passes only if its whole interval is inside the limit and fails only if it is wholly outside. Every contrast of
a rule must hold, which fixes the intervals: "all hold" is an intersection of statements, so the side that proves a pass
is not corrected; "one does not" is a union, so the side that proves a failure holds for all contrasts of the rule at once
(Šidák, and the studentized range for a gap). A group that cannot be judged keeps the rule from passing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.disparity import NAMED, Comparison, Contrast, named_key
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.rules import Rule
from fairaudit.results import Group, RuleOutcome, RuleResult, Verdict


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


def find_grouping(rule: Rule, groupings: Iterable[Grouping]) -> Grouping:
    """The grouping that a rule is about; the order of its attributes does not matter.

    Raises:
        UnknownNameError: it was not audited.
    """
    known = list(groupings)
    wanted = sorted(name.casefold() for name in rule.by)
    for grouping in known:
        if sorted(name.casefold() for name in grouping.by) == wanted:
            return grouping
    raise UnknownNameError(f"grouping in the rule {rule.text!r}:", ",".join(rule.by), [",".join(g.by) for g in known])


def judge(rule: Rule, grouping: Grouping) -> RuleResult:
    """Judge one rule.

    Args:
        rule: the rule.
        grouping: its grouping, see ``find_grouping``.

    Raises:
        UsageError: the rule's class does not fit its metric.
        UnknownNameError: no such class.
    """
    outcomes: list[RuleOutcome] = []
    table, comparison = grouping.table, grouping.comparison
    if rule.named:
        rates = NAMED[rule.metric].rates
        if rule.of is not None and rule.of.strip().casefold() == "macro" and not NAMED[rule.metric].macro:
            raise UsageError(f"the rule {rule.text!r}: {rule.metric} is of one class; name it instead of [macro]")
        families = [[Metric(r, m.of) for r in rates] for m in table.resolve(rates[0], rule.of)]
        keys = [named_key(table, rule.metric, metrics[0].of) for metrics in families]
    else:
        families = [[m] for m in table.resolve(rule.metric, rule.of)]
        keys = [table.key(metrics[0]) for metrics in families]
    for key, metrics in zip(keys, families, strict=True):
        measures = [table.measure(m) for m in metrics]
        if rule.kind in ("gap", "spread"):
            outcomes += _over_groups(rule, key, grouping, measures, len(families))
        elif rule.kind == "worst_group":
            outcomes += _each_group(rule, key, grouping, measures[0], len(families))
        else:
            outcomes += _each_contrast(rule, key, grouping, measures[0], len(families))
    if not outcomes:
        why = "no group has images" if comparison.privileged is None else "there is only one group to compare"
        outcomes = [_unjudged(keys[0], None, why)]
    return RuleResult(rule.text, overall_verdict(o.verdict for o in outcomes), tuple(outcomes))


def overall_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail if one fails, else inconclusive if one is, else pass; none of nothing."""
    found = set(verdicts)
    return next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in found), Verdict.NONE)


def decide(low: float, high: float, rule: Rule) -> Verdict:
    """Pass if [low, high] lies inside the rule's limit, fail if wholly outside, otherwise inconclusive."""
    if math.isnan(low) or math.isnan(high):
        return Verdict.INCONCLUSIVE
    x = rule.limit
    inside = {"<=": high <= x, "<": high < x, ">=": low >= x, ">": low > x}[rule.operator]
    outside = {"<=": low > x, "<": low >= x, ">=": high < x, ">": high <= x}[rule.operator]
    return Verdict.PASS if inside else Verdict.FAIL if outside else Verdict.INCONCLUSIVE


def _over_groups(rule: Rule, key: str, grouping: Grouping, measures: list[Measure], families: int) -> list[RuleOutcome]:
    comparison = grouping.comparison
    left_out = []
    for i, group in enumerate(grouping.groups):
        why = next((w for m in measures if (w := comparison.left_out(m, i)) is not None), None)
        if why is not None:
            left_out.append(_unjudged(key, group, why))
    return [_outcome(rule, key, None, comparison.over_groups(measures, rule.kind, families)), *left_out]


def _each_contrast(rule: Rule, key: str, grouping: Grouping, measure: Measure, families: int) -> list[RuleOutcome]:
    comparison = grouping.comparison
    plain = comparison.against_privileged(measure, rule.kind, family=1)
    judged = sum(c.group is not None and comparison.cannot_compare(measure, c.group) is None for c in plain)
    wide = comparison.against_privileged(measure, rule.kind, family=max(1, families * judged))
    outcomes = []
    for z, s in zip(plain, wide, strict=True):
        assert z.group is not None  # contrasts against the privileged group always name the other one
        group = grouping.groups[z.group]
        why = comparison.cannot_compare(measure, z.group)
        if why is not None or math.isnan(z.estimate.value):
            if math.isinf(z.estimate.value):  # a record tells infinite from undefined by how its reason starts
                why = f"{z.estimate.reason}; {why}"
            outcomes.append(_unjudged(key, group, why or z.estimate.reason or "undefined", z))
            continue
        value, low, high = z.estimate.value, s.estimate.ci_low, z.estimate.ci_high
        if rule.operator in (">=", ">"):
            low, high = z.estimate.ci_low, s.estimate.ci_high
        if rule.kind == "difference":
            value = abs(value)
            low, high = (
                max(0.0, s.estimate.ci_low, -s.estimate.ci_high),
                max(z.estimate.ci_high, -z.estimate.ci_low),
            )
        outcomes.append(_judged(rule, key, group, value, low, high, z.estimate.support, z.estimate.reason))
    return outcomes


def _each_group(rule: Rule, key: str, grouping: Grouping, measure: Measure, families: int) -> list[RuleOutcome]:
    comparison = grouping.comparison
    usable = int(comparison.usable(measure).sum())
    low, high = comparison.worst_limits(measure, max(1, usable * families))
    outcomes = []
    for i, group in enumerate(grouping.groups):
        why = comparison.left_out(measure, i)
        if why is not None:
            outcomes.append(_unjudged(key, group, why))
        else:
            support = int(measure.support[i])
            outcomes.append(_judged(rule, key, group, float(measure.value[i]), float(low[i]), float(high[i]), support))
    worst_first = measure.direction is Direction.HIGHER
    return sorted(outcomes, key=lambda o: (math.isnan(o.value), o.value if worst_first else -o.value))


def _outcome(rule: Rule, key: str, group: Group | None, contrast: Contrast) -> RuleOutcome:
    e = contrast.estimate
    if math.isnan(e.value):
        return _unjudged(key, group, e.reason or "undefined")
    return _judged(rule, key, group, e.value, e.ci_low, e.ci_high, e.support)


def _judged(
    rule: Rule,
    key: str,
    group: Group | None,
    value: float,
    low: float,
    high: float,
    support: int,
    infinite: str | None = None,
) -> RuleOutcome:
    verdict = decide(low, high, rule)
    said = [] if infinite is None else [infinite]
    if verdict is Verdict.INCONCLUSIVE:
        said.append(f"the interval {low:.3f} to {high:.3f} contains the limit {rule.limit:g}; support {support}")
    return RuleOutcome(key, group, value, low, high, verdict, "; ".join(said) or None)


def _unjudged(key: str, group: Group | None, why: str, contrast: Contrast | None = None) -> RuleOutcome:
    if contrast is None:
        return RuleOutcome(key, group, math.nan, math.nan, math.nan, Verdict.INCONCLUSIVE, why)
    e = contrast.estimate
    return RuleOutcome(key, group, e.value, e.ci_low, e.ci_high, Verdict.INCONCLUSIVE, why)
