"""CelebA: 202,599 pictures of 10,177 celebrities with 40 yes/no attributes.

Input:
    Aligned and cropped JPEG, 178×218, in ``img_align_celeba/``, and ``list_attr_celeba.txt`` (or the ``.csv`` form that
    Kaggle hosts). Where present, ``list_eval_partition`` gives the splits (162,770 train, 19,867 val, 19,962 test) and
    ``identity_CelebA.txt`` says who is on the picture. The label files may lie in the root or in the official ``Anno/`` and
    ``Eval/``.

Labels:
    Each of the 40 attributes becomes a column, usable as target or as attribute. They were made by a professional labelling
    company and are perceived; several (Attractive, Big_Nose, Pale_Skin) are judgements. The levels are ``no`` and ``yes``,
    except for ``Male``: ``Female`` and ``Male``. ``-1``, ``0``, ``1``, the attribute's name and ``not`` with the name are
    understood as well.

Licence:
    Non-commercial research only; the images belong to their owners and may not be redistributed.

Get it:
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html

Citation:
    Z. Liu, P. Luo, X. Wang and X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairaudit.data.image_files import first_existing, image_names, require_folder, unlabelled_note
from fairaudit.data.label_table import categorical, listed, missing_notes, path_column, row_ids, with_counts
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError

# fmt: off
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald",
    "Bangs", "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair",
    "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin",
    "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones",
    "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings",
    "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)
# fmt: on


def _levels(attribute: str) -> tuple[str, str]:
    return ("Female", "Male") if attribute == "Male" else ("no", "yes")


def _aliases(attribute: str) -> dict[str, str]:
    absent, present = _levels(attribute)
    negative = ("-1", "0", "no", f"not {attribute}", f"not_{attribute}", f"not {attribute.replace('_', ' ')}")
    positive = ("1", "yes", attribute, attribute.replace("_", " "))
    return {**dict.fromkeys(negative, absent), **dict.fromkeys(positive, present)}


CARD = Card(
    obtain=(
        "download img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt and identity_CelebA.txt from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put them in the root, the images in img_align_celeba/"
    ),
    target="Smiling",
    by=(("Male",), ("Young",), ("Male", "Young")),
    privileged={"Male": "Male", "Young": "yes"},
    split="test",
    levels={attribute: _levels(attribute) for attribute in ATTRIBUTES},
    aliases={attribute: _aliases(attribute) for attribute in ATTRIBUTES},
    note="the attributes are as perceived by annotators",
)
_SPLITS = {0: "train", 1: "val", 2: "test"}
_FOLDERS = ("", "Anno/", "Eval/")


def load(root: Path | None, split: str) -> Manifest:
    """Read the attribute list, the partition and the identities.

    Args:
        root: the dataset's folder.
        split: ``train``, ``val``, ``test`` or ``all``; without a partition file there is only ``all``.

    Raises:
        DataError: files, columns or labels are missing or unknown.
    """
    root = require_folder(root, CARD)
    path = first_existing(root, _places("list_attr_celeba", ".txt", ".csv"), "list of attributes", CARD)
    table = _read(path, None)
    unknown = [c for c in table.columns if c not in ATTRIBUTES]
    if unknown or not len(table.columns):
        raise DataError(f"{path}: {listed(unknown) or 'no column'} is none of CelebA's attributes")
    columns = {name: _encode(table[name], name, path) for name in map(str, table.columns)}
    images = _image_folder(root)
    names = row_ids(table.index.to_series().reset_index(drop=True), path)
    prefix = images.relative_to(root).as_posix()
    frame = pd.DataFrame({"row": prefix + "/" + names, "split": "all", **columns})
    notes = missing_notes(columns, path.name) + unlabelled_note(image_names(images), names, path.name)
    frame["split"] = _partition(root, names, notes)
    identity = _optional(root, "identity_CelebA", ("identity",))
    if identity is not None:
        frame.insert(2, "identity", _joined(identity, names))
    return Manifest(frame, FolderStore(root), CARD, tuple(notes)).of_split(split)


def _partition(root: Path, names: pd.Series[str], notes: list[str]) -> pd.Series[str]:
    partition = _optional(root, "list_eval_partition", ("partition",))
    if partition is None:
        return pd.Series("all", index=names.index, dtype=str)
    codes = _joined(partition, names)
    splits = codes.map({str(code): name for code, name in _SPLITS.items()})
    wrong = codes[splits.isna() & codes.notna()]
    if len(wrong):
        raise DataError(
            f"list_eval_partition: {len(wrong)} images are in none of 0, 1, 2: {with_counts(wrong.value_counts())}"
        )
    absent = int(codes.isna().sum())
    if absent:
        notes.append(f"{absent:,} images are not in list_eval_partition; they belong to the split 'none'")
    return splits.fillna("none").astype(str)


def _joined(values: pd.Series[str], names: pd.Series[str]) -> pd.Series[str]:
    return values.reindex(names.to_numpy()).reset_index(drop=True)


def _optional(root: Path, stem: str, columns: Sequence[str]) -> pd.Series[str] | None:
    for name in _places(stem, ".txt", ".csv"):
        if (root / name).is_file():
            table = _read(root / name, columns)
            doubled = table.index[table.index.duplicated()]
            if len(doubled):
                raise DataError(f"{root / name} lists {doubled[0]!r} more than once")
            try:
                return table.iloc[:, 0].astype("int64").astype(str)
            except ValueError as error:
                raise DataError(f"{root / name} holds something that is not a whole number: {error}") from error
    return None


def _places(stem: str, *suffixes: str) -> list[str]:
    return [f"{folder}{stem}{suffix}" for suffix in suffixes for folder in _FOLDERS]


def _read(path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    """A label file with image names as index; ``columns`` names those of a ``.txt`` file that has no header."""
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
            name = path_column(table, path)
            return table.set_index(table[name].astype(str)).drop(columns=name)
        if columns is not None:
            table = pd.read_csv(path, sep=r"\s+", header=None, names=["path", *columns], encoding="utf-8-sig")
            return table.set_index(table["path"].astype(str)).drop(columns="path")
        # the first line is the number of images, the second has 40 names for 41 fields: the image's name has none
        with path.open(encoding="utf-8-sig") as lines:
            counted = next(lines, "").strip().isdecimal()
        table = pd.read_csv(path, sep=r"\s+", skiprows=int(counted), encoding="utf-8-sig")
        return table.set_index(table.index.astype(str))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start})") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error


def _encode(values: pd.Series[float], attribute: str, path: Path) -> pd.Categorical:
    signs = values.to_numpy()
    missing = pd.isna(signs)
    if signs.dtype == object or not bool((np.isin(signs, (-1, 0, 1)) | missing).all()):
        wrong = values[~values.astype(str).isin(["-1", "0", "1", "-1.0", "0.0", "1.0"]) & ~missing]
        raise DataError(
            f"{path}: {len(wrong)} labels of {attribute!r} are not -1, 0 or 1: {with_counts(wrong.value_counts())}"
        )
    codes = np.where(missing, -1, (signs == 1).astype(np.int64))
    return categorical(codes, _levels(attribute))


def _image_folder(root: Path) -> Path:
    # Kaggle's archive nests the folder in itself
    names = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
    return first_existing(root, names, "folder of images", CARD)
