"""UTKFace: 23,708 faces of all ages with age, gender and race in the file name.

Input:
    Aligned and cropped JPEG, 200×200, named ``[age]_[gender]_[race]_[stamp].jpg`` or ``….jpg.chip.jpg``, in the root or in
    ``UTKFace/`` below it. Files whose names do not follow the pattern (five in the published set) are skipped, counted and
    named; with the option ``strict`` they are an error.

Labels:
    ``gender`` (0 male, 1 female), ``race`` (0 White, 1 Black, 2 Asian, 3 Indian, 4 Others) and ``age`` in years, perceived:
    estimated by a model and checked by one annotator, and noisy. ``age_group`` puts the age into the groups that FairFace
    uses. Among byte-identical files of the published set some disagree in their labels.

Licence:
    Non-commercial research only; the images belong to their owners.

Get it:
    https://susanqq.github.io/UTKFace/

Citation:
    Z. Zhang, Y. Song and H. Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder", CVPR 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fairaudit.data.image_files import image_names, require_folder
from fairaudit.data.label_table import categorical, listed
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError

CARD = Card(
    obtain=(
        "download the aligned and cropped faces from https://susanqq.github.io/UTKFace/ and put the files "
        "[age]_[gender]_[race]_[stamp].jpg.chip.jpg in the root"
    ),
    target="gender",
    by=(("race",), ("race", "gender")),
    privileged={"race": "White"},
    levels={
        "gender": ("male", "female"),
        "race": ("White", "Black", "Asian", "Indian", "Others"),
        "age_group": ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+"),
    },
    aliases={
        "gender": {"0": "male", "1": "female", "man": "male", "woman": "female", "m": "male", "f": "female"},
        "race": {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others", "Other": "Others"},
        "age_group": {"more than 70": "70+"},
    },
    numeric=("age",),
    note="gender, race and age are as estimated by a model and checked by an annotator",
)
_PATTERN = r"^(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\.(?i:jpe?g|png)(?:\.chip\.jpg)?$"
_FIRST_AGES = (0, 3, 10, 20, 30, 40, 50, 60, 70)


def load(root: Path | None, split: str, *, strict: bool = False) -> Manifest:
    """Read the labels out of the file names.

    Args:
        root: the dataset's folder.
        split: ``all``; UTKFace has no splits.
        strict: a file whose name does not follow the pattern is an error.

    Raises:
        DataError: there are no images, or with ``strict`` some names are malformed.
    """
    root = require_folder(root, CARD)
    folder, names = root, image_names(root)
    if not names:
        folder = root / "UTKFace"
        names = image_names(folder)
    files = pd.Series(names, dtype=str)
    parsed = files.str.extract(_PATTERN)
    fits = parsed["age"].notna().to_numpy(dtype=bool)
    malformed = files[~fits].tolist()
    if not fits.any():
        which = f"the {len(names)} images in {folder} are not named" if names else f"{root} has no images named"
        raise DataError(f"{which} [age]_[gender]_[race]_[stamp].jpg; to get the dataset, {CARD.obtain}")
    if malformed and strict:
        raise DataError(
            f"{len(malformed)} files in {folder} are not named [age]_[gender]_[race]_[stamp].jpg: {listed(malformed)}; "
            "mend or remove them, or leave out the option strict"
        )
    prefix = "" if folder == root else f"{folder.name}/"
    codes = parsed[fits].astype(np.int64)
    ages = codes["age"].to_numpy()
    groups = np.searchsorted(_FIRST_AGES, ages, side="right") - 1
    frame = pd.DataFrame(
        {
            "row": (prefix + files[fits]).to_numpy(),
            "split": "all",
            "gender": categorical(codes["gender"].to_numpy(), CARD.levels["gender"]),
            "race": categorical(codes["race"].to_numpy(), CARD.levels["race"]),
            "age_group": categorical(groups, CARD.levels["age_group"]),
            "age": ages.astype(np.float64),
        }
    )
    notes = []
    if malformed:
        one = len(malformed) == 1
        notes.append(
            f"{len(malformed)} file{' is' if one else 's are'} skipped because the name is not "
            f"[age]_[gender]_[race]_[stamp].jpg: {listed(malformed)}"
        )
    skipped = tuple(prefix + name for name in malformed)
    return Manifest(frame, FolderStore(root), CARD, tuple(notes), skipped).of_split(split)
