"""The audit of an embedding space as one self-contained page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._embedding import besides, facts, lead, of_grouping, title
from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._figures.embedding import distances, flat, recalls, trade_off
from fairaudit.reports._page import Cell, Column, Facts, Part, Points, Prose, Section, Table, anchor, page
from fairaudit.reports._sheets import Sheet
from fairaudit.results.embedding import EmbeddedGrouping, EmbeddingResult

TABLES = (
    "Retrieval and verification are tables of predictions as well: the folders beside this page hold them with their own "
    "audits and pages, where accuracy is recall@k, and false positive and false negative rates are FMR and FNMR."
)


def embedding_pictures(result: EmbeddingResult) -> list[Picture]:
    """Every figure of the page.

    Args:
        result: the audit.
    """
    drawn = [one for grouping in result.groupings for one in _of(result, grouping)]
    return [one for one in (*drawn, flat(result)) if one is not None]


def embedding_page(result: EmbeddingResult, drawn: Sequence[Picture], made_with: str = "") -> str:
    """The page.

    Args:
        result: the audit.
        drawn: its figures, see ``embedding_pictures``.
        made_with: the model, layer and data behind it.
    """
    named = {one.name: one for one in drawn}

    def figures(grouping: EmbeddedGrouping) -> list[Part]:
        names = [
            re.sub(r"[^a-z0-9]+", "-", f"{what} {' '.join(grouping.by)}".casefold())[:80].strip("-") for what in _KINDS
        ]
        return [named[name] for name in names if name in named]

    sections = [
        Section(
            f"by-{i}-{anchor(*grouping.by)}",
            f"By {words.grouping_name(grouping.by)}",
            [*figures(grouping), *(_table(sheet) for sheet in of_grouping(result, grouping))],
        )
        for i, grouping in enumerate(result.groupings)
    ]
    sections += [
        Section("besides", "Leakage and downstream", [_table(sheet) for sheet in besides(result)]),
        Section("map", "Map", [named["map"]] if "map" in named else []),
        Section("notes", "Notes", [Points([TABLES, *result.notes])]),
    ]
    first: list[Part] = [Facts(facts(result)), Prose([f"{line[:1].upper()}{line[1:]}." for line in lead(result)])]
    return page(title(result), first, sections, kind="embedding audit", subtitle=made_with)


_KINDS = ("recall", "pairs", "det")


def _of(result: EmbeddingResult, grouping: EmbeddedGrouping) -> list[Picture | None]:
    return [recalls(result, grouping), distances(result, grouping), trade_off(grouping)]


def _table(sheet: Sheet) -> Table:
    columns = [Column(name, number=i in sheet.right) for i, name in enumerate(sheet.columns)]
    rows = [[_sorted(text) if i in sheet.right else text for i, text in enumerate(row)] for row in sheet.rows]
    return Table(sheet.title, columns, rows, sheet.notes, sheet.last_apart, sheet.leads)


def _sorted(text: str) -> Cell:
    """A cell that is sorted by the number it begins with."""
    number = re.match(rf"{words.MINUS}?[\d,.]+", text)
    value = float(number[0].replace(",", "").replace(words.MINUS, "-")) if number else math.nan
    return Cell(text, value=value)
