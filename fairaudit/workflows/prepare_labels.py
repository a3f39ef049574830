"""Several labels of each image side by side (``--target Smiling+Young``, ``--target all``), ready to be counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.label_rows import LabelRows, label_effects
from fairaudit.metrics.measure import Table
from fairaudit.metrics.multilabel import OF_LABEL, LabelTable
from fairaudit.metrics.over_labels import effects_of, label_table
from fairaudit.metrics.rates import WEIGHTED
from fairaudit.metrics.score_measures import score_measures
from fairaudit.metrics.together import together
from fairaudit.predictions import MISSING, BoolArray, IntArray, Task
from fairaudit.results import Scores
from fairaudit.workflows.matching import match
from fairaudit.workflows.prepare import at_threshold

ALL = "all"
"""As a target: every one that has two classes."""

AFFIRMING = ("yes", "1", "true", "present", "positive")
"""Classes that say that an image has the label; so does one that is called as the label is."""


@dataclass(frozen=True, eq=False)
class PreparedLabels:
    """What is audited where each image has several labels.

    Attributes:
        tasks: label → its labels, decisions and scores; of its two classes the one that it affirms is the second.
        settings: what was asked.
        identity: (n,) who is on each image or ``MISSING``; None where that is not known, or does not matter.
        told: what was left out.
    """

    tasks: Mapping[str, Task]
    settings: AuditSettings
    identity: IntArray | None = None
    told: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``Smiling+Young``."""
        return "+".join(self.tasks)

    @property
    def said(self) -> str:
        """How a sentence calls the labels, of which there may be forty."""
        return f"any of the {len(self.tasks)} labels"

    @property
    def labelled(self) -> BoolArray:
        """(n,) whether an image has a known label of any kind."""
        return np.asarray(np.any([task.y_true != MISSING for task in self.tasks.values()], axis=0))

    def table(self, ids: IntArray, groups: int) -> Table:
        """Counts of every label in every group, and what is measured on the rows.

        Args:
            ids: (n,) group of each row or ``MISSING``.
            groups: how many groups.
        """
        cell = np.stack([np.where(t.y_true == MISSING, MISSING, 2 * t.y_true + t.y_pred) for t in self.tasks.values()], 1)
        rows, s = LabelRows(cell, ids, groups, self.identity), self.settings
        counts, each = rows.counts(), label_effects(rows)
        levels = [(task.classes[0], task.classes[1]) for task in self.tasks.values()]
        scores = [
            score_measures(task, ids, Table(counts[:, i].reshape(-1, 2, 2), task.classes, OF_LABEL), s.top_k, self.identity)
            for i, task in enumerate(self.tasks.values())
        ]
        known = together(
            replace(rows, identity=self.identity if each else None), counts, s.beta, WEIGHTED in s.aggregate,
            partial(effects_of, each) if each else None,
        )  # fmt: skip
        return label_table(counts, tuple(self.tasks), levels, together=known, betas=s.beta, aggregates=s.aggregate,
                           scores=scores, effects=each)  # fmt: skip

    def scores(self, ids: IntArray, groups: int) -> Scores | None:  # noqa: ARG002 - as ``Prepared`` has it
        """None: histograms are stored of one target only."""
        return None

    def remarks(self) -> list[str]:
        """Images that count for some of the labels only."""
        known = np.stack([task.y_true != MISSING for task in self.tasks.values()])
        partly = int((known.any(0) & ~known.all(0)).sum())
        if not partly:
            return [*self.told]
        said = f"{partly} images have a label for some of the {len(self.tasks)} labels only: they count for these"
        return [*self.told, said]

    def about(self, by: Sequence[str]) -> str | None:
        """What a reader must know where labels define groups."""
        within = [name for name in self.tasks if name in by]
        if not within:
            return None
        return (
            f"{','.join(by)} includes the target: selection rates of {' and '.join(within)} differ between its groups by "
            "design, and some of its rates are undefined there, as are means over labels that include them"
        )

    def suspicions(self, whole: Table) -> list[str]:
        """Signs that the model was read wrongly, see ``label_suspicions``."""
        assert isinstance(whole, LabelTable)
        return label_suspicions(whole)

    def record(self) -> dict[str, Any]:
        """What an audit stores of its target."""
        return {
            "target": self.name,
            "classes": list(self.tasks),
            "positive": None,
            "multilabel": {name: list(task.classes) for name, task in self.tasks.items()},
        }


