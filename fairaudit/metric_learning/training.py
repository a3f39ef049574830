"""An embedding network with its objective and branches, as the engine trains it, and the loss that reads its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.engine.features import head_inputs, head_of
from fairaudit.losses.base import Criterion, GroupLoss
from fairaudit.metric_learning.branches import Branch
from fairaudit.metric_learning.objectives import Objective
from fairaudit.models.embedder import EmbeddingNetwork


class Branched(nn.Module):
    """A network in training: (b, d) embeddings in evaluation; in training those of embedding branches beside them.

    The objective's and the branches' own weights are among its parameters, so that one optimizer trains all and one state
    keeps all. What is kept of it in the end is ``network`` alone.

    Args:
        network: what is trained.
        objective: of its embeddings.
        branches: what is added to it.
        beta_lr: largest learning rate of the margin losses' β.
        seed: of the branches' heads.

    Raises:
        UsageError: the network's last layer cannot be told.
    """

    def __init__(
        self, network: EmbeddingNetwork, objective: Objective, branches: Sequence[Branch], beta_lr: float, seed: int
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.branches = nn.ModuleList(branches)
        self._head, head = head_of(network.inner)
        self._beta_lr = beta_lr
        size = _width(head)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.ModuleList(nn.Linear(size[1], size[0]) for branch in branches if branch.embeds)

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) → (b, d) in evaluation, (b, d + Σd) in training."""
        if not (self.heads.training and len(self.heads)):  # this module itself is in evaluation above a frozen backbone
            embedding: Tensor = self.network(images)
            return embedding
        with head_inputs(self.network.inner.get_submodule(self._head)) as seen:
            parts = [self.network(images)]
        features = seen.latest
        assert features is not None
        return torch.cat([*parts, *(functional.normalize(head(features), dim=1) for head in self.heads)], dim=1)

    def above_backbone(self) -> tuple[nn.Module, ...]:
        """What is trained where the backbone is frozen."""
        return (self.network.inner.get_submodule(self._head), self.objective, self.branches, self.heads)

    def learning_rates(self) -> Mapping[Tensor, float]:
        """Parameter → its largest learning rate, where it has one of its own."""
        found = [module.beta for module in self.modules() if isinstance(module, Objective)]
        return {beta: self._beta_lr for beta in found if beta is not None}


class EmbeddingLoss(GroupLoss):
    """The objective of the embeddings and what the branches add, read from the outputs of a ``Branched``.

    Args:
        n_groups: number of groups that the training data declare.
        criterion: says what targets mean; it is not called.
        trained: whose outputs are read.
        size: numbers of an embedding, d.
        level_of: for each branch (n_groups,) int64 level of its attribute in each group.
    """

    whole_batch = True
    uses_groups = False
    wants = "outputs"

    def __init__(
        self, n_groups: int, criterion: Criterion, trained: Branched, size: int, level_of: Sequence[Tensor]
    ) -> None:
        super().__init__(n_groups, criterion)
        self.size = size
        self.objective, self.branches = trained.objective, trained.branches
        for i, levels in enumerate(level_of):
            self.register_buffer(f"level_{i}", levels)

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The scalar to minimise; ``logits`` are a ``Branched``'s outputs. See ``GroupLoss.forward``."""
        first, *own = torch.split(logits, self.size, dim=1)
        value: Tensor = self.objective(first, targets)
        rest = iter(own)
        for i, branch in enumerate(self.branches):
            levels = self.get_buffer(f"level_{i}")[groups]
            value = value + branch(first, next(rest) if branch.embeds else None, levels)
        return value


def _width(head: nn.Module) -> tuple[int, int]:
    """Numbers that come out of a network's last linear layer, and numbers that go in."""
    linear = [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1]
    return linear.out_features, linear.in_features
