"""Several labels side by side on the command line: a table, a checkpoint, a gate, a report that fits on a page."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import torch
from PIL import Image
from torchvision.models import shufflenet_v2_x0_5

from fairaudit.artifacts.tables import write_predictions
from fairaudit.data.sources import celeba
from fairaudit.predictions import Predictions, Task
from fairaudit.reports._markup import safe
from fairaudit.workflows.labels import columns_of
from tests.cli.conftest import Cli, files_below

NAMES = celeba.ATTRIBUTES
WIDE = {"COLUMNS": "80"}


@pytest.fixture
def forty(tmp_path: Path) -> Path:
    """CelebA's forty attributes as numbers, with predictions that are worse for one of four groups."""
    rng, n = np.random.default_rng(0), 600
    group = rng.integers(0, 4, n)
    table: dict[str, Any] = {"file": [f"{i:06d}.jpg" for i in range(n)], "region": np.array(list("abcd"))[group]}
    for i, name in enumerate(NAMES):
        y = (rng.random(n) < 0.2 + 0.015 * i).astype(int)
        table[name] = y
        table[f"{name}_pred"] = np.where(rng.random(n) < 0.05 + 0.1 * (group == 3), 1 - y, y)
    path = tmp_path / "forty.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


@pytest.mark.training
def test_forty_labels_fit_on_a_page(forty: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rule = "true_positive_rate gap by region <= 0.9"
    result = cli("audit", forty, "--target", "all", "--by", "region", "--rule", rule, "--bootstrap", 100, "-o", "run", "-q")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 130
    assert result.out.startswith("Audit of 40 labels (5_o_Clock_Shadow, Arched_Eyebrows, Attractive,\n")
    assert "Labels by true_positive_rate, largest gap first" in lines
    assert "  and 32 more labels: --format csv or json" in lines
    start = lines.index("Labels by true_positive_rate, largest gap first")
    shown = [line.split() for line in lines[start + 2 : start + 10]]
    gaps = [float(words[2]) for words in shown]
    assert gaps == sorted(gaps, reverse=True)
    table = list(csv.DictReader(io.StringIO(cli("report", "run", "-f", "csv").out)))
    every = {
        row["metric"]: float(row["value"])
        for row in table
        if row["kind"] == "gap" and row["metric"].startswith("true_positive_rate[") and row["metric"][19:-1] in NAMES
    }
    assert len(every) == 40
    assert gaps == pytest.approx(sorted(every.values(), reverse=True)[:8], abs=5e-4)
    assert {words[0] for words in shown} == {m[19:-1] for m in sorted(every, key=lambda m: -every[m])[:8]}
    assert "worst hamming_accuracy first" in result.out
    markdown = cli("report", "run", "-f", "markdown").out
    assert len(markdown.splitlines()) < 110
    assert "Labels by true_positive_rate, largest gap first; 30 more labels in csv and json:" in markdown
    assert all(f"\n| {safe(words[0])} | " in markdown for words in shown)


def test_the_numbers_are_scikit_learns(forty: Path, cli: Cli) -> None:
    words = ("--y-true", "Smiling+Young+Bald", "--by", "region", "--beta", "1")
    record = cli("audit", forty, *words, "--format", "json").record
    jsonschema.validate(record, cli("list", "schema").record)
    table = pd.read_csv(forty)
    y_true, y_pred = (table[[f"{n}{end}" for n in ("Smiling", "Young", "Bald")]].to_numpy() for end in ("", "_pred"))
    found = {name: one["value"] for name, one in record["overall"]["metrics"].items()}
    assert found["hamming_accuracy"] == pytest.approx(1 - sk.hamming_loss(y_true, y_pred))
    assert found["subset_accuracy"] == pytest.approx(sk.accuracy_score(y_true, y_pred))
    assert found["f1[micro]"] == pytest.approx(sk.f1_score(y_true, y_pred, average="micro"))
    assert found["f1[macro]"] == pytest.approx(sk.f1_score(y_true, y_pred, average="macro"))
    assert found["mean_f1"] == pytest.approx(sk.f1_score(y_true, y_pred, average="samples", zero_division=1))
    assert found["true_positive_rate[Bald]"] == pytest.approx(sk.recall_score(y_true[:, 2], y_pred[:, 2]))
    for group in record["groupings"][0]["groups"]:
        rows = (table["region"] == group["group"]["region"]).to_numpy()
        mean = sk.fbeta_score(y_true[rows], y_pred[rows], beta=2, average="samples", zero_division=1)
        assert group["metrics"]["mean_f2"]["value"] == pytest.approx(mean)
    assert record["settings"]["multilabel"] == {n: ["0", "1"] for n in ("Smiling", "Young", "Bald")}


def test_a_run_folder_is_gated_and_reported_as_the_table_was(forty: Path, cli: Cli) -> None:
    rules = ("--rule", "f1[Young] gap by region <= 0.5", "--rule", "hamming_accuracy worst_group by region >= 0.95")
    words = ("--target", "Smiling+Young", "--by", "region")
    audited = cli("audit", forty, *words, *rules, "--out", "run", "-f", "json", "-q")
    assert audited.code == 1
    assert files_below(Path("run")) == ["audit.json", "predictions.parquet", "run.json"]
    for again in (cli("gate", "run", "-f", "json"), cli("gate", forty, *words, *rules, "-f", "json")):
        assert (again.code, again.out) == (1, audited.out)
    assert cli("report", "run", "-f", "json").out == audited.out
    assert "Labels by f1, largest gap first" in cli("report", "run").out
    for format_ in ("markdown", "junit", "github", "model-card", "csv"):
        assert cli("report", "run", "-f", format_).code == 0
    later = cli("gate", "run", "--rule", "mean_f2 gap by region <= 0.9", "--rule", "disparate_impact by region >= 0.1")
    assert later.code == 0
    worse = cli("gate", "run", "--baseline", "run", "--rule", "hamming_accuracy gap by region worse_by <= 0.3")
    assert worse.code == 0


def test_refusals(forty: Path, cli: Cli) -> None:
    by = ("--by", "region")
    cli("audit", forty, "--y-true", "Smiling+Young", "--y-pred", "Smiling_pred", *by).refused(
        "--y-true Smiling+Young and --y-pred Smiling_pred do not go together: name as many columns of predictions as of "
        "labels, each label once"
    )
    cli("audit", forty, "--target", "Smiling+Yuong", *by).refused("unknown target 'Yuong'; did you mean 'Young'?")
    cli("compare", forty, forty, "--target", "all", *by).refused(
        "--target all: several labels are audited side by side, and compared one at a time; name one of "
        + ", ".join(NAMES[:8])
    )
    parquet = forty.with_suffix(".parquet")
    pd.read_csv(forty).to_parquet(parquet)
    for words in (("--target", "all"), ("--y-true", "Smiling+Young")):
        cli("audit", parquet, *words, *by, "--stream").refused(
            "several labels are not counted batch by batch; name one target, or read all with --no-stream"
        )
    assert cli("audit", forty, "--y-true", "Smiling+Young", "--classes", "0,1", *by).code == 0
    cli("audit", forty, "--y-true", "Smiling,Young", "--classes", "0,1", *by).refused(
        "--y-score and --classes are of one target, and --y-true Smiling,Young names 2; leave them out"
    )


def test_the_metrics_are_listed(cli: Cli) -> None:
    listed = " ".join(cli("list", "metrics").out.split())
    assert "mean_f2 mean over images of 5 P R / (4 P + R), P = 1 if nothing is called" in listed
    assert "subset_accuracy share of images with every label right" in listed
    assert "1 − Hamming loss; higher is better; scikit-learn, hamming_loss" in listed


@pytest.fixture
def faces(tmp_path: Path) -> tuple[Path, Path]:
    """CelebA's layout with three attributes, and a network with an output for each."""
    root, rng, n = tmp_path / "celeba", np.random.default_rng(0), 36
    (root / "img_align_celeba").mkdir(parents=True)
    lines = [str(n), "Male Smiling Young"]
    for i in range(1, n + 1):
        pixels = rng.integers(0, 256, (36, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "img_align_celeba" / f"{i:06d}.jpg")
        lines.append(f"{i:06d}.jpg {' '.join(str(sign) for sign in rng.choice([-1, 1], 3))}")
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    torch.manual_seed(0)
    model = tmp_path / "model.pt"
    torch.save(shufflenet_v2_x0_5(num_classes=3).state_dict(), model)
    return model, root


@pytest.mark.training
def test_a_checkpoint_is_evaluated_on_all_its_labels(faces: tuple[Path, Path], cli: Cli) -> None:
    model, root = faces
    words = ("evaluate", model, "--data", "celeba", "--root", root, "--size", 32, "--min-support", 3)
    rules = ("--rule", "accuracy gap by Young <= 0.9", "--rule", "mean_f2 gap by Young <= 0.95")
    result = cli(*words, "--target", "all", "--by", "Young", *rules, "--out", "run", "-f", "json")
    assert result.record["settings"]["classes"] == ["Male", "Smiling", "Young"]
    assert result.record["settings"]["multilabel"]["Male"] == ["Female", "Male"]
    assert "outputs in the order of the dataset card's columns" in " ".join(result.err.split())
    assert "target  all" in result.err
    predictions = pd.read_parquet("run/predictions.parquet")
    for label, yes in (("Male", "Male"), ("Smiling", "yes")):
        called = (predictions[f"{label}_score[{yes}]"] > 0.5).mean()
        assert result.record["overall"]["metrics"][f"selection_rate[{label}]"]["value"] == pytest.approx(called)
        assert f"auroc[{label}]" in result.record["overall"]["metrics"]
    assert cli("gate", "run", "-f", "json").out == result.out
    table = cli("audit", "run", "--target", "all", "--by", "Young", *rules, "--min-support", 3,
                "--privileged", "Young=yes", "-f", "json")  # fmt: skip
    assert table.record["groupings"][0]["groups"] == result.record["groupings"][0]["groups"]
    again = cli("evaluate", "--config", "run/config.toml", "-q", "-f", "json", "--out", "again")
    assert again.out == result.out
    named = cli(*words, "--target", "Smiling+male", "--by", "Young", "--limit", 30, "-q", "-f", "json")
    assert named.record["settings"]["target"] == "Smiling+Male"
    assert named.record["overall"]["n"] == 30


def test_what_a_checkpoint_cannot_say(faces: tuple[Path, Path], cli: Cli) -> None:
    model, root = faces
    words = ("evaluate", model, "--data", "celeba", "--root", root, "--size", 32, "-q")
    cli(*words, "--target", "Smiling+Bald").refused("unknown column 'Bald'; choose from Male, Smiling, Young")
    cli(*words, "--target", "Smiling+Male", "--head", "softmax").refused(
        "several labels need a task each: --head multilabel, or slices; --merge makes one target"
    )
    cli(*words, "--target", "Smiling+Male", "--head", "Smiling:0,Young:2").refused(
        "the model predicts Smiling, Young, not 'Male'; name another --target or --head"
    )


@pytest.mark.real
def test_celeba(shared: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = celeba.load(shared / "data" / "celeba", "all")
    columns, _ = columns_of(manifest)
    rng, n = np.random.default_rng(1), len(manifest)
    worse = np.where(columns["Male"].codes == 1, 0.06, 0.10)
    tasks = {}
    for name, column in columns.items():
        flipped = rng.random(n) < worse
        tasks[name] = Task(column.levels, column.codes, np.where(flipped, 1 - column.codes, column.codes))
    rows = manifest.frame["row"].to_numpy(dtype=object)
    write_predictions(Predictions(rows, tasks), Path("predictions.parquet"))
    monkeypatch.setenv("COLUMNS", "80")
    rules = ("--rule", "hamming_accuracy gap by Male <= 0.02", "--rule", "accuracy[Smiling] gap by Male <= 0.1")
    started = time.perf_counter()
    page = cli("audit", "predictions.parquet", "--target", "all", "--by", "Male", *rules, "--out", "run")
    taken = time.perf_counter() - started
    assert page.code == 1
    assert max(map(len, page.out.splitlines())) <= 80
    assert taken < 20, f"{taken:.1f} s on a machine that may be busy; alone it is about 2 s"
    record = json.loads(Path("run/audit.json").read_text())
    assert [r["verdict"] for r in record["rules"]] == ["fail", "pass"]
    man = columns["Male"].codes == 1
    y_true, y_pred = (np.stack([getattr(t, side) for t in tasks.values()], 1) for side in ("y_true", "y_pred"))
    for group, keep in zip(record["groupings"][0]["groups"], (~man, man), strict=True):
        found = {name: one["value"] for name, one in group["metrics"].items()}
        assert group["n"] == keep.sum()
        assert found["hamming_accuracy"] == pytest.approx(1 - sk.hamming_loss(y_true[keep], y_pred[keep]))
        assert found["subset_accuracy"] == pytest.approx(sk.accuracy_score(y_true[keep], y_pred[keep]))
        assert found["mean_f2"] == pytest.approx(
            sk.fbeta_score(y_true[keep], y_pred[keep], beta=2, average="samples", zero_division=1)
        )
        assert found["f1[micro]"] == pytest.approx(sk.f1_score(y_true[keep], y_pred[keep], average="micro"))
    gap = next(d for d in record["groupings"][0]["disparities"] if d["metric"] == "hamming_accuracy" and d["kind"] == "gap")
    assert gap["ci_low"] < 0.04 < gap["ci_high"], "the truth that the errors were drawn with"
    assert cli("gate", "run").code == 1
