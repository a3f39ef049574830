"""Which images make up each training batch: shuffled, or with as many of every group."""

from __future__ import annotations

from collections.abc import Iterator

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
