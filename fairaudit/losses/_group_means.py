"""Means per group over the global batch, whatever the number of processes.

Groups that are absent are left out or marked, so that one can neither be a nan nor count as a loss of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairaudit.losses._processes import summed


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


@dataclass(frozen=True, eq=False)
class GroupRates:
    """Weighted mean of c quantities in each of g declared groups.

    Attributes:
        rates: (g, c) means, differentiable; 0 where there is none, which ``present`` tells.
        present: (g, c) bool, whether any weight falls on the group.
    """

    rates: Tensor
    present: Tensor


def group_means(losses: Tensor, groups: Tensor, n_groups: int) -> GroupMeans:
    """Average per-sample losses within each group of the global batch.

    Every process must call it, even one whose share of the batch is empty.

    Args:
        losses: (b,) loss of each of this process's samples.
        groups: (b,) int64 group ids below ``n_groups``.
        n_groups: number of declared groups.
    """
    sums = summed(losses.new_zeros(n_groups).index_add(0, groups, losses))
    totals = summed(torch.bincount(groups, minlength=n_groups))
    ids = totals.nonzero().squeeze(1)
    return GroupMeans(ids, sums[ids] / totals[ids], totals[ids])


def group_rates(values: Tensor, weights: Tensor, groups: Tensor, n_groups: int) -> GroupRates:
    """Average several quantities within each group of the global batch, each sample with its own weights.

    Every process must call it, even one whose share of the batch is empty.

    Args:
        values: (b, c) of this process's samples.
        weights: (b, c) ≥ 0, for example 1 where a sample is of the class and 0 where not; not differentiated.
        groups: (b,) int64 group ids below ``n_groups``.
        n_groups: number of declared groups.
    """
    zeros = values.new_zeros(n_groups, values.shape[1])
    sums = summed(zeros.index_add(0, groups, values * weights))
    totals = summed(zeros.index_add(0, groups, weights))
    present = totals > 0
    return GroupRates(sums / totals.where(present, torch.ones_like(totals)), present)


def batch_mean(losses: Tensor) -> Tensor:
    """Average per-sample losses over the global batch.

    Every process must call it, even one whose share of the batch is empty.

    Args:
        losses: (b,) loss of each of this process's samples.

    Returns:
        The scalar mean, differentiable.
    """
    return summed(losses.sum()) / summed(torch.tensor(len(losses), device=losses.device))
