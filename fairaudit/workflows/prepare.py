"""What an audit does to predictions before it counts: levels of numbers and of the unknown, thresholds, joint targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.design_effects import DesignEffects, design_effects
from fairaudit.metrics.dyads import by_dyad
from fairaudit.metrics.groups import binned, with_unknown
from fairaudit.metrics.histograms import group_scores
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.joint import joined, joint_classes, joint_measures
from fairaudit.metrics.measure import Table
from fairaudit.metrics.score_measures import check_scores, score_measures
from fairaudit.metrics.weights import kish, whole_units
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray, Predictions, Task
from fairaudit.results import Scores

MOST_CELLS = 2**28
"""Of confusion matrices, one for each person; 2 GiB."""


def with_levels(predictions: Predictions, settings: AuditSettings) -> Predictions:
    """Numeric attributes as levels where edges are given; what is unknown as a level of its own where that is asked.

    Raises:
        UnknownNameError: there is no such numeric column.
        UsageError: a column to be binned has levels already.
    """
    attributes, numeric = dict(predictions.attributes), dict(predictions.numeric)
    for name, edges in settings.bins.items():
        if name not in numeric:
            if name in attributes:
                raise UsageError(
                    f"{name} has levels already; only numeric columns are binned ({', '.join(numeric) or 'none'})"
                )
            raise UnknownNameError("numeric column in --bins:", name, numeric)
        attributes[name] = binned(numeric[name], edges)
    if settings.missing == "group":
        attributes = {name: with_unknown(column) for name, column in attributes.items()}
    if attributes == predictions.attributes:
        return predictions
    return replace(predictions, attributes=attributes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What is audited, ready to be counted by any grouping.

    Attributes:
        name: of the target.
        task: its labels, decisions and scores.
        positive: index of the class that plain metric names mean, or None.
        parts: the targets that a joint target is made of; empty for a plain one.
        settings: what was asked.
        identity: (n,) who is on each image or ``MISSING``; None where that is not known, or does not matter.
        weight: (n,) how many images of the population each stands for, above 0; None where all stand for as many.
        second: (n,) who is on the other image, where rows are pairs; None where they are images.
    """

    name: str
    task: Task
    positive: int | None
    parts: Mapping[str, Task]
    settings: AuditSettings
    identity: IntArray | None = None
    weight: FloatArray | None = None
    second: IntArray | None = None

    @property
    def said(self) -> str:
        """How a sentence calls the target."""
        return self.name

    @property
    def labelled(self) -> BoolArray:
        """(n,) whether an image has a known label."""
        return np.asarray(self.task.y_true != MISSING)

    def remarks(self) -> list[str]:
        """What a reader must know of the target."""
        if self.weight is None:
            return []
        weight = self.weight[self.labelled]
        told = [
            f"rates are weighted: {len(weight):,} images say as much of all as {kish(weight):,.0f} of equal weight would; "
            "supports remain numbers of images, and entropies, which are not weighted yet, are left out"
        ]
        lacking = [*(["scores"] if self.task.y_score is not None else []), *(["whole joint labels"] if self.parts else [])]
        if lacking:
            told.append(f"what is measured from {' and '.join(lacking)} is not weighted yet, and left out")
        return told

    def about(self, by: Sequence[str]) -> str | None:
        """What a reader must know where the target, or a part of it, defines groups."""
        if self.name not in by and not set(self.parts) & set(by):
            return None
        return (
            f"{','.join(by)} includes the target: selection rates differ between its groups by design, and rates of "
            "one class are undefined in groups of another; read accuracy there"
        )

    def suspicions(self, whole: Table) -> list[str]:
        """Signs that the model was read wrongly, see ``suspicions``."""
        return suspicions(whole)

    def record(self) -> dict[str, Any]:
        """What an audit stores of its target."""
        positive = None if self.positive is None else self.task.classes[self.positive]
        return {"target": self.name, "classes": list(self.task.classes), "positive": positive}

    def table(self, ids: IntArray, groups: int) -> Table:
        """Counts of every group, and what is measured on its rows.

        Args:
            ids: (n,) group of each row or ``MISSING``.
            groups: how many groups.
        """
        counts = confusion(self.task.y_true, self.task.y_pred, ids, groups, len(self.task.classes))
        s = self.settings
        table = Table(counts, self.task.classes, self.positive, s.beta, s.aggregate, per_class=not self.parts)
        if self.weight is not None:
            return self._weighted(table, ids, groups)
        rows = score_measures(self.task, ids, table, s.top_k, self.identity, self.second)
        if self.parts:
            rows |= joint_measures([*self.parts.values()], ids, table, self.identity)
        return replace(table, rows=rows, effects=self._effects(ids, groups))

    def _weighted(self, table: Table, ids: IntArray, groups: int) -> Table:
        assert self.weight is not None  # where it is called
        task, k = self.task, len(self.task.classes)
        if len(ids) * k * k > MOST_CELLS // 2:
            raise UsageError(
                f"{len(ids):,} images of {k} classes are too many to be weighted; audit fewer at once with --where"
            )
        units = whole_units(self.weight, np.where(task.y_true == MISSING, MISSING, ids), groups)
        alone = np.full(len(ids), MISSING, dtype=np.int64)
        who = alone if self.identity is None else self.identity
        people = by_person(task.y_true, task.y_pred, ids, who, groups, k, units)
        return replace(table, effects=design_effects(people), weighted=people.totals().astype(np.float64))

    def _effects(self, ids: IntArray, groups: int) -> DesignEffects | None:
        if self.identity is None:
            return None
        k, known = len(self.task.classes), self.identity[self.identity != MISSING]
        if self.second is None and len(np.unique(known)) == len(known):
            return None
        if len(ids) * k * k > MOST_CELLS:
            raise UsageError(
                f"{len(ids):,} images of {k} classes are too many to be counted person by person; audit fewer at once with "
                "--where, or take images as independent with --no-cluster"
            )
        y_true, y_pred = self.task.y_true, self.task.y_pred
        if self.second is not None:
            pairs = by_dyad(y_true, y_pred, ids, (self.identity, self.second), groups, k)
            return design_effects(pairs) if pairs.repeated else None
        people = by_person(y_true, y_pred, ids, self.identity, groups, k)
        return design_effects(people) if people.repeated else None

    def scores(self, ids: IntArray, groups: int) -> Scores | None:
        """Histograms of the positive class's scores (of two classes without one, the second's), where there are scores."""
        if self.weight is not None:
            return None
        task = self.task
        of = self.positive if self.positive is not None else 1 if len(task.classes) == 2 else None
        if task.y_score is None or of is None:
            return None
        ids = np.where(task.y_true == MISSING, MISSING, ids)
        return Scores(task.classes[of], group_scores(task.y_score[:, of], task.y_true == of, ids, groups))


