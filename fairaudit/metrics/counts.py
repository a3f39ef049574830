"""Counts: the confusion matrix of every group, from which every rate, interval and verdict follows.

Counts add up: over batches, over shards, over audits. That is why they, not the rates, are what an audit stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairaudit.predictions import MISSING, FloatArray, IntArray

Counts = NDArray[np.int64] | NDArray[np.floating[Any]]


def confusion(
    y_true: IntArray, y_pred: IntArray, ids: IntArray, n_groups: int, n_classes: int, times: IntArray | None = None
) -> IntArray:
    """Count rows by group, true class and predicted class; rows without a label or group are left out.

    Args:
        y_true: (n,) true class or ``MISSING``.
        y_pred: (n,) predicted class.
        ids: (n,) group or ``MISSING``.
        n_groups: number of groups, g.
        n_classes: number of classes, k.
        times: (n,) how many rows each one stands for, together fewer than 2**53; None is one each.

    Returns:
        (g, k, k) int64, [group, true, predicted].
    """
    keep = (ids != MISSING) & (y_true != MISSING)
    if not keep.all():
        ids, y_true, y_pred = ids[keep], y_true[keep], y_pred[keep]
        times = None if times is None else times[keep]
    key = np.multiply(ids, n_classes, dtype=np.int64)
    key += y_true
    key *= n_classes
    key += y_pred
    flat = np.bincount(key, times, minlength=n_groups * n_classes * n_classes)
    return flat.astype(np.int64).reshape(n_groups, n_classes, n_classes)


@dataclass(frozen=True, eq=False)
class Cells:
    """The four cells of each class against the rest, and the totals; leading axes are free (replicates, groups).

    Attributes:
        tp: (…, k) of the class and called so.
        fp: (…, k) not of the class but called so.
        fn: (…, k) of the class but not called so.
        tn: (…, k) neither.
        right: (…) all rows called by their own class; of several labels (…, l), each label's own.
        n: (…) all rows; likewise.
    """

    tp: FloatArray
    fp: FloatArray
    fn: FloatArray
    tn: FloatArray
    right: FloatArray
    n: FloatArray

    def of_class(self, index: int) -> Cells:
        """The cells of one class, without the axis of classes."""
        one = (..., index)
        right, n = (self.right, self.n) if self.right.ndim < self.tp.ndim else (self.right[one], self.n[one])
        return Cells(self.tp[one], self.fp[one], self.fn[one], self.tn[one], right, n)


def cells(counts: Counts) -> Cells:
    """Split confusion matrices into one-against-rest cells.

    Args:
        counts: (…, k, k) [true, predicted].
    """
    matrix = np.asarray(counts, dtype=np.float64)
    tp = np.diagonal(matrix, axis1=-2, axis2=-1)
    n = matrix.sum((-2, -1))
    fn = matrix.sum(-1) - tp
    fp = matrix.sum(-2) - tp
    return Cells(tp, fp, fn, n[..., None] - tp - fp - fn, tp.sum(-1), n)


def label_cells(counts: Counts) -> Cells:
    """Cells of several labels of each image: every label's own ones, also what else is of all classes.

    Args:
        counts: (…, l, 4) true negatives, false positives, false negatives and true positives of each label.

    Returns:
        (…, l) throughout.
    """
    tn, fp, fn, tp = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    return Cells(tp, fp, fn, tn, tp + tn, tn + fp + fn + tp)
