"""Calibration of patches against a plain loop over bins, and temperatures that mend what was spoilt."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.attribution.calibrate import TOO_WRONG, best_temperature, calibration
from fairaudit.attribution.confidence import softmax


def plain_error(logits: np.ndarray, y_true: np.ndarray) -> float:
    """Σ b_i |p_i − c_i| over a hundred bins, patch by patch."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for picture, true in zip(logits, y_true, strict=True):
        for patch in picture:
            scores = np.exp(patch) / np.exp(patch).sum()
            bins.setdefault(min(int(scores.max() * 100), 99), []).append(
                (float(scores.max()), bool(scores.argmax() == true))
            )
    n = sum(map(len, bins.values()))
    return sum(
        float(len(held) / n * abs(np.mean([right for _, right in held]) - np.mean([score for score, _ in held])))
        for held in bins.values()
    )


def honest(pictures: int, patches: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the chance that they are right."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=pictures)
    logits = rng.normal(0, 1.5, (pictures, patches, 2))
    says = softmax(logits)[..., 1] > rng.random((pictures, patches))  # a draw of the class by its score
    wrong = says != (y[:, None] == 1)
    logits[wrong] = logits[wrong][:, ::-1]
    return logits, y


def test_the_error_is_the_papers_sum() -> None:
    logits, y = np.random.default_rng(0).normal(0, 2, (6, 40, 3)), np.array([0, 1, 2, 0, 1, 2])
    found = calibration(logits, y)
    assert found.error == pytest.approx(plain_error(logits, y), abs=1e-12)
    assert (found.images, found.patches, found.count.sum(), found.temperature) == (6, 240, 240, 1.0)
    assert found.accuracy == pytest.approx(np.mean(logits.argmax(axis=2) == y[:, None]))


def test_honest_confidence_is_calibrated_and_boasting_is_not() -> None:
    logits, y = honest(200, 100, seed=1)
    assert calibration(logits, y).error < 0.03
    boasting = calibration(4 * logits, y)
    assert boasting.error > TOO_WRONG
    assert boasting.doubtful


@pytest.mark.parametrize("spoilt", [0.4, 4.0])
def test_a_temperature_undoes_a_factor(spoilt: float) -> None:
    logits, y = honest(200, 100, seed=2)
    assert best_temperature(spoilt * logits, y) == pytest.approx(spoilt, rel=0.06)
    mended = calibration(spoilt * logits, y, temperature=True)
    assert mended.temperature == pytest.approx(spoilt, rel=0.06)
    assert mended.error < 0.03 < mended.uncorrected
    assert mended.images == 100, "it is judged on the pictures that it was not fitted on"
