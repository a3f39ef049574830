"""Plain tables for a page of a given width: split into several where one would be too wide, never cut."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

INDENT = 2
GAP = 2
_NARROWEST = 10


@dataclass(frozen=True)
class TextColumn:
    """One column.

    Attributes:
        name: its heading; may have several lines.
        cells: its cells; each may have several lines.
        right: whether it is aligned at the right, as counts are.
    """

    name: str
    cells: list[Text]
    right: bool = False

    @property
    def width(self) -> int:
        """Of the longest line, in terminal cells."""
        lines = [line for text in (self.name, *(cell.plain for cell in self.cells)) for line in text.split("\n")]
        return max(cell_len(line) for line in lines)


def tables(
    leads: list[TextColumn], columns: list[TextColumn], width: int, last_apart: bool = False
) -> Iterable[Padding | Text]:
    """Columns side by side; where they do not fit, the first column is repeated in a further table.

    Args:
        leads: columns that say what a row is; the first may be folded and is repeated.
        columns: columns of values, never folded unless one alone is wider than the page.
        width: of the page.
        last_apart: whether the last row is dimmed, because it sums the others up.
    """
    extra = sum(GAP + lead.width for lead in leads[1:])
    widest = max((column.width for column in columns), default=0)
    every = INDENT + leads[0].width + extra + sum(GAP + column.width for column in columns)
    wide = leads[0].width if every <= width else min(leads[0].width, width // 3)
    wide = max(_NARROWEST, min(wide, width - INDENT - extra - GAP - widest))
    batches: list[list[TextColumn]] = [[]]
    room = width - INDENT - wide - extra
    for column in columns:
        if batches[-1] and GAP + column.width > room:
            batches.append([])
            room = width - INDENT - wide
        batches[-1].append(column)
        room -= GAP + column.width
    for i, batch in enumerate(batches):
        if i:
            yield Text()
        shown = [*(leads if i == 0 else leads[:1]), *batch]
        yield Padding(_table(shown, wide, width, last_apart), (0, 0, 0, INDENT))


def printed(parts: Iterable[RenderableType], width: int, color: bool) -> str:
    """The text of parts one below another, without spaces at the ends of lines.

    Args:
        parts: tables and texts, none of which is read as markup.
        width: columns of the terminal.
        color: whether styles become escape sequences.
    """
    stream = io.StringIO()
    console = Console(
        file=stream, width=max(40, width), force_terminal=color, color_system="standard" if color else None,
        no_color=not color, markup=False, highlight=False, emoji=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    for part in parts:
        console.print(part, soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def broken(name: str, room: int) -> str:
    """A metric's name in lines of at most ``room`` cells, broken after ``_`` and before ``[``."""
    lines = [""]
    for part in re.findall(r"\[.*|[^_\[]*_|[^_\[]+", name):
        if lines[-1] and cell_len(lines[-1] + part) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _table(columns: list[TextColumn], wide: int, width: int, last_apart: bool) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    for i, column in enumerate(columns):
        table.add_column(
            Text(column.name, style="bold"),
            overflow="fold",
            justify="right" if column.right else "left",
            vertical="top",
            width=wide if i == 0 else min(column.width, width - INDENT - wide - GAP),
        )
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for row in rows:
        table.add_row(*row, style="dim" if last_apart and row is rows[-1] else None)
    return table
