"""MixUp and CutMix: pairs of a batch become one image with the targets of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from timm.data import Mixup
from torch import Tensor

from fairaudit.config import TrainingSettings
from fairaudit.engine.seeding import numpy_seeded

SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Batch:
    """What one process holds of a batch.

    Attributes:
        inputs: (b, 3, h, w) float in [0, 1], or (b, d) features.
        targets: as the criterion understands them; (b, k) shares of the outputs where images are mixed.
        groups: (b,) int64.
        positions: (b,) int64 position of each image among the training images; empty where images were mixed.
    """

    inputs: Tensor
    targets: Tensor
    groups: Tensor
    positions: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.groups)


class Mixer(Protocol):
    """Mixes the images of a batch."""

    def __call__(self, batch: Batch, seed: int) -> Batch:
        """Mix.

        Args:
            batch: one process's share of a batch; targets are (b, k) shares of the outputs. It may be changed in place.
                Image i of the first half and image i from the end of the second are partners in the batch of all processes.
            seed: of everything that is drawn; the same in all processes, another in each batch.

        Returns:
            A batch of the same size.
        """
        ...


def mixer_of(settings: TrainingSettings) -> Mixer | None:
    """The mixer that settings ask for; None where they ask for none.

    Args:
        settings: ``augment``, ``mix_alpha`` and ``mix_share``.
    """
    mixup, cutmix = "mixup" in settings.augment, "cutmix" in settings.augment
    if not (mixup or cutmix):
        return None
    return PairMixer(settings.mix_alpha if mixup else 0.0, settings.mix_alpha if cutmix else 0.0, settings.mix_share)


@dataclass(frozen=True)
class PairMixer:
    """timm's Mixup: image i with image b−1−i, one share λ for the whole batch.

    A mixed image counts as one of the group of which it has more: its own where λ ≥ 0.5, else its partner's. So a loss over
    groups compares whole images, at the price that a group's loss includes some of the other's.

    Attributes:
        mixup_alpha: of the Beta distribution of λ in MixUp; 0 never mixes so.
        cutmix_alpha: of the Beta distribution of λ in CutMix; 0 never mixes so.
        share: of the batches that are mixed.
    """

    mixup_alpha: float
    cutmix_alpha: float
    share: float

    def __call__(self, batch: Batch, seed: int) -> Batch:
        """See ``Mixer``."""
        n = len(batch)
        # timm wants an even number, so the image in the middle, its own partner, is shown twice.
        places = torch.arange(n) if n % 2 == 0 else torch.cat([torch.arange(n // 2 + 1), torch.arange(n // 2, n)])
        mixup = Mixup(
            self.mixup_alpha, self.cutmix_alpha, prob=self.share, switch_prob=0.5, label_smoothing=0.0, num_classes=2
        )
        # timm does not tell λ, but what becomes of two classes that fill a half each does.
        halves = (torch.arange(len(places)) >= len(places) // 2).long()
        with numpy_seeded(seed):
            mixed, shares = mixup(batch.inputs[places], halves.to(batch.inputs.device))
        own = float(shares[0, 0])
        return Batch(
            mixed if n % 2 == 0 else torch.cat([mixed[: n // 2 + 1], mixed[n // 2 + 2 :]]),
            batch.targets * own + batch.targets.flip(0) * (1 - own),
            batch.groups if own >= 0.5 else batch.groups.flip(0),
        )


def share_of(n: int, process: int, processes: int, mixed: bool) -> Tensor:
    """Which images of a batch one process holds.

    Args:
        n: images in the batch of all processes.
        process: this process's number.
        processes: how many share the batch.
        mixed: whether image i and image n−1−i must be held by one process.

    Returns:
        (b,) int64 positions in the batch. With ``mixed`` position i and position i from the end are partners.
    """
    if not mixed:
        return torch.tensor(range(process, n, processes), dtype=torch.int64)
    first = torch.tensor(range(process, n // 2, processes), dtype=torch.int64)
    # The image in the middle of an odd batch goes where there would be a pair fewer.
    middle = [n // 2] if n % 2 and (n // 2) % processes == process else []
    return torch.cat([first, torch.tensor(middle, dtype=torch.int64), (n - 1 - first).flip(0)])
