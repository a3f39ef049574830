"""Explanations as a page: the figures first, then how far to believe each, groups, probes, and how it was done."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairaudit.reports import _explanation as said
from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._page import Cell, Column, Facts, Finding, Mark, Part, Points, Section, Table, page
from fairaudit.results.explanation import ExplanationResult, Probe, RowExplanation

_DOUBT = Mark("?", "doubted", "open")
_FINE = Mark("✓", "no doubt found", "pass")


def explanation_page(result: ExplanationResult, figures: Sequence[Picture], subtitle: str) -> str:
    """A whole HTML document.

    Args:
        result: the record.
        figures: pictures, named ``regions``, ``heat`` and ``groups``; those that are there are shown.
        subtitle: which model, on which data.
    """
    by_name = {one.name: one for one in figures}
    lead: list[Part] = [_finding(result)]
    if "regions" in by_name:
        lead.append(by_name["regions"])
    sections = [
        Section("images", "Image by image", [*([by_name["heat"]] if "heat" in by_name else []), *_rows(result)]),
        Section("groups", "Group by group", [*([by_name["groups"]] if "groups" in by_name else []), *_groups(result)]),
        Section("probes", "Without a region", [part for probe in result.probes for part in _probe(probe)]),
        Section("notes", "Read this before believing it", [Points([words.clean(note) for note in result.notes])]),
        Section("method", "How it was done", [_method(result)]),
    ]
    return page(said.title(result), lead, sections, kind="explanation", subtitle=subtitle)


def _finding(result: ExplanationResult) -> Finding:
    doubted = sum(bool(row.faithful.doubts) for row in result.rows)
    points: list[tuple[Mark | None, str]] = [(None, said.probe_sentence(probe)) for probe in result.probes]
    points += [(None, said.contrast_sentence(c)) for c in result.contrasts if c.different]
    if not result.rows:
        return Finding(Mark("–", "no single images"), f"Mean maps of {len(result.groups)} groups", points)
    wrong = sum(row.right is False for row in result.rows)
    sentence = f"{len(result.rows)} explanations, {wrong} of mistakes; {doubted or 'none'} doubted"
    return Finding(_DOUBT if doubted else _FINE, sentence, points)


def _rows(result: ExplanationResult) -> list[Part]:
    if not result.rows:
        return []
    names = [one.name for one in result.rows[0].overlaps]
    columns: list[Column | str] = [
        "image", "group", "called", "evidence for", Column("score", number=True), "for", "against",
        Column("gain", number=True), "its own check", "doubts",
        *(Column(f"{words.clean(name)}, times even", number=True) for name in names),
    ]  # fmt: skip
    notes = [said.FAITH, *([said.EVEN] if names else [])]
    return [Table("What speaks for and against, and how far to believe it", columns, [_row(r) for r in result.rows], notes)]


def _row(row: RowExplanation) -> list[Cell | str]:
    faith = row.faithful
    return [
        words.clean(row.row),
        "–" if row.group is None else words.group_name(row.group),
        Cell(said.called(row), strong=row.right is False),
        words.clean(row.explained),
        Cell(f"{row.score:.2f}", value=row.score),
        said.places(row.for_),
        said.places(row.against),
        Cell(said.gain(faith), value=faith.gain),
        said.own_check(faith),
        Cell("; ".join(faith.doubts) or "none found", dim=not faith.doubts),
        *(Cell("–" if math.isnan(o.mass) else f"{o.times_even:.2f}", value=o.times_even) for o in row.overlaps),
    ]


def _groups(result: ExplanationResult) -> list[Part]:
    if not result.groups:
        return []
    columns: list[Column | str] = [
        "group", Column("images", number=True), Column("people", number=True), Column("doubted", number=True),
    ]  # fmt: skip
    for share in result.groups[0].shares:
        name = words.clean(share.name)
        columns += [Column(f"in {name}: × even (share)", number=True), Column(f"{name}, from reference", number=True)]
    differs = {tuple(c.group.items()): c for c in result.contrasts}
    if differs:
        columns.append("cells that differ")
    rows: list[list[Cell | str]] = []
    for one in result.groups:
        cells: list[Cell | str] = [
            words.group_name(one.group), Cell(f"{one.n:,}", value=one.n), Cell(f"{one.people:,}", value=one.people),
            Cell(f"{one.doubted:,}", value=one.doubted),
        ]  # fmt: skip
        for share in one.shares:
            cells.append(Cell(said.share_text(share), value=share.times_even))
            cells.append(Cell(said.difference_text(share), value=share.difference))
        if differs:
            found = differs.get(tuple(one.group.items()))
            cells.append("reference" if found is None else f"{found.different} of {sum(map(len, found.difference))}")
        rows.append(cells)
    notes = [said.EVEN] if result.groups[0].shares else []
    return [Table("Where the attention of each group lies", columns, rows, notes)]


def _probe(probe: Probe) -> list[Part]:
    columns: list[Column | str] = ["accuracy", *(Column(name, number=True) for name in ("before", "without", "change", "p",
                                                                                        "control"))]  # fmt: skip
    rows: list[list[Cell | str]] = []
    for change in probe.changes:
        control = said.control_of(probe, change)
        rows.append([
            "all images" if change.group is None else words.group_name(change.group),
            Cell(words.number(change.before), value=change.before),
            Cell(words.number(change.after), value=change.after),
            Cell(said.change_text(change), value=change.change, strong=change.trend in ("better", "worse")),
            Cell(said.p_text(change.p), value=change.p),
            Cell("–" if control is None else said.change_text(control), value=None if control is None else control.change),
        ])  # fmt: skip
    return [Table(said.probe_sentence(probe), columns, rows, [said.CONTROL], last_apart=True)]


def _method(result: ExplanationResult) -> Facts:
    s = result.settings
    spent = {
        "lime": f"{s['samples']} perturbed images, {s['repeats']} seeds",
        "integrated-gradients": f"{s['steps']} steps",
        "grad-cam": "the last feature maps",
        "occlusion": f"windows of 1/{2 * s['segments']} of the image, overlapping by half, hidden and shown alone",
    }[s["method"]]
    pairs = [
        ("method", said.NAMES[s["method"]]),
        ("spent", spent),
        ("what is explained", words.clean(s["quantity"])),
        ("regions", f"{s['superpixels']}, about {s['segments']}"),
        ("taken away is", words.clean(s["baseline"])),
        ("random orders", str(s["random_orders"])),
        ("input", " × ".join(map(str, s["size"])) + " pixels"),
        ("seed", str(s["seed"])),
    ]
    return Facts(pairs)
