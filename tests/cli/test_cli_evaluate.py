"""The main job from the command line: the bare form, the run folder, the same numbers again."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torchvision.models import shufflenet_v2_x0_5

from tests.cli.conftest import GENDERS, PER_CELL, RACES, SIZE, Cli, Finished, fairaudit, files_below, plain_loop, shufflenet

RUN = ["audit.json", "config.toml", "predictions.parquet", "run.json"]
N = len(RACES) * len(GENDERS) * PER_CELL


@pytest.fixture(scope="module")
def finished(evaluate: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """One run, and its folder."""
    out = tmp_path_factory.mktemp("runs") / "run"
    rules = ("--rule", "accuracy gap by race <= 0.999", "--rule", "accuracy worst_group by race,gender >= 0.999")
    return fairaudit(*evaluate, *rules, "--out", out, "--format", "json"), out


def told(text: str, name: str) -> str:
    """What the preflight says under a heading, its lines joined."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"{name:<8}"))
    more = itertools.takewhile(lambda line: line.startswith(" " * 8), lines[first + 1 :])
    return " ".join([lines[first][8:], *(line.strip() for line in more)])


def test_the_predictions_are_those_of_a_plain_loop(finished: tuple[Finished, Path], model: Path, fairface: Path) -> None:
    network = shufflenet()
    network.load_state_dict(torch.load(model, weights_only=True), strict=True)
    labels = pd.read_csv(fairface / "fairface_label_val.csv")
    expected = plain_loop(network, [fairface / file for file in labels["file"]], SIZE).softmax(1).numpy()
    predictions = pd.read_parquet(finished[1] / "predictions.parquet")
    assert predictions["row"].tolist() == labels["file"].tolist()
    assert predictions["gender"].astype(str).tolist() == labels["gender"].tolist()
    assert predictions["race"].astype(str).tolist() == labels["race"].tolist()
    scores = predictions[[f"gender_score[{c}]" for c in GENDERS]].to_numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    sure = np.abs(expected[:, 0] - 0.5) > 1e-3
    assert sure.mean() > 0.9
    assert (predictions["gender_pred"].astype(str).to_numpy() == np.array(GENDERS)[expected.argmax(1)])[sure].all()
    assert 0.2 < (predictions["gender_pred"] == "Male").mean() < 0.8, "the model must say both, or nothing is shown"


def test_the_preflight_tells_what_was_found_and_assumed(finished: tuple[Finished, Path]) -> None:
    err = finished[0].err
    assert all(len(line) <= 80 for line in err.splitlines()[:-1]), "readable at 80 columns, but for the path at its end"
    assert told(err, "model") == "torchvision/shufflenet_v2_x0_5 (recognised from its 338 tensors); all 338 keys matched"
    assert told(err, "outputs") == "softmax over 2 outputs: Male, Female"
    assert told(err, "pixels") == (
        "32×32 squash, bilinear, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225 (torchvision's transforms of "
        "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1; size, resize, interpolation from flags)"
    )
    assert told(err, "device") in ("cpu, fp32", "cuda, fp32", "mps, fp32")
    assert told(err, "images") == f"{N} (split val)"
    assert told(err, "target") == "gender"
    assert told(err, "groups") == "race (7, against White); race × gender (14, against the largest White)"
    assert "assumed padding, activation and eps are those of torchvision/shufflenet_v2_x0_5" in err
    assert "assumed classes in the order of the dataset card (Male, Female); --classes" in err
    assert err.splitlines()[-1] == f"written: {finished[1]}"


