"""Rates: one line of algebra on the cells each, as a numerator and a denominator.

A rate is undefined (nan) if and only if its denominator is 0; it is never quietly 0, 1 or 10. The denominator is its
*support*. To add a rate, add a line to ``RATES``: its disparities, intervals, rules and reports follow.

Definitions and names are scikit-learn's (precision, recall, F-score, balanced accuracy) and AIF360's (selection rate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fairaudit.metrics.counts import Cells
from fairaudit.predictions import FloatArray

MACRO = "macro"


class Direction(IntEnum):
    """Which way is better for those concerned; rates without a direction have no worst group."""

    HIGHER = 1
    LOWER = -1
    NONE = 0


@dataclass(frozen=True)
class Rate:
    """A rate of a group.

    Attributes:
        name: as it stands in rules and records.
        formula: for people.
        direction: which way is better.
        parts: cells → numerator and denominator; (…, k) where the rate is per class, (…) where it is of all classes.
        of: what the denominator counts, in the plural, for "undefined: 0 positives".
        per_class: whether the rate is one class against the rest.
        macro: whether the mean over classes means something (a mean selection rate is always 1/k).
        beta: of F-scores, how many times more recall weighs than precision; None for proportions of their denominator.
    """

    name: str
    formula: str
    direction: Direction
    parts: Callable[[Cells], tuple[FloatArray, FloatArray]]
    of: str
    per_class: bool = True
    macro: bool = True
    beta: float | None = None


_ALL = (
    Rate("accuracy", "right / n", Direction.HIGHER, lambda c: (c.right, c.n), "images", per_class=False),
    Rate("error_rate", "wrong / n", Direction.LOWER, lambda c: (c.n - c.right, c.n), "images", per_class=False),
    Rate("precision", "TP / (TP + FP)", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fp),
         "predicted positives"),
    Rate("true_positive_rate", "TP / (TP + FN)", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fn), "positives"),
    Rate("false_positive_rate", "FP / (FP + TN)", Direction.LOWER, lambda c: (c.fp, c.fp + c.tn), "negatives"),
    Rate("true_negative_rate", "TN / (FP + TN)", Direction.HIGHER, lambda c: (c.tn, c.fp + c.tn), "negatives"),
    Rate("false_negative_rate", "FN / (TP + FN)", Direction.LOWER, lambda c: (c.fn, c.tp + c.fn), "positives"),
    Rate("positive_predictive_value", "TP / (TP + FP), precision", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fp),
         "predicted positives"),
    Rate("negative_predictive_value", "TN / (TN + FN)", Direction.HIGHER, lambda c: (c.tn, c.tn + c.fn),
         "predicted negatives"),
    Rate("f1", "2 TP / (2 TP + FP + FN)", Direction.HIGHER, lambda c: (2 * c.tp, 2 * c.tp + c.fn + c.fp),
         "positives or predicted positives", beta=1.0),
    Rate("f2", "5 TP / (5 TP + 4 FN + FP)", Direction.HIGHER, lambda c: (5 * c.tp, 5 * c.tp + 4 * c.fn + c.fp),
         "positives or predicted positives", beta=2.0),
    Rate("selection_rate", "(TP + FP) / n", Direction.NONE, lambda c: (c.tp + c.fp, c.tp + c.fp + c.fn + c.tn),
         "images", macro=False),
)  # fmt: skip

RATES: Mapping[str, Rate] = {rate.name: rate for rate in _ALL}

BALANCED_ACCURACY = "balanced_accuracy"
"""The mean over classes of the true positive rate: not a line of its own but ``true_positive_rate[macro]`` by its name."""

ALIASES: Mapping[str, str] = {
    "tpr": "true_positive_rate",
    "recall": "true_positive_rate",
    "sensitivity": "true_positive_rate",
    "fpr": "false_positive_rate",
    "tnr": "true_negative_rate",
    "specificity": "true_negative_rate",
    "fnr": "false_negative_rate",
    "ppv": "positive_predictive_value",
    "npv": "negative_predictive_value",
    "f1_score": "f1",
    "f2_score": "f2",
}


def rate_values(rate: Rate, c: Cells) -> FloatArray:
    """Values of a rate, nan exactly where its denominator is 0.

    Args:
        rate: the rate.
        c: cells with any leading axes.

    Returns:
        (…, k) for rates per class, (…) otherwise.
    """
    top, bottom = rate.parts(c)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def rate_support(rate: Rate, c: Cells) -> FloatArray:
    """Images in the denominator of a rate (F-scores weigh them; their support does not)."""
    return rate.parts(c)[1] if rate.beta is None else c.tp + c.fp + c.fn
