"""``fairaudit explain`` as its user: what it leaves, what it says, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from fairaudit.config import Preprocess
from fairaudit.models.classifier import save_classifier
from fairaudit.models.factory import build_network
from fairaudit.models.head import Head, Task
from fairaudit.reports._figures.canvas import DOTS
from fairaudit.workflows import explain_scene
from tests.cli.conftest import Cli, Finished, fairaudit, files_below

pytestmark = pytest.mark.training

SIZE = 32
DATA = ("--data", "synthetic", "--data-option", "n=240", "--data-option", "size=32")
CHEAP = ("--samples", 20, "--segments", 12, "--repeats", 2, "--random-orders", 2)


@pytest.fixture(scope="module")
def faces_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of random weights, whose outputs are women and men."""
    return saved(tmp_path_factory.mktemp("explain") / "model.pt", "timm/test_resnet", SIZE)


def saved(path: Path, name: str, size: int) -> Path:
    torch.manual_seed(1)
    network = build_network(name, 2, {})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    head = Head(2, (Task("gender", ("woman", "man"), (0, 1)),))
    preprocess = Preprocess(size=(size, size), resize="squash")
    save_classifier(path, network, architecture=name, arch_kwargs={}, head=head, preprocess=preprocess)
    return path


def half(path: Path, size: int = SIZE) -> Path:
    """A map that is larger the further up, as hair's is."""
    np.save(path, np.linspace(1, 0, size)[:, None] + np.linspace(0, 1e-3, size)[None, :])
    return path