def test_the_run_folder_holds_four_files_and_the_audit_is_what_was_printed(finished: tuple[Finished, Path]) -> None:
    result, out = finished
    assert files_below(out.parent) == ["run", *(f"run/{name}" for name in RUN)]
    assert result.out == (out / "audit.json").read_text()
    assert result.code == 1, "one rule cannot be met"
    assert [r["verdict"] for r in result.record["rules"]] == ["pass", "fail"]
    jsonschema.validate(result.record, fairaudit("list", "schema").record)
    run = json.loads((out / "run.json").read_text())
    assert run["architecture"] == {"name": "torchvision/shufflenet_v2_x0_5", "found_by": "recognised from its 338 tensors"}
    assert run["data"]["images"] == N
    assert run["data"]["unreadable"] == []
    assert run["versions"]["torch"] == torch.__version__.partition("+")[0]
    for secret in (str(out), "torch", run["finished"][:10]):
        assert secret not in result.out, "what was found does not depend on paths, versions or the date"


def test_the_same_run_gives_the_same_bytes(finished: tuple[Finished, Path], cli: Cli) -> None:
    result = cli("evaluate", "--config", finished[1] / "config.toml", "--out", "again", "--quiet", "-f", "markdown")
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("#")
    for name in ("audit.json", "predictions.parquet", "config.toml"):
        assert Path("again", name).read_bytes() == (finished[1] / name).read_bytes(), name


@pytest.mark.parametrize("format_", ["json", "markdown", "csv", "terminal"])
def test_gate_and_report_repeat_the_verdict(finished: tuple[Finished, Path], cli: Cli, format_: str) -> None:
    report = cli("report", finished[1], "--format", format_)
    judged = cli("gate", finished[1], "--format", format_)
    assert (report.code, judged.code) == (0, 1)
    assert report.err == judged.err == ""
    assert report.out == judged.out
    if format_ == "json":
        assert report.out == finished[0].out
    if format_ in ("markdown", "terminal"):
        assert "inconclusive" not in report.out.casefold()
        assert "fail" in report.out.casefold()


def test_an_existing_run_folder_is_replaced_whole_and_anything_else_is_not_touched(
    evaluate: tuple[str, ...], finished: tuple[Finished, Path], cli: Cli
) -> None:
    shutil.copytree(finished[1], "run")
    Path("run", "old.txt").write_text("of another run")
    assert cli(*evaluate, "--out", "run", "--limit", 14, "-q").code == 0
    assert files_below(Path.cwd()) == ["run", *(f"run/{name}" for name in RUN)]
    assert len(pd.read_parquet("run/predictions.parquet")) == 14

    Path("mine").mkdir()
    Path("mine", "thesis.tex").write_text("x")
    cli(*evaluate, "--out", "mine").refused(
        "mine is not a run folder (it holds thesis.tex), and a run replaces its folder whole; "
        "choose another folder for --out, or empty this one"
    )
    assert files_below(Path("mine")) == ["thesis.tex"]


@pytest.mark.training
def test_a_run_folder_without_a_name_never_replaces_another(evaluate: tuple[str, ...], cli: Cli) -> None:
    for _ in range(2):
        assert cli(*evaluate, "--limit", 14, "--bootstrap", 100, "-q").code == 0
    names = sorted(path.name for path in Path("runs").iterdir())
    assert len(names) == 2
    assert all("-model-fairface" in name for name in names)


def bare(model: Path) -> tuple[str, ...]:
    return ("evaluate", str(model), "--data", "fairface", "--limit", "14", "--bootstrap", "100", "--size", str(SIZE))


def test_the_bare_form_says_where_the_data_may_be(model: Path, cli: Cli) -> None:
    cli(*bare(model)).refused(
        "fairface was not found: give its folder with --root, or put it in data/fairface, or name it in "
        f"{Path.cwd().parent}/config/fairaudit/config.toml under [data]; to get it, download the images and label tables "
        "from https://github.com/joojs/fairface and put fairface_label_train.csv and fairface_label_val.csv beside the "
        "folders train/ and val/ (or take the Parquet files of HuggingFaceM4/FairFace)"
    )
    assert files_below(Path.cwd()) == []


