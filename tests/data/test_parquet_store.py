"""Images out of Parquet row groups, by any order, from several threads, within a memory bound."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairaudit.data.parquet_store import ParquetStore

N = 25


def _image(file: int, i: int) -> bytes:
    return f"{file}:{i}:".encode() + bytes(1000)


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    files = []
    for file in range(2):
        images: list[dict[str, object]] = [{"bytes": _image(file, i), "path": None} for i in range(N)]
        if file == 1:
            images[7] = {"bytes": None, "path": "lost.jpg"}
        files.append(tmp_path / f"{file}.parquet")
        pq.write_table(pa.table({"image": images, "race": list(range(N))}), files[-1], row_group_size=4)
    index = {f"{file}/{i}": (file, i) for file in range(2) for i in range(N)}
    return ParquetStore(tuple(files), "image", index, cache_bytes=9000)


def test_every_image_in_any_order(store: ParquetStore) -> None:
    rows = [row for row in store.index if row != "1/7"]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(store.read, reversed(rows)))
    assert read == [_image(*store.index[row]) for row in reversed(rows)]
    assert 1 <= len(store._groups) <= 2, "4 images of 1 kB a group, and 9 kB allowed"


def test_a_row_without_bytes_is_unreadable_not_empty(store: ParquetStore) -> None:
    with pytest.raises(FileNotFoundError, match=r"1/7 has no image bytes in 1\.parquet"):
        store.read("1/7")
    with pytest.raises(FileNotFoundError):
        store.read("2/0")
    assert store.missing(["0/0", "2/0"]) == ["2/0"]


def test_a_pickled_copy_reads_with_an_empty_cache(store: ParquetStore) -> None:
    assert store.read("0/5") == _image(0, 5)
    copy = pickle.loads(pickle.dumps(store))
    assert not copy._groups
    assert copy.read("1/24") == _image(1, 24)
