"""Where patches lie in a picture, in one order that training, attribution and maps share, and how they are cut out.

A position's id runs along a row of patches first: id i is row i // n and column i % n of the n × n positions, its upper
left corner at (row · stride, column · stride). The paper's own code runs down columns; only one order in all places
matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairaudit.errors import UsageError

_SHOWN = 8


@dataclass(frozen=True)
class Positions:
    """A square grid of overlapping patches that covers a square picture from edge to edge.

    Attributes:
        image: height and width of the pictures in pixels.
        patch: height and width of a patch in pixels.
        per_side: positions in a row of patches, and rows; 49 make 2,401 positions.

    Raises:
        UsageError: the patches do not fit; the sentence names what would.
    """

    image: int
    patch: int
    per_side: int

    def __post_init__(self) -> None:
        room = self.image - self.patch
        if self.patch < 1 or room < 1:
            raise UsageError(
                f"patches of {self.patch} pixels do not fit into pictures of {self.image}: "
                f"a patch must have 1 to {self.image - 1} pixels"
            )
        fitting = [n for n in range(2, room + 2) if room % (n - 1) == 0 and room // (n - 1) <= self.patch]
        if self.per_side in fitting:
            return
        near = sorted(sorted(fitting, key=lambda n: abs(n - self.per_side))[:_SHOWN])
        raise UsageError(
            f"{self.per_side} patches of {self.patch} pixels on a side of {self.image} are {self._steps()}; "
            f"the number per side may be {', '.join(map(str, near))}"
        )

    def _steps(self) -> str:
        if self.per_side < 2:
            return "too few to cover it"
        step = (self.image - self.patch) / (self.per_side - 1)
        return f"{step:g} pixels apart, which leaves gaps" if step % 1 == 0 else f"{step:.3g} pixels apart, no whole number"

    def __len__(self) -> int:
        return self.per_side**2

    @property
    def stride(self) -> int:
        """Pixels from one patch to the next: (image − patch) / (per_side − 1), a whole number."""
        return (self.image - self.patch) // (self.per_side - 1)

    def corner(self, position: int) -> tuple[int, int]:
        """Row and column of the upper left pixel of a position."""
        row, column = divmod(position, self.per_side)
        return row * self.stride, column * self.stride

    def coarser(self, every: int) -> Positions:
        """Every n-th position of each side, edges included.

        Raises:
            UsageError: so many steps do not divide the side, or leave gaps.
        """
        steps = self.per_side - 1
        fitting = [n for n in range(1, steps + 1) if steps % n == 0 and n * self.stride <= self.patch]
        if every not in fitting:
            raise UsageError(
                f"every {every}. of {self.per_side} positions does not reach from edge to edge without gaps; "
                f"it may be every {', '.join(map(str, fitting))}"
            )
        return Positions(self.image, self.patch, steps // every + 1)

    def ids(self, every: int = 1) -> Tensor:
        """(p,) int64 ids of the positions that ``coarser(every)`` keeps, in its order."""
        sides = torch.arange(0, self.per_side, every)
        return (sides[:, None] * self.per_side + sides[None, :]).flatten()


def usual_positions(image: int) -> Positions:
    """Patches of a quarter of the picture, about thirteen on a side: coarse, for pictures of any size.

    Args:
        image: height and width in pixels, at least 8.
    """
    patch = max(2, image // 4)
    room = image - patch
    wanted = max(1, image // 16)
    stride = next(step for step in range(wanted, 0, -1) if room % step == 0)
    return Positions(image, patch, room // stride + 1)


def windows(images: Tensor, positions: Positions) -> Tensor:
    """Every patch of every picture, as a view: nothing is copied.

    Args:
        images: (b, c, I, I).
        positions: where.

    Returns:
        (b, n, n, c, k, k); row and column of the position, then the patch.

    Raises:
        ValueError: the pictures are of another size.
    """
    if images.shape[2:] != (positions.image, positions.image):
        raise ValueError(f"pictures of {tuple(images.shape[2:])} where {positions.image} pixels a side are expected")
    k, step = positions.patch, positions.stride
    return images.unfold(2, k, step).unfold(3, k, step).permute(0, 2, 3, 1, 4, 5)


def one_of_each(images: Tensor, ids: Tensor, positions: Positions) -> Tensor:
    """One patch of each picture.

    Args:
        images: (b, c, I, I).
        ids: (b,) int64 position of each.
        positions: where.

    Returns:
        (b, c, k, k).
    """
    n = positions.per_side
    rows, columns = ids // n, ids % n
    return windows(images, positions)[torch.arange(len(images), device=images.device), rows, columns]


def some_of_all(images: Tensor, ids: Tensor, positions: Positions) -> Tensor:
    """The same patches of every picture.

    Args:
        images: (b, c, I, I).
        ids: (p,) int64 positions.
        positions: where.

    Returns:
        (b, p, c, k, k).
    """
    n = positions.per_side
    return windows(images, positions)[:, ids // n, ids % n]
