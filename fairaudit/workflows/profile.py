"""Profile a dataset before any model sees it: who is in it, how old they are, and how the target is spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from fairaudit.data.locate import audit_options, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.metrics.groups import cross
from fairaudit.predictions import MISSING, Column
from fairaudit.results import Group, group_label

AGE = "age"
_MOST_CLASS_COLUMNS = 2
_BARE_LEVELS = frozenset({"yes", "no", "true", "false", "0", "1"})


@dataclass(frozen=True)
class AgeSummary:
    """Age in years of the images whose age is known.

    Attributes:
        n: images with a known age.
        mean: their mean; nan for none.
        sd: their sample standard deviation (divisor n − 1); nan for fewer than two.
    """

    n: int
    mean: float
    sd: float


@dataclass(frozen=True)
class GroupProfile:
    """One group, or all images.

    Attributes:
        group: attribute → level; None for all images.
        n: images.
        share: of all images in the dataset, those with missing labels included; nan for an empty dataset.
        age: None where the dataset has no ages.
        target: class → images of the group labelled so.
        target_missing: images of the group whose target is not known.
    """

    group: Group | None
    n: int
    share: float
    age: AgeSummary | None
    target: Mapping[str, int]
    target_missing: int

    def target_share(self, name: str) -> float:
        """Share of a class among the group's images with a known target; nan where there are none."""
        known = sum(self.target.values())
        return self.target[name] / known if known else math.nan


@dataclass(frozen=True)
class GroupingProfile:
    """Every group of one grouping.

    Attributes:
        by: the attributes that are crossed.
        groups: one per cell in declared order, empty ones included.
        missing: images for which an attribute is not known.
    """

    by: tuple[str, ...]
    groups: tuple[GroupProfile, ...]
    missing: int


@dataclass(frozen=True)
class Profile:
    """What a dataset holds.

    Attributes:
        overall: all images.
        splits: split → images.
        identities: number of people, None where they are not known.
        target: the column whose balance is given, None for none.
        groupings: one per grouping.
        missing: column → images without a label, for columns that have some.
        self_identified: whether people said themselves who they are.
        notes: sentences about rows that were skipped or mended.
    """

    overall: GroupProfile
    splits: Mapping[str, int]
    identities: int | None
    target: str | None
    groupings: tuple[GroupingProfile, ...]
    missing: Mapping[str, int]
    self_identified: bool
    notes: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """The profile as JSON-able values; undefined numbers are None."""
        return {
            "n": self.overall.n,
            "splits": dict(self.splits),
            "identities": self.identities,
            "target": self.target,
            "self_identified": self.self_identified,
            "missing": dict(self.missing),
            "overall": _group_record(self.overall),
            "groupings": [
                {"by": list(g.by), "missing": g.missing, "groups": [_group_record(group) for group in g.groups]}
                for g in self.groupings
            ],
            "notes": list(self.notes),
        }


def profile_dataset(
    name: str,
    root: Path | None,
    split: str = "all",
    by: Sequence[tuple[str, ...]] = (),
    target: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Profile, tuple[str, ...]]:
    """Read a dataset and count who is in it.

    Args:
        name: the dataset.
        root: its folder; None looks in the usual places.
        split: the split to profile.
        by: as in ``profile``.
        target: as in ``profile``.
        options: options of the dataset's source.

    Returns:
        The profile, and the sentences to be shown as warnings.

    Raises:
        UsageError: the dataset or one of its options is not known.
        DataError: the data are not there or cannot be used.
    """
    given = {**audit_options(name, target, by), **(options or {})}
    found = profile(load_dataset(name, root, split, **given), by, target)
    return found, found.notes


def profile(manifest: Manifest, by: Sequence[tuple[str, ...]] = (), target: str | None = None) -> Profile:
    """Count who is in a dataset.

    Args:
        manifest: the dataset.
        by: groupings, each one or more crossed attributes; without any, the card's, else every categorical column.
        target: the column whose balance within each group is given; None takes the card's.

    Raises:
        UnknownNameError: a column does not exist.
    """
    frame = manifest.frame
    wanted = target or manifest.card.target
    column = manifest.column(wanted) if wanted else None
    chosen = by or manifest.card.by or [(name,) for name in manifest.attributes if name != column]
    groupings = [tuple(dict.fromkeys(manifest.column(name) for name in grouping)) for grouping in chosen]
    splits = frame["split"].value_counts()
    labels = [c for c in frame.columns if c not in ("row", "split")]
    missing = {str(c): int(frame[c].isna().sum()) for c in labels}
    return Profile(
        overall=_describe(frame, None, len(frame), column),
        splits={str(name): int(splits[name]) for name in sorted(splits.index)},
        identities=int(frame["identity"].nunique()) if "identity" in frame.columns else None,
        target=column,
        groupings=tuple(_grouping(frame, grouping, column) for grouping in groupings),
        missing={name: count for name, count in missing.items() if count},
        self_identified=manifest.card.self_identified,
        notes=manifest.notes,
    )


