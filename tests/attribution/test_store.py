"""A stored attribution comes back as it was, whole or not at all, and refuses what it was not made for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fairaudit.artifacts.folder import write_run
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.approximate import approximate_logits, averaged_places
from fairaudit.attribution.calibrate import calibration
from fairaudit.attribution.confidence import MEASURES
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.attribution.store import Attribution, open_attribution
from fairaudit.config import Preprocess
from fairaudit.errors import ArtifactError, UsageError

POSITIONS = Positions(24, 6, 7)
PREPROCESS = Preprocess(size=(24, 24), resize="squash")


@pytest.fixture(scope="module")
def made() -> Attribution:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    return Attribution(
        "Smiling", ("no", "yes"), RegionNet(POSITIONS, 2, "cifar", width=4).eval(), PREPROCESS, "margin",
        calibration(rng.normal(0, 3, (4, 49, 2)), np.array([0, 1, 1, 0])),
        {name: rng.random(49) for name in MEASURES}, rng.integers(0, 255, (24, 24, 3)).astype(np.uint8),
        "celeba", "abc", frozenset({"0123456789abcdef"}), {"images": {"train": 9}},
    )  # fmt: skip


@pytest.fixture
def folder(made: Attribution, tmp_path: Path) -> Path:
    write_run(tmp_path / "attribution", {**made.contents(), "run.json": lambda path: write_json(path, {})})
    return tmp_path / "attribution"


def test_it_comes_back(made: Attribution, folder: Path) -> None:
    found = open_attribution(folder)
    for name in ("attribute", "levels", "preprocess", "measure", "data", "labels_sha256", "seen", "record", "positions"):
        assert getattr(found, name) == getattr(made, name), name
    images = torch.rand(2, 3, 24, 24)
    with torch.no_grad():
        assert torch.equal(found.net(images), made.net(images))
    assert np.array_equal(found.general(), made.general())
    assert np.array_equal(found.average, made.average)
    assert found.calibration.error == made.calibration.error
    assert np.array_equal(found.calibration.right, made.calibration.right, equal_nan=True)
    assert found.doubts == made.doubts
    assert "doubtful above 0.10" in made.doubts[0]


def test_other_files_of_the_same_name_are_no_attribution(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        open_attribution(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no attribution (attribution.json is missing); 'fairaudit attribute fit' makes one"
    )
    record = json.loads((folder / "attribution.json").read_text())
    (folder / "attribution.json").write_text(json.dumps({**record, "format": 2}))
    with pytest.raises(ArtifactError, match=r"not of the format that this fairaudit reads \(1\)"):
        open_attribution(folder)
    (folder / "attribution.json").write_text(json.dumps({**record, "levels": ["no", "yes", "maybe"]}))
    with pytest.raises(ArtifactError, match=r"is damaged: .*; fit it again"):
        open_attribution(folder)
    (folder / "attribution.json").write_text(json.dumps(record))
    (folder / "maps.npz").unlink()
    with pytest.raises(ArtifactError, match="is damaged"):
        open_attribution(folder)


@pytest.mark.parametrize(
    ("preprocess", "levels", "sentence"),
    [
        (Preprocess(size=(32, 32), resize="squash"), {"Smiling": ("no", "yes")},
         "the attribution of Smiling was fitted for pictures of 24x24 pixels (squash), not of 32x32 (squash); "
         "fit another, or give --size 24 --resize squash"),
        (Preprocess(size=(24, 24), resize="crop"), {"Smiling": ("no", "yes")},
         "the attribution of Smiling was fitted for pictures of 24x24 pixels (squash), not of 24x24 (crop); "
         "fit another, or give --size 24 --resize squash"),
        (PREPROCESS, {"gender": ("no", "yes")},
         "the attribution was fitted for Smiling of celeba, and there is no such column here"),
        (PREPROCESS, {"Smiling": ("False", "True")},
         "the attribution was fitted for Smiling of celeba with the levels no, yes; here they are False, True"),
    ],
)  # fmt: skip
def test_other_pictures_are_refused(
    made: Attribution, preprocess: Preprocess, levels: dict[str, tuple[str, ...]], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        made.require(preprocess, levels)
    assert str(caught.value) == sentence


def test_pictures_of_another_dataset_are_refused(made: Attribution) -> None:
    made.require_pictures(["ffff", "0123456789abcdef"])
    made.require_pictures(["ffff"], "celeba")
    with pytest.raises(UsageError) as caught:
        made.require_pictures(["ffff", "eeee"], "utkface")
    assert str(caught.value) == (
        "the attribution of Smiling was fitted for another dataset (celeba): none of 2 images is among its own; "
        "fit one for these images"
    )


def test_the_places_laid_out_are_a_loops_average(made: Attribution) -> None:
    total, often = torch.zeros(24, 24), torch.zeros(24, 24)
    for position in range(49):
        y, x = POSITIONS.corner(position)
        total[y : y + 6, x : x + 6] += made.net.embedding.weight[position].detach().reshape(6, 6)
        often[y : y + 6, x : x + 6] += 1
    assert torch.allclose(averaged_places(made.net)[0, 0], total / often, atol=1e-5)


def test_the_approximation_says_something_of_every_position(made: Attribution) -> None:
    with torch.no_grad():
        found = approximate_logits(made.net, torch.rand(3, 3, 24, 24), POSITIONS)
        coarse = approximate_logits(made.net, torch.rand(3, 3, 24, 24), POSITIONS.coarser(2))
    assert found.shape == (3, 49, 2)
    assert coarse.shape == (3, 16, 2)
    assert found.isfinite().all()


def test_an_approximation_of_one_window_is_refused() -> None:
    net = RegionNet(POSITIONS, 2, "imagenet", width=4).eval()
    with torch.no_grad(), pytest.raises(UsageError) as caught:
        approximate_logits(net, torch.rand(1, 3, 24, 24), POSITIONS)
    assert str(caught.value) == (
        "the network's stride of 24 pixels leaves 1 window of 6 in a picture of 24, which is no map; "
        "leave --approximate out, and try --every"
    )
