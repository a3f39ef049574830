"""``fairaudit report`` and the formats of a gate: files, options of formats, what is inconclusive."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from fairaudit import plugins
from tests.cli.conftest import Cli

RULES = ("--rule", "accuracy gap by race <= 0.2", "--rule", "accuracy difference by race <= 0.02")


@pytest.fixture
def run(cli: Cli) -> Path:
    rng = np.random.default_rng(3)
    gender = rng.choice(["Female", "Male"], 1200)
    pred = np.where(rng.random(1200) < 0.9, gender, "Male")
    pd.DataFrame({"gender": gender, "gender_pred": pred, "race": rng.choice(["A", "B", "C"], 1200)}).to_csv("p.csv")
    assert cli("audit", "p.csv", "--y-true", "gender", "--by", "race", *RULES, "-o", "run", "-q").code == 3
    return Path("run")


@pytest.mark.parametrize("format_", plugins.names("reports"))
def test_a_file_holds_what_is_printed(format_: str, run: Path, cli: Cli) -> None:
    printed = cli("report", run, "--format", format_)
    assert (printed.code, printed.err) == (0, "")
    written = cli("report", run, "--format", format_, "--out", "new/report.txt")
    assert (written.code, written.out, written.err) == (0, "", "written: new/report.txt\n")
    assert Path("new/report.txt").read_text(encoding="utf-8") == printed.out
    assert cli("report", run, "--format", format_, "--out", "new/report.txt", "-q").err == ""


def test_parquet_and_csv_hold_the_same(run: Path, cli: Cli) -> None:
    for name in ("a.csv", "a.parquet"):
        assert cli("report", run, "--format", "csv", "--out", name).code == 0
    numbers = ("value", "ci_low", "ci_high", "p_value", "p_holm", "p_bh")
    text = pd.read_csv("a.csv", keep_default_na=False, na_values=dict.fromkeys(numbers, ""))
    table = pd.read_parquet("a.parquet")
    for column in text.columns:
        if column != "n":  # which is not known of what all groups make, and then empty
            assert text[column].fillna(-1).tolist() == table[column].fillna(-1).tolist(), column
    cli("report", run, "--out", "b.parquet").refused(
        "b.parquet: Parquet holds the table of every number, not a report for reading; add --format csv"
    )


def test_formats_take_options(run: Path, cli: Cli) -> None:
    card = cli("report", run, "-f", "model-card", "--option", "model-name=me/faces", "--option", "metrics=accuracy").out
    assert "- name: me/faces\n" in card
    assert "true_positive_rate" not in card.split("---\n")[1]
    one = cli("report", run, "-f", "markdown", "--option", "rows=1").out
    assert one.count("\n") < cli("report", run, "-f", "markdown").out.count("\n")
    assert "\x1b[" in cli("report", run, "--option", "color=true").out
    for words, said in (
        (("-f", "markdown", "--option", "rows=few"), "--option rows=few: write a whole number"),
        (("--option", "color=red"), "--option color=red: write true or false"),
        (("--option", "rows"), "--option 'rows' cannot be read; write KEY=VALUE"),
        (
            ("-f", "json", "--option", "rows=1"),
            "the report format 'json' has no option 'rows'; there is none to choose from",
        ),
    ):
        cli("report", run, *words).refused(said)
    assert "\nOptions (--option KEY=VALUE):\n    model_name ('audited model')," in cli("list", "reports", "model-card").out


@pytest.mark.parametrize(("asked", "code", "tag"), [("error", 3, "error"), ("fail", 1, "failure"), ("pass", 0, "skipped")])
def test_a_gate_and_its_junit_end_alike(asked: str, code: int, tag: str, run: Path, cli: Cli) -> None:
    done = cli("gate", run, "--on-inconclusive", asked, "--format", "junit")
    assert done.code == code
    ended = {child.tag for case in ET.fromstring(done.out).iter("testcase") for child in case}
    assert ended == {tag}
    stored = cli("report", run, "--format", "junit", "--option", f"on_inconclusive={asked}")
    assert stored.out == done.out
    level = cli("gate", run, "--on-inconclusive", asked, "--format", "github").out.partition(" ")[0]
    assert level == ("::warning" if asked == "pass" else "::error")
