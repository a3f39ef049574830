"""A manifest's images as batches: pixels and row ids, no labels.

The model cannot see what it is audited on, and the order cannot slip, because every image travels with its row id. The
boundaries of the batches are fixed by the manifest and the batch size alone (row ``i`` is in batch ``i // batch_size``),
so that no number depends on who computes which batch. An image that cannot be read leaves a gap and a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fairaudit.config import Preprocess
from fairaudit.data.decoding import check, decode
from fairaudit.data.manifest import ImageStore
from fairaudit.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images of one batch, in manifest order.

    Attributes:
        images: (b, 3, h, w) uint8 RGB, channels last in memory; b is 0 where only a check was asked for.
        rows: the b row ids.
        unreadable: (row, reason) of each image that belongs to this batch and cannot be read.
    """

    images: Tensor
    rows: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...] = ()

    def pin_memory(self) -> ImageBatch:
        """The same batch in page-locked memory; torch's data loader calls this by its name."""
        return replace(self, images=self.images.pin_memory())


class ImageBatches(Dataset[ImageBatch]):
    """Every batch of a list of rows; item ``i`` is read and decoded when it is asked for.

    Args:
        store: where the encoded images are.
        rows: row ids, in manifest order.
        preprocess: size, resize mode and interpolation.
        batch_size: rows per batch.
        exact: see ``decode``.
        known: rows that need not be read; they leave gaps in their batches.
        scaled: see ``decode``.
    """

    def __init__(
        self,
        store: ImageStore,
        rows: Sequence[str],
        preprocess: Preprocess,
        batch_size: int,
        exact: bool = False,
        known: Collection[str] = (),
        scaled: bool = False,
    ) -> None:
        self.store = store
        self.rows = tuple(rows)
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.exact, self.scaled = exact, scaled
        self.known = frozenset(known)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, index: int) -> ImageBatch:
        rows = self.rows_of(index)
        images = torch.empty((len(rows), 3, *self.preprocess.size), dtype=torch.uint8, memory_format=torch.channels_last)
        read: list[str] = []
        unreadable: list[tuple[str, str]] = []
        for row in rows:
            try:
                images[len(read)] = decode(self.store.read(row), self.preprocess, self.exact, self.scaled)
                read.append(row)
            except (OSError, DataError) as error:
                unreadable.append((row, _reason(error)))
        return ImageBatch(images[: len(read)], tuple(read), tuple(unreadable))

    def rows_of(self, index: int) -> tuple[str, ...]:
        """Row ids of one batch that are not known, readable or not.

        Raises:
            IndexError: there is no such batch.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        rows = self.rows[index * self.batch_size : (index + 1) * self.batch_size]
        return tuple(row for row in rows if row not in self.known) if self.known else rows

    def checked(self, index: int) -> ImageBatch:
        """One batch without its pixels: only which of its images cannot be read, and why."""
        unreadable: list[tuple[str, str]] = []
        for row in self.rows_of(index):
            try:
                check(self.store.read(row))
            except (OSError, DataError) as error:
                unreadable.append((row, _reason(error)))
        return ImageBatch(torch.empty((0, 3, *self.preprocess.size), dtype=torch.uint8), (), tuple(unreadable))


def _reason(error: OSError | DataError) -> str:
    # An OSError's own text holds an absolute path, which differs from machine to machine.
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
