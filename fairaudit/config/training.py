"""How a network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairaudit.config.base import Settings
from fairaudit.config.model import Precision

Schedule = Literal["cosine", "step", "none"]
Balance = Literal["none", "groups"]
Augment = Literal["none", "classic"]
Select = Literal["last", "worst-group", "average"]


class TrainingSettings(Settings):
    """How a network is trained; the loss is chosen apart.

    Attributes:
        epochs: passes over as many images as the training set has.
        batch_size: images per step, over all processes.
        lr: the largest learning rate.
        optimizer: one of timm's names (adamw, sgd, lamb …).
        weight_decay: not applied to biases and normalisation.
        schedule: ``cosine`` falls to 0 by the last step, ``step`` falls to a tenth after each third, ``none`` stays.
        warmup: epochs in which the learning rate rises from a hundredth.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of the forward and backward pass; weights stay fp32.
        balance: ``groups`` fills every batch with as many images of each group, repeating those of rare groups.
        augment: ``classic`` flips, turns, shifts, scales and recolours at random, as portraits allow.
        select: which epoch's weights are kept: the last, or the one with the best validation score, which is the worst
            group's or the average accuracy.
        seed: of the order of images, augmentation and dropout; the initial weights are the caller's.
        workers: threads that decode images ahead of the network; None chooses by the number of cores.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=2)] = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    optimizer: str = "adamw"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Schedule = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    device: str = "auto"
    precision: Precision = "fp32"
    balance: Balance = "none"
    augment: Augment = "none"
    select: Select = "last"
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _warmup_ends(self) -> TrainingSettings:
        if self.warmup >= self.epochs:
            raise ValueError(f"a warmup of {self.warmup} epochs leaves nothing of {self.epochs}; it must be shorter")
        return self
