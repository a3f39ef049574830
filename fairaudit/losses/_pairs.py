"""What losses over pairs of samples share: the predictions of the whole batch, and how near they are to each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses._parity import compared
from fairaudit.losses._processes import gathered
from fairaudit.losses.base import Criterion


def predictions(criterion: Criterion, logits: Tensor) -> Tensor:
    """Predicted probabilities of the global batch, one column for a target of two classes.

    Args:
        criterion: what the logits mean.
        logits: (b, k) of this process's samples.

    Returns:
        (n, c), differentiable.
    """
    columns, _ = compared(criterion.tasks(logits.shape[1]))
    return gathered(criterion.probabilities(logits)[:, columns])


def gaussian(rows: Tensor, width: float) -> Tensor:
    """(n, n) e^(−d²/width²), d the Euclidean distance of two rows.

    Args:
        rows: (n, c).
        width: distance at which it has fallen to 1/e; textbooks write σ√2 for it.
    """
    squares = rows.pow(2).sum(dim=1)
    # The product is computed in another order than the squares, so that the difference may round below 0.
    distances = (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * rows @ rows.T).clamp(min=0)
    return torch.exp(-distances / width**2)


def check_width(name: str, width: float) -> None:
    """Refuse a kernel without a width.

    Args:
        name: the option's name.
        width: its value.

    Raises:
        UsageError: it is not above 0.
    """
    if not 0 < width < math.inf:
        raise UsageError(f"{name} must be a number above 0, not {width:g}")