def labels_asked(name: str, tasks: Mapping[str, Task]) -> tuple[dict[str, Task], list[str]]:
    """The targets that ``A+B`` or ``all`` means, and what is left out of ``all``.

    Raises:
        UnknownNameError: there is no such target.
        UsageError: fewer than two are named, or one has other than two classes.
    """
    told = []
    if name.strip().casefold() == ALL:
        pairs = {n: t for n, t in tasks.items() if len(t.classes) == 2}
        found = {n: t for n, t in pairs.items() if (t.y_true != MISSING).any()}
        other = [f"{n} ({len(t.classes)})" for n, t in tasks.items() if n not in pairs]
        if other:
            told.append(f"--target all takes targets of two classes, and leaves out {_listed(other)}")
        if len(found) < len(pairs):
            told.append(f"--target all leaves out {_listed([n for n in pairs if n not in found])}: no image has a label")
        if len(found) < 2:
            said = f"only {next(iter(found))}" if found else "none"
            raise UsageError(
                f"--target all takes every target of two classes, and there is {said}; the targets are {', '.join(tasks)}"
            )
        return found, told
    names = [match("target", part.strip(), tasks) for part in name.split("+")]
    if len(set(names)) < len(names):
        raise UsageError(f"--target {name} names a label twice")
    for one in names:
        if len(tasks[one].classes) != 2:
            raise UsageError(
                f"--target {name} takes labels of two classes, and {one} has {len(tasks[one].classes)} "
                f"({', '.join(tasks[one].classes[:8])}); audit it by itself"
            )
    return {one: tasks[one] for one in names}, told


def prepare_labels(
    tasks: Mapping[str, Task], settings: AuditSettings, identity: IntArray | None, told: Iterable[str] = ()
) -> PreparedLabels:
    """Labels with the class that each affirms second, decided by threshold where one was given.

    Args:
        tasks: label → what was predicted.
        settings: what was asked.
        identity: (n,) who is on each image; None where that is not known, or does not matter.
        told: what was left out.

    Raises:
        UsageError: which class a label affirms is not known, or a threshold cannot be applied.
        PredictionsError: a score is nan or outside [0, 1].
    """
    ready = {}
    for name, task in tasks.items():
        own = _affirming_second(task, _affirmed(name, task, settings.positive, tasks))
        ready[name] = at_threshold(own, name, OF_LABEL, settings.threshold)
    return PreparedLabels(ready, settings, identity, tuple(told))


def label_suspicions(whole: LabelTable) -> list[str]:
    """Signs that the model was read wrongly: no label ever varies, or some are wrong far more often than chance."""
    tn, fp, fn, tp = whole.counts[0].T
    n = tn + fp + fn + tp
    told = []
    if int(whole.n[0]) >= 20 and not ((tn + fn > 0) & (fp + tp > 0)).any() and ((fn + tp > 0) & (tn + fp > 0)).any():
        told.append("every prediction is the same for all images: check preprocessing, weights and labels")
    _, most = wilson((tn + tp).astype(np.float64), n.astype(np.float64), quantile(0.95))
    wrong = [label for label, high in zip(whole.classes, most, strict=True) if high < 0.3]
    if wrong:
        told.append(
            f"accuracy of {_listed(wrong)} is far below chance: the two classes may be swapped, or the labels be listed in "
            "a wrong order"
        )
    return told


def _affirmed(label: str, task: Task, positive: str | None, labels: Mapping[str, Task]) -> int:
    """Index of the class that says that an image has the label."""
    folded = [c.strip().casefold() for c in task.classes]
    said = _said(positive, labels)
    wanted = said if isinstance(said, str) else said.get(label)
    if wanted is not None:
        if wanted.strip().casefold() not in folded:
            raise UsageError(
                f"--positive {positive}: the label {label} has the classes {' and '.join(task.classes)}; name one of them, "
                f"--positive {label}={task.classes[1]}, and leave out labels whose class is yes, 1, true or their own name"
            )
        return folded.index(wanted.strip().casefold())
    known = [i for i, c in enumerate(folded) if c in AFFIRMING or c == label.strip().casefold()]
    if len(known) != 1:
        raise UsageError(
            f"which class says that an image is {label}: {' or '.join(task.classes)}? Name it with "
            f"--positive {label}={task.classes[1]}"
        )
    return known[0]


def _said(positive: str | None, labels: Mapping[str, Task]) -> str | dict[str, str]:
    """What ``--positive`` says: a class of every label, or ``LABEL=CLASS,…`` for some of them."""
    if positive is None:
        return {}
    pairs = [part.partition("=") for part in positive.split(",")]
    if not all(sign for _, sign, _ in pairs):
        return positive
    return {match("label in --positive:", name.strip(), labels): value.strip() for name, _, value in pairs}


def _affirming_second(task: Task, index: int) -> Task:
    if index == OF_LABEL:
        return task
    score = None if task.y_score is None else task.y_score[:, ::-1]
    y_true = np.where(task.y_true == MISSING, MISSING, 1 - task.y_true)
    return Task((task.classes[1], task.classes[0]), y_true, 1 - task.y_pred, score)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more
