"""GitHub annotations: a workflow command per rule that does not pass, at most ten, worst first.

GitHub shows ten errors and ten warnings of a step and drops the others in silence, so ten lines in all are the limit here
and the last one names what is left out. An audit in which nothing needs attention is one notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairaudit.errors import UnknownNameError
from fairaudit.reports import _wording as words
from fairaudit.reports._rules import SEVERITY, deciding
from fairaudit.results import AuditResult, RuleResult, Verdict

LIMIT = 10
"""Annotations per audit."""

LEVELS = {"error": "error", "fail": "error", "pass": "warning"}
"""How loud an inconclusive rule is, by what the gate makes of it."""

_SHOWN = 3


def render(result: AuditResult, *, on_inconclusive: str = "error") -> str:
    """Write the rules that do not pass as workflow commands.

    Rules come before those that only warn, failures before what cannot be decided, and many contrasts before few.

    Args:
        result: the audit.
        on_inconclusive: ``error``, ``fail`` or ``pass``, which makes inconclusive rules warnings.

    Raises:
        UnknownNameError: ``on_inconclusive`` is none of these.
    """
    if on_inconclusive not in LEVELS:
        raise UnknownNameError("on_inconclusive", on_inconclusive, LEVELS)
    told = [rule for rule in result.rules if rule.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
    told.sort(key=lambda r: (_level(r, on_inconclusive) != "error", SEVERITY.index(r.verdict), -len(deciding(r))))
    return "\n".join(_lines(result, told, on_inconclusive)) + "\n"


def _lines(result: AuditResult, told: Sequence[RuleResult], on_inconclusive: str) -> Iterator[str]:
    if not told:
        yield command("notice", "fairaudit", words.verdict_sentence(result))
        return
    shown = told if len(told) <= LIMIT else told[: LIMIT - 1]
    for rule in shown:
        yield command(_level(rule, on_inconclusive), f"{rule.verdict.value}: {words.clean(rule.rule)}", _said(rule))
    if rest := told[len(shown) :]:
        said = f"{words.count(len(rest), 'more rule')} that did not pass: {'; '.join(words.clean(r.rule) for r in rest)}"
        yield command(_level(rest[0], on_inconclusive), "fairaudit", said)


def _level(rule: RuleResult, on_inconclusive: str) -> str:
    if rule.severity == "warning":
        return "warning"
    return "error" if rule.verdict is Verdict.FAIL else LEVELS[on_inconclusive]


def _said(rule: RuleResult) -> str:
    parts = deciding(rule)
    lines = [words.outcome(one) for one in parts[:_SHOWN]]
    if len(parts) > _SHOWN:
        lines.append(f"and {words.count(len(parts) - _SHOWN, 'more contrast')}")
    return "\n".join(lines) or f"the rule is {rule.verdict.value}"


def command(level: str, title: str, message: str) -> str:
    """One workflow command, escaped as GitHub's runner reads it back.

    Args:
        level: ``error``, ``warning`` or ``notice``.
        title: a property; commas and colons would end it.
        message: may have several lines.
    """
    return f"::{level} title={_data(title).replace(':', '%3A').replace(',', '%2C')}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
