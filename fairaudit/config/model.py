"""How images are prepared, which network a checkpoint holds, how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairaudit.config.base import Settings

Precision = Literal["fp32", "bf16", "fp16"]
Resize = Literal["squash", "crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
MergeBy = Literal["max", "sum"]


class Preprocess(Settings):
    """How a decoded image becomes the network's input.

    Attributes:
        size: height and width of the network's input, in pixels.
        resize: ``squash`` resizes both sides to ``size`` whatever the aspect ratio; ``crop`` resizes the shorter side to
            ``size / crop_pct`` and cuts the centre.
        crop_pct: share of the resized image that a centre crop keeps; only used by ``crop``.
        interpolation: always with antialiasing.
        mean: per-channel mean of RGB in [0, 1].
        std: per-channel standard deviation of RGB in [0, 1].
        source: where these values came from, in words ("fairaudit metadata", "timm's config of resnet18", "flags" …).
    """

    size: tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]] = (224, 224)
    resize: Resize = "crop"
    crop_pct: Annotated[float, Field(gt=0.0, le=1.0)] = 0.875
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    source: str = "ImageNet defaults"

    @field_validator("std")
    @classmethod
    def _positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("every channel's standard deviation must be above 0")
        return std


class PreprocessOverrides(Settings):
    """The parts of ``Preprocess`` that the user set; None keeps what the checkpoint or architecture says."""

    size: tuple[int, int] | None = None
    resize: Resize | None = None
    crop_pct: float | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


class ModelSettings(Settings):
    """Which network a checkpoint holds and what its outputs mean; everything left None is found out and said.

    Attributes:
        arch: ``timm/NAME`` or ``torchvision/NAME`` (a bare name is looked up in both); None recognises it from the file.
        arch_kwargs: keyword arguments for the network's constructor.
        trust_checkpoint: accept files that run code when loaded.
        classes: class names in output order, for a head with one task.
        head: ``race:0-6,gender:7-8`` slices, a preset such as ``fairface-18``, or a kind: softmax, sigmoid, multilabel.
        merge: target class → names or indices of the outputs that count as it.
        merge_by: how merged outputs are combined.
        preprocess: the parts of the preprocessing that the user set.
    """

    arch: str | None = None
    arch_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    trust_checkpoint: bool = False
    classes: tuple[str, ...] | None = None
    head: str | None = None
    merge: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    merge_by: MergeBy = "max"
    preprocess: PreprocessOverrides = Field(default_factory=PreprocessOverrides)


class InferenceSettings(Settings):
    """How a network is run over the images.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: fp32 unless asked otherwise, because lower precision flips predictions near the threshold.
        batch_size: None chooses by device; it is halved when memory runs out.
        workers: threads (CPU) or loader processes (GPU); None chooses by device.
        max_unreadable: how many images may be unreadable; each one is listed, none is dropped in silence.
        exact_resize: decode and resize with Pillow, to the bit; the faster default differs by at most 2 of 255 per pixel.
        scaled_decoding: decode a JPEG at a half, a quarter or an eighth of its sides where it is much larger than the
            network's input: faster, and other pixels.
        compile: compile the network before it is run (``torch.compile``), which takes as long as thousands of images.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    max_unreadable: Annotated[int, Field(ge=0)] = 0
    exact_resize: bool = False
    scaled_decoding: bool = False
    compile: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> InferenceSettings:
        if self.exact_resize and self.scaled_decoding:
            raise ValueError("exact_resize keeps every pixel as Pillow has it and scaled_decoding does not; choose one")
        return self
