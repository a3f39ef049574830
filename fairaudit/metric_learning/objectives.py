"""Objectives of metric learning and what mines pairs for them, from pytorch-metric-learning, with usual settings.

The settings are those of the code of K. Roth et al., "Revisiting Training Strategies and Generalization Performance in Deep
Metric Learning", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

Loss = Literal["margin", "triplet", "contrastive", "multi-similarity", "arcface"]
Miner = Literal["usual", "distance-weighted", "semi-hard", "multi-similarity", "none"]

BETA = 1.2
"""Where the margin loss draws the line between pairs of one class and of two at first."""

USUAL: Mapping[str, Miner] = {
    "margin": "distance-weighted",
    "triplet": "distance-weighted",
    "contrastive": "distance-weighted",
    "multi-similarity": "multi-similarity",
    "arcface": "none",
}
"""Loss → the miner that it is used with."""


class Objective(nn.Module):
    """One objective with its miner.

    - ``margin``: [d_ap − β + .2]₊ + [β − d_an + .2]₊ over triplets, divided by the number of terms above 0, with a β of
      each class that is learnt (C.-Y. Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017);
    - ``triplet``: [d_ap − d_an + .2]₊; ``contrastive``: d_ap and [1 − d_an]₊;
    - ``multi-similarity``: α = 2, β = 40, λ = .5, pairs within .1 (X. Wang et al., CVPR 2019);
    - ``arcface``: .5 radians, scale 16, a direction of each class that is learnt (J. Deng et al., CVPR 2019).

    Args:
        loss: which.
        miner: what picks pairs or triplets from a batch; ``usual`` is the loss's own in ``USUAL``.
        classes: number of classes.
        size: numbers of an embedding, d.
        seed: of what is drawn for it: arcface's directions.
    """

    def __init__(self, loss: Loss, miner: Miner, classes: int, size: int, seed: int) -> None:
        super().__init__()
        from pytorch_metric_learning import losses, miners

        make: Mapping[str, Callable[[], nn.Module]] = {
            "margin": lambda: losses.MarginLoss(margin=0.2, beta=BETA, learn_beta=True, num_classes=classes),
            "triplet": lambda: losses.TripletMarginLoss(margin=0.2),
            "contrastive": lambda: losses.ContrastiveLoss(pos_margin=0, neg_margin=1),
            "multi-similarity": lambda: losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.5),
            "arcface": lambda: losses.ArcFaceLoss(classes, size, margin=28.65, scale=16),  # degrees
        }
        mine: Mapping[str, Callable[[], nn.Module]] = {
            "distance-weighted": lambda: miners.DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4),
            "semi-hard": lambda: miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard"),
            "multi-similarity": lambda: miners.MultiSimilarityMiner(epsilon=0.1),
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.loss = make[loss]()
        wanted = USUAL[loss] if miner == "usual" else miner
        self.miner = None if wanted == "none" else mine[wanted]()
        self.kind, self.mined, self.classes = loss, wanted, classes

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """The scalar to minimise, of a whole batch; 0 where it holds no pair that counts.

        Args:
            embeddings: (b, d) rows of length 1.
            targets: (b,) int64 class of each.
        """
        loss = cast(Any, self.loss)
        if self.miner is None:
            value: Tensor = loss(embeddings, targets)
        else:
            value = loss(embeddings, targets, self.miner(embeddings.detach(), targets))
        return value

    @property
    def beta(self) -> nn.Parameter | None:
        """(classes,) the margin loss's β; None of other losses."""
        found = getattr(self.loss, "beta", None)
        return found if isinstance(found, nn.Parameter) else None
