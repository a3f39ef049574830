"""Mean cross-entropy plus a weight times the gaps in mean predicted probability among true positives and negatives.

Formula:
    L = mean CE + λ · (the gap among y = 1 + the gap among y = 0), each (max_g − min_g) of mean_{i: g(i) = g, y_i = y} p_i
    over the groups that have such samples in the batch, p_i the predicted probability of the positive class; with
    ``gap=pairwise`` the mean of |difference| over pairs of groups. Of more than two classes, of labels and of several
    targets, each class in turn is the positive one, and the sums are averaged over classes, then over targets. A soft
    target counts as that share of a sample on one side and the rest on the other.

Source:
    Known as DiffEOdd: X. Han et al., "FFB: A Fair Fairness Benchmark for In-Processing Group Fairness Methods", ICLR 2024,
    for two groups with λ = 1. The criterion is that of M. Hardt, E. Price, N. Srebro, NIPS 2016.

Traps:
    Two gaps are added here, while audits report the larger one. Each is estimated from a part of the batch: use large
    batches or balanced sampling. A gap of probabilities can vanish while that of decisions stays.
"""

from __future__ import annotations

from torch import Tensor

from fairaudit.losses._parity import Gap, ParityLoss
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class EqualizedOddsLoss(ParityLoss):
    """The gaps over true positives and over true negatives."""

    def conditions(self, shares: Tensor) -> list[Tensor]:
        """Samples of the class, and those of others; see ``ParityLoss.conditions``."""
        return [shares, 1 - shares]


def build(
    groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY, *, weight: float = 1.0, gap: Gap = "range"
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        weight: λ.
        gap: ``range`` or ``pairwise``.

    Raises:
        UsageError: an option is out of range.
        DataError: fewer than two groups have training images.
    """
    groups.require_two_groups("the loss equalized-odds")
    return EqualizedOddsLoss(groups.n_groups, criterion, weight, gap)
