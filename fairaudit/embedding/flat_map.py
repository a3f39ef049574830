"""A map of embeddings in two dimensions: t-SNE, which keeps neighbours together and tells nothing of distances."""

from __future__ import annotations

import numpy as np

from fairaudit.metrics.retrieval import Vectors
from fairaudit.predictions import FloatArray

_AXES = 50


def flat_map(unit: Vectors, seed: int) -> FloatArray:
    """(n, 2) places, each axis between 0 and 1.

    Args:
        unit: (n, d) rows of length 1, at least five.
        seed: of the optimisation.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = unit.astype(np.float64)
    axes = min(_AXES, *rows.shape)
    if rows.shape[1] > axes:
        rows = PCA(axes, random_state=seed).fit_transform(rows)
    made = TSNE(2, perplexity=min(30.0, (len(rows) - 1) / 4), init="pca", random_state=seed, max_iter=750)
    found = np.asarray(made.fit_transform(rows), dtype=np.float64)
    spread = np.ptp(found, axis=0)
    return np.asarray((found - found.min(0)) / np.where(spread > 0, spread, 1.0))
