"""Mean cross-entropy plus a weight times the dependence of predictions on groups (HSIC).

Formula:
    L = mean CE + λ · tr(K H L H)/(m − 1)² over the global batch of m: K_ij = e^(−|p_i − p_j|²/σ²) of predicted
    probabilities, L_ij = e^(−|s_i − s_j|²/σ²) of the one-hot group, H = I − 1/m.

Source:
    A. Gretton, O. Bousquet, A. Smola, B. Schölkopf, "Measuring Statistical Dependence with Hilbert-Schmidt Norms", ALT
    2005; as a penalty with σ = 1 and λ = 1: X. Han et al., "FFB: A Fair Fairness Benchmark for In-Processing Group Fairness
    Methods", ICLR 2024, whose code has no 2 in the exponent. The one-hot group is ours: there two groups are 0 and 1.

Traps:
    Its values are small (a few hundredths at most), so λ must often be tens or hundreds to be felt. It asks for
    independence, also where groups differ in truth. Time and memory grow with the square of the batch. It is above 0 by
    chance in small batches.
"""

from __future__ import annotations

import math

from torch import Tensor

from fairaudit.losses._pairs import check_width, gaussian, predictions
from fairaudit.losses._processes import gathered
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, PenalisedLoss, TrainingGroups


class HSICLoss(PenalisedLoss):
    """The mean loss plus the Hilbert-Schmidt independence criterion."""

    def __init__(self, n_groups: int, criterion: Criterion, weight: float, sigma: float) -> None:
        super().__init__(n_groups, criterion, weight)
        self.sigma = sigma

    def penalty(self, losses: Tensor, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002
        """The dependence of predictions on groups; see ``PenalisedLoss.penalty``."""
        kernel = gaussian(predictions(self.criterion, logits), self.sigma)
        everyone = gathered(groups)
        same = (everyone.unsqueeze(0) == everyone.unsqueeze(1)).to(kernel.dtype)
        # Two different one-hot rows are √2 apart.
        apart = math.exp(-2 / self.sigma**2)
        centred = kernel - kernel.mean(dim=0, keepdim=True) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
        return (centred * (apart + (1 - apart) * same)).sum() / max(len(everyone) - 1, 1) ** 2


def build(
    groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY, *, weight: float = 1.0, sigma: float = 1.0
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        weight: λ.
        sigma: σ, the width of both kernels.

    Raises:
        UsageError: an option is out of range.
        DataError: fewer than two groups have training images.
    """
    check_width("sigma", sigma)
    groups.require_two_groups("the loss hsic")
    return HSICLoss(groups.n_groups, criterion, weight, sigma)
