"""What the processes of a distributed run put together: sums, and the rows of all of them.

Each of W processes computes the same global value and backpropagates W times its share of the gradient; averaging
parameter gradients over processes, as DistributedDataParallel does, divides by W again. With one process nothing happens.
Every process must make the same calls in the same order, even one whose share of the batch is empty.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def summed(values: Tensor) -> Tensor:
    """Sum over processes; differentiable where ``values`` is.

    Args:
        values: any shape, the same in every process.
    """
    if _processes() == 1:
        return values
    total: Tensor = _SumOverProcesses.apply(values)
    return total


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, one process after the other; differentiable where ``rows`` is.

    Args:
        rows: (b, …) this process's rows; b may differ between processes, what follows it may not.

    Returns:
        (Σb, …), the same in every process.
    """
    processes = _processes()
    if processes == 1:
        return rows
    sizes = torch.zeros(processes, dtype=torch.int64, device=rows.device)
    sizes[distributed.get_rank()] = len(rows)
    distributed.all_reduce(sizes)
    ends = sizes.cumsum(0).tolist()
    first = ends[distributed.get_rank()] - len(rows)
    # Adding zeros is exact, and it lets processes have different numbers of rows.
    mine = torch.arange(first, first + len(rows), device=rows.device)
    return summed(rows.new_zeros(ends[-1], *rows.shape[1:]).index_copy(0, mine, rows))


def _processes() -> int:
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


class _SumOverProcesses(torch.autograd.Function):
    """Sum over processes whose gradient is the sum of the processes' gradients."""

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
