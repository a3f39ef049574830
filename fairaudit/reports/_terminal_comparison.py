"""A comparison of models for a terminal: who got worse, who gained, and before → after of every group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from fairaudit.comparison import Change, ComparisonResult, PairComparison, Trend
from fairaudit.reports import _comparison as said
from fairaudit.reports import _wording as words
from fairaudit.reports._layout import TextColumn, printed, tables

STYLES = {Trend.WORSE: "bold red", Trend.BETTER: "green"}


def comparison_text(result: ComparisonResult, width: int, color: bool, metrics: Sequence[str]) -> str:
    """Write a comparison for a terminal.

    Args:
        result: the comparison.
        width: columns of the terminal; tables are split, never cut.
        color: whether to colour what is also marked by a sign and a word.
        metrics: which metrics to show; empty shows accuracy.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    shown = said.chosen(result, metrics)
    parts: list[RenderableType] = []
    for i, pair in enumerate(result.pairs):
        parts += [*([Text()] if i else []), *_pair(result, pair, max(40, width), shown)]
    return printed(parts, width, color)


def _pair(result: ComparisonResult, pair: PairComparison, width: int, metrics: tuple[str, ...]) -> Iterable[RenderableType]:
    yield Text(said.title(result, pair), style="bold")
    yield Text(said.design(result, pair))
    for metric in metrics:
        overall = [c for c in pair.overall.changes if c.metric == metric]
        for grouping in pair.groupings:
            groups, over = said.of_metric(grouping, metric)
            yield Text()
            yield Text(f"{words.clean(metric)} by {words.grouping_name(grouping.by)}", style="bold")
            yield from (_sentence(one) for one in said.sentences(groups, over))
            yield Text()
            yield from _table([*groups, *overall], width, last_apart=bool(overall))
            if over:
                yield Text()
                yield from _table(over, width)
    yield from _foot(result, pair, metrics)


def _sentence(one: said.Said) -> RenderableType:
    """Wrapped below its own text, so that marks stand out at the left."""
    style = STYLES.get(one.trend, "")
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
    table.add_row(Text(f"{one.mark} ", style=style), Text(one.text, style=style))
    return Padding(table, (0, 0, 0, 2))


def _table(rows: Sequence[Change], width: int, last_apart: bool = False) -> Iterable[RenderableType]:
    columns = [
        TextColumn("before", [_side(c, 0) for c in rows]),
        TextColumn("after", [_side(c, 1) for c in rows]),
        TextColumn("change", [_change(c) for c in rows]),
        TextColumn("p", [Text(said.p_cell(c)) for c in rows], right=True),
    ]
    yield from tables([TextColumn("", [Text(said.row_name(c)) for c in rows])], columns, width, last_apart)


def _side(c: Change, which: int) -> Text:
    return Text(said.side(c, which), style="dim" if math.isnan((c.before, c.after)[which].value) else "")


def _change(c: Change) -> Text:
    return Text(said.change(c), style="dim" if math.isnan(c.change.value) else STYLES.get(c.trend, ""))


def _foot(result: ComparisonResult, pair: PairComparison, metrics: tuple[str, ...]) -> Iterable[RenderableType]:
    notes = said.notes(result, pair, metrics)
    if (rest := said.hidden(result, metrics)) > 0:
        notes.append(f"{words.count(rest, 'more metric')}: --metric, or --format json")
    yield Text()
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
    for note in notes:
        table.add_row("  · ", Text(words.clean(note)))
    yield table
