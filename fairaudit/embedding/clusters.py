"""Do clusters of embeddings find the classes: k-means with as many clusters as there are classes."""

from __future__ import annotations

import warnings

import numpy as np

from fairaudit.embedding.sampling import whole_classes
from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import IntArray

LARGEST = 2000
"""Rows that are clustered; of more, as many whole classes as fit."""


def clustering(unit: Vectors, classes: IntArray, seed: int, at_most: int | None = None) -> tuple[float, float]:
    """Normalised mutual information and pairwise F1 of clusters and classes; nan of fewer than two classes.

    Both depend on how many classes there are: groups are to be compared by equally many.

    Args:
        unit: (n, d) a group's rows of length 1.
        classes: (n,) their classes, none missing.
        seed: of the first centres, and of the sample.
        at_most: classes at the most; None takes as many as fit.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import normalized_mutual_info_score
    from sklearn.metrics.cluster import pair_confusion_matrix

    kept = whole_classes(np.arange(len(classes)), classes, LARGEST, seed, at_most)
    names = np.unique(classes[kept])
    if len(names) < 2:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than classes: some clusters stay empty
        found = KMeans(len(names), n_init=1, random_state=seed).fit_predict(unit[kept])
    (_, false), (lost, both) = pair_confusion_matrix(classes[kept], found)
    total = 2 * both + false + lost
    f1 = 2 * both / total if total else float("nan")
    return float(normalized_mutual_info_score(classes[kept], found)), float(f1)
