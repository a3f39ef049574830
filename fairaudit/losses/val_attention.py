"""Cross-entropy that weighs groups by how badly they fared on the validation images (valattention).

Formula:
    L = (1/b) · Σ_i w_{g(i)}·CE_i with w_g = 2^((μ − a_g)/(2σ)), a_g the validation accuracy of group g, μ and σ the mean
    and the population standard deviation of the accuracies. All weights are 1 until there are accuracies, and when σ = 0;
    a group without validation images weighs 1.

Source:
    Oehri, Vetterli, Jarvers, "Exploring Fairness in the Classification of Faces", KTH 2023, with its code. There the cells
    are race × gender, a_g is the share with both right, rounded to 0.1 points (``paper_faithful``), and the weights come
    once from a first, unweighted run (``static`` with ``accuracies``). New weights after every epoch are our extension.

Traps:
    Only the pattern of the accuracies matters, not how far apart they are: 90.1 and 90.2 % get the same two weights as 40
    and 90 %. They are not normalised: their mean over groups is above 1, so the same learning rate takes larger
    steps. Validation images that choose weights each epoch also choose the epoch: only the test images are still clean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._group_means import batch_mean
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups

_EQUAL = 1e-9
"""Accuracies that spread less differ by rounding: that of n images is a multiple of 1/n."""


class ValidationAttentionLoss(GroupLoss):
    """The mean of the per-sample loss times its group's weight.

    Args:
        n_groups: number of declared groups g.
        criterion: loss of each sample.
        static: see ``build``.
        rounded: whether accuracies are rounded to 0.1 percentage points.

    Attributes:
        group_weights: (g,) w_g, a buffer.
        heard: () bool, a buffer: whether there have been accuracies.
    """

    group_weights: Tensor
    heard: Tensor

    def __init__(self, n_groups: int, criterion: Criterion, static: bool, rounded: bool) -> None:
        super().__init__(n_groups, criterion)
        self.static = static
        self.rounded = rounded
        self.register_buffer("group_weights", torch.ones(n_groups))
        self.register_buffer("heard", torch.tensor(False))

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The weighted mean loss; see ``GroupLoss.forward``."""
        losses = self.criterion(logits, targets)
        return batch_mean(losses * self.group_weights.to(losses.dtype)[groups])

    def update(self, accuracies: Tensor) -> None:
        """Take new weights; nothing changes where weights are static and set; see ``GroupLoss.update``."""
        if (self.static and bool(self.heard)) or bool(accuracies.isnan().all()):
            return
        self.group_weights.copy_(attention(accuracies, rounded=self.rounded))
        self.heard.fill_(True)


def attention(accuracies: Tensor, *, rounded: bool = False) -> Tensor:
    """Weight of each group.

    Args:
        accuracies: (g,) float64 shares, nan where there is none.
        rounded: round them to 0.1 percentage points first.

    Returns:
        (g,) float64 2^((μ − a)/(2σ)); 1 where there is no accuracy, and everywhere when all are equal.
    """
    shares = (accuracies * 100).round(decimals=1) / 100 if rounded else accuracies
    there = ~shares.isnan()
    known = shares[there]
    if not len(known) or known.std(correction=0) <= _EQUAL:
        return torch.ones_like(shares)
    return torch.where(there, 2 ** ((known.mean() - shares) / (2 * known.std(correction=0))), 1.0)


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    static: bool = False,
    accuracies: tuple[float, ...] = (),
    paper_faithful: bool = False,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        static: keep the first weights: those of ``accuracies``, or of the first epoch that is validated.
        accuracies: validation accuracy of each group in a first run, in the order of the groups, as shares or in percent;
            nan where there was none. Without them all groups weigh the same at first.
        paper_faithful: round accuracies to 0.1 percentage points, as the paper's code does.

    Raises:
        UsageError: there are not as many accuracies as groups, or one cannot be an accuracy.
    """
    loss = ValidationAttentionLoss(groups.n_groups, criterion, static, paper_faithful)
    if accuracies:
        loss.update(_shares(accuracies, groups))
    return loss


def _shares(accuracies: tuple[float, ...], groups: TrainingGroups) -> Tensor:
    if len(accuracies) != groups.n_groups:
        raise UsageError(
            f"accuracies must be {groups.n_groups} numbers, one for each of the groups {', '.join(groups.labels)}, "
            f"not {len(accuracies)}"
        )
    for label, accuracy in zip(groups.labels, accuracies, strict=True):
        if not (math.isnan(accuracy) or 0 <= accuracy <= 100):
            raise UsageError(f"the accuracy of {label} must be between 0 and 100 percent, not {accuracy:g}")
    given = torch.tensor(accuracies, dtype=torch.float64)
    return given / 100 if bool((given > 1).any()) else given
