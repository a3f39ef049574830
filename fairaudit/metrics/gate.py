"""The gate: a rule and the counts of a grouping in, pass, fail or inconclusive out.

A contrast passes only if its whole interval is inside the limit and fails only if it is wholly outside; ``numbers`` says
why the two ends are corrected differently. A group that cannot be judged keeps the rule from passing. What is inconclusive
says how many more images would decide it. A rule on levels of other columns must hold in each of them: the side that proves
a failure holds for all contrasts of all levels at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.needed import say_needed
from fairaudit.metrics.numbers import Grouping as Grouping
from fairaudit.metrics.numbers import Number, numbers_of, unjudged
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.rules import Presence, Requirement, Rule
from fairaudit.results import Group, RuleOutcome, RuleResult, Verdict


def judge_all(
    requirements: Iterable[Requirement], groupings: Sequence[Grouping], baseline: Sequence[Grouping] | None = None
) -> tuple[RuleResult, ...]:
    """Judge everything that is required of an audit.

    Args:
        requirements: rules, expected levels, attributes that must be audited.
        groupings: the audit's.
        baseline: those of the audit that ``worse_by`` rules compare with.

    Raises:
        UsageError: a rule's class does not fit its metric, or a rule needs a baseline and there is none.
        UnknownNameError: a grouping or class does not exist.
    """
    judged = []
    for one in requirements:
        if isinstance(one, Presence):
            judged.append(judge_presence(one, groupings))
            continue
        if one.worse_by and baseline is None:
            raise UsageError(
                f"the rule {one.text!r} compares with a baseline: judge it with fairaudit gate AUDIT --baseline audit.json"
            )
        before = baseline if one.worse_by else None
        if one.given:
            then = None if before is None else find_levels(one, before)
            judged.append(judge_levels(one, find_levels(one, groupings), then))
        else:
            judged.append(judge(one, find_grouping(one, groupings), None if before is None else find_grouping(one, before)))
    return tuple(judged)


def find_grouping(rule: Rule, groupings: Iterable[Grouping]) -> Grouping:
    """The grouping that a rule is about; the order of its attributes does not matter.

    Raises:
        UnknownNameError: it was not audited.
    """
    known = [grouping for grouping in groupings if grouping.given is None]
    for grouping in known:
        if _folded(grouping.by) == _folded(rule.by):
            return grouping
    raise UnknownNameError(f"grouping in the rule {rule.text!r}:", ",".join(rule.by), [",".join(g.by) for g in known])


def find_levels(rule: Rule, groupings: Iterable[Grouping]) -> list[Grouping]:
    """The grouping that a rule is about, within every level of the columns that it names after ``given``.

    Raises:
        UsageError: it was not audited so.
    """
    wanted = _folded(rule.by), _folded(rule.given)
    found = [g for g in groupings if g.given is not None and (_folded(g.by), _folded(g.given)) == wanted]
    if not found:
        by, given = ",".join(rule.by), ",".join(rule.given)
        raise UsageError(
            f"the rule {rule.text!r} is about {by} within levels of {given}, which was not audited; audit the predictions "
            f"with --by {by} --given {given}"
        )
    return found


def judge(rule: Rule, grouping: Grouping, baseline: Grouping | None = None) -> RuleResult:
    """Judge one rule.

    Args:
        rule: the rule.
        grouping: its grouping, see ``find_grouping``.
        baseline: the same grouping of the audit that it is compared with, for ``worse_by``.

    Raises:
        UsageError: the rule's class does not fit its metric.
        UnknownNameError: no such class.
    """
    return _result(rule, _outcomes(rule, grouping, baseline))


def judge_levels(rule: Rule, levels: Sequence[Grouping], baseline: Sequence[Grouping] | None = None) -> RuleResult:
    """Judge one rule in every level of other columns; it passes only if it does in all of them.

    Args:
        rule: the rule.
        levels: its grouping within each level, see ``find_levels``.
        baseline: the same of the audit that it is compared with, for ``worse_by``.

    Raises:
        UsageError: the rule's class does not fit its metric.
        UnknownNameError: no such class.
    """
    floored = [_with_floor(one, rule.min_support) for one in levels if one.table.n.any()]
    together = sum(any(n.unjudged is None for n in numbers_of(rule, one)) for one in floored)
    outcomes: list[RuleOutcome] = []
    for one in levels:
        if not one.table.n.any():
            outcomes.append(replace(_absent(rule.metric, None, "absent: no images of this level"), given=one.given))
            continue
        before = None if baseline is None else next((b for b in baseline if _same_level(b, one)), None)
        if baseline is not None and before is None:
            why = "the baseline does not have this level"
            outcomes.append(replace(_absent(rule.metric, None, why), given=one.given))
        else:
            outcomes += _outcomes(rule, one, before, max(1, together))
    return _result(rule, outcomes)


def _outcomes(rule: Rule, grouping: Grouping, baseline: Grouping | None, levels: int = 1) -> list[RuleOutcome]:
    grouping = _with_floor(grouping, rule.min_support)
    numbers = numbers_of(rule, grouping, levels)
    if baseline is not None:
        then = numbers_of(rule, _with_floor(baseline, rule.min_support), levels)
        before = {(n.key, _name(baseline, n.group)): n for n in then}
        sign = -1.0 if _falls(rule, numbers) else 1.0
        numbers = [_worse(n, before.get((n.key, _name(grouping, n.group))), sign) for n in numbers]
    return [_outcome(rule, grouping, n) for n in numbers]


def _result(rule: Rule, outcomes: Sequence[RuleOutcome]) -> RuleResult:
    verdict = overall_verdict(o.verdict for o in outcomes)
    return RuleResult(rule.text, verdict, tuple(outcomes), rule.severity, rule.decide_on)


def _same_level(one: Grouping, other: Grouping) -> bool:
    return one.given is not None and other.given is not None and dict(one.given) == dict(other.given)


def judge_presence(requirement: Presence, groupings: Iterable[Grouping]) -> RuleResult:
    """Judge whether an attribute was audited, and whether expected levels have images; what is absent is inconclusive."""
    attribute = requirement.by[0].casefold()
    about = [(g, name) for g in groupings if g.given is None for name in g.by if name.casefold() == attribute]
    outcomes = []
    if not about:
        outcomes.append(_absent("images", None, f"{requirement.by[0]} was not audited"))
    elif not requirement.levels:
        outcomes.append(_present("images", None, max(int(g.table.n.sum()) for g, _ in about)))
    for level in requirement.levels if about else ():
        grouping, name = min(about, key=lambda found: len(found[0].by))
        inside = [group[name].casefold() == level.casefold() for group in grouping.groups]
        n = int(grouping.table.n[np.array(inside, dtype=np.bool_)].sum())
        shown = {name: level}
        outcomes.append(_present("images", shown, n) if n else _absent("images", shown, "absent: expected, and no images"))
    return RuleResult(requirement.text, overall_verdict(o.verdict for o in outcomes), tuple(outcomes))


def overall_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail if one fails, else inconclusive if one is, else pass; none of nothing."""
    found = set(verdicts)
    return next((v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in found), Verdict.NONE)


