"""Images by position: decoded beforehand, or whenever they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from fairaudit.config import Cache, Preprocess
from fairaudit.data.decoding import decode
from fairaudit.data.manifest import ImageStore
from fairaudit.engine.image_cache import cached_on_disk
from fairaudit.errors import DataError

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


@dataclass(frozen=True, eq=False)
class UnreadImages:
    """Images of which nothing is known but how many there are: for what can be said of labels alone.

    Attributes:
        n: how many.
    """

    n: int

    def __len__(self) -> int:
        return self.n

    def take(self, positions: Tensor) -> Tensor:
        """Nothing: there is no image.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{len(positions)} images were asked for where only labels are known")


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Features in the place of images: an image source whose images are rows of numbers.

    Attributes:
        values: (n, d) float32.
    """

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def take(self, positions: Tensor) -> Tensor:
        """(b, d) float32 features at (b,) int64 positions."""
        return self.values[positions]


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """Some images of another source; one may be selected more than once.

    Attributes:
        images: the other source.
        positions: (n,) int64, which of its images these are.
    """

    images: ImageSource
    positions: Tensor

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, positions: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 images at (b,) int64 positions."""
        return self.images.take(self.positions[positions])


def open_images(
    store: ImageStore,
    rows: Sequence[str],
    preprocess: Preprocess,
    *,
    workers: int = 0,
    cache: Cache = "memory",
    cache_bytes: int = CACHE_BYTES,
    folder: Path | None = None,
) -> ImageSource:
    """Decode images once and keep them where they fit, otherwise decode them in every epoch.

    Args:
        store: where the encoded images are.
        rows: row id of each image.
        preprocess: the size they are brought to, and how.
        workers: threads that decode.
        cache: ``memory`` keeps them there when they fit, ``disk`` in one file that later runs use too, ``none`` nowhere.
        cache_bytes: how much memory the decoded images may take.
        folder: where the file of ``disk`` is or is made.

    Raises:
        DataError: an image cannot be read.
        OutputError: the file of decoded images cannot be written.
    """
    source = StoredImages(store, tuple(rows), preprocess)
    height, width = preprocess.size
    if not rows or cache == "none":
        return source
    if cache == "disk":
        if folder is None:
            raise ValueError("a cache on disk needs a folder")
        return CachedImages(cached_on_disk(store, source.rows, preprocess, folder, decoded(source, workers)))
    if len(rows) * 3 * height * width > cache_bytes:
        return source
    return CachedImages(torch.cat(list(decoded(source, workers))))


def decoded(source: ImageSource, workers: int) -> Iterator[Tensor]:
    """All images of a source in order, some at a time.

    Args:
        source: any.
        workers: threads that decode.
    """
    return ahead(source.take, torch.split(torch.arange(len(source)), 64), workers)


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
