"""Decoded images in one file, which later runs map into memory instead of decoding again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from fairaudit.artifacts.folder import unwritable
from fairaudit.config import Preprocess
from fairaudit.data.manifest import ImageStore

_LOOKED_AT = 16
"""Images whose bytes are part of the key: a dataset that was exchanged under the same names is noticed."""


def cached_on_disk(
    store: ImageStore, rows: Sequence[str], preprocess: Preprocess, folder: Path, images: Iterator[Tensor]
) -> Tensor:
    """The decoded images of a file, which is written first where it is not there.

    The file is named by the rows, the size and manner of their resizing, and the encoded bytes of a few of them. It appears
    whole or not at all; processes that make it at the same time make the same one.

    Args:
        store: where the encoded images are.
        rows: row id of each of n images, at least one.
        preprocess: the size they are brought to, and how; mean and standard deviation do not matter.
        folder: made if it is not there.
        images: decodes all of them in order, (b, 3, h, w) uint8 at a time; not asked when the file is there.

    Returns:
        (n, 3, h, w) uint8; reading it reads the file, writing to it does not change the file.

    Raises:
        OutputError: the file cannot be written.
    """
    path = folder / f"{_key(store, rows, preprocess)}.images"
    shape = (len(rows), 3, *preprocess.size)
    size = shape[0] * shape[1] * shape[2] * shape[3]
    if not path.is_file() or path.stat().st_size != size:
        _write(path, images)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).reshape(shape)


def _key(store: ImageStore, rows: Sequence[str], preprocess: Preprocess) -> str:
    key = hashlib.sha256()
    manner = preprocess.model_dump(mode="json", include={"size", "resize", "crop_pct", "interpolation"})
    key.update(json.dumps([manner, list(rows)]).encode())
    for row in rows[:: max(1, len(rows) // _LOOKED_AT)]:
        try:
            key.update(hashlib.sha256(store.read(row)).digest())
        except OSError:
            key.update(b"unreadable")  # decoding says so, with the image's name
    return key.hexdigest()[:32]


def _write(path: Path, images: Iterator[Tensor]) -> None:
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
            part = Path(file.name)
            for some in images:
                file.write(some.contiguous().numpy().data)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except BaseException as error:
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
