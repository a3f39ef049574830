"""Tables for a terminal, worst first, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from fairaudit.comparison import ComparisonResult
from fairaudit.reports import _embedding as embedded
from fairaudit.reports import _wording as words
from fairaudit.reports._besides import SHRUNK, Aside, Cell, asides, shrunk_column
from fairaudit.reports._footnotes import STYLES, Footnotes
from fairaudit.reports._labels import label_metrics, label_rows, labels_of
from fairaudit.reports._labels import shown as label_shown
from fairaudit.reports._layout import TextColumn, broken, printed, tables
from fairaudit.reports._rules import SEVERITY, deciding, group_key, ruled, ruled_metrics
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
from fairaudit.reports._terminal_comparison import comparison_text
from fairaudit.reports._terminal_mitigation import mitigation_text
from fairaudit.results import AuditResult, Disparity, GroupingResult, GroupResult, RuleResult, Verdict
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult


def render(
    result: AuditResult, *, width: int = 80, color: bool = False, metrics: tuple[str, ...] = (), rows: int = 8
) -> str:
    """Write an audit for a terminal.

    Args:
        result: the audit.
        width: columns of the terminal; tables are split, never cut.
        color: whether to colour what is also marked by a sign and a word.
        metrics: metrics to show per group; empty shows accuracy, what rules are about, and the usual ones.
        rows: how many of the largest differences are listed per grouping; those that break a rule are always listed.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    page = _Page(result, max(40, width), chosen_metrics(result, metrics), rows, bool(metrics))
    return printed(page.parts(), page.width, color)