def policy_verdict(results: Iterable[RuleResult]) -> Verdict:
    """Verdict of all rules together; those that only warn do not count, and where there are no others it is a pass."""
    known = list(results)
    if known and all(r.severity == "warning" for r in known):
        return Verdict.PASS
    return overall_verdict(r.verdict for r in known if r.severity != "warning")


def decide(low: float, high: float, rule: Rule) -> Verdict:
    """Pass if [low, high] lies inside the rule's limit, fail if wholly outside, otherwise inconclusive."""
    if math.isnan(low) or math.isnan(high):
        return Verdict.INCONCLUSIVE
    x = rule.limit
    inside = {"<=": high <= x, "<": high < x, ">=": low >= x, ">": low > x}[rule.operator]
    outside = {"<=": low > x, "<": low >= x, ">=": high < x, ">": high <= x}[rule.operator]
    return Verdict.PASS if inside else Verdict.FAIL if outside else Verdict.INCONCLUSIVE


def rule_notes(judged: Sequence[RuleResult]) -> list[str]:
    """What a reader must know of how rules were judged."""
    blunt = sum(r.decided_on == "point" for r in judged)
    if not blunt:
        return []
    which = "1 rule was" if blunt == 1 else f"{blunt} rules were"
    return [f"{which} decided on the estimate alone, as if it were the truth: chance can pass or fail it either way"]


