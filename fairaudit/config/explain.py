"""What is explained, how, and at what expense."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fairaudit.config.base import Settings

Method = Literal["lime", "integrated-gradients", "grad-cam", "occlusion"]
Superpixels = Literal["slic", "quickshift", "grid"]
Baseline = Literal["grey", "blur"]


class ExplainSettings(Settings):
    """How ``fairaudit explain`` chooses images and explains them.

    Attributes:
        method: lime, integrated-gradients, grad-cam or occlusion.
        rows: row ids that are explained, in this order; with any, ``worst`` and ``right`` are 0 unless they are set.
        worst: of every group, how many mistakes: those the network was surest of.
        right: of every group, how many right ones: those the network was surest of.
        per_group: images drawn of every group for mean maps and their differences; 0 draws none.
        classes: explain these classes of every image; none explains the class that was predicted.
        superpixels: how images are cut into regions.
        segments: into about how many; quickshift finds its own number. Windows of occlusion are half as large.
        samples: perturbed images of LIME.
        steps: points on the way of Integrated Gradients.
        repeats: seeds of LIME, whose agreement is reported.
        random_orders: of regions, that an explanation must beat; 19 is the least that can show anything at 0.05.
        regions: how many regions for and against are listed.
        baseline: what takes the place of pixels that are taken away.
        maps: name → file with a map of an attribute: ``.npy``, or ``.npz`` with one two-dimensional array.
        quantile: an attribute's region is its map's top (1 − quantile).
        rescale: bring maps of another size to that of the network's input, instead of refusing them.
        probe: predict every image again without each attribute's region.
        grid: cells per side in which groups' mean maps are compared.
        permutations: how often groups are dealt anew.
    """

    method: Method = "lime"
    rows: tuple[str, ...] = ()
    worst: Annotated[int, Field(ge=0)] | None = None
    right: Annotated[int, Field(ge=0)] | None = None
    per_group: Annotated[int, Field(ge=0)] = 0
    classes: tuple[str, ...] = ()
    superpixels: Superpixels = "slic"
    segments: Annotated[int, Field(ge=2)] = 50
    samples: Annotated[int, Field(ge=10, le=1_000_000)] = 500
    steps: Annotated[int, Field(ge=2, le=10_000)] = 32
    repeats: Annotated[int, Field(ge=1, le=100)] = 3
    random_orders: Annotated[int, Field(ge=0, le=10_000)] = 19
    regions: Annotated[int, Field(ge=1)] = 4
    baseline: Baseline = "grey"
    maps: Mapping[str, Path] = Field(default_factory=dict)
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.7
    rescale: bool = False
    probe: bool = False
    grid: Annotated[int, Field(ge=2, le=64)] = 8
    permutations: Annotated[int, Field(ge=99, le=1_000_000)] = 2000