@pytest.fixture(scope="module")
def done(faces_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """Everything at once, on drawn faces."""
    folder = tmp_path_factory.mktemp("explained")
    map_ = half(folder / "hair.npy")
    words = ("explain", faces_model, *DATA, "--by", "gender", "--privileged", "gender=man", *CHEAP, "--per-group", 4)
    asked = ("--map", f"hair={map_}", "--probe", "--worst", 2, "--right", 2, "--seed", 3)
    return fairaudit(*words, *asked, "--out", folder / "out", "--format", "json"), folder / "out"


def test_what_it_leaves(done: tuple[Finished, Path]) -> None:
    finished, out = done
    assert finished.code == 0, finished.err
    assert files_below(out) == [
        "explain.html", "explain.json", "explanations.npz", "groups.png", "heat.png", "regions.png", "run.json",
    ]  # fmt: skip
    assert json.loads((out / "explain.json").read_text()) == finished.record
    assert finished.record["schema_version"] == 1
    for name in ("regions", "heat", "groups"):
        with Image.open(out / f"{name}.png") as image:
            assert image.info["dpi"][0] == pytest.approx(DOTS, abs=1)
    page = (out / "explain.html").read_text()
    assert page.count("data:image/png;base64") >= 8
    assert "Evidence" not in page.split("<title>")[1].split("</title>")[0]
    run = json.loads((out / "run.json").read_text())
    assert {"checkpoint", "preprocessing", "versions"} <= set(run)


def test_rows_are_the_surest_mistakes_and_the_surest_right_ones(done: tuple[Finished, Path]) -> None:
    rows = done[0].record["rows"]
    for gender in ("woman", "man"):
        own = [row for row in rows if row["group"] == {"gender": gender}]
        wrong = [row["score"] for row in own if row["predicted"] != row["label"]]
        assert len(wrong) <= 2
        assert wrong == sorted(wrong, reverse=True)
        assert all(row["explained"] == row["predicted"] for row in own)
        assert all(row["score"] >= 0.5 for row in own)
    assert {row["label"] == row["predicted"] for row in rows} == {True, False}


def test_arrays_and_record_agree(done: tuple[Finished, Path]) -> None:
    finished, out = done
    with np.load(out / "explanations.npz") as arrays:
        heat, segments = arrays["heat"], arrays["segments"]
        assert arrays["rows"].tolist() == [row["row"] for row in finished.record["rows"]]
        assert heat.shape == segments.shape == (len(finished.record["rows"]), SIZE, SIZE)
        assert arrays["group_means"].shape == (2, SIZE, SIZE)
    for row, one, regions in zip(finished.record["rows"], heat, segments, strict=True):
        for region in (*row["for"], *row["against"]):
            inside = regions == region["segment"]
            assert one[inside].sum() == pytest.approx(region["weight"], rel=1e-3, abs=1e-6)
            assert inside.mean() == pytest.approx(region["area"])
        assert all(region["weight"] > 0 for region in row["for"])
        assert all(region["weight"] < 0 for region in row["against"])
        [overlap] = row["overlaps"]
        positive = np.clip(one, 0, None)
        top = np.zeros((SIZE, SIZE), dtype=bool)
        top.ravel()[: round(0.3 * SIZE * SIZE)] = True  # the map falls from the top down
        share = positive[top].sum() / positive.sum() if positive.sum() else math.nan
        assert overlap["mass"] == pytest.approx(share, abs=0.04)
        assert overlap["times_even"] == pytest.approx(overlap["mass"] / overlap["area"])


def test_groups_contrasts_and_probes(done: tuple[Finished, Path]) -> None:
    record: dict[str, Any] = done[0].record
    assert [(g["group"], g["n"]) for g in record["groups"]] == [({"gender": "woman"}, 4), ({"gender": "man"}, 4)]
    assert any("name one --class to compare like with like" in note for note in record["notes"])
    assert any("2 random orders" in note for note in record["notes"])
    [contrast] = record["contrasts"]
    assert (contrast["group"], contrast["reference"]) == ({"gender": "woman"}, {"gender": "man"})
    assert np.array(contrast["p_adjusted"]).shape == (8, 8)
    [probe] = record["probes"]
    assert probe["name"] == "hair"
    assert probe["area"] == pytest.approx(0.3, abs=0.01)
    for changes in (probe["changes"], probe["control"]):
        assert [change["group"] for change in changes] == [{"gender": "woman"}, {"gender": "man"}, None]
        for one in changes:
            assert one["change"] == pytest.approx(one["after"] - one["before"])
    before = [[c["before"] for c in changes] for changes in (probe["changes"], probe["control"])]
    assert before[0] == before[1]


def test_named_rows_in_their_order_for_named_classes(cli: Cli, faces_model: Path) -> None:
    listed = fairaudit("explain", faces_model, *DATA, "--rows", "none", *CHEAP).err
    rows = [listed.rsplit("'", 2)[1]]
    words = ("explain", faces_model, *DATA, "--rows", rows[0], "--class", "female", "--class", "man", *CHEAP)
    found = cli(*words, "--method", "occlusion", "--out", "out")
    assert found.code == 0, found.err
    record = json.loads(Path("out/explain.json").read_text())
    assert [(row["row"], row["explained"]) for row in record["rows"]] == [(rows[0], "woman"), (rows[0], "man")]
    assert sum(row["score"] for row in record["rows"]) == pytest.approx(1.0)
    first, second = record["rows"]
    assert [r["segment"] for r in first["for"]] == [r["segment"] for r in second["against"]]
    assert "occlusion" in found.out
    assert rows[0] in found.out
    assert "written: out" in found.err
    again = cli(*words, "--method", "occlusion", "--out", "out", "--quiet")
    assert (again.code, again.err) == (0, ""), "an earlier folder of its own is replaced"


def test_a_run_folder_is_explained_with_its_own_predictions(cli: Cli, faces_model: Path) -> None:
    assert cli("evaluate", faces_model, *DATA, "--out", "run", "--quiet").code == 0
    Path("run/config.toml").write_text(
        Path("run/config.toml").read_text() + '\n[explain]\nmethod = "grad-cam"\nworst = 1\n'
    )
    found = cli("explain", "run", "--by", "gender", "--random-orders", 0, "--right", 0, "--out", "why")
    assert found.code == 0, found.err
    record = json.loads(Path("why/explain.json").read_text())
    assert record["settings"]["method"] == "grad-cam"
    assert {row["group"]["gender"] for row in record["rows"]} <= {"woman", "man"}
    assert all(row["faithful"]["p"] is None for row in record["rows"])


def refused(cli: Cli, message: str, *words: object) -> None:
    before = files_below(Path())
    cli("explain", *words, "--out", "out").refused(message)
    assert files_below(Path()) == before, "nothing is written"


def test_refusals(cli: Cli, faces_model: Path, tmp_path: Path) -> None:
    model = (faces_model, *DATA)
    refused(
        cli, "there is no image 'x.png' among the 48 that are audited; the first of them is 'face-000000.png'",
        *model, "--rows", "x.png",
    )  # fmt: skip
    refused(cli, "unknown class 'boy'; choose from woman, man", *model, "--class", "boy")
    refused(
        cli,
        "1,025 segments are more than the 32 × 32 = 1,024 pixels of the network's input; ask for fewer with --segments",
        *model, "--segments", 1025,
    )  # fmt: skip
    small = half(tmp_path / "small.npy", 16)
    refused(
        cli, f"the map hair in {small} is of 16 × 16 pixels, and the network's input of 32 × 32; make one of that size, "
        "or say --rescale", *model, "--map", f"hair={small}",
    )  # fmt: skip
    refused(cli, f"{tmp_path / 'none.npy'} cannot be read: No such file or directory; name a .npy or .npz file with a map",
            *model, "--map", f"hair={tmp_path / 'none.npy'}")  # fmt: skip
    (tmp_path / "text.npy").write_text("not an array")
    refused(cli, f"{tmp_path / 'text.npy'} holds no map that can be read: name a .npy or .npz file",
            *model, "--map", f"hair={tmp_path / 'text.npy'}")  # fmt: skip
    refused(cli, "a probe takes the region of an attribute away: name its map with --map NAME=FILE", *model, "--probe")
    up = ("--map", f"hair={half(tmp_path / 'map.npy')}")
    refused(cli, "a probe takes as much away elsewhere, to compare: with --quantile 0.4 the region is more than half of "
            "the image; say 0.5 or more", *model, *up, "--probe", "--quantile", 0.4)  # fmt: skip
    mask = tmp_path / "mask.npy"
    np.save(mask, np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 10 < 4)
    refused(cli, f"the map hair in {mask} has its largest value in 40% of the pixels, and the region would be the top 30%; "
            "say --quantile 0.59", *model, "--map", f"hair={mask}")  # fmt: skip
    refused(cli, "mean maps are of one class: name one --class with --per-group, or none for the predicted one",
            *model, "--per-group", 3, "--class", "man", "--class", "woman")  # fmt: skip
    refused(cli, "--method 'shap': it must be 'lime', 'integrated-gradients', 'grad-cam' or 'occlusion'",
            *model, "--method", "shap")  # fmt: skip
    refused(cli, "there is nothing to explain: no group has a mistake; name images with --rows, or ask for --right",
            *model, "--worst", 0, "--right", 0, *CHEAP)  # fmt: skip
    refused(
        cli, "name MODEL: fairaudit explain MODEL --data NAME, or a run folder, or --config FILE", "--data", "synthetic"
    )
    Path("empty").mkdir()
    refused(cli, "empty is not the run folder of an evaluation: it holds no config.toml; name a checkpoint", "empty")


def test_networks_that_grad_cam_cannot_explain(cli: Cli, tmp_path: Path) -> None:
    flat = tmp_path / "flat.pt"
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2)), flat)
    words = (flat, *DATA, "--trust-checkpoint", "--size", 16, "--resize", "squash", "--classes", "woman,man")
    refused(
        cli, "Grad-CAM needs a network with convolutions, and this one has none over more than one place; "
        "use --method lime, integrated-gradients or occlusion", *words, "--method", "grad-cam",
    )  # fmt: skip
    found = cli("explain", *words, "--method", "integrated-gradients", "--random-orders", 0, "--worst", 1, "--out", "out")
    assert found.code == 0, found.err
    transformer = saved(tmp_path / "vit.pt", "timm/test_vit", 160)
    refused(
        cli, "Grad-CAM needs feature maps that are pooled, and in this network layers of another kind follow the last "
        "convolution; use --method lime, integrated-gradients or occlusion", transformer, *DATA, "--method", "grad-cam",
    )  # fmt: skip