def _with_floor(grouping: Grouping, min_support: int | None) -> Grouping:
    if min_support is None:
        return grouping
    return replace(grouping, comparison=replace(grouping.comparison, min_support=min_support))


def _name(grouping: Grouping, group: int | None) -> str | None:
    return None if group is None else repr(sorted(grouping.groups[group].items()))


def _folded(names: Iterable[str]) -> list[str]:
    return sorted(name.casefold() for name in names)


def _falls(rule: Rule, numbers: Sequence[Number]) -> bool:
    """Whether the number gets smaller as it gets worse: only the worst group's value of a metric that is better high."""
    measures = [s.measure for n in numbers for s in n.samples]
    return rule.kind == "worst_group" and bool(measures) and measures[0].direction is Direction.HIGHER


def _worse(now: Number, before: Number | None, sign: float) -> Number:
    """How much worse a number is than the baseline's: MOVER of the two intervals, the audits being independent."""
    why = now.unjudged
    if why is None and before is None:
        why = "the baseline does not have this group"
    if why is None and before is not None and before.unjudged is not None:
        why = f"in the baseline: {before.unjudged}"
    if why is not None or before is None:
        return unjudged(now.key, now.group, why or "undefined")
    if math.isinf(now.value) or math.isinf(before.value):
        return unjudged(now.key, now.group, "infinite here or in the baseline, which have no difference")
    value = sign * (now.value - before.value)
    rise = math.hypot(now.high - now.value, before.value - before.low)
    fall = math.hypot(now.value - now.low, before.high - before.value)
    down, up = (fall, rise) if sign > 0 else (rise, fall)
    said = f"{now.value:.3f} after {before.value:.3f} in the baseline"
    return Number(now.key, now.group, value, value - down, value + up, min(now.support, before.support), said=said)


def _outcome(rule: Rule, grouping: Grouping, number: Number) -> RuleOutcome:
    group = None if number.group is None else grouping.groups[number.group]

    def outcome(verdict: Verdict, reason: str | None) -> RuleOutcome:
        return RuleOutcome(number.key, group, number.value, number.low, number.high, verdict, reason, grouping.given)

    if number.unjudged is not None:
        return outcome(Verdict.INCONCLUSIVE, number.unjudged)
    if rule.decide_on == "point":
        return outcome(decide(number.value, number.value, rule), number.said)
    verdict = decide(number.low, number.high, rule)
    said = [] if number.said is None else [number.said]
    if verdict is Verdict.INCONCLUSIVE:
        said.append(
            f"the interval {number.low:.3f} to {number.high:.3f} contains the limit {rule.limit:g}; "
            f"support {number.support}"
        )
        if number.samples:
            asked = number.asked or rule
            said.append(say_needed(asked, grouping.comparison, grouping.groups, number.samples, number.group, number.joint))
        elif number.unknown is not None:
            said.append(f"how many more images would decide it is not known: {number.unknown}")
    return outcome(verdict, "; ".join(said) or None)


def _absent(key: str, group: Group | None, why: str) -> RuleOutcome:
    return RuleOutcome(key, group, math.nan, math.nan, math.nan, Verdict.INCONCLUSIVE, why)


def _present(key: str, group: Group | None, n: int) -> RuleOutcome:
    return RuleOutcome(key, group, float(n), math.nan, math.nan, Verdict.PASS)
