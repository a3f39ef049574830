"""Check a dataset on disk: copies, contradictions, leaks, and files that are broken, missing or left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairaudit import plugins
from fairaudit.data.image_files import image_tree
from fairaudit.data.locate import audit_options, load_dataset
from fairaudit.data.looks import Progress
from fairaudit.data.manifest import FolderStore, Manifest
from fairaudit.data.near import DISTANCE
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.results.data_check import KINDS, DataCheck, File, Finding, Size
from fairaudit.workflows.inspection import Inspection, inspect

FEWEST_PIXELS = 32
"""Below this height or width a face has too few pixels for most networks to tell."""
MOST_TIMES = 10
"""A class or group with more than so many times the images of another is named as imbalance."""
MOST_DISTANCE = 10
"""Beyond it unrelated faces are near by the thousand, and their comparison takes minutes."""

Sets = list[list[int]]


def check_dataset(
    name: str,
    root: Path | None,
    by: Sequence[tuple[str, ...]] = (),
    target: str | None = None,
    options: Mapping[str, Any] | None = None,
    distance: int = DISTANCE,
    progress: Progress | None = None,
) -> DataCheck:
    """Read a dataset, all splits of it, and look for what is wrong with it.

    Args:
        name: the dataset.
        root: its folder; None looks in the usual places.
        by: groupings whose sizes are compared; without any, the card's.
        target: the target whose classes are compared; None takes the card's.
        options: options of the dataset's source.
        distance: see ``check``.
        progress: told how many images are done, and of how many.

    Raises:
        UsageError: the dataset or one of its options is not known, or the distance is out of range.
        DataError: the data are not there or cannot be used.
    """
    if not 0 <= distance <= MOST_DISTANCE:
        raise UsageError(f"--distance {distance}: write 0 to {MOST_DISTANCE}, how many of 64 bits may differ")
    name = plugins.canonical("datasets", name)
    given = {**audit_options(name, target, by), **(options or {})}
    return check(load_dataset(name, root, "all", **given), by, target, name, distance, progress)


def check(
    manifest: Manifest,
    by: Sequence[tuple[str, ...]] = (),
    target: str | None = None,
    name: str = "",
    distance: int = DISTANCE,
    progress: Progress | None = None,
) -> DataCheck:
    """Look for what is wrong with a dataset.

    Args:
        manifest: every image of it.
        by: groupings whose sizes are compared; without any, the card's.
        target: the target whose classes are compared; None takes the card's.
        name: of the dataset.
        distance: how many bits of 64 two perceptual hashes may differ in, to be compared closer.
        progress: told how many images are done, and of how many.

    Raises:
        UnknownNameError: a column does not exist.
    """
    unequal = _imbalance(manifest, by or manifest.card.by, target or manifest.card.target)
    rows = [str(row) for row in manifest.frame["row"].to_numpy()]
    gone = set(manifest.store.missing(rows))
    there = manifest.take(np.array([row not in gone for row in rows])) if gone else manifest
    notes = list(manifest.notes)
    found = list(_people(manifest))
    if len(there):
        seen = inspect(there, progress)
        found += _copies(there, seen.identical(), ("duplicates", "conflicts", "leaks"))
        near, whole = seen.near(distance)
        found += _copies(there, near, ("near", "near-conflicts", "near-leaks"))
        found += _broken(there, seen)
        if not whole:
            notes.append("so many images look alike that the search for near-identical ones was ended early")
    found += _single("missing", [File(row) for row in rows if row in gone], f"{len(gone):,} of {len(rows):,}")
    found += _single("malformed", [File(row) for row in manifest.skipped])
    if isinstance(manifest.store, FolderStore):
        known = {*rows, *manifest.skipped}
        found += _single("extra", [File(row) for row in image_tree(manifest.store.root) if row not in known])
    splits = manifest.frame["split"].value_counts()
    order = list(KINDS)
    return DataCheck(
        dataset=name,
        n=len(rows),
        read=len(there),
        splits={str(part): int(splits[part]) for part in sorted(splits.index)},
        distance=distance,
        fewest_pixels=FEWEST_PIXELS,
        findings=tuple(sorted([*found, *unequal], key=lambda one: order.index(one.kind))),
        notes=tuple(notes),
    )


def gate(found: DataCheck, fail_on: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which kinds that must not be there are there, and which could not be looked for.

    Args:
        found: what was found.
        fail_on: keys of ``KINDS``.

    Raises:
        UnknownNameError: a kind does not exist.
    """
    check_kinds(fail_on)
    there = [kind for kind in fail_on if found.of(kind)]
    return there, [kind for kind in fail_on if kind not in there and not found.checked(kind)]


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse kinds of findings that do not exist, before any work is done.

    Raises:
        UnknownNameError: one does not.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind of finding", kind, KINDS)


