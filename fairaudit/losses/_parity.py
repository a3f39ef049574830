"""Differentiable gaps between groups in mean predicted probabilities, each under a condition on the true class."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from fairaudit.losses._group_means import GroupRates, group_rates
from fairaudit.losses.base import Criterion, PenalisedLoss

Gap = Literal["range", "pairwise"]


class ParityLoss(PenalisedLoss):
    """The mean loss plus gaps in mean predicted probability between the groups present.

    Of two classes only one is compared, because the other's gap under the same condition is the same number. Of more
    classes, and of several targets, the gaps are averaged: over the classes of each target, then over the targets.

    Args:
        n_groups: number of declared groups g.
        criterion: loss of each sample.
        weight: λ.
        gap: ``range`` is max − min over groups, ``pairwise`` the mean absolute difference of two groups.
        positive: which of two classes is compared, and whose truth is the condition.
    """

    def __init__(self, n_groups: int, criterion: Criterion, weight: float, gap: Gap, positive: int = 1) -> None:
        super().__init__(n_groups, criterion, weight)
        self.gap = gap
        self.positive = positive

    @abstractmethod
    def conditions(self, shares: Tensor) -> list[Tensor]:
        """Which samples each gap is taken over.

        Args:
            shares: (b, c) 1 where the sample is of the class, 0 where not, or a soft target.

        Returns:
            For each gap the (b, c) weights of the samples; gaps are added.
        """

    def penalty(self, losses: Tensor, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002
        """The sum of the gaps; see ``PenalisedLoss.penalty``."""
        tasks = self.criterion.tasks(logits.shape[1])
        columns, owners = compared(tasks, self.positive)
        values = self.criterion.probabilities(logits)[:, columns]
        shares = self.criterion.shares(logits, targets)[:, columns]
        owner = torch.tensor(owners, device=logits.device)
        total = values.sum() * 0
        for weights in self.conditions(shares):
            gaps, known = self._gaps(group_rates(values, weights, groups, self.n_groups))
            total = total + _mean_of_means(gaps, known, owner, len(tasks))
        return total

    def _gaps(self, found: GroupRates) -> tuple[Tensor, Tensor]:
        """(c,) gap over the groups present, and (c,) whether there are two to compare."""
        rates, present = found.rates, found.present
        n = present.sum(dim=0)
        known = n > 1
        if self.gap == "range":
            high = rates.masked_fill(~present, float("-inf")).amax(dim=0)
            low = rates.masked_fill(~present, float("inf")).amin(dim=0)
            return torch.where(known, high, 0) - torch.where(known, low, 0), known
        both = present.unsqueeze(0) & present.unsqueeze(1)
        # Each pair is in the sum twice, and n·(n − 1) is twice the number of pairs.
        sums = ((rates.unsqueeze(0) - rates.unsqueeze(1)).abs() * both).sum(dim=(0, 1))
        return sums / (n * (n - 1)).clamp(min=1), known


def compared(tasks: tuple[slice, ...], positive: int = 1) -> tuple[list[int], list[int]]:
    """Outputs that differ from each other in more than their sign, and the task that each belongs to.

    Args:
        tasks: outputs of each task.
        positive: the one that stands for both where a task has two classes.
    """
    columns: list[int] = []
    owners: list[int] = []
    for number, task in enumerate(tasks):
        mine = range(task.start, task.stop)
        chosen = [mine[positive]] if len(mine) == 2 else list(mine)
        columns += chosen
        owners += [number] * len(chosen)
    return columns, owners


def _mean_of_means(gaps: Tensor, known: Tensor, owner: Tensor, n_tasks: int) -> Tensor:
    """Mean over tasks of the mean over their known gaps; 0 where none is known."""
    of_task = torch.zeros(n_tasks, dtype=torch.int64, device=gaps.device).index_add(0, owner, known.long())
    weights = known.to(gaps.dtype) / of_task.clamp(min=1)[owner] / (of_task > 0).sum().clamp(min=1)
    return (gaps * weights).sum()
