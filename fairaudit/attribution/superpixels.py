"""Superpixels: an image cut into regions that are explained as wholes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.predictions import IntArray

KINDS = ("slic", "quickshift", "grid")
"""By colour and place, about as many as asked for; by density of colour, as many as there are; squares."""


def check_segments(wanted: int, size: tuple[int, int]) -> None:
    """Refuse what cannot be cut.

    Args:
        wanted: how many regions.
        size: (h, w) of the image.

    Raises:
        UsageError: there are fewer pixels than regions.
    """
    if wanted > size[0] * size[1]:
        raise UsageError(
            f"{wanted:,} segments are more than the {size[0]} × {size[1]} = {size[0] * size[1]:,} pixels of the network's "
            "input; ask for fewer with --segments"
        )


def superpixels(pixels: Tensor, kind: str, wanted: int, seed: int) -> IntArray:
    """Cut an image into regions.

    Args:
        pixels: (3, h, w) uint8 RGB.
        kind: one of ``KINDS``.
        wanted: about how many regions; ``quickshift`` finds as many as the image has.
        seed: of ``quickshift``, which breaks ties by chance.

    Returns:
        (h, w) number of the region of each pixel, from 0 without gaps; two regions at least. An image that a method sees as
        one region is cut into squares.

    Raises:
        UsageError: there are fewer pixels than regions.
    """
    _, h, w = pixels.shape
    check_segments(wanted, (h, w))
    image = pixels.permute(1, 2, 0).cpu().numpy()
    labels = _by_colour(image, kind, wanted, seed) if kind != "grid" else _grid(h, w, wanted)
    if labels.min() == labels.max():
        labels = _grid(h, w, wanted)
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers.reshape(h, w), dtype=np.int64)


def _by_colour(image: NDArray[np.uint8], kind: str, wanted: int, seed: int) -> IntArray:
    from skimage.segmentation import quickshift, slic

    if kind == "slic":
        return np.asarray(slic(image, n_segments=wanted, compactness=10.0, sigma=1.0, start_label=0))
    # The parameters of LIME's own implementation, whose kernel is meant for pictures of about 224 pixels.
    kernel = max(1.0, 4 * max(image.shape[:2]) / 224)
    return np.asarray(quickshift(image, kernel_size=kernel, max_dist=200, ratio=0.2, rng=seed))


def _grid(h: int, w: int, wanted: int) -> IntArray:
    """Squares, as nearly as many as wanted as whole rows and columns allow."""
    down = min(h, max(1, round(math.sqrt(wanted * h / w))))
    across = min(w, max(1, round(wanted / down)))
    return np.asarray((np.arange(h) * down // h)[:, None] * across + (np.arange(w) * across // w)[None, :])
