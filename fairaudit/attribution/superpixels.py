"""Superpixels: an image cut into regions that are explained as wholes."""

from __future__ import annotations

import math

import numpy as np
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
        (h, w) number of the region of each pixel, from 0 without gaps.

    Raises:
        UsageError: the image comes out as a single region, so that nothing could be compared.
    """
    _, h, w = pixels.shape
    check_segments(wanted, (h, w))
    image = pixels.permute(1, 2, 0).cpu().numpy()
    if kind == "grid":
        labels = _grid(h, w, wanted)
    else:
        from skimage.segmentation import quickshift, slic

        if kind == "slic":
            labels = slic(image, n_segments=wanted, compactness=10.0, sigma=1.0, start_label=0)
        else:  # the parameters of LIME's own implementation
            labels = quickshift(image, kernel_size=4, max_dist=200, ratio=0.2, rng=seed)
    found, numbers = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise UsageError(f"{kind} finds a single region in an image; use --superpixels grid, or more --segments")
    return np.asarray(numbers.reshape(h, w), dtype=np.int64)


def _grid(h: int, w: int, wanted: int) -> IntArray:
    """Squares, as nearly as many as wanted as whole rows and columns allow."""
    down = min(h, max(1, round(math.sqrt(wanted * h / w))))
    across = min(w, max(1, round(wanted / down)))
    return np.asarray((np.arange(h) * down // h)[:, None] * across + (np.arange(w) * across // w)[None, :])
