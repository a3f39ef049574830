"""What is wrong with a dataset on disk: findings that name their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairaudit.results.audit import Group
from fairaudit.results.plain import plain

CHECK_SCHEMA_VERSION = 1

KINDS: Mapping[str, str] = {
    "duplicates": "byte-identical images",
    "conflicts": "identical, labels differ",
    "leaks": "copies or people across splits",
    "near": "near-identical images",
    "near-conflicts": "near-identical, labels differ",
    "near-leaks": "near-identical across splits",
    "unreadable": "unreadable images",
    "missing": "missing images",
    "malformed": "names that say no label",
    "extra": "images without a label",
    "tiny": "tiny images",
    "blank": "pictures of one colour",
    "imbalance": "very unequal sizes",
}
"""What is looked for, and what ``--fail-on`` may name."""

OF_CONTENT = frozenset(
    {"duplicates", "conflicts", "leaks", "near", "near-conflicts", "near-leaks", "unreadable", "tiny", "blank"}
)
"""Kinds that only the images themselves can tell."""


@dataclass(frozen=True)
class File:
    """A file that a finding names.

    Attributes:
        name: its row id: the path below the dataset's root.
        said: what is to be said of it: a label, a split, a reason; empty for nothing.
    """

    name: str
    said: str = ""


@dataclass(frozen=True)
class Size:
    """A class or group that a finding names.

    Attributes:
        cell: column → level.
        n: images of it.
    """

    cell: Group
    n: int


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: a key of ``KINDS``.
        about: the column, or what else it is about; empty where the kind says all.
        said: how much of it, for people.
        sets: files that belong together; a finding on single files has sets of one, one on labels has none.
        sizes: of an imbalance, the largest class or group, the smallest, and those without an image.
    """

    kind: str
    about: str
    said: str
    sets: tuple[tuple[File, ...], ...] = ()
    sizes: tuple[Size, ...] = ()


@dataclass(frozen=True)
class DataCheck:
    """What was looked for in a dataset, and what was found.

    Attributes:
        dataset: its name.
        n: labelled images.
        read: images whose bytes were read; 0 where no image was there.
        splits: split → images.
        distance: largest Hamming distance of two perceptual hashes that were compared closer.
        fewest_pixels: below how many pixels in height or width an image is tiny.
        findings: in the order of ``KINDS``.
        notes: sentences of the dataset's source, and what could not be checked.
    """

    dataset: str
    n: int
    read: int
    splits: Mapping[str, int]
    distance: int
    fewest_pixels: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(one for one in self.findings if one.kind == kind)

    def checked(self, kind: str) -> bool:
        """Whether the kind could be looked for: without images, only labels and names can be."""
        return kind not in OF_CONTENT or self.read > 0 or bool(self.of(kind))

    def to_record(self) -> dict[str, Any]:
        """The check as plain JSON values."""
        return {
            "schema_version": CHECK_SCHEMA_VERSION,
            "dataset": self.dataset,
            "n": self.n,
            "read": self.read,
            "splits": plain(self.splits),
            "distance": self.distance,
            "fewest_pixels": self.fewest_pixels,
            "checked": [kind for kind in KINDS if self.checked(kind)],
            "findings": [
                {
                    "kind": one.kind,
                    "about": one.about,
                    "said": one.said,
                    "sets": [[{"file": file.name, "said": file.said} for file in files] for files in one.sets],
                    **({"sizes": [{"cell": plain(size.cell), "n": size.n} for size in one.sizes]} if one.sizes else {}),
                }
                for one in self.findings
            ],
            "notes": list(self.notes),
        }
