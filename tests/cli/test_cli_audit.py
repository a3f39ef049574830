"""``fairaudit audit``: published figures, formats, the run folder."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Cli, files_below

# Percent right in gender and race of S1's two networks on FairFace's balanced validation set, as published per cell.
PUBLISHED = {
    ("Black", "Female"): (356, 93.0, 78.9, 83.1, 75.3),
    ("Black", "Male"): (376, 84.3, 86.2, 92.8, 75.0),
    ("East Asian", "Female"): (354, 88.1, 70.9, 92.1, 67.2),
    ("East Asian", "Male"): (365, 93.7, 68.2, 90.7, 66.6),
    ("Indian", "Female"): (378, 93.7, 76.7, 90.7, 69.6),
    ("Indian", "Male"): (352, 92.9, 59.7, 94.3, 59.7),
    ("Latino_Hispanic", "Female"): (383, 94.8, 41.0, 93.2, 60.3),
    ("Latino_Hispanic", "Male"): (354, 89.8, 33.6, 91.2, 56.8),
    ("Middle Eastern", "Female"): (396, 93.9, 62.9, 92.9, 54.0),
    ("Middle Eastern", "Male"): (385, 93.2, 67.0, 92.7, 54.3),
    ("Southeast Asian", "Female"): (372, 91.9, 56.5, 91.1, 55.6),
    ("Southeast Asian", "Male"): (357, 93.0, 51.5, 92.7, 58.0),
    ("White", "Female"): (349, 91.1, 62.5, 90.3, 66.2),
    ("White", "Male"): (385, 92.7, 66.8, 90.6, 60.5),
}
MACRO = {
    ("bal_aug", "gender"): (91.9, 2.7),
    ("bal_aug", "race"): (63.0, 13.7),
    ("bal_aug_valattention", "gender"): (91.3, 2.6),
    ("bal_aug_valattention", "race"): (62.8, 7.0),
}


def grouping(record: dict[str, Any], *by: str) -> dict[str, Any]:
    found: dict[str, Any] = next(g for g in record["groupings"] if g["by"] == list(by))
    return found


@pytest.mark.real
@pytest.mark.parametrize("network", ["bal_aug", "bal_aug_valattention"])
@pytest.mark.parametrize("target", ["gender", "race"])
def test_published_figures(shared: Path, cli: Cli, network: str, target: str) -> None:
    path = shared / "data" / "fairface" / f"predictions_{network}.csv"
    words = ("--y-true", target, "--y-pred", f"{target}_pred", "--by", "race,gender", "--format", "json")
    result = cli("audit", path, *words)
    assert (result.code, result.err) == (0, "")
    assert result.record["overall"]["n"] == 5162
    found = grouping(result.record, "race", "gender")
    column = 1 + 2 * (network == "bal_aug_valattention") + (target == "race")
    measured = []
    for group in found["groups"]:
        published = PUBLISHED[group["group"]["race"], group["group"]["gender"]]
        accuracy = group["metrics"]["accuracy"]
        assert group["n"] == accuracy["support"] == published[0]
        assert round(100 * accuracy["value"], 1) == pytest.approx(published[column])
        measured.append(100 * accuracy["value"])
    assert len(measured) == len(PUBLISHED)
    assert [round(float(x), 1) for x in (np.mean(measured), np.std(measured))] == list(MACRO[network, target])
    spread = next(d for d in found["disparities"] if (d["metric"], d["kind"]) == ("accuracy", "spread"))
    assert 100 * spread["value"] == pytest.approx(np.std(measured))


BOTH = {
    "bal_aug": (73.6, 73.1, 62.1, 65.8, 72.5, 55.4, 39.4, 30.2, 60.1, 64.4, 53.2, 47.9, 56.7, 62.1),
    "bal_aug_valattention": (62.1, 70.7, 63.3, 61.1, 65.3, 57.7, 55.6, 54.0, 50.8, 51.2, 51.3, 53.8, 61.0, 54.0),
}
"""Percent with race and gender right, cell by cell as in ``PUBLISHED``."""


@pytest.mark.real
@pytest.mark.parametrize(("network", "mean", "deviation"), [("bal_aug", 58.3, 12.2), ("bal_aug_valattention", 58.0, 5.8)])
def test_published_joint_figures(shared: Path, cli: Cli, network: str, mean: float, deviation: float) -> None:
    path = shared / "data" / "fairface" / f"predictions_{network}.csv"
    words = ("--y-true", "race,gender", "--y-pred", "race_pred,gender_pred", "--by", "race,gender", "--format", "json")
    result = cli("audit", path, *words)
    assert (result.code, result.err) == (0, "")
    assert result.record["settings"]["target"] == "race,gender"
    found = grouping(result.record, "race", "gender")
    values = {(g["group"]["race"], g["group"]["gender"]): g["metrics"] for g in found["groups"]}
    percent = {cell: 100 * metrics["accuracy"]["value"] for cell, metrics in values.items()}
    assert [round(percent[cell], 1) for cell in PUBLISHED] == pytest.approx(list(BOTH[network]))
    everything = [*percent.values()]
    assert len(everything) == 14
    assert (round(float(np.mean(everything)), 1), round(float(np.std(everything)), 1)) == (mean, deviation)
    for metrics in values.values():
        assert sum(metrics[name]["value"] for name in ("accuracy", "some_right", "none_right")) == pytest.approx(1.0)


def test_a_joint_target_of_a_table(tmp_path: Path, cli: Cli) -> None:
    table = tmp_path / "t.csv"
    rows = ["a,x,a,x,p,1", "a,y,a,x,p,2", "b,y,a,x,q,3", "b,x,b,x,q,4"]
    table.write_text("\n".join(["race,gender,race_pred,gender_pred,where,age", *rows]) + "\n")
    words = ("--by", "where", "--by", "race", "--min-support", "1", "-f", "json", "--out", "run", "-q")
    record = cli("audit", table, "--y-true", "race,gender", *words).record
    accuracies = [[g["metrics"]["accuracy"]["value"] for g in found["groups"]] for found in record["groupings"]]
    assert accuracies == [[0.5, 0.5], [0.5, 0.5]]
    assert record["settings"]["classes"] == ["a x", "a y", "b x", "b y"]
    assert cli("audit", "run", "--target", "race,gender", *words[:-3]).record == record, "the run folder keeps both targets"
    uneven = cli("audit", table, "--y-true", "race,gender", "--y-pred", "race_pred", "--by", "where")
    assert uneven.code == 2
    assert "name as many columns of predictions as of labels" in uneven.err
    scored = cli("audit", table, "--y-true", "race,gender", "--y-score", "age", "--by", "where")
    assert scored.code == 2
    assert "--y-score and --classes are of one target" in scored.err


def test_every_number_can_be_found_again_by_hand(table: Path, cli: Cli) -> None:
    words = ("--y-true", "gender", "--by", "race", "--by", "race,gender", "--privileged", "race=b", "--positive", "Woman")
    record = cli("audit", table, *words, "--format", "json").record
    frame = pd.read_csv(table)
    right = frame["gender"] == frame["gender_pred"]
    assert record["settings"]["positive"] == "woman"
    assert record["verdict"] == "none"
    by_race = grouping(record, "race")
    assert by_race["privileged"] == {"race": "b"}
    for group in by_race["groups"]:
        rows = frame["race"] == group["group"]["race"]
        women = rows & (frame["gender"] == "woman")
        assert group["metrics"]["accuracy"]["value"] == pytest.approx(right[rows].mean())
        rate = group["metrics"]["true_positive_rate"]
        if women.any():
            assert rate["value"] == pytest.approx(right[women].mean())
            assert rate["support"] == women.sum()
        else:
            assert (rate["value"], rate["reason"]) == (None, "undefined: 0 positives")
        selected = frame.loc[rows, "gender_pred"] == "woman"
        assert group["metrics"]["selection_rate"]["value"] == pytest.approx(selected.mean())
    crossed = grouping(record, "race", "gender")
    assert [g["n"] for g in crossed["groups"]] == [40, 40, 40, 40, 40, 40, 12, 0], "the empty cell is shown, and is empty"


def test_formats_are_clean_and_agree(table: Path, cli: Cli) -> None:
    words = ("audit", table, "--y-true", "gender", "--by", "race")
    as_json = cli(*words, "--format", "json")
    jsonschema.validate(as_json.record, cli("list", "schema").record)
    rows = list(csv.DictReader(io.StringIO(cli(*words, "-f", "csv").out)))
    worst = next(r for r in rows if (r["metric"], r["group"], r["kind"]) == ("accuracy", "race=c", "value"))
    assert float(worst["value"]) == pytest.approx(0.5)
    markdown = cli(*words, "-f", "markdown")
    terminal = cli(*words)
    assert markdown.err == terminal.err == as_json.err == ""
    assert "| c" in markdown.out
    assert all(len(line) <= 80 for line in terminal.out.splitlines())
    assert "\x1b" not in terminal.out, "no colour where no terminal is"


def test_the_run_folder_can_be_audited_gated_and_reported(table: Path, cli: Cli) -> None:
    words = ("--y-true", "gender", "--by", "race")
    first = cli("audit", table, *words, "--out", "run", "-f", "json")
    assert (first.code, first.err) == (0, "written: run\n")
    assert files_below(Path("run")) == ["audit.json", "predictions.parquet", "run.json"]
    assert Path("run/audit.json").read_text() == first.out
    assert json.loads(Path("run/run.json").read_text())["command"] == "audit"
    assert cli("audit", "run", "--by", "race", "-f", "json").out == first.out, "a run folder says itself what is what"
    assert cli("report", "run", "-f", "json").out == first.out
    assert cli("audit", "run", "--by", "race", "--out", "run", "-q", "-f", "json").out == first.out, "onto itself"
