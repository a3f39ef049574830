"""The profile of a dataset as one self-contained page."""

from __future__ import annotations

import math
import re

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.association import heat_map, ranking
from fairaudit.reports._figures.cells import cells
from fairaudit.reports._page import Cell, Column, Facts, Part, Points, Prose, Section, Table, anchor, page
from fairaudit.reports._profile import (
    associations,
    counts,
    facts,
    overall,
    percent,
    pictures,
    strongest,
    title,
)
from fairaudit.reports._sheets import Sheet
from fairaudit.results.profile import Profile


def render_profile(profile: Profile) -> str:
    """Write a profile as an HTML document.

    Args:
        profile: what the dataset holds.
    """
    sections = [
        Section("all", "All images", [] if profile.groupings else [_table(overall(profile))]),
        *(_grouping(profile, i) for i in range(len(profile.groupings))),
        Section("together", "Which columns go together", _together(profile)),
        Section("notes", "Notes", [Points(profile.notes)] if profile.notes else []),
    ]
    return page(title(profile), _lead(profile), sections, kind="data profile")


def _lead(profile: Profile) -> list[Part]:
    pairs = [("images", f"{profile.overall.n:,}")]
    if profile.identities is not None:
        pairs.append(("people", f"{profile.identities:,}"))
    if len(profile.splits) > 1:
        shares = (f"{name} {n:,} ({percent(n / profile.overall.n)})" for name, n in profile.splits.items())
        pairs.append(("splits", ", ".join(shares)))
    for grouping in profile.groupings:
        known = [g for g in grouping.groups if g.n]
        if known:
            least, most = min(known, key=lambda g: g.n), max(known, key=lambda g: g.n)
            absent = len(grouping.groups) - len(known)
            lacking = f"; {words.count(absent, 'group')} without an image" if absent else ""
            size = f"{most.n:,}" if least.n == most.n else f"{least.n:,} to {most.n:,}"
            said = f"{size} images in {words.count(len(known), 'group')}{lacking}"
            pairs.append((f"by {words.grouping_name(grouping.by)}", said))
    mine, _ = strongest(profile)
    if mine and mine[0].v:
        pairs.append((f"goes with {words.clean(profile.target)}", f"{words.clean(mine[0].columns[1])}, V {mine[0].v:.2f}"))
    return [Facts(pairs), Prose([f"{line[:1].upper()}{line[1:]}." for line in facts(profile)])]


def _grouping(profile: Profile, index: int) -> Section:
    grouping = profile.groupings[index]
    parts: list[Part] = [cells(profile, grouping), _table(counts(profile, grouping))]
    if profile.pictures is not None:
        parts.append(_table(pictures(profile, grouping)))
    heading = f"By {words.grouping_name(grouping.by)}"
    return Section(f"by-{index}-{anchor(*grouping.by)}", heading, parts)


def _together(profile: Profile) -> list[Part]:
    figures = [one for one in (ranking(profile), heat_map(profile)) if one is not None]
    return [*figures, *(_table(sheet) for sheet in associations(profile))]


def _table(sheet: Sheet) -> Table:
    columns = [Column(name, number=i in sheet.right) for i, name in enumerate(sheet.columns)]
    rows = [[_sorted(text) if i in sheet.right else text for i, text in enumerate(row)] for row in sheet.rows]
    return Table(sheet.title, columns, rows, sheet.notes, sheet.last_apart, sheet.leads)


def _sorted(text: str) -> Cell:
    """A cell that is sorted by the number it begins with, not by its digits as text."""
    number = re.match(r"[\d,.]+", text)
    return Cell(text, value=float(number[0].replace(",", "")) if number else math.nan)
