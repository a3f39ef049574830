"""A network whose outputs are embeddings: rows of length 1, of which those of one class lie close together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "fairaudit/embedder"


class EmbeddingNetwork(nn.Module):
    """A classifier's network whose last layer is the embedding head, and the normalisation of what it gives.

    Args:
        inner: images (b, 3, h, w) → (b, d).

    Attributes:
        length: () of every row, 1. A name beside those below ``inner`` also tells a checkpoint of this network from one of
            the network within that some wrapper has renamed.
    """

    length: Tensor

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("length", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) normalised → (b, d) rows of length 1."""
        return functional.normalize(self.inner(images), dim=1) * self.length


def embedding_description(architecture: str, arch_kwargs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and constructor arguments that a checkpoint of an embedding network needs.

    Args:
        architecture: of the network within.
        arch_kwargs: its constructor arguments.
    """
    return NAME, {"of": architecture, "of_kwargs": dict(arch_kwargs)}
