"""Mean cross-entropy plus a weight times how far the groups' losses spread.

Formula:
    L = mean CE + λ · Var_g(mean_{i: g(i) = g} CE_i), the population variance over the groups present in the batch. With
    ``measure=accuracy-std`` the second term is λ times the standard deviation of the groups' soft accuracies,
    mean_{i: g(i) = g} p_i(y_i); where several targets are predicted, p_i is the product of theirs; for multi-label targets
    it is the mean over labels.

Source:
    Oehri, Vetterli, Jarvers, "Exploring Fairness in the Classification of Faces", KTH 2023. Their penalty is the variance
    of losses *summed* over each race × gender cell, which mostly measures how many images of a cell are in the batch; and
    in every published version it is a number without a gradient, so that it changed nothing but the logged loss. That it
    did not help there says nothing against the idea. Means instead of sums, and the gradient, are ours.

Traps:
    A spread can be lowered by making the better groups worse. Group means over a handful of images vary by chance, and the
    variance punishes that too: use large batches or balanced sampling. One group present has no spread.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from fairaudit.losses._group_means import group_means
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, PenalisedLoss, TrainingGroups

Measure = Literal["loss-variance", "accuracy-std"]


class ClassSpreadLoss(PenalisedLoss):
    """The mean loss plus the spread over groups."""

    def __init__(self, n_groups: int, criterion: Criterion, weight: float, measure: Measure) -> None:
        super().__init__(n_groups, criterion, weight)
        self.measure = measure

    def penalty(self, losses: Tensor, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The spread over the groups present; see ``PenalisedLoss.penalty``."""
        if self.measure == "loss-variance":
            return group_means(losses, groups, self.n_groups).means.var(correction=0)
        means = group_means(self._soft_accuracy(logits, targets), groups, self.n_groups).means
        # The norm has a gradient where all accuracies are equal, which a root of the variance has not.
        distance: Tensor = torch.linalg.vector_norm(means - means.mean())
        return distance / math.sqrt(len(means))

    def _soft_accuracy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) probability that the network gives to what is true."""
        right, shares = self.criterion.probabilities(logits), self.criterion.shares(logits, targets)
        tasks = self.criterion.tasks(logits.shape[1])
        if all(task.stop - task.start == 1 for task in tasks):
            return (right * shares + (1 - right) * (1 - shares)).mean(dim=1)
        return torch.stack([(right[:, task] * shares[:, task]).sum(dim=1) for task in tasks]).prod(dim=0)


def build(
    groups: TrainingGroups,
    criterion: Criterion = CROSS_ENTROPY,
    *,
    weight: float = 1.0,
    measure: Measure = "loss-variance",
) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
        weight: λ.
        measure: ``loss-variance`` of the groups' mean losses, or ``accuracy-std`` of their soft accuracies.

    Raises:
        UsageError: an option is out of range.
        DataError: fewer than two groups have training images.
    """
    groups.require_two_groups("the loss class-spread")
    return ClassSpreadLoss(groups.n_groups, criterion, weight, measure)
