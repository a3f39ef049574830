"""Mean loss per group over the global batch, whatever the number of processes.

Only groups that are present are returned, so that an absent one can neither be a nan nor count as a loss of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Mean loss of the p groups that occur in a batch.

    Attributes:
        ids: (p,) int64, the groups that occur, ascending.
        means: (p,) mean loss of each, differentiable.
        counts: (p,) int64, samples of each in the global batch, at least 1.
    """

    ids: Tensor
    means: Tensor
    counts: Tensor


def group_means(losses: Tensor, groups: Tensor, n_groups: int) -> GroupMeans:
    """Average per-sample losses within each group of the global batch.

    Every process must call it, even one whose share of the batch is empty.

    Args:
        losses: (b,) loss of each of this process's samples.
        groups: (b,) int64 group ids below ``n_groups``.
        n_groups: number of declared groups.
    """
    sums = losses.new_zeros(n_groups).index_add(0, groups, losses)
    counts = torch.bincount(groups, minlength=n_groups)
    sums, totals = _over_processes(sums, counts)
    ids = totals.nonzero().squeeze(1)
    return GroupMeans(ids, sums[ids] / totals[ids], totals[ids])


def batch_mean(losses: Tensor) -> Tensor:
    """Average per-sample losses over the global batch.

    Every process must call it, even one whose share of the batch is empty.

    Args:
        losses: (b,) loss of each of this process's samples.

    Returns:
        The scalar mean, differentiable.
    """
    count = torch.tensor([len(losses)], device=losses.device)
    sums, totals = _over_processes(losses.sum().unsqueeze(0), count)
    return (sums / totals).squeeze(0)


def _over_processes(sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return sums, counts
    totals = counts.clone()
    distributed.all_reduce(totals)
    reduced: Tensor = _SumOverProcesses.apply(sums)
    return reduced, totals


class _SumOverProcesses(torch.autograd.Function):
    """Sum over processes whose gradient is the sum of the processes' gradients.

    Each of W processes then backpropagates W times its share of the global loss's gradient, and averaging parameter
    gradients over processes divides by W again.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 (autograd passes the context)
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total
