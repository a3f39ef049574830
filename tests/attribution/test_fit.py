"""A region classifier finds a planted place; batches of patches say what one patch at a time says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fairaudit.attribution.confidence import confidence, softmax
from fairaudit.attribution.fit import all_logits, digests, fit_regions
from fairaudit.attribution.maps import general_map, top_region
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.config import REGION_TRAINING, Stem, TrainingSettings
from fairaudit.engine.history import Progress
from tests.attribution.faces import CORNER, PREPROCESS, SIZE, planted
from tests.methods.studies import same

pytestmark = pytest.mark.training

POSITIONS = Positions(SIZE, 6, 7)
QUICK = TrainingSettings.model_validate(
    {**REGION_TRAINING, "epochs": 10, "batch_size": 32, "lr": 3e-3, "schedule": "cosine", "device": "cpu", "workers": 0}
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fitted() -> RegionNet:
    return fit_regions(planted(160, seed=0), planted(32, seed=1), POSITIONS, "imagenet", QUICK, width=8)[0]


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 255 - 0.5) / 0.25


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("at_once", [1, 5, 7, 49, 200])
def test_many_patches_at_once_say_what_each_says_alone(stem: Stem, at_once: int) -> None:
    torch.manual_seed(0)
    net = RegionNet(POSITIONS, 3, stem, width=8).eval()
    images = torch.rand(3, 3, SIZE, SIZE)
    ids = POSITIONS.ids(2) if at_once == 5 else POSITIONS.ids()
    with torch.no_grad():
        found = net.region_logits(images, ids, at_once)
        for place in (0, 3, len(ids) - 1):
            y, x = POSITIONS.corner(int(ids[place]))
            patch = images[:, :, y : y + 6, x : x + 6]
            where = net.embedding.weight[ids[place]].reshape(1, 1, 6, 6).expand(3, 1, 6, 6)
            alone = net.trunk(torch.cat([patch, where], dim=1))
            assert torch.allclose(found[:, place], alone, atol=1e-4)


def test_training_sees_one_random_patch_of_each_picture_and_its_place() -> None:
    net = RegionNet(POSITIONS, 2, "imagenet", width=8).train()
    seen: list[torch.Tensor] = []
    net.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    images = torch.rand(64, 3, SIZE, SIZE)
    for _ in range(4):
        net(images)
    corners = set()
    for batch in seen:
        assert batch.shape == (64, 4, 6, 6)
        for image, patch in zip(images, batch, strict=True):
            position = int((net.embedding.weight.reshape(-1, 6, 6) - patch[3]).abs().sum(dim=(1, 2)).argmin())
            y, x = POSITIONS.corner(position)
            assert torch.equal(image[:, y : y + 6, x : x + 6], patch[:3])
            corners.add(position)
    assert len(corners) > 45, "nearly all of the 49 positions are drawn"


def test_the_map_is_high_where_the_attribute_was_planted(fitted: RegionNet) -> None:
    data = planted(24, seed=2)
    logits = all_logits(fitted, data.images, PREPROCESS, QUICK)
    assert logits.shape == (24, 49, 2)
    regions = confidence(softmax(logits), "top")
    sure = regions.mean(axis=0).reshape(7, 7)
    assert sure[:3, :3].min() > sure[3:].max(), "the nine positions that overlap the square, and no other"
    assert sure[:3, :3].min() > sure[:, 3:].max()
    region = top_region(general_map(regions, POSITIONS), 1 - 36 / SIZE**2)
    reached = np.zeros((SIZE, SIZE), dtype=bool)
    reached[: CORNER.stop + 4, : CORNER.stop + 4] = True  # a patch of 6 that overlaps the square reaches no further
    assert bool((reached | ~region).all())
    assert region[4, 4]
    right = (logits.argmax(axis=2) == data.targets.numpy()[:, None]).mean(axis=0).reshape(7, 7)
    assert right[0, 0] == 1.0, "where the square is it is told"
    assert right[3:, 3:].mean() < 0.65, "elsewhere there is nothing to tell it by"


def test_coarser_positions_are_those_of_the_fine_grid(fitted: RegionNet) -> None:
    images = planted(4, seed=3).images
    every = all_logits(fitted, images, PREPROCESS, QUICK)
    assert np.allclose(
        all_logits(fitted, images, PREPROCESS, QUICK, every=2), every[:, POSITIONS.ids(2).numpy()], atol=1e-4
    )


def test_lower_precision_says_nearly_the_same(fitted: RegionNet) -> None:
    images = planted(4, seed=3).images
    exact = softmax(all_logits(fitted, images, PREPROCESS, QUICK))
    lower = softmax(all_logits(fitted, images, PREPROCESS, QUICK.model_copy(update={"precision": "bf16"})))
    assert 0 < np.abs(lower - exact).max() < 0.1


def test_the_same_seed_gives_the_same_classifier_also_when_interrupted(tmp_path_factory: pytest.TempPathFactory) -> None:
    few = QUICK.model_copy(update={"epochs": 2})
    data, held, folder = planted(64, seed=0), planted(16, seed=1), tmp_path_factory.mktemp("regions")
    whole, history = fit_regions(data, held, POSITIONS, "imagenet", few, width=8)
    assert [epoch.validation is not None for epoch in history.epochs] == [True, True]
    torch.manual_seed(5)  # what the caller drew must not matter

    def interrupt(where: Progress) -> None:
        if where.finished is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_regions(data, held, POSITIONS, "imagenet", few, width=8, progress=interrupt, resume=folder)
    again, _ = fit_regions(data, held, POSITIONS, "imagenet", few, width=8, resume=folder)
    assert same(whole, again)


def test_digests_tell_pictures_apart() -> None:
    one, other = planted(70, seed=0).images, planted(70, seed=1).images
    found = digests(one, range(70))
    assert len(set(found)) == 70
    assert digests(one, [69, 3]) == [found[69], found[3]]
    assert not set(found) & set(digests(other, range(70)))
