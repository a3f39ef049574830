"""What every interval is worth: how often 95 % intervals contained the truth, where it was known because it was simulated.

The tests of ``intervals``, ``statistics``, ``ranking``, ``calibration``, ``indices``, ``clusters`` and ``change`` repeat
these simulations with a fixed seed and hold the code to them; ``test_coverage_table`` holds this table to the code. What
compares groups is conservative by design: its mean is above 95 %, and there is no ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """One kind of interval.

    Attributes:
        quantity: what it is an interval of.
        method: how its limits are found.
        simulated: from which truths and supports samples were drawn.
        mean: share of the intervals that contained the truth, over all cells of the simulation.
        least: the same in the worst cell.
    """

    quantity: str
    method: str
    simulated: str
    mean: float
    least: float


_CELLS = "20, 100, 1,000, 20 beside 5,000 images; 2, 7, 14 groups"

COVERAGE = (
    Coverage("rate of a group", "Wilson 1927", "exact enumeration, n = 20, truths .05 to .95", 0.954, 0.917),
    Coverage("rate of a group", "Wilson 1927", "exact enumeration, n = 100, truths .05 to .95", 0.951, 0.927),
    Coverage("rate of a group", "Wilson 1927", "exact enumeration, n = 1,000, truths .05 to .95", 0.950, 0.943),
    Coverage(
        "difference of two groups",
        "Clopper–Pearson limits combined by MOVER",
        "exact enumeration, 20 and 20 images, 19 × 19 truths",
        0.973,
        0.961,
    ),
    Coverage(
        "difference of two groups",
        "Clopper–Pearson limits combined by MOVER",
        "exact enumeration, 100 and 100 images, 19 × 19 truths",
        0.962,
        0.955,
    ),
    Coverage(
        "gap (max − min)",
        "MOVER; studentized range below, unadjusted pairs above",
        f"225 cells ({_CELLS}) and 700 found by random search",
        0.987,
        0.946,
    ),
    Coverage("largest difference from the privileged group", "MOVER, Šidák below", f"189 cells ({_CELLS})", 0.987, 0.953),
    Coverage(
        "ratio min ÷ max",
        "MOVER for ratios; studentized range above",
        f"195 cells ({_CELLS}) and 600 at random",
        0.983,
        0.942,
    ),
    Coverage("equalized odds difference", "the larger of two gaps, jointly", f"60 cells ({_CELLS})", 0.990, 0.951),
    Coverage(
        "spread (SD over groups)",
        "noncentral χ² below, widest group above",
        f"180 cells ({_CELLS}) and 600 at random",
        0.987,
        0.938,
    ),
    Coverage(
        "pairwise mean",
        "studentized range below, unadjusted above",
        "12 cells: 20 to 1,000 images, 2 to 7 groups",
        0.988,
        0.953,
    ),
    Coverage("F-scores", "exact Jaccard index, MOVER", "2 classes, n = 20, 100, 1,000, good and poor models", 0.984, 0.953),
    Coverage("F-scores", "exact Jaccard index, MOVER", "7 classes, n = 20, 100, 1,000", 0.976, 0.949),
    Coverage(
        "mean over classes", "MOVER over classes", "2 classes, n = 20, 100, 1,000, good and poor models", 0.971, 0.955
    ),
    Coverage("mean over classes", "MOVER over classes", "7 classes, n = 20 (the worst), 100, 1,000", 0.949, 0.932),
    Coverage("MCC", "wider of two delta intervals", "60 cells: 2 and 7 classes, n = 20, 100, 1,000", 0.975, 0.934),
    Coverage(
        "Cohen's kappa", "wider of two delta intervals", "60 cells: 2 and 7 classes, n = 20, 100, 1,000", 0.974, 0.932
    ),
    Coverage(
        "AUROC", "wider of logit-DeLong and Newcombe 5", "35 cells: 5 to 100 positives, 10 to 400 negatives", 0.970, 0.942
    ),
    Coverage(
        "average precision",
        "wider of logit and Clopper–Pearson",
        "35 cells: 5 to 100 positives, 10 to 400 negatives",
        0.992,
        0.945,
    ),
    Coverage(
        "log loss, Brier score", "Student, skewness above", "n = 20, calibrated and over-confident scores", 0.968, 0.911
    ),
    Coverage("log loss, Brier score", "Student, skewness above", "n = 100 and 1,000", 0.963, 0.941),
    Coverage("calibration error (ECE)", "noise taken off below", "n = 20, 100, 1,000; wide at small n", 1.000, 0.999),
    Coverage(
        "rate, several pictures of a person",
        "Wilson of effective counts",
        "20 and 200 people of 2 to 6 pictures, correlation 0 to .8",
        0.959,
        0.940,
    ),
    Coverage("change of a rate, same images", "Bonett–Price 2012", "n = 20 and 100, three pairs of rates", 0.974, 0.954),
    Coverage(
        "not offered: gap by percentile bootstrap",
        "quantiles of resampled max − min",
        "105 cells as for the gap; the worst are equal groups",
        0.499,
        0.0,
    ),
)
"""Nominal 95 % everywhere; Monte Carlo errors are 0.1 to 0.6 points in the worst cell."""