@pytest.mark.training
def test_the_bare_form_finds_the_data(model: Path, fairface: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data").mkdir()
    Path("data/fairface").symlink_to(fairface)
    here = cli(*bare(model), "--out", "here", "-f", "json")
    assert here.code == 0, here.err
    Path("data/fairface").unlink()

    monkeypatch.setenv("FAIRAUDIT_DATA", str(fairface.parent))
    there = cli(*bare(model), "--out", "there", "-f", "json")
    assert (there.code, there.out) == (0, here.out)
    record = here.record
    assert [g["by"] for g in record["groupings"]] == [["race"], ["race", "gender"]]
    assert record["groupings"][0]["privileged"] == {"race": "White"}
    assert record["settings"]["target"] == "gender"
    assert record["settings"]["classes"] == ["Male", "Female"]
    assert set(pd.read_parquet("here/predictions.parquet")["row"].str.partition("/")[0]) == {"val"}
    monkeypatch.delenv("FAIRAUDIT_DATA")
    assert cli("evaluate", "--config", "there/config.toml", "--out", "c", "-f", "json").out == here.out, "the root is kept"


@pytest.mark.training
def test_the_hub_export_gives_the_same_audit_as_the_official_layout(model: Path, fairface: Path, cli: Cli) -> None:
    names = {"age": ["20-29"], "gender": list(GENDERS), "race": [*reversed(RACES)]}
    labels = pd.read_csv(fairface / "fairface_label_val.csv")
    columns: dict[str, Iterable[object]] = {
        "image": [{"bytes": (fairface / f).read_bytes(), "path": Path(f).name} for f in labels["file"]],
        **{c: [n.index(text) for text in labels[c]] for c, n in names.items()},
        "service_test": labels["service_test"].tolist(),
    }
    features = {c: {"names": n, "_type": "ClassLabel"} for c, n in names.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features | {"image": {"_type": "Image"}}}})}
    Path("data/fairface").mkdir(parents=True)
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, "data/fairface/validation-00000-of-00001.parquet")

    hub = cli(*bare(model), "--out", "hub", "-f", "json")
    assert hub.code == 0, hub.err
    official = cli(*bare(model), "--root", fairface, "--out", "official", "-f", "json")
    assert hub.out == official.out
    for column in ("row", "gender", "race", "gender_pred", "gender_score[Male]"):
        frames = [pd.read_parquet(f"{name}/predictions.parquet")[column].astype(str) for name in ("hub", "official")]
        assert frames[0].equals(frames[1]), column


@pytest.mark.training
def test_balanced_and_where_and_a_sample(evaluate: tuple[str, ...], fairface: Path, cli: Cli) -> None:
    assert cli(*evaluate, "--balanced", "--out", "balanced", "-q", "--bootstrap", 100).code == 0
    labels = pd.read_csv(fairface / "fairface_label_val.csv")
    assert pd.read_parquet("balanced/predictions.parquet")["row"].tolist() == labels[labels.service_test]["file"].tolist()
    words = ("--where", "gender == 'female' and race != 'White'", "--privileged", "race=black", "--by", "race")
    result = cli(*evaluate, *words, "--out", "women", "-f", "json")
    assert result.code == 0, result.err
    assert result.record["overall"]["n"] == 6 * PER_CELL
    assert [g["group"]["race"] for g in result.record["groupings"][0]["groups"]] == list(RACES[:-1])
    assert result.record["groupings"][0]["privileged"] == {"race": "Black"}
    samples = [cli(*evaluate, "--limit", 20, "--seed", seed, "--out", f"s{seed}", "-q").code for seed in (0, 1)]
    assert samples == [0, 0]
    rows = [set(pd.read_parquet(f"s{seed}/predictions.parquet")["row"]) for seed in (0, 1)]
    assert len(rows[0]) == len(rows[1]) == 20
    assert rows[0] != rows[1]


