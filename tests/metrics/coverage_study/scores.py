"""Coverage of what needs scores: ranking, losses, calibration errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from fairaudit.metrics import calibration
from fairaudit.metrics.aggregates import Law
from fairaudit.metrics.intervals import quantile
from fairaudit.metrics.ranking import Ties, auroc_law, average_precision, average_precision_law, ties
from fairaudit.predictions import BoolArray, FloatArray

Z = quantile(0.95)
SIZES = ((5, 10), (5, 100), (10, 400), (20, 20), (50, 50), (100, 10), (100, 400))
"""Positives and negatives."""
SHAPES = ((0.0, 1.0), (0.7, 1.0), (1.5, 1.0), (2.5, 1.0), (1.5, 3.0), (1.0, 0.4), (4.0, 1.0))
"""Normal scores of positives: how far above those of negatives, and their spread."""


def _ranked(rng: np.random.Generator, m: int, n: int, shape: tuple[float, float], trials: int) -> list[Ties]:
    scores = np.concatenate([rng.normal(*shape, (trials, m)), rng.normal(0, 1, (trials, n))], axis=1)
    return [ties(score, np.arange(m + n) < m) for score in scores]


def _within(law: Law, truth: float) -> float:
    low, high = law.limits(Z)
    return float(((low <= truth + 1e-9) & (truth <= high + 1e-9)).mean())


def ranking_coverage(trials: int, seed: int) -> Iterator[tuple[str, str, float]]:
    """Metric, cell and coverage of areas under the ROC curve and of average precision."""
    for i, (m, n) in enumerate(SIZES):
        for j, shape in enumerate(SHAPES):
            rng = np.random.default_rng([seed, i, j])
            many = 60_000 // (m + n)
            precision = average_precision(_ranked(rng, m * many, n * many, shape, 1)[0])
            drawn = _ranked(rng, m, n, shape, trials)
            cell = f"{m} and {n}, shift {shape[0]}, spread {shape[1]}"
            yield "AUROC", cell, _within(auroc_law(drawn), float(norm.cdf(shape[0] / math.hypot(1, shape[1]))))
            yield "average precision", cell, _within(average_precision_law(drawn), precision)


@dataclass(frozen=True)
class Scorer:
    """A model of two classes.

    Attributes:
        centre: mean of the true log-odds.
        spread: their standard deviation.
        over: how many times too large the log-odds are that it states.
    """

    centre: float
    spread: float
    over: float

    def draw(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, BoolArray]:
        """(n,) scores and whether the image is of the class."""
        odds = rng.normal(self.centre, self.spread, n)
        return 1 / (1 + np.exp(-self.over * odds)), rng.random(n) < 1 / (1 + np.exp(-odds))


SCORERS = {
    "calibrated, unsure": Scorer(0.0, 0.5, 1.0),
    "calibrated": Scorer(0.0, 1.5, 1.0),
    "calibrated, rare": Scorer(-2.0, 1.5, 1.0),
    "over-confident": Scorer(0.0, 1.5, 2.5),
    "calibrated, sure": Scorer(1.0, 6.0, 1.0),
}


def score_coverage(n: int, trials: int, seed: int) -> Iterator[tuple[str, str, float]]:
    """Metric, scorer and coverage of mean losses and of the calibration error.

    Args:
        n: images.
        trials: groups that are drawn from each scorer.
        seed: of the draws.
    """
    ids = np.repeat(np.arange(trials), n)
    for i, (name, scorer) in enumerate(SCORERS.items()):
        rng = np.random.default_rng([seed, n, i])
        s, y = scorer.draw(rng, trials * n)
        big, truth = scorer.draw(rng, 400_000)
        squares, value = (s - y) ** 2, float(((big - truth) ** 2).mean())
        yield "Brier score", name, _within(calibration.mean_law(squares, ids, trials, 1.0, 1.0), value)
        value = float(_log_losses(big, truth).mean())
        law = calibration.mean_law(_log_losses(s, y), ids, trials, math.log(2), math.inf)
        yield "log loss", name, _within(law, value)
        one = np.zeros(len(big), dtype=np.int64)
        value = float(calibration.error_law(big, truth, one, 1, calibration.equal_width(big)).value[0])
        law = calibration.error_law(s, y, ids, trials, calibration.equal_width(s))
        yield "calibration error", name, _within(law, value)


def _log_losses(score: FloatArray, hit: BoolArray) -> FloatArray:
    return calibration.log_losses(hit.astype(np.int64), np.stack([1 - score, score], -1))