def test_maps_of_attributions(cli: Cli, faces_model: Path, tmp_path: Path) -> None:
    """Folders as ``attribute fit`` leaves them: refused for another dataset or preparation, doubted where it says so."""
    folder = tmp_path / "Long_Hair"
    folder.mkdir()
    values = np.load(half(tmp_path / "map.npy"))
    np.savez(folder / "maps.npz", general=values, regions_top=np.ones(9), average=np.zeros((4, 4, 3)))

    def with_record(**record: object) -> tuple[object, ...]:
        (folder / "attribution.json").write_text(json.dumps(record))
        return faces_model, *DATA, "--map", f"hair={folder}"

    refused(cli, f"the map hair in {folder} was made for celeba, not for synthetic; make one for synthetic",
            *with_record(data="celeba"))  # fmt: skip
    refused(cli, f"the map hair in {folder} was made of pictures prepared with --resize crop, and the network's are "
            "prepared with squash: the same place of both shows different things",
            *with_record(data="synthetic", preprocess={"resize": "crop"}))  # fmt: skip
    words = with_record(data="synthetic", preprocess={"resize": "squash"}, calibration={"error": 0.4})
    found = cli("explain", *words, "--method", "grad-cam", "--random-orders", 0, "--worst", 1, "--right", 1, "--out", "out")
    assert found.code == 0, found.err
    assert "the map hair rests on confidence that is off by 0.40 on average" in " ".join(found.out.split())
    assert "hair" in found.out


