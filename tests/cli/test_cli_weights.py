"""Sampling weights on the command line: the same verdict from a table and from its stored audit, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Cli, files_below

AUDIT = ("--y-true", "y", "--by", "race", "--positive", "yes", "--bootstrap", "100")
WEIGHTED = (*AUDIT, "--weight", "w")
RULES = (
    "--rule", "accuracy gap by race <= 0.2",
    "--rule", "true_positive_rate worst_group by race >= 0.5",
    "--rule", "selection_rate ratio by race >= 0.8",
    "--rule", "equalized_odds_average_gap by race <= 0.3",
)  # fmt: skip
SAYS = "a weight says how many images a row stands for, 0 or more"


def faces(seed: int = 0, n: int = 400) -> pd.DataFrame:
    """Images that weigh much are wrong more often."""
    rng = np.random.default_rng(seed)
    y, weight = rng.choice(["no", "yes"], n), rng.choice([1, 2, 9], n)
    wrong = rng.random(n) < np.where(weight == 9, 0.3, 0.1)
    return pd.DataFrame(
        {
            "image": [f"{seed}-{i}.jpg" for i in range(n)],
            "y": y,
            "y_pred": np.where(wrong, np.where(y == "yes", "no", "yes"), y),
            "race": rng.choice(["a", "b", "c"], n),
            "age": rng.choice(["old", "young"], n),
            "who": rng.integers(0, 150, n),
            "w": weight,
            "p": rng.random(n).round(3),
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    faces().to_csv(path, index=False)
    return path


def written(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("size", [1, 0.3, 1e-30, 7e40])
def test_equal_weights_are_no_weights(cli: Cli, tmp_path: Path, size: float) -> None:
    path = written(tmp_path / "t.csv", faces().assign(w=size))
    plain = cli("audit", path, *AUDIT, *RULES, "--y-score", "p", "--format", "json")
    assert cli("audit", path, *WEIGHTED, *RULES, "--y-score", "p", "--format", "json").out == plain.out


def test_rates_are_those_of_as_many_rows_and_supports_are_not(cli: Cli, tmp_path: Path, table: Path) -> None:
    frame = faces()
    many = frame.loc[frame.index.repeat(frame["w"])].drop(columns="image")
    ours = cli("audit", table, *WEIGHTED, "--format", "json").record
    theirs = cli("audit", written(tmp_path / "many.csv", many), *AUDIT, "--format", "json").record
    plain = cli("audit", table, *AUDIT, "--format", "json").record
    for one, repeated, image in zip(*(r["groupings"][0]["groups"] for r in (ours, theirs, plain)), strict=True):
        assert one["n"] == image["n"]
        for name, estimate in one["metrics"].items():
            assert estimate["value"] == pytest.approx(repeated["metrics"][name]["value"], abs=1e-7)
            assert estimate["support"] == image["metrics"][name]["support"]
    assert ours["groupings"][0]["counts"] == plain["groupings"][0]["counts"]
    wide, narrow = (
        [g["metrics"]["accuracy"]["ci_high"] - g["metrics"]["accuracy"]["ci_low"] for g in r["groupings"][0]["groups"]]
        for r in (ours, theirs)
    )
    assert all(a > 1.8 * b for a, b in zip(wide, narrow, strict=True))
    w = frame["w"]
    assert (
        f"rates are weighted: 400 images say as much of all as {w.sum() ** 2 / (w**2).sum():.0f} of equal weight would; "
        "supports remain numbers of images, and entropies, which are not weighted yet, are left out"
    ) in ours["notes"]


@pytest.mark.parametrize("identity", [(), ("--identity", "who")])
def test_a_stored_audit_gives_the_same_verdicts(cli: Cli, table: Path, identity: tuple[str, ...]) -> None:
    made = cli("audit", table, *WEIGHTED, *identity, *RULES, "--out", "run", "--format", "json")
    again = cli("gate", "run", *RULES, "--format", "json")
    assert (again.code, again.record["rules"]) == (made.code, made.record["rules"])
    of_table = cli("gate", table, *WEIGHTED, *identity, *RULES, "--format", "json")
    assert (of_table.code, of_table.record["rules"]) == (made.code, made.record["rules"])
    unweighted = cli("audit", table, *AUDIT, *identity, *RULES, "--format", "json")
    assert unweighted.record["rules"] != made.record["rules"]
    # the run's own table declares its weights
    from_run = cli("audit", "run", "--by", "race", "--positive", "yes", "--bootstrap", "100", *RULES, "--format", "json")
    assert from_run.out == made.out


def test_images_that_weigh_nothing_are_left_out_and_counted(cli: Cli, tmp_path: Path) -> None:
    frame = faces()
    frame.loc[:9, "w"] = 0
    record = cli("audit", written(tmp_path / "t.csv", frame), *WEIGHTED, "--format", "json").record
    assert record["overall"]["n"] == 390
    assert "10 images with a weight of 0 are left out" in record["notes"]
    rest = cli("audit", written(tmp_path / "rest.csv", frame[10:]), *WEIGHTED, "--format", "json").record
    assert rest["groupings"] == record["groupings"]


def test_what_is_not_weighted_is_left_out_and_said(cli: Cli, table: Path) -> None:
    record = cli("audit", table, *WEIGHTED, "--y-score", "p", "--format", "json").record
    assert "what is measured from scores is not weighted yet, and left out" in record["notes"]
    listed = {d["metric"] for d in record["groupings"][0]["disparities"]}
    assert "average_odds_difference" in listed
    assert not listed & {"auroc", "theil_index", "generalized_entropy_index"}
    assert "scores" not in record["groupings"][0]
    joint = cli(
        "audit", table, "--y-true", "y,race", "--y-pred", "y_pred,race", "--by", "age", "--weight", "w", "-f", "json"
    )
    assert "what is measured from whole joint labels is not weighted yet, and left out" in joint.record["notes"]


def spoilt(row: int, value: object) -> pd.DataFrame:
    frame = faces()
    values = frame["w"].tolist()
    return frame.assign(w=pd.Series([*values[:row], value, *values[row + 1 :]], dtype=object))


@pytest.mark.parametrize("command", ["audit", "gate"])
@pytest.mark.parametrize(
    ("row", "value", "shown"), [(3, -1, "-1"), (1, None, "missing"), (400, "inf", "inf"), (7, float("nan"), "missing")]
)
def test_what_is_no_weight_is_refused(cli: Cli, tmp_path: Path, row: int, value: object, shown: str, command: str) -> None:
    path = written(tmp_path / "t.csv", spoilt(row - 1, value))
    words = ("--out", "run") if command == "audit" else ()
    cli(command, path, *WEIGHTED, *RULES, *words).refused(
        f"weights in column 'w' of {path}: 1 of 400 are missing, negative or infinite, the first in row {row} "
        f"({shown}); {SAYS}"
    )
    assert files_below(Path.cwd()) == []


def test_a_column_without_weights_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", spoilt(6, "many"))
    cli("audit", path, *WEIGHTED, "--out", "run").refused(
        f"column 'w' of {path} does not hold weights: they must be numbers, 0 or more, that say how many images a row "
        "stands for; the first that is none is 'many' (row 7)"
    )
    written(path, faces().assign(w=0))
    cli("audit", path, *WEIGHTED, "--out", "run").refused(
        f"weights in column 'w' of {path}: every one is 0, so that no row stands for any image"
    )
    missing = cli("audit", path, *AUDIT, "--weight", "W2", "--out", "run")
    assert missing.code == 2
    assert missing.err.startswith(f"fairaudit: {path} has no column 'W2'")
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--given", "age"), "--given cannot be combined with weights yet; leave out the one or the other"),
        (("--label-noise", "0.05"), "--label-noise cannot be combined with weights yet; leave out the one or the other"),
        (
            ("--shrink", "--rule", "accuracy gap by race given age <= 0.2"),
            "--given and --shrink cannot be combined with weights yet; leave out the one or the other",
        ),
        (
            ("--y-score", "p", "--sweep", "s.csv"),
            "--sweep cannot be combined with weights yet; leave out the one or the other",
        ),
        (
            ("--rule", "theil_index by race <= 0.1"),
            "the rule 'theil_index by race <= 0.1': theil_index is not weighted yet; judge it without weights",
        ),
        (
            ("--y-score", "p", "--rule", "auroc gap by race <= 0.1"),
            "auroc needs more than counts and is not weighted yet; judge it without weights",
        ),
        (("--stream",), "weights are not counted batch by batch; read all with --no-stream"),
    ],
)
def test_what_cannot_be_weighted_is_refused(cli: Cli, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    path = tmp_path / "t.parquet"
    faces().to_parquet(path, index=False)
    cli("audit", path, *WEIGHTED, *words, "--out", "run").refused(message)
    assert files_below(Path.cwd()) == []


def test_labels_side_by_side_are_refused(cli: Cli, tmp_path: Path) -> None:
    frame = faces().assign(z=lambda f: f["y"], z_pred=lambda f: f["y_pred"])
    cli("audit", written(tmp_path / "t.csv", frame), "--y-true", "y+z", "--by", "race", "--weight", "w").refused(
        "--target y+z: several labels side by side are not weighted yet; audit one at a time"
    )


def test_a_weight_describes_a_table(cli: Cli, table: Path) -> None:
    cli("audit", table, "--weight", "w").refused("--weight describes a table: name its labels with --y-true")
    assert cli("audit", table, *WEIGHTED, *RULES, "--out", "run", "--exit-zero").code == 0
    cli("gate", "run", "--weight", "w", "--rule", RULES[1]).refused(
        "run is an audit that was made already: --weight cannot change it; audit its predictions"
    )


def test_what_uses_counts_alone_refuses_audits_with_weights(cli: Cli, tmp_path: Path, table: Path) -> None:
    other = written(tmp_path / "u.csv", faces(1))
    for name, path, words in (("one", table, WEIGHTED), ("two", other, WEIGHTED), ("plain", table, AUDIT)):
        assert cli("audit", path, *words, "--rule", RULES[1], "--out", name, "--exit-zero").code == 0
    before = files_below(Path.cwd())
    merged = "have weights, which are not merged yet; audit the predictions of all of them together"
    cli("merge", "one", "two", "--out", "both").refused(f"the images of one {merged}")
    cli("merge", "plain", "two", "--out", "both").refused(f"the images of two {merged}")
    cli("plan", "--audit", "one").refused(
        "the images of the audit have weights, which a plan does not know yet; plan with the rates of an audit without "
        "weights"
    )
    cli("compare", table, other, *WEIGHTED).refused("comparisons are not weighted yet; leave out --weight")
    cli("compare", "one", "two", "--by", "race").refused(
        "one has weights, and comparisons are not weighted yet; compare tables without them"
    )
    rule = ("--rule", "accuracy gap by race worse_by <= 0.02")
    unlike = "the two say nothing of the same population; audit both alike"
    cli("gate", "one", "--baseline", "plain", *rule).refused(f"only this audit's images have weights: {unlike}")
    cli("gate", "plain", "--baseline", "two", *rule).refused(f"only the baseline's images have weights: {unlike}")
    assert cli("gate", "one", "--baseline", "two", *rule).code in (0, 1, 3)
    assert files_below(Path.cwd()) == before


def test_a_stream_of_parts_that_declare_weights_is_refused(cli: Cli, tmp_path: Path, table: Path) -> None:
    assert cli("audit", table, *WEIGHTED, "--out", "run").code == 0
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "0.parquet").write_bytes(Path("run/predictions.parquet").read_bytes())
    refused = cli("audit", parts, "--by", "race", "--stream")
    assert refused.code == 2
    assert refused.err.endswith("has weights, which are not counted batch by batch; read all with --no-stream\n")
    stored = json.loads(Path("run/audit.json").read_text(encoding="utf-8"))
    read = cli("audit", parts, "--by", "race", "--positive", "yes", "--bootstrap", "100", "--no-stream", "--format", "json")
    assert read.record["groupings"] == stored["groupings"]
