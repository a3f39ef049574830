"""Looks: what one pass over the image files tells of each: its bytes, its size, how bright it is, and what it resembles.

No torch, and no more pixels than needed: JPEG is decoded in grey, at the smallest scale of its codec above 64 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairaudit.data.content import digest
from fairaudit.data.manifest import ImageStore
from fairaudit.data.opening import opened, reason, rgb

Progress = Callable[[int, int], None]

SIDE = 32
"""Height and width in pixels of the grey picture that an image is compared by."""
_DECODED = 64
_CHUNK = 256
_THREADS = 2


@dataclass(frozen=True, eq=False)
class Look:
    """What is known of one image file.

    Attributes:
        digest: of its bytes; None where they cannot be read.
        width: in pixels, from the file's header; 0 where it has none.
        height: likewise.
        brightness: mean luma of its pixels (ITU-R BT.601), 0 black to 255 white; nan where it cannot be decoded.
        grey: (32, 32) uint8, the whole picture in grey; None where it cannot be decoded.
        reason: why it cannot be read or decoded; None where it can.
    """

    digest: str | None
    width: int = 0
    height: int = 0
    brightness: float = float("nan")
    grey: NDArray[np.uint8] | None = None
    reason: str | None = None


def looks(store: ImageStore, rows: Sequence[str], progress: Progress | None = None) -> Iterator[Look]:
    """One look at each image, in order; never more than a few hundred are held at a time.

    Args:
        store: where the encoded images are.
        rows: row ids.
        progress: told how many are done, and of how many.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(rows), _CHUNK):
            yield from pool.map(lambda row: look(store, row), rows[start : start + _CHUNK])
            if progress is not None:
                progress(min(start + _CHUNK, len(rows)), len(rows))


def look(store: ImageStore, row: str) -> Look:
    """Read one image file and say what it is.

    Args:
        store: where the encoded images are.
        row: its row id.
    """
    try:
        data = store.read(row)
    except (OSError, ValueError) as error:  # a name may be none that the file system takes
        # an OSError's own text holds an absolute path, which differs from machine to machine
        return Look(None, reason=(error.strerror if isinstance(error, OSError) else None) or str(error))
    width = height = 0
    try:
        image = opened(data)
        width, height = image.size
        image.draft("L", (_DECODED, _DECODED))
        grey = image if image.mode == "L" else rgb(image)
        grey = grey.convert("L")
        small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
        brightness = float(np.asarray(grey, dtype=np.float32).mean())
    except Exception as error:  # a codec may raise anything on a broken file; nothing is lost, the reason is reported
        return Look(digest(data), width, height, reason=reason(error, data))
    return Look(digest(data), width, height, brightness, small)
