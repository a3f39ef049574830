"""Leakage: how well an attribute is recovered from embeddings by probes that were not shown the person."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.embedding.sampling import some_rows
from fairaudit.metrics.clustered_means import clustered_means
from fairaudit.metrics.paired_people import numbered
from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import MISSING, IntArray
from fairaudit.results import Estimate

LARGEST = 4000
"""Rows that probes are fitted on; of more, a seeded sample."""

FOLDS, NEIGHBOURS = 5, 5


@dataclass(frozen=True)
class Probed:
    """What one probe made of an attribute.

    Attributes:
        accuracy: share of images whose level was told, on people it was not fitted on.
        balanced: mean over levels of the share told; 1 ÷ levels is chance.
        majority: share of the commonest level, what a probe that sees nothing reaches.
        levels: how many levels occurred.
    """

    accuracy: Estimate
    balanced: float
    majority: float
    levels: int


def leakage(unit: Vectors, levels: IntArray, people: IntArray, seed: int, confidence: float) -> dict[str, Probed]:
    """Fit a linear probe and a kNN probe, cross-validated by person.

    Args:
        unit: (n, d) rows of length 1.
        levels: (n,) level of the attribute or ``MISSING``.
        people: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        seed: of folds and sample.
        confidence: of the limits.

    Returns:
        Probe → what it reached; empty where fewer than two levels have two people each.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    who = numbered(people)
    rows = np.flatnonzero(levels != MISSING)
    enough = [v for v in np.unique(levels[rows]) if len(np.unique(who[rows][levels[rows] == v])) >= 2]
    if len(enough) < 2:
        return {}
    rows = some_rows(rows[np.isin(levels[rows], enough)], LARGEST, seed)
    x, y, persons = unit[rows], levels[rows], who[rows]
    fewest = min(len(np.unique(persons[y == v])) for v in np.unique(y))
    told: dict[str, IntArray] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's of rare levels, and of solvers that stop early
        for fitting, asked in StratifiedGroupKFold(max(2, min(FOLDS, fewest)), shuffle=True, random_state=seed).split(
            x, y, persons
        ):
            if len(np.unique(y[fitting])) < 2:
                continue
            for name, probe in _probes(len(fitting)).items():
                said = told.setdefault(name, np.full(len(y), MISSING, dtype=np.int64))
                said[asked] = probe.fit(x[fitting], y[fitting]).predict(x[asked])
    return {name: _probed(said, y, persons, confidence) for name, said in told.items()}


def _probes(fitted: int) -> Mapping[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = LogisticRegression(max_iter=300)
    return {
        "linear": make_pipeline(StandardScaler(), linear),
        "kNN": KNeighborsClassifier(min(NEIGHBOURS, fitted)),
    }


def _probed(said: IntArray, y: IntArray, persons: IntArray, confidence: float) -> Probed:
    right = np.where(said == MISSING, np.nan, (said == y).astype(np.float64))
    (accuracy,) = clustered_means(right, np.zeros(len(y), dtype=np.int64), persons, 1).estimates(confidence)
    names, sizes = np.unique(y, return_counts=True)
    balanced = float(np.mean([np.nanmean(right[y == v]) for v in names]))
    return Probed(accuracy, balanced, float(sizes.max() / sizes.sum()), len(names))
