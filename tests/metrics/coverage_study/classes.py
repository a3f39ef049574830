"""Coverage of what is computed from a whole confusion matrix: F-scores, means over classes, correlations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairaudit.metrics.counts import cells
from fairaudit.metrics.intervals import quantile
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.predictions import FloatArray

F_SCORES = (Metric("f1", 0), Metric("f2", 0), Metric("f1", "macro"), Metric("f2", "macro"))
MEANS = (
    Metric("true_positive_rate", "balanced_accuracy"),
    Metric("precision", "macro"),
    Metric("false_positive_rate", "macro"),
    Metric("true_negative_rate", "macro"),
    Metric("negative_predictive_value", "macro"),
)
CORRELATIONS = (Metric("mcc"), Metric("cohen_kappa"))
METRICS = {"F-scores": F_SCORES, "mean over classes": MEANS, "MCC": CORRELATIONS[:1], "Cohen's kappa": CORRELATIONS[1:]}


def alike(shares: list[float], right: float) -> FloatArray:
    """(k, k) chances of a confusion matrix: shares of the classes, each recognised as often, errors spread evenly."""
    k = len(shares)
    wrong = (1 - right) / (k - 1)
    return np.array(shares)[:, None] * (np.full((k, k), wrong) + np.eye(k) * (right - wrong))


def uneven(k: int, right: float, seed: int) -> FloatArray:
    """(k, k) chances with random shares of the classes and random confusions."""
    rng = np.random.default_rng(seed)
    shares, wrong = rng.dirichlet(np.full(k, 2.0)), rng.dirichlet(np.ones(k - 1), size=k)
    chances = np.diag(np.full(k, right))
    for i in range(k):
        chances[i, np.arange(k) != i] = (1 - right) * wrong[i]
    return chances * shares[:, None]


def _truths(*shares: list[float]) -> dict[str, FloatArray]:
    return {
        f"largest class {max(s):.2f}, {right} right": alike(s, right) for s in shares for right in (0.5, 0.8, 0.95, 0.99)
    }


TRUTHS = {
    "2 classes": {
        **_truths([0.5, 0.5], [0.8, 0.2], [0.9, 0.1]),
        "only missed": np.array([[0.475, 0.025], [0.00005, 0.49995]]),
        "only false alarms": np.array([[0.49995, 0.00005], [0.025, 0.475]]),
    },
    "7 classes": {
        **_truths([1 / 7] * 7, [0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]),
        "uneven": uneven(7, 0.8, seed=1),
        "very uneven": uneven(7, 0.95, seed=2),
    },
}


def truth_of(chances: FloatArray, metric: Metric) -> float:
    """The metric of endless images."""
    if metric.rate in STATISTICS:
        return float(STATISTICS[metric.rate].slopes(chances)[0])
    every = rate_values(RATES[metric.rate], cells(chances))
    if isinstance(metric.of, str):
        return float(every.mean(-1))
    return float(every if metric.of is None else every[metric.of])


def coverage(classes: str, n: int, trials: int, seed: int) -> Iterator[tuple[Metric, str, float]]:
    """Share of the 95 % intervals that contain the truth, among those that are defined.

    Args:
        classes: a key of ``TRUTHS``.
        n: images.
        trials: tables that are drawn from each truth.
        seed: of the draws.
    """
    for name, chances in TRUTHS[classes].items():
        k = len(chances)
        rng = np.random.default_rng([seed, n, k, *name.encode()])
        counts = rng.multinomial(n, chances.ravel(), size=trials).reshape(trials, k, k)
        table = Table(counts, tuple(map(str, range(k))))
        for metric in (*F_SCORES, *MEANS, *CORRELATIONS):
            m, truth = table.measure(metric), truth_of(chances, metric)
            low, high = m.interval(quantile(0.95))
            known = m.support > 0
            if known.mean() > 0.05:
                yield metric, name, float(((low <= truth + 1e-9) & (truth <= high + 1e-9))[known].mean())
