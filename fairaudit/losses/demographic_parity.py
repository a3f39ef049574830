"""Mean cross-entropy plus a weight times the gap in mean predicted probability between groups.

Formula:
    L = mean CE + λ · (max_g − min_g) of mean_{i: g(i) = g} p_i over the groups present in the batch, p_i the predicted
    probability of the positive class; with ``gap=pairwise`` the mean of |difference| over pairs of groups. Of more than two
    classes, of labels and of several targets, the mean of the gaps over classes, then over targets.

Source:
    Known as DiffDP: X. Han et al., "FFB: A Fair Fairness Benchmark for In-Processing Group Fairness Methods", ICLR 2024,
    for two groups with λ = 1.

Traps:
    It asks for equal shares of predictions, also where groups differ in truth, and then costs accuracy. A gap of
    probabilities can vanish while that of decisions stays. The range of many groups in one batch is mostly chance and
    teaches two groups only: use large batches or balanced sampling, or ``gap=pairwise``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairaudit.losses._parity import Gap, ParityLoss
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class DemographicParityLoss(ParityLoss):
    """The gap over all samples."""

    def conditions(self, shares: Tensor) -> list[Tensor]:
        """Every sample; see ``ParityLoss.conditions``."""
        return [torch.ones_like(shares)]


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
    groups.require_two_groups("the loss demographic-parity")
    return DemographicParityLoss(groups.n_groups, criterion, weight, gap)
