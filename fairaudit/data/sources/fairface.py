"""FairFace: 97,698 faces from Flickr, near balanced over seven races, with gender and age group.

Input:
    Face crops, 224×224 JPEG, published with 25 % and with 125 % margin. Two layouts are read: the official one
    (``fairface_label_train.csv`` and ``fairface_label_val.csv`` beside the folders ``train/`` and ``val/``), and the
    Parquet export of the Hugging Face hub (``train-*.parquet``, ``validation-*.parquet``), whose class names are taken from
    the files themselves. 86,744 images are for training, 10,954 for validation.

Labels:
    ``race`` (7 levels), ``gender`` (2) and ``age`` (9 groups), perceived: three crowd workers per image, agreement of two
    required, then checked against a model. ``service_test`` marks the subset that is nearly equal in size over race and
    gender; the option ``balanced`` keeps only that. Class order here: gender Male, Female, as in the publishers' model, the
    hub's export and most networks trained on it; race alphabetical; age ascending. The publishers' own 18-output network
    lists the races in another order: say so with its head preset.

Licence:
    CC BY 4.0 for the labels; the photographs come from YFCC-100M and keep their Flickr licences.

Get it:
    https://github.com/joojs/fairface, or the dataset ``HuggingFaceM4/FairFace`` on the Hugging Face hub.

Citation:
    K. Kärkkäinen and J. Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias Measurement and
    Mitigation", WACV 2021.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from fairaudit.data.hub_features import class_names, image_column, labels_as_text, read_schema
from fairaudit.data.image_files import image_names, require_folder, unlabelled_note
from fairaudit.data.label_table import encode, missing_notes, read_table, require_columns, row_ids
from fairaudit.data.manifest import Card, FolderStore, ImageStore, Manifest
from fairaudit.data.parquet_store import ParquetStore
from fairaudit.errors import DataError, suggest

CARD = Card(
    obtain=(
        "download the images and label tables from https://github.com/joojs/fairface and put fairface_label_train.csv and "
        "fairface_label_val.csv beside the folders train/ and val/ (or take the Parquet files of HuggingFaceM4/FairFace)"
    ),
    target="gender",
    by=(("race",), ("race", "gender")),
    privileged={"race": "White"},
    split="val",
    levels={
        "gender": ("Male", "Female"),
        "race": ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White"),
        "age": ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"),
    },
    aliases={
        "gender": {"M": "Male", "F": "Female", "Man": "Male", "Woman": "Female"},
        "race": {
            "Latino": "Latino_Hispanic",
            "Latino Hispanic": "Latino_Hispanic",
            "East_Asian": "East Asian",
            "Middle_Eastern": "Middle Eastern",
            "Southeast_Asian": "Southeast Asian",
        },
        "age": {"70+": "more than 70"},
    },
    note="gender, race and age are as perceived by annotators",
)
_SPLITS = ("train", "val")
_SHARD_PREFIXES = {"train": "train", "validation": "val", "val": "val"}
_MARGINS = ("0.25", "1.25")
_LABELS = ("age", "gender", "race")


def load(root: Path | None, split: str, *, balanced: bool = False) -> Manifest:
    """Read the label tables, or the Parquet export where there are none.

    Args:
        root: the dataset's folder.
        split: ``train``, ``val`` or ``all``.
        balanced: keep only images with ``service_test == True``.

    Raises:
        DataError: label files, columns or levels are missing or unknown.
    """
    root = require_folder(root, CARD)
    if split not in (*_SPLITS, "all"):
        raise DataError(f"fairface has no split {split!r}{suggest(split, (*_SPLITS, 'all'))}")
    wanted = _SPLITS if split == "all" else (split,)
    tables = [root / f"fairface_label_{part}.csv" for part in _SPLITS]
    read = _from_tables if any(t.is_file() for t in tables) else _from_shards
    frame, store, notes = read(root, wanted)
    keep = _service_test(frame) if balanced else None
    if "service_test" in frame.columns:  # an attribute like others: which images the dataset itself marks as balanced
        frame["service_test"] = pd.Categorical(frame["service_test"], categories=["False", "True"])
    if keep is not None:
        frame = frame[keep.to_numpy()].reset_index(drop=True)
    if not len(frame):
        raise DataError(f"{root} lists no images for the split {split!r}{' with service_test == True' if balanced else ''}")
    return Manifest(frame, store, CARD, tuple(notes))


def _from_tables(root: Path, wanted: tuple[str, ...]) -> tuple[pd.DataFrame, ImageStore, list[str]]:
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    for part in wanted:
        path = root / f"fairface_label_{part}.csv"
        if not path.is_file():
            if len(wanted) > 1:
                continue
            raise DataError(f"there is no file {path}; to get the dataset, {CARD.obtain}")
        table = read_table(path, ("file", *_LABELS))
        frame = _encoded(table, row_ids(table["file"], path), part, path)
        notes += missing_notes({c: frame[c] for c in _LABELS}, path.name)
        present = [f"{part}/{name}" for name in image_names(root / part)]
        notes += unlabelled_note(present, frame["row"], path.name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True), FolderStore(root), notes


def _from_shards(root: Path, wanted: tuple[str, ...]) -> tuple[pd.DataFrame, ImageStore, list[str]]:
    shards = _shards(root)
    files = [path for path in shards if _SHARD_PREFIXES[_prefix(path)] in wanted]
    if not files:
        known = sorted({_SHARD_PREFIXES[_prefix(p)] for p in shards})
        raise DataError(f"{root} has no Parquet files for the split {wanted[0]!r}; it has {', '.join(known)}")
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    names: list[str | None] = []
    column = image_column(read_schema(files[0]), files[0])
    for path in files:
        schema = read_schema(path)
        if image_column(schema, path) != column:
            raise DataError(f"{path} keeps its images in another column than {files[0]}")
        require_columns(pd.DataFrame(columns=list(schema.names)), _LABELS, path)
        labels = [*_LABELS, *(["service_test"] if "service_test" in schema.names else [])]
        has_path = schema.field(column).type.get_field_index("path") >= 0
        with pq.ParquetFile(path) as parquet:
            stored = parquet.read(columns=[*labels, *([f"{column}.path"] if has_path else [])])
        classes = class_names(schema, path)
        text = pd.DataFrame({c: labels_as_text(stored[c], classes.get(c), c, path) for c in labels})
        part = _SHARD_PREFIXES[_prefix(path)]
        frame = _encoded(text, pd.Series([""] * len(text), dtype=str), part, path)
        notes += missing_notes({c: frame[c] for c in _LABELS}, path.name)
        names += (
            [image.get("path") if image else None for image in stored[column].to_pylist()]
            if has_path
            else [None] * len(text)
        )
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    frame["row"] = _shard_rows(frame["split"].tolist(), names)
    places = [(i, position) for i, part in enumerate(frames) for position in range(len(part))]
    return frame, ParquetStore(tuple(files), column, dict(zip(frame["row"], places, strict=True))), notes


def _shard_rows(splits: list[str], names: list[str | None]) -> list[str]:
    """Row ids: the file names inside the export where every image of a split has its own, else running numbers."""
    rows = [""] * len(splits)
    for split in dict.fromkeys(splits):
        places = [i for i, part in enumerate(splits) if part == split]
        files = [Path(names[i] or "").name for i in places]
        if "" in files or len(set(files)) < len(files):
            files = [f"{position:06d}" for position in range(len(places))]
        for i, file in zip(places, files, strict=True):
            rows[i] = f"{split}/{file}"
    return rows


def _shards(root: Path) -> list[Path]:
    margins = [m for m in _MARGINS if any((root / m).glob("*.parquet"))]
    if len(margins) > 1:
        raise DataError(
            f"{root} holds two versions of the images, {' and '.join(margins)}; choose with --root {root / margins[0]}"
        )
    for folder in (root, root / "data", *(root / m for m in margins)):
        found = sorted(p for p in folder.glob("*.parquet") if _prefix(p) in _SHARD_PREFIXES)
        if found:
            return found
    raise DataError(
        f"{root} has neither fairface_label_train.csv nor fairface_label_val.csv nor train-*.parquet or "
        f"validation-*.parquet; to get the dataset, {CARD.obtain}"
    )


def _prefix(path: Path) -> str:
    return path.stem.partition("-")[0]


def _encoded(table: pd.DataFrame, rows: pd.Series[str], split: str, path: Path) -> pd.DataFrame:
    columns = {c: encode(table[c], CARD.levels[c], CARD.aliases[c], c, path) for c in _LABELS}
    frame = pd.DataFrame({"row": rows, "split": split, **columns})
    if "service_test" in table.columns:
        frame["service_test"] = encode(
            table["service_test"], ("False", "True"), {"0": "False", "1": "True"}, "service_test", path
        )
    return frame


def _service_test(frame: pd.DataFrame) -> pd.Series[bool]:
    if "service_test" not in frame.columns:
        raise DataError("the option balanced needs the column 'service_test', which these label files do not have")
    return frame["service_test"] == "True"
