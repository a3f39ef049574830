"""Cross-entropy in which images that are right already count for little (focal loss).

Formula:
    L = (1/b) · Σ_i α·(1 − e^(−CE_i))^γ·CE_i; e^(−CE_i) is the probability of the true class. With ``paper_faithful`` the
    factor is that of the batch: L = α·(1 − e^(−B))^γ·B, B the mean of the CE_i, with α = 0.8.

Source:
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár, "Focal Loss for Dense Object Detection", ICCV 2017: per sample,
    γ = 2. The form of the batch mean is what Oehri, Vetterli, Jarvers, "Exploring Fairness in the Classification of Faces",
    KTH 2023, ran.

Traps:
    It is blind to groups: it helps one only as far as its images are the hard ones, and images with wrong labels are the
    hardest. The form of the batch mean does not tell images apart at all, it only rescales the step. α is one number for
    all classes, which optimizers such as Adam hardly notice. With soft targets, label smoothing, several targets or labels
    e^(−CE) is no probability but falls from 1 in the same way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._group_means import batch_mean
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups

PAPER_ALPHA = 0.8


class FocalLoss(GroupLoss):
    """The mean of the focused per-sample loss, or the focused mean.

    Args:
        n_groups: number of declared groups g.
        criterion: loss of each sample.
        gamma: see ``build``.
        alpha: the factor of everything.
        of_batch: whether the batch's mean is focused instead of each sample's loss.
    """

    uses_groups = False

    def __init__(self, n_groups: int, criterion: Criterion, gamma: float, alpha: float, of_batch: bool) -> None:
        super().__init__(n_groups, criterion)
        self.gamma = gamma
        self.alpha = alpha
        self.of_batch = of_batch
        self.whole_batch = of_batch

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002 (blind to groups)
        """The focused mean loss; see ``GroupLoss.forward``."""
        losses = self.criterion(logits, targets)
        return self._focused(batch_mean(losses)) if self.of_batch else batch_mean(self._focused(losses))

    def _focused(self, losses: Tensor) -> Tensor:
        # A loss of exactly 0 has an infinite derivative of the power for γ < 1; the smallest number has none.
        wrong = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
        return self.alpha * wrong**self.gamma * losses


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    paper_faithful: bool = False,
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        gamma: γ, how strongly images that are right are discounted; 0 discounts none.
        alpha: α, a factor of everything; None is 1, and 0.8 with ``paper_faithful``.
        paper_faithful: discount by the batch's mean loss, as Oehri, Vetterli and Jarvers do.

    Raises:
        UsageError: an option is out of range.
    """
    if not 0 <= gamma < math.inf:
        raise UsageError(f"gamma must be a number from 0 up, not {gamma:g}")
    factor = (PAPER_ALPHA if paper_faithful else 1.0) if alpha is None else alpha
    if not 0 < factor < math.inf:
        raise UsageError(f"alpha must be a number above 0, not {factor:g}")
    return FocalLoss(groups.n_groups, criterion, gamma, factor, paper_faithful)
