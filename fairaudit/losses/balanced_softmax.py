"""Softmax cross-entropy that allows in training for how often each class occurs (balanced softmax).

Formula:
    L = (1/b) · Σ_i CE(z_i + log n, y_i), n_y the training images of class y. With ``per_group`` they are those of class y
    in the sample's own group. A class (or a class of a group) without training images counts as one image. With several
    targets each head has its own counts.

Source:
    J. Ren, C. Yu, S. Sheng, X. Ma, H. Zhao, S. Yi, H. Li, "Balanced Meta-Softmax for Long-Tailed Visual Recognition",
    NeurIPS 2020. The counts per group are ours.

Traps:
    Predictions use the bare logits, which is how rare classes gain; so the logits are calibrated for classes of equal size,
    not for those in the data. It balances classes, not groups: without ``per_group`` two groups of unlike sizes stay so.
    With it, a class that is common in a group must be argued for by more than the group. Together with sampling that is
    balanced over classes it counts their rarity twice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._group_means import batch_mean
from fairaudit.losses.base import (
    CROSS_ENTROPY,
    BinaryCrossEntropy,
    Criterion,
    GroupLoss,
    MultiTaskCrossEntropy,
    TrainingGroups,
)


class BalancedSoftmaxLoss(GroupLoss):
    """The mean loss of shifted logits.

    Args:
        log_counts: (g, k) what is added to the logits of each group's samples.
        criterion: loss of each sample.
        per_group: whether rows of ``log_counts`` differ.
    """

    uses_groups = False
    log_counts: Tensor

    def __init__(self, log_counts: Tensor, criterion: Criterion, per_group: bool) -> None:
        super().__init__(len(log_counts), criterion)
        self.uses_groups = per_group
        self.register_buffer("log_counts", log_counts, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The mean loss of the shifted logits; see ``GroupLoss.forward``."""
        return batch_mean(self.criterion(logits + self.log_counts.to(logits.dtype)[groups], targets))


def build(groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY, *, per_group: bool = False) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        per_group: count the classes within each group instead of over all images.

    Raises:
        UsageError: the criterion has no softmax.
    """
    if isinstance(criterion, BinaryCrossEntropy):
        raise UsageError(
            "balanced-softmax shifts the logits of a softmax, and labels that are judged one by one have none; "
            "choose another loss for a multi-label target"
        )
    counts = groups.counts if per_group else groups.class_counts.expand_as(groups.counts)
    columns = [counts]
    if isinstance(criterion, MultiTaskCrossEntropy):
        columns = _of_each_target(counts, [head.stop - head.start for head in criterion.slices])
    log_counts = [column.clamp(min=1).double().log() for column in columns]
    return BalancedSoftmaxLoss(torch.cat(log_counts, dim=1).float(), criterion, per_group)


def _of_each_target(counts: Tensor, classes: list[int]) -> list[Tensor]:
    """Images of each target's classes, from those of their combinations.

    Args:
        counts: (g, ∏K) images of each combination.
        classes: K of each target.

    Returns:
        (g, K) for each target.
    """
    if counts.shape[1] != math.prod(classes):
        raise ValueError(f"{counts.shape[1]} combinations of classes are counted, but heads have {classes} outputs")
    cells = counts.reshape(-1, *classes)
    axes = range(1, len(classes) + 1)
    return [cells.sum(dim=[other for other in axes if other != axis]) if len(classes) > 1 else cells for axis in axes]
