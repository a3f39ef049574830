"""What a dataset holds: who is in it and how old, how the target is spread, what goes together, how pictures differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairaudit.results.audit import Estimate, Group
from fairaudit.results.plain import plain

PROFILE_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class AgeSummary:
    """Age in years of the images whose age is known.

    Attributes:
        n: images with a known age.
        mean: their mean; nan for none.
        sd: their sample standard deviation (divisor n − 1); nan for fewer than two.
        median: their median; nan for none.
        q1: their lower quartile.
        q3: their upper quartile.
    """

    n: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class PictureSummary:
    """Pictures of a group, from a sample.

    Attributes:
        n: pictures that were looked at.
        width: median, smallest and largest width in pixels; nan for none.
        height: likewise.
        brightness: mean over pictures of their mean luma, 0 black to 255 white; nan for none.
        brightness_sd: standard deviation over pictures; nan for fewer than two.
    """

    n: int
    width: tuple[float, float, float]
    height: tuple[float, float, float]
    brightness: float
    brightness_sd: float


@dataclass(frozen=True)
class GroupProfile:
    """One group, or all images.

    Attributes:
        group: attribute → level; None for all images.
        n: images.
        share: of all images in the dataset, those with missing labels included; nan for an empty dataset.
        age: None where the dataset has no ages.
        target: class → share of it among the group's images with a known target, with Wilson's interval.
        target_counts: class → images of the group labelled so.
        target_missing: images of the group whose target is not known.
        pictures: None where no image was looked at.
    """

    group: Group | None
    n: int
    share: float
    age: AgeSummary | None
    target: Mapping[str, Estimate]
    target_counts: Mapping[str, int]
    target_missing: int
    pictures: PictureSummary | None = None


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
class Association:
    """How two columns go together.

    Attributes:
        columns: their names; the target first, where it is one of them, then a grouping's attribute.
        v: bias-corrected Cramér's V, 0 independent to 1 one decides the other; nan where a column has one level only.
        n: images for which both are known.
        cell: the two levels that meet most beyond expectation; None where V is nan.
        together: images that have both.
        expected: images that would if the columns were independent.
    """

    columns: tuple[str, str]
    v: float
    n: int
    cell: tuple[str, str] | None
    together: int
    expected: float

    @property
    def times(self) -> float:
        """How many times as many images have both as would if the columns were independent."""
        return self.together / self.expected if self.cell is not None else math.nan


@dataclass(frozen=True)
class PictureSample:
    """Which pictures were looked at.

    Attributes:
        drawn: how many were drawn.
        read: how many of them could be read.
        by: attributes in whose crossed levels as many pictures each were drawn as there are.
        seed: of the draw.
    """

    drawn: int
    read: int
    by: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Profile:
    """What a dataset holds.

    Attributes:
        dataset: its name.
        split: which split, ``all`` for every image.
        overall: all images.
        splits: split → images.
        identities: number of people, None where they are not known.
        target: the column whose balance is given, None for none.
        groupings: one per grouping.
        associations: every pair of categorical columns: those with the target first, each part strongest first.
        pictures: which were looked at; None for none.
        missing: column → images without a label, for columns that have some.
        confidence: of every interval.
        self_identified: whether people said themselves who they are.
        card_note: what the dataset's card says of its labels; empty for nothing.
        notes: sentences about rows that were skipped or mended, and pictures that are not there.
    """

    dataset: str
    split: str
    overall: GroupProfile
    splits: Mapping[str, int]
    identities: int | None
    target: str | None
    groupings: tuple[GroupingProfile, ...]
    associations: tuple[Association, ...]
    pictures: PictureSample | None
    missing: Mapping[str, int]
    confidence: float
    self_identified: bool
    card_note: str
    notes: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """The profile as plain JSON values; undefined numbers are None."""
        return {
            "schema_version": PROFILE_SCHEMA_VERSION,
            "dataset": self.dataset,
            "split": self.split,
            "n": self.overall.n,
            "splits": plain(self.splits),
            "identities": self.identities,
            "target": self.target,
            "confidence": plain(self.confidence),
            "self_identified": self.self_identified,
            "card_note": self.card_note,
            "missing": plain(self.missing),
            "pictures": None if self.pictures is None else plain(vars(self.pictures)),
            "overall": _group_record(self.overall),
            "groupings": [
                {"by": list(g.by), "missing": g.missing, "groups": [_group_record(group) for group in g.groups]}
                for g in self.groupings
            ],
            "associations": [{**plain(vars(one)), "times": plain(one.times)} for one in self.associations],
            "notes": list(self.notes),
        }


def _group_record(group: GroupProfile) -> dict[str, Any]:
    return {
        "group": plain(group.group),
        "n": group.n,
        "share": plain(group.share),
        "age": None if group.age is None else plain(vars(group.age)),
        "target": {
            name: {
                "n": group.target_counts[name],
                "share": plain(share.value),
                "ci_low": plain(share.ci_low),
                "ci_high": plain(share.ci_high),
            }
            for name, share in group.target.items()
        },
        "target_missing": group.target_missing,
        "pictures": None if group.pictures is None else _picture_record(group.pictures),
    }


def _picture_record(pictures: PictureSummary) -> dict[str, Any]:
    sizes = {
        name: dict(zip(("median", "smallest", "largest"), plain(values), strict=True))
        for name, values in (("width", pictures.width), ("height", pictures.height))
    }
    brightness = {"mean": plain(pictures.brightness), "sd": plain(pictures.brightness_sd)}
    return {"n": pictures.n, **sizes, "brightness": brightness}
