"""A run of ``fairaudit attribute fit``: which attribute is looked for in which pictures, by which patches, how trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from fairaudit.config.base import Settings
from fairaudit.config.mitigate import SplitKind
from fairaudit.config.model import Resize
from fairaudit.config.training import TrainingSettings

Stem = Literal["cifar", "imagenet"]
Measure = Literal["top", "margin", "entropy"]

REGION_TRAINING: Mapping[str, Any] = {
    "epochs": 90, "batch_size": 256, "lr": 1e-3, "optimizer": "adamw", "weight_decay": 0.01,
    "schedule": "step", "step_share": 40 / 90, "label_smoothing": 0.1,
}  # fmt: skip
"""How the paper trains its region classifier; what a file or a flag does not say."""


class AttributeConfig(Settings):
    """A whole run.

    Attributes:
        attribute: the column that is looked for.
        data: dataset name.
        root: its folder, see ``EvaluateConfig``.
        split: of the dataset, before validation images are cut from it; None takes every image.
        data_options: options of the dataset's source.
        limit: size of a seeded stratified sample of it.
        splits: ``shares``, or the dataset's ``official`` training and validation images.
        validation_share: of the images, where they are split by shares.
        split_seed: of the split.
        size: height and width of the pictures in pixels.
        resize: how they are brought to it.
        patch: height and width of a patch.
        per_side: positions of patches on a side; (size − patch) / (per_side − 1) must be a whole number.
        stem: how the region classifier begins: ``cifar`` at full resolution, ``imagenet`` faster.
        width: channels of its first blocks: 64 make a ResNet-18, fewer a faster one.
        measure: of confidence, which maps show.
        sample: validation images all of whose patches are classified, for calibration and the general map.
        temperature: divide logits by a fitted temperature.
        training: how the region classifier is trained; what is not set is as in the paper.
    """

    attribute: str
    data: str = "synthetic"
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] | None = None
    splits: SplitKind = "shares"
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    size: Annotated[int, Field(ge=8, le=1024)] = 128
    resize: Resize = "squash"
    patch: Annotated[int, Field(ge=2)] = 32
    per_side: Annotated[int, Field(ge=2)] = 49
    stem: Stem = "imagenet"
    width: Annotated[int, Field(ge=4, le=256)] = 64
    measure: Measure = "top"
    sample: Annotated[int, Field(ge=2)] = 64
    temperature: bool = False
    training: TrainingSettings = Field(default_factory=lambda: TrainingSettings.model_validate(REGION_TRAINING))

    @field_validator("training", mode="before")
    @classmethod
    def _as_in_the_paper(cls, training: Any) -> Any:
        """What is not said is as in the paper."""
        return {**REGION_TRAINING, **training} if isinstance(training, Mapping) else training
