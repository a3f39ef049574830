"""GitHub-flavoured Markdown, for a job summary or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._markup import safe as _safe
from fairaudit.reports._markup import table as _table
from fairaudit.reports._rules import SEVERITY, deciding, group_key, ruled
from fairaudit.reports._selection import chosen_metrics, contrasts, named, often_defined, over_groups, worst_first
from fairaudit.results import AuditResult, Estimate, GroupingResult, RuleResult, Verdict


def render(result: AuditResult, *, metrics: tuple[str, ...] = (), rows: int = 10) -> str:
    """Write an audit as Markdown.

    Args:
        result: the audit.
        metrics: metrics to show per group; empty shows accuracy, what rules are about, and the usual ones.
        rows: how many of the largest differences are listed per grouping.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    chosen = chosen_metrics(result, metrics)
    lines = [
        f"## Audit of {_safe(words.title(result))}",
        "",
        f"**{words.SYMBOLS[result.verdict]} {_safe(words.verdict_sentence(result))}**",
        "",
    ]
    if result.rules:
        lines += [*_table(("verdict", "rule", "decided by"), _rules(result.rules)), ""]
    for grouping in result.groupings:
        kept = [m for m in chosen if metrics or often_defined(grouping, m)] or list(chosen)
        lines += _grouping(result, grouping, kept, rows)
    if result.notes:
        lines += ["### Notes", "", *(f"- {_safe(words.clean(note))}" for note in result.notes), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rules(rules: Sequence[RuleResult]) -> Iterator[list[str]]:
    for rule in sorted(rules, key=lambda r: SEVERITY.index(r.verdict)):
        parts = deciding(rule)
        said = [_safe(words.outcome(one)) for one in parts[:3]]
        if len(parts) > len(said):
            said.append(f"and {words.count(len(parts) - len(said), 'more contrast')}")
        yield [f"{words.SYMBOLS[rule.verdict]} {rule.verdict.value}", _safe(words.clean(rule.rule)), "<br>".join(said)]


def _grouping(result: AuditResult, grouping: GroupingResult, metrics: list[str], rows: int) -> Iterator[str]:
    floor = int(result.settings.get("min_support", 0))
    marks = ruled(result, grouping.by, "worst_group")
    reference = grouping.privileged

    def cell(value: Estimate | None, key: tuple[str, str] = ("", ""), signed: bool = False) -> str:
        if value is None:
            return "–"
        text = _safe(words.estimate(value, signed))
        if value.value == value.value:
            text += " (too few)" if value.support < floor else ""
            text += f" {words.SYMBOLS[marks[key][0]]}" if key in marks else ""
        return f"**{text}**" if key in marks and marks[key][0] is Verdict.FAIL else text

    yield from (f"### By {_safe(words.grouping_name(grouping.by))}", "")
    body = []
    for group in worst_first(grouping, metrics[0], floor):
        same = reference is not None and dict(reference) == dict(group.group)
        name = _safe(words.group_name(group.group)) + (" (reference)" if same else "")
        values = [cell(group.metrics.get(m), (m, group_key(group.group))) for m in metrics]
        body.append([name, f"{group.n:,}" if group.n else "absent", *values])
    whole = [cell(result.overall.metrics.get(m)) for m in metrics]
    body.append(["*all images*", f"{result.overall.n:,}", *whole])
    yield from _table(("group", "n", *(_safe(words.clean(m)) for m in metrics)), body)
    yield ""

    found = contrasts(grouping, metrics, "difference", floor)
    if reference is not None and found:
        marks = ruled(result, grouping.by, "difference", "shortfall")
        how = "" if grouping.privileged_is == "named" else " (the largest group)"
        first = [d for d in found if marks.get((d.metric, group_key(d.group)), (None,))[0] is Verdict.FAIL]
        shown = [*first, *(d for d in found if d not in first)][: max(rows, len(first))]
        yield from (f"Largest differences from {_safe(words.group_name(reference))}{how}:", "")
        yield from _table(
            ("group", "metric", "difference", "support"),
            (
                [
                    _safe(words.group_name(d.group)),
                    _safe(words.clean(d.metric)),
                    cell(d.estimate, (d.metric, group_key(d.group)), signed=True),
                    f"{d.estimate.support:,}",
                ]
                for d in shown
            ),
        )
        yield ""

    between = [d for m in metrics for d in over_groups(grouping, m).values()] + named(grouping)
    if between:
        yield from ("Between the groups:", "")
        body = []
        for d in between:
            marks = ruled(result, grouping.by, d.kind)
            whose = "" if d.group is None else _safe(words.group_name(d.group))
            value = cell(d.estimate, (d.metric, group_key(d.group)))
            body.append([_safe(words.contrast_name(d)), value, whose])
        yield from _table(("disparity", "value", "group"), body)
        yield ""
