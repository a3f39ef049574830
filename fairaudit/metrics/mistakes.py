"""Which images of a group to look at: the mistakes that a model was surest of, and its closest decisions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairaudit.predictions import MISSING, FloatArray, IntArray


class Worth(NamedTuple):
    """Images worth a look, as positions in the table.

    Attributes:
        mistakes: wrong ones, the surest first; without scores in the table's order.
        close: the other images whose decision was closest, the closest first; none without scores.
    """

    mistakes: IntArray
    close: IntArray


def worth_a_look(
    y_true: IntArray, y_pred: IntArray, y_score: FloatArray | None, ids: IntArray, groups: int, most: int
) -> list[Worth]:
    """For every group the worst mistakes and the closest decisions.

    Surest is the largest score of the class that was decided on. Closest is the smallest lead of that class over the best
    other one; under a threshold the lead may be negative, and its size counts.

    Args:
        y_true: (n,) labelled class or ``MISSING``.
        y_pred: (n,) class decided on.
        y_score: (n, k) scores, or None.
        ids: (n,) group or ``MISSING``.
        groups: how many groups.
        most: images of each kind and group.
    """
    n = len(y_true)
    known = (y_true != MISSING) & (ids != MISSING)
    wrong = known & (y_true != y_pred)
    if y_score is None:
        sure, lead = np.zeros(n), None
    else:
        sure = y_score[np.arange(n), y_pred]
        others = y_score.copy()
        others[np.arange(n), y_pred] = -np.inf
        lead = np.abs(sure - others.max(1))
    found = []
    for g in range(groups):
        own = np.flatnonzero(wrong & (ids == g))
        mistakes = own[np.argsort(-sure[own], kind="stable")][:most]
        close = np.empty(0, dtype=np.int64)
        if lead is not None:
            rest = np.setdiff1d(np.flatnonzero(known & (ids == g)), mistakes)
            close = rest[np.argsort(lead[rest], kind="stable")][:most]
        found.append(Worth(mistakes, close))
    return found
