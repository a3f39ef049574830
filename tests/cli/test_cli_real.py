"""Real faces and real models, by the commands that a user would type. Only where FAIRAUDIT_SHARED has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import mobilenet_v2

from tests.cli.conftest import Cli, Finished, fairaudit, plain_loop

pytestmark = pytest.mark.real

LIMIT = 600
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FACERES = (
    *("--arch", "timm/mobilenetv1_100", "--arch-kwargs", "pad_type=same"),
    *("--size", "224", "--resize", "squash", "--classes", "female,male"),
    *("--mean", ",".join(str(v / 255) for v in (123.68, 116.779, 103.939)), "--std", str(1 / 255)),
)


@pytest.fixture(scope="module")
def finished(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """The main command, on a sample."""
    out = tmp_path_factory.mktemp("real") / "run"
    result = fairaudit(
        *("evaluate", shared / "weights" / "gender_mobilenet_v2.pt", "--data", "utkface"),
        *("--root", shared / "data" / "utkface", "--target", "gender", "--classes", "female,male"),
        *("--size", 224, "--resize", "squash", "--interpolation", "bilinear"),
        *("--by", "race", "--by", "race,gender", "--privileged", "race=White"),
        *("--limit", LIMIT, "--format", "json", "--out", out),
    )
    return result, out


def group(record: dict[str, Any], by: list[str], **levels: str) -> dict[str, Any]:
    grouping = next(g for g in record["groupings"] if g["by"] == by)
    found: dict[str, Any] = next(g for g in grouping["groups"] if g["group"] == levels)
    return found


def test_the_predictions_are_those_of_a_plain_torchvision_loop(finished: tuple[Finished, Path], shared: Path) -> None:
    predictions = pd.read_parquet(finished[1] / "predictions.parquet")
    assert len(predictions) == LIMIT
    assert predictions["row"].is_unique
    network = mobilenet_v2(num_classes=2).eval()
    network.load_state_dict(torch.load(shared / "weights" / "gender_mobilenet_v2.pt", weights_only=True), strict=True)
    files = [shared / "data" / "utkface" / row for row in predictions["row"]]
    expected = plain_loop(network, files, 224).softmax(1).numpy()
    scores = predictions[["gender_score[female]", "gender_score[male]"]].to_numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    sure = np.abs(expected[:, 0] - 0.5) > 1e-3
    said = np.array(["female", "male"])[expected.argmax(1)]
    assert (predictions["gender_pred"].astype(str).to_numpy() == said)[sure].all()
    labels = ["male" if path.name.split("_")[1] == "0" else "female" for path in files]
    assert predictions["gender"].astype(str).tolist() == labels
    races = [("White", "Black", "Asian", "Indian", "Others")[int(path.name.split("_")[2])] for path in files]
    assert predictions["race"].astype(str).tolist() == races


def test_exact_resize_gives_what_pillow_gives(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fairaudit(
        *("evaluate", shared / "weights" / "gender_mobilenet_v2.pt", "--data", "utkface"),
        *("--root", shared / "data" / "utkface", "--classes", "female,male", "--by", "race", "--limit", 100),
        *("--size", 224, "--resize", "squash", "--interpolation", "bilinear", "--exact-resize", "--out", out),
    )
    predictions = pd.read_parquet(out / "predictions.parquet")
    network = mobilenet_v2(num_classes=2).eval()
    network.load_state_dict(torch.load(shared / "weights" / "gender_mobilenet_v2.pt", weights_only=True), strict=True)
    transform = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor(), transforms.Normalize(*IMAGENET)])
    files = [shared / "data" / "utkface" / row for row in predictions["row"]]
    with torch.inference_mode():
        images = torch.stack([transform(Image.open(path).convert("RGB")) for path in files])
        expected = network(images).softmax(1).numpy()
    scores = predictions[["gender_score[female]", "gender_score[male]"]].to_numpy()
    np.testing.assert_allclose(scores, expected, atol=5e-6)


def test_the_audit_of_it(finished: tuple[Finished, Path]) -> None:
    result, out = finished
    assert result.code == 0, result.err
    assert "model   torchvision/mobilenet_v2 (recognised from its 314 tensors)" in result.err
    assert "race (5, against White); race × gender (10, against the largest White)" in result.err
    predictions = pd.read_parquet(out / "predictions.parquet")
    right = predictions["gender"].astype(str) == predictions["gender_pred"].astype(str)
    for race in ("White", "Asian"):
        rows = predictions["race"] == race
        found = group(result.record, ["race"], race=race)
        assert found["n"] == rows.sum() == LIMIT // 5, "the sample keeps the groups' shares"
        assert found["metrics"]["accuracy"]["value"] == pytest.approx(right[rows].mean())
    white = group(result.record, ["race"], race="White")["metrics"]["accuracy"]["value"]
    asian_men = group(result.record, ["race", "gender"], race="Asian", gender="male")["metrics"]["accuracy"]["value"]
    assert asian_men < white - 0.2, "a realistically skewed model: it was fitted to White adults"
    assert json.loads((out / "run.json").read_text())["checkpoint"]["sha256"].startswith("62031b01")


def test_a_network_with_two_layers_of_head(shared: Path, cli: Cli) -> None:
    weights = shared / "weights" / "mobilenetv1_100_faceres_deep_gender.safetensors"
    root = ("--data", "utkface", "--root", shared / "data" / "utkface", "--by", "race")
    result = cli("evaluate", weights, *root, *FACERES, "--limit", LIMIT, "--format", "json", "--out", "run")
    assert result.code == 0, result.err
    assert result.record["overall"]["metrics"]["accuracy"]["value"] >= 0.85
    assert "timm/mobilenetv1_100 (--arch)" in result.err
    assert "ReLU" in result.err, "the activation between the layers is assumed, and said to be"


def test_self_identified_labels(shared: Path, cli: Cli) -> None:
    weights = shared / "weights" / "mobilenetv1_100_faceres_deep_gender.safetensors"
    words = ("--data", "mr2", "--root", shared / "data" / "mr2", "--min-support", 5, "--format", "json", "--out", "run")
    result = cli("evaluate", weights, *FACERES, *words)
    assert result.code == 0, result.err
    assert result.record["overall"]["n"] == 12
    assert group(result.record, ["race"], race="Asian")["n"] == 12
    assert group(result.record, ["race"], race="European")["n"] == 0, "absent, and shown as absent"
    assert any("self-identified" in note for note in result.record["notes"])
    assert len(pd.read_parquet("run/predictions.parquet")) == 12


def test_any_attribute_of_celeba(shared: Path, cli: Cli) -> None:
    weights = shared / "weights" / "mobilenetv1_100_faceres_deep_gender.safetensors"
    words = ("--data", "celeba", "--root", shared / "data" / "celeba", "--target", "Male", "--by", "Young")
    result = cli("evaluate", weights, *FACERES, *words, "--limit", 300, "--format", "json", "--out", "run")
    assert result.code == 0, result.err
    assert result.record["overall"]["n"] == 300
    assert result.record["settings"]["target"] == "Male"
    assert {g["group"]["Young"] for g in result.record["groupings"][0]["groups"]} == {"yes", "no"}
    assert result.record["overall"]["metrics"]["accuracy"]["value"] >= 0.85
    predictions = pd.read_parquet("run/predictions.parquet")
    table = (shared / "data" / "celeba" / "list_attr_celeba.txt").read_text().splitlines()
    column = table[1].split().index("Male") + 1
    male = {line.split()[0]: line.split()[column] == "1" for line in table[2:]}
    for row, label in zip(predictions["row"], predictions["Male"].astype(str), strict=True):
        assert (label.casefold() in ("male", "yes")) == male[Path(row).name]


def test_identities_of_lfw_are_kept(shared: Path, cli: Cli) -> None:
    weights = shared / "weights" / "mobilenetv1_100_faceres_deep_gender.safetensors"
    words = ("--data", "lfw", "--root", shared / "data" / "lfw", "--by", "gender", "--limit", 100, "-q", "--out", "run")
    result = cli("evaluate", weights, *FACERES, *words, "--format", "json")
    assert result.code == 0, result.err
    predictions = pd.read_parquet("run/predictions.parquet")
    labels = pd.read_csv(shared / "data" / "lfw" / "labels.csv").set_index("path")
    for row, identity, gender in zip(
        predictions["row"], predictions["identity"].astype(str), predictions["gender"].astype(str), strict=True
    ):
        assert identity == labels.loc[row, "identity"]
        assert gender == labels.loc[row, "gender"]
