"""Batches, augmentation, and images by position."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from fairaudit.config import Preprocess
from fairaudit.engine import augment
from fairaudit.engine.batches import epoch_batches
from fairaudit.engine.training_data import CachedImages, StoredImages, TrainingData, ahead, open_images
from fairaudit.errors import DataError, OutputError

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


def several_targets() -> TrainingData:
    """Six images, two targets, two groups; written out so that the counts can be read off."""
    targets = torch.tensor([[0, 0], [0, 2], [1, 1], [1, 1], [0, 2], [1, 0]])
    groups = torch.tensor([0, 0, 1, 1, 1, 0])
    tasks = (("gender", ("woman", "man")), ("age", ("young", "middle", "old")))
    classes = ("woman", "man", "young", "middle", "old")
    images = CachedImages(torch.zeros(6, 3, 12, 16).byte())
    return TrainingData(images, targets, groups, classes, ("x", "y"), PREPROCESS, tasks)


def test_several_targets_are_counted_jointly() -> None:
    data = several_targets()
    assert data.n_outputs == 5
    assert not data.multi_label
    #             woman young middle old   man young middle old
    assert data.counted.counts.tolist() == [[1, 0, 1, 1, 0, 0], [0, 0, 1, 0, 2, 0]]
    assert data.counted.group_counts.tolist() == [3, 3]
    assert data.dense(data.targets).tolist()[1] == [1, 0, 0, 0, 1]


def test_labels_that_do_not_exclude_each_other() -> None:
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.5, 0.0]])
    images = CachedImages(torch.zeros(4, 3, 12, 16).byte())
    data = TrainingData(images, targets, torch.tensor([0, 0, 1, 0]), ("a", "b", "c"), ("x", "y"), PREPROCESS)
    assert data.multi_label
    assert data.n_outputs == 3
    assert data.counted.group_counts.tolist() == [3, 1], "an image counts once, however many labels it has"
    data.require_contrast()
    assert torch.equal(data.dense(targets[2:]), targets[2:])
    bad = targets.clone()
    bad[1, 2] = float("nan")
    bad[3, 0] = 2.0
    with pytest.raises(DataError, match=r"^2 training images have no known target; leave them out before training$"):
        replace(data, targets=bad)


def test_some_of_the_images_some_of_them_twice() -> None:
    data = several_targets()
    images = CachedImages(torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 12, 16))
    chosen = replace(data, images=images).selected(torch.tensor([5, 2, 2]))
    assert len(chosen) == len(chosen.images) == 3
    assert chosen.images.take(torch.tensor([2, 0]))[:, 0, 0, 0].tolist() == [2, 5]
    assert chosen.targets.tolist() == [[1, 0], [1, 1], [1, 1]]
    assert chosen.counted.counts.sum() == 3
    again = chosen.selected(torch.tensor([0]))
    assert again.images.take(torch.tensor([0]))[:, 0, 0, 0].tolist() == [5]


def test_targets_that_cannot_be_learnt_or_understood() -> None:
    data = several_targets()
    one = data.targets.clone()
    one[:, 1] = 2
    with pytest.raises(DataError) as caught:
        replace(data, targets=one).require_contrast()
    assert str(caught.value) == (
        "all 6 training images are of the class 'old' in age; a classifier needs at least two classes"
    )
    same = replace(data, targets=torch.ones(6, 2), tasks=None, classes=("a", "b"))
    with pytest.raises(
        DataError, match=r"^all 6 training images have the same labels; a classifier needs some that differ$"
    ):
        same.require_contrast()
    unknown = data.targets.clone()
    unknown[3:, 0] = -1
    with pytest.raises(DataError, match=r"^3 training images have no known gender; leave them out before training$"):
        replace(data, targets=unknown)
    for changes in (
        {"targets": data.targets[:, :1]},
        {"classes": ("woman", "man")},
        {"targets": torch.zeros(6, 5)},
        {"tasks": None, "classes": ("a", "b", "c")},
    ):
        with pytest.raises(ValueError):
            replace(data, **changes)


def disk(store: Drawer, rows: Sequence[str], folder: Path, preprocess: Preprocess = PREPROCESS) -> CachedImages:
    source = open_images(store, rows, preprocess, workers=2, cache="disk", folder=folder)
    assert isinstance(source, CachedImages)
    return source


def test_decoded_images_on_disk_are_decoded_once_for_all_runs(tmp_path: Path) -> None:
    rows, first = [str(i) for i in range(150)], Drawer()
    source = disk(first, rows, tmp_path / "cache")
    assert sorted(set(first.asked), key=int) == rows
    in_memory = open_images(Drawer(), rows, PREPROCESS)
    assert isinstance(in_memory, CachedImages)
    assert torch.equal(source.pixels, in_memory.pixels)
    assert source.take(torch.tensor([149, 3])).amax(dim=(1, 2, 3)).tolist() == [149, 3]
    (file,) = (tmp_path / "cache").iterdir()
    assert file.stat().st_size == 150 * 3 * 12 * 16
    second = Drawer()
    again = disk(second, rows, tmp_path / "cache")
    assert len(second.asked) < 20, "only a few encoded images are looked at, to see whether they are the same"
    assert torch.equal(again.pixels, source.pixels)
    # mean and standard deviation come later: another network may use the same file
    disk(Drawer(), rows, tmp_path / "cache", PREPROCESS.model_copy(update={"mean": (0.1, 0.2, 0.3)}))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_other_images_are_another_file(tmp_path: Path) -> None:
    rows = [str(i) for i in range(20)]
    disk(Drawer(), rows, tmp_path)

    class Exchanged(Drawer):
        def read(self, row: str) -> bytes:
            return super().read("9")

    other_size = disk(Drawer(), rows, tmp_path, PREPROCESS.model_copy(update={"size": (16, 12)}))
    assert other_size.pixels.shape == (20, 3, 16, 12)
    assert torch.equal(disk(Drawer(), rows[::-1], tmp_path).pixels, disk(Drawer(), rows, tmp_path).pixels.flip(0))
    assert set(disk(Exchanged(), rows, tmp_path).pixels[:, 0, 0, 0].tolist()) == {9}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_on_disk_is_whole_or_absent(tmp_path: Path) -> None:
    rows = ["1", "2", "broken.png"]
    with pytest.raises(DataError, match=r"^the training image 'broken\.png' cannot be read"):
        disk(Drawer(), rows, tmp_path)
    assert list(tmp_path.iterdir()) == []
    source = disk(Drawer(), ["1", "2"], tmp_path)
    (file,) = tmp_path.iterdir()
    source.pixels[0] = 77  # a network's mistake must not reach the file
    file_again = disk(Drawer(), ["1", "2"], tmp_path)
    assert file_again.pixels[:, 0, 0, 0].tolist() == [1, 2]
    file.write_bytes(file.read_bytes()[:-1])
    assert disk(Drawer(), ["1", "2"], tmp_path).pixels[:, 0, 0, 0].tolist() == [1, 2]
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with pytest.raises(OutputError, match=r"could not be written: a part of the path is a file"):
        disk(Drawer(), ["1"], blocked)


def test_without_a_cache_nothing_is_kept(tmp_path: Path) -> None:
    assert isinstance(open_images(Drawer(), ["5", "6"], PREPROCESS, cache="none"), StoredImages)
    with pytest.raises(ValueError, match="a cache on disk needs a folder"):
        open_images(Drawer(), ["5"], PREPROCESS, cache="disk")
