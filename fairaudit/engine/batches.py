"""Which images make up each training batch: shuffled, with as many of every group, or several of each class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from fairaudit.config import Balance


def epoch_batches(groups: Tensor, batch_size: int, balance: Balance, generator: torch.Generator) -> list[Tensor]:
    """Draw the batches of one epoch; each is the batch of all processes together.

    An epoch has as many batches whether or not groups are balanced, so that both have the same budget. Images beyond the
    last full batch are left out of this epoch: a small last batch would be a noisy step, and one image alone breaks batch
    normalisation.

    Args:
        groups: (n,) int64 group ids.
        batch_size: images per batch; with fewer images there is one batch of all.
        balance: ``none`` shuffles; ``groups`` draws equally from every group that occurs, repeating images of rare ones.
        generator: source of randomness, on the CPU.

    Returns:
        (b,) int64 positions of each batch's images.
    """
    n = len(groups)
    size = min(batch_size, n)
    order = torch.randperm(n, generator=generator) if balance == "none" else _take_turns(groups, n, generator)
    return list(order[: n // size * size].reshape(-1, size))


def _take_turns(groups: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """(n,) positions in which each run of as many images as there are groups holds one of each group."""
    streams = [_reshuffled(torch.nonzero(groups == g).squeeze(1), generator) for g in sorted(set(groups.tolist()))]
    rounds = -(-n // len(streams))
    # The groups' order within a round is drawn anew, so that a batch that ends inside a round favours none.
    turns = [torch.randperm(len(streams), generator=generator).tolist() for _ in range(rounds)]
    return torch.tensor([next(streams[g]) for turn in turns for g in turn][:n])


def _reshuffled(positions: Tensor, generator: torch.Generator) -> Iterator[int]:
    while True:
        yield from positions[torch.randperm(len(positions), generator=generator)].tolist()


class Batches(Protocol):
    """Draws the batches of an epoch: as many as the images fill, the same ones in every process."""

    def __call__(self, generator: torch.Generator) -> list[Tensor]:
        """Draw.

        Args:
            generator: the only source of randomness, on the CPU.

        Returns:
            (b,) int64 positions of each batch's images.
        """
        ...


class PerClass:
    """Batches of m images of each of b ÷ m classes, which is what losses on pairs and triplets need.

    Classes take turns in shuffled order, and so do a class's images; a class with fewer than m is repeated. With ``owners``
    groups take turns first, so that every batch has as many classes of each group. An epoch has as many batches as one of
    shuffled images.

    Args:
        classes: (n,) int64 class of each image; a class with one image is not drawn, for there is none to pair it with.
        m: images of a class in a row, at least 2.
        batch_size: images per batch, a multiple of m.
        owners: (n,) int64 group of each image; a class that several groups have counts once for each. None draws by class.

    Attributes:
        m: as given.
        batch_size: as given.
        balanced: whether groups take turns.
        alone: classes, or classes within a group, that are not drawn.
    """

    def __init__(self, classes: Tensor, m: int, batch_size: int, owners: Tensor | None = None) -> None:
        self.m, self.batch_size, self.balanced = m, batch_size, owners is not None
        whose = torch.zeros_like(classes) if owners is None else owners
        cells: dict[tuple[int, int], list[int]] = {}
        for place, key in enumerate(zip(whose.tolist(), classes.tolist(), strict=True)):
            cells.setdefault(key, []).append(place)
        drawn = {key: torch.tensor(places) for key, places in sorted(cells.items()) if len(places) > 1}
        self.alone = len(cells) - len(drawn)
        self._cells = list(drawn.values())
        self._of_group = [
            torch.tensor([i for i, (group, _) in enumerate(drawn) if group == g]) for g in sorted({g for g, _ in drawn})
        ]
        self._batches = len(classes) // batch_size

    def __call__(self, generator: torch.Generator) -> list[Tensor]:
        """The batches of one epoch; see ``Batches``."""
        turns = [_reshuffled(own, generator) for own in self._of_group]
        images = [_reshuffled(places, generator) for places in self._cells]
        return [self._one(turns, images, generator) for _ in range(self._batches)]

    def _one(self, turns: list[Iterator[int]], images: list[Iterator[int]], generator: torch.Generator) -> Tensor:
        held: list[int] = []
        while len(held) < self.batch_size:
            for group in torch.randperm(len(turns), generator=generator).tolist():
                if len(held) < self.batch_size:
                    cell = images[next(turns[group])]
                    held += [next(cell) for _ in range(self.m)]
        return torch.tensor(held)
