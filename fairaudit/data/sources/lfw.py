"""LFW: 13,233 news photographs of 5,749 public figures, with identities and gender.

Input:
    250×250 JPEG in one folder per person, ``Ann_Example/Ann_Example_0001.jpg``, in the root or in ``lfw/``,
    ``lfw-deepfunneled/`` or ``lfw_funneled/`` below it. The person is kept as the identity.

Labels:
    ``gender``, perceived, from a ``labels.csv`` in the root (path, gender, and if known identity) or, without it, from the
    lists ``male_names.txt`` and ``female_names.txt`` (one image or person a line). LFW itself has no gender labels. Its
    people are mostly White and mostly men: a result on it says little about anyone else.

Licence:
    Published for research; the photographs belong to their owners.

Get it:
    https://vis-www.cs.umass.edu/lfw/, the gender lists from the authors of the second citation.

Citation:
    G. B. Huang, M. Ramesh, T. Berg and E. Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face
    Recognition in Unconstrained Environments", University of Massachusetts Amherst, report 07-49, 2007. Gender lists: M.
    Afifi and A. Abdelhamed, "AFIF4: Deep gender classification based on AdaBoost-based fusion of isolated facial features
    and foggy faces", Journal of Visual Communication and Image Representation 62, 2019.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from fairaudit.data.image_files import image_tree, require_folder, unlabelled_note
from fairaudit.data.label_table import encode, missing_notes, path_column, read_table, require_columns, row_ids
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError

CARD = Card(
    obtain=(
        "download lfw-deepfunneled from https://vis-www.cs.umass.edu/lfw/ and put its folders, one per person, in the root "
        "beside a labels.csv (path, gender, identity) or the lists male_names.txt and female_names.txt"
    ),
    target="gender",
    by=(("gender",),),
    privileged={"gender": "male"},
    levels={"gender": ("female", "male")},
    aliases={"gender": {"f": "female", "m": "male", "woman": "female", "man": "male"}},
    note="gender is as perceived by annotators",
)
_LISTS = {"female": "female_names.txt", "male": "male_names.txt"}
_FOLDERS = ("lfw-deepfunneled", "lfw_funneled", "lfw")
_NUMBERED = re.compile(r"_\d{4}$")


def load(root: Path | None, split: str) -> Manifest:
    """Read ``labels.csv`` where there is one, else the folders and the gender lists.

    Args:
        root: the dataset's folder.
        split: ``all``; for audits LFW has no splits.

    Raises:
        DataError: there are no images or no gender labels, or unknown levels.
    """
    root = require_folder(root, CARD)
    table = root / "labels.csv"
    manifest = _from_table(root, table) if table.is_file() else _from_lists(root)
    return manifest.of_split(split)


def _from_table(root: Path, path: Path) -> Manifest:
    table = read_table(path)
    name = path_column(table, path)
    require_columns(table, ("gender",), path)
    rows = row_ids(table[name], path)
    identity = table["identity"].where(table["identity"] != "", None) if "identity" in table.columns else _people(rows)
    gender = encode(table["gender"], CARD.levels["gender"], CARD.aliases["gender"], "gender", path)
    notes = missing_notes({"gender": gender}, path.name) + unlabelled_note(image_tree(root), rows, path.name)
    frame = pd.DataFrame({"row": rows, "split": "all", "identity": identity, "gender": gender})
    return Manifest(frame, FolderStore(root), CARD, tuple(notes))


def _from_lists(root: Path) -> Manifest:
    lists = {gender: root / name for gender, name in _LISTS.items()}
    lacking = [path.name for path in lists.values() if not path.is_file()]
    if lacking:
        raise DataError(f"{root} has neither labels.csv nor {' and '.join(lacking)}; to get the dataset, {CARD.obtain}")
    base = next((f for f in _FOLDERS if (root / f).is_dir()), "")
    prefix = f"{base}/" if base else ""
    rows = pd.Series([prefix + name for name in image_tree(root / base, whole=True) if "/" in name], dtype=str)
    if not len(rows):
        raise DataError(f"{root / base} has no images in folders, one per person; to get the dataset, {CARD.obtain}")
    images, people = _read_lists(lists)
    identity = _people(rows)
    stems = rows.str.rsplit("/", n=1).str[-1].str.rsplit(".", n=1).str[0]
    sets = [images.get(s, set()) or people.get(p, set()) for s, p in zip(stems, identity, strict=True)]
    texts = pd.Series([next(iter(found)) if len(found) == 1 else "" for found in sets], dtype=str)
    both, none = sum(len(found) > 1 for found in sets), sum(not found for found in sets)
    notes = []
    if both:
        notes.append(f"{both:,} images are in both gender lists; they are kept and their gender counts as missing")
    if none:
        notes.append(f"{none:,} images are in no gender list; they are kept and their gender counts as missing")
    gender = encode(texts, CARD.levels["gender"], {}, "gender", root)
    frame = pd.DataFrame({"row": rows, "split": "all", "identity": identity, "gender": gender})
    return Manifest(frame, FolderStore(root), CARD, tuple(notes))


def _read_lists(lists: dict[str, Path]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Image stem → genders listed for it, and person → genders listed for them or for one of their images."""
    images: dict[str, set[str]] = {}
    people: dict[str, set[str]] = {}
    for gender, path in lists.items():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
        for line in lines:
            stem = PurePosixPath(line.strip().replace("\\", "/")).name
            stem = re.sub(r"\.(jpe?g|png)$", "", stem, flags=re.IGNORECASE)
            if not stem:
                continue
            if _NUMBERED.search(stem):
                images.setdefault(stem, set()).add(gender)
            else:
                people.setdefault(stem, set()).add(gender)
    return images, people


def _people(rows: pd.Series[str]) -> pd.Series[str]:
    return rows.map(lambda row: PurePosixPath(row).parent.name or _NUMBERED.sub("", PurePosixPath(row).stem))
