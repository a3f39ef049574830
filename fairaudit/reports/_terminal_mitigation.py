"""An experiment for a terminal: every arm's accuracy and disparities beside the baseline's, and who lost."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from fairaudit.reports import _mitigation as said
from fairaudit.reports import _wording as words
from fairaudit.reports._layout import TextColumn, printed, tables
from fairaudit.results.mitigation import MitigationResult, Number

_NAME = 26
STYLES = {"better": "green", "worse": "bold red"}


def mitigation_text(result: MitigationResult, width: int, color: bool) -> str:
    """Write an experiment for a terminal.

    Args:
        result: what it found.
        width: columns of the terminal.
        color: whether to colour what is also marked by a sign.
    """
    return printed(_parts(result, max(40, width)), width, color)


def _parts(result: MitigationResult, width: int) -> Iterable[RenderableType]:
    heading = f"{said.targets(result)} on {result.images['test']:,} test images, {said.runs(result)}"
    yield Text(heading, style="bold")
    yield Text(said.setting(result))
    for by in said.groupings(result):
        yield Text()
        yield Text(f"by {words.grouping_name(by)}", style="bold")
        yield from _table(result, by, width)
    yield Text()
    points = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
    for line in said.sentences(result):
        points.add_row("· ", Text(line))
    yield points


def _table(result: MitigationResult, by: tuple[str, ...], width: int) -> Iterable[RenderableType]:
    compared = {arm.name for arm in said.others(result)}
    names, cells = [], list[list[Text]]()
    for arm in result.arms:
        name = said.arm_name(result, arm, by)
        # arms of a sweep have long names, which break where a setting begins
        names.append(Text(name if len(name) <= _NAME else name.replace("(", "\n  (").replace(",", ",\n   ")))
        cells.append([_cell(one, arm.name in compared) for one in said.numbers(result, arm, by)])
    heads = said.headings(result, by)
    columns = [TextColumn(head, list(own), right=True) for head, own in zip(heads, zip(*cells, strict=True), strict=True)]
    yield from tables([TextColumn("", names)], columns, width)


def _cell(one: Number | None, compared: bool) -> Text:
    if not compared:
        return Text(said.value(one))
    return Text.assemble(f"{said.value(one)}\n", (said.change(one), "" if one is None else STYLES.get(one.trend, "")))
