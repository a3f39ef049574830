"""Maps laid over faces, as pictures: warm where the classifier is sure, with the outline of a top region."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairaudit.attribution.maps import stretched
from fairaudit.predictions import BoolArray, FloatArray

Picture = NDArray[np.uint8]
_COLOURS = ((0.0, (0, 0, 4)), (0.25, (87, 16, 110)), (0.5, (188, 55, 84)), (0.75, (249, 142, 9)), (1.0, (252, 255, 164)))
"""A ramp of even steps in lightness, dark to light, so that it reads in grey and with any colour vision."""
_LEAST_SIDE = 192
_GAP = 6


def heat(pixels: FloatArray) -> Picture:
    """A map as colours.

    Args:
        pixels: (h, w); stretched to its own range.

    Returns:
        (h, w, 3).
    """
    places = [place for place, _ in _COLOURS]
    scaled = stretched(pixels)
    channels = [np.interp(scaled, places, [colour[c] for _, colour in _COLOURS]) for c in range(3)]
    return np.asarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def overlay(face: Picture, pixels: FloatArray, region: BoolArray | None = None, share: float = 0.5) -> Picture:
    """A map over a picture.

    Args:
        face: (h, w, 3).
        pixels: (h, w).
        region: (h, w), outlined in white; None outlines nothing.
        share: of the map's colours.
    """
    grey = np.asarray(face, dtype=np.float64).mean(axis=2, keepdims=True)
    mixed = ((1 - share) * grey + share * heat(pixels)).round().astype(np.uint8)
    return mixed if region is None else outlined(mixed, region)


def outlined(picture: Picture, region: BoolArray) -> Picture:
    """A picture with the border of a region in white.

    Args:
        picture: (h, w, 3).
        region: (h, w).
    """
    padded = np.pad(region, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = picture.copy()
    drawn[region & ~inside] = 255
    return drawn


def sheet(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Pictures of one size side by side, small ones enlarged so that pixels stay sharp.

    Args:
        rows: of pictures, each row of the same length.
    """
    height, width = rows[0][0].shape[:2]
    times = max(1, -(-_LEAST_SIDE // max(height, width)))
    down, across = height * times + _GAP, width * times + _GAP
    canvas = np.full((len(rows) * down + _GAP, len(rows[0]) * across + _GAP, 3), 255, dtype=np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            large = picture.repeat(times, axis=0).repeat(times, axis=1)
            top, left = _GAP + r * down, _GAP + c * across
            canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return canvas


def png(picture: Picture) -> bytes:
    """The bytes of a PNG file; the same picture gives the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    return stream.getvalue()
