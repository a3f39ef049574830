"""What is trained on: images by position, and for each its class and group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from fairaudit.config import Preprocess
from fairaudit.data.decoding import decode
from fairaudit.data.manifest import ImageStore
from fairaudit.errors import DataError
from fairaudit.losses.base import TrainingGroups

CACHE_BYTES = 2 * 2**30


class ImageSource(Protocol):
    """Hands out decoded images by position; several threads may ask at once."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def take(self, positions: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 images at (b,) int64 positions."""
        ...


@dataclass(frozen=True, eq=False)
class CachedImages:
    """Images that were decoded beforehand.

    Attributes:
        pixels: (n, 3, h, w) uint8.
    """

    pixels: Tensor

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.dim() != 4 or self.pixels.shape[1] != 3:
            raise ValueError(f"pixels must be (n, 3, h, w) uint8, not {tuple(self.pixels.shape)} {self.pixels.dtype}")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, positions: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 images at (b,) int64 positions."""
        return self.pixels[positions]


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Images that are decoded whenever they are asked for.

    Attributes:
        store: where the encoded images are.
        rows: row id of each image.
        preprocess: the size they are brought to, and how.
    """

    store: ImageStore
    rows: tuple[str, ...]
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 images at (b,) int64 positions.

        Raises:
            DataError: an image cannot be read; training drops none in silence.
        """
        return torch.stack([self._one(self.rows[i]) for i in positions.tolist()])

    def _one(self, row: str) -> Tensor:
        try:
            return decode(self.store.read(row), self.preprocess)
        except (OSError, DataError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise DataError(f"the training image {row!r} cannot be read: {reason}; mend it or leave it out") from error


def open_images(
    store: ImageStore,
    rows: Sequence[str],
    preprocess: Preprocess,
    *,
    workers: int = 0,
    cache_bytes: int = CACHE_BYTES,
) -> ImageSource:
    """Decode images once and keep them when they fit, otherwise decode them in every epoch.

    Args:
        store: where the encoded images are.
        rows: row id of each image.
        preprocess: the size they are brought to, and how.
        workers: threads that decode.
        cache_bytes: how much memory the decoded images may take.

    Raises:
        DataError: an image cannot be read.
    """
    source = StoredImages(store, tuple(rows), preprocess)
    height, width = preprocess.size
    if not rows or len(rows) * 3 * height * width > cache_bytes:
        return source
    chunks = torch.split(torch.arange(len(rows)), 64)
    return CachedImages(torch.cat(list(ahead(source.take, chunks, workers))))


@dataclass(frozen=True, eq=False)
class TrainingData:
    """A training set.

    Attributes:
        images: n images.
        targets: (n,) int64 class of each, below ``len(classes)``.
        groups: (n,) int64 group of each, below ``len(group_labels)``; zeros with one label where there are no groups.
        classes: name of each class, in the order of the model's outputs.
        group_labels: name of each group, in the order of the group ids.
        preprocess: mean and standard deviation that the network expects.
    """

    images: ImageSource
    targets: Tensor
    groups: Tensor
    classes: tuple[str, ...]
    group_labels: tuple[str, ...]
    preprocess: Preprocess

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.targets) == len(self.groups):
            n = f"{len(self.images)} images, {len(self.targets)} targets and {len(self.groups)} group ids"
            raise ValueError(f"{n} do not belong together")
        for what, codes, names in (("target", self.targets, self.classes), ("group", self.groups, self.group_labels)):
            if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(names):
                bad = int(((codes < 0) | (codes >= len(names))).sum())
                raise DataError(f"{bad} training images have no known {what}; leave them out before training")

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def counted(self) -> TrainingGroups:
        """Images per group and class: what a loss is built from."""
        return TrainingGroups.count(self.groups, self.targets, self.group_labels, len(self.classes))


A = TypeVar("A")
B = TypeVar("B")


def ahead(function: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Map in order, with threads that work ahead by as many items as there are threads.

    Args:
        function: what is applied; its exception is raised when its item's turn comes.
        items: what it is applied to.
        workers: threads; 0 applies it when asked.
    """
    if workers == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
