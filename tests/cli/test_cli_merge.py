"""``fairaudit merge``: shards audited apart, judged and written as one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.cli.conftest import Cli, files_below

WORDS = ("--y-true", "gender", "--by", "race", "--rule", "accuracy gap by race <= 0.9")


def test_shards_become_the_whole(table: Path, cli: Cli) -> None:
    frame = pd.read_csv(table)
    for i in range(2):
        frame.iloc[i::2].to_csv(f"{i}.csv", index=False)
        assert cli("audit", f"{i}.csv", *WORDS, "--out", f"run{i}", "-q").err == ""
    whole = cli("audit", table, *WORDS, "-f", "json")
    merged = cli("merge", "run0", "run1/audit.json", "--out", "all", "-f", "json")
    assert (merged.code, merged.err) == (whole.code, "written: all\n")
    assert merged.out == whole.out
    assert files_below(Path("all")) == ["audit.json", "run.json"]
    gated = cli("gate", "all", "--rule", "accuracy gap by race <= 0.1", "-f", "json")
    assert (gated.code, gated.record["verdict"]) == (1, "fail")


def test_refusals(table: Path, cli: Cli) -> None:
    for name, by in (("a", "race"), ("b", "race,gender")):
        cli("audit", table, "--y-true", "gender", "--by", by, "--out", name, "-q")
    cli("merge", "a").refused("merging needs at least two audits: fairaudit merge a/audit.json b/audit.json")
    cli("merge", "a", "a").refused("an audit is named twice; its images would count twice")
    cli("merge", "a", "b", "--out", "c").refused("a and b cannot be merged: their groupings differ (race and race,gender)")
    assert not Path("c").exists()
