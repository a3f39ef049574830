"""Downstream: usual classifiers on frozen embeddings, fitted on the data as they are and on data rebalanced over groups.

What Dullerud et al. (2022) ask with it: does a gap between groups go away when only the classifier after the embedding
is trained on balanced data? Training rows of smaller groups are repeated, seeded, until groups are equal within each
class; where a class occurs in one group only, as a person does, until groups are equal as a whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.embedding.sampling import some_rows
from fairaudit.metrics.paired_people import numbered
from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import MISSING, IntArray

LARGEST, MOST_CLASSES, TESTED = 4000, 100, 0.3
"""Rows and classes that are used; of more, a seeded sample. The share of rows that is tested on."""

TRAININGS = ("original", "rebalanced")


@dataclass(frozen=True, eq=False)
class Downstream:
    """What classifiers said of test rows.

    Attributes:
        rows: (t,) test rows.
        classes: (t,) their classes.
        said: (classifier, training) → (t,) predicted classes.
        fitted: training → rows it was fitted on.
    """

    rows: IntArray
    classes: IntArray
    said: Mapping[tuple[str, str], IntArray]
    fitted: Mapping[str, int]


def downstream(unit: Vectors, classes: IntArray, ids: IntArray, people: IntArray, seed: int) -> Downstream | None:
    """Fit logistic regression, a linear SVM, kNN and a random forest, each on both kinds of training data.

    Args:
        unit: (n, d) rows of length 1.
        classes: (n,) what is to be told, or ``MISSING``.
        ids: (n,) group or ``MISSING``.
        people: (n,) who is on the image; no person is in both training and test rows, unless persons are the classes.
        seed: of splits, samples, repetitions and forests.

    Returns:
        None where fewer than two classes have a training and a test row.
    """
    split = _split(classes, ids, people, seed)
    if split is None:
        return None
    train, test = split
    said: dict[tuple[str, str], IntArray] = {}
    fitted = {TRAININGS[0]: train, TRAININGS[1]: rebalanced(train, classes, ids, seed)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's of solvers that stop early, and of many classes
        for training, rows in fitted.items():
            for name, model in _classifiers(len(rows), seed).items():
                said[name, training] = np.asarray(model.fit(unit[rows], classes[rows]).predict(unit[test]), dtype=np.int64)
    return Downstream(test, classes[test], said, {name: len(rows) for name, rows in fitted.items()})


def rebalanced(train: IntArray, classes: IntArray, ids: IntArray, seed: int) -> IntArray:
    """Training rows, those of smaller groups repeated.

    Args:
        train: (m,) rows.
        classes: (n,) class of every row.
        ids: (n,) group of every row.
        seed: of the repetitions.
    """
    rng = np.random.default_rng(seed)
    c, g = classes[train], ids[train]
    cells = len(np.unique(c * (int(g.max()) + 1) + g))
    part = c if cells > len(np.unique(c)) else np.zeros_like(c)
    found = [train]
    for one in np.unique(part):
        sizes = {group: np.flatnonzero((part == one) & (g == group)) for group in np.unique(g[part == one])}
        most = max(len(own) for own in sizes.values())
        for own in sizes.values():
            times, rest = divmod(most - len(own), len(own))
            found += [np.repeat(train[own], times), train[rng.choice(own, rest, replace=False)]]
    return np.concatenate(found)


def _split(classes: IntArray, ids: IntArray, people: IntArray, seed: int) -> tuple[IntArray, IntArray] | None:
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero((classes != MISSING) & (ids != MISSING))
    names, sizes = np.unique(classes[rows], return_counts=True)
    names = names[sizes >= 2]
    if len(names) > MOST_CLASSES:
        names = rng.choice(names, MOST_CLASSES, replace=False)
    rows = some_rows(rows[np.isin(classes[rows], names)], LARGEST, seed)
    who = numbered(people)
    unit_of = who if len({*zip(who[rows].tolist(), classes[rows].tolist(), strict=True)}) > len(names) else None
    tested = np.zeros(len(rows), dtype=np.bool_)
    for name in names:
        own = np.flatnonzero(classes[rows] == name)
        members = own if unit_of is None else unit_of[rows[own]]
        distinct = rng.permutation(np.unique(members))
        if len(distinct) < 2:
            continue
        chosen = distinct[: max(1, round(TESTED * len(distinct)))]
        tested[own[np.isin(members, chosen)]] = True
    # a person of several classes may have been drawn for one of them: all of their images are tested on
    if unit_of is not None:
        tested = np.isin(unit_of[rows], unit_of[rows[tested]])
    known = np.intersect1d(classes[rows[~tested]], classes[rows[tested]])
    kept = np.isin(classes[rows], known)
    if len(known) < 2:
        return None
    return rows[~tested & kept], rows[tested & kept]


def _classifiers(fitted: int, seed: int) -> Mapping[str, Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        # of many classes of few rows its pairs are fitted thirty times as fast as one class against all
        "SVM": make_pipeline(StandardScaler(), SVC(C=0.1, kernel="linear")),
        "kNN": KNeighborsClassifier(min(5, fitted)),
        "random forest": RandomForestClassifier(100, random_state=seed),
    }
