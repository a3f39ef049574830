"""Where numbers lie and how far they spread, each counting as many times as its weight says."""

from __future__ import annotations

import numpy as np

from fairaudit.predictions import FloatArray


def mean_and_sd(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Weighted mean and standard deviation.

    The deviation has the divisor n − 1 where weights are equal: Σw(x − m)² / Σw · n / (n − 1).

    Args:
        values: (n,) numbers.
        weights: (n,) above 0.

    Returns:
        nan, nan for no numbers; the deviation is nan for one.
    """
    n = len(values)
    if n == 0:
        return float("nan"), float("nan")
    mean = float(np.average(values, weights=weights))
    if n == 1:
        return mean, float("nan")
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights) * n / (n - 1)))


def quantile(values: FloatArray, weights: FloatArray, p: float) -> float:
    """Weighted quantile: the least value that a share p of the weight does not exceed, averaged where two would do.

    With equal weights this is Hyndman and Fan's second definition (1996), which gives the usual median.

    Args:
        values: (n,) numbers.
        weights: (n,) above 0.
        p: between 0 and 1.

    Returns:
        nan for no numbers.
    """
    if len(values) == 0:
        return float("nan")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    # sums of weights are rounded: a share that is p to the last bits is p
    low = min(int(np.searchsorted(reached, p - 1e-12, side="left")), len(values) - 1)
    high = min(int(np.searchsorted(reached, p + 1e-12, side="right")), len(values) - 1)
    return float((values[order[low]] + values[order[high]]) / 2)