def test_a_table_of_images(model: Path, fairface: Path, cli: Cli) -> None:
    labels = pd.read_csv(fairface / "fairface_label_val.csv").rename(columns={"file": "where"})
    labels["site"] = np.arange(len(labels)) % 2  # a number, but named as a grouping
    labels.to_csv(fairface / "mine.csv", index=False)
    words = ("--data", "table", "--root", fairface / "mine.csv", "--path-column", "where", "--size", SIZE)
    result = cli(
        "evaluate", model, *words, "--target", "gender", "--classes", "male,female", "--by", "site", "--min-support", 1,
        "--privileged", "site=1", "-f", "json", "--out", "run",
    )  # fmt: skip
    (fairface / "mine.csv").unlink()
    assert result.code == 0, result.err
    assert [g["group"] for g in result.record["groupings"][0]["groups"]] == [{"site": "0"}, {"site": "1"}]
    assert result.record["settings"]["classes"] == ["Male", "Female"]
    assert "14 images have no label in mine.csv and are left out" in result.err


@pytest.mark.training
def test_heads_of_several_tasks_and_merged_outputs(evaluate: tuple[str, ...], fairface: Path, cli: Cli) -> None:
    torch.manual_seed(1)
    torch.save(shufflenet_v2_x0_5(num_classes=18).state_dict(), "eighteen.pt")
    run = ("evaluate", "eighteen.pt", *evaluate[2:], "--bootstrap", 100, "--format", "json")
    preset = cli(*run, "--head", "fairface-18", "--out", "preset")
    assert preset.code == 0, preset.err
    assert preset.record["settings"]["target"] == "gender"
    table = pd.read_parquet("preset/predictions.parquet")
    assert {"race_pred", "gender_pred", "age_pred"} <= set(table.columns)
    groups = preset.record["groupings"][0]["groups"]
    assert [g["group"]["race"] for g in groups] == list(RACES), "in the card's order, not in the network's"
    scores = table[[f"race_score[{race}]" for race in RACES]].to_numpy()
    assert table["race_pred"].astype(str).tolist() == [RACES[k] for k in scores.argmax(1)]
    labels = pd.read_csv(fairface / "fairface_label_val.csv")
    assert table["race"].astype(str).tolist() == labels["race"].tolist(), "labels stay, although races are predicted too"

    other = cli(*run, "--head", "race:0-3,gender:7-8", "--out", "other")
    assert other.code == 0, other.err
    assert "warning: what the model says of race is left out: its classes are not this dataset's levels\n" in other.err
    assert other.out == preset.out, "what is not audited changes nothing"
    assert "race_pred" not in pd.read_parquet("other/predictions.parquet").columns

    halves = [",".join(map(str, range(k, k + 9))) for k in (0, 9)]
    words = ("--merge", f"male={halves[0]}", "--merge", f"female={halves[1]}", "--merge-by", "sum")
    merged = cli(*run, *words, "--out", "merged")
    assert merged.code == 0, merged.err
    assert "merged by sum" in merged.err


@pytest.mark.training
def test_a_single_logit(evaluate: tuple[str, ...], model: Path, cli: Cli) -> None:
    """The difference of two logits as one: the same probabilities but for rounding, and so the same counts."""
    state = torch.load(model, weights_only=True)
    for key in ("fc.weight", "fc.bias"):
        state[key] = state[key][1:] - state[key][:1]
    torch.save(state, "single.pt")
    single = cli("evaluate", "single.pt", *evaluate[2:], "--format", "json", "--out", "single")
    assert single.code == 0, single.err
    assert "single-logit sigmoid, above 0.5 is Female, else Male" in told(single.err, "outputs")
    double = cli(*evaluate, "--format", "json", "--out", "double")
    records = [json.loads(finished.out) for finished in (single, double)]
    assert [g["counts"] for g in records[0]["groupings"]] == [g["counts"] for g in records[1]["groupings"]]
    scores = [pd.read_parquet(f"{name}/predictions.parquet")["gender_score[Male]"] for name in ("single", "double")]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
