"""From places to pixels: how sure the classifier is of the patches that cover a pixel, on average.

Formula:
    Algorithm 1 of the paper adds each patch's confidence to the k × k pixels that it covers and divides by how many
    patches cover each. Which patches cover a pixel is decided for rows and columns apart, so with A (I × n), 1 where a
    row of pixels lies in a row of patches, and S (n × n) the confidences, the map is A·S·Aᵀ divided by the counts
    (A·1)(A·1)ᵀ, which is B·S·Bᵀ with the rows of A divided by their sums: two small products in the place of a loop over
    patches, and the same numbers. B is kept for each grid of positions.

    The general map is the mean of many pictures' confidences, brought to pixels and stretched to 0 to 1. A specific map is
    one picture's own, and not stretched: only its quantiles are used.

Source:
    S. De Coninck et al., CVPR Workshops 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fairaudit.attribution.patches import Positions
from fairaudit.predictions import BoolArray, FloatArray


def to_pixels(regions: FloatArray, positions: Positions) -> FloatArray:
    """Confidences of places as maps of pixels.

    Args:
        regions: (…, p), in the order of the positions.
        positions: where they lie.

    Returns:
        (…, I, I) float64.
    """
    n = positions.per_side
    grid = np.asarray(regions, dtype=np.float64).reshape(*np.shape(regions)[:-1], n, n)
    averaging = _averaging(positions)
    return np.asarray(averaging @ grid @ averaging.T)


@lru_cache(maxsize=16)
def _averaging(positions: Positions) -> FloatArray:
    """(I, n): a row of pixels is the mean of the rows of patches that cover it."""
    pixel, start = np.arange(positions.image)[:, None], np.arange(positions.per_side)[None, :] * positions.stride
    covers = ((pixel >= start) & (pixel < start + positions.patch)).astype(np.float64)
    found = np.asarray(covers / covers.sum(axis=1, keepdims=True))
    found.flags.writeable = False
    return found


def stretched(pixels: FloatArray) -> FloatArray:
    """A map on the scale of 0 to 1, smallest to largest; zeros where it is flat."""
    low, high = float(np.min(pixels)), float(np.max(pixels))
    return np.zeros_like(pixels) if high <= low else np.asarray((pixels - low) / (high - low))


def general_map(regions: FloatArray, positions: Positions) -> FloatArray:
    """The map of many pictures.

    Args:
        regions: (m, p) confidences of each picture, or (p,) their mean.
        positions: where.

    Returns:
        (I, I) in [0, 1].
    """
    mean = regions if np.ndim(regions) == 1 else np.mean(regions, axis=0)
    return stretched(to_pixels(mean, positions))


def top_region(pixels: FloatArray, quantile: float) -> BoolArray:
    """The pixels above a quantile of their map: quantile .7 keeps the top 30 %.

    Args:
        pixels: (…, I, I) maps.
        quantile: between 0 and 1.

    Returns:
        (…, I, I) true where a map is above its own quantile; nowhere in a flat map.
    """
    limits = np.quantile(pixels, quantile, axis=(-2, -1), keepdims=True)
    return np.asarray(pixels > limits)


@dataclass(frozen=True)
class Overlap:
    """How much two attributes share their places: where it is large, hiding one must hide much of the other.

    Attributes:
        iou: pixels in both top regions as a share of those in either; nan where both are empty.
        by_chance: what two regions of these sizes would share if they lay anywhere.
        correlation: Pearson's, over all pixels; nan where a map is flat.
    """

    iou: float
    by_chance: float
    correlation: float


def overlap(first: FloatArray, second: FloatArray, quantile: float) -> Overlap:
    """Compare two maps of the same size.

    Args:
        first: (I, I).
        second: (I, I).
        quantile: of the top regions.
    """
    one, other = top_region(first, quantile), top_region(second, quantile)
    either = int((one | other).sum())
    both_by_chance = one.mean() * other.mean()
    either_by_chance = one.mean() + other.mean() - both_by_chance
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = first.std() * second.std()
        shared = ((first - first.mean()) * (second - second.mean())).mean()
        return Overlap(
            int((one & other).sum()) / either if either else float("nan"),
            float(both_by_chance / either_by_chance) if either else float("nan"),
            float(shared / spread) if spread > 0 else float("nan"),
        )
