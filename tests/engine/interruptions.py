"""Trainings that are interrupted at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fairaudit.engine.history import History, Progress, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData
from fairaudit.losses import cross_entropy
from fairaudit.losses.base import GroupLoss
from tests.engine.small import accuracies, network, pictures, settings

DATA = pictures()


class Halt(BaseException):
    """What Ctrl-C raises, without stopping the tests."""


def go(
    folder: Path | None,
    *,
    loss: Callable[..., GroupLoss] = cross_entropy.build,
    model: nn.Module | None = None,
    data: TrainingData = DATA,
    progress: Callable[[Progress], None] | None = None,
    score: Callable[[int, Tensor], Validation] | None = None,
    **changes: Any,
) -> tuple[nn.Module, History]:
    model = network() if model is None else model
    judged = score or accuracies(data)
    history = train(
        model,
        data,
        loss(data.counted),
        settings(**({"epochs": 4} | changes)),
        validation=data.images,
        score=judged,
        progress=progress,
        resume=folder,
    )
    return model, history


def halting(epoch: int, batch: int) -> Callable[[Progress], None]:
    """Stop in the middle of an epoch; or, with more batches than there are, after it has ended."""
    reported = []

    def hear(now: Progress) -> None:
        reported.append(now)
        ended = len(reported) > 1 and reported[-2].batch == now.batch == now.batches
        if now.epoch == epoch and (now.batch == batch or (batch > now.batches and ended)):
            raise Halt

    return hear
