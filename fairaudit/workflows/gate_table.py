"""Gate a table of predictions: the audit judges its rules itself; what compares with a baseline is judged afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.gate import policy_verdict, rule_notes
from fairaudit.metrics.rules import Rule, parse_requirement
from fairaudit.results import AuditResult
from fairaudit.workflows.audit_table import audit_table
from fairaudit.workflows.gate import gate


def gate_table(
    path: Path,
    settings: AuditSettings,
    rules: Sequence[str],
    *,
    baseline: AuditResult | None = None,
    **columns: Any,
) -> AuditResult:
    """Judge rules on a table of predictions.

    Args:
        path: CSV, Parquet, or a folder of Parquet parts.
        settings: what is compared with what; its own rules are not looked at.
        rules: texts of rules and requirements, at least one.
        baseline: the audit that ``worse_by`` rules compare with.
        columns: what ``audit_table`` must know of the table's columns.

    Raises:
        UsageError: there is no rule, or one cannot be read or judged.
        PredictionsError: the table cannot be used.
    """
    if not rules:
        raise UsageError("name what is to be judged: --rule 'accuracy gap by race <= 0.10', or --policy FILE")
    parsed = {text: parse_requirement(text) for text in rules}
    later = [text for text, one in parsed.items() if isinstance(one, Rule) and one.worse_by]
    now = tuple(text for text in rules if text not in later)
    by = (*settings.by, *(parsed[text].by for text in later))
    given = (*settings.given, *(one.given for text in later if isinstance(one := parsed[text], Rule) and one.given))
    audited, _ = audit_table(path, settings.model_copy(update={"by": by, "given": given, "rules": now}), **columns)
    if not later:
        return audited
    judged = iter(audited.rules)
    compared = {r.rule: r for r in gate(audited, later, baseline=baseline).rules}
    results = tuple(compared[parsed[text].text] if text in later else next(judged) for text in rules)
    notes = tuple(dict.fromkeys([*audited.notes, *rule_notes(results)]))
    return replace(audited, rules=results, verdict=policy_verdict(results), notes=notes)
