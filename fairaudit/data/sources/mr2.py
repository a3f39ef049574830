"""MR2: 74 high-resolution faces of African, Asian and European ancestry, with self-identified labels.

Input:
    Frontal photographs on a plain background, PNG or JPEG, in the root. The name says who is on it: ``MR2af01.png`` is an
    East Asian woman, number 01: a letter for the race (a Asian, b African, e or w European), a letter for the gender (f or
    m), a number; prefix and case are optional. A ``labels.csv`` in the root (path, race, gender, and if known age) wins.

Labels:
    ``race`` and ``gender``, self-identified by the people on the pictures. The published set has 41 women (18 African, 12
    Asian, 11 European) and 33 men (14, 8, 11).

Licence:
    CC BY-NC-SA 4.0.

Get it:
    The article, https://doi.org/10.3758/s13428-015-0641-9, says where.

Citation:
    N. Strohminger, K. Gray, V. Chituc, J. Heffner, C. Schein and T. B. Heagins, "The MR2: A multi-racial, mega-resolution
    database of facial stimuli", Behavior Research Methods 48, 2016.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fairaudit.data.image_files import image_names, image_tree, require_folder, unlabelled_note
from fairaudit.data.label_table import (
    encode,
    listed,
    missing_notes,
    numbers,
    path_column,
    read_table,
    require_columns,
    row_ids,
)
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError

CARD = Card(
    obtain=(
        "download the faces from where https://doi.org/10.3758/s13428-015-0641-9 says, and put the files MR2af01.png … "
        "in the root"
    ),
    target="gender",
    by=(("race",), ("race", "gender")),
    privileged={"race": "European"},
    levels={"gender": ("Female", "Male"), "race": ("African", "Asian", "European")},
    aliases={
        "gender": {"f": "Female", "m": "Male", "woman": "Female", "man": "Male"},
        "race": {
            "a": "Asian",
            "b": "African",
            "e": "European",
            "w": "European",
            "East Asian": "Asian",
            "Black": "African",
            "White": "European",
        },
    },
    numeric=("age",),
    self_identified=True,
    note="race and gender are self-identified",
)
_PATTERN = r"(?i)^(?:MR2)?[-_ ]?(?P<race>[abew])(?P<gender>[fm])\d{1,3}\.[a-z]+$"


def load(root: Path | None, split: str) -> Manifest:
    """Read ``labels.csv`` where there is one, else the file names.

    Args:
        root: the dataset's folder.
        split: ``all``; MR2 has no splits.

    Raises:
        DataError: there are no images that can be labelled, or unknown levels.
    """
    root = require_folder(root, CARD)
    table = root / "labels.csv"
    manifest = _from_table(root, table) if table.is_file() else _from_names(root)
    return manifest.of_split(split)


def _from_table(root: Path, path: Path) -> Manifest:
    table = read_table(path)
    name = path_column(table, path)
    require_columns(table, ("race", "gender"), path)
    rows = row_ids(table[name], path)
    columns: dict[str, pd.Categorical | pd.Series[float]] = {
        c: encode(table[c], CARD.levels[c], CARD.aliases[c], c, path) for c in ("gender", "race")
    }
    if "age" in table.columns:
        columns["age"] = numbers(table["age"], "age", path)
    notes = missing_notes(columns, path.name) + unlabelled_note(image_tree(root), rows, path.name)
    return Manifest(pd.DataFrame({"row": rows, "split": "all", **columns}), FolderStore(root), CARD, tuple(notes))


def _from_names(root: Path) -> Manifest:
    files = pd.Series(image_names(root), dtype=str)
    parsed = files.str.extract(_PATTERN)
    fits = parsed["race"].notna().to_numpy(dtype=bool)
    if not fits.any():
        raise DataError(
            f"{root} has neither labels.csv nor images named like MR2af01.png; to get the dataset, {CARD.obtain}"
        )
    other = files[~fits].tolist()
    notes = [f"{len(other)} images are not named like MR2af01.png and are left out: {listed(other)}"] if other else []
    columns = {c: encode(parsed.loc[fits, c], CARD.levels[c], CARD.aliases[c], c, root) for c in ("gender", "race")}
    frame = pd.DataFrame({"row": files[fits].to_numpy(), "split": "all", **columns})
    return Manifest(frame, FolderStore(root), CARD, tuple(notes), tuple(other))
