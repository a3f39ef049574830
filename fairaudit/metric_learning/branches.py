"""What keeps an attribute out of an embedding while it is trained: branches that are thrown away afterwards.

A gradient that is reversed makes whatever stands below it do the opposite of what is minimised above it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.metric_learning.objectives import Objective

HIDDEN = 512
"""Width of the layer within what correlates two embeddings, and within the adversary."""


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient changes its sign."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 (autograd passes the context)
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ARG004
        return -gradients[0]


def reversed_gradient(values: Tensor) -> Tensor:
    """The same numbers, through which gradients pass with the opposite sign.

    Args:
        values: any shape.
    """
    found: Tensor = _Reversed.apply(values)
    return found


class Branch(nn.Module, ABC):
    """What is added to an objective for the sake of one attribute.

    Attributes:
        attribute: its name.
        embeds: whether it has an embedding of its own, on the features below the target's.
    """

    attribute: str
    embeds: bool

    @abstractmethod
    def forward(self, embedding: Tensor, own: Tensor | None, levels: Tensor) -> Tensor:
        """What is added, a scalar.

        Args:
            embedding: (b, d) the target's, rows of length 1.
            own: (b, d) its own, rows of length 1; None where it has none.
            levels: (b,) int64 level of the attribute.
        """


class Decorrelated(Branch):
    """An embedding of the attribute, learnt beside the target's, from which the target's is decorrelated.

    α · margin(own; level) − ρ · mean((n(R(e)) ⊙ n(g(R(own))))²), e the target's embedding, n to length 1, R reversing the
    gradient, g two linear layers with a ReLU between them, the mean over images and numbers. g finds what the two have in
    common; both embeddings, through R, lose it.

    Args:
        attribute: its name.
        levels: how many it has.
        size: numbers of an embedding, d.
        strength: ρ, above 0.
        share: α.
        seed: of g.
    """

    embeds = True

    def __init__(self, attribute: str, levels: int, size: int, strength: float, share: float, seed: int) -> None:
        super().__init__()
        self.attribute, self.strength, self.share = attribute, strength, share
        self.objective = Objective("margin", "usual", levels, size, seed)
        self.project = _two_layers(size, size, seed)

    def forward(self, embedding: Tensor, own: Tensor | None, levels: Tensor) -> Tensor:
        """See the class and ``Branch.forward``."""
        assert own is not None  # it embeds
        value: Tensor = self.share * self.objective(own, levels) - self.strength * self.correlation(embedding, own)
        return value

    def correlation(self, embedding: Tensor, own: Tensor) -> Tensor:
        """How much two embeddings have in common, a scalar; its gradient grows g's and, reversed, shrinks theirs.

        Args:
            embedding: (b, d).
            own: (b, d).
        """
        found: Tensor = functional.normalize(self.project(reversed_gradient(own)), dim=1)
        common: Tensor = (functional.normalize(reversed_gradient(embedding), dim=1) * found).square().mean()
        return common


class Adversary(Branch):
    """A classifier of the attribute on the target's embedding, whose gradient is reversed: λ · cross-entropy.

    Args:
        attribute: its name.
        levels: how many it has.
        size: numbers of an embedding, d.
        strength: λ, above 0.
        seed: of the classifier.
    """

    embeds = False

    def __init__(self, attribute: str, levels: int, size: int, strength: float, seed: int) -> None:
        super().__init__()
        self.attribute, self.strength = attribute, strength
        self.classify = _two_layers(size, levels, seed)

    def forward(self, embedding: Tensor, own: Tensor | None, levels: Tensor) -> Tensor:  # noqa: ARG002 (it has none)
        """See the class and ``Branch.forward``."""
        return self.strength * functional.cross_entropy(self.classify(reversed_gradient(embedding)), levels)


def _two_layers(before: int, after: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(before, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, after))
