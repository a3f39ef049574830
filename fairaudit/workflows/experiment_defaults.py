"""What is trained where nobody names a dataset or a network; kept apart from torch so that the command line may look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCRATCH = "timm/test_resnet"
"""Small enough for drawn faces and a processor."""
SCRATCH_SIZE = (48, 48)
DRAWN_FACES: Mapping[str, Any] = {"n": 6000, "size": 48, "seed": 0, "spurious": "Eyeglasses~gender=woman:0.9"}
"""Drawn faces with a shortcut: nearly all women of the training images wear glasses and few men do; half of each test."""
DRAWN_BY = (("gender", "Eyeglasses"),)
DRAWN_PEOPLE: Mapping[str, Any] = {
    "n": 4000, "size": 48, "seed": 0, "pictures_per_identity": 4, "shares": "tone=light:0.9"
}  # fmt: skip
"""For embeddings: four pictures of each person; nine in ten of those who are learnt from have light skin."""
DRAWN_PEOPLE_BY = (("tone",),)
DRAWN_TRAINING: Mapping[str, Any] = {"epochs": 6, "lr": 3e-3, "warmup": 1, "balance": "none"}
