"""Samples of rows that keep what belongs together."""

from __future__ import annotations

import numpy as np

from fairaudit.predictions import IntArray


def some_rows(rows: IntArray, most: int, seed: int) -> IntArray:
    """A seeded sample of rows, in their order; all of them where they are few.

    Args:
        rows: (n,) any.
        most: how many at the most.
        seed: of the draw.
    """
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def whole_classes(rows: IntArray, classes: IntArray, most: int, seed: int, at_most: int | None = None) -> IntArray:
    """Rows of as many whole classes as fit, drawn class by class; at least two classes where there are two.

    Args:
        rows: (n,) rows.
        classes: (n,) their classes.
        most: rows at the most.
        seed: of the draw.
        at_most: classes at the most; None takes as many as fit.
    """
    names, sizes = np.unique(classes, return_counts=True)
    if len(rows) <= most and len(names) <= (at_most or len(names)):
        return rows
    order = np.random.default_rng(seed).permutation(len(names))
    kept = max(2, min(at_most or len(names), int((np.cumsum(sizes[order]) <= most).sum())))
    return rows[np.isin(classes, names[order[:kept]])]
