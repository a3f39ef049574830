"""Several contrasts at once: p-values that agree with the intervals, and their adjustment for how many there are.

A p-value here is the smallest error rate at which the contrast's own interval excludes "no difference", so that p and
interval never contradict each other. With exact limits Holm's adjustment kept the family-wise error within its level in
simulations where pooled z and Newcombe's limits did not. Use Holm's for flags and Šidák's for intervals; they may disagree
at the margin.

Sources: Holm (1979); Benjamini & Hochberg (1995).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.intervals import Limits
from fairaudit.metrics.measure import Measure
from fairaudit.predictions import FloatArray

_FARTHEST = 8.0  # a p-value of 1e-15; exact limits are not known to a finer tail


def contrast_p_values(measure: Measure, comparison: Comparison) -> FloatArray:
    """Two-sided p-values of every group against the privileged one.

    Args:
        measure: the metric in every group.
        comparison: privileged group and smallest support.

    Returns:
        (g,) nan for the privileged group and for groups that cannot be compared.
    """
    found = np.full(len(measure.value), np.nan)
    for i in range(len(found)):
        if comparison.privileged not in (None, i) and comparison.cannot_compare(measure, i) is None:
            found[i] = p_value(measure.value, measure.limits, i, int(comparison.privileged or 0))
    return found


def p_value(p: FloatArray, limits: Limits, i: int, j: int) -> float:
    """Two-sided p-value of pᵢ = pⱼ, by inverting the interval of their difference.

    Args:
        p: (g,) values.
        limits: their limits function.
        i: index of one group.
        j: index of the other.
    """

    def excludes(z: float) -> bool:
        low, high = intervals.difference(p, limits, z, i, j)
        return bool(low > 0 or high < 0)

    if p[i] == p[j]:
        return 1.0
    inside, outside = 0.0, _FARTHEST
    if excludes(outside):
        return float(2 * ndtr(-outside))
    for _ in range(26):
        z = (inside + outside) / 2
        inside, outside = (z, outside) if excludes(z) else (inside, z)
    return float(min(1.0, 2 * ndtr(-inside)))


def holm(p: FloatArray) -> FloatArray:
    """Adjusted p-values that hold the chance of even one false alarm (Holm 1979); nan stays and is no contrast."""
    return _stepwise(p, lambda rank, m: m - rank, downwards=True)


def benjamini_hochberg(p: FloatArray) -> FloatArray:
    """Adjusted p-values that hold the expected share of false alarms among alarms (1995); nan stays and is no contrast."""
    return _stepwise(p, lambda rank, m: m / (rank + 1), downwards=False)


def _stepwise(p: FloatArray, factor: Callable[[FloatArray, int], FloatArray], downwards: bool) -> FloatArray:
    p = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    raw = p[order] * factor(np.arange(len(order), dtype=np.float64), len(order))
    adjusted = np.full(p.shape, np.nan)
    running = np.maximum.accumulate(raw) if downwards else np.minimum.accumulate(raw[::-1])[::-1]
    adjusted[order] = np.minimum(running, 1.0)
    return adjusted
