"""Sheets: tables of plain text that a terminal, Markdown and a page show alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from fairaudit.reports._layout import INDENT, TextColumn, printed, tables
from fairaudit.reports._markup import safe, table
from fairaudit.reports._wording import clean


@dataclass(frozen=True)
class Sheet:
    """A table, and what is to be said of it.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: as many texts as there are headings.
        right: positions of the columns that are aligned at the right, as numbers are.
        notes: sentences below it.
        last_apart: whether the last row sums the others up.
        leads: how many first columns say what a row is.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    notes: Sequence[str] = ()
    last_apart: bool = False
    leads: int = 1


def in_terminal(heading: str, lead: Sequence[str], sheets: Sequence[Sheet], width: int, color: bool) -> str:
    """Sheets one below another for a terminal, split where they are too wide.

    Args:
        heading: the first line.
        lead: lines below it.
        sheets: in order.
        width: columns of the terminal.
        color: whether headings are bold.
    """
    parts: list[RenderableType] = [Text(clean(heading), style="bold"), *(Text(clean(line)) for line in lead)]
    for sheet in sheets:
        parts += [Text(), Text(clean(sheet.title), style="bold")]
        if sheet.rows:
            columns = [
                TextColumn(_plain(name), [Text(_plain(row[i])) for row in sheet.rows], i in sheet.right)
                for i, name in enumerate(sheet.columns)
            ]
            parts += tables(columns[: sheet.leads], columns[sheet.leads :], width, sheet.last_apart)
        parts += [Padding(Text(clean(note), style="dim"), (0, 0, 0, INDENT)) for note in sheet.notes]
    return printed(parts, width, color)


def in_markdown(heading: str, lead: Sequence[str], sheets: Sequence[Sheet]) -> str:
    """Sheets as GitHub-flavoured Markdown.

    Args:
        heading: of the whole.
        lead: paragraphs below it.
        sheets: in order.
    """
    lines = [f"## {safe(clean(heading))}", ""]
    for paragraph in lead:
        lines += [safe(clean(paragraph)), ""]
    for sheet in sheets:
        lines += [f"### {safe(clean(sheet.title))}", ""]
        if sheet.rows:
            rows = [[safe(_plain(text)) for text in row] for row in sheet.rows]
            lines += [*table([safe(_plain(name)) for name in sheet.columns], rows), ""]
        for note in sheet.notes:
            lines += [safe(clean(note)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    """A cell's text; an empty cell stays empty."""
    return clean(text) if text else ""
