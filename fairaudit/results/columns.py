"""Records made column by column: of a million of them, making one after the other takes longer than their numbers do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import repeat
from typing import TypeVar

Record = TypeVar("Record")


def in_columns(kind: type[Record], n: int, *columns: Iterable[object]) -> list[Record]:
    """Records of a frozen dataclass with slots.

    Such a class fills its slots past its own guard, with a call for each; this does the same, slot by slot.

    Args:
        kind: the class; it checks nothing when it is made.
        n: how many records.
        columns: as many values for every field, in the order of the fields; ``itertools.repeat`` will do.
    """
    made = [*map(kind.__new__, repeat(kind, n))]
    slots: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]  # what a class with slots is known by
    for name, column in zip(slots, columns, strict=True):
        deque(map(getattr(kind, name).__set__, made, column), maxlen=0)
    return made