def _copies(manifest: Manifest, sets: Sets, kinds: tuple[str, str, str]) -> list[Finding]:
    """Images that are the same, those of them whose labels differ, by column, and those that lie in several splits."""
    same, conflicts, leaks = kinds
    several = manifest.frame["split"].nunique() > 1
    found = _of_sets(same, "", manifest, sets, "split" if several else None)
    for column in manifest.frame.columns:
        if column not in ("row", "split"):
            differing = _differing(manifest, sets, str(column))
            found += _of_sets(conflicts, str(column), manifest, differing, str(column))
    return found + _of_sets(leaks, "images", manifest, _differing(manifest, sets, "split"), "split")


def _differing(manifest: Manifest, sets: Sets, column: str) -> Sets:
    values = manifest.frame[column].tolist()
    return [rows for rows in sets if len({values[i] for i in rows if not pd.isna(values[i])}) > 1]


def _people(manifest: Manifest) -> list[Finding]:
    if "identity" not in manifest.frame.columns or manifest.frame["split"].nunique() < 2:
        return []
    people: dict[str, list[int]] = {}
    for row, person in enumerate(manifest.frame["identity"].tolist()):
        if not pd.isna(person):
            people.setdefault(str(person), []).append(row)
    sets = _differing(manifest, list(people.values()), "split")
    return _of_sets("leaks", "people", manifest, sets, "split", "person", "people")


def _of_sets(
    kind: str, about: str, manifest: Manifest, sets: Sets, column: str | None, one: str = "set", many: str = "sets"
) -> list[Finding]:
    if not sets:
        return []
    rows = manifest.frame["row"].tolist()
    values = None if column is None else manifest.frame[column].tolist()
    files = tuple(tuple(File(rows[i], "" if values is None else _value(values[i])) for i in part) for part in sets)
    n = sum(map(len, sets))
    return [Finding(kind, about, f"{len(sets):,} {one if len(sets) == 1 else many}, {n:,} images", files)]


def _value(value: Any) -> str:
    return "(not known)" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _broken(manifest: Manifest, seen: Inspection) -> list[Finding]:
    rows = manifest.frame["row"].tolist()
    tiny = [
        File(row, f"{w} × {h}")
        for row, w, h in zip(rows, seen.width.tolist(), seen.height.tolist(), strict=True)
        if 0 < min(w, h) < FEWEST_PIXELS
    ]
    blank = [File(row) for row, plain in zip(rows, seen.blank.tolist(), strict=True) if plain]
    unreadable = [File(rows[i], why) for i, why in seen.reasons.items()]
    return [*_single("unreadable", unreadable), *_single("tiny", tiny), *_single("blank", blank)]


def _single(kind: str, files: Sequence[File], said: str | None = None) -> list[Finding]:
    if not files:
        return []
    return [Finding(kind, "", said or f"{len(files):,}", tuple((file,) for file in files))]


def _imbalance(manifest: Manifest, by: Sequence[tuple[str, ...]], target: str | None) -> list[Finding]:
    """Groupings, the target, and both crossed, whose largest cell has many times the images of the smallest."""
    aim = () if target is None else (manifest.column(target),)
    chosen = [tuple(manifest.column(name) for name in grouping) for grouping in by]
    wanted = dict.fromkeys(tuple(dict.fromkeys(parts)) for parts in [*([aim] if aim else []), *chosen])
    wanted |= dict.fromkeys(tuple(dict.fromkeys((*parts, *aim))) for parts in chosen)
    distinct = {frozenset(parts): parts for parts in reversed(wanted)}
    found = []
    for parts in reversed(distinct.values()):
        counts = manifest.frame.groupby(list(parts), observed=True).size()
        if not len(counts):
            continue
        sizes: dict[Any, int] = {key if isinstance(key, tuple) else (key,): int(n) for key, n in counts.items()}
        cells = list(product(*(manifest.levels(part) for part in parts)))
        most = max(cells, key=lambda cell: sizes.get(cell, 0))
        absent = [cell for cell in cells if not sizes.get(cell)]
        least = min((cell for cell in cells if sizes.get(cell)), key=lambda cell: sizes[cell])
        times = sizes[most] / sizes[least]
        said = [f"{times:.0f} to 1"] if times > MOST_TIMES else []
        said += [f"{len(absent):,} of {len(cells):,} absent"] if absent else []
        if said:
            named = [
                Size(dict(zip(parts, cell, strict=True)), sizes.get(cell, 0))
                for cell in dict.fromkeys((most, least, *absent))
            ]
            found.append(Finding("imbalance", " × ".join(parts), ", ".join(said), sizes=tuple(named)))
    return found