def test_groups_are_checked_before_the_network_is_asked(
    cli: Cli, faces_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Predicting may take hours, and a misspelt level must not wait for it."""

    def never(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(explain_scene, "predict", never)
    model = (faces_model, *DATA)
    refused(cli, "unknown level of 'gender' in --privileged: 'boy'; choose from woman, man",
            *model, "--by", "gender", "--privileged", "gender=boy")  # fmt: skip
    refused(cli, "unknown attribute 'colour'; choose from gender, tone, Blond_Hair, Eyeglasses, Wearing_Hat, Smiling, "
            "Young, Beard, Long_Hair, Bald, age_group", *model, "--by", "colour")  # fmt: skip


def test_decisions_and_groups_are_those_of_the_audit(cli: Cli, faces_model: Path) -> None:
    """With a threshold and with ages in bins: what the audit called a mistake is what is explained."""
    assert cli("evaluate", faces_model, *DATA, "--by", "gender", "--out", "plain", "--quiet").code == 0
    median = float(pd.read_parquet("plain/predictions.parquet")["gender_score[man]"].median())
    threshold = round(median, 4)
    asked = ("--by", "age", "--bins", "age=0,30,60", "--threshold", threshold, "--positive", "man", "--min-support", 2)
    done = cli("evaluate", faces_model, *DATA, *asked, "--out", "run", "--quiet")
    assert done.code in (0, 1, 3), done.err
    cheap = ("--method", "grad-cam", "--random-orders", 0, "--out", "why", "--format", "json")
    found = cli("explain", "run", "--worst", 40, "--right", 0, "--class", "man", *cheap)
    assert found.code == 0, found.err
    rows = found.record["rows"]
    assert {row["group"]["age"] for row in rows} <= {"0 to <30", "30 to <60", "60 or more"}
    assert all((row["predicted"] == "man") == (row["score"] >= threshold) for row in rows)
    assert all(row["predicted"] != row["label"] for row in rows)
    assert any((row["predicted"] == "man") != (row["score"] >= 0.5) for row in rows), "the threshold decides some"


def test_a_run_is_not_replaced_by_its_explanation(cli: Cli, faces_model: Path) -> None:
    assert cli("evaluate", faces_model, *DATA, "--out", "run", "--quiet").code == 0
    before = files_below(Path())
    cli("explain", "run", "--out", "run").refused(
        "run is or holds run, which is read, and would be replaced; choose another folder for --out"
    )
    assert files_below(Path()) == before
