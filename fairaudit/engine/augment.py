"""Random changes of training images that leave a face's labels as they are.

Whole batches at once on the device where they are, because per-image transforms cost more than a small network's step; only
RandAugment, which is torchvision's, goes image by image. Drawing the random numbers is apart from applying them, so that
the numbers do not depend on how many processes share a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import RandAugment

from fairaudit.config import Augment

MAX_TURN = math.radians(10)
MAX_SHIFT = 0.08
MAX_SCALE = 0.1
MAX_BRIGHTNESS = 0.2
MAX_CONTRAST = 0.2
DRAWS = 7

S1_SHARE = 0.5
S1_BRIGHTNESS, S1_CONTRAST, S1_SATURATION, S1_HUE = 0.2, 0.15, 0.15, 0.05
S1_TURN, S1_SHEAR = math.radians(6), math.radians(5)
S1_SHIFT = 0.1
S1_CROP, S1_CROP_SHARE = 200 / 224, 0.4
S1_DRAWS = 13

_COLUMNS = {"randaugment": 1, "classic": DRAWS, "s1": S1_DRAWS}
_GREY = (0.2989, 0.587, 0.114)
_SEEDS = 2**24


class Augmentation:
    """The changes of single images that were asked for; mixing of images is not among them.

    Args:
        names: which; unknown here are those that mix.
    """

    def __init__(self, names: Sequence[Augment]) -> None:
        self.names = tuple(name for name in _COLUMNS if name in names)
        self._randaugment = RandAugment()

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the random numbers of a batch.

        Args:
            n: images in the batch.
            generator: source of randomness, on the CPU.

        Returns:
            (n, columns) uniform in [−1, 1]; as many columns as the changes need, perhaps none.
        """
        return draw(n, generator, sum(_COLUMNS[name] for name in self.names))

    def __call__(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Change a batch.

        Args:
            pixels: (b, 3, h, w) uint8.
            draws: (b, columns) what ``draw`` returned for these images.

        Returns:
            (b, 3, h, w) float in [0, 1].
        """
        columns = torch.split(draws, [_COLUMNS[name] for name in self.names], dim=1)
        parts = dict(zip(self.names, columns, strict=True))
        if "randaugment" in parts:
            pixels = self._each(pixels, parts["randaugment"][:, 0])
        images = pixels.float().div_(255)
        if "classic" in parts:
            images = classic(images, parts["classic"])
        if "s1" in parts:
            images = s1(images, parts["s1"])
        return images

    def _each(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """RandAugment of each image; torchvision's draws from torch's generator on the CPU."""
        seeds = ((draws.double() + 1) / 2 * _SEEDS).long().tolist()
        before = torch.get_rng_state()
        changed = []
        try:
            for image, seed in zip(pixels, seeds, strict=True):
                torch.default_generator.manual_seed(seed)
                changed.append(self._randaugment(image))
        finally:
            torch.set_rng_state(before)
        return torch.stack(changed)


def draw(n: int, generator: torch.Generator, columns: int = DRAWS) -> Tensor:
    """Draw random numbers of a batch.

    Args:
        n: images in the batch.
        generator: source of randomness, on the CPU.
        columns: numbers for each image.

    Returns:
        (n, columns) uniform in [−1, 1].
    """
    return torch.rand(n, columns, generator=generator) * 2 - 1


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
    moved = _moved(images, torch.stack(rows, dim=1).reshape(-1, 2, 3))
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    louder = (1 + contrast * MAX_CONTRAST)[:, None, None, None]
    lighter = (1 + brightness * MAX_BRIGHTNESS)[:, None, None, None]
    return (((moved - mean) * louder + mean) * lighter).clamp(0, 1)


def s1(images: Tensor, draws: Tensor) -> Tensor:
    """Change half of the images as the face classifiers of Oehri, Vetterli and Jarvers (KTH, 2023) were trained.

    Of those, half are flipped; brightness changes by up to 20 %, contrast and saturation by 15 %, hue by 0.05 of its
    circle; they are turned by up to 6°, shifted by up to 10 %, sheared by up to 5°; and of 40 % a random window of 200/224
    of each side is enlarged to the whole. Theirs draws once for a batch, here each image has its own draws. What comes from
    outside an image repeats its border.

    Args:
        images: (b, 3, h, w) float in [0, 1].
        draws: (b, S1_DRAWS) what ``draw`` returned for these images.

    Returns:
        (b, 3, h, w) float in [0, 1].
    """
    columns = draws.to(images.device, images.dtype).unbind(1)
    gate, flip, brightness, contrast, saturation, hue, turn, shift_x, shift_y, shear, crop, crop_x, crop_y = columns
    coloured = _blend(images, torch.zeros_like(images), 1 + brightness * S1_BRIGHTNESS)
    coloured = _blend(coloured, _grey(coloured).mean(dim=(1, 2, 3), keepdim=True), 1 + contrast * S1_CONTRAST)
    coloured = _blend(coloured, _grey(coloured), 1 + saturation * S1_SATURATION)
    coloured = _turn_hue(coloured, hue * S1_HUE)

    angle, slant = turn * S1_TURN, torch.tan(shear * S1_SHEAR)
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b, c, d = cos, cos * slant - sin, sin, sin * slant + cos  # rotation after shear
    aspect = images.shape[3] / images.shape[2]
    b, c = b / aspect, c * aspect
    cropped = crop < 2 * S1_CROP_SHARE - 1
    zoom = torch.where(cropped, S1_CROP, 1.0)
    x, y = crop_x * (1 - zoom), crop_y * (1 - zoom)
    to_x = a * x + b * y + shift_x * 2 * S1_SHIFT
    to_y = c * x + d * y + shift_y * 2 * S1_SHIFT
    mirror = torch.where(flip < 0, -1.0, 1.0)
    rows = [a * zoom * mirror, b * zoom * mirror, to_x * mirror, c * zoom, d * zoom, to_y]
    moved = _moved(coloured, torch.stack(rows, dim=1).reshape(-1, 2, 3))
    changed = (gate < 2 * S1_SHARE - 1)[:, None, None, None]
    return torch.where(changed, moved.clamp(0, 1), images)


def _moved(images: Tensor, affine: Tensor) -> Tensor:
    """Images sampled at (b, 2, 3) affine maps of where their pixels lie."""
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _blend(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Images with (b,) shares of themselves and the rest of others, clamped."""
    own = share[:, None, None, None]
    return (images * own + others * (1 - own)).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    """(b, 1, h, w) luma."""
    weights = torch.tensor(_GREY, device=images.device, dtype=images.dtype)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


def _turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue by (b,) shares of the circle."""
    red, green, blue = images.unbind(1)
    value, spread = images.amax(dim=1), images.amax(dim=1) - images.amin(dim=1)
    safe = torch.where(spread > 0, spread, 1.0)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sector = sector + turns[:, None, None] * 6
    channels = []
    for offset in (5, 3, 1):
        place = (sector + offset) % 6
        channels.append(value - spread * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(channels, dim=1)
