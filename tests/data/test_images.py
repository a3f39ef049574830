"""Batches of a manifest: order, boundaries, gaps."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from fairaudit.config import Preprocess
from fairaudit.data.images import ImageBatches
from fairaudit.data.manifest import FolderStore

PREPROCESS = Preprocess(size=(8, 8), resize="squash")


@dataclass(frozen=True)
class Memory:
    """Images in memory."""

    files: Mapping[str, bytes]

    def read(self, row: str) -> bytes:
        if row not in self.files:
            raise FileNotFoundError(2, "No such file or directory", f"/somewhere/{row}")
        return self.files[row]

    def missing(self, rows: Sequence[str]) -> list[str]:
        return [row for row in rows if row not in self.files]


def grey(level: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(out, "PNG")
    return out.getvalue()


ROWS = [f"{i}.png" for i in range(10)]
FILES = {row: grey(20 * i) for i, row in enumerate(ROWS)}


def test_every_row_is_in_its_batch() -> None:
    batches = ImageBatches(Memory(FILES), ROWS, PREPROCESS, 4)
    assert len(batches) == 3
    for index in range(3):
        batch = batches[index]
        assert batch.rows == tuple(ROWS[4 * index : 4 * index + 4])
        assert batch.images.shape == (len(batch.rows), 3, 8, 8)
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.images[:, 0, 0, 0].tolist() == [20 * int(row.removesuffix(".png")) for row in batch.rows]
        assert batch.unreadable == ()
    with pytest.raises(IndexError):
        batches[3]


def test_an_unreadable_image_leaves_a_gap_and_a_reason() -> None:
    files = {**FILES, "1.png": b"", "5.png": FILES["5.png"][:40]}
    del files["2.png"]
    batches = ImageBatches(Memory(files), ROWS, PREPROCESS, 4)
    batch = batches[0]
    assert batch.rows == ("0.png", "3.png")
    assert batch.images[:, 2, 7, 7].tolist() == [0, 60]
    assert batch.unreadable == (("1.png", "the file is empty"), ("2.png", "No such file or directory"))
    assert batches[1].rows == ("4.png", "6.png", "7.png")
    for index in range(3):
        assert batches.checked(index).unreadable == batches[index].unreadable
        assert batches.checked(index).rows == ()


def test_a_batch_of_which_nothing_can_be_read() -> None:
    batch = ImageBatches(Memory({}), ROWS, PREPROCESS, 10)[0]
    assert batch.images.shape == (0, 3, 8, 8)
    assert [row for row, _ in batch.unreadable] == ROWS


def test_a_link_out_of_the_root_is_reported(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(grey(9))
    root = tmp_path / "root"
    root.mkdir()
    (root / "face.png").symlink_to(tmp_path / "secret.png")
    batch = ImageBatches(FolderStore(root), ["face.png"], PREPROCESS, 1)[0]
    assert batch.unreadable == (("face.png", "face.png leads out of the dataset's root"),)


def test_batches_survive_pickling_for_loader_processes() -> None:
    batches = pickle.loads(pickle.dumps(ImageBatches(Memory(FILES), ROWS, PREPROCESS, 4)))
    assert batches[2].rows == ("8.png", "9.png")
