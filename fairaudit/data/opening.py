"""Opening image files with Pillow, without torch: which formats, how large, and why one cannot be read.

An image of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` is refused before it is decoded, because a file of a few
kilobytes can claim gigabytes. Whatever reads pictures of a dataset opens them here.
"""

from __future__ import annotations

import io
import re
import warnings
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

# Raster formats that Pillow decodes inside this process: its EPS reader starts Ghostscript, which no image may make us do.
_FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO"),
    *("PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"),
)

# Filters rather than catch_warnings, which is not thread-safe: images are decoded in several threads at once.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def opened(data: bytes) -> Image.Image:
    """An image with its header read and its size checked, not yet decoded.

    Args:
        data: the encoded image, a whole file.

    Raises:
        Exception: whatever a codec says of a broken file; ``reason`` puts it into words.
    """
    image = Image.open(io.BytesIO(data), formats=_known_formats())
    if too_large(image.width, image.height):  # where Pillow's warning was not made an error
        raise Image.DecompressionBombError
    return image


def too_large(width: int, height: int) -> bool:
    """Whether an image of that size, in pixels, is refused before it is decoded."""
    return Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS


def rgb(image: Image.Image) -> Image.Image:
    """Three eight-bit channels; sixteen-bit greyscale keeps its upper eight bits."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per channel have no fixed range from black to white; save it with 8 or 16 bits")
    image.load()
    image.info.pop("transparency", None)  # dropped by the conversion anyway, which warns about it
    return image.convert("RGB")


@cache
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def reason(error: Exception, data: bytes) -> str:
    """Why an image cannot be decoded: one clause that is the same on every run."""
    if not data:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"not an image in a format that is read ({', '.join(_known_formats())})"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"it claims more than {Image.MAX_IMAGE_PIXELS:,} pixels, the most that are decoded (a decompression bomb?)"
    text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
    return text or type(error).__name__
