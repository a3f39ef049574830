"""The sides of a comparison, brought into one language: the same target, classes, levels and people by the same codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics.subset import parse_subset
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray, Predictions, StrArray, Task
from fairaudit.workflows.audit import _groupings
from fairaudit.workflows.matching import index_of
from fairaudit.workflows.prepare import at_threshold, joint_target, with_levels
from fairaudit.workflows.target import names_labels, one_target


@dataclass(frozen=True)
class Side:
    """Predictions and what they are called."""

    name: str
    predictions: Predictions


@dataclass(frozen=True, eq=False)
class Aligned:
    """One side, whose codes mean the same as those of the others.

    Attributes:
        name: what it is called.
        rows: (n,) row ids.
        task: labels, decisions and scores of the target.
        parts: the targets that a joint target is made of; empty for a plain one.
        columns: attribute → column, of every attribute that groups are made of.
        identity: (n,) who is on each image or ``MISSING``; None where that is not known, or does not matter.
    """

    name: str
    rows: StrArray
    task: Task
    parts: Mapping[str, Task]
    columns: Mapping[str, Column]
    identity: IntArray | None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: IntArray) -> Aligned:
        """The side at chosen rows, in that order."""
        return replace(
            self,
            rows=self.rows[rows],
            task=self.task.take(rows),
            parts={name: part.take(rows) for name, part in self.parts.items()},
            columns={name: column.take(rows) for name, column in self.columns.items()},
            identity=None if self.identity is None else self.identity[rows],
        )

    def labels(self, target: str) -> dict[str, Column]:
        """What belongs to the image, whatever a model says of it: labels and attributes."""
        tasks = self.parts or {target: self.task}
        return {name: Column(task.y_true, task.classes) for name, task in tasks.items()} | dict(self.columns)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is compared.

    Attributes:
        target: its name.
        positive: index of the class that plain metric names mean, or None.
        groupings: the attributes of each.
        settings: what was asked.
    """

    target: str
    positive: int | None
    groupings: tuple[tuple[str, ...], ...]
    settings: AuditSettings


def aligned(sides: Sequence[Side], settings: AuditSettings) -> tuple[list[Aligned], Asked]:
    """Bring sides into one language; the first one says what target, attributes and classes are called.

    Args:
        sides: two or more.
        settings: target, groupings, subset, bins, threshold …

    Raises:
        UsageError: an attribute, class or target does not exist, or the sides do not have the same ones.
        PredictionsError: no image or label is left.
    """
    for side in sides:
        if side.predictions.weight is not None:
            raise UsageError(f"{side.name} has weights, and comparisons are not weighted yet; compare tables without them")
    shown = [Side(s.name, with_levels(_where(s.predictions, settings.where), settings)) for s in sides]
    first = shown[0].predictions
    if names_labels(settings.target, first.tasks):
        raise UsageError(
            f"--target {settings.target}: several labels are audited side by side, and compared one at a time; name one of "
            f"{', '.join(list(first.tasks)[:8])}"
        )
    name, _, parts = one_target(first, settings.target)
    targets = tuple(parts) or (name,)
    columns = first.columns()
    groupings = _groupings(settings.by, [], columns, first)
    for side in shown[1:]:
        _check_has(side, shown[0], targets, {attribute for by in groupings for attribute in by})
    known = {target: _tasks(shown, target) for target in targets}
    levels = {
        attribute: _united(side.predictions.columns()[attribute].levels for side in shown)
        for attribute in dict.fromkeys(attribute for by in groupings for attribute in by)
    }
    people = _people(shown, settings.cluster)
    found = []
    for i, side in enumerate(shown):
        own = {target: tasks[i] for target, tasks in known.items()}
        task = joint_target(own) if parts else own[name]
        found.append(
            Aligned(
                side.name,
                side.predictions.rows,
                task,
                own if parts else {},
                {a: _releveled(side.predictions.columns()[a], known_levels) for a, known_levels in levels.items()},
                people[i],
            )
        )
    positive = None if settings.positive is None else index_of("class", settings.positive, found[0].task.classes)
    decided = [replace(one, task=at_threshold(one.task, name, positive, settings.threshold)) for one in found]
    for one in decided:
        if (one.task.y_true == MISSING).all():
            raise PredictionsError(f"no row of {one.name} has a label for {name!r}; there is nothing to compare")
    return decided, Asked(name, positive, tuple(groupings), settings)


