"""Training, validation and test images of one experiment: split once, by seed, and never across a person or a copy.

Rows that belong together (the same person, or byte-identical files) form one unit, and a unit is never divided. Units are
dealt out stratum by stratum, so that every split has its share of each target class × group. Where a dataset brings
official splits they can be kept; what it lacks is cut from its training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairaudit.data.content import content_codes, digests
from fairaudit.data.manifest import Manifest
from fairaudit.data.ties import tied
from fairaudit.errors import DataError, UsageError

OFFICIAL_VALIDATION = 0.125
"""Share of official training images that validate where there is no third official split (Oehri et al. 2023)."""
_TRAIN = ("train", "training")
_VALIDATION = ("validation", "valid", "val", "dev")
_TEST = ("test",)
_WORDS = {_TRAIN: "train", _VALIDATION: "validation", _TEST: "test"}

Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Splits:
    """Three manifests that share no image and no person.

    Attributes:
        train: what the network learns from.
        validation: what epochs, methods and hyper-parameters are selected on.
        test: what is reported; nothing is selected on it.
        notes: what was done to keep them apart, a sentence each.
    """

    train: Manifest
    validation: Manifest
    test: Manifest
    notes: tuple[str, ...] = ()


def stratified_splits(
    manifest: Manifest, by: Sequence[str], shares: tuple[float, float, float], seed: int, *, compare_content: bool = True
) -> Splits:
    """Split one dataset into training, validation and test images.

    Args:
        manifest: every image, each once.
        by: categorical columns whose crossed levels are kept in proportion; a missing label makes a cell of its own.
        shares: of training, validation and test; they need not add up to 1.
        seed: the same seed and images give the same splits, whatever else is asked of the experiment.
        compare_content: keep byte-identical images on one side, which reads every file once.

    Raises:
        UsageError: a share is not positive, or nothing is left for one of the splits.
    """
    if min(shares) <= 0 or not np.isfinite(shares).all():
        raise UsageError(f"the shares of training, validation and test must be above 0, not {_text(shares)}")
    copies = content_codes(manifest) if compare_content else None
    parts = divide(manifest, by, shares, seed, copies)
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if len(part) == 0:
            raise UsageError(f"{len(manifest)} images split {_text(shares)} leave none for {name}; use more images")
    train, validation, test = parts
    return Splits(train, validation, test, _notes(manifest, copies))


def official_splits(manifest: Manifest, by: Sequence[str], seed: int, *, compare_content: bool = True) -> Splits:
    """Keep a dataset's own splits.

    With two of them the second is the test split, whatever it is called, and an eighth of the training images validates:
    stratified, seeded, whole persons. Training images that are byte-identical to a test image are left out and counted.

    Args:
        manifest: every image of every split.
        by: see ``stratified_splits``.
        seed: of the validation images where they are cut from the training images.
        compare_content: look for byte-identical images, which reads every file once.

    Raises:
        DataError: the dataset has no training split, or nothing beside it.
    """
    names = {str(s) for s in manifest.frame["split"].unique()}
    found = {_WORDS[w]: n for w in _WORDS for n in sorted(names) if n.casefold() in w}
    if "train" not in found or len(found) < 2:
        raise DataError(
            f"there are no official splits for training and testing here, only {', '.join(sorted(names))}; "
            "let the images be split with --split-shares 0.78,0.11,0.11"
        )
    train = manifest.of_split(found["train"])
    test = manifest.of_split(found.get("test", found.get("validation", "")))
    if len(found) == 3:
        return apart(Splits(train, manifest.of_split(found["validation"]), test), compare_content=compare_content)
    return cut_validation(train, test, by, OFFICIAL_VALIDATION, seed, compare_content=compare_content)


def cut_validation(
    train: Manifest, test: Manifest, by: Sequence[str], share: float, seed: int, *, compare_content: bool = True
) -> Splits:
    """Cut validation images from the training images; the test images come from elsewhere.

    Args:
        train: images to learn from.
        test: images to report; they may belong to another dataset.
        by: see ``stratified_splits``.
        share: of the training images that validate, between 0 and 1.
        seed: of the cut.
        compare_content: leave out training images that are byte-identical to a test image, and keep copies together.

    Raises:
        UsageError: the share is not between 0 and 1, or nothing is left on one side.
    """
    if not 0 < share < 1:
        raise UsageError(f"the share of validation images must be between 0 and 1, not {share:g}")
    nobody = train.take(np.zeros(len(train), dtype=bool))
    whole = apart(Splits(train, nobody, test), compare_content=compare_content)
    copies = content_codes(whole.train) if compare_content else None
    learn, validate = divide(whole.train, by, (1 - share, share), seed, copies)
    if not len(learn) or not len(validate):
        raise UsageError(f"{len(train)} training images are too few to cut a share of {share:g} for validation")
    return Splits(learn, validate, test, (*whole.notes, *_notes(whole.train, copies)))


def apart(splits: Splits, *, compare_content: bool = True) -> Splits:
    """Leave out what would leak: images of a person, or copies of an image, on the other side.

    Test images stay; validation images yield to them, and training images to both.

    Args:
        splits: as somebody else made them.
        compare_content: compare the images' bytes as well as their people.

    Raises:
        DataError: nothing is left to learn from.
    """
    told = list(splits.notes)
    known = {"test": splits.test, "validation": splits.validation, "training": splits.train}
    hashes = {name: np.array(digests(part) if compare_content else [""] * len(part)) for name, part in known.items()}
    for name, others in (("validation", ("test",)), ("training", ("test", "validation"))):
        for other in others:
            leaking, why = _leaking(known[name], hashes[name], known[other], hashes[other], name, other)
            told += why
            known[name] = known[name].take(~leaking)
            hashes[name] = hashes[name][~leaking]
    if len(splits.train) and not len(known["training"]):
        raise DataError(
            "every training image is of a person, or a copy of an image, of the test or validation images; let the images "
            "be split with --split-shares 0.78,0.11,0.11"
        )
    return replace(splits, train=known["training"], validation=known["validation"], notes=tuple(told))


def _leaking(
    part: Manifest, hashes: NDArray[np.str_], other: Manifest, others: NDArray[np.str_], name: str, beside: str
) -> tuple[NDArray[np.bool_], list[str]]:
    """(n,) rows of ``part`` that ``other`` has too, by person and by content, and what is said of them.

    Where contents were not compared the digests are empty.
    """
    told = []
    leaking = np.zeros(len(part), dtype=bool)
    if _has_people(part) and _same_source(part, other):
        leaking = part.frame["identity"].astype("string").isin(_people(other)).to_numpy(dtype=bool, na_value=False)
        if leaking.any():
            told.append(f"{leaking.sum()} {name} images of people who are in the {beside} images are left out")
    copied = np.isin(hashes, others[others != ""]) & ~leaking
    if copied.any():
        told.append(f"{copied.sum()} {name} images that are byte-identical to a {beside} image are left out")
    return leaking | copied, told


def divide(
    manifest: Manifest, by: Sequence[str], shares: Sequence[float], seed: int, copies: Codes | None = None
) -> list[Manifest]:
    """Deal a manifest's rows out, whole units at a time, each stratum in proportion.

    The units of a stratum are shuffled and each goes to the part that lacks most of its share, so that with units of one
    image a part has its share of every stratum to within one image.

    Args:
        manifest: the rows.
        by: categorical columns that make the strata.
        shares: of the parts, above 0.
        seed: of the shuffle.
        copies: (n,) code of each row's content; rows with one code stay together. None takes rows as different.

    Returns:
        One manifest per share, rows in their old order.
    """
    n = len(manifest)
    units = _units(manifest, copies)
    strata = _strata(manifest, by)
    wanted = np.asarray(shares, dtype=np.float64) / np.sum(shares)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    first = np.full(units.max(initial=-1) + 1, n, dtype=np.int64)
    np.minimum.at(first, units, np.arange(n))
    members = np.argsort(units, kind="stable")
    starts = np.searchsorted(units[members], np.arange(len(first) + 1))
    part_of = np.empty(n, dtype=np.int64)
    # A unit belongs to the stratum of its first row: a person's pictures differ in age, rarely in more.
    held = np.zeros((strata.max(initial=-1) + 1, len(wanted)))
    # Parts take turns at being the first to be served, so that strata of one or two images do not all end in one part.
    turn = rng.permutation(len(held) * len(wanted)).reshape(len(held), len(wanted)) * 1e-9
    for row in order:
        unit = units[row]
        if first[unit] != row:
            continue
        rows = members[starts[unit] : starts[unit + 1]]
        stratum = strata[row]
        lack = wanted * (held[stratum].sum() + len(rows)) - held[stratum] + turn[stratum]
        part = int(np.argmax(lack))
        held[stratum, part] += len(rows)
        part_of[rows] = part
    return [manifest.take(part_of == part) for part in range(len(wanted))]


def _units(manifest: Manifest, copies: Codes | None) -> Codes:
    """(n,) which rows stay together: those of one person or with one content, and whoever they are tied to."""
    ties = [] if copies is None else [copies]
    if _has_people(manifest):
        people = manifest.frame["identity"].astype("category").cat.codes.to_numpy().astype(np.int64)
        ties.append(people)  # −1 is nobody known
    pairs: list[tuple[int, int]] = []
    for codes in ties:
        seen: dict[int, int] = {}
        for row, code in enumerate(codes.tolist()):
            if code >= 0 and seen.setdefault(code, row) != row:
                pairs.append((seen[code], row))
    return tied(len(manifest), pairs)


def _strata(manifest: Manifest, by: Sequence[str]) -> Codes:
    cells = np.zeros(len(manifest), dtype=np.int64)
    for name in dict.fromkeys(manifest.column(name) for name in by):
        column = manifest.frame[name].cat
        cells = cells * (len(column.categories) + 1) + column.codes.to_numpy().astype(np.int64) + 1
    _, cells = np.unique(cells, return_inverse=True)
    return cells.astype(np.int64)


def _has_people(manifest: Manifest) -> bool:
    return "identity" in manifest.frame.columns


def _people(manifest: Manifest) -> set[str]:
    return set(manifest.frame["identity"].dropna().astype(str)) if _has_people(manifest) else set()


def _same_source(one: Manifest, other: Manifest) -> bool:
    """Identities of different datasets are numbered apart; a shared number there is no shared person."""
    return one.card == other.card


def _notes(manifest: Manifest, copies: Codes | None) -> tuple[str, ...]:
    told = []
    if copies is not None and (doubled := int((np.bincount(copies) > 1).sum())):
        told.append(f"{doubled} sets of byte-identical images were kept on one side of the split each")
    if _has_people(manifest):
        told.append("nobody's pictures are on both sides of a split")
    return tuple(told)


def _text(shares: Sequence[float]) -> str:
    return " / ".join(f"{share:g}" for share in shares)
