"""How sure a classifier is of its own answer, whatever the truth: three measures, each also on a scale of 0 to 1.

Formula:
    For scores s over K classes: ``top`` = max s; ``margin`` = the largest less the second; ``entropy`` = Σ s·ln s, which is
    0 or less and larger where the classifier is surer. On the scale of 0 to 1, where 0 is an even guess and 1 certainty:
    (max s − 1/K) / (1 − 1/K), the margin itself, and 1 + Σ s·ln s / ln K.

Source:
    S. De Coninck et al., CVPR Workshops 2024, whose text calls the third the entropy; its sign is that of the formula.
"""

from __future__ import annotations

import numpy as np

from fairaudit.config import Measure
from fairaudit.predictions import FloatArray

MEASURES: tuple[Measure, ...] = ("top", "margin", "entropy")


def softmax(logits: FloatArray, temperature: float = 1.0) -> FloatArray:
    """Scores (…, k) of logits (…, k) divided by a temperature."""
    shifted = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def confidence(scores: FloatArray, measure: Measure, *, scaled: bool = False) -> FloatArray:
    """How sure scores are.

    Args:
        scores: (…, k) that add up to 1, of at least two classes.
        measure: which.
        scaled: on the scale of 0 to 1.

    Returns:
        (…,), larger where surer.
    """
    s = np.asarray(scores, dtype=np.float64)
    k = s.shape[-1]
    if measure == "entropy":
        told = np.where(s > 0, s * np.log(np.where(s > 0, s, 1.0)), 0.0).sum(axis=-1)
        return np.asarray(1 + told / np.log(k)) if scaled else np.asarray(told)
    ranked = np.partition(s, k - 2, axis=-1)
    if measure == "margin":
        return np.asarray(ranked[..., -1] - ranked[..., -2])
    return np.asarray((ranked[..., -1] - 1 / k) / (1 - 1 / k)) if scaled else np.asarray(ranked[..., -1])
