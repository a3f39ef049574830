"""Predictions: the hinge of the house. Torch produces it, the statistics consume it, and it fits in a file.

Everything is numpy: labels as integer codes into declared names, scores as floats. The declared names are what makes an
absent group visible: a level that no row has is still a level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairaudit.errors import PredictionsError, suggest

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
StrArray = NDArray[np.object_]

MISSING = -1


@dataclass(frozen=True, eq=False)
class Column:
    """A categorical column whose levels were declared beforehand.

    Attributes:
        codes: (n,) index into ``levels``; ``MISSING`` (-1) where the value is not known.
        levels: every level that may occur, whether or not a row has it.
    """

    codes: IntArray
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_codes("column", self.codes, self.levels)

    @classmethod
    def of(cls, values: Sequence[Any], levels: Sequence[str] | None = None) -> Column:
        """Encode plain values; levels are the sorted distinct values unless given. ``None`` and ``""`` are missing."""
        texts = [None if v is None or v == "" or v != v else str(v) for v in values]
        known = tuple(levels) if levels is not None else tuple(sorted({t for t in texts if t is not None}))
        index = {level: i for i, level in enumerate(known)}
        try:
            codes = np.array([MISSING if t is None else index[t] for t in texts], dtype=np.int64)
        except KeyError as error:
            raise PredictionsError(f"unknown level {error.args[0]!r}{suggest(error.args[0], known)}") from error
        return cls(codes, known)

    def values(self) -> StrArray:
        """(n,) level names, ``None`` where missing."""
        return np.array([*self.levels, None], dtype=object)[self.codes]

    def take(self, rows: IntArray | BoolArray) -> Column:
        """The column at chosen rows, levels unchanged."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, eq=False)
class Task:
    """What was predicted for one target.

    Attributes:
        classes: names of the k classes, in the order of the model's outputs.
        y_true: (n,) index of the labelled class; ``MISSING`` where the label is not known.
        y_pred: (n,) index of the predicted class.
        y_score: (n, k) probability-like score of each class, or None where only decisions are known.
    """

    classes: tuple[str, ...]
    y_true: IntArray
    y_pred: IntArray
    y_score: FloatArray | None = None

    def __post_init__(self) -> None:
        _check_codes("y_true", self.y_true, self.classes)
        _check_codes("y_pred", self.y_pred, self.classes, missing=False)
        if self.y_true.shape != self.y_pred.shape:
            raise PredictionsError(f"{len(self.y_true)} labels but {len(self.y_pred)} predictions")
        if self.y_score is not None and self.y_score.shape != (len(self.y_true), len(self.classes)):
            raise PredictionsError(
                f"scores have the shape {self.y_score.shape}, but {len(self.y_true)} rows of "
                f"{len(self.classes)} classes were expected"
            )

    def take(self, rows: IntArray | BoolArray) -> Task:
        """The task at chosen rows, classes unchanged."""
        score = None if self.y_score is None else self.y_score[rows]
        return replace(self, y_true=self.y_true[rows], y_pred=self.y_pred[rows], y_score=score)


@dataclass(frozen=True, eq=False)
class Predictions:
    """One row per image: what is true, what was predicted, and to which groups the image belongs.

    Attributes:
        rows: (n,) unique row ids, usually the image's path below the dataset's root.
        tasks: target name → what was predicted for it. Most models have one.
        attributes: attribute name → column of levels.
        numeric: name → (n,) numbers, nan where missing (age in years).
        identity: who is on the picture, where that is known.
        weight: (n,) how many images of the population each row stands for, where that differs; finite, at least 0.
        second: who is on the other picture, where rows are pairs of pictures; levels as of ``identity``.
    """

    rows: StrArray
    tasks: Mapping[str, Task]
    attributes: Mapping[str, Column] = field(default_factory=dict)
    numeric: Mapping[str, FloatArray] = field(default_factory=dict)
    identity: Column | None = None
    weight: FloatArray | None = None
    second: Column | None = None

    def __post_init__(self) -> None:
        n = len(self.rows)
        lengths = {f"task {k!r}": len(t.y_true) for k, t in self.tasks.items()}
        lengths |= {f"attribute {k!r}": len(c.codes) for k, c in self.attributes.items()}
        lengths |= {f"column {k!r}": len(v) for k, v in self.numeric.items()}
        if self.identity is not None:
            lengths["identity"] = len(self.identity.codes)
        if self.second is not None:
            lengths["second"] = len(self.second.codes)
        if self.weight is not None:
            lengths["weight"] = len(self.weight)
        wrong = [f"{what} has {length}" for what, length in lengths.items() if length != n]
        if wrong:
            raise PredictionsError(f"there are {n} row ids, but {', '.join(wrong)}")
        if len(set(self.rows.tolist())) != n:
            twice = Counter(self.rows.tolist()).most_common(1)[0][0]
            raise PredictionsError(f"row id {twice!r} occurs more than once; every image must be one row")
        if self.second is not None and (self.identity is None or self.second.levels != self.identity.levels):
            raise PredictionsError("both persons of a pair must be named by the same levels")
        if self.weight is not None:
            check_weights(self.weight, "weights")

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> dict[str, Column]:
        """Every categorical column that can define groups: the attributes, and the labelled class of each task."""
        labels = {name: Column(task.y_true, task.classes) for name, task in self.tasks.items()}
        return {**labels, **self.attributes}

    def take(self, rows: IntArray | BoolArray) -> Predictions:
        """The predictions at chosen rows, in that order."""
        return Predictions(
            rows=self.rows[rows],
            tasks={k: t.take(rows) for k, t in self.tasks.items()},
            attributes={k: c.take(rows) for k, c in self.attributes.items()},
            numeric={k: v[rows] for k, v in self.numeric.items()},
            identity=None if self.identity is None else self.identity.take(rows),
            weight=None if self.weight is None else self.weight[rows],
            second=None if self.second is None else self.second.take(rows),
        )


def check_weights(weight: FloatArray, what: str) -> None:
    """Refuse what cannot be sampling weights.

    Args:
        weight: (n,) weights.
        what: where they are from, as a sentence begins.

    Raises:
        PredictionsError: one is missing, negative or infinite, or all are 0.
    """
    bad = np.flatnonzero(~((weight >= 0) & np.isfinite(weight)))
    if len(bad):
        first = weight[bad[0]]
        shown = "missing" if np.isnan(first) else f"{first:g}"
        raise PredictionsError(
            f"{what}: {len(bad)} of {len(weight)} are missing, negative or infinite, the first in row {bad[0] + 1} "
            f"({shown}); a weight says how many images a row stands for, 0 or more"
        )
    if len(weight) and not weight.any():
        raise PredictionsError(f"{what}: every one is 0, so that no row stands for any image")


def _check_codes(what: str, codes: IntArray, names: tuple[str, ...], missing: bool = True) -> None:
    if codes.ndim != 1 or codes.dtype != np.int64:
        raise PredictionsError(f"{what}: codes must be a vector of int64, not {codes.dtype} of shape {codes.shape}")
    if len(set(names)) != len(names):
        raise PredictionsError(f"{what}: the names {list(names)} are not distinct")
    low, high = (MISSING if missing else 0), len(names) - 1
    if codes.size and (codes.min() < low or codes.max() > high):
        raise PredictionsError(f"{what}: code {codes.min() if codes.min() < low else codes.max()} has no name")
