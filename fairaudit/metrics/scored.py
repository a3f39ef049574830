"""What is measured on rows, not on counts: names, formulas, directions, ranges; the measuring is elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fairaudit.metrics.rates import Direction


@dataclass(frozen=True)
class Scored:
    """A metric of rows.

    Attributes:
        name: as it stands in rules and records.
        formula: for people.
        direction: which way is better.
        source: whose definition it is.
        per_class: whether it is of one class against the rest.
        most: the largest value that it can have.
        needs: what the rows must have.
    """

    name: str
    formula: str
    direction: Direction
    source: str
    per_class: bool = True
    most: float = 1.0
    needs: str = "scores"


_TWO = "several targets (--target race,gender)"
SEVERAL_LABELS = "several labels of each image (--target Smiling+Young)"
_ALL = (
    Scored("auroc", "share of (positive, negative) pairs in which the positive scores higher, ties half",
           Direction.HIGHER, "scikit-learn, roc_auc_score"),
    Scored("average_precision", "Σ (recall step) × precision over falling thresholds", Direction.HIGHER,
           "scikit-learn, average_precision_score"),
    Scored("brier", "mean (score − label)²", Direction.LOWER, "Brier (1950), scikit-learn"),
    Scored("ece", "Σ share of bin × |mean score − share of positives|, 100 bins of equal width", Direction.LOWER,
           "Naeini et al. (2015)"),
    Scored("ece_equal_mass", "the same with bins of equally many images", Direction.LOWER, "Nixon et al. (2019)"),
    Scored("log_loss", "mean −ln(score of the true class), scores kept above 1e-15 as they are divided by their sum",
           Direction.LOWER, "scikit-learn, log_loss", per_class=False, most=math.inf),
    Scored("confidence_ece", "ece of the largest score as the probability of being right", Direction.LOWER,
           "Guo et al. (2017)", per_class=False),
    Scored("some_right", "share of images with some targets right and some wrong", Direction.NONE,
           "both/one/none right", per_class=False, needs=_TWO),
    Scored("none_right", "share of images with every target wrong", Direction.LOWER,
           "both/one/none right", per_class=False, needs=_TWO),
    Scored("subset_accuracy", "share of images with every label right, of those whose labels are all known",
           Direction.HIGHER, "scikit-learn, accuracy_score", per_class=False, needs=SEVERAL_LABELS),
    Scored("hamming_accuracy", "share of label decisions that are right, over all labels; 1 − Hamming loss",
           Direction.HIGHER, "scikit-learn, hamming_loss", per_class=False, needs=SEVERAL_LABELS),
)  # fmt: skip


def mean_f_beta(beta: float) -> Scored:
    """The example-based F-score: each image's own, averaged."""
    w = beta**2
    text = (
        f"mean over images of {1 + w:g} P R / ({w:g} P + R), P = 1 if nothing is called, R = 1 if nothing is labelled, "
        "0 if both are 0"
    ).replace("(1 P", "(P")
    source = "Inclusive Images challenge; scikit-learn, fbeta_score(average='samples', zero_division=1)"
    return Scored(f"mean_f{beta:g}", text, Direction.HIGHER, source, per_class=False, needs=SEVERAL_LABELS)


SCORED: Mapping[str, Scored] = {s.name: s for s in (*_ALL, mean_f_beta(2.0))}
_MEAN_F = re.compile(r"mean_f(\d{1,3}(?:\.\d{1,3})?)")
_TOP = re.compile(r"top_?([1-9]\d{0,3})_accuracy")


def top_k(k: int) -> Scored:
    """Top-k accuracy."""
    text = f"share of images whose class is among the {k} that score highest"
    return Scored(f"top_{k}_accuracy", text, Direction.HIGHER, "scikit-learn, top_k_accuracy_score", per_class=False)


def scored_named(name: str) -> Scored | None:
    """The metric of that name: one of ``SCORED``, ``top_3_accuracy`` of any k, ``mean_f0.5`` of any β; None for others."""
    match = _MEAN_F.fullmatch(name)
    if match is not None:
        return mean_f_beta(float(match[1])) if float(match[1]) > 0 else None
    match = _TOP.fullmatch(name)
    return top_k(int(match[1])) if match else SCORED.get(name)
