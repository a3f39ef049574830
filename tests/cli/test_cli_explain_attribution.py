"""From ``attribute fit`` to ``explain --map DIR --probe``: a map that was really fitted, and a network that looks there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairaudit.attribution.maps import top_region
from fairaudit.data.sources import synthetic
from tests.attribution.planted import looks_at
from tests.cli.conftest import Cli, Finished, fairaudit, files_below

pytestmark = pytest.mark.training

SIZE = 32
FACES = ("--data-option", "n=120", "--data-option", f"size={SIZE}")
QUICK = ("--size", SIZE, "--patch", 8, "--per-side", 7, "--width", 4, "--epochs", 2, "--batch-size", 32, "--sample", 6,
         "--device", "cpu", "--workers", 0)  # fmt: skip
NETWORK = (
    "--trust-checkpoint",
    "--size",
    SIZE,
    "--resize",
    "squash",
    "--classes",
    "woman,man",
    "--mean",
    0.5,
    "--std",
    0.5,
)
DATA = ("--data", "synthetic", *FACES, "--split", "all", "--by", "gender", "--privileged", "gender=man", "--device", "cpu")


@pytest.fixture(scope="module")
def glasses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An attribution of Eyeglasses."""
    folder = tmp_path_factory.mktemp("fitted") / "glasses"
    done = fairaudit("attribute", "fit", "Eyeglasses", *FACES, *QUICK, "--quiet", "--out", folder)
    assert done.code == 0, done.err
    return folder


def region_of(folder: Path) -> np.ndarray:
    """The top 30 % of an attribution's general map, from its file."""
    with np.load(folder / "maps.npz") as arrays:
        return top_region(arrays["general"], 0.7)


@pytest.fixture(scope="module")
def model(glasses: Path) -> Path:
    """A network that calls men those whose pixels in that region depart from grey, and sees nothing else.

    Half of all faces are called men; a face without the region is called a woman.
    """
    network = looks_at(region_of(glasses))
    manifest = synthetic.load(None, "all", n=120, size=SIZE)
    pictures = torch.stack([picture(manifest.store.read(str(row))) for row in manifest.frame["row"]])
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        odds = network(pictures).diff(dim=1)
        last.bias[1] -= odds.median() + 1e-4
    path = glasses.parent / "model.pt"
    torch.save(network, path)
    return path


def picture(png: bytes) -> torch.Tensor:
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).copy()
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1


@pytest.fixture(scope="module")
def done(model: Path, glasses: Path) -> tuple[Finished, Path]:
    out = model.parent / "why"
    words = ("explain", model, *DATA, *NETWORK, "--map", f"glasses={glasses}", "--probe", "--worst", 1, "--class", "man")
    cheap = ("--method", "integrated-gradients", "--random-orders", 0)
    return fairaudit(*words, *cheap, "--format", "json", "--out", out), out


def test_attention_lies_where_the_fitted_map_says(done: tuple[Finished, Path]) -> None:
    finished, out = done
    assert finished.code == 0, finished.err
    with np.load(out / "explanations.npz") as arrays:
        heats = arrays["heat"]
    rows = finished.record["rows"]
    assert len(rows) == len(heats) == 4
    for row, heat in zip(rows, heats, strict=True):
        [overlap] = row["overlaps"]
        assert overlap["name"] == "glasses"
        assert overlap["area"] == pytest.approx(0.3, abs=0.01)
        assert overlap["times_even"] > 1.5, "superpixels blur a region of patches, and no more than that"
        inside = np.zeros_like(heat, dtype=bool)
        inside[region_of(out.parent / "glasses")] = True
        assert np.abs(heat[~inside]).max() == 0, "the network sees nothing outside of it"


def test_whose_errors_vanish_without_the_region(done: tuple[Finished, Path]) -> None:
    """Everybody is called a woman then: women's mistakes vanish, and every man is one."""
    record: dict[str, Any] = done[0].record
    [probe] = record["probes"]
    women, men, everyone = probe["changes"]
    assert (women["group"], men["group"], everyone["group"]) == ({"gender": "woman"}, {"gender": "man"}, None)
    assert (women["after"], women["trend"], women["lost"]) == (1.0, "better", 0)
    assert (men["after"], men["trend"], men["gained"]) == (0.0, "worse", 0)
    assert 0 < women["before"] < 1
    for control in probe["control"]:
        assert (control["change"], control["gained"], control["lost"]) == (0, 0, 0), "it looks nowhere else"
    page = (done[1] / "explain.html").read_text()
    assert "Without glasses (30% of the image): errors vanish for woman; errors appear for man" in page


def refused(cli: Cli, message: str, *words: object) -> None:
    cli("explain", *words, "--out", "out").refused(message)
    assert files_below(Path()) == []


def test_an_attribution_for_other_pictures(cli: Cli, model: Path, glasses: Path, fairface: Path) -> None:
    map_ = ("--map", f"glasses={glasses}")
    other = ("--data", "fairface", "--root", fairface, "--by", "race", *NETWORK[:5], "--classes", "Female,Male")
    refused(cli, f"the map glasses in {glasses} was made for synthetic, not for fairface; make one for fairface",
            model, *other, *map_)  # fmt: skip
    network = tuple(40 if word == SIZE else word for word in NETWORK)
    small = model.with_name("small.pt")
    torch.save(looks_at(np.ones((40, 40), dtype=bool)), small)
    refused(cli, f"the map glasses in {glasses} is of 32 × 32 pixels, and the network's input of 40 × 40; make one of that "
            "size, or say --rescale", small, *DATA, *network, *map_)  # fmt: skip
    cropped = tuple("crop" if word == "squash" else word for word in NETWORK)
    refused(cli, f"the map glasses in {glasses} was made of pictures prepared with --resize squash, and the network's are "
            "prepared with crop: the same place of both shows different things", model, *DATA, *cropped, *map_)  # fmt: skip


def test_folders_that_hold_no_attribution(cli: Cli, model: Path, glasses: Path, tmp_path: Path) -> None:
    empty = tmp_path / "maps"
    empty.mkdir()
    words = (model, *DATA, *NETWORK, "--map")
    refused(cli, f"{empty} holds no attribution (attribution.json is missing); name what 'fairaudit attribute fit' wrote, "
            "or a .npy or .npz file with a map", *words, f"glasses={empty}")  # fmt: skip
    for text in ("[1, 2]", '{"data": "synthetic", "preprocess": "squash"}', "{"):
        broken = tmp_path / "broken"
        shutil.copytree(glasses, broken, dirs_exist_ok=True)
        (broken / "attribution.json").write_text(text)
        refused(cli, f"{broken} holds no map that can be read: name a .npy or .npz file", *words, f"glasses={broken}")


def test_what_is_read_is_not_replaced(cli: Cli, model: Path, glasses: Path) -> None:
    before = files_below(glasses.parent)
    words = ("explain", model, *DATA, *NETWORK, "--map", f"glasses={glasses}", "--worst", 1)
    cli(*words, "--out", glasses).refused(
        f"{glasses} is or holds {glasses}, which is read, and would be replaced; choose another folder for --out"
    )
    assert files_below(glasses.parent) == before
    assert json.loads((glasses / "attribution.json").read_text())["attribute"] == "Eyeglasses"
