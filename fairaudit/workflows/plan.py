"""Plan: how many images a rule needs before data are collected, and what a finished audit could have shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.metrics.gate import find_grouping
from fairaudit.metrics.numbers import Grouping, Number, numbers_of
from fairaudit.metrics.plan import (
    TRIALS,
    Design,
    denominator,
    design_of,
    pass_chance,
    smallest_drop,
    strictest_limit,
    support_needed,
)
from fairaudit.metrics.rates import RATES
from fairaudit.metrics.rules import Rule, parse_rule
from fairaudit.results import AuditResult, group_label
from fairaudit.workflows.audit import stored_groupings
from fairaudit.workflows.weighting import check_unweighted

_MANY_GROUPS = 60


@dataclass(frozen=True)
class Sizes:
    """Images that a rule needs.

    Attributes:
        rule: its text.
        unit: what is counted, in the plural.
        rates: (g,) true rates that were assumed.
        confidence: of the intervals.
        power: wanted chance of a pass.
        support: images per group; None where ten million are not enough.
        others: chance of a pass → images per group, for comparison.
    """

    rule: str
    unit: str
    rates: tuple[float, ...]
    confidence: float
    power: float
    support: int | None
    others: tuple[tuple[float, int | None], ...]


@dataclass(frozen=True)
class Reach:
    """What a finished audit could have shown about one rule.

    Attributes:
        rule: its text.
        metric: the metric, with its class.
        unit: what its denominator counts, in the plural.
        value: what was observed: of a rule on each group, the worst.
        shown: the strictest limit that these data pass.
        rate: of all usable groups together.
        groups: usable groups.
        smallest_group: the one with the smallest denominator.
        smallest_support: its denominator.
        equal_limit: the strictest limit passed with the wanted chance if every group's true rate were ``rate``.
        chance: of passing the rule's own limit in that case.
        drop: how much worse the smallest group must truly be to be shown with that chance; None if nothing would show it.
        support: images that every group needs for the rule's own limit in that case; None where none are enough.
        power: the wanted chance.
    """

    rule: str
    metric: str
    unit: str
    value: float
    shown: float
    rate: float
    groups: int
    smallest_group: str
    smallest_support: int
    equal_limit: float
    chance: float
    drop: float | None
    support: int | None
    power: float


def plan_sizes(text: str, rates: Sequence[float], *, power: float = 0.9, confidence: float = 0.95) -> Sizes:
    """Images per group that a rule needs to pass with a given chance.

    Args:
        text: the rule.
        rates: (g,) true rate of every group, the privileged one first.
        power: wanted chance of a pass.
        confidence: of the intervals.

    Raises:
        UsageError: the rule cannot be planned, or its limit does not allow these rates.
    """
    rule = _plannable(text)
    design = design_of(rule, np.array(rates, dtype=np.float64), np.zeros(len(rates), dtype=np.int64), confidence)
    truth = _truth(design)
    met = truth < rule.limit if design.upper else truth > rule.limit
    if not met:
        raise UsageError(
            f"no number of images shows {rule.text!r}: at these rates the truth itself is {truth:.4g}, "
            "which is not inside the limit"
        )
    trials = TRIALS if len(rates) <= _MANY_GROUPS else TRIALS // 4
    support = support_needed(design, rule.limit, power, trials)
    other_powers = [p for p in (0.5, 0.8, 0.9, 0.95, 0.99) if p != power] if len(rates) <= _MANY_GROUPS else []
    others = tuple((p, support_needed(design, rule.limit, p, trials)) for p in other_powers)
    return Sizes(rule.text, RATES[denominator(rule)].of, tuple(rates), confidence, power, support, others)


def plan_audit(
    result: AuditResult, rules: Sequence[str], *, power: float = 0.9, confidence: float | None = None
) -> tuple[Reach, ...]:
    """What a finished audit could have shown.

    Args:
        result: the audit.
        rules: rule texts; empty takes those that the audit was made with.
        power: wanted chance.
        confidence: overrides the audit's own.

    Raises:
        UsageError: a rule cannot be planned, or there is none.
    """
    texts = list(rules) or [r.rule for r in result.rules]
    if not texts:
        raise UsageError("the audit has no rules; name one with --rule, for example 'accuracy gap by race <= 0.10'")
    check_unweighted([("the audit", result)], "a plan does not know yet; plan with the rates of an audit without weights")
    groupings = stored_groupings(result, confidence)
    return tuple(reach for text in texts for reach in _reaches(_plannable(text), groupings, power))


def _plannable(text: str) -> Rule:
    rule = parse_rule(text)
    if rule.worse_by:
        raise UsageError(f"the rule {rule.text!r} compares with a baseline, which a plan does not know")
    if rule.given:
        raise UsageError(
            f"the rule {rule.text!r} must hold in every level of {','.join(rule.given)}; plan it for one level, without "
            "'given'"
        )
    denominator(rule)
    return rule


def _truth(design: Design) -> float:
    """The number that the rule limits, at the true rates themselves."""
    p, ref = design.rates, design.rates[design.privileged]
    others = np.delete(p, design.privileged)
    if design.kind == "gap":
        return float(p.max() - p.min())
    if design.kind == "spread":
        return float(p.std())
    if design.kind == "worst_group":
        return float(p.max() if design.upper else p.min())
    if design.kind == "difference":
        return float(np.abs(others - ref).max())
    if design.kind == "ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = others / ref
        return float(ratios.max() if design.upper else ratios.min())
    return float((design.direction * (ref - others)).max())


def _reaches(rule: Rule, groupings: Sequence[Grouping], power: float) -> list[Reach]:
    grouping = find_grouping(rule, groupings)
    numbers = [n for n in numbers_of(rule, grouping) if n.samples]
    if not numbers:
        raise UsageError(f"nothing can be planned for {rule.text!r}: its groups are too small or undefined")
    upper = rule.operator in ("<=", "<")
    found = []
    for key in dict.fromkeys(n.key for n in numbers):
        own = [n for n in numbers if n.key == key]
        shown = [n.high if upper else n.low for n in own]
        values = [n.value for n in own]
        found.append(
            _reach(
                rule,
                grouping,
                own[0],
                max(values) if upper else min(values),
                max(shown) if upper else min(shown),
                len({n.key for n in numbers}),
                power,
            )
        )
    return found


def _reach(
    rule: Rule, grouping: Grouping, number: Number, value: float, shown: float, families: int, power: float
) -> Reach:
    comparison = grouping.comparison
    sample = min(number.samples, key=lambda s: int(s.measure.support[comparison.usable(s.measure)].min()))
    measure = sample.measure
    keep = np.flatnonzero(comparison.usable(measure))
    support = measure.support[keep]
    rate = float((measure.value[keep] * support).sum() / support.sum())
    privileged = 0 if comparison.privileged is None else int(np.searchsorted(keep, comparison.privileged))
    design = design_of(rule, np.full(len(keep), rate), support, comparison.confidence, min(privileged, len(keep) - 1))
    design = replace(design, family=families)
    trials = TRIALS if len(keep) <= _MANY_GROUPS else TRIALS // 4
    order = [
        i for i in np.argsort(support, kind="stable") if rule.kind in ("gap", "spread", "worst_group") or i != privileged
    ]
    smallest = int(order[0])
    limit = rule.limit if rule.kind == "worst_group" else None
    possible = _truth(design) < rule.limit if design.upper else _truth(design) > rule.limit
    return Reach(
        rule.text,
        number.key,
        sample.unit,
        value,
        shown,
        rate,
        len(keep),
        group_label(grouping.groups[int(keep[smallest])]),
        int(support[smallest]),
        strictest_limit(design, power, trials),
        pass_chance(design, rule.limit, trials),
        smallest_drop(design, smallest, power, limit, trials),
        support_needed(design, rule.limit, power, trials) if possible else None,
        power,
    )
