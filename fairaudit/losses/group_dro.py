"""Group losses weighted by an adversary that remembers which groups were bad (group DRO).

Formula:
    L = Σ q_g·L_g / Σ q_g over the groups g present in the batch, L_g their mean losses. Before it, while training, the
    weights of the groups present move: q_g ← M · q_g·e^(η(L_g + C/√n_g)) / Σ_h q_h·e^(η(L_h + C/√n_h)), M their sum before,
    n_g the training images of g. All start at 1/G; groups that are absent keep their weight.

Source:
    S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang, "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020;
    η = 0.01 and C = 0 are the defaults of its code. There a group that a batch lacks counts as a loss of 0, so that its
    weight shrinks; here it is left out of both sums.

Traps:
    The paper's point is that it needs strong regularisation (weight decay, few epochs, or C > 0): once every training image
    is fitted, all groups have loss 0 and nothing is left to weigh. Its code samples groups evenly. With a very large η the
    worst group has all the weight, as in max-group. A group whose labels are noise gains weight for ever. C moves the
    weights, not the value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._group_means import group_means
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class GroupDROLoss(GroupLoss):
    """The adversary's mean of the group losses.

    Args:
        criterion: loss of each sample.
        step_size: see ``build``.
        adjustments: (g,) C/√n_g of each group.

    Attributes:
        log_group_weights: (g,) log q_g, a buffer: logarithms, so that no weight is rounded to 0 for ever.
    """

    whole_batch = True
    adjustments: Tensor
    log_group_weights: Tensor

    def __init__(self, criterion: Criterion, step_size: float, adjustments: Tensor) -> None:
        n_groups = len(adjustments)
        super().__init__(n_groups, criterion)
        self.step_size = step_size
        self.register_buffer("adjustments", adjustments, persistent=False)
        self.register_buffer("log_group_weights", torch.full((n_groups,), -math.log(n_groups)))

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The weighted mean of the groups present; see ``GroupLoss.forward``."""
        found = group_means(self.criterion(logits, targets), groups, self.n_groups)
        weights = self.log_group_weights[found.ids].to(found.means.dtype)
        if self.training:
            gains = self.step_size * (found.means.detach() + self.adjustments[found.ids])
            weights = (weights + gains).log_softmax(dim=0) + weights.logsumexp(dim=0)
            self.log_group_weights[found.ids] = weights.to(self.log_group_weights.dtype)
        return weights.softmax(dim=0) @ found.means


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    step_size: float = 0.01,
    adjustment: float = 0.0,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        step_size: η, how fast the weights follow the losses.
        adjustment: C, how much more is expected of a small group, whose training loss says less about new images.

    Raises:
        UsageError: an option is out of range.
        DataError: a group has no training images.
    """
    if not 0 < step_size < math.inf:
        raise UsageError(f"step_size must be a number above 0, not {step_size:g}")
    if not 0 <= adjustment < math.inf:
        raise UsageError(f"adjustment must be a number from 0 up, not {adjustment:g}")
    groups.require_images("the loss group-dro")
    return GroupDROLoss(criterion, step_size, (adjustment / groups.group_counts.double().sqrt()).float())
