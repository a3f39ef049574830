"""How a network is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairaudit.config.base import Settings
from fairaudit.config.model import Precision

Schedule = Literal["cosine", "step", "none"]
Balance = Literal["none", "groups"]
Augment = Literal["classic", "s1", "randaugment", "mixup", "cutmix"]
Select = Literal["last", "worst-group", "average", "gap"]
Cache = Literal["memory", "disk", "none"]
Log = Literal["csv", "tensorboard"]


class TrainingSettings(Settings):
    """How a network is trained; the loss is chosen apart.

    Attributes:
        epochs: passes over as many images as the training set has. The images beyond the last full batch are left out of an
            epoch, other ones each time; a training set smaller than one batch is one batch.
        batch_size: images per step, over all processes.
        accumulate: parts in which each batch is computed one after the other, to save memory. The gradient is that of the
            whole batch, also of losses that compare its images; only batch normalisation sees the parts.
        lr: the largest learning rate.
        optimizer: one of timm's names (adamw, sgd, lamb …).
        weight_decay: not applied to biases and normalisation.
        schedule: ``cosine`` falls to 0 by the last step, ``step`` to a tenth after each ``step_share``, ``none`` stays.
        step_share: of the epochs, after which ``step`` falls.
        warmup: epochs in which the learning rate rises from a hundredth.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of the forward and backward pass; weights stay fp32.
        balance: ``groups`` fills every batch with as many images of each group, repeating those of rare groups.
        augment: random changes of the training images, applied in this order. ``randaugment`` draws two of fourteen
            changes for each image; ``classic`` flips, turns, shifts, scales and recolours mildly, as portraits allow;
            ``s1`` does so as the face classifiers of Oehri, Vetterli and Jarvers were trained; ``mixup`` and ``cutmix``
            mix pairs of images and their targets, each batch by one of the two when both are named.
        mix_alpha: mixup and cutmix draw the share of the first image from Beta(mix_alpha, mix_alpha).
        mix_share: share of the batches that are mixed.
        freeze: what keeps its weights: ``none``; ``backbone``, everything below the last layer, whose features are computed
            once where images are not changed at random; or names of layers, separated by commas (``conv1,layer1``).
            Frozen layers run as in evaluation: their batch statistics stay and their dropout is off.
        ema: decay of a running average of the weights, which is then what is validated and kept; None keeps the weights.
            The decay rises from 0 as 1 − (1 + step)^(−2/3), so that short trainings forget their start.
        label_smoothing: share of each target that is spread evenly over all classes.
        select: which epoch's weights are kept: the last, or the one with the best validation score, which is the accuracy
            of the worst group, the average accuracy, or the smallest gap between the groups' accuracies.
        patience: stop after as many epochs without a better validation score; None trains all epochs.
        seed: of the order of images, augmentation and dropout; the initial weights are the caller's.
        workers: threads that decode images ahead of the network; None chooses by the number of cores.
        cache: where decoded images are kept: in ``memory`` when they fit, on ``disk`` for later runs as well, or ``none``.
        log: what is written beside the state of a training: a table of epochs, and with ``tensorboard`` its event files
            too.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=2)] = 64
    accumulate: Annotated[int, Field(ge=1)] = 1
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    optimizer: str = "adamw"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    schedule: Schedule = "cosine"
    step_share: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    warmup: Annotated[int, Field(ge=0)] = 0
    device: str = "auto"
    precision: Precision = "fp32"
    balance: Balance = "none"
    augment: tuple[Augment, ...] = ()
    mix_alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.2
    mix_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    freeze: str = "none"
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    select: Select = "last"
    patience: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] | None = None
    cache: Cache = "memory"
    log: Log = "csv"

    @field_validator("augment", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """One name, several with commas, or ``none``, as well as a list of such."""
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            return value
        names = [name for item in items for name in (item.split(",") if isinstance(item, str) else [item])]
        return tuple(name.strip() if isinstance(name, str) else name for name in names if name != "none")

    @field_validator("augment")
    @classmethod
    def _distinct(cls, names: tuple[Augment, ...]) -> tuple[Augment, ...]:
        doubled = [name for name in names if names.count(name) > 1]
        if doubled:
            raise ValueError(f"{doubled[0]} is named twice")
        if {"classic", "s1"} <= set(names):
            raise ValueError("classic and s1 are two recipes for the same changes; choose one")
        return names

    @field_validator("freeze")
    @classmethod
    def _names(cls, freeze: str) -> str:
        names = [name.strip() for name in freeze.split(",")]
        if not all(names):
            raise ValueError(f"{freeze!r} must be none, backbone, or names of layers with commas between them")
        if len(names) > 1 and {"none", "backbone"} & set(names):
            raise ValueError("none and backbone stand alone")
        return ",".join(names)

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSettings:
        if self.warmup >= self.epochs:
            raise ValueError(f"a warmup of {self.warmup} epochs leaves nothing of {self.epochs}; it must be shorter")
        if self.accumulate > self.batch_size:
            raise ValueError(f"a batch of {self.batch_size} images cannot be computed in {self.accumulate} parts")
        return self
