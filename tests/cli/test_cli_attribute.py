"""``fairaudit attribute`` and ``data subset`` as their user: from a fit to a model that was trained without the region."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairaudit.data.manifest import Manifest
from fairaudit.data.sources import synthetic
from tests.cli.conftest import Cli, fairaudit, files_below

pytestmark = pytest.mark.training

FACES = ("--data-option", "n=120", "--data-option", "size=32")
QUICK = ("--size", "32", "--patch", "8", "--per-side", "7", "--width", "4", "--epochs", "2", "--batch-size", "32",
         "--sample", "6", "--device", "cpu", "--workers", "0")  # fmt: skip


@pytest.fixture(scope="session")
def glasses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An attribution of Eyeglasses on drawn faces."""
    folder = tmp_path_factory.mktemp("attributions") / "glasses"
    done = fairaudit("attribute", "fit", "Eyeglasses", *FACES, *QUICK, "--out", folder)
    assert done.code == 0, done.err
    assert "right on" in done.out
    assert "expected calibration error" in done.out
    assert f"written: {folder}" in done.err
    return folder


def test_a_fit_leaves_all_that_is_needed_and_nothing_else(glasses: Path) -> None:
    assert files_below(glasses.parent) == sorted(
        ["glasses", *(f"glasses/{name}" for name in (
            "attribution.json", "map.png", "maps.npz", "regions.safetensors", "reliability.png", "reliability.svg",
            "run.json",
        ))]
    )  # fmt: skip
    record = json.loads((glasses / "attribution.json").read_text())
    assert (record["attribute"], record["levels"], record["data"]) == ("Eyeglasses", ["no", "yes"], "synthetic")
    assert record["positions"] == {"image": 32, "patch": 8, "per_side": 7, "stride": 4}
    assert record["images"] == {"train": 108, "validation": 12, "sample": 6}
    assert record["calibration"]["patches"] == 6 * 49
    assert len(record["epochs"]) == 2
    assert record["training"]["label_smoothing"] == 0.1, "what is not said is as in the paper"
    with np.load(glasses / "maps.npz") as arrays:
        assert arrays["general"].shape == (32, 32)
        assert (arrays["general"].min(), arrays["general"].max()) == (0, 1)
        assert len(arrays["seen"]) == 120


