"""Batches for tests of losses, and what is taught about them again in plain Python: lists, sums and the math module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fairaudit.losses.base import TrainingGroups

LABELS = ("Black", "East Asian", "Indian", "White")
GROUPS = [0, 3, 3, 0, 1, 3, 3, 1, 3]  # group 2 is absent


def counted(counts: list[int], labels: tuple[str, ...] = LABELS) -> TrainingGroups:
    return TrainingGroups(labels, torch.tensor([[n - n // 2, n // 2] for n in counts]))


def batch(seed: int, groups: list[int], classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(groups), classes, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, classes, (len(groups),), generator=generator)
    return logits, targets, torch.tensor(groups)


def softmax(logits: Sequence[float]) -> list[float]:
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


def one_hot(index: int, classes: int) -> list[float]:
    return [float(c == index) for c in range(classes)]


def plain_cross_entropy(logits: Sequence[float], target: Sequence[float]) -> float:
    return -sum(share * math.log(p) for p, share in zip(softmax(logits), target, strict=True))


def plain_losses(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> list[float]:
    k = logits.shape[1]
    hard = targets.dim() == 1
    losses = []
    for z, target in zip(logits.tolist(), targets.tolist(), strict=True):
        shares = one_hot(target, k) if hard else target
        losses.append(plain_cross_entropy(z, [(1 - smoothing) * s + smoothing / k for s in shares]))
    return losses


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def plain_group_means(values: Sequence[float], groups: Sequence[int]) -> dict[int, float]:
    return {
        g: mean([value for value, group in zip(values, groups, strict=True) if group == g]) for g in sorted(set(groups))
    }
