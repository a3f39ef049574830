"""Label noise: how far rates and disparities could move if some group labels are wrong.

An error matrix says how often an image that truly belongs to one group is labelled as another. Two answers follow. If
errors do not depend on whether the model was right, groups are mixtures and un-mixing them corrects every count; noise of
this kind hides differences. If they do depend, the worst is taken: whoever left a group took its successes or its failures
with them, and so did whoever came in. The truth lies within these bounds whatever the errors depend on, as long as there
are no more of them within each denominator than the matrix says.

These are statements about labels, not about chance: sampling error comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.predictions import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Moved:
    """A rate in every group, under label noise.

    Attributes:
        observed: (g,) as counted.
        corrected: (g,) un-mixed; nan where un-mixing leaves a group without images.
        low: (g,) the lowest that it could be.
        high: (g,) the highest.
    """

    observed: FloatArray
    corrected: FloatArray
    low: FloatArray
    high: FloatArray

    def gap(self, among: BoolArray | None = None) -> tuple[float, float, float, float]:
        """Observed, corrected, lowest and highest max − min over the groups where it is defined.

        Args:
            among: (g,) groups to look at, at least two that are defined; None is all of them.
        """
        keep = ~np.isnan(self.observed)
        keep &= True if among is None else among
        low, high = self.low[keep], self.high[keep]
        apart = ~np.eye(int(keep.sum()), dtype=np.bool_)
        return (
            float(np.ptp(self.observed[keep])),
            float(np.ptp(self.corrected[keep])),
            max(0.0, float((low[:, None] - high[None, :])[apart].max())),
            float((high[:, None] - low[None, :])[apart].max()),
        )

    def difference(self, group: int, reference: int) -> tuple[float, float, float, float]:
        """Observed, corrected, lowest and highest difference of a group from the reference group."""
        return (
            float(self.observed[group] - self.observed[reference]),
            float(self.corrected[group] - self.corrected[reference]),
            float(self.low[group] - self.high[reference]),
            float(self.high[group] - self.low[reference]),
        )


def symmetric(groups: int, rate: float) -> FloatArray:
    """The error matrix in which that share of every group is mislabelled, as each other group equally often.

    Raises:
        UsageError: so many errors leave nothing of the labels.
    """
    if not 0 <= rate < 1 - 1 / groups:
        raise UsageError(
            f"a share of {rate:g} wrong labels among {groups} groups: it must be from 0 to below {1 - 1 / groups:.3g}, "
            "where labels say nothing any more"
        )
    error = np.full((groups, groups), rate / max(groups - 1, 1))
    np.fill_diagonal(error, 1 - rate)
    return error


def label_noise(successes: IntArray, support: IntArray, error: FloatArray | float) -> Moved:
    """How far a rate could move in every group.

    Args:
        successes: (g,) numerators.
        support: (g,) denominators.
        error: (g, g) share of the images of a true group (row) that carry a label (column), or a symmetric rate.

    Raises:
        UsageError: the matrix is not one of shares, or cannot be un-mixed.
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(support, dtype=np.float64)
    matrix = symmetric(len(n), float(error)) if np.ndim(error) == 0 else np.asarray(error, dtype=np.float64)
    check_errors(matrix, len(n))
    return moved(x, n, matrix, unmix(np.stack([x, n], axis=1), matrix))


def moved(x: FloatArray, n: FloatArray, matrix: FloatArray, unmixed: FloatArray) -> Moved:
    """How far a rate could move, where its counts have been un-mixed already.

    Args:
        x: (g,) numerators.
        n: (g,) denominators.
        matrix: (g, g) share of a true group (row) that carries a label (column).
        unmixed: (g, 2) both by true group, see ``unmix``.
    """
    true_x, true_n = unmixed.T
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = np.where(true_n > 0, np.clip(true_x / true_n, 0.0, 1.0), np.nan)
        flow = np.maximum(true_n, 0.0)[:, None] * matrix  # [true group, label]
        np.fill_diagonal(flow, 0.0)
        high, low = _highest(x, n, flow), 1 - _highest(n - x, n, flow)
        return Moved(x / n, corrected, low, high)


def unmix(counts: FloatArray, error: FloatArray) -> FloatArray:
    """Counts by true group from counts by label, if errors do not depend on what is counted.

    Args:
        counts: (g, …) by label.
        error: (g, g) share of a true group (row) that carries a label (column).
    """
    return np.asarray(np.linalg.solve(error.T, np.asarray(counts, dtype=np.float64)))


def _highest(x: FloatArray, n: FloatArray, flow: FloatArray) -> FloatArray:
    """(g,) rates where only failures were labelled in wrongly and only successes were labelled away."""
    failures_out = np.minimum(flow.sum(0), n - x)
    successes_in = np.minimum(flow, x[None, :]).sum(1)
    top, bottom = x + successes_in, n - failures_out + successes_in
    # Where every image may have been labelled in wrongly, nothing is known of those that belong there.
    return np.where(n > 0, np.where(bottom > 0, top / bottom, 1.0), np.nan)


def check_errors(error: FloatArray, groups: int) -> None:
    """Refuse what is no error matrix of so many groups, or cannot be undone.

    Raises:
        UsageError: one sentence says why.
    """
    if error.shape != (groups, groups):
        raise UsageError(
            f"the error matrix is {' × '.join(map(str, error.shape))}; {groups} groups need one row and column each"
        )
    if not np.isfinite(error).all() or (error < 0).any() or not np.allclose(error.sum(1), 1.0, atol=1e-6):
        raise UsageError("the error matrix must hold shares from 0 to 1 that sum to 1 in every row")
    if np.linalg.cond(error) > 1e6:
        raise UsageError("the error matrix cannot be undone: two groups are labelled alike")
