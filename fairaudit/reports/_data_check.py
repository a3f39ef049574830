"""How the check of a dataset is said in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._profile import level_name
from fairaudit.reports._sheets import Sheet, in_markdown, in_terminal
from fairaudit.results.data_check import KINDS, DataCheck, File, Finding

SHOWN = 5
"""How many sets of a finding are listed, and how many files of a set."""


def terminal(check: DataCheck, width: int = 80, color: bool = False) -> str:
    """For a terminal.

    Args:
        check: what was found.
        width: columns of the terminal.
        color: whether headings are bold.
    """
    return in_terminal(title(check), lead(check), sheets(check), width, color)


def markdown(check: DataCheck) -> str:
    """As GitHub-flavoured Markdown, notes of the source included."""
    notes = [Sheet("Notes", (), (), notes=check.notes)] if check.notes else []
    return in_markdown(title(check), lead(check), [*sheets(check), *notes])


def title(check: DataCheck) -> str:
    """``Check of utkface: 6,000 labelled images``."""
    return f"Check of {check.dataset}: {words.count(check.n, 'labelled image')}"


def lead(check: DataCheck) -> list[str]:
    """How much was looked at."""
    told = []
    if len(check.splits) > 1:
        told.append("splits: " + ", ".join(f"{name} {n:,}" for name, n in check.splits.items()))
    if not check.read:
        told.append("no image was found where the labels say: only labels and names were checked")
    return told


def sheets(check: DataCheck) -> list[Sheet]:
    """What was looked for, and the first files of what was found."""
    rows: list[tuple[str, str]] = []
    for kind, what in KINDS.items():
        what = f"{what} (below {check.fewest_pixels} pixels)" if kind == "tiny" else what
        found = check.of(kind)
        if not found:
            rows.append((what, "none" if check.checked(kind) else "not checked"))
        # what is said of sizes may be long: a line each
        said = [(one, part) for one in found for part in (one.said.split(", ") if one.sizes else [one.said])]
        for i, (one, part) in enumerate(said):
            rows.append((what if i == 0 else "", f"{one.about}: {part}" if one.about else part))
    unequal = [one for one in check.findings if one.sizes]
    return [
        Sheet("What was looked for", ("", "found"), rows),
        *(_files(one) for one in check.findings if one.sets),
        *([_sizes(unequal)] if unequal else []),
    ]


def _sizes(unequal: Sequence[Finding]) -> Sheet:
    """The largest and the smallest class or group, and the first of those without an image."""
    rows = []
    for one in unequal:
        for size in one.sizes[: SHOWN + 2]:
            name = words.group_name({column: level_name(column, level) for column, level in size.cell.items()})
            rows.append([name, f"{size.n:,}"])
        if len(one.sizes) > SHOWN + 2:
            rows.append([f"and {len(one.sizes) - SHOWN - 2:,} more without an image", "0"])
    return Sheet("Largest and smallest of very unequal sizes", ("class or group", "images"), rows, (1,))


def _files(one: Finding) -> Sheet:
    together = any(len(files) > 1 for files in one.sets)
    said = any(file.said for files in one.sets for file in files)
    what = f"{KINDS[one.kind]}, by {one.about}" if one.about and one.about != "images" else KINDS[one.kind]
    columns = ["file", *(["set"] if together else []), *([_heading(one)] if said else [])]
    rows = []
    for k, files in enumerate(one.sets[:SHOWN], 1):
        for file in _first(files, one):
            rows.append([file.name, *([str(k)] if together else []), *([file.said] if said else [])])
        if len(files) > len(_first(files, one)):
            rest = len(files) - len(_first(files, one))
            rows.append([f"and {rest:,} more", str(k), *([""] if said else [])])
    more = len(one.sets) - SHOWN
    which = words.count(more, "set" if together else "file") if more > 0 else ""
    notes = [f"and {which} more: --format json names every file"] if which else []
    return Sheet(f"{what[:1].upper()}{what[1:]}", columns, rows, (1,) if together else (), notes)


def _first(files: Sequence[File], one: Finding) -> Sequence[File]:
    """The first files of a set, and of what differs the first file that shows it."""
    shown = list(files[:SHOWN])
    other = next((file for file in files if file.said != files[0].said), None)
    if one.kind.endswith(("conflicts", "leaks")) and other is not None and other not in shown:
        shown[-1] = other
    return shown


def _heading(one: Finding) -> str:
    if one.kind.endswith("conflicts"):
        return one.about
    return {"unreadable": "why", "tiny": "pixels"}.get(one.kind, "split")
