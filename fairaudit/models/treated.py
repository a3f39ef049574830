"""A network that changes its pictures before it looks at them: grey or noise in one region, for good.

What a model was trained on masked pictures to do, it must do on masked pictures; so the region is a part of the model,
and a checkpoint carries it. In training noise is drawn anew for every picture; in evaluation the one draw of ``noise`` is
used, so that the same picture always gives the same scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.models.embedder import EmbeddingNetwork, embedding_description

NAME = "fairaudit/treated"
OPEN = torch.finfo(torch.float32).max
"""A limit that limits nothing; a checkpoint that holds infinity is taken for one of a training that diverged."""


class Treated(nn.Module):
    """Pictures · keep + noise, perhaps clipped, and then a network. Everything is in normalised units.

    Args:
        inner: the network.
        size: height and width of the pictures.

    Attributes:
        keep: (1, h, w) what pictures are multiplied with; 0 leaves the mean colour of the normalisation.
        reach: (1, h, w) standard deviation of the noise in training.
        noise: (3, h, w) what is added in evaluation.
        low: () smallest value that is let through; ``−OPEN`` clips nothing.
        high: () largest.
    """

    keep: Tensor
    reach: Tensor
    noise: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, inner: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.inner = inner
        self.size = (int(size[0]), int(size[1]))
        self.register_buffer("keep", torch.ones(1, *self.size))
        self.register_buffer("reach", torch.zeros(1, *self.size))
        self.register_buffer("noise", torch.zeros(3, *self.size))
        self.register_buffer("low", torch.tensor(-OPEN))
        self.register_buffer("high", torch.tensor(OPEN))

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) normalised → what the network says."""
        noise = torch.randn_like(images) * self.reach if self.training else self.noise
        changed = torch.minimum(torch.maximum(images * self.keep + noise, self.low), self.high)
        logits: Tensor = self.inner(changed.to(images.dtype))
        return logits


def described(model: nn.Module, architecture: str, arch_kwargs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and constructor arguments that a checkpoint of a network needs.

    Args:
        model: the network, or one within a ``Treated`` or an ``EmbeddingNetwork``.
        architecture: of the network.
        arch_kwargs: of the network.
    """
    if isinstance(model, EmbeddingNetwork):
        return embedding_description(architecture, arch_kwargs)
    if not isinstance(model, Treated) or (architecture == NAME and not isinstance(model.inner, Treated)):
        return architecture, dict(arch_kwargs)
    return NAME, {"of": architecture, "of_kwargs": dict(arch_kwargs), "size": list(model.size)}
