"""Inequality of benefits: entropy indices of a table of groups, drawn by the count bootstrap.

An image's benefit is 1 where the call is right, 2 where the class was called although the label is another, and 0 where it
was not called although it is the label (Speicher et al. 2018; AIF360). Everything follows from the shares of 0, 1 and 2.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fairaudit.metrics.counts import Cells
from fairaudit.predictions import FloatArray

_BENEFITS = np.array([0.0, 1.0, 2.0])

_AT_ONCE = 256
"""Groups that are drawn in one call."""

ENTROPIES = frozenset({
    "generalized_entropy_index",
    "theil_index",
    "coefficient_of_variation",
    "between_group_generalized_entropy_index",
    "between_group_theil_index",
})  # fmt: skip
"""Indices that are drawn from counts of images, whatever these weigh."""


def benefits(c: Cells) -> FloatArray:
    """(…, 3) images with benefit 0, 1 and 2, of the cells of one class."""
    return np.stack([c.fn, c.tp + c.tn, c.fp], axis=-1)


def _entropy(values: FloatArray, weights: FloatArray, alpha: float) -> FloatArray:
    """Generalised entropy of values ≥ 0 with weights, over the last axis; nan where the mean is 0 or there is nothing."""
    n = weights.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weights * values).sum(-1) / n
        relative = values / mean[..., None]
        if alpha == 1:
            terms = np.where(relative > 0, relative * np.log(np.where(relative > 0, relative, 1.0)), 0.0)
            found = (weights * terms).sum(-1) / n
        else:
            found = ((weights * relative**alpha).sum(-1) / n - 1) / (alpha * (alpha - 1))
    # Weights of 0 may stand beside undefined values, and rounding may leave a hair below 0.
    return np.where((n > 0) & (mean > 0), np.maximum(found, 0.0), np.nan)


def generalised_entropy(counts: FloatArray, alpha: float = 2.0) -> FloatArray:
    """Generalised entropy index of benefits over all images of all groups; α = 1 is Theil's.

    Args:
        counts: (…, g, 3) images by benefit.
        alpha: 1 or 2.
    """
    pooled = counts.sum(-2)
    return _entropy(np.broadcast_to(_BENEFITS, pooled.shape), pooled, alpha)


def between_groups(counts: FloatArray, alpha: float = 2.0) -> FloatArray:
    """The part of the index that remains when every image gets its group's mean benefit.

    Args:
        counts: (…, g, 3) images by benefit.
        alpha: 1 or 2.
    """
    few, some, most = (counts[..., i] for i in range(3))
    n = few + some + most
    means = (some + 2 * most) / np.maximum(n, 1e-300)
    return _entropy(means, n, alpha)


def coefficient_of_variation(counts: FloatArray) -> FloatArray:
    """Standard deviation of benefits ÷ their mean, √(2 GE(2))."""
    return np.asarray(np.sqrt(2 * generalised_entropy(counts, 2.0)))


def draw(counts: FloatArray, replicates: int, seed: int, pseudo: float = 1.0) -> FloatArray:
    """Count bootstrap: each group drawn anew at its own size, from shares smoothed by pseudo images spread over the cells.

    Groups are drawn in an order that their counts decide, so that the order in which they are given changes nothing.

    Args:
        counts: (g, m) images by group and cell.
        replicates: how many times.
        seed: of the generator.
        pseudo: how many pseudo images each group gets.

    Returns:
        (replicates, g, m).
    """
    x = np.ascontiguousarray(counts, dtype=np.float64)
    return _drawn(x.tobytes(), x.shape[1], replicates, seed, pseudo)


@lru_cache(maxsize=8)  # several indices are made of the same draws
def _drawn(content: bytes, width: int, replicates: int, seed: int, pseudo: float) -> FloatArray:
    counts = np.frombuffer(content, dtype=np.float64).reshape(-1, width)
    rng = np.random.default_rng(seed)
    # Group after group in memory: what is summed over groups or compared between them goes through it in long strides.
    drawn = np.zeros((len(counts), replicates, width))
    n = counts.sum(1).astype(np.int64)
    order = np.lexsort(counts.T[::-1])
    filled = order[n[order] > 0]
    # One call draws group after group, and meanwhile leaves Python to other threads.
    for start in range(0, len(filled), _AT_ONCE):
        i = filled[start : start + _AT_ONCE]
        shares = (counts[i] + pseudo / width) / (n[i] + pseudo)[:, None]
        drawn[i] = rng.multinomial(n[i, None], shares[:, None], (len(i), replicates))
    return drawn.swapaxes(0, 1)


def bootstrap_limits(estimate: float, drawn: FloatArray, confidence: float, biased: bool) -> tuple[float, float]:
    """Limits from replicates, which always contain the estimate.

    Args:
        estimate: from the counts themselves.
        drawn: (replicates,) from drawn counts.
        confidence: of the interval.
        biased: whether the quantity is a distance from equality: noise only adds to it, so the lower limit is reflected
            (0 where equality cannot be told from noise) and the upper one, which is too high, is kept. Where the estimate
            is as large as can be, drawing only takes from it, and the lower limit is the replicates' own.
    """
    low, high = np.nanquantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    if biased:
        low = min(2 * estimate - high, low)
    return max(0.0, min(float(low), estimate)), max(float(high), estimate)
