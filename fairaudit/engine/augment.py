"""Random changes of training images that leave a face's labels as they are.

Whole batches at once on the device where they are, because per-image transforms cost more than a small network's step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MAX_TURN = math.radians(10)
MAX_SHIFT = 0.08
MAX_SCALE = 0.1
MAX_BRIGHTNESS = 0.2
MAX_CONTRAST = 0.2
DRAWS = 7


def draw(n: int, generator: torch.Generator) -> Tensor:
    """Draw the random numbers of a batch, apart from applying them, so that processes can share out one batch's draws.

    Args:
        n: images in the batch.
        generator: source of randomness, on the CPU.

    Returns:
        (n, DRAWS) uniform in [−1, 1].
    """
    return torch.rand(n, DRAWS, generator=generator) * 2 - 1


def classic(images: Tensor, draws: Tensor) -> Tensor:
    """Flip half of the images, turn by up to 10°, shift by up to 8 %, scale by up to 10 %, change brightness and contrast.

    Args:
        images: (b, 3, h, w) float in [0, 1].
        draws: (b, DRAWS) what ``draw`` returned for these images.

    Returns:
        (b, 3, h, w) float in [0, 1]; what comes from outside an image repeats its border.
    """
    flip, turn, shift_x, shift_y, scale, brightness, contrast = draws.to(images.device, images.dtype).unbind(1)
    angle = turn * MAX_TURN
    size = 1 + scale * MAX_SCALE
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    mirror = torch.where(flip < 0, -1.0, 1.0)
    aspect = images.shape[3] / images.shape[2]
    # Grid coordinates run from −1 to 1 on both axes, so a rotation has to be undone by the aspect ratio.
    rows = [cos * mirror, -sin / aspect, shift_x * 2 * MAX_SHIFT, sin * aspect * mirror, cos, shift_y * 2 * MAX_SHIFT]
    affine = torch.stack(rows, dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    louder = (1 + contrast * MAX_CONTRAST)[:, None, None, None]
    lighter = (1 + brightness * MAX_BRIGHTNESS)[:, None, None, None]
    return (((moved - mean) * louder + mean) * lighter).clamp(0, 1)