def test_maps_of_pictures_beside_another_attribute(cli: Cli, glasses: Path) -> None:
    done = cli("attribute", "fit", "Smiling", *FACES, *QUICK, "--stem", "cifar", "--out", "smiling", "--temperature",
               "--quiet", "--format", "json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.record["calibration"]["images"] == 3, "a temperature is judged on the half that it was not fitted on"
    found = cli("attribute", "map", glasses, *FACES, "--limit", 10, "--every", 2, "--beside", "smiling", "--out", "maps",
                "--device", "cpu", "--format", "json")  # fmt: skip
    assert found.code == 0, found.err
    assert set(found.record["overlap"]) == {"Smiling"}
    assert 0 <= found.record["overlap"]["Smiling"]["iou"] <= 1
    general, specific = np.load("maps/general.npy"), np.load("maps/specific.npy")
    assert general.shape == (32, 32)
    assert specific.shape == (10, 32, 32)
    regions = np.load("maps/regions.npy")
    assert regions.shape == (10, 16), "every second of seven positions on a side"
    mean = specific.mean(axis=0)
    assert np.allclose(general, (mean - mean.min()) / (mean.max() - mean.min()), atol=1e-5)
    assert len(pd.read_csv("maps/rows.csv")) == 10
    for name in ("average", "map", "faces"):
        Image.open(f"maps/{name}.png").verify()
    rough = cli("attribute", "map", "smiling", *FACES, "--limit", 10, "--approximate", "--out", "rough", "--quiet")
    assert rough.code == 0, rough.err
    assert np.load("rough/general.npy").shape == (32, 32)
    assert np.load("rough/regions.npy").shape == (10, 49)
    assert json.loads(Path("rough/map.json").read_text())["approximate"] is True


def pictures() -> Manifest:
    return synthetic.load(None, "all", n=120, size=32)


@pytest.mark.parametrize("kind", ["general-mask", "specific-noise"])
def test_treated_copies_differ_in_the_region_alone(cli: Cli, glasses: Path, kind: str) -> None:
    done = cli("attribute", "mask", glasses, *FACES, "--limit", 6, "--kind", kind, "--quantile", 0.8, "--out", "masked",
               "--device", "cpu", "--format", "json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.record["share"] <= 0.2
    table = pd.read_csv("masked/manifest.csv")
    changed = []
    for path in table["path"]:
        row = Path(path).name
        before = np.asarray(Image.open(Path("masked") / path)).astype(int)
        Path("face.png").write_bytes(pictures().store.read(row))
        after = np.asarray(Image.open("face.png").convert("RGB")).astype(int)
        changed.append((before != after).any(axis=2))
    assert all(0 < mask.mean() <= 0.21 for mask in changed)
    several = {tuple(mask.ravel().tolist()) for mask in changed}
    assert (len(several) > 1) is (kind == "specific-noise") or kind == "general-mask"
    again = cli("data", "profile", "table", "--root", "masked/manifest.csv", "--by", "Eyeglasses", "--format", "json")
    assert again.code == 0, again.err


def test_a_model_that_was_trained_without_the_region_is_audited_without_it(cli: Cli, glasses: Path) -> None:
    common = (
        "--data",
        "synthetic",
        *FACES,
        "--splits",
        "official",
        "--size",
        32,
        "--resize",
        "squash",
        "--by",
        "Eyeglasses",
    )
    small = ("--epochs", 1, "--seeds", 1, "--batch-size", 16, "--device", "cpu", "--workers", 0, "--baseline", "none")
    done = cli("mitigate", "--method", f"attribution-mask:attribution={glasses},quantile=0.6", *common, *small,
               "--arch", "fairaudit/gender-cnn", "--out", "run", "--no-report", "--format", "json")  # fmt: skip
    assert done.code == 0, done.err
    [folder] = Path("run").glob("attribution-mask*/seed-0")
    notes = json.loads((folder / "run.json").read_text())["notes"]
    assert notes[-1] == (
        "general-noise above the 0.6 quantile of the map, 39 % of the pixels; validation and test images have one fixed "
        "draw of noise in the same region"
    )
    again = cli("evaluate", folder / "model.pt", "--data", "synthetic", *FACES, "--by", "Eyeglasses", "--out", "again",
                "--device", "cpu", "--no-report", "--format", "json")  # fmt: skip
    assert again.code in (0, 1, 3), again.err
    assert "fairaudit/treated" in json.loads(Path("again/run.json").read_text())["architecture"]["name"]
    columns = ["row", "gender_score[woman]"]
    first, second = (pd.read_parquet(f / "predictions.parquet")[columns] for f in (folder, Path("again")))
    pd.testing.assert_frame_equal(first, second, atol=2e-6)


def test_the_method_has_flags_of_its_own(cli: Cli) -> None:
    common = ("--data-option", "n=120", "--data-option", "size=32", "--size", 32, "--epochs", 1, "--seeds", 1,
              "--batch-size", 16, "--device", "cpu", "--workers", 0, "--baseline", "none", "--no-report")  # fmt: skip
    done = cli("mitigate", "--method", "attribution-mask:fit_epochs=1", "--confounder", "Eyeglasses",
               "--kind", "general-mask", "--quantile", 0.9, *common, "--out", "run", "--format", "json")  # fmt: skip
    assert done.code == 0, done.err
    [arm] = done.record["arms"]
    assert arm["name"] == "attribution-mask(fit_epochs=1,confounder=Eyeglasses,kind=general-mask,quantile=0.9)"
    cli("mitigate", "--loss", "max-group", "--kind", "general-mask").refused(
        "--kind is for --method attribution-mask, which is not asked for"
    )


def subset(cli: Cli, *more: object) -> Any:
    words = ("--target", "gender", "--confounder", "Eyeglasses", "--lacking", "man", "--data-option", "n=400",
             "--data-option", "size=32", "--out", "subset")  # fmt: skip
    return cli("data", "subset", "synthetic", *words, *more)


def test_a_subset_is_shown_and_can_be_trained_on(cli: Cli) -> None:
    done = subset(cli, "--test-per-cell", 4, "--size", 36)
    assert done.code == 0, done.err
    [line] = [line for line in done.out.splitlines() if line.startswith("gender=man, Eyeglasses=yes")]
    assert line.split()[-6:] == ["0", "0", "4", "9", "1", "4"]
    data = (
        "--data",
        "table",
        "--root",
        "subset/biased.csv",
        "--splits",
        "official",
        "--target",
        "gender",
        "--by",
        "gender",
    )
    small = ("--size", 32, "--epochs", 1, "--seeds", 1, "--batch-size", 12, "--device", "cpu", "--no-report")
    trained = cli("mitigate", "--loss", "reweight", *data, *small, "--arch", "fairaudit/gender-cnn", "--out", "run",
                  "--format", "json")  # fmt: skip
    assert trained.code == 0, trained.err
    assert trained.record["images"] == {"train": 36, "validation": 5, "test": 16}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fit", "Eyeglasses", "--size", 128, "--patch", 32, "--per-side", 50),
         "50 patches of 32 pixels on a side of 128 are 1.96 pixels apart, no whole number; "
         "the number per side may be 5, 7, 9, 13, 17, 25, 33, 49"),
        (("fit", "Eyeglasses", "--size", 32),
         "patches of 32 pixels do not fit into pictures of 32: a patch must have 1 to 31 pixels"),
        (("fit", "Glasses"), "unknown column 'Glasses'; did you mean 'Eyeglasses'?"),
        (("fit",), "name the attribute that is looked for: fairaudit attribute fit ATTRIBUTE"),
        (("fit", "Bald", "--data-option", "n=20", "--data-option", "shares=Bald=yes:0.0"),
         "Bald is 'no' on every image, so it cannot be attributed; a region classifier needs two levels"),
        (("fit", "Eyeglasses", "--stem", "cifer"), "--stem 'cifer': it must be 'cifar' or 'imagenet'"),
        (("map", "nowhere"),
         "nowhere holds no attribution (attribution.json is missing); 'fairaudit attribute fit' makes one"),
        (("mask", "nowhere", "--kind", "general"),
         "unknown kind of mask 'general'; did you mean 'general-mask' or 'general-noise'?"),
    ],
)  # fmt: skip
def test_refusals_leave_nothing(cli: Cli, words: tuple[object, ...], sentence: str) -> None:
    cli("attribute", *words, "--out", "out", "--device", "cpu").refused(sentence)
    assert not Path("out").exists()
    assert not list(Path().glob(".out*"))


def test_an_attribution_is_for_its_own_pictures(cli: Cli, glasses: Path, fairface: Path) -> None:
    cli("attribute", "map", glasses, "--data", "fairface", "--root", fairface, "--out", "out").refused(
        "unknown column 'Eyeglasses'; choose from age, gender, race, service_test"
    )
    small = ("--epochs", 1, "--seeds", 1, "--device", "cpu", "--workers", 0)
    method = ("--method", f"attribution-mask:attribution={glasses}")
    done = cli("mitigate", *method, *FACES, "--size", 40, *small, "--out", "run")
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "fairaudit: the attribution of Eyeglasses was fitted for pictures of 32x32 pixels (squash), not of 40x40 (squash); "
        "fit another, or give --size 32 --resize squash"
    )
    other = cli("mitigate", *method, "--data-option", "n=60", "--data-option", "size=32", "--data-option", "seed=7",
                "--size", 32, *small, "--out", "run", "--baseline", "none")  # fmt: skip
    assert other.code == 2
    assert "was fitted for another dataset (synthetic): none of" in other.err.splitlines()[-1]
