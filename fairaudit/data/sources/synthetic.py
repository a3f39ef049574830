"""Drawn faces, embedded: balanced or as skewed as you ask for, with known truth about every picture.

Input:
    None. Every picture is drawn by fairaudit from a seed, so no person is shown and nothing is downloaded. ``n`` pictures
    of ``size`` pixels, ``pictures_per_identity`` of each figure (pose, expression, light, background and clothes' colour
    change, the figure stays). Figures are dealt to train, val and test, 60 : 20 : 20. Picture k depends on the options and
    on k, not on ``n``.

    ``shares`` sets how often groups and attributes occur: ``COLUMN=LEVEL:SHARE,LEVEL:SHARE``, several separated by ``;``;
    levels that are not named divide the rest evenly. ``tone=dark:0.05,light:0.9; Eyeglasses=yes:0.3``.
    ``spurious`` ties a yes/no attribute to a gender or tone: ``ATTRIBUTE~COLUMN=LEVEL:SHARE``, several separated by ``;``;
    the attribute is yes in that share of the level's pictures and in 1 − share of the others.
    ``Blond_Hair~gender=woman:0.95``.
    Both shape train and val. The test split stays balanced over gender × tone and free of spurious ties, unless
    ``balanced_test`` is false. ``difficulty`` (0 to 1) sets how far the cues of presentation overlap.

Labels:
    ``gender`` (woman, man) is the presentation that a figure was drawn with. Its cues (hair length, jaw, brows, lips,
    lipstick, lashes, neck, earrings, beard) overlap, as they do between people; nobody identified as anything.
    ``tone`` (light, medium, dark) is the group that the skin colour was drawn from; within a group it is continuous.
    Hair colours, hair styles and eye colours are distributed differently by tone; contrast of the features is not reduced
    in any. Yes/no attributes, named as in CelebA where it has them: Blond_Hair, Eyeglasses, Wearing_Hat, Smiling, Young
    (below 40), Beard (stubble is none), Long_Hair (down to the jaw or longer), Bald. ``age`` in years and ``age_group``.
    All labels are what was drawn, not what somebody saw; a hat can cover the hair that a label names.

Licence:
    That of fairaudit (MIT), pictures included.

Get it:
    Nothing to get: it is embedded.

Citation:
    None; name fairaudit and its version.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fairaudit.data.face_shares import COLUMNS, Dealer, parse
from fairaudit.data.faces import Face, RenderedStore, another_picture, sample_face
from fairaudit.data.manifest import Card, Manifest
from fairaudit.errors import DataError, suggest

NEEDS_ROOT = False
SPLITS = ("train", "val", "test")
AGE_GROUPS = {"0-12": 13.0, "13-29": 30.0, "30-44": 45.0, "45-59": 60.0, "60+": float("inf")}

CARD = Card(
    obtain="nothing to get: the faces are drawn by fairaudit itself",
    target="gender",
    by=(("tone",), ("tone", "gender")),
    privileged={"tone": "light"},
    split="test",
    levels={**COLUMNS, "age_group": tuple(AGE_GROUPS)},
    aliases={"gender": {"female": "woman", "male": "man"}},
    numeric=("age",),
    note="The faces are drawn: gender is the presentation a figure was drawn with, tone the group its skin colour is from.",
)


def load(
    root: Path | None,  # noqa: ARG001
    split: str,
    *,
    n: int = 2000,
    size: int = 96,
    seed: int = 0,
    shares: str = "",
    spurious: str = "",
    difficulty: float = 0.3,
    balanced_test: bool = True,
    pictures_per_identity: int = 1,
) -> Manifest:
    """Draw up the table; the pictures are drawn when they are read.

    Args:
        root: not used, nothing is read from disk.
        split: ``train``, ``val``, ``test`` or ``all``.
        n: number of pictures over all splits.
        size: height and width of the pictures in pixels.
        seed: another seed, other figures.
        shares: how often groups and attributes occur in train and val; see the card.
        spurious: which attributes are tied to a gender or tone in train and val; see the card.
        difficulty: 0 keeps the cues of presentation far apart, 1 removes all but beards.
        balanced_test: whether the test split ignores ``shares`` and ``spurious``.
        pictures_per_identity: how many pictures there are of each figure.

    Raises:
        DataError: an option that cannot be honoured, an unknown split, or a split that ``n`` leaves empty.
    """
    _check(n=n, size=size, seed=seed, difficulty=difficulty, pictures_per_identity=pictures_per_identity)
    if split not in (*SPLITS, "all"):
        raise DataError(f"there is no split {split!r}{suggest(split, [*SPLITS, 'all'])}")
    skewed, even = parse(shares, spurious), parse()
    dealers = {s: Dealer(even if s == "test" and balanced_test else skewed, (seed, SPLITS.index(s))) for s in SPLITS}
    table: dict[str, list[str]] = {"row": [], "split": [], "identity": []}
    faces: dict[str, Face] = {}
    for figure in range(-(-n // pictures_per_identity)):
        place = _split_of(seed, figure)
        if split not in (place, "all"):
            continue
        for k, face in enumerate(_pictures(dealers[place], seed, figure, pictures_per_identity, difficulty)):
            picture = figure * pictures_per_identity + k
            if picture < n:
                row = f"face-{picture:06d}.png"
                faces[row] = face
                for column, value in (("row", row), ("split", place), ("identity", f"figure-{seed}-{figure:06d}")):
                    table[column].append(value)
    if not faces:
        raise DataError(
            f"n={n} leaves the split {split!r} empty; ten figures (n={10 * pictures_per_identity}) fill every split"
        )
    return Manifest(_labelled(table, list(faces.values())), RenderedStore(faces, size), CARD)


def _pictures(dealer: Dealer, seed: int, figure: int, count: int, difficulty: float) -> list[Face]:
    gender, tone = cell = dealer.next_cell()
    wishes = {name: dealer.next_value(name, cell) for name in Face.ATTRIBUTES}
    rng = np.random.default_rng([seed, figure])
    pictures = [sample_face(rng, difficulty=difficulty, gender=gender, tone=tone, **wishes)]
    for k in range(1, count):
        again = np.random.default_rng([seed, figure, k])
        pictures.append(another_picture(again, pictures[0], smiling=dealer.next_value("Smiling", cell)))
    return pictures


def _split_of(seed: int, figure: int) -> str:
    block, place = divmod(figure, 10)
    order = np.random.default_rng([seed, block, 10]).permutation(10)
    return SPLITS[0 if order[place] < 6 else 1 if order[place] < 8 else 2]


def _labelled(table: dict[str, list[str]], faces: list[Face]) -> pd.DataFrame:
    columns: dict[str, list[str]] = {
        "gender": [face.gender for face in faces],
        "tone": [face.tone for face in faces],
        **{name: ["yes" if face.attributes[name] else "no" for face in faces] for name in Face.ATTRIBUTES},
        "age_group": [next(label for label, below in AGE_GROUPS.items() if face.age < below) for face in faces],
    }
    frame = pd.DataFrame(table)
    for name, values in columns.items():
        frame[name] = pd.Categorical(values, categories=list(CARD.levels[name]))
    frame["age"] = np.array([face.age for face in faces], dtype=np.float64)
    return frame


def _check(*, n: int, size: int, seed: int, difficulty: float, pictures_per_identity: int) -> None:
    if n < 1:
        raise DataError(f"n is the number of pictures and must be at least 1, not {n}")
    if not 16 <= size <= 1024:
        raise DataError(f"size must lie between 16 and 1024 pixels, not {size}")
    if seed < 0:
        raise DataError(f"seed must be 0 or more, not {seed}")
    if not 0 <= difficulty <= 1:
        raise DataError(f"difficulty must lie between 0 and 1, not {difficulty}")
    if pictures_per_identity < 1:
        raise DataError(f"pictures_per_identity must be at least 1, not {pictures_per_identity}")