def render_comparison(
    result: ComparisonResult, *, width: int = 80, color: bool = False, metrics: tuple[str, ...] = ()
) -> str:
    """Write a comparison for a terminal.

    Args:
        result: the comparison.
        width: columns of the terminal; tables are split, never cut.
        color: whether to colour what is also marked by a sign and a word.
        metrics: which metrics to show; empty shows accuracy. All of them are in the JSON.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    return comparison_text(result, width, color, metrics)


def render_mitigation(result: MitigationResult, *, width: int = 80, color: bool = False) -> str:
    """Write an experiment for a terminal.

    Args:
        result: what it found.
        width: columns of the terminal.
        color: whether to colour what is also marked by a sign.
    """
    return mitigation_text(result, width, color)


def render_embedding(result: EmbeddingResult, *, width: int = 80, color: bool = False) -> str:
    """Write an audit of embeddings for a terminal.

    Args:
        result: the audit.
        width: columns of the terminal; tables are split, never cut.
        color: whether headings are bold.
    """
    return embedded.terminal(result, width, color)


class _Page:
    def __init__(self, result: AuditResult, width: int, metrics: Sequence[str], rows: int, asked: bool) -> None:
        self.result, self.width, self.metrics, self.rows = result, width, metrics, rows
        self.asked = set(metrics) if asked else set()
        self.floor = int(result.settings.get("min_support", 0))

    def parts(self) -> Iterable[RenderableType]:
        result = self.result
        yield Text(f"Audit of {words.title(result)}", style="bold")
        yield Text()
        yield Text(f"{words.SYMBOLS[result.verdict]} {words.verdict_sentence(result)}", style=STYLES[result.verdict])
        if result.rules:
            yield Text()
            yield from self.rules()
        for grouping in result.unconditional:
            yield from self.grouping(grouping)
        yield from self.foot()

    def rules(self) -> Iterable[RenderableType]:
        for rule in sorted(self.result.rules, key=lambda r: SEVERITY.index(r.verdict)):
            mark = Text(f"{words.SYMBOLS[rule.verdict]} {rule.verdict.value}", style=STYLES[rule.verdict])
            yield Padding(Text.assemble(mark, f": {words.clean(rule.rule)}"), (0, 0, 0, 2))
            yield from (Padding(line, (0, 0, 0, 6)) for line in _why(rule))

    def grouping(self, grouping: GroupingResult) -> Iterable[RenderableType]:
        kept = self.asked | ruled_metrics(self.result, grouping.by)
        metrics = [m for m in self.metrics if m in kept or often_defined(grouping, m)] or list(self.metrics)
        groups = worst_first(grouping, metrics[0], self.floor)
        listed = f"{words.count(len(groups), 'group')}, worst {words.clean(metrics[0])} first"
        yield from self.heading(f"By {words.grouping_name(grouping.by)}: {listed}")
        yield from self.group_tables(grouping, groups, metrics)
        if labels_of(self.result):
            for metric in label_metrics(self.result, grouping, sorted(self.asked)):
                yield from self.labels(grouping, metric)
        yield from self.differences(grouping, metrics)
        yield from self.between(grouping, metrics)
        yield from self.named(grouping)
        for aside in asides(self.result, grouping, metrics, self.rows):
            yield from self.aside(aside)

    def heading(self, text: str) -> Iterable[RenderableType]:
        yield Text()
        yield Text(text, style="bold")

    def group_tables(
        self, grouping: GroupingResult, groups: list[GroupResult], metrics: list[str]
    ) -> Iterable[RenderableType]:
        marks = ruled(self.result, grouping.by, "worst_group")
        first = [Text(self.group_label(grouping, group)) for group in groups] + [Text("all images")]
        sizes = [Text(f"{g.n:,}" if g.n else "absent") for g in groups] + [Text(f"{self.result.overall.n:,}")]
        columns, notes = [], Footnotes(self.floor)
        for metric in metrics:
            cells = [notes.cell(group.metrics.get(metric), marks.get((metric, group_key(group.group)))) for group in groups]
            cells.append(notes.cell(self.result.overall.metrics.get(metric)))
            columns.append(TextColumn(broken(words.clean(metric), 20), cells))
            if (drawn := shrunk_column(grouping, metric, [group.shrunk for group in groups])) is not None:
                notes.said.append(SHRUNK)
                texts = [Text(text, style="dim") for text in [*drawn, ""]]
                columns.append(TextColumn(f"{broken(words.clean(metric), 20)}\nshrunk", texts))
        leads = [TextColumn("group", first), TextColumn("n", sizes, right=True)]
        yield from tables(leads, columns, self.width, last_apart=True)
        yield from notes.lines()

    def group_label(self, grouping: GroupingResult, group: GroupResult) -> str:
        name = words.group_name(group.group)
        same = grouping.privileged is not None and dict(group.group) == dict(grouping.privileged)
        return f"{name} (reference)" if same else name

    def labels(self, grouping: GroupingResult, metric: str) -> Iterable[RenderableType]:
        rows = label_rows(self.result, grouping, metric, self.floor)
        if not rows:
            return
        first, notes = label_shown(rows, self.rows), Footnotes(self.floor)
        yield from self.heading(f"Labels by {words.clean(metric)}, largest gap first")
        ends = [(r.worst.estimate.value, r.worst.group) if r.worst is not None else None for r in first]
        worst = [Text("–" if one is None else f"{words.number(one[0])} {words.group_name(one[1])}") for one in ends]
        columns = [
            TextColumn("all", [Text(words.number(r.overall.value)) for r in first]),
            TextColumn("gap", [notes.cell(r.gap.estimate, r.verdict) for r in first]),
            TextColumn("worst group", worst),
        ]
        yield from tables([TextColumn("label", [Text(words.clean(r.label)) for r in first])], columns, self.width)
        if len(rows) > len(first):
            more = f"and {words.count(len(rows) - len(first), 'more label')}: --format csv or json"
            yield Padding(Text(more, style="dim"), (0, 0, 0, 2))
        yield from notes.lines()

    def differences(self, grouping: GroupingResult, metrics: list[str]) -> Iterable[RenderableType]:
        found = contrasts(grouping, metrics, "difference", self.floor)
        if grouping.privileged is None or not found:
            return
        marks = ruled(self.result, grouping.by, "difference", "shortfall")
        verdicts = {id(d): marks.get((d.metric, group_key(d.group))) for d in found}
        first = [d for d in found if (v := verdicts[id(d)]) is not None and v[0] is Verdict.FAIL]
        shown = [*first, *(d for d in found if d not in first)][: max(self.rows, len(first))]
        how = "" if grouping.privileged_is == "named" else " (the largest group)"
        yield from self.heading(f"Largest differences from {words.group_name(grouping.privileged)}{how}")
        notes = Footnotes(self.floor)
        leads = [
            TextColumn("group", [Text(words.group_name(d.group)) for d in shown]),
            TextColumn("metric", [Text(broken(words.clean(d.metric), 18)) for d in shown]),
        ]
        columns = [
            TextColumn("difference", [self.difference(d, verdicts[id(d)], notes) for d in shown]),
            TextColumn("support", [Text(f"{d.estimate.support:,}") for d in shown], right=True),
        ]
        yield from tables(leads, columns, self.width)
        if len(found) > len(shown):
            yield Padding(Text(f"and {len(found) - len(shown)} smaller ones", style="dim"), (0, 0, 0, 2))
        yield from notes.lines()

    def difference(self, one: Disparity, verdict: tuple[Verdict, str] | None, notes: Footnotes) -> Text:
        if not told_apart(one, self.result):
            return notes.cell(one.estimate, verdict, signed=True)
        notes.said.append(told_apart_note(self.result))
        return notes.cell(one.estimate, verdict, signed=True, mark=" *")

    def between(self, grouping: GroupingResult, metrics: list[str]) -> Iterable[RenderableType]:
        rows: list[tuple[str, str, Text]] = []
        notes = Footnotes(self.floor)
        for metric in metrics:
            own = list(over_groups(grouping, metric).items())
            # A long name goes on beside the next kinds, which leaves no holes in the table.
            name = broken(words.clean(metric), 18).split("\n", max(0, len(own) - 1)) + [""] * len(own)
            for (kind, one), line in zip(own, name, strict=False):
                verdict = ruled(self.result, grouping.by, kind).get((metric, group_key(one.group)))
                label = kind.replace("_", " ") if one.group is None else f"worst: {words.group_name(one.group)}"
                rows.append((line, label, notes.cell(one.estimate, verdict)))
        if not rows:
            return
        yield from self.heading(f"Between the groups of {words.grouping_name(grouping.by)}")
        leads = [
            TextColumn("metric", [Text(row[0]) for row in rows]),
            TextColumn("", [Text(row[1]) for row in rows]),
        ]
        yield from tables(leads, [TextColumn("value", [row[2] for row in rows])], self.width)
        yield from notes.lines()

    def named(self, grouping: GroupingResult) -> Iterable[RenderableType]:
        marks = ruled(self.result, grouping.by, None)
        found = named(grouping, {metric for metric, _ in marks})
        if not found:
            return
        notes = Footnotes(self.floor)
        one = "label" if labels_of(self.result) else "class"
        of = f", each of its worst {one}" if "[" in found[0].metric else ""
        yield from self.heading(f"Disparities with a name{of}")
        cells = [notes.cell(d.estimate, marks.get((d.metric, group_key(d.group)))) for d in found]
        names = [broken(words.clean(d.metric), 38) for d in found]
        names = [n if d.group is None else f"{n}\n  {words.group_name(d.group)}" for n, d in zip(names, found, strict=True)]
        leads = [TextColumn("metric", [Text(name) for name in names])]
        yield from tables(leads, [TextColumn("value", cells)], self.width)
        yield from notes.lines()

    def aside(self, aside: Aside) -> Iterable[RenderableType]:
        yield from self.heading(aside.title)
        notes = Footnotes(self.floor)

        def cell(one: Cell) -> Text:
            value, verdict = one
            return Text(value) if isinstance(value, str) else notes.cell(value, verdict, aside.signed)

        leads = [
            TextColumn(
                name, [Text(broken(texts[i], 18 if name == "metric" else 24)) for texts, _ in aside.rows], right=name == "n"
            )
            for i, name in enumerate(aside.leads)
        ]
        columns = [
            TextColumn(broken(name, 20), [cell(cells[i]) for _, cells in aside.rows])
            for i, name in enumerate(aside.columns)
        ]
        yield from tables(leads, columns, self.width, last_apart=aside.last_apart)
        notes.said += aside.notes
        yield from notes.lines()

    def foot(self) -> Iterable[RenderableType]:
        hidden = len(self.result.overall.metrics) - len(self.metrics)
        if self.result.notes:
            yield from self.heading("Notes")
            table = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
            for note in self.result.notes:
                table.add_row("  · ", Text(words.clean(note)))
            yield table
        if hidden > 0:
            yield Text()
            yield Text(
                f"{words.count(hidden, 'more metric')} per group and every disparity: --format csv or json",
                style="dim",
            )


def _why(rule: RuleResult) -> Iterable[Text]:
    parts = deciding(rule)
    shown = parts[: 1 if rule.verdict is Verdict.PASS else 2]
    for one in shown:
        yield Text(words.outcome(one))
    rest = len(parts) - len(shown)
    if rest:
        yield Text(f"and {words.count(rest, 'more contrast')}", style="dim")
    unjudged = sum(one.verdict is Verdict.INCONCLUSIVE for one in rule.outcomes)
    if rule.verdict is Verdict.FAIL and unjudged:
        yield Text(f"{words.count(unjudged, 'contrast')} cannot be decided", style="dim")
