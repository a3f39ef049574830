"""Small pictures in which the attribute shows in one known place, for tests of attribution."""

from __future__ import annotations

import numpy as np
import torch

from fairaudit.config import Preprocess
from fairaudit.engine.training_data import CachedImages, TrainingData

SIZE = 24
CORNER = slice(2, 8)
"""Rows and columns of the square that tells the attribute: in the upper left."""
PREPROCESS = Preprocess(size=(SIZE, SIZE), resize="squash", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def planted(n: int, seed: int, levels: tuple[str, ...] = ("no", "yes")) -> TrainingData:
    """Noise, with a square that is red for yes and blue for no in a corner.

    Args:
        n: pictures.
        seed: of everything.
        levels: names of the two levels.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2)
    pixels = rng.integers(60, 196, (n, 3, SIZE, SIZE))
    pixels[y == 1, 0, CORNER, CORNER], pixels[y == 1, 2, CORNER, CORNER] = 250, 20
    pixels[y == 0, 0, CORNER, CORNER], pixels[y == 0, 2, CORNER, CORNER] = 20, 250
    targets = torch.from_numpy(y)
    return TrainingData(
        CachedImages(torch.from_numpy(pixels.astype(np.uint8))), targets, torch.zeros(n, dtype=torch.int64), levels,
        ("all",), PREPROCESS,
    )  # fmt: skip
