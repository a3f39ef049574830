"""The mean cross-entropy of whichever group is worst in the batch (max-group).

Formula:
    L = max over the groups s present in the batch of mean_{i: s_i = s} CE_i. With ``ema`` γ > 0 each group keeps a running
    loss, r_s ← (1−γ)·r_s + γ·mean_s whenever it is present; the group with the largest r_s among those present is
    chosen, and the gradient flows through its mean in this batch.

Source:
    L. Colakovic, S. Karakatič, "Fostering Fairness in Image Classification through Awareness of Sensitive Data", 2024.
    The paper does not say what happens to groups that a batch lacks: here the maximum is over those present. The running
    loss, the smallest count and γ are ours.

Traps:
    Only one group's images teach in each step, so with many groups or small batches most of the gradient is thrown away
    and the maximum follows noise: use large batches, balanced sampling, a smallest count or a running loss. The group
    with the noisiest labels can stay the worst for ever. A weight of the chosen group is not remembered from batch to
    batch: group-DRO is the smooth relative that does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._group_means import batch_mean, group_means
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class MaxGroupLoss(GroupLoss):
    """The mean loss of the worst group.

    Args:
        n_groups: number of declared groups g.
        criterion: loss of each sample.
        ema: see ``build``.
        min_count: see ``build``.

    Attributes:
        running_losses: (g,) running loss of each group, a buffer; nan until the group was seen.
    """

    whole_batch = True
    running_losses: Tensor

    def __init__(self, n_groups: int, criterion: Criterion, ema: float, min_count: int) -> None:
        super().__init__(n_groups, criterion)
        self.ema = ema
        self.min_count = min_count
        self.register_buffer("running_losses", torch.full((n_groups,), float("nan")))

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The worst group's mean loss; see ``GroupLoss.forward``."""
        losses = self.criterion(logits, targets)
        found = group_means(losses, groups, self.n_groups)
        enough = found.counts >= self.min_count
        if not enough.any():
            return batch_mean(losses)
        ids, means = found.ids[enough], found.means[enough]
        ranking = self._remember(ids, means.detach()) if self.ema else means.detach()
        return means[ranking.argmax()]

    def _remember(self, ids: Tensor, means: Tensor) -> Tensor:
        """(p,) running losses of the groups present after this batch; kept only while training."""
        before = self.running_losses[ids]
        new = means.to(before.dtype)
        after = torch.where(before.isnan(), new, (1 - self.ema) * before + self.ema * new)
        if self.training:
            self.running_losses[ids] = after
        return after


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    ema: float = 0.0,
    min_count: int = 1,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        ema: γ, the weight of a batch's mean in the running loss that chooses the group; 0 chooses by this batch alone.
        min_count: groups with fewer samples in a batch cannot be chosen; when all have fewer, the batch's mean is used.

    Raises:
        UsageError: an option is out of range.
        DataError: a group has no training images.
    """
    if not 0 <= ema <= 1:
        raise UsageError(f"ema must be between 0 and 1, not {ema:g}")
    if min_count < 1:
        raise UsageError(f"min_count must be at least 1, not {min_count}")
    groups.require_images("the loss max-group")
    return MaxGroupLoss(groups.n_groups, criterion, ema, min_count)