def common(first: Aligned, second: Aligned) -> tuple[IntArray, IntArray]:
    """Rows of either side that are of the same images, in the same order."""
    place = {row: i for i, row in enumerate(second.rows.tolist())}
    both = [(i, place[row]) for i, row in enumerate(first.rows.tolist()) if row in place]
    left, right = np.array(both, dtype=np.int64).reshape(-1, 2).T
    return left, right


def check_same(a: Aligned, b: Aligned, target: str) -> None:
    """Labels, attributes and people belong to the image: two tables that disagree are not about the same images.

    Args:
        a: one side.
        b: the other, at the same images in the same order.
        target: what is compared.

    Raises:
        PredictionsError: they disagree.
    """
    theirs = b.labels(target)
    for name, column in a.labels(target).items():
        _check_column(a, b, name, column, theirs[name])
    if a.identity is not None and b.identity is not None:
        both = (a.identity != MISSING) & (b.identity != MISSING)
        differ = np.flatnonzero(both & (a.identity != b.identity))
        if len(differ):
            raise PredictionsError(
                f"{a.name} and {b.name} do not pair: who is on the image differs in {len(differ):,} of {len(a):,} images "
                f"with the same row id, first in {a.rows[differ[0]]!r}; name the column of image ids with --id"
            )


def _check_column(a: Aligned, b: Aligned, name: str, column: Column, other: Column) -> None:
    differ = np.flatnonzero(column.codes != other.codes)
    if len(differ):
        i = int(differ[0])
        raise PredictionsError(
            f"{a.name} and {b.name} do not pair: {name!r} differs in {len(differ):,} of {len(a):,} images with the same "
            f"row id, first in {a.rows[i]!r} ({column.values()[i]} and {other.values()[i]}); name the column of image "
            "ids with --id, or compare different images with --unpaired"
        )


def _where(predictions: Predictions, where: str | None) -> Predictions:
    if where is None:
        return predictions
    keep = parse_subset(where).rows(predictions.columns(), predictions.numeric)
    if not keep.any():
        raise PredictionsError(f"no images are left after --where {where!r}; all {len(predictions)} were ruled out")
    return predictions.take(keep)


def _check_has(side: Side, first: Side, targets: Iterable[str], attributes: Iterable[str]) -> None:
    for target in targets:
        if target not in side.predictions.tasks:
            known = ", ".join(side.predictions.tasks)
            raise UsageError(f"{side.name} has no target {target!r}, only {known}; compare tables of the same target")
    for attribute in attributes:
        if attribute not in side.predictions.columns():
            raise UsageError(f"{side.name} has no attribute {attribute!r}, which {first.name} is grouped by")


def _tasks(sides: Sequence[Side], target: str) -> list[Task]:
    """The target on every side, with the classes of all; a class that a model does not know scores 0."""
    tasks = [side.predictions.tasks[target] for side in sides]
    classes = _united(task.classes for task in tasks)
    if all(not set(tasks[0].classes) & set(task.classes) for task in tasks[1:]):
        raise UsageError(
            f"{sides[0].name} and {sides[1].name} share no class of {target!r}: {', '.join(tasks[0].classes)} and "
            f"{', '.join(tasks[1].classes)}"
        )
    return [
        Task(
            classes,
            _recode(task.y_true, task.classes, classes),
            _recode(task.y_pred, task.classes, classes),
            None if task.y_score is None else _rescored(task.y_score, task.classes, classes),
        )
        for task in tasks
    ]


def _people(sides: Sequence[Side], cluster: bool) -> list[IntArray | None]:
    """Who is on the images of each side, by the same code for the same name."""
    columns = [side.predictions.identity for side in sides]
    if not cluster or all(column is None for column in columns):
        return [None] * len(sides)
    code: dict[str, int] = {}
    for column in columns:
        for name in () if column is None else column.levels:
            code.setdefault(name, len(code))
    return [
        None
        if column is None
        else np.array([*(code[name] for name in column.levels), MISSING], dtype=np.int64)[column.codes]
        for column in columns
    ]


def _united(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in names for name in one))


def _recode(codes: IntArray, old: Sequence[str], new: Sequence[str]) -> IntArray:
    return np.array([*(new.index(name) for name in old), MISSING], dtype=np.int64)[codes]


def _rescored(score: FloatArray, old: Sequence[str], new: Sequence[str]) -> FloatArray:
    found = np.zeros((len(score), len(new)))
    found[:, [new.index(name) for name in old]] = score
    return found


def _releveled(column: Column, levels: tuple[str, ...]) -> Column:
    return Column(_recode(column.codes, column.levels, levels), levels)
