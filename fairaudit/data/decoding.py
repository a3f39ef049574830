"""From the bytes of one image file to the pixels that a network is fed, before normalisation.

JPEG, the format of nearly every face dataset, is decoded and resized by torchvision on uint8 tensors, about twice as fast
as Pillow; everything else, and every file that torchvision refuses, goes through Pillow. Both roads show the same picture:

- An image is what ``PIL.Image.open(…).convert("RGB")`` shows: the first frame of an animation, alpha and embedded colour
  profiles ignored, and **the EXIF orientation ignored as well**, as torchvision's and timm's own evaluation loops do; a
  model is audited on the pixels that its training saw.
- One exception: sixteen-bit greyscale keeps its upper eight bits, as Pillow does with sixteen-bit colour. Pillow's plain
  conversion would clip nearly all of it to white.
- Pillow's and torchvision's resizing differ by rounding only, by 2/255 at the most.

An image of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` is refused before it is decoded, because a file of a few
kilobytes can claim gigabytes; so is one so narrow that resizing its shorter side would exceed that.
"""

from __future__ import annotations

import math
import warnings

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as pil_functional
from torchvision.transforms.v2 import functional

from fairaudit.config import Preprocess
from fairaudit.data.opening import opened, reason, rgb, too_large
from fairaudit.errors import DataError

try:
    from torchvision.io import ImageReadMode, decode_jpeg
except ImportError:  # announced for a release after torchvision 0.29; Pillow decodes the same pixels, more slowly
    decode_jpeg = None

_FILTERS = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}

ROOM = 1.25
"""How many times the wanted sides a JPEG keeps where it is decoded at a fraction. At 1,500 pixels twice as many halved the
greatest difference and left next to nothing of the gain (``tests/benchmarks/decoding.py``)."""

warnings.filterwarnings("ignore", "The image decoding and encoding capabilities of TorchVision", DeprecationWarning)


def decode(data: bytes, preprocess: Preprocess, exact: bool = False, scaled: bool = False) -> Tensor:
    """Decode one image and bring it to the network's input size.

    Args:
        data: the encoded image, a whole file.
        preprocess: size, resize mode and interpolation; mean and std are applied later, to whole batches.
        exact: decode and resize with Pillow alone, as training scripts that use torchvision's transforms on Pillow images.
        scaled: decode a large JPEG at a fraction of its sides (``_shrunk``), which changes its pixels; not with ``exact``.

    Returns:
        (3, h, w) uint8 RGB.

    Raises:
        DataError: the image cannot be decoded; the message is the reason, in words that do not name the file.
    """
    try:
        image = opened(data)
        height, width = resized_size(image.height, image.width, preprocess)
        if too_large(height, width):
            raise ValueError(
                f"{image.width} × {image.height} pixels are too narrow to resize the shorter side to {min(height, width)}"
            )
        filter_ = _FILTERS[preprocess.interpolation]
        if exact or preprocess.interpolation == "nearest":  # whose rule for ties is another on tensors
            pixels = pil_functional.pil_to_tensor(pil_functional.resize(rgb(image), [height, width], filter_))
        else:
            shrunk = _shrunk(image, height, width) if scaled else None
            decoded = _pixels(image, data) if shrunk is None else shrunk
            pixels = functional.resize(decoded, [height, width], filter_, antialias=True)
    except Exception as error:  # a codec may raise anything on a broken file; nothing is lost, the reason is reported
        raise DataError(reason(error, data)) from error
    return _centre(pixels, preprocess.size)


def check(data: bytes) -> None:
    """Decode one image and throw the pixels away: what is left to do once too many images were unreadable.

    Args:
        data: the encoded image.

    Raises:
        DataError: as ``decode``.
    """
    try:
        _pixels(opened(data), data)
    except Exception as error:  # as in decode
        raise DataError(reason(error, data)) from error


def resized_size(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Size to which an image is resized, before the centre crop if there is one.

    ``crop`` follows timm's evaluation transform: ``size / crop_pct`` is rounded down; for a square input the shorter
    side gets exactly that and the longer side is rounded down (torchvision's ``Resize``), otherwise the whole image is
    scaled until it covers the target and both sides are rounded to the nearest. A millionth is added so that whole numbers
    stay whole: ``crop_pct = 224 / 232`` means 232, although the floating-point quotient may fall just short of it.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        preprocess: size, resize mode and crop share.

    Returns:
        (height, width) in pixels.
    """
    if preprocess.resize == "squash":
        return preprocess.size
    target_h, target_w = (math.floor(side / preprocess.crop_pct + 1e-6) for side in preprocess.size)
    if target_h == target_w:
        longer = int(target_h * max(height, width) / min(height, width))
        return (target_h, longer) if height <= width else (longer, target_h)
    ratio = min(height / target_h, width / target_w)
    return round(height / ratio), round(width / ratio)


def _centre(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The (3, h, w) centre, its corner rounded as torchvision's ``CenterCrop`` does; the image is never smaller."""
    top, left = (round((have - want) / 2) for have, want in zip(pixels.shape[1:], size, strict=True))
    return pixels[:, top : top + size[0], left : left + size[1]]


def _shrunk(image: Image.Image, height: int, width: int) -> Tensor | None:
    """(3, h, w) uint8 RGB of a JPEG at a half, a quarter or an eighth of its sides; None where none of them is enough.

    libjpeg leaves out the finest waves of each block of pixels, which is most of the work. What is left is at least
    ``ROOM`` times as large as wanted, so that the resizing to come, and not the blocks, decides what is seen.
    """
    whole = image.size
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return None
    image.draft(image.mode, (math.ceil(ROOM * width), math.ceil(ROOM * height)))
    if image.size == whole:
        return None
    shrunk: Tensor = pil_functional.pil_to_tensor(rgb(image))
    return shrunk


def _pixels(image: Image.Image, data: bytes) -> Tensor:
    """(3, h, w) uint8 RGB by the fastest decoder that agrees with Pillow; the strides may be channels-last."""
    if decode_jpeg is not None and image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        try:
            decoded: Tensor = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
            return decoded
        except (RuntimeError, Warning):  # stricter than Pillow about damaged files: Pillow has the last word
            pass
    converted: Tensor = pil_functional.pil_to_tensor(rgb(image))
    return converted
