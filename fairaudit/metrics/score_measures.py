"""Scores become measures: every metric that needs scores, in every group, ready for the table that lists the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics import calibration, ranking
from fairaudit.metrics.aggregates import Law, exact_law
from fairaudit.metrics.groups import members
from fairaudit.metrics.influence import row_pulls
from fairaudit.metrics.intervals import mover_mean
from fairaudit.metrics.measure import Measure, Metric, Table, measured
from fairaudit.metrics.rates import MACRO
from fairaudit.metrics.score_clusters import pull_effect, repeated
from fairaudit.metrics.scored import SCORED, Scored, top_k
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray, Task


def check_scores(task: Task, name: str) -> None:
    """Refuse scores that are no chances.

    Raises:
        PredictionsError: a score is nan or outside [0, 1].
    """
    if task.y_score is None:
        return
    if np.isnan(task.y_score).any():
        row = int(np.isnan(task.y_score).any(-1).argmax())
        raise PredictionsError(f"row {row + 1} has no score (nan) for {name}; give every row a score or no column of them")
    if task.y_score.size and (task.y_score.min() < 0 or task.y_score.max() > 1):
        row = int(((task.y_score < 0) | (task.y_score > 1)).any(-1).argmax())
        raise PredictionsError(
            f"row {row + 1} has a score for {name} outside 0 to 1; apply softmax or sigmoid before writing scores"
        )


def score_measures(
    task: Task,
    ids: IntArray,
    table: Table,
    top: Sequence[int] = (),
    identity: IntArray | None = None,
    second: IntArray | None = None,
) -> dict[Metric, Measure]:
    """Every metric of scores in every group.

    Args:
        task: what was predicted, with scores; without them nothing is measured.
        ids: (n,) group of each row or ``MISSING``.
        table: counts of the same groups.
        top: the k of each top-k accuracy; 3 and 5 where there are more classes than that, if none is given.
        identity: (n,) who is on each image or ``MISSING``; None takes every image for another person's.
        second: (n,) who is on the other image, where rows are pairs.

    Raises:
        UsageError: top-k is asked for with k no less than the number of classes.
    """
    if task.y_score is None:
        return {}
    for one in top:
        if not 0 < one < len(task.classes):
            k = len(task.classes)
            raise UsageError(f"top-{one} accuracy of {k} classes says nothing; k must be from 1 to {k - 1}")
    effects = _effects(task, ids, table, top, identity, second)
    rows = np.flatnonzero((ids != MISSING) & (task.y_true != MISSING))
    y_true, score, ids = task.y_true[rows], task.y_score[rows], ids[rows]
    groups, k = len(table.n), len(task.classes)
    found: dict[Metric, Measure] = {}

    def add(scored: Scored, of: int | str | None, law: Law, what: Sequence[str] | str) -> None:
        metric = Metric(scored.name, of)
        scarce = [what] * groups if isinstance(what, str) else what
        found[metric] = measured(table.key(metric), scored.direction, law, scarce, table.n, 0.0, scored.most)

    slices = members(ids, groups)
    laws: dict[str, list[Law]] = {"auroc": [], "average_precision": []}
    classes = [*range(k)] if table.positive is None else [table.positive]
    for c in classes:
        tied = [ranking.ties(score[part, c], y_true[part] == c) for part in slices]
        laws["auroc"].append(ranking.auroc_law(tied, effects(Metric("auroc", c))))
        laws["average_precision"].append(ranking.average_precision_law(tied, effects(Metric("average_precision", c))))
    for name, of in (("auroc", "positives or negatives"), ("average_precision", "positives")):
        for c, law in zip(classes, laws[name], strict=True):
            add(SCORED[name], c, law, of)
        if table.positive is None:
            law = mean_over_classes(laws[name])
            assert law.scarce is not None  # a mean names its smallest class
            add(SCORED[name], MACRO, law, [f"{of} of {task.classes[int(i)]}" for i in law.scarce])
    for c in classes:
        s, y = score[:, c], y_true == c
        law = calibration.mean_law((s - y) ** 2, ids, groups, 1.0, 1.0, effects(Metric("brier", c)))
        add(SCORED["brier"], c, law, "images")
        binned = (("ece", calibration.equal_width(s)), ("ece_equal_mass", calibration.equal_mass(s, ids, groups)))
        for name, bins in binned:
            law = calibration.error_law(s, y, ids, groups, bins, effect=effects(Metric(name, c)))
            add(SCORED[name], c, law, "images")
    losses, worst = calibration.log_losses(y_true, score), math.log(max(k, 2))
    law = calibration.mean_law(losses, ids, groups, worst, math.inf, effects(Metric("log_loss")))
    add(SCORED["log_loss"], None, law, "images")
    confidence, right = score.max(-1), score.argmax(-1) == y_true
    bins = calibration.equal_width(confidence)
    law = calibration.error_law(confidence, right, ids, groups, bins, effect=effects(Metric("confidence_ece")))
    add(SCORED["confidence_ece"], None, law, "images")
    for one in top or [x for x in (3, 5) if x < k]:
        hits = ranking.among_top(y_true, score, one)
        add(top_k(one), None, share_law(hits, ids, groups, effects(Metric(top_k(one).name))), "images")
    return found


def share_law(hits: BoolArray, ids: IntArray, groups: int, effect: FloatArray | float = 1.0) -> Law:
    """The share of images in every group.

    Args:
        hits: (n,) whether the image counts.
        ids: (n,) group.
        groups: how many groups.
        effect: (g,) how many images are worth an independent one (``score_clusters``), for limits and variance.
    """
    n = np.bincount(ids, minlength=groups).astype(np.float64)
    x = np.bincount(ids, hits, groups).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = x / n
    return exact_law(value, n, x / effect, n / effect)


def _effects(
    task: Task, ids: IntArray, table: Table, top: Sequence[int], identity: IntArray | None, second: IntArray | None
) -> Callable[[Metric], FloatArray | float]:
    """Metric → (g,) its design effects; 1 where every image is of another person."""
    known = (ids != MISSING) & (task.y_true != MISSING)
    if identity is None or (second is None and not repeated(identity[known])):
        return lambda _: 1.0
    ids = np.where(task.y_true == MISSING, MISSING, ids)
    pulls = row_pulls(task, ids, table, top)
    of = {metric: pull_effect(pull, ids, identity, len(table.n), second) for metric, pull in pulls.items()}
    return of.__getitem__


def mean_over_classes(laws: Sequence[Law]) -> Law:
    """The mean over classes; every image ranks in every class, so that nothing is taken to be independent."""
    value, support = np.stack([w.value for w in laws], -1), np.stack([w.support for w in laws], -1)
    k = len(laws)

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        ends = [w.limits(z, i) for w in laws]
        return mover_mean(value[i], np.stack([e[0] for e in ends], -1), np.stack([e[1] for e in ends], -1), shared=k)

    variance = np.stack([w.variance for w in laws], -1).sum(-1) / k
    return Law(value.mean(-1), support.min(-1), limits, limits, variance, support.argmin(-1))
