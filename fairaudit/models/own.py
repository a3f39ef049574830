"""Networks that are fairaudit's own, built by name beside those of timm and torchvision: ``fairaudit/NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from fairaudit.models.embedder import EmbeddingNetwork
from fairaudit.models.gender_cnn import GenderCNN
from fairaudit.models.treated import Treated

OWN = ("embedder", "gender-cnn", "treated")
RECOGNISED = ("gender-cnn",)
"""Those whose tensors say what they are; the others are named in the checkpoints that fairaudit writes."""

SIZES = {"gender-cnn": (128, 128)}
"""Height and width of the pictures that a network was made for."""

Construct = Callable[[str, int, Mapping[str, Any]], nn.Module]


def build_own(bare: str, num_classes: int, kwargs: Mapping[str, Any], construct: Construct) -> nn.Module:
    """Build one of them with random weights on the current default device.

    Args:
        bare: one of ``OWN``.
        num_classes: outputs.
        kwargs: constructor arguments; of ``treated``: ``of``, ``of_kwargs`` and ``size``; of ``embedder`` the first two.
        construct: builds any network, for the one within.

    Raises:
        TypeError: an argument is missing or not understood.
    """
    if bare == "gender-cnn":
        return GenderCNN(num_classes, **kwargs)
    wrong = set(kwargs) ^ ({"of", "of_kwargs"} | ({"size"} if bare == "treated" else set()))
    if wrong:
        raise TypeError(f"such a network is built of another one, and {sorted(wrong)[0]!r} is missing or unknown")
    inner = construct(kwargs["of"], num_classes, kwargs["of_kwargs"])
    if bare == "embedder":
        return EmbeddingNetwork(inner)
    height, width = kwargs["size"]
    return Treated(inner, (height, width))
