"""Gate: rules judged on a stored audit, by the same engine that judges them during one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairaudit.metrics.gate import find_grouping, judge, overall_verdict
from fairaudit.metrics.rules import parse_rule
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import stored_groupings


def gate(
    result: AuditResult,
    rules: Sequence[str],
    *,
    confidence: float | None = None,
    min_support: int | None = None,
) -> AuditResult:
    """Judge rules on an audit that was made before.

    Args:
        result: the audit; only its counts and settings are used.
        rules: rule texts; they replace the audit's own. Empty judges the audit's own rules again.
        confidence: overrides the audit's own.
        min_support: overrides the audit's own.

    Returns:
        The audit with these rules and their verdict.

    Raises:
        UsageError: a rule cannot be read, or names a metric, class or grouping that the audit does not have.
    """
    texts = rules or [r.rule for r in result.rules]
    groupings = stored_groupings(result, confidence, min_support)
    judged = tuple(judge(rule, find_grouping(rule, groupings)) for rule in map(parse_rule, texts))
    notes = list(result.notes)
    if confidence is not None and confidence != result.settings["confidence"]:
        notes.append(f"the rules were judged at a confidence of {confidence:g}")
    if min_support is not None and min_support != result.settings["min_support"]:
        notes.append(f"the rules were judged with a minimum support of {min_support}")
    verdict = overall_verdict(r.verdict for r in judged)
    return replace(result, rules=judged, verdict=verdict, notes=tuple(dict.fromkeys(notes)))
