"""GitHub-flavoured Markdown, for a job summary or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairaudit.comparison import Change, ComparisonResult, PairComparison, Trend
from fairaudit.reports import _comparison as compared
from fairaudit.reports import _embedding as embedded
from fairaudit.reports import _mitigation as mitigated
from fairaudit.reports import _wording as words
from fairaudit.reports._besides import SHRUNK, Aside, Cell, asides, shrunk_column
from fairaudit.reports._labels import label_metrics, label_rows, shown
from fairaudit.reports._markup import safe as _safe
from fairaudit.reports._markup import table as _table
from fairaudit.reports._rules import SEVERITY, deciding, group_key, ruled
from fairaudit.reports._selection import (
    chosen_metrics,
    contrasts,
    named,
    often_defined,
    over_groups,
    told_apart,
    told_apart_note,
    worst_first,
)
from fairaudit.results import AuditResult, Estimate, GroupingResult, RuleResult, Verdict
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult, Number


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
    for grouping in result.unconditional:
        kept = [m for m in chosen if metrics or often_defined(grouping, m)] or list(chosen)
        lines += _grouping(result, grouping, kept, rows)
        for metric in label_metrics(result, grouping, metrics and chosen):
            lines += _labels(result, grouping, metric, rows)
        for aside in asides(result, grouping, kept, rows):
            lines += _aside(aside, int(result.settings.get("min_support", 0)))
    if result.notes:
        lines += ["### Notes", "", *(f"- {_safe(words.clean(note))}" for note in result.notes), ""]
    return "\n".join(lines).rstrip() + "\n"


def render_comparison(result: ComparisonResult, *, metrics: tuple[str, ...] = ()) -> str:
    """Write a comparison as Markdown.

    Args:
        result: the comparison.
        metrics: which metrics to show; empty shows accuracy.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    chosen = compared.chosen(result, metrics)
    lines = [line for pair in result.pairs for line in _pair(result, pair, chosen)]
    if (rest := compared.hidden(result, chosen)) > 0:
        lines += [f"{words.count(rest, 'more metric')} of every group: csv or json.", ""]
    return "\n".join(lines).rstrip() + "\n"


def render_mitigation(result: MitigationResult) -> str:
    """Write an experiment as Markdown.

    Args:
        result: the experiment.
    """
    tested = f"{result.images['test']:,} test images, {mitigated.runs(result)}"
    lines = [
        f"## Mitigation of {_safe(mitigated.targets(result))}",
        "",
        f"{_safe(tested)}. {_safe(mitigated.setting(result))}.",
    ]
    if found := [f"- {one.mark} {_safe(one.text)}" for one in mitigated.verdicts(result)]:
        lines += ["", *found]
    for by in mitigated.groupings(result):
        heads = [_safe(head) for head in mitigated.headings(result, by)]
        rows = [
            [_safe(mitigated.arm_name(result, arm, by)), *map(_number, mitigated.numbers(result, arm, by))]
            for arm in result.arms
        ]
        lines += ["", f"### By {_safe(words.grouping_name(by))}", "", *_table(("arm", *heads), rows)]
    lines += ["", *(f"- {_safe(line)}" for line in mitigated.sentences(result))]
    return "\n".join([*lines, *(f"- {_safe(words.clean(note))}" for note in result.notes)]).rstrip() + "\n"


def render_embedding(result: EmbeddingResult) -> str:
    """Write an audit of embeddings as Markdown.

    Args:
        result: the audit.
    """
    return embedded.markdown(result)


def _number(one: Number | None) -> str:
    text, moved = _safe(mitigated.value(one)), _safe(mitigated.change(one))
    return f"{text}<br>{moved}" if moved else text


def _pair(result: ComparisonResult, pair: PairComparison, metrics: Sequence[str]) -> Iterator[str]:
    yield from (f"## {_safe(compared.title(result, pair))}", "", f"{_safe(compared.design(result, pair))}.", "")
    for metric in metrics:
        overall = [c for c in pair.overall.changes if c.metric == metric]
        for grouping in pair.groupings:
            groups, over = compared.of_metric(grouping, metric)
            yield from (f"### {_safe(words.clean(metric))} by {_safe(words.grouping_name(grouping.by))}", "")
            yield from (f"- {one.mark} {_safe(one.text)}" for one in compared.sentences(groups, over))
            yield ""
            for head, rows in (("group", [*groups, *overall]), ("over groups", over)):
                if rows:
                    yield from _table((head, "before", "after", "change", "p"), map(_change, rows))
                    yield ""
    notes = [f"- {_safe(words.clean(note))}" for note in compared.notes(result, pair, metrics)]
    yield from ("Notes:", "", *notes, "") if notes else ()


