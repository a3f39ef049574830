"""``fairaudit compare``: tables, seeds, formats, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Cli, files_below


@pytest.fixture
def two(table: Path) -> tuple[Path, Path]:
    """A table, and another model's: of the men of a, 20 fewer are right, of c 16 more."""
    frame = pd.read_csv(table)
    frame.insert(0, "file", [f"{i}.jpg" for i in range(len(frame))])
    frame.to_csv(table, index=False)
    after = frame.copy()
    for race, right in (("a", 18), ("c", 36)):
        men = frame.index[(frame["race"] == race) & (frame["gender"] == "man")]
        after.loc[men, "gender_pred"] = ["man"] * right + ["woman"] * (len(men) - right)
    other = table.with_name("after.csv")
    after.to_csv(other, index=False)
    return table, other


def test_table_and_json(two: tuple[Path, Path], cli: Cli) -> None:
    words = ("compare", *two, "--y-true", "gender", "--by", "race,gender")
    shown = cli(*words)
    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "✗ worse: a man 0.950 → 0.450" in shown.out
    assert "✓ better: c man 0.500 → 0.900" in shown.out
    record = cli(*words, "--format", "json").record
    changes = record["comparisons"][0]["groupings"][0]["changes"]
    found = {tuple(c["group"].values()): c["trend"] for c in changes if c["metric"] == "accuracy" and c["group"]}
    assert {group: trend for group, trend in found.items() if trend != "undecided"} == {
        ("a", "man"): "worse",
        ("c", "man"): "better",
    }
    other = cli(*words, "--metric", "true_positive_rate[man]", "--metric", "accuracy")
    assert "true_positive_rate[man] by race × gender" in other.out


def test_out_is_a_file_or_a_folder(two: tuple[Path, Path], cli: Cli) -> None:
    words = ("compare", *two, "--y-true", "gender", "--by", "race", "-f", "json")
    first = cli(*words, "--out", "found")
    assert first.err == "written: found/comparison.json\n"
    assert Path("found/comparison.json").read_text() == first.out
    assert cli(*words, "--out", "mine.json", "-q").err == ""
    stem = "found/figures/changes-race-accuracy"
    assert files_below(Path()) == [
        "found", "found/comparison.json", "found/figures", f"{stem}.png", f"{stem}.svg", "found/report.html", "mine.json",
    ]  # fmt: skip
    assert Path("found/report.html").read_text() == cli(*words[:-1], "html").out
    assert cli(*words, "--out", "bare", "--no-report", "-q").code == 0
    assert files_below(Path("bare")) == ["comparison.json"]
    assert json.loads(Path("mine.json").read_text()) == first.record


def test_a_stored_comparison_is_shown_again(two: tuple[Path, Path], cli: Cli) -> None:
    first = cli("compare", *two, "--y-true", "gender", "--by", "race", "--out", "found", "-q")
    again = cli("compare", "found/comparison.json")
    assert (again.code, again.out, again.err) == (0, first.out, "")
    assert cli("compare", "found").out == first.out
    assert "f1[man] by race" in cli("compare", "found", "--metric", "f1[man]").out
    assert cli("compare", "found", "-f", "json").out == Path("found/comparison.json").read_text()
    for words in (("--by", "race"), ("--unpaired",), ("--out", "other"), ("--y-true", "gender"), ("--no-cluster",)):
        cli("compare", "found", *words).refused(
            "a stored comparison is shown as it is: only --metric and --format apply to it"
        )
    Path("broken.json").write_text("{}")
    cli("compare", "broken.json").refused("broken.json is not a comparison; name what 'fairaudit compare --out' wrote")
    assert cli("compare", "found", "--metric", "acuracy").err.startswith(
        "fairaudit: unknown metric 'acuracy'; did you mean 'accuracy'"
    )


def test_people_scores_and_joint_targets(two: tuple[Path, Path], cli: Cli) -> None:
    for i, path in enumerate(two):
        frame = pd.read_csv(path)
        frame["who"] = [f"p{j // 3}" for j in range(len(frame))]
        frame["p_man"] = [((7 * j + i) % 20) / 20 for j in range(len(frame))]
        frame["race_pred"] = frame["race"]
        frame.to_csv(path, index=False)
    words = ("compare", *two, "--by", "race")
    people = cli(*words, "--y-true", "gender", "--identity", "who")
    assert (people.code, people.err) == (0, "")
    assert "whose images change together" in " ".join(people.out.split())
    blunt = cli(*words, "--y-true", "gender", "--identity", "who", "--no-cluster")
    assert "McNemar's mid-p" in " ".join(blunt.out.split())
    assert "whose images change together" not in " ".join(blunt.out.split())
    scores = cli(*words, "--y-true", "gender", "--positive", "man", "--y-score", "p_man", "--metric", "auroc")
    assert "auroc by race" in scores.out
    joint = cli(*words, "--y-true", "race,gender", "-f", "json").record
    assert joint["settings"]["target"] == "race,gender"
    cli(*words, "--identity", "who").refused(
        "--y-pred, --y-score, --id, --identity and --classes describe a table: name its labels with --y-true"
    )


def test_seeds_are_named_one_by_one(two: tuple[Path, Path], cli: Cli) -> None:
    before, after = two
    words = ("--before", before, "--before", after, "--after", after, "--after", before)
    result = cli("compare", *words, "--y-true", "gender", "--by", "race")
    assert result.code == 0
    assert "never reach 0.05" in " ".join(result.out.split())


def test_refusals(two: tuple[Path, Path], cli: Cli) -> None:
    before, after = two
    words = ("--y-true", "gender", "--by", "race")
    cli("compare", before, *words).refused("a comparison needs two tables: fairaudit compare BEFORE AFTER")
    cli("compare", before, after, "--before", before, *words).refused(
        "name the tables either as BEFORE AFTER or, one per seed, with --before and --after; not both"
    )
    cli("compare", "--before", before, *words).refused(
        "--before and --after belong together: one run of each side per seed"
    )
    cli("compare", before, after, *words, "-f", "jsn").refused("unknown report format 'jsn'; did you mean 'json'?")
    cli("compare", before, after, *words, "-f", "model-card").refused(
        "the report format 'model-card' cannot show a comparison; choose from csv, html, json, junit, markdown, terminal"
    )
    cli("compare", before, after, *words, "-f", "csv", "--metric", "f1").refused(
        "--metric: the format csv has every metric; leave the flag out"
    )
    frame = pd.read_csv(after)
    frame.loc[3, "race"] = "b"
    frame.to_csv(after, index=False)
    refused = cli("compare", before, after, *words, "--out", "found")
    assert refused.code == 2
    assert "do not pair: 'race' differs in 1 of 252 images" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert files_below(Path()) == []
