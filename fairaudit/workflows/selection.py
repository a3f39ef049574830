"""Selection: what a network's validation outputs are worth, by the rule that picks epochs, methods and trials."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fairaudit.config import Select
from fairaudit.engine.history import Validation
from fairaudit.engine.training_data import TrainingData
from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.metrics.retrieval import normalised, retrieve


def validation_score(logits: Tensor, data: TrainingData, select: Select) -> Validation:
    """Judge validation logits: accuracy of each group, and one number that is larger where the rule says better.

    ``worst-group`` is the smallest accuracy of a group that has images, ``average`` the accuracy over all of them, ``gap``
    the negative difference between the best and the worst group; ``last`` is judged as ``average`` and selects nothing.

    Args:
        logits: (m, outputs) of the validation images.
        data: their classes and groups. With several targets an image counts as right where all are.
        select: the rule.
    """
    return _judged(correct(logits, data), data.groups.numpy(), data, select)


def retrieval_score(embeddings: Tensor, data: TrainingData, select: Select) -> Validation:
    """Judge embeddings of validation images by recall@1 in the place of accuracy; see ``validation_score``.

    Each image asks for the nearest other one. Those of a class with a single image cannot find it and are not counted.

    Args:
        embeddings: (m, d) of the validation images.
        data: their classes and groups.
        select: the rule.
    """
    found = retrieve(normalised(embeddings.numpy()), data.targets.numpy(), (1,))
    asked = found.relevant > 0
    return _judged(found.hits[1][asked], data.groups.numpy()[found.queries[asked]], data, select)


def _judged(right: np.ndarray, groups: np.ndarray, data: TrainingData, select: Select) -> Validation:
    # right or wrong is a classification of two classes whose true one is always "right": counts and rates as everywhere
    counts = confusion(np.ones_like(groups), right.astype(np.int64), groups, len(data.group_labels), 2)
    accuracies = rate_values(RATES["accuracy"], cells(counts))
    known = accuracies[~np.isnan(accuracies)]
    score = float(right.mean()) if len(right) else float("nan")
    if select == "worst-group" and len(known):
        score = float(known.min())
    elif select == "gap" and len(known):
        score = -float(known.max() - known.min())
    return Validation(score, tuple(float(a) for a in accuracies))


def correct(logits: Tensor, data: TrainingData) -> np.ndarray:
    """(m,) whether each image is right in every target.

    Args:
        logits: (m, outputs).
        data: the images' classes.
    """
    if data.tasks is None:
        return np.asarray((logits.argmax(1) == data.targets).numpy())
    right = np.ones(len(data), dtype=bool)
    first = 0
    for task, (_, classes) in enumerate(data.tasks):
        own = logits[:, first : first + len(classes)].argmax(1)
        right &= (own == data.targets[:, task]).numpy()
        first += len(classes)
    return right
