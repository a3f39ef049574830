"""Subset: a biased experiment cut out of any dataset with a target and a confounder of two levels each, as tables.

S. De Coninck et al. (2024) train on 3,000 men without an attribute, none with it, 1,000 women without and 2,000 with it, so
that the attribute means woman, and report 182 of each cell. Here the same shares are taken of what there is, beside a
balanced set of as many images, with one test set for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairaudit import plugins
from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.data.locate import find_root, load_dataset
from fairaudit.data.manifest import FolderStore, ImageStore, Manifest
from fairaudit.errors import DataError, UsageError
from fairaudit.workflows.provenance import environment

SHARES = {(0, 0): 3000, (0, 1): 0, (1, 0): 1000, (1, 1): 2000}
"""(target, confounder) → images: the level without the confounder is 0, and so is the confounder's absence."""
TEST_PER_CELL = 182
BIASED, BALANCED = "biased.csv", "balanced.csv"
_CHECKED = {"test": ("test", "val", "validation", "valid"), "train": ("train", "training")}

Cell = tuple[int, int]
Positions = np.ndarray


@dataclass(frozen=True)
class Wish:
    """What is cut out.

    Attributes:
        target: column that is to be predicted, of two levels.
        confounder: column of two levels that is tied to it.
        lacking: level of the target that never comes with the confounder in training; None is the first.
        present: level of the confounder that is tied; None is the last (``yes`` of ``no, yes``).
        size: training images of the biased set; None takes as many as there are, up to the paper's 6,000.
        test_per_cell: test images of each cell, fewer where there are not so many.
        validation: images to select on, as a share of the training images and as biased.
        seed: of every draw.
    """

    target: str
    confounder: str
    lacking: str | None = None
    present: str | None = None
    size: int | None = None
    test_per_cell: int = TEST_PER_CELL
    validation: float = 0.125
    seed: int = 0


@dataclass(frozen=True)
class Subset:
    """A finished subset.

    Attributes:
        folder: where the tables are.
        cells: ``biased`` and ``balanced`` → split → name of each cell → images.
        images: folder that the tables' paths are relative to; None is the tables' own.
        notes: what must be known, a sentence each.
    """

    folder: Path
    cells: Mapping[str, Mapping[str, Mapping[str, int]]]
    images: Path | None
    notes: tuple[str, ...]


def cut_subset(
    data: str,
    root: Path | None,
    wish: Wish,
    out: Path,
    *,
    data_options: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
) -> Subset:
    """Draw the sets and write their tables.

    Args:
        data: dataset name.
        root: its folder.
        wish: what is cut out.
        out: folder of the tables.
        data_options: options of the dataset's source.
        command: the command line, for ``run.json``.

    Raises:
        UsageError: a column or level does not exist, or there are not two levels.
        DataError: a cell that is needed is empty.
    """
    check_replaceable(out)
    if not 0 < wish.validation < 1 or wish.test_per_cell < 1 or (wish.size is not None and wish.size < 6):
        raise UsageError("a subset needs at least 6 training images, 1 test image per cell, and a validation share below 1")
    manifest, where = _loaded(data, root, wish, dict(data_options or {}))
    names, of_row = _cells(manifest, wish)
    rng = np.random.default_rng(wish.seed)
    pools = _pools(manifest, of_row, rng)
    test, rest, told = _test(manifest, pools, names, wish)
    biased = _biased(rest, names, wish)
    balanced = _balanced(rest, biased)
    sets = {"biased": {**biased, "test": test}, "balanced": {**balanced, "test": test}}
    counted = {
        kind: {split: {names[c]: len(rows) for c, rows in cells.items()} for split, cells in parts.items()}
        for kind, parts in sets.items()
    }
    files = manifest.store if isinstance(manifest.store, FolderStore) else None
    tables = {kind: _table(manifest, parts, copied=files is None) for kind, parts in sets.items()}
    notes = (*told, *_size_notes(counted, wish))
    record = {
        "data": plugins.canonical("datasets", data),
        "target": wish.target,
        "confounder": wish.confounder,
        "seed": wish.seed,
        "cells": counted,
        "notes": list(notes),
    }
    write_run(
        out,
        {
            BIASED: lambda path: write_whole(path, _text(tables["biased"])),
            BALANCED: lambda path: write_whole(path, _text(tables["balanced"])),
            **({} if files is not None else _copies(manifest.store, tables.values())),
            "subset.json": lambda path: write_json(path, record),
            "run.json": lambda path: write_json(path, {"command": list(command), **environment()}),
        },
    )
    return Subset(out, counted, where if files is not None else None, notes)


