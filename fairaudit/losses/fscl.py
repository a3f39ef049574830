"""Embeddings of one class drawn together and pushed only from those of their own group (fair supervised contrastive).

Formula:
    L = the mean over anchors i of −mean_p log(e^(f_i·f_p/τ) / Σ_n e^(f_i·f_n/τ)), f the embeddings divided by their length;
    positives p ≠ i have the label of i, negatives n another label and the same group. With ``group_norm`` (FSCL+) groups
    weigh the same: positives are averaged within each group and then over the groups that have any, anchors within each
    label × group cell and then over cells. Anchors without a positive or without a negative in the batch are left out.

Source:
    S. Park, J. Lee, P. Lee, S. Hwang, D. Kim, H. Byun, "Fair Contrastive Learning for Facial Attribute Classification",
    CVPR 2022; τ = 0.1. Its code divides a positive by (size of its cell − 1) and multiplies an anchor by (N/8)/(size of its
    cell), N the batch. For two labels and two groups that is the same, but for the −1 in the cell that is not the anchor's;
    written as means it holds for any number of labels and groups.

Traps:
    It trains embeddings, not a classifier: a linear probe must be fitted on them afterwards, and only that is audited. The
    positive is not in the denominator, so the loss may be negative. Where label and group nearly coincide an anchor finds
    no negatives: use balanced sampling. The paper shows each image twice, augmented differently. Labels must be hard: of
    soft targets only the largest counts, and of multi-label targets the whole set is the label.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.errors import UsageError
from fairaudit.losses._processes import gathered
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class FairContrastiveLoss(GroupLoss):
    """The mean contrastive loss of the anchors.

    Args:
        n_groups: number of declared groups g.
        criterion: what targets mean; never called.
        temperature: see ``build``.
        group_norm: see ``build``.
    """

    whole_batch = True
    wants = "embeddings"

    def __init__(self, n_groups: int, criterion: Criterion, temperature: float, group_norm: bool) -> None:
        super().__init__(n_groups, criterion)
        self.temperature = temperature
        self.group_norm = group_norm

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The contrastive loss of (b, d) embeddings; see ``GroupLoss.forward``."""
        rows = gathered(functional.normalize(logits, dim=1))
        near = rows @ rows.T / self.temperature
        same_group = _equal(gathered(groups.unsqueeze(1)))
        same_label = _equal(gathered(self._labels(targets)))
        positives = same_label & ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        negatives = ~same_label & same_group
        anchors = positives.any(dim=1) & negatives.any(dim=1)
        if not anchors.any():
            return near.sum() * 0
        cells = (same_label & same_group)[anchors][:, anchors]
        near, positives, negatives = near[anchors], positives[anchors], negatives[anchors]
        losses = near.masked_fill(~negatives, -math.inf).logsumexp(dim=1, keepdim=True) - near
        weights = positives.to(near.dtype)
        if self.group_norm:
            weights = weights / (weights @ same_group.to(near.dtype)).clamp(min=1)
        of_anchor = (losses * weights).sum(dim=1) / weights.sum(dim=1)
        shares = 1 / cells.sum(dim=1).to(near.dtype) if self.group_norm else torch.ones_like(of_anchor)
        return (of_anchor * shares).sum() / shares.sum()

    def _labels(self, targets: Tensor) -> Tensor:
        """(b, t) int64 hard labels; two samples have the same label when all t agree."""
        if not targets.is_floating_point():
            return targets.unsqueeze(1) if targets.dim() == 1 else targets
        parts = [targets[:, task] for task in self.criterion.tasks(targets.shape[1])]
        hard = [(part > 0.5).squeeze(1) if part.shape[1] == 1 else part.argmax(dim=1) for part in parts]
        return torch.stack(hard, dim=1).long()


def _equal(rows: Tensor) -> Tensor:
    """(n, n) bool, whether two (n, t) rows are the same."""
    return (rows.unsqueeze(0) == rows.unsqueeze(1)).all(dim=2)


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    temperature: float = 0.1,
    group_norm: bool = True,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: what targets mean.
        temperature: τ, how much the nearest negatives outweigh the others.
        group_norm: FSCL+, in which each group weighs the same; without it FSCL.

    Raises:
        UsageError: an option is out of range.
        DataError: fewer than two groups have training images.
    """
    if not 0 < temperature < math.inf:
        raise UsageError(f"temperature must be a number above 0, not {temperature:g}")
    groups.require_two_groups("the loss fscl")
    return FairContrastiveLoss(groups.n_groups, criterion, temperature, group_norm)
