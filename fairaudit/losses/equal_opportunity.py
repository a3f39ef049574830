"""Mean cross-entropy plus a weight times the gap in mean predicted probability among true positives.

Formula:
    L = mean CE + λ · (max_g − min_g) of mean_{i: g(i) = g, y_i = 1} p_i over the groups that have positives in the batch,
    p_i the predicted probability of the positive class; with ``gap=pairwise`` the mean of |difference| over pairs of
    groups. Of more than two classes, of labels and of several targets, each class in turn is the positive one, and the gaps
    are averaged over classes, then over targets. A soft target counts as that share of a sample.

Source:
    Known as DiffEOpp: X. Han et al., "FFB: A Fair Fairness Benchmark for In-Processing Group Fairness Methods", ICLR 2024,
    for two groups with λ = 1. The criterion is that of M. Hardt, E. Price, N. Srebro, NIPS 2016.

Traps:
    It depends on which class is called positive. Groups without a positive in the batch are left out, so that with rare
    positives most steps compare few images. A gap of probabilities can vanish while that of decisions stays.
"""

from __future__ import annotations

from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._parity import Gap, ParityLoss
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class EqualOpportunityLoss(ParityLoss):
    """The gap over true positives."""

    def conditions(self, shares: Tensor) -> list[Tensor]:
        """Samples of the class; see ``ParityLoss.conditions``."""
        return [shares]


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    weight: float = 1.0,
    gap: Gap = "range",
    positive: int = 1,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        weight: λ.
        gap: ``range`` or ``pairwise``.
        positive: which of two classes is the positive one, 0 or 1 in the order of the model's outputs.

    Raises:
        UsageError: an option is out of range.
        DataError: fewer than two groups have training images.
    """
    if positive not in (0, 1):
        raise UsageError(f"positive must be 0 or 1, the first or the second of two classes, not {positive}")
    groups.require_two_groups("the loss equal-opportunity")
    return EqualOpportunityLoss(groups.n_groups, criterion, weight, gap, positive)
