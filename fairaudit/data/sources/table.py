"""Any images listed in a CSV or Parquet table, one row per image.

Input:
    A table (``.csv``, ``.tsv`` or ``.parquet``) and images whose paths it lists, relative to the table's folder (or to the
    folder that the option ``images`` names). The root
    is the table itself, or a folder that holds one (``labels.csv``, ``manifest.csv`` or its only table; the option ``file``
    names another). ``path_column``, ``identity_column`` and ``split_column`` say which columns mean what.

Labels:
    Yours. ``target`` and ``by`` name the columns to audit; they are categorical with their distinct values as levels. Other
    columns are kept where they are numbers or have few distinct values. A level that no row has cannot be known from a
    table, so an absent group is not shown.

Licence:
    Yours.

Get it:
    Write the table: a column ``path``, one column per label.

Citation:
    None.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from fairaudit.data.image_files import image_tree, unlabelled_note
from fairaudit.data.label_table import (
    TABLE_SUFFIXES,
    infer_columns,
    listed,
    read_table,
    require_columns,
    row_ids,
)
from fairaudit.data.label_table import path_column as find_path_column
from fairaudit.data.manifest import RESERVED, Card, FolderStore, Manifest
from fairaudit.errors import DataError

CARD = Card(
    obtain=(
        "write a CSV or Parquet table with a column 'path' (relative to the table's folder) and one column per label, and "
        "give it or its folder as the root"
    ),
)
_USUAL = ("labels", "manifest")


def load(
    root: Path | None,
    split: str,
    *,
    file: str | None = None,
    images: Path | None = None,
    path_column: str | None = None,
    target: str | None = None,
    by: tuple[str, ...] = (),
    identity_column: str | None = None,
    split_column: str | None = None,
) -> Manifest:
    """Read a table whose columns the user names.

    Args:
        root: the table, or the folder that holds it.
        split: ``all``, or a value of ``split_column``.
        file: the table's name below the root, where the folder has several.
        images: folder that the paths are relative to, where it is not the table's own.
        path_column: column of image paths; without it, ``path``, ``file``, ``filename`` or ``image``.
        target: column of the labels that the model predicts.
        by: groupings, each a column or several joined by commas.
        identity_column: column that says who is on the picture.
        split_column: column of splits; without it, ``split`` where there is one.

    Raises:
        DataError: the table or a column is missing.
    """
    if root is None or not root.exists():
        raise DataError(f"there is no {root or 'root'}; to use a table, {CARD.obtain}")
    path = _table_file(root, file)
    table = read_table(path)
    groupings = tuple(tuple(name.strip() for name in grouping.split(",")) for grouping in by)
    named = [*([target] if target else []), *dict.fromkeys(name for grouping in groupings for name in grouping)]
    require_columns(table, [*named, *(c for c in (identity_column, split_column) if c)], path)
    listed_in = find_path_column(table, path, path_column)
    split_column = split_column or ("split" if "split" in table.columns else None)
    identity_column = identity_column or ("identity" if "identity" in table.columns else None)
    frame = pd.DataFrame({"row": row_ids(table[listed_in], path)})
    frame["split"] = "all" if split_column is None else table[split_column].replace("", "none")
    if identity_column is not None:
        frame["identity"] = table[identity_column].where(table[identity_column] != "", None)
    used = {listed_in, split_column, identity_column} - set(named)
    rest = table.drop(columns=[c for c in table.columns if c in used])
    clash = [c for c in rest.columns if c in RESERVED]
    if clash:
        raise DataError(f"{path}: the column {clash[0]!r} has a name that fairaudit keeps for itself; rename it")
    columns, notes = infer_columns(rest, named, path)
    frame = pd.concat([frame, pd.DataFrame(columns)], axis=1)
    folder = path.parent if images is None else images.expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}, which the option images names")
    notes += unlabelled_note(image_tree(folder), frame["row"].to_numpy(), path.name)
    card = replace(
        CARD,
        target=target,
        by=groupings,
        levels={c: tuple(map(str, v.categories)) for c, v in columns.items() if isinstance(v, pd.Categorical)},
        numeric=tuple(c for c, v in columns.items() if not isinstance(v, pd.Categorical)),
    )
    return Manifest(frame, FolderStore(folder), card, tuple(notes)).of_split(split)


def _table_file(root: Path, file: str | None) -> Path:
    if root.is_file():
        return root
    if file is not None:
        return root / file
    tables = sorted(p for p in root.iterdir() if p.suffix.casefold() in TABLE_SUFFIXES)
    usual = [p for stem in _USUAL for p in tables if p.stem == stem]
    if usual:
        return usual[0]
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"{root} holds no table; {CARD.obtain}")
    raise DataError(f"{root} holds several tables, {listed(p.name for p in tables)}; name one with the option file")
