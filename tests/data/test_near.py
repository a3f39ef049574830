"""Near-identical pictures: found when saved again, resized or brightened, told from other faces; bands miss no pair."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from fairaudit.data.faces import render, sample_face
from fairaudit.data.looks import look, looks
from fairaudit.data.manifest import FolderStore
from fairaudit.data.near import CORRELATION, flat, hashes, near_pairs, thumbnails
from fairaudit.data.ties import tied


def _noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Smooth random pictures, which unlike faces have nothing in common."""
    coarse = rng.integers(0, 256, size=(n, 8, 8)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC)) for one in coarse])


def _plain_hash(picture: np.ndarray) -> int:
    """The hash by loops: a cosine transform, the lowest 8 × 8 without the first, above their median."""
    k, x = np.arange(8)[:, None], np.arange(32)[None, :]
    waves = np.cos(np.pi * k * (2 * x + 1) / 64)
    low = [sum(waves[u] * (picture.astype(float) @ waves[v])) for u in range(8) for v in range(8)]
    middle = np.median(low[1:])
    return sum(1 << i for i, value in enumerate(low) if i and value > middle)


def test_hashes_by_loops() -> None:
    pictures = _noise(np.random.default_rng(0), 30)
    mine, plain = hashes(pictures), [_plain_hash(one) for one in pictures]
    for i in range(30):
        for j in range(30):
            assert int(np.bitwise_count(mine[i] ^ mine[j])) == (plain[i] ^ plain[j]).bit_count()


@pytest.mark.parametrize("distance", [0, 1, 4, 11])
def test_bands_find_every_pair_that_comparing_all_finds(distance: int) -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2**63, size=40, dtype=np.uint64)
    flips = [np.bitwise_or.reduce(np.uint64(1) << rng.choice(64, k, replace=False).astype(np.uint64)) for k in range(1, 13)]
    hashed = np.concatenate([base, *(base ^ flip for flip in flips)])
    thumbs = np.tile(rng.integers(0, 256, size=256).astype(np.uint8), (len(hashed), 1))
    wanted = {
        (i, j)
        for i in range(len(hashed))
        for j in range(i + 1, len(hashed))
        if (int(hashed[i]) ^ int(hashed[j])).bit_count() <= distance
    }
    pairs, whole = near_pairs(hashed, thumbs, distance)
    assert whole
    assert {(i, j) for i, j in pairs.tolist()} == wanted
    assert len(pairs) == len(wanted), "each once"


def test_equal_hashes_of_other_pictures_are_not_enough() -> None:
    rng = np.random.default_rng(2)
    thumbs = rng.integers(0, 256, size=(3, 256)).astype(np.uint8)
    thumbs[2] = np.clip(thumbs[0].astype(int) // 2 + 40, 0, 255)
    pairs, _ = near_pairs(np.zeros(3, dtype=np.uint64), thumbs)
    assert np.corrcoef(thumbs[0], thumbs[1])[0, 1] < CORRELATION < np.corrcoef(thumbs[0], thumbs[2])[0, 1]
    assert pairs.tolist() == [[0, 2]]


def test_the_search_ends_where_everything_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairaudit.data.near.MOST_PAIRS", 100)
    thumbs = np.tile(np.arange(256, dtype=np.uint8), (50, 1))
    assert near_pairs(np.zeros(50, dtype=np.uint64), thumbs)[1] is False


def test_tied_positions_share_a_code() -> None:
    codes = tied(6, [(0, 3), (3, 5), (1, 2)])
    assert [codes.tolist().index(code) for code in codes] == [0, 1, 1, 0, 4, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    face = render(sample_face(np.random.default_rng(5)), 160)
    face.save(root / "a.jpg", quality=95)
    face.save(root / "again.jpg", quality=40)
    face.save(root / "lossless.png")
    face.resize((90, 90)).save(root / "small.jpg", quality=90)
    ImageEnhance.Brightness(face).enhance(1.15).save(root / "bright.jpg", quality=90)
    render(sample_face(np.random.default_rng(6)), 160).save(root / "other.jpg", quality=95)
    Image.new("RGB", (80, 80), (90, 80, 70)).save(root / "blank.jpg")
    return root


def test_copies_that_only_the_eye_knows(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    found = list(looks(FolderStore(folder), names))
    grey = np.stack([one.grey for one in found if one.grey is not None])
    thumbs = thumbnails(grey)
    assert [name for name, plain in zip(names, flat(thumbs), strict=True) if plain] == ["blank.jpg"]
    pairs, _ = near_pairs(hashes(grey), thumbs)
    codes = tied(len(names), [(i, j) for i, j in pairs.tolist()])
    same = {name for name, code in zip(names, codes, strict=True) if code == codes[names.index("a.jpg")]}
    assert same == {"a.jpg", "again.jpg", "lossless.png", "small.jpg", "bright.jpg"}


def test_what_a_look_tells(folder: Path) -> None:
    store = FolderStore(folder)
    seen = look(store, "small.jpg")
    assert (seen.width, seen.height, seen.reason) == (90, 90, None)
    with Image.open(folder / "small.jpg") as image:
        assert seen.brightness == pytest.approx(np.asarray(image.convert("L")).mean(), abs=1)
    assert look(store, "blank.jpg").brightness == pytest.approx(82, abs=2)


def test_what_cannot_be_seen_has_a_reason_without_a_path(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"no picture at all")
    (tmp_path / "out.jpg").symlink_to(folder / "a.jpg")
    store = FolderStore(tmp_path)
    cut = look(store, "cut.jpg")
    assert "truncated" in str(cut.reason)
    assert (cut.width, cut.height) == (160, 160), "the header is whole"
    assert look(store, "empty.jpg").reason == "the file is empty"
    assert str(look(store, "text.jpg").reason).startswith("not an image")
    assert look(store, "out.jpg").reason == "out.jpg leads out of the dataset's root"
    assert look(store, "gone.jpg").reason == "No such file or directory"
    assert look(store, "x" * 5000).digest is None
    assert look(store, "nul\0.jpg").digest is None


def test_a_picture_in_grey_or_with_alpha_is_seen_as_well() -> None:
    class Store:
        def read(self, row: str) -> bytes:
            stream = io.BytesIO()
            picture = Image.fromarray(np.full((40, 50), 200, dtype=np.uint8))
            (picture.convert("I").convert(row) if row == "I;16" else picture.convert(row)).save(stream, format="PNG")
            return stream.getvalue()

        def missing(self, rows: object) -> list[str]:
            return []

    for mode in ("L", "RGBA", "P", "1", "LA", "I;16"):
        seen = look(Store(), mode)
        assert (seen.width, seen.height, seen.reason) == (50, 40, None)
