"""What every interval is worth: how often 95 % intervals contained the truth, where it was known because it was simulated.

``tests/metrics/test_coverage_study.py`` simulates every line anew, with these trials and this seed, and holds the figures
to what it finds; ``python -m tests.metrics.coverage_study.table`` prints them. What compares groups is conservative by
design: its mean is above 95 %, and there is no ceiling. The truths are in ``tests/metrics/coverage_study``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

SEED = 17
EXACT = 0
"""Trials of what is not simulated: every outcome, weighed with its probability."""


@dataclass(frozen=True)
class Coverage:
    """One line of the study.

    Attributes:
        quantity: what it is an interval of.
        method: how its limits are found.
        simulated: with which supports.
        cells: combinations of true rates and of groups or classes that were tried.
        trials: samples drawn in each cell, or ``EXACT``.
        mean: share of the intervals that contained the truth, over all cells.
        least: the same in the worst cell.
    """

    quantity: str
    method: str
    simulated: str
    cells: int
    trials: int
    mean: float
    least: float

    @property
    def noise(self) -> float:
        """Monte Carlo standard error of a cell that covers 95 %."""
        return 0.0 if self.trials == EXACT else math.sqrt(0.95 * 0.05 / self.trials)


def _lines(quantity: str, method: str, trials: int, *lines: tuple[str, int, float, float]) -> Iterator[Coverage]:
    for simulated, cells, mean, least in lines:
        yield Coverage(quantity, method, simulated, cells, trials, mean, least)


COVERAGE = (
    *_lines(
        "rate of a group",
        "Wilson 1927",
        EXACT,
        ("20 images", 901, 0.954, 0.917),
        ("100 images", 901, 0.951, 0.927),
        ("1,000 images", 901, 0.950, 0.943),
    ),
    *_lines(
        "difference of two groups",
        "exact limits combined by square-and-add (MOVER)",
        EXACT,
        ("20 and 20 images", 361, 0.973, 0.962),
        ("20 and 100 images", 361, 0.972, 0.967),
        ("20 and 5,000 images", 361, 0.974, 0.959),
        ("100 and 100 images", 361, 0.962, 0.955),
        ("1,000 and 1,000 images", 361, 0.954, 0.952),
    ),
    *_lines(
        "gap (max − min)",
        "MOVER; studentized range below, any pair above",
        4000,
        ("20 images", 21, 0.993, 0.964),
        ("100 images", 21, 0.981, 0.959),
        ("1,000 images", 21, 0.969, 0.949),
        ("20 beside 5,000", 56, 0.985, 0.951),
    ),
    *_lines(
        "largest difference from the privileged group",
        "MOVER; Šidák below",
        4000,
        ("20 images", 21, 0.993, 0.968),
        ("100 images", 21, 0.981, 0.959),
        ("1,000 images", 21, 0.968, 0.953),
        ("20 beside 5,000", 56, 0.988, 0.956),
    ),
    *_lines(
        "differences from the privileged group, all at once",
        "MOVER, Šidák",
        4000,
        ("20 images", 21, 0.989, 0.968),
        ("100 images", 21, 0.972, 0.959),
        ("1,000 images", 21, 0.961, 0.953),
        ("20 beside 5,000", 56, 0.981, 0.955),
    ),
    *_lines(
        "ratios to the privileged group, all at once",
        "MOVER for ratios, Šidák",
        4000,
        ("20 images", 21, 0.988, 0.966),
        ("100 images", 21, 0.972, 0.956),
        ("1,000 images", 21, 0.961, 0.954),
        ("20 beside 5,000", 56, 0.981, 0.952),
    ),
    *_lines(
        "ratio min ÷ max",
        "MOVER for ratios; any pair below, studentized range above",
        4000,
        ("20 images", 21, 0.992, 0.964),
        ("100 images", 21, 0.981, 0.956),
        ("1,000 images", 21, 0.969, 0.949),
        ("20 beside 5,000", 56, 0.985, 0.951),
    ),
    *_lines(
        "equalized odds difference",
        "the larger of two gaps, jointly",
        4000,
        ("20 images", 21, 0.992, 0.972),
        ("100 images", 21, 0.984, 0.964),
        ("1,000 images", 21, 0.975, 0.953),
        ("20 beside 5,000", 56, 0.986, 0.954),
    ),
    *_lines(
        "spread (SD over groups)",
        "noncentral χ² below, widest group above",
        4000,
        ("20 images", 21, 0.989, 0.963),
        ("100 images", 21, 0.984, 0.966),
        ("1,000 images", 21, 0.973, 0.961),
        ("20 beside 5,000", 56, 0.991, 0.952),
    ),
    *_lines(
        "pairwise mean",
        "studentized range below, steepest slopes above",
        4000,
        ("20 images", 21, 0.994, 0.964),
        ("100 images", 21, 0.983, 0.960),
        ("1,000 images", 21, 0.973, 0.949),
        ("20 beside 5,000", 56, 0.987, 0.951),
    ),
    *_lines(
        "worst group",
        "exact limits; Šidák above",
        4000,
        ("20 images", 21, 0.993, 0.979),
        ("100 images", 21, 0.986, 0.966),
        ("1,000 images", 21, 0.977, 0.961),
        ("20 beside 5,000", 56, 0.986, 0.965),
    ),
    *_lines(
        "F-scores and means over classes, compared",
        "the same of every kind, from their own limits",
        400,
        ("20 images", 192, 0.996, 0.943),
        ("100 images", 192, 0.984, 0.958),
        ("1,000 images", 192, 0.973, 0.935),
        ("20 beside 5,000", 192, 0.980, 0.948),
    ),
    *_lines(
        "average odds, average gap",
        "MOVER over both rates",
        400,
        ("20 positives, 20 negatives", 6, 0.985, 0.975),
        ("100 positives, 100 negatives", 6, 0.965, 0.960),
    ),
    *_lines(
        "equalized odds ratio",
        "the smaller of two ratios, jointly",
        400,
        ("20 positives, 20 negatives", 2, 0.988, 0.975),
        ("100 positives, 100 negatives", 2, 0.965, 0.960),
    ),
    *_lines(
        "differential fairness",
        "ratios over classes, jointly",
        400,
        ("20 positives, 20 negatives", 2, 0.998, 0.995),
        ("100 positives, 100 negatives", 2, 0.999, 0.998),
    ),
    *_lines(
        "entropies over images",
        "percentiles of smoothed counts, 400 draws",
        400,
        ("20 positives, 20 negatives", 4, 0.964, 0.958),
        ("100 positives, 100 negatives", 4, 0.949, 0.930),
    ),
    *_lines(
        "entropies between groups",
        "the same, reflected below",
        400,
        ("20 positives, 20 negatives", 4, 1.000, 1.000),
        ("100 positives, 100 negatives", 4, 1.000, 1.000),
    ),
    *_lines(
        "F-scores",
        "exact Jaccard index, MOVER",
        1000,
        ("2 classes, 20 images", 56, 0.991, 0.972),
        ("2 classes, 100 images", 56, 0.986, 0.957),
        ("2 classes, 1,000 images", 56, 0.975, 0.952),
        ("7 classes, 20 images", 40, 0.984, 0.946),
        ("7 classes, 100 images", 40, 0.983, 0.948),
        ("7 classes, 1,000 images", 40, 0.976, 0.950),
    ),
    *_lines(
        "mean over classes",
        "exact limits, MOVER over classes",
        1000,
        ("2 classes, 20 images", 70, 0.983, 0.945),
        ("2 classes, 100 images", 70, 0.976, 0.962),
        ("2 classes, 1,000 images", 70, 0.965, 0.951),
        ("7 classes, 20 images", 50, 0.961, 0.927),
        ("7 classes, 100 images", 50, 0.959, 0.930),
        ("7 classes, 1,000 images", 50, 0.964, 0.933),
    ),
    *_lines(
        "MCC",
        "wider of two delta intervals",
        1000,
        ("2 classes, 20 images", 14, 0.983, 0.937),
        ("2 classes, 100 images", 14, 0.978, 0.937),
        ("2 classes, 1,000 images", 14, 0.968, 0.945),
        ("7 classes, 20 images", 10, 0.984, 0.943),
        ("7 classes, 100 images", 10, 0.984, 0.954),
        ("7 classes, 1,000 images", 10, 0.970, 0.951),
    ),
    *_lines(
        "Cohen's kappa",
        "wider of two delta intervals",
        1000,
        ("2 classes, 20 images", 14, 0.981, 0.945),
        ("2 classes, 100 images", 14, 0.981, 0.947),
        ("2 classes, 1,000 images", 14, 0.968, 0.946),
        ("7 classes, 20 images", 10, 0.979, 0.929),
        ("7 classes, 100 images", 10, 0.983, 0.952),
        ("7 classes, 1,000 images", 10, 0.970, 0.952),
    ),
    *_lines(
        "AUROC",
        "wider of logit-DeLong (Student) and Newcombe 5",
        2000,
        ("5 to 100 positives, 10 to 400 negatives", 49, 0.976, 0.929),
    ),
    *_lines(
        "average precision",
        "wider of logit and Clopper–Pearson",
        2000,
        ("5 to 100 positives, 10 to 400 negatives", 49, 0.992, 0.941),
    ),
    *_lines(
        "log loss",
        "Student; skewness above",
        1000,
        ("20 images", 5, 0.944, 0.905),
        ("100 images", 5, 0.970, 0.963),
        ("1,000 images", 5, 0.959, 0.947),
    ),
    *_lines(
        "Brier score",
        "Student; skewness above",
        1000,
        ("20 images", 5, 0.997, 0.991),
        ("100 images", 5, 0.982, 0.966),
        ("1,000 images", 5, 0.957, 0.944),
    ),
    *_lines(
        "calibration error",
        "ECE, 100 bins; noise taken off below",
        1000,
        ("20 images", 5, 1.000, 1.000),
        ("100 images", 5, 1.000, 1.000),
        ("1,000 images", 5, 1.000, 1.000),
    ),
    *_lines(
        "rate, several pictures of a person",
        "Wilson of effective counts",
        1000,
        ("20 people", 9, 0.969, 0.943),
        ("200 people", 9, 0.950, 0.935),
    ),
    *_lines(
        "change of a rate, same images",
        "Bonett–Price 2012",
        20_000,
        ("20 images", 3, 0.987, 0.977),
        ("100 images", 3, 0.963, 0.955),
    ),
    *_lines(
        "not offered: gap by percentile bootstrap",
        "quantiles of resampled max − min",
        500,
        ("20, 100 and 1,000 images, equal truths", 9, 0.188, 0.000),
    ),
)
"""Nominal 95 % everywhere. Groups: 2, 7 and 14; true rates from .05 to .95, equal and unequal; same images: 2 models."""
