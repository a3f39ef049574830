"""Take an attribute out of pictures where its map says it is: grey or noise, in one place for all or in each its own.

Formula:
    For the region R of a map above its quantile q (the top 1 − q), in normalised units: a mask is x·(1 − R), so that
    masked pixels are the mean colour that the network's normalisation takes off; noise is x + σ·N(0, 1)·R, drawn anew
    whenever a picture is shown. The original clips noisy pictures to [0, 1] in normalised units, which blackens every
    dark pixel of the whole picture; ``clip`` does so too.

    ============== ======================== =====================================================
    kind           training                 validation and test
    ============== ======================== =====================================================
    general-mask   the general map's region the same region
    general-noise  the general map's region the same region, one fixed draw of noise
    specific-mask  each picture's own       clean
    specific-noise each picture's own       the region of the mean specific map, one fixed draw
    ============== ======================== =====================================================

    The original draws the noise of validation pictures anew as well; a fixed draw makes an audit repeatable.

Source:
    S. De Coninck et al., CVPR Workshops 2024, σ = 0.5; what is done at evaluation is in their code alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fairaudit.attribution.maps import top_region
from fairaudit.config import Preprocess
from fairaudit.engine.image_sources import ImageSource
from fairaudit.engine.mixing import Batch
from fairaudit.errors import UsageError
from fairaudit.predictions import BoolArray, FloatArray

Kind = Literal["general-mask", "general-noise", "specific-mask", "specific-noise"]
KINDS: tuple[Kind, ...] = ("general-mask", "general-noise", "specific-mask", "specific-noise")
AT_EVALUATION = {
    "general-mask": "validation and test images are masked in the same region",
    "general-noise": "validation and test images have one fixed draw of noise in the same region",
    "specific-mask": "validation and test images are left as they are",
    "specific-noise": "validation and test images have one fixed draw of noise in the region of the mean map",
}
SIGMA = 0.5


def regions_of(maps: FloatArray, quantile: float) -> BoolArray:
    """Top regions of maps, of which none may be all or nothing.

    Args:
        maps: (…, I, I).
        quantile: above 0 and below 1.

    Raises:
        UsageError: the quantile is out of range, or a map is flat.
    """
    if not 0 < quantile < 1:
        raise UsageError(f"the quantile must lie between 0 and 1 (0.7 takes the top 30 %), not {quantile:g}")
    found = top_region(maps, quantile)
    if not found.any(axis=(-2, -1)).all():
        raise UsageError("a map is flat, so it has no top region: its region classifier is as sure everywhere")
    return found


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Pictures that are grey in a region of their own.

    Attributes:
        images: n pictures.
        regions: (n, h, w) bool, or (1, h, w) for all alike.
        preprocess: whose mean is the grey, rounded to 1/255.
    """

    images: ImageSource
    regions: Tensor
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 pictures at (b,) int64 positions."""
        own = self.regions[positions if len(self.regions) > 1 else torch.zeros_like(positions)]
        grey = torch.tensor([round(255 * m) for m in self.preprocess.mean], dtype=torch.uint8)
        return torch.where(own[:, None], grey[:, None, None], self.images.take(positions))


@dataclass(frozen=True, eq=False)
class RegionNoise:
    """Adds noise to each picture of a batch in a region of its own; a mixer that mixes no two pictures.

    Attributes:
        regions: (n, h, w) bool, of the training pictures.
        sigma: standard deviation in normalised units.
        preprocess: mean and standard deviation of the normalisation.
        clip: clip whole pictures to [0, 1] in normalised units, as the original does.
    """

    regions: Tensor
    sigma: float
    preprocess: Preprocess
    clip: bool

    def __call__(self, batch: Batch, seed: int) -> Batch:
        """Add noise; see ``Mixer``. Each picture's noise depends on the seed and its position, not on its neighbours."""
        device = batch.inputs.device
        mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (self.preprocess.mean, self.preprocess.std))
        shape = batch.inputs.shape[1:]
        generator = torch.Generator()
        drawn = []
        for position in batch.positions.tolist():
            generator.manual_seed(seed * len(self.regions) + position)
            drawn.append(torch.randn(shape, generator=generator))
        own = self.regions[batch.positions.cpu()].to(device)[:, None]
        normal = (batch.inputs - mean) / std + self.sigma * torch.stack(drawn).to(device) * own
        if self.clip:
            normal = normal.clamp(0, 1)
        return Batch(normal * std + mean, batch.targets, batch.groups, batch.positions)

    def __repr__(self) -> str:
        """What a training that goes on must share; the regions come from the same pictures."""
        return f"RegionNoise(sigma={self.sigma}, clip={self.clip}, pixels={int(self.regions.sum())})"


def fixed_noise(region: BoolArray, sigma: float, seed: int) -> Tensor:
    """One draw of noise in a region, for evaluation.

    Args:
        region: (h, w).
        sigma: standard deviation in normalised units.
        seed: of the draw.

    Returns:
        (3, h, w) float32, 0 outside the region.
    """
    drawn = torch.randn((3, *region.shape), generator=torch.Generator().manual_seed(seed))
    return sigma * drawn * torch.from_numpy(np.ascontiguousarray(region))
