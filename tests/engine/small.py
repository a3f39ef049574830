"""Pictures, networks and settings small enough to train in a blink."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.config import Preprocess, TrainingSettings, validated
from fairaudit.engine.history import History, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.losses import cross_entropy
from fairaudit.losses.base import GroupLoss

PREPROCESS = Preprocess(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def pictures(n: int = 96, seed: int = 0, groups: int = 3) -> TrainingData:
    """Class 1 is redder; the rarer the group, the fainter the hint."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(60, 160, (n, 3, 8, 8), generator=generator)
    targets = torch.randint(0, 2, (n,), generator=generator)
    ids = (torch.arange(n) % 7).clamp(max=groups - 1).flip(0)
    pixels[:, 0] += (targets * (20 + 10 * ids))[:, None, None]
    labels = tuple(f"group {i}" for i in range(groups))
    return TrainingData(CachedImages(pixels.byte()), targets, ids, ("female", "male"), labels, PREPROCESS)


def network(seed: int = 0, classes: int = 2) -> nn.Sequential:
    """With everything that makes repeating and splitting hard: batch statistics and dropout."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(8, classes))


def plain_network(seed: int = 0, classes: int = 2) -> nn.Sequential:
    """Each image goes through it as if it were alone."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(72, classes))


def settings(**changes: Any) -> TrainingSettings:
    small = {"epochs": 3, "batch_size": 16, "lr": 0.02, "device": "cpu", "workers": 0}
    return validated(small | changes, TrainingSettings, "the test")


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def same_bits(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def run(
    model: nn.Module | None = None,
    data: TrainingData | None = None,
    loss: Callable[..., GroupLoss] = cross_entropy.build,
    **changes: Any,
) -> tuple[nn.Module, History]:
    model = network() if model is None else model
    data = pictures() if data is None else data
    return model, train(model, data, loss(data.counted), settings(**changes))


def accuracies(data: TrainingData) -> Callable[[int, Tensor], Validation]:
    """The worst group's accuracy as a score."""

    def score(epoch: int, logits: Tensor) -> Validation:
        right = (logits.argmax(1) == data.targets).double()
        each = tuple(float(right[data.groups == g].mean()) for g in range(len(data.group_labels)))
        return Validation(min(each), each)

    return score


def told(history: History) -> list[Any]:
    """What a history says apart from the time that it took, in a form in which nan equals nan."""
    return [
        history.select,
        history.selected,
        *(
            [
                e.epoch,
                e.loss,
                e.lr,
                [None if math.isnan(v) else v for v in e.group_losses],
                None if e.validation is None else [e.validation.score, *e.validation.group_accuracies],
            ]
            for e in history.epochs
        ),
    ]
