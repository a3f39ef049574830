"""Rates: one line of algebra on the cells each, as a numerator and a denominator.

A rate is undefined (nan) if and only if its denominator is 0; it is never quietly 0, 1 or 10. The denominator is its
*support*. To add a rate, add a line to ``RATES``: its disparities, intervals, rules and reports follow.

Definitions and names are scikit-learn's (precision, recall, F-score, Jaccard, balanced accuracy) and AIF360's (selection
rate, false discovery and omission rates). F-scores exist for every β: ``f0.5``, ``f3``, see ``rate_named``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from fairaudit.metrics.counts import Cells
from fairaudit.predictions import FloatArray

MACRO, MICRO, WEIGHTED, WORST = "macro", "micro", "weighted", "worst"
AGGREGATES = (MACRO, MICRO, WEIGHTED, WORST)
"""How classes become one number: their mean, their pooled cells, their mean by labelled images, the worst of them."""


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
        shared: in how many classes' rates one image can be wrong (an F-score's or Jaccard's: the true and the predicted).
        source: whose definition it is.
    """

    name: str
    formula: str
    direction: Direction
    parts: Callable[[Cells], tuple[FloatArray, FloatArray]]
    of: str
    per_class: bool = True
    macro: bool = True
    beta: float | None = None
    shared: int = 1
    source: str = "scikit-learn"


_F_BETA = re.compile(r"f(\d{1,3}(?:\.\d{1,3})?)")


def _f_score(beta: float) -> Rate:
    """Fβ, named without trailing zeros: ``f0.5``, ``f1``."""
    w = beta**2
    return Rate(
        f"f{beta:g}",
        f"{1 + w:g} TP / ({1 + w:g} TP + {w:g} FN + FP)".replace("1 FN", "FN"),
        Direction.HIGHER,
        lambda c: ((1 + w) * c.tp, (1 + w) * c.tp + w * c.fn + c.fp),
        "positives or predicted positives",
        beta=beta,
        shared=2,
        source="scikit-learn, fbeta_score",
    )


_ALL = (
    Rate("accuracy", "right / n", Direction.HIGHER, lambda c: (c.right, c.n), "images", per_class=False),
    Rate("error_rate", "wrong / n", Direction.LOWER, lambda c: (c.n - c.right, c.n), "images", per_class=False),
    Rate("precision", "TP / (TP + FP)", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fp),
         "predicted positives"),
    Rate("true_positive_rate", "TP / (TP + FN)", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fn), "positives"),
    Rate("false_positive_rate", "FP / (FP + TN)", Direction.LOWER, lambda c: (c.fp, c.fp + c.tn), "negatives",
         source="AIF360"),
    Rate("true_negative_rate", "TN / (FP + TN)", Direction.HIGHER, lambda c: (c.tn, c.fp + c.tn), "negatives",
         source="AIF360"),
    Rate("false_negative_rate", "FN / (TP + FN)", Direction.LOWER, lambda c: (c.fn, c.tp + c.fn), "positives",
         source="AIF360"),
    Rate("positive_predictive_value", "TP / (TP + FP), precision", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fp),
         "predicted positives", source="AIF360"),
    Rate("negative_predictive_value", "TN / (TN + FN)", Direction.HIGHER, lambda c: (c.tn, c.tn + c.fn),
         "predicted negatives", source="AIF360"),
    Rate("false_discovery_rate", "FP / (TP + FP)", Direction.LOWER, lambda c: (c.fp, c.tp + c.fp),
         "predicted positives", source="AIF360"),
    Rate("false_omission_rate", "FN / (TN + FN)", Direction.LOWER, lambda c: (c.fn, c.tn + c.fn),
         "predicted negatives", source="AIF360"),
    _f_score(1.0),
    _f_score(2.0),
    Rate("jaccard", "TP / (TP + FP + FN)", Direction.HIGHER, lambda c: (c.tp, c.tp + c.fp + c.fn),
         "positives or predicted positives", shared=2, source="scikit-learn, jaccard_score"),
    Rate("selection_rate", "(TP + FP) / n", Direction.NONE, lambda c: (c.tp + c.fp, c.tp + c.fp + c.fn + c.tn),
         "images", macro=False, source="AIF360, Fairlearn"),
    Rate("prevalence", "(TP + FN) / n, of the labels", Direction.NONE,
         lambda c: (c.tp + c.fn, c.tp + c.fp + c.fn + c.tn), "images", macro=False, source="AIF360, base_rate"),
    Rate("false_negative_share", "FN / (FN + FP), from the ratio FN / FP", Direction.NONE, lambda c: (c.fn, c.fn + c.fp),
         "false negatives or false positives", macro=False, source="Berk et al. (2021)"),
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
    "fdr": "false_discovery_rate",
    "for": "false_omission_rate",
    "iou": "jaccard",
    "base_rate": "prevalence",
    "predicted_prevalence": "selection_rate",
    "f1_score": "f1",
    "f2_score": "f2",
}


@cache
def rate_named(name: str) -> Rate | None:
    """The rate of that canonical name: one of ``RATES``, or the F-score of any β above 0 (``f0.5``); None for others."""
    if name in RATES:
        return RATES[name]
    match = _F_BETA.fullmatch(name)
    if match is None or float(match[1]) == 0:
        return None
    beta = float(match[1])
    return RATES.get(f"f{beta:g}") or _f_score(beta)


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
