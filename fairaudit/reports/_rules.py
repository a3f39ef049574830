"""Rules as a reader meets them: which contrast decided one, and which number in a table it limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairaudit.results import AuditResult, Group, RuleOutcome, RuleResult, Verdict

SEVERITY = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NONE)
"""Verdicts from worst to best."""

_RULE = re.compile(
    r"(?P<metric>.+?)(?:\s+(?P<kind>difference|shortfall|ratio|gap|spread|worst[_-]group|min[_-]max[_-]ratio|pairwise[_-]mean))?"
    r"\s+by\s+(?P<by>.+?)(?:\s+given\s+(?P<given>.+?))?(?P<worse>\s+worse[_-]by)?\s*(?P<operator><=|>=|<|>)\s*(?P<limit>\S+)(?:\s*\([^()]*\))*",
    re.IGNORECASE,
)
_PRESENCE = re.compile(r"(?:expected|audited)\s+(?P<by>[^:]+)(?::.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class RuleParts:
    """The parts of a rule's text, for placing it beside what it limits.

    Attributes:
        kind: how groups are compared; None where the metric is a disparity itself.
        by: its attributes.
        operator: ``<=``, ``<``, ``>=`` or ``>``.
        limit: as written.
        given: columns within whose levels it must hold.
        worse_by: whether it limits how much worse than a baseline's the number is, and not the number itself.
    """

    kind: str | None
    by: tuple[str, ...]
    operator: str
    limit: str
    given: tuple[str, ...] = ()
    worse_by: bool = False


def rule_parts(text: str) -> RuleParts | None:
    """The parts of a rule's text; None where it has another form."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        return None
    kind = match["kind"].lower().replace("-", "_") if match["kind"] else None
    by, given = (tuple(part.strip() for part in (match[name] or "").split(",") if part) for name in ("by", "given"))
    return RuleParts(kind, by, match["operator"], match["limit"], given, match["worse"] is not None)


def rule_by(text: str) -> tuple[str, ...]:
    """The attributes that a rule is about, also of one that limits no number (``expected race: Black``)."""
    if (parts := rule_parts(text)) is not None:
        return parts.by
    match = _PRESENCE.fullmatch(text.strip())
    return () if match is None else (match["by"].strip(),)


def deciding(rule: RuleResult) -> list[RuleOutcome]:
    """The contrasts that made a rule's verdict, the one farthest over the limit first, those without a number last."""
    parts = rule_parts(rule.rule)
    sign = -1.0 if parts is not None and parts.operator.startswith(">") else 1.0
    own = [one for one in rule.outcomes if one.verdict is rule.verdict]
    return sorted(own, key=lambda one: (math.isnan(one.value), 0.0 if math.isnan(one.value) else -sign * one.value))


def ruled(
    result: AuditResult, by: Sequence[str], *kinds: str | None, given: Group | None = None
) -> Mapping[tuple[str, str], tuple[Verdict, str]]:
    """What rules say of the contrasts of one grouping.

    Args:
        result: the audit.
        by: the grouping's attributes.
        kinds: kinds of the rules that count.
        given: the level of other columns that the contrasts are within; None for those of all images.

    Returns:
        (metric, ``group_key``) → the worst verdict, and the limit that gave it, such as ``<= 0.05``.
    """
    found: dict[tuple[str, str], tuple[Verdict, str]] = {}
    for rule in result.rules:
        parts = rule_parts(rule.rule)
        if parts is None or parts.worse_by or parts.kind not in kinds or _folded(parts.by) != _folded(by):
            continue
        for one in rule.outcomes:
            if group_key(one.given) != group_key(given):
                continue
            key = (one.metric, group_key(one.group))
            if key not in found or SEVERITY.index(one.verdict) < SEVERITY.index(found[key][0]):
                found[key] = (one.verdict, f"{parts.operator} {parts.limit}")
    return found


def ruled_metrics(result: AuditResult, by: Sequence[str]) -> set[str]:
    """Metrics that some rule on a grouping is about."""
    own = [rule for rule in result.rules if (p := rule_parts(rule.rule)) is not None and _folded(p.by) == _folded(by)]
    return {one.metric for rule in own for one in rule.outcomes}


def group_key(group: Group | None) -> str:
    """A group as a key that no other group shares; empty for all groups together."""
    return "" if group is None else repr(sorted(group.items()))


def _folded(by: Sequence[str]) -> list[str]:
    return sorted(name.casefold() for name in by)