def profile_table(profile: Profile) -> Table:
    """The profile as a table for a terminal of 80 columns."""
    classes = list(profile.overall.target)
    # for two classes one column says it all; the last is the conventional positive
    shown = classes[:_MOST_CLASS_COLUMNS] if len(classes) > _MOST_CLASS_COLUMNS else classes[-1:]
    if profile.groupings and all(profile.target in grouping.by for grouping in profile.groupings):
        shown = []
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("group", overflow="fold")
    for name in ("images", "share", *(("age ± SD",) if profile.overall.age else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for name in shown:
        table.add_column(Text(f"{profile.target} {name}"), justify="right")
    table.add_row("all images", *_cells(profile.overall, shown))
    if len(profile.splits) > 1:
        table.add_row()
        table.add_row(Text("by split", style="bold"))
        for name, n in profile.splits.items():
            table.add_row(Text(name), f"{n:,}", _percent(n / profile.overall.n))
    for grouping in profile.groupings:
        table.add_row()
        table.add_row(Text(f"by {' × '.join(grouping.by)}", style="bold"))
        for group in grouping.groups:
            inside = profile.target in grouping.by  # within one class of the target its share says nothing
            cells = _cells(group, () if inside else shown)
            table.add_row(Text(_label(group)), *cells, style=None if group.n else "dim")
        if grouping.missing:
            table.add_row(
                "(not known)", f"{grouping.missing:,}", _percent(grouping.missing / profile.overall.n), style="dim"
            )
    return table


def _grouping(frame: pd.DataFrame, by: tuple[str, ...], target: str | None) -> GroupingProfile:
    cells = cross({name: _column(frame[name]) for name in by}, by)
    groups = [_describe(frame[cells.ids == i], cells.as_mapping(i), len(frame), target) for i in range(len(cells))]
    return GroupingProfile(by, tuple(groups), int((cells.ids == MISSING).sum()))


def _column(values: pd.Series[str]) -> Column:
    return Column(values.cat.codes.to_numpy().astype(np.int64), tuple(map(str, values.cat.categories)))


def _describe(part: pd.DataFrame, group: Group | None, total: int, target: str | None) -> GroupProfile:
    age = None
    if AGE in part.columns and pd.api.types.is_float_dtype(part[AGE].dtype):
        known = part[AGE].dropna()
        age = AgeSummary(len(known), float(known.mean()), float(known.std(ddof=1)))
    counts = {} if target is None else {str(c): int(n) for c, n in part[target].value_counts(sort=False).items()}
    return GroupProfile(
        group=group,
        n=len(part),
        share=len(part) / total if total else math.nan,
        age=age,
        target=counts,
        target_missing=0 if target is None else int(part[target].isna().sum()),
    )


def _group_record(group: GroupProfile) -> dict[str, Any]:
    age = group.age
    return {
        "group": None if group.group is None else dict(group.group),
        "n": group.n,
        "share": _number(group.share),
        "age": None if age is None else {"n": age.n, "mean": _number(age.mean), "sd": _number(age.sd)},
        "target": {c: {"n": n, "share": _number(group.target_share(c))} for c, n in group.target.items()},
        "target_missing": group.target_missing,
    }


def _label(profile: GroupProfile) -> str:
    group = profile.group or {}
    # "Female no" would not say what she is not
    return group_label({k: f"{k}: {v}" if v.casefold() in _BARE_LEVELS else v for k, v in group.items()})


def _cells(group: GroupProfile, shown: Sequence[str]) -> list[str]:
    cells = [f"{group.n:,}", _percent(group.share)]
    if group.age is not None:
        spread = "" if math.isnan(group.age.sd) else f" ± {group.age.sd:.1f}"
        cells.append("–" if math.isnan(group.age.mean) else f"{group.age.mean:.1f}{spread}")
    return cells + [_percent(group.target_share(name)) for name in shown]


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