def _change(c: Change) -> list[str]:
    cells = (compared.row_name(c), compared.side(c, 0), compared.side(c, 1), compared.change(c), compared.p_cell(c))
    name, *numbers = map(_safe, cells)
    if c.trend is Trend.WORSE:
        return [f"**{name}**", *numbers]
    return ["*all images*" if c.group is None and c.kind is None else name, *numbers]


def _labels(result: AuditResult, grouping: GroupingResult, metric: str, most: int) -> Iterator[str]:
    floor = int(result.settings.get("min_support", 0))
    rows = label_rows(result, grouping, metric, floor)
    if not rows:
        return
    body = []
    for row in (first := shown(rows, most)):
        gap, worst = row.gap.estimate, row.worst
        text = _safe(words.estimate(gap))
        text += " (too few)" if gap.value == gap.value and gap.support < floor else ""
        text += f" {words.SYMBOLS[row.verdict[0]]}" if row.verdict is not None else ""
        at = "–" if worst is None else f"{words.number(worst.estimate.value)} {_safe(words.group_name(worst.group))}"
        body.append([_safe(words.clean(row.label)), words.number(row.overall.value), text, at])
    more = f"; {words.count(len(rows) - len(first), 'more label')} in csv and json" if len(first) < len(rows) else ""
    yield from (f"Labels by {_safe(words.clean(metric))}, largest gap first{more}:", "")
    yield from _table(("label", "all", "gap", "worst group"), body)
    yield ""


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

    def cell(value: Estimate | None, key: tuple[str, str] = ("", ""), signed: bool = False, mark: str = "") -> str:
        if value is None:
            return "–"
        text = _safe(words.estimate(value, signed)) + mark
        if value.value == value.value:
            text += " (too few)" if value.support < floor else ""
            text += f" {words.SYMBOLS[marks[key][0]]}" if key in marks else ""
        return f"**{text}**" if key in marks and marks[key][0] is Verdict.FAIL else text

    yield from (f"### By {_safe(words.grouping_name(grouping.by))}", "")
    groups = worst_first(grouping, metrics[0], floor)
    drawn = {m: shrunk_column(grouping, m, [group.shrunk for group in groups]) for m in metrics}
    body = []
    for i, group in enumerate(groups):
        same = reference is not None and dict(reference) == dict(group.group)
        name = _safe(words.group_name(group.group)) + (" (reference)" if same else "")
        values = []
        for m in metrics:
            values.append(cell(group.metrics.get(m), (m, group_key(group.group))))
            values += [column[i]] if (column := drawn[m]) is not None else []
        body.append([name, f"{group.n:,}" if group.n else "absent", *values])
    whole = [text for m in metrics for text in [cell(result.overall.metrics.get(m)), *([""] if drawn[m] else [])]]
    body.append(["*all images*", f"{result.overall.n:,}", *whole])
    heads = [
        text
        for m in metrics
        for text in [_safe(words.clean(m)), *([f"{_safe(words.clean(m))}, shrunk"] if drawn[m] else [])]
    ]
    yield from _table(("group", "n", *heads), body)
    yield from ("", f"{SHRUNK[0].upper()}{SHRUNK[1:]}.", "") if any(drawn.values()) else ("",)

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
                    cell(
                        d.estimate,
                        (d.metric, group_key(d.group)),
                        signed=True,
                        mark=_safe(" *") if told_apart(d, result) else "",
                    ),
                    f"{d.estimate.support:,}",
                ]
                for d in shown
            ),
        )
        yield ""
        if any(told_apart(d, result) for d in shown):
            yield from (_safe(told_apart_note(result)) + ".", "")

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


def _aside(aside: Aside, floor: int) -> Iterator[str]:
    def cell(one: Cell) -> str:
        value, verdict = one
        if value is None or isinstance(value, str):
            return "–" if value is None else _safe(value)
        few = value.value == value.value and value.support < floor
        text = _safe(words.estimate(value, aside.signed)) + (" (too few)" if few else "")
        text += "" if verdict is None else f" {words.SYMBOLS[verdict[0]]}"
        return f"**{text}**" if verdict is not None and verdict[0] is Verdict.FAIL else text

    yield from (f"**{_safe(aside.title)}**", "")
    rows = [[*map(_safe, texts), *map(cell, cells)] for texts, cells in aside.rows]
    yield from _table([_safe(name) for name in (*aside.leads, *aside.columns)], rows)
    yield from ("", *(line for note in aside.notes for line in (f"{_safe(note[:1].upper() + note[1:])}.", "")))
