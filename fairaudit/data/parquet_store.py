"""Images inside Parquet files, as the Hugging Face hub exports them: a struct column with the encoded bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class ParquetStore:
    """Encoded images by row id, read from Parquet row groups.

    A row group is the smallest part of a Parquet file that can be read, so whole groups are kept, the least recently used
    are dropped beyond ``cache_bytes``. Safe to use from several threads; a pickled copy starts with an empty cache.

    Attributes:
        files: the Parquet files.
        column: name of the struct column whose field ``bytes`` holds the image.
        index: row id → (position in ``files``, row number in that file).
        cache_bytes: memory that may be used to keep row groups.
    """

    files: tuple[Path, ...]
    column: str
    index: Mapping[str, tuple[int, int]]
    cache_bytes: int = CACHE_BYTES
    _groups: OrderedDict[tuple[int, int], Any] = field(default_factory=OrderedDict, repr=False)
    _starts: dict[int, list[int]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, row: str) -> bytes:
        """Encoded bytes of one image.

        Raises:
            OSError: no such row, or the row has no image.
        """
        if row not in self.index:
            raise FileNotFoundError(f"{row} is not in the Parquet files")
        file, position = self.index[row]
        with self._lock:
            group, offset = self._locate(file, position)
            images = self._group(file, group)
        image = images[offset].as_py()
        if image is None:
            raise FileNotFoundError(f"{row} has no image bytes in {self.files[file].name}")
        return bytes(image)

    def missing(self, rows: Sequence[str]) -> list[str]:
        """Rows that the Parquet files do not hold."""
        return [row for row in rows if row not in self.index]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _groups=OrderedDict(), _starts={}, _lock=threading.Lock())

    def _locate(self, file: int, position: int) -> tuple[int, int]:
        if file not in self._starts:
            metadata = pq.read_metadata(self.files[file])
            starts = [0]
            for i in range(metadata.num_row_groups):
                starts.append(starts[-1] + metadata.row_group(i).num_rows)
            self._starts[file] = starts
        starts = self._starts[file]
        group = next(i for i in range(len(starts) - 1) if position < starts[i + 1])
        return group, position - starts[group]

    def _group(self, file: int, group: int) -> Any:
        key = (file, group)
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        with pq.ParquetFile(self.files[file]) as parquet:
            table = parquet.read_row_group(group, columns=[f"{self.column}.bytes"])
        images = pc.struct_field(table[self.column], "bytes")
        self._groups[key] = images
        while len(self._groups) > 1 and sum(kept.nbytes for kept in self._groups.values()) > self.cache_bytes:
            self._groups.popitem(last=False)
        return images
