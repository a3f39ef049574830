"""The mean cross-entropy of the worst share of the batch, whoever is in it (CVaR).

Formula:
    L = (1/(αb)) · (the sum of the ⌊αb⌋ largest CE_i + the fraction αb − ⌊αb⌋ of the next), over the global batch of b.

Source:
    D. Levy, Y. Carmon, J. C. Duchi, A. Sidford, "Large-Scale Methods for Distributionally Robust Optimization", NeurIPS
    2020, which minimises the conditional value at risk of R. T. Rockafellar and S. Uryasev, 2000. α = 0.1 as published
    benchmarks of subpopulation shift have it.

Traps:
    It needs no groups, and pays for that: the worst images are often those with wrong labels, and nothing says that the
    worst tenth are of one group. Only αb images teach in each step, so batches must be large; where αb is below 1 it is the
    single worst image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._processes import gathered
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class CVaRLoss(GroupLoss):
    """The mean of the largest losses."""

    whole_batch = True
    uses_groups = False

    def __init__(self, n_groups: int, criterion: Criterion, alpha: float) -> None:
        super().__init__(n_groups, criterion)
        self.alpha = alpha

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002 (blind to groups)
        """The mean of the worst share; see ``GroupLoss.forward``."""
        losses = gathered(self.criterion(logits, targets))
        share = min(self.alpha * len(losses), len(losses))
        worst = losses.topk(math.ceil(share)).values
        # αb is rarely whole: each of the worst has weight 1, the last of them what is left.
        left = share - torch.arange(len(worst), device=losses.device, dtype=losses.dtype)
        return (worst * left.clamp(max=1)).sum() / share


def build(groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY, *, alpha: float = 0.1) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        alpha: α, the share of the batch that is averaged; 1 is the mean of all.

    Raises:
        UsageError: the option is out of range.
    """
    if not 0 < alpha <= 1:
        raise UsageError(f"alpha must be above 0 and at most 1, not {alpha:g}")
    return CVaRLoss(groups.n_groups, criterion, alpha)
