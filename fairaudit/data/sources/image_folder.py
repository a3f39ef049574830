"""Images sorted into one folder per class, with attributes in a table joined by file name.

Input:
    ``root/<class>/*.jpg``, or ``root/<split>/<class>/*.jpg`` where the root's folders are called train, val, valid,
    validation or test. Images may lie deeper inside a class. A table in the root (``attributes.csv``, ``labels.csv`` or the
    Parquet form; the option ``attributes`` names another) has a column of file names, bare or relative to the root, and one
    column per attribute.

Labels:
    Yours. The folder's name is the class, in alphabetical order as torchvision and timm number it; the option
    ``folder_column`` names the column it makes.

Licence:
    Yours.

Get it:
    Sort your images into folders, and write the table of attributes.

Citation:
    None.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from fairaudit.data.image_files import folder_names, image_tree, require_folder
from fairaudit.data.label_table import infer_columns, listed, path_column, read_table, require_columns, row_ids
from fairaudit.data.manifest import RESERVED, Card, FolderStore, Manifest
from fairaudit.errors import DataError

CARD = Card(
    obtain=(
        "sort the images into one folder per class below the root, and put attributes.csv there with a column 'file' and "
        "one column per attribute"
    ),
    target="class",
)
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_TABLES = ("attributes.csv", "attributes.parquet", "labels.csv", "labels.parquet")


def load(
    root: Path | None,
    split: str,
    *,
    attributes: Path | None = None,
    name_column: str | None = None,
    folder_column: str = "class",
    by: tuple[str, ...] = (),
) -> Manifest:
    """Read the folders and join the table of attributes.

    Args:
        root: the dataset's folder.
        split: ``all``, or the name of a split where the folders have them.
        attributes: the table; without it, ``attributes`` or ``labels`` (``.csv``, ``.parquet``) in the root.
        name_column: column of file names in the table; without it, ``path``, ``file``, ``filename`` or ``image``.
        folder_column: name of the column that the folder names make; it is the default target.
        by: groupings, each a column of the table or several joined by commas.

    Raises:
        DataError: there are no images in class folders, or the table cannot be joined.
    """
    root = require_folder(root, CARD)
    if folder_column in RESERVED:
        raise DataError(f"a column cannot be called {folder_column!r}; choose another name with the option folder_column")
    frame, notes = _walk(root, folder_column)
    groupings = tuple(tuple(name.strip() for name in grouping.split(",")) for grouping in by)
    named = list(dict.fromkeys(name for grouping in groupings for name in grouping if name != folder_column))
    path = _table(root, attributes)
    columns: dict[str, pd.Categorical | pd.Series[float]] = {}
    if path is not None:
        joined, found = _join(frame["row"], path, name_column, folder_column)
        require_columns(joined, named, path)
        columns, more = infer_columns(joined, named, path)
        notes += [*found, *more]
        frame = pd.concat([frame, pd.DataFrame(columns)], axis=1)
    elif named:
        raise DataError(f"{root} has no table of attributes ({' or '.join(_TABLES)}) to take {listed(named)} from")
    levels = {folder_column: tuple(map(str, frame[folder_column].cat.categories))}
    levels |= {c: tuple(map(str, v.categories)) for c, v in columns.items() if isinstance(v, pd.Categorical)}
    numeric = tuple(c for c, v in columns.items() if not isinstance(v, pd.Categorical))
    card = replace(CARD, target=folder_column, by=groupings, levels=levels, numeric=numeric)
    return Manifest(frame, FolderStore(root), card, tuple(notes)).of_split(split)


def _walk(root: Path, column: str) -> tuple[pd.DataFrame, list[str]]:
    top = folder_names(root)
    with_splits = bool(top) and all(name.casefold() in _SPLITS for name in top)
    places = [(s, c) for s in top for c in folder_names(root / s)] if with_splits else [("", c) for c in top]
    rows: list[str] = []
    splits: list[str] = []
    classes: list[str] = []
    for split, name in places:
        folder = f"{split}/{name}" if split else name
        images = [f"{folder}/{image}" for image in image_tree(root / folder, whole=True)]
        rows += images
        splits += [_SPLITS[split.casefold()] if split else "all"] * len(images)
        classes += [name] * len(images)
    if not rows:
        raise DataError(f"{root} has no images in folders, one per class; {CARD.obtain}")
    labels = pd.Categorical(classes, categories=sorted({name for _, name in places}))
    empty = [str(c) for c in labels.categories if c not in set(classes)]
    notes = [f"no images in the class folder{'s' if len(empty) > 1 else ''} {listed(empty)}"] if empty else []
    stray = len(image_tree(root)) - len(rows)
    if stray:
        verbs = ("s lie", "are") if stray > 1 else (" lies", "is")
        notes.append(f"{stray:,} image{verbs[0]} in no class folder and {verbs[1]} left out")
    return pd.DataFrame({"row": pd.Series(rows, dtype=str), "split": splits, column: labels}), notes


def _table(root: Path, attributes: Path | None) -> Path | None:
    if attributes is not None:
        return attributes if attributes.is_file() else root / attributes
    return next((root / name for name in _TABLES if (root / name).is_file()), None)


def _join(rows: pd.Series[str], path: Path, name_column: str | None, folder_column: str) -> tuple[pd.DataFrame, list[str]]:
    """The table's columns in the order of the images, ``""`` where an image is not in the table."""
    table = read_table(path)
    column = path_column(table, path, name_column)
    names = row_ids(table[column], path)
    table = table.drop(columns=[c for c in table.columns if c in (column, folder_column, *RESERVED)])
    keys = rows
    if not names.str.contains("/", regex=False).any():
        keys = rows.str.rsplit("/", n=1).str[-1]
        twice = keys[keys.duplicated()]
        shared = twice[twice.isin(names)]
        if len(shared):
            raise DataError(
                f"{path}: {shared.iloc[0]!r} is the name of images in several folders; write paths relative to the root"
            )
    doubled = names[names.duplicated()]
    if len(doubled):
        raise DataError(f"{path} lists {len(doubled)} images more than once, the first is {doubled.iloc[0]!r}")
    absent = names[~names.isin(keys)]
    notes = []
    if len(absent) == len(names):
        raise DataError(
            f"none of the {len(names)} names in {path} is an image below its class folders, such as {keys.iloc[0]!r}"
        )
    if len(absent):
        notes.append(f"{path.name}: {len(absent):,} names are no image in a class folder, the first is {absent.iloc[0]!r}")
    joined = table.set_index(names.to_numpy()).reindex(keys.to_numpy()).fillna("").reset_index(drop=True)
    return joined, notes