def _loaded(data: str, root: Path | None, wish: Wish, options: dict[str, Any]) -> tuple[Manifest, Path | None]:
    name = plugins.canonical("datasets", data)
    source = plugins.load("datasets", name)
    found = find_root(name, root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else root
    if "target" in plugins.options("datasets", name):
        options = {"target": wish.target, "by": (wish.confounder,), **options}
    manifest = load_dataset(name, found, "all", **options)
    return manifest, manifest.store.root if isinstance(manifest.store, FolderStore) else None


def _cells(manifest: Manifest, wish: Wish) -> tuple[dict[Cell, str], np.ndarray]:
    """Name of each cell, and (n, 2) codes of each row, −1 where a label is missing."""
    columns, names, codes = [], [], []
    for column, chosen, first in ((wish.target, wish.lacking, True), (wish.confounder, wish.present, False)):
        column = manifest.column(column)
        if column in columns:
            raise UsageError(f"{column} cannot be tied to itself; name another --confounder")
        columns.append(column)
        levels = manifest.levels(column)
        if len(levels) != 2:
            raise UsageError(f"{column} has {len(levels)} levels ({', '.join(levels)}); a subset needs columns of two")
        level = levels[0 if first else 1] if chosen is None else manifest.level(column, chosen)
        other = levels[1 - levels.index(level)]
        order = (level, other) if first else (other, level)
        names.append([f"{column}={one}" for one in order])
        own = manifest.frame[column].cat.codes.to_numpy()
        place = np.array([order.index(one) for one in levels])
        codes.append(np.where(own >= 0, place[own], -1))
    return {(t, c): f"{names[0][t]}, {names[1][c]}" for t in (0, 1) for c in (0, 1)}, np.stack(codes, axis=1)


def _pools(manifest: Manifest, of_row: np.ndarray, rng: np.random.Generator) -> dict[str, dict[Cell, Positions]]:
    """Shuffled rows of each cell that may train and that may test; the same ones where there are no official splits."""
    splits = manifest.frame["split"].astype(str).str.casefold().to_numpy()
    held = set(splits)
    parts = {what: next((s for s in names if s in held), None) for what, names in _CHECKED.items()}
    official = all(parts.values())
    order = rng.permutation(len(manifest))
    pools: dict[str, dict[Cell, Positions]] = {}
    for what, split in parts.items():
        mine = order[splits[order] == split] if official else order
        pools[what] = {cell: mine[(of_row[mine] == cell).all(axis=1)] for cell in SHARES}
    return pools


def _test(
    manifest: Manifest, pools: Mapping[str, Mapping[Cell, Positions]], names: Mapping[Cell, str], wish: Wish
) -> tuple[dict[Cell, Positions], dict[Cell, Positions], list[str]]:
    """As many test images of every cell, and what is left to train on, without anybody who is tested."""
    apart = not set(np.concatenate([*pools["test"].values()])) & set(np.concatenate([*pools["train"].values()]))
    smallest = min(pools["test"], key=lambda cell: len(pools["test"][cell]))
    there = len(pools["test"][smallest])
    # Where test and training images come from the same ones, half of the rarest cell is left for the balanced set.
    count = min(wish.test_per_cell, there if apart else there // 2)
    if count < 1:
        raise DataError(f"{there} images are {names[smallest]}, too few to test on; choose another confounder")
    told = []
    if count < wish.test_per_cell:
        told.append(f"only {there:,} images that may test are {names[smallest]}: each cell has {count:,} test images")
    test = {cell: np.sort(rows[:count]) for cell, rows in pools["test"].items()}
    taken = np.concatenate([*test.values()])
    barred = np.zeros(len(manifest), dtype=bool)
    barred[taken] = True
    if "identity" in manifest.frame.columns:
        people = manifest.frame["identity"]
        barred |= people.isin(people.iloc[taken].dropna()).to_numpy()
    return test, {cell: rows[~barred[rows]] for cell, rows in pools["train"].items()}, told


def _biased(rest: Mapping[Cell, Positions], names: Mapping[Cell, str], wish: Wish) -> dict[str, dict[Cell, Positions]]:
    whole = sum(SHARES.values())
    wanted = whole if wish.size is None else wish.size
    for cell, share in SHARES.items():
        if share:
            most = len(rest[cell]) / (1 + wish.validation) / share * whole
            if wish.size is not None and most < wish.size:
                raise DataError(
                    f"{len(rest[cell]):,} images are {names[cell]}, enough for a subset of {int(most):,} and not of "
                    f"{wish.size:,}; give a smaller --size, or none"
                )
            wanted = min(wanted, math.floor(most))
    train, validation = {}, {}
    for cell, share in SHARES.items():
        count = round(wanted * share / whole)
        if share and count < 1:
            raise DataError(f"{len(rest[cell])} images are {names[cell]}, too few to train on")
        more = min(round(count * wish.validation), len(rest[cell]) - count)
        train[cell], validation[cell] = np.sort(rest[cell][:count]), np.sort(rest[cell][count : count + more])
    return {"train": train, "val": validation}


def _balanced(
    rest: Mapping[Cell, Positions], biased: Mapping[str, Mapping[Cell, Positions]]
) -> dict[str, dict[Cell, Positions]]:
    """As many images as the biased set has, a quarter of each cell; fewer where a cell has not so many."""
    sizes = {split: sum(map(len, cells.values())) for split, cells in biased.items()}
    least = min(map(len, rest.values()))
    share = sizes["val"] / (sizes["train"] + sizes["val"])
    validation = min(sizes["val"] // 4, round(least * share))
    count = min(sizes["train"] // 4, least - validation)
    return {
        "train": {cell: np.sort(rows[:count]) for cell, rows in rest.items()},
        "val": {cell: np.sort(rows[count : count + validation]) for cell, rows in rest.items()},
    }


def _size_notes(counted: Mapping[str, Mapping[str, Mapping[str, int]]], wish: Wish) -> list[str]:
    sizes = {kind: sum(parts["train"].values()) for kind, parts in counted.items()}
    told = []
    if wish.size is None and sizes["biased"] < sum(SHARES.values()):
        told.append(f"there are images for {sizes['biased']:,} of the paper's {sum(SHARES.values()):,} to train on")
    if sizes["balanced"] < sizes["biased"] - 3:
        told.append(
            f"the balanced set has {sizes['balanced']:,} training images where the biased one has {sizes['biased']:,}, "
            "because its rarest cell has no more: it is balanced, but smaller"
        )
    return told


def _table(manifest: Manifest, parts: Mapping[str, Mapping[Cell, Positions]], *, copied: bool) -> pd.DataFrame:
    rows = []
    for split, cells in parts.items():
        some = manifest.frame.iloc[np.sort(np.concatenate([*cells.values()]))].copy()
        some["split"] = split
        rows.append(some)
    frame = pd.concat(rows, ignore_index=True)
    path = frame.pop("row").astype(str)
    frame.insert(0, "path", "images/" + path if copied else path)
    return frame


def _copies(store: ImageStore, tables: Any) -> dict[str, Callable[[Path], None]]:
    """Images that are no files, written as they are encoded."""
    paths = sorted({str(path) for table in tables for path in table["path"]})
    return {path: partial(_copy, store, path.removeprefix("images/")) for path in paths}


def _copy(store: ImageStore, row: str, path: Path) -> None:
    write_whole(path, store.read(row))


def _text(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n"))
