"""Gate: requirements judged on a stored audit, by the same engine that judges them during one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairaudit.errors import UsageError
from fairaudit.metrics.gate import Grouping, judge_all, policy_verdict, rule_notes
from fairaudit.metrics.rules import parse_requirement
from fairaudit.results import SCHEMA_VERSION, AuditResult
from fairaudit.workflows.audit import stored_groupings
from fairaudit.workflows.weighting import WEIGHTED


def gate(
    result: AuditResult,
    rules: Sequence[str],
    *,
    confidence: float | None = None,
    min_support: int | None = None,
    baseline: AuditResult | None = None,
) -> AuditResult:
    """Judge rules on an audit that was made before.

    Args:
        result: the audit; only its counts and settings are used.
        rules: texts of rules and requirements; they replace the audit's own. Empty judges the audit's own again.
        confidence: overrides the audit's own.
        min_support: overrides the audit's own.
        baseline: the audit that ``worse_by`` rules compare with.

    Returns:
        The audit with these rules and their verdict.

    Raises:
        UsageError: a rule cannot be read, names a metric, class or grouping that the audit does not have, or the baseline
            is of another target, other classes or another version.
    """
    texts = rules or [r.rule for r in result.rules]
    groupings = stored_groupings(result, confidence, min_support)
    before = None if baseline is None else _comparable(result, baseline, confidence, min_support)
    judged = judge_all([parse_requirement(text) for text in texts], groupings, before)
    notes = list(result.notes)
    if confidence is not None and confidence != result.settings["confidence"]:
        notes.append(f"the rules were judged at a confidence of {confidence:g}")
    if min_support is not None and min_support != result.settings["min_support"]:
        notes.append(f"the rules were judged with a minimum support of {min_support}")
    notes += rule_notes(judged)
    return replace(result, rules=judged, verdict=policy_verdict(judged), notes=tuple(dict.fromkeys(notes)))


def _comparable(
    result: AuditResult, baseline: AuditResult, confidence: float | None, min_support: int | None
) -> list[Grouping]:
    """The baseline's groupings, judged as the audit's are.

    Raises:
        UsageError: the two audits cannot be compared.
    """
    if baseline.schema_version != SCHEMA_VERSION:
        raise UsageError(
            f"the baseline has layout version {baseline.schema_version} and this fairaudit reads {SCHEMA_VERSION}; "
            "audit its predictions again"
        )
    for what in ("target", "classes", "positive"):
        ours, theirs = result.settings[what], baseline.settings[what]
        if ours != theirs:
            raise UsageError(
                f"the baseline's {what} is {_said(theirs)} and this audit's is {_said(ours)}: nothing to compare"
            )
    s = result.settings
    if bool(s.get(WEIGHTED)) != bool(baseline.settings.get(WEIGHTED)):
        whose = "this audit's images" if s.get(WEIGHTED) else "the baseline's images"
        raise UsageError(f"only {whose} have weights: the two say nothing of the same population; audit both alike")
    return stored_groupings(baseline, confidence or s["confidence"], min_support or s["min_support"])


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else "not named" if value is None else str(value)
