"""Profile a dataset before any model sees it: who is in it, what goes together, and how its pictures differ by group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairaudit import plugins
from fairaudit.data.locate import audit_options, load_dataset
from fairaudit.data.looks import Progress
from fairaudit.data.manifest import Manifest
from fairaudit.metrics.association import associations
from fairaudit.metrics.groups import cross
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.predictions import MISSING, BoolArray, Column
from fairaudit.results import Estimate, Group
from fairaudit.results.profile import AgeSummary, Association, GroupingProfile, GroupProfile, Profile
from fairaudit.workflows.profile_images import sample_pictures

AGE = "age"
IMAGES = 300
"""How many pictures are looked at unless said otherwise."""
CONFIDENCE = 0.95


def profile_dataset(
    name: str,
    root: Path | None,
    split: str = "all",
    by: Sequence[tuple[str, ...]] = (),
    target: str | None = None,
    options: Mapping[str, Any] | None = None,
    images: int = IMAGES,
    progress: Progress | None = None,
) -> Profile:
    """Read a dataset and describe who is in it.

    Args:
        name: the dataset.
        root: its folder; None looks in the usual places.
        split: the split to profile.
        by: as in ``profile``.
        target: as in ``profile``.
        options: options of the dataset's source.
        images: as in ``profile``.
        progress: as in ``profile``.

    Raises:
        UsageError: the dataset or one of its options is not known.
        DataError: the data are not there or cannot be used.
    """
    given = {**audit_options(name, target, by), **(options or {})}
    name = plugins.canonical("datasets", name)
    return profile(load_dataset(name, root, split, **given), by, target, name, split, images, progress)


def profile(
    manifest: Manifest,
    by: Sequence[tuple[str, ...]] = (),
    target: str | None = None,
    name: str = "",
    split: str = "all",
    images: int = IMAGES,
    progress: Progress | None = None,
) -> Profile:
    """Describe who is in a dataset.

    Args:
        manifest: the dataset.
        by: groupings, each one or more crossed attributes; without any, the card's, else every categorical column.
        target: the column whose balance within each group is given; None takes the card's.
        name: of the dataset.
        split: which split the manifest is.
        images: how many pictures to look at, 0 for none.
        progress: told how many pictures are done, and of how many.

    Raises:
        UnknownNameError: a column does not exist.
    """
    frame = manifest.frame
    wanted = target or manifest.card.target
    aim = manifest.column(wanted) if wanted else None
    columns = {column: _column(frame[column]) for column in manifest.attributes}
    chosen = by or manifest.card.by or [(column,) for column in manifest.attributes if column != aim]
    groupings = [tuple(dict.fromkeys(manifest.column(part) for part in grouping)) for grouping in chosen]
    crossed = tuple(dict.fromkeys(part for grouping in groupings for part in grouping)) if by or manifest.card.by else ()
    pictures, more = sample_pictures(manifest, columns, crossed, images, progress)
    splits = frame["split"].value_counts()
    labels = [column for column in frame.columns if column not in ("row", "split")]
    missing = {str(column): int(frame[column].isna().sum()) for column in labels}
    ages = frame[AGE].to_numpy() if AGE in frame.columns and pd.api.types.is_float_dtype(frame[AGE].dtype) else None

    def describe(member: BoolArray, group: Group | None) -> GroupProfile:
        shares, counts, unknown = _target(None if aim is None else columns[aim].take(member))
        return GroupProfile(
            group=group,
            n=int(member.sum()),
            share=int(member.sum()) / len(frame) if len(frame) else math.nan,
            age=None if ages is None else _ages(ages[member]),
            target=shares,
            target_counts=counts,
            target_missing=unknown,
            pictures=None if pictures is None else pictures.summary(member),
        )

    def grouped(parts: tuple[str, ...]) -> GroupingProfile:
        cells = cross(columns, parts)
        described = (describe(cells.ids == i, cells.as_mapping(i)) for i in range(len(cells)))
        return GroupingProfile(parts, tuple(described), int((cells.ids == MISSING).sum()))

    return Profile(
        dataset=name,
        split=split,
        overall=describe(np.ones(len(frame), dtype=np.bool_), None),
        splits={str(part): int(splits[part]) for part in sorted(splits.index)},
        identities=int(frame["identity"].nunique()) if "identity" in frame.columns else None,
        target=aim,
        groupings=tuple(grouped(parts) for parts in groupings),
        associations=_associations(columns, aim, [part for parts in groupings for part in parts]),
        pictures=None if pictures is None else pictures.sample,
        missing={column: count for column, count in missing.items() if count},
        confidence=CONFIDENCE,
        self_identified=manifest.card.self_identified,
        card_note=manifest.card.note,
        notes=(*manifest.notes, *more),
    )


def _associations(columns: Mapping[str, Column], target: str | None, attributes: Sequence[str]) -> tuple[Association, ...]:
    first = [*([target] if target else []), *attributes]
    # the order of the columns decides which of a pair is named first
    ordered = {name: columns[name] for name in dict.fromkeys([*first, *columns])}
    found = [
        Association((pair.one, pair.other), pair.v, pair.n, pair.cell, pair.together, pair.expected)
        for pair in associations(ordered)
    ]
    return tuple(sorted(found, key=lambda one: target not in one.columns))


def _column(values: pd.Series[str]) -> Column:
    return Column(values.cat.codes.to_numpy().astype(np.int64), tuple(map(str, values.cat.categories)))


def _target(column: Column | None) -> tuple[dict[str, Estimate], dict[str, int], int]:
    if column is None:
        return {}, {}, 0
    counts = np.bincount(column.codes[column.codes != MISSING], minlength=len(column.levels))
    known = int(counts.sum())
    low, high = wilson(counts.astype(np.float64), np.full(len(counts), float(known)), quantile(CONFIDENCE))
    shares = {
        level: Estimate(count / known if known else math.nan, float(low[i]), float(high[i]), known,
                        None if known else "no image with a known label")
        for i, (level, count) in enumerate(zip(column.levels, counts.tolist(), strict=True))
    }  # fmt: skip
    return shares, dict(zip(column.levels, counts.tolist(), strict=True)), int((column.codes == MISSING).sum())


def _ages(ages: np.ndarray) -> AgeSummary:
    known = ages[~np.isnan(ages)].astype(np.float64)
    if not len(known):
        return AgeSummary(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    q1, median, q3 = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
    sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
    return AgeSummary(len(known), float(known.mean()), sd, median, q1, q3)
