"""Geometry: how a group's embeddings lie among each other, all of length 1.

Alignment and uniformity are Wang and Isola's (2020): the mean squared distance of images of one class, and the
logarithm of the mean of exp(−2 × squared distance) over all pairs. Intra is the mean cosine distance within a class,
averaged over classes; inter the mean cosine distance of class centroids brought to length 1; their quotient tells how
much room a class takes (Roth et al. 2020). Crowding asks whether people of a group are taken for each other (``crowding``).
Density is the mean cosine distance to the nearest image of another class. The ρ-spectrum is the Kullback–Leibler divergence
of uniform shares from those of the singular values: 0 where every direction is used alike. Among more images the nearest is
nearer, and more directions are used: both are taken of equally many images of each group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairaudit.metrics.crowding import Crowding, crowding
from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import FloatArray, IntArray

LARGEST = 4000
"""Rows of a group whose pairs are looked at one by one; of more, a seeded sample."""

_BLOCK = 512


@dataclass(frozen=True)
class Geometry:
    """One group's numbers; nan where a group has no pairs of the kind.

    Attributes:
        alignment: mean squared distance of two images of one class; small is good.
        uniformity: at most 0; low where embeddings are spread out.
        intra: cosine distance within classes.
        inter: cosine distance between centroids of classes.
        ratio: intra ÷ inter.
        crowding: cosine distance of images of different classes; small where they are crowded together.
        density: mean cosine distance to the nearest image of another class; small where it is dense.
        spectrum: ρ.
    """

    alignment: float
    uniformity: float
    intra: float
    inter: float
    ratio: float
    crowding: Crowding
    density: float
    spectrum: float


def geometry(unit: Vectors, classes: IntArray, people: IntArray, rows: int, seed: int) -> Geometry:
    """Measure one group.

    Args:
        unit: (n, d) the group's rows of length 1, n ≥ 1.
        classes: (n,) their classes, none missing.
        people: (n,) who is on the image; ``MISSING`` is somebody who is on no other one.
        rows: that density and ρ are taken of; both are nan of a group that has fewer.
        seed: of the samples.
    """
    place = np.unique(classes, return_inverse=True)[1]
    sizes = np.bincount(place).astype(np.float64)
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, place, unit.astype(np.float64))
    squares = (sums**2).sum(1)
    # Σ over ordered pairs of distinct images of a class of their cosine
    cosines, pairs = squares - sizes, sizes * (sizes - 1)
    several = pairs > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        same = float(cosines.sum() / pairs.sum()) if several.any() else np.nan
        intra = float((1 - cosines[several] / pairs[several]).mean()) if several.any() else np.nan
        centres = sums / np.sqrt(squares)[:, None]
        k = len(sizes)
        inter = float(1 - ((centres.sum(0) ** 2).sum() - k) / (k * (k - 1))) if k > 1 else np.nan
    order = np.random.default_rng(seed).permutation(len(unit))
    uniformity, _ = _pairwise(unit[order[:LARGEST]], place[order[:LARGEST]])
    ratio = intra / inter if inter > 0 else np.nan
    density = rho = float("nan")
    if len(unit) >= rows:
        _, density = _pairwise(unit[order[:rows]], place[order[:rows]])
        rho = spectrum(unit[order[:rows]])
    crowded = crowding(unit, classes, people)
    return Geometry(2 - 2 * same, uniformity, intra, inter, ratio, crowded, density, rho)


def spectrum(rows: Vectors) -> float:
    """ρ: KL(uniform ‖ shares of the singular values), natural logarithm; nan of fewer than two rows.

    Args:
        rows: (m, d).
    """
    if len(rows) < 2:
        return float("nan")
    values = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    # directions that nothing uses are as if they held a billionth of the largest: ρ stays finite and comparable
    shares = np.maximum(values, values[0] * 1e-9)
    shares = shares / shares.sum()
    return float(-np.log(len(shares)) - np.log(shares).mean())


def _pairwise(unit: Vectors, place: IntArray) -> tuple[float, float]:
    """Uniformity and density, block by block."""
    n, total = len(unit), 0.0
    nearest: FloatArray = np.full(n, np.nan)
    for start in range(0, n, _BLOCK):
        cosine = (unit[start : start + _BLOCK] @ unit.T).astype(np.float64)
        own = np.arange(len(cosine))
        repelled = np.exp(-4 * (1 - cosine))  # the squared distance is 2 − 2 cosine
        total += float(repelled.sum() - repelled[own, start + own].sum())
        other = np.where(place[start : start + _BLOCK, None] == place, -np.inf, cosine).max(1)
        nearest[start : start + _BLOCK] = np.where(np.isfinite(other), 1 - other, np.nan)
    uniformity = float(np.log(total / (n * (n - 1)))) if n > 1 else float("nan")
    return uniformity, float(np.nanmean(nearest)) if np.isfinite(nearest).any() else float("nan")
