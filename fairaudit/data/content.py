"""Content: one digest of an image's encoded bytes, by which byte-identical images are told."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fairaudit.data.manifest import ImageStore, Manifest


def digest(data: bytes) -> str:
    """A digest of encoded bytes: equal bytes have equal digests, others do not.

    Args:
        data: a whole file.
    """
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digests(manifest: Manifest) -> list[str]:
    """A digest of each image's encoded bytes, in row order; an unreadable image has one of its own.

    Args:
        manifest: the images.
    """
    rows = [str(row) for row in manifest.frame["row"]]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda row: _digest(manifest.store, row), rows, chunksize=64))


def content_codes(manifest: Manifest) -> NDArray[np.int64]:
    """(n,) code of each image's content: byte-identical images share one."""
    _, codes = np.unique(np.array(digests(manifest), dtype=object).astype(str), return_inverse=True)
    return codes.astype(np.int64)


def _digest(store: ImageStore, row: str) -> str:
    try:
        return digest(store.read(row))
    except OSError:
        return f"unreadable {row}"
