"""The manifest: one row per image, the columns that every dataset source returns, validated once.

A source is a table. Where the pixels are is the business of an ``ImageStore``, which hands out encoded bytes by row id, so
that files in a folder, images inside a Parquet export and rendered faces all look the same to the loop that decodes them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from fairaudit.errors import DataError, UnknownNameError, suggest

RESERVED = ("row", "split", "identity")


@dataclass(frozen=True)
class Card:
    """What a dataset's published description fixes; the docstring beside it says the rest in words.

    Attributes:
        obtain: one sentence: how to get the data and where its files must lie below the root.
        target: the default target.
        by: the default groupings.
        privileged: default reference level per attribute.
        split: the split that is audited by default; ``"all"`` where there is none.
        levels: attribute or target → its declared levels, in the order in which models list them as classes.
        aliases: column → {other spelling: level}, for spellings that users of this dataset know.
        numeric: columns that hold numbers.
        self_identified: whether people said themselves who they are; otherwise the labels are perceived.
        note: sentence printed with every result, empty for none.
    """

    obtain: str
    target: str | None = None
    by: tuple[tuple[str, ...], ...] = ()
    privileged: Mapping[str, str] = field(default_factory=dict)
    split: str = "all"
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    numeric: tuple[str, ...] = ()
    self_identified: bool = False
    note: str = ""


class ImageStore(Protocol):
    """Hands out encoded images (JPEG, PNG … bytes) by row id. Must survive pickling, for loader processes."""

    def read(self, row: str) -> bytes:
        """Encoded bytes of one image.

        Raises:
            OSError: the image cannot be read.
        """
        ...

    def missing(self, rows: Sequence[str]) -> list[str]:
        """Those of the rows whose image does not exist, found without reading images."""
        ...


@dataclass(frozen=True)
class FolderStore:
    """Images that are files below a root; a row id is the path relative to it, with forward slashes.

    Attributes:
        root: the dataset's folder.
    """

    root: Path

    def read(self, row: str) -> bytes:
        """Encoded bytes of one file; a link out of the root, a pipe or a device is refused with ``PermissionError``."""
        path = self.root / row
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except RuntimeError as error:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        if not inside:
            raise PermissionError(f"{row} leads out of the dataset's root")
        if path.exists() and not path.is_file():
            raise PermissionError(f"{row} is no regular file")
        return path.read_bytes()

    def missing(self, rows: Sequence[str]) -> list[str]:
        """Rows whose file does not exist; one that only may not be looked at is not among them."""
        below = os.path.join(self.root, "")  # noqa: PTH118 - a path object per row takes longer than asking for its file
        return [row for row in rows if _absent(below + row)]


def _absent(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except PermissionError:
        return False
    except (OSError, ValueError):  # also a name that the file system does not take, as a label table may hold
        return True


@dataclass(frozen=True, eq=False)
class Manifest:
    """One row per image, and where its pixels are.

    Attributes:
        frame: columns ``row`` (unique str), ``split`` (str), optionally ``identity`` (str), and one column per attribute
            or possible target: a pandas categorical whose categories are the declared levels, or float where the card
            calls it numeric. A missing label is a missing value.
        store: where the pixels are.
        card: the dataset's card.
        notes: sentences about rows that were skipped or mended, to be shown as warnings.
        skipped: files below the root that the source passed over because their names say nothing it understands.
    """

    frame: pd.DataFrame
    store: ImageStore
    card: Card
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frame = self.frame
        lacking = [c for c in ("row", "split") if c not in frame.columns]
        if lacking:
            raise DataError(f"the dataset's table lacks the column {lacking[0]!r}")
        rows = frame["row"]
        doubled = rows[rows.duplicated()]
        if len(doubled):
            raise DataError(f"{len(doubled)} images are listed more than once, the first is {doubled.iloc[0]!r}")
        # pandas hands out a million texts one by one in seconds, and as one array in hundredths of one
        outside = [r for r in rows.to_numpy() if leaves_root(r)]
        if outside:
            raise DataError(
                f"{len(outside)} paths leave the dataset's root, the first is {outside[0]!r}; "
                "paths must be relative to the root and stay below it"
            )
        for name in frame.columns:
            if name in RESERVED:
                continue
            kind = frame[name].dtype
            if not (isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_float_dtype(kind)):
                raise DataError(f"column {name!r} is {kind}; a source must return categories or floats")

    def __len__(self) -> int:
        return len(self.frame)

    # Both are asked for image by image and column by column, and pandas takes a millisecond to say what 40 columns are.
    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Names of the categorical columns: possible targets and attributes."""
        return tuple(str(c) for c, kind in self.frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype))

    @cached_property
    def _levels(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(str(c) for c in self.frame[name].cat.categories) for name in self.attributes}

    def levels(self, column: str) -> tuple[str, ...]:
        """Declared levels of a categorical column.

        Raises:
            UnknownNameError: there is no such column.
        """
        return self._levels[self.column(column)]

    def column(self, name: str) -> str:
        """The one spelling of a categorical column's name, matched without regard to case.

        Raises:
            UnknownNameError: there is no such column.
        """
        if name in self.attributes:
            return name
        folded = {c.casefold(): c for c in self.attributes}
        if name.casefold() not in folded:
            raise UnknownNameError("column", name, self.attributes)
        return folded[name.casefold()]

    def level(self, column: str, name: str) -> str:
        """The one spelling of a level: case is ignored and the card's aliases are understood.

        Raises:
            UnknownNameError: the column has no such level.
        """
        return match_level(name, self.levels(column), self.card.aliases.get(self.column(column), {}), column)

    def take(self, keep: np.ndarray | Sequence[int]) -> Manifest:
        """The manifest at chosen positions (indices or a mask), declared levels unchanged."""
        chosen = np.asarray(keep)
        positions = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return replace(self, frame=self.frame.iloc[positions].reset_index(drop=True))

    def of_split(self, split: str) -> Manifest:
        """The rows of one split; ``all`` keeps every row.

        Raises:
            DataError: no row belongs to that split.
        """
        if split == "all":
            return self
        known = sorted(self.frame["split"].unique())
        if split not in known:
            hint = "; the images here are not split" if known == ["all"] else suggest(split, [*known, "all"])
            raise DataError(f"there is no split {split!r}{hint}")
        return self.take((self.frame["split"] == split).to_numpy())


def leaves_root(row: str) -> bool:
    """Whether a path is absolute, climbs above its start, or cannot be a path at all."""
    # plain string work, and for most rows a glance: a path object per row would take a second on 200,000 rows
    if row[:1].isalnum() and row[1:2] != ":" and ".." not in row and "\0" not in row:
        return False
    parts = row.replace("\\", "/").split("/")
    return parts[0] == "" or ".." in parts or set(parts) <= {"", "."} or "\0" in row or row[1:2] == ":"


def match_level(name: str, levels: Sequence[str], aliases: Mapping[str, str], column: str) -> str:
    """The declared level that a user's spelling means.

    Args:
        name: as the user wrote it.
        levels: the declared levels.
        aliases: other spelling → level.
        column: named in the error.

    Raises:
        UnknownNameError: no level matches.
    """
    if name in levels:
        return name
    folded = {level.casefold(): level for level in levels}
    folded |= {spelling.casefold(): level for spelling, level in aliases.items() if level in levels}
    if name.strip().casefold() not in folded:
        raise UnknownNameError(f"level of {column!r}", name, levels)
    return folded[name.strip().casefold()]
