"""Joint targets: several targets of one image as one, each combination of their classes a class.

Accuracy is then "every target right", and by the same attributes it is that of the joint cells (both of race and gender
right, per race × gender); its spread over cells is the population standard deviation that goes with their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from fairaudit.metrics.counts import Counts
from fairaudit.metrics.influence import share_pull
from fairaudit.metrics.measure import Measure, Metric, Table, measured
from fairaudit.metrics.score_clusters import pull_effect, repeated
from fairaudit.metrics.score_measures import share_law
from fairaudit.metrics.scored import SCORED
from fairaudit.predictions import MISSING, FloatArray, IntArray, Task


def joined(tasks: Sequence[Task]) -> Task:
    """Several tasks as one; the last one's classes vary fastest, and a label is missing where any of them is."""
    true, predicted = np.zeros_like(tasks[0].y_true), np.zeros_like(tasks[0].y_pred)
    known = np.ones(true.shape, dtype=np.bool_)
    for task in tasks:
        true = true * len(task.classes) + task.y_true
        predicted = predicted * len(task.classes) + task.y_pred
        known &= task.y_true != MISSING
    classes = joint_classes(tasks)
    return Task(classes, np.where(known, true, MISSING), predicted)


def joint_classes(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Every combination of classes, ``Black Female``."""
    return tuple(" ".join(names) for names in product(*(task.classes for task in tasks)))


def joint_measures(
    tasks: Sequence[Task], ids: IntArray, table: Table, identity: IntArray | None = None
) -> dict[Metric, Measure]:
    """Shares of images with some and with no target right, in every group.

    Args:
        tasks: the tasks that were joined.
        ids: (n,) group of each row or ``MISSING``.
        table: counts of the same groups.
        identity: (n,) who is on each image or ``MISSING``; None takes every image for another person's.
    """
    keep = ids != MISSING
    for task in tasks:
        keep = keep & (task.y_true != MISSING)
    right = np.stack([task.y_true == task.y_pred for task in tasks])[:, keep].sum(0)
    groups, who = len(table.n), None if identity is None else identity[keep]
    found = {}
    for name, rows in (("some_right", (right > 0) & (right < len(tasks))), ("none_right", right == 0)):
        scored = SCORED[name]
        metric = Metric(name)
        effect: FloatArray | float = 1.0
        if who is not None and repeated(who):
            effect = pull_effect(share_pull(rows, ids[keep], groups), ids[keep], who, groups)
        law = share_law(rows, ids[keep], groups, effect)
        found[metric] = measured(table.key(metric), scored.direction, law, ["images"] * groups, table.n)
    return found


def normalised_confusion(counts: Counts) -> FloatArray:
    """(k, k) share of each true class's images, over all groups, that were called each class; nan where there are none.

    Args:
        counts: (g, k, k) [group, true, predicted].
    """
    total = np.asarray(counts, dtype=np.float64).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total / total.sum(-1, keepdims=True))
