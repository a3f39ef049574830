"""Each label that is true against those that are not, by softmax (multi-label softmax).

Formula:
    L = the mean over all pairs of an image and one of its positives p of −log(e^z_p / (e^z_p + Σ_n e^z_n)), n the image's
    negatives: other positives are not in the denominator. A soft target t is that share of a positive and 1 − t of a
    negative. ``predict`` is the rule that goes with it.

Source:
    The recogniser that R. Mahadev, A. Chakravarti, "Understanding Gender and Racial Disparities in Image Recognition
    Models", 2021 (arXiv 2107.09211) examine, an entry of the Inclusive Images challenge (azat-d).

Traps:
    It teaches an order of labels and not probabilities: a sigmoid or a softmax over all labels means nothing, and decisions
    need ``predict``. Images without a positive teach nothing, and one with many weighs as much as all its pairs, which is
    why it is a ratio of the whole batch. The criterion is always this one; label smoothing is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.errors import UsageError
from fairaudit.losses._processes import summed
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups

TOP, THRESHOLD, FEWEST, MOST = 150, 0.55, 2, 5


@dataclass(frozen=True)
class PositivesAgainstNegatives:
    """The loss of one image: the mean over its positives; 0 for an image without any, which has no pair.

    Targets are (b, k), 0 or 1 or anything between, or (b,) the one positive of each image.
    """

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) mean over positives; see ``Criterion``."""
        sums, pairs = self.pairs(logits, targets)
        return sums / pairs.where(pairs > 0, torch.ones_like(pairs))

    def pairs(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) sum of the losses of each image's pairs, and (b,) how many there are.

        Args:
            logits: (b, k).
            targets: as in a call.
        """
        wanted = self.shares(logits, targets)
        # An image of positives only has nothing to be told from; all its labels are put in, and taken out again below.
        some = (wanted < 1).any(dim=1, keepdim=True)
        negatives = (logits + torch.where(some, 1 - wanted, 1).log()).logsumexp(dim=1, keepdim=True)
        # log(t·e^z_p + Σ_n (1 − t_n)·e^z_n): what the sum has of p itself and what p brings add up to one p.
        losses = torch.logaddexp(logits + wanted.log(), negatives) - logits
        return (wanted * losses * some).sum(dim=1), wanted.sum(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, k) sigmoid; only its order means something."""
        return logits.sigmoid()

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, k) targets; see ``Criterion``."""
        if targets.dim() == 1:
            return functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
        if targets.shape != logits.shape:
            raise ValueError(f"multi-label targets {tuple(targets.shape)} must have the shape {tuple(logits.shape)}")
        return targets.to(logits.dtype)

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """Each output is a yes or no of its own."""
        return tuple(slice(i, i + 1) for i in range(outputs))


class MultiLabelSoftmaxLoss(GroupLoss):
    """The mean over all pairs of the global batch."""

    whole_batch = True
    uses_groups = False

    def __init__(self, n_groups: int) -> None:
        super().__init__(n_groups, PositivesAgainstNegatives())

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002 (blind to groups)
        """The mean over pairs; 0 without any; see ``GroupLoss.forward``."""
        sums, pairs = PositivesAgainstNegatives().pairs(logits, targets)
        total = summed(pairs.sum())
        return summed(sums.sum()) / total.where(total > 0, torch.ones_like(total))


def scores(logits: Tensor, *, top: int = TOP) -> Tensor:
    """How sure the network is of each of its best labels, against all that are not among them.

    Args:
        logits: (b, k), k above ``top``.
        top: how many of the highest logits of an image may be its labels.

    Returns:
        (b, k) e^z_i/(e^z_i + Σ e^z of the labels ranked below ``top``); nan for those, which the rule gives no score.

    Raises:
        UsageError: there are not more labels than ``top``, or ``top`` is below 1.
    """
    k = logits.shape[1]
    if not 0 < top < k:
        raise UsageError(
            f"the rule compares each of the best {top} labels with all that rank below, but there are {k} labels; "
            f"choose a top between 1 and {k - 1}"
        )
    order = logits.argsort(dim=1, descending=True, stable=True)
    ranked = logits.gather(1, order)
    rest = ranked[:, top:].logsumexp(dim=1, keepdim=True)
    sure = torch.full_like(logits, math.nan)
    return sure.scatter(1, order[:, :top], (ranked[:, :top] - rest).sigmoid())


def predict(
    logits: Tensor, *, top: int = TOP, threshold: float = THRESHOLD, fewest: int = FEWEST, most: int = MOST
) -> Tensor:
    """Which labels are given to each image: those with a score above the threshold, but at least and at most so many.

    Args:
        logits: (b, k), k above ``top``.
        top: see ``scores``.
        threshold: what the score must exceed.
        fewest: labels that are given even where their scores are lower.
        most: labels that are given at the most.

    Returns:
        (b, k) bool.

    Raises:
        UsageError: the numbers do not fit each other or the labels.
    """
    if not 0 <= fewest <= most <= top:
        raise UsageError(f"fewest ({fewest}), most ({most}) and top ({top}) must be numbers from 0 up in this order")
    sure = scores(logits, top=top)
    order = logits.argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order).scatter(1, order, torch.arange(logits.shape[1], device=logits.device).expand_as(order))
    return ((sure > threshold) & (ranks < most)) | (ranks < fewest)


def build(groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: not used: this loss is its own.

    Raises:
        UsageError: label smoothing is asked for.
    """
    if getattr(criterion, "label_smoothing", 0.0):
        raise UsageError("multilabel-softmax has no label smoothing; set it to 0")
    return MultiLabelSoftmaxLoss(groups.n_groups)
