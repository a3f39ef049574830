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
    assert files_below(Path()) == ["found", "found/comparison.json", "mine.json"]
    assert json.loads(Path("mine.json").read_text()) == first.record


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
    cli("compare", before, after, *words, "-f", "jsn").refused("unknown format of a comparison 'jsn'; did you mean 'json'?")
    frame = pd.read_csv(after)
    frame.loc[3, "race"] = "b"
    frame.to_csv(after, index=False)
    refused = cli("compare", before, after, *words, "--out", "found")
    assert refused.code == 2
    assert "do not pair: 'race' differs in 1 of 252 images" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert files_below(Path()) == []
