"""Cells of the training set, target × group, and as many images from each."""

from __future__ import annotations

import torch
from torch import Tensor

from fairaudit.engine.training_data import TrainingData


def cells_of(data: TrainingData) -> Tensor:
    """Which cell each image is in: its class, of several targets their combination, and its group.

    Args:
        data: n images whose classes exclude each other.

    Returns:
        (n,) int64 ids; those of cells without images do not occur.
    """
    cells = data.groups
    columns = data.targets[:, None] if data.targets.dim() == 1 else data.targets
    for column in columns.T:
        cells = cells * (int(column.max()) + 1 if len(column) else 1) + column
    return cells


def occurring(cells: Tensor) -> list[int]:
    """Ids of the cells that have images, ascending.

    Args:
        cells: (n,) int64 cell of each image.
    """
    return [int(cell) for cell in torch.bincount(cells).nonzero().squeeze(1)]


def as_many_of_each(cells: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from every cell that occurs as many images as the smallest has, without repeating any.

    Args:
        cells: (n,) int64 cell of each image.
        generator: source of randomness, on the CPU.

    Returns:
        (m,) int64 positions, ascending.
    """
    members = [torch.nonzero(cells == cell).squeeze(1) for cell in occurring(cells)]
    smallest = min((len(own) for own in members), default=0)
    drawn = [own[torch.randperm(len(own), generator=generator)[:smallest]] for own in members]
    return torch.cat(drawn).sort().values if drawn else cells.new_zeros(0)


def halves(cells: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut images in two, every cell as evenly as it goes; a cell of one image is in the first half only.

    Args:
        cells: (n,) int64 cell of each image.
        generator: source of randomness, on the CPU.

    Returns:
        (m,) and (n − m,) int64 positions.
    """
    first, second = [], []
    for cell in occurring(cells):
        own = torch.nonzero(cells == cell).squeeze(1)
        own = own[torch.randperm(len(own), generator=generator)]
        middle = (len(own) + 1) // 2
        first.append(own[:middle])
        second.append(own[middle:])
    return torch.cat(first), torch.cat(second)
