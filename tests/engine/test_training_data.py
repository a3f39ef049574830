"""Batches, augmentation, and images by position."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from fairaudit.config import Preprocess
from fairaudit.engine import augment
from fairaudit.engine.batches import epoch_batches
from fairaudit.engine.training_data import CachedImages, StoredImages, ahead, open_images
from fairaudit.errors import DataError

PREPROCESS = Preprocess(size=(12, 16), resize="squash")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shuffled_batches_show_every_image_at_most_once() -> None:
    groups = torch.zeros(50, dtype=torch.int64)
    batches = epoch_batches(groups, 16, "none", seeded())
    assert [len(batch) for batch in batches] == [16, 16, 16]
    assert len(set(torch.cat(batches).tolist())) == 48
    assert torch.cat(batches).tolist() != torch.cat(epoch_batches(groups, 16, "none", seeded(1))).tolist()
    generator = seeded()
    missed = [set(range(50)) - set(torch.cat(epoch_batches(groups, 16, "none", generator)).tolist()) for _ in range(9)]
    assert len(set.union(*missed)) > 9, "the images left out must change from epoch to epoch"


def test_a_small_training_set_is_one_batch() -> None:
    (batch,) = epoch_batches(torch.zeros(7, dtype=torch.int64), 64, "none", seeded())
    assert sorted(batch.tolist()) == list(range(7))


def test_balanced_batches_hold_as_many_of_each_group() -> None:
    groups = torch.tensor([0] * 80 + [2] * 15 + [5] * 5)
    batches = epoch_batches(groups, 16, "groups", seeded())
    assert len(batches) == 6
    for batch in batches:
        counts = Counter(groups[batch].tolist())
        assert set(counts) == {0, 2, 5}
        assert max(counts.values()) - min(counts.values()) <= 2  # two cut rounds, one at each end
    shown = Counter(torch.cat(batches).tolist())
    for g in (0, 2, 5):
        times = [shown[i] for i in (groups == g).nonzero().flatten().tolist()]
        assert max(times) - min(times) <= 1, "each image of a group is shown before any is shown again"
    assert sum(shown[i] for i in range(95, 100)) >= 31


def test_augmentation_at_rest_is_the_identity() -> None:
    images = torch.rand(2, 3, 9, 13, generator=seeded())
    still = torch.zeros(2, augment.DRAWS)
    torch.testing.assert_close(augment.classic(images, still), images, atol=1e-5, rtol=0)
    still[1, 0] = -1
    flipped = augment.classic(images, still)
    torch.testing.assert_close(flipped[1], images[1].flip(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(flipped[0], images[0], atol=1e-5, rtol=0)


def test_augmentation_turns_and_shifts_as_torchvision_does() -> None:
    height, width = 40, 60
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    image = (torch.stack([x.sin(), y.cos(), (x * y).sin()]) * 0.4 + 0.5).unsqueeze(0)
    draws = torch.zeros(1, augment.DRAWS)
    draws[0, 1] = 1.0
    turned = functional.affine(image, -10.0, [0, 0], 1.0, [0.0, 0.0], functional.InterpolationMode.BILINEAR)
    inner = (slice(None), slice(None), slice(10, 30), slice(10, 50))
    angle = augment.classic(image, draws)[inner]
    opposite = functional.affine(image, 10.0, [0, 0], 1.0, [0.0, 0.0], functional.InterpolationMode.BILINEAR)[inner]
    best = min((angle - turned[inner]).abs().max(), (angle - opposite).abs().max())
    assert best < 1e-3
    assert (angle - image[inner]).abs().max() > 0.02
    draws = torch.zeros(1, augment.DRAWS)
    draws[0, 2] = 1 / (augment.MAX_SHIFT * width)  # one pixel
    torch.testing.assert_close(augment.classic(image, draws)[..., :-1], image[..., 1:], atol=1e-4, rtol=0)


def test_augmentation_keeps_the_range_and_changes_every_image() -> None:
    images = torch.rand(32, 3, 16, 16, generator=seeded())
    changed = augment.classic(images, augment.draw(32, seeded(1)))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 0.05).all()
    assert torch.equal(changed, augment.classic(images, augment.draw(32, seeded(1))))


@dataclass(frozen=True)
class Drawer:
    """A store that counts how often it is asked."""

    asked: list[str] = field(default_factory=list)

    def read(self, row: str) -> bytes:
        self.asked.append(row)
        if row == "gone.png":
            raise FileNotFoundError(2, "No such file or directory", "/somewhere/gone.png")
        if row == "broken.png":
            return b"not an image"
        value = int(row)
        buffer = io.BytesIO()
        Image.fromarray(np.full((20, 20, 3), value, dtype=np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    def missing(self, rows: Sequence[str]) -> list[str]:
        return []


@pytest.mark.parametrize("workers", [0, 3])
def test_images_that_fit_are_decoded_once(workers: int) -> None:
    store = Drawer()
    source = open_images(store, [str(i) for i in range(150)], PREPROCESS, workers=workers)
    assert isinstance(source, CachedImages)
    assert source.pixels.shape == (150, 3, 12, 16)
    for _ in range(2):
        taken = source.take(torch.tensor([149, 0, 7]))
    assert taken.amax(dim=(1, 2, 3)).tolist() == taken.amin(dim=(1, 2, 3)).tolist() == [149, 0, 7]
    assert sorted(store.asked, key=int) == [str(i) for i in range(150)]


def test_images_that_do_not_fit_are_decoded_when_asked_for() -> None:
    store = Drawer()
    size = 3 * 12 * 16
    source = open_images(store, ["5", "6", "7"], PREPROCESS, cache_bytes=3 * size - 1)
    assert isinstance(source, StoredImages)
    assert len(source) == 3
    assert store.asked == []
    taken = source.take(torch.tensor([2, 2, 0]))
    assert taken[:, 0, 0, 0].tolist() == [7, 7, 5]
    assert isinstance(open_images(store, ["5", "6", "7"], PREPROCESS, cache_bytes=3 * size), CachedImages)


def test_an_image_that_cannot_be_read_is_named() -> None:
    with pytest.raises(DataError) as caught:
        open_images(Drawer(), ["1", "gone.png"], PREPROCESS)
    assert str(caught.value) == (
        "the training image 'gone.png' cannot be read: No such file or directory; mend it or leave it out"
    )
    with pytest.raises(DataError, match=r"^the training image 'broken\.png' cannot be read: not an image"):
        open_images(Drawer(), ["1", "broken.png"], PREPROCESS, workers=2)


def test_working_ahead_keeps_the_order_and_stops_when_dropped() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def slow(i: int) -> int:
        with lock:
            started.append(i)
        time.sleep(0.002 * (5 - i % 5))
        return i * i

    assert list(ahead(slow, range(20), 4)) == [i * i for i in range(20)]
    started.clear()
    for value in ahead(slow, range(1000), 2):
        if value == 9:
            break
    assert len(started) < 12
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda i: 1 // i, [2, 1, 0, 5], 2))