def suspicions(whole: Table) -> list[str]:
    """Signs that the model was read wrongly: one class only, or far more wrong than chance.

    Args:
        whole: all images, as a table of one group.
    """
    counts, n, k = whole.counts[0], int(whole.n[0]), len(whole.classes)
    predicted = np.flatnonzero(counts.sum(0))
    if n >= 20 and len(predicted) == 1 and np.count_nonzero(counts.sum(1)) > 1:
        return [f"every prediction is {whole.classes[int(predicted[0])]!r}: check preprocessing, weights and classes"]
    right = float(np.trace(counts))
    _, most = wilson(np.array([right]), np.array([float(n)]), quantile(0.95))
    if k > 1 and most[0] < 0.6 / k:  # even at the upper end of what these images allow
        return [f"accuracy {right / n:.3f} is far below chance: the classes may be listed in a wrong order"]
    return []


def joint_target(parts: Mapping[str, Task]) -> Task:
    """Several targets as one.

    Raises:
        UsageError: two of their combinations would have the same name.
    """
    tasks = [*parts.values()]
    names = joint_classes(tasks)
    if len(set(names)) < len(names):
        raise UsageError(f"the classes of {' and '.join(parts)} cannot be told apart when they are joined")
    return joined(tasks)


def at_threshold(task: Task, name: str, positive: int | None, threshold: float | None) -> Task:
    """The task with decisions by threshold on the positive class's score.

    Raises:
        UsageError: there are no scores, not two classes, or no positive one.
        PredictionsError: a score is nan or outside [0, 1].
    """
    check_scores(task, name)
    if threshold is None:
        return task
    if task.y_score is None:
        raise UsageError(f"--threshold needs scores, and {name} has none")
    if len(task.classes) != 2:
        raise UsageError(f"--threshold decides between two classes, and {name} has {len(task.classes)}")
    if positive is None:
        raise UsageError(f"--threshold needs --positive: {' or '.join(task.classes)}")
    called = task.y_score[:, positive] >= threshold
    return replace(task, y_pred=np.where(called, positive, 1 - positive).astype(np.int64))
