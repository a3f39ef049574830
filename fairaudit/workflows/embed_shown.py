"""The audit of an embedding space as text for stdout."""

from __future__ import annotations

from textwrap import wrap

from fairaudit.reports import _wording as words
from fairaudit.reports._embedding import terminal
from fairaudit.results import AuditResult
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.embedding_record import embedding_json


def shown(result: EmbeddingResult, gated: AuditResult, format_: str, width: int = 80, color: bool = False) -> str:
    """The record, or tables and the rules that were judged.

    Args:
        result: the audit.
        gated: the audit of the table that rules were judged in.
        format_: ``terminal`` or ``json``.
        width: columns of the terminal.
        color: whether headings are bold.
    """
    if format_ == "json":
        return embedding_json(result)
    text = terminal(result, width, color)
    if not gated.rules:
        return text
    lines = [f"\n{words.clean(gated.settings['target'])}: {words.verdict_sentence(gated)}"]
    for rule in gated.rules:
        lines.append(f"  {words.SYMBOLS[rule.verdict]} {rule.verdict.value}  {words.clean(rule.rule)}")
        for one in rule.outcomes:
            lines += wrap(words.outcome(one), width, initial_indent="      ", subsequent_indent="      ")
    return text + "\n".join(lines) + "\n"
