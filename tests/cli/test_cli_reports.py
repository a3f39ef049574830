"""``fairaudit report`` of comparisons and experiments, and what ``mitigate`` writes beside its record."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from fairaudit.artifacts.comparisons import write_comparison
from fairaudit.artifacts.mitigations import write_mitigation
from fairaudit.comparison import Trend
from fairaudit.workflows.report import formats_of, kind_of
from tests.cli.conftest import Cli, fairaudit, files_below
from tests.reports import records

pytestmark = pytest.mark.training

LONG = "a group whose name is far longer than any terminal is wide, as names of crossed attributes may well be"


@pytest.fixture(params=["comparison", "experiment"])
def stored(request: pytest.FixtureRequest, cli: Cli) -> Path:
    folder = Path("found")
    if request.param == "comparison":
        write_comparison(records.comparison(), folder / "comparison.json")
    else:
        write_mitigation(records.experiment(), folder / "mitigation.json")
    return folder


def test_a_stored_record_is_printed_in_every_format_that_has_it(stored: Path, cli: Cli) -> None:
    [record] = stored.iterdir()
    for name in formats_of(kind_of(stored)):
        printed = cli("report", stored, "--format", name)
        assert (printed.code, printed.err) == (0, ""), name
        assert cli("report", record, "-f", name).out == printed.out
        assert cli("report", stored, "-f", name, "--out", "text", "-q").out == ""
        assert Path("text").read_text(encoding="utf-8") == printed.out
    assert cli("report", stored, "-f", "json").out == record.read_text(encoding="utf-8")
    renamed = record.rename(stored / "mine.json")
    assert cli("report", renamed, "-f", "csv").code == 0


def test_a_format_that_lacks_it_is_refused(stored: Path, cli: Cli) -> None:
    refused = cli("report", stored, "-f", "model-card", "-o", "card.md")
    assert refused.code == 2
    assert not Path("card.md").exists()
    if "mitigation.json" in files_below(stored):
        assert refused.err == (
            "fairaudit: the report format 'model-card' cannot show an experiment; choose from csv, html, json, markdown, "
            "terminal; or name one of its models, found/reweight/seed-0\n"
        )
        cli("report", stored, "--option", "metrics=f1").refused(
            "the report format 'terminal' has no option 'metrics'; choose from width, color"
        )
    else:
        cli("report", stored, "-f", "markdown", "--option", "metrics=f11").refused(
            "unknown metric 'f11'; did you mean 'f1'?"
        )
        assert "### f1 by race × gender" in cli("report", stored, "-f", "markdown", "--option", "metrics=f1").out


def test_tables_hold_every_number_as_csv_and_as_parquet(stored: Path, cli: Cli) -> None:
    for name in ("a.csv", "a.parquet"):
        assert cli("report", stored, "-f", "csv", "--out", name).code == 0
    text, table = pd.read_csv("a.csv", keep_default_na=False), pd.read_parquet("a.parquet")
    assert list(text.columns) == list(table.columns)
    for column in table.columns:
        own = [None if value == "" else value for value in text[column]]
        other = [None if value in ("", None) or value != value else value for value in table[column]]
        if table[column].dtype == "float64":
            own = [None if value is None else float(value) for value in own]
        assert [None if v is None else str(v) for v in own] == [None if v is None else str(v) for v in other], column
    changed = "change" if "trend" in table else "value"
    assert table[changed].dtype == "float64"


def test_junit_of_a_comparison_fails_where_somebody_is_worse(cli: Cli) -> None:
    write_comparison(records.comparison(), Path("comparison.json"))
    root = ET.fromstring(cli("report", "comparison.json", "-f", "junit").out)
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("8", "2", "4")
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["accuracy, Black Female is not worse", "accuracy, spread is not worse"]
    said = {case.get("name"): case[0].get("message") for case in root.iter("testcase") if case.find("skipped") is not None}
    assert said["accuracy, Martian Female is not worse"] == "undefined: 0 positives"
    assert str(said["accuracy, White Female is not worse"]).startswith("no change is shown, and none is ruled out: 0.920 →")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_long_names_and_many_groups_fit_the_terminal(width: int, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    pair = records.comparison().pairs[0]
    groups = tuple(
        records.change((f"{LONG} {i}", "x"), 0.5, 0.6 if i % 2 else 0.4, Trend.BETTER if i % 2 else Trend.WORSE)
        for i in range(14)
    )
    many = replace(pair, before=LONG, groupings=(replace(pair.groupings[0], changes=groups),), notes=(LONG,))
    write_comparison(replace(records.comparison(), pairs=(many,)), Path("comparison.json"))
    three = records.experiment().arms
    loud = replace(three[1], name=f"{LONG}(lr=0.1)", notes=(LONG,) * 9)
    write_mitigation(records.experiment(three[0], loud), Path("mitigation.json"))
    for name in ("comparison.json", "mitigation.json"):
        shown = cli("report", name)
        assert (shown.code, "\x1b" in shown.out) == (0, False)
        lines = shown.out.splitlines()
        assert max(map(len, lines)) <= width
        assert not any(line.endswith(" ") for line in lines)
    assert cli("report", "comparison.json").out.count("worse: ") == 7


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("reports") / "run"
    size = ("--data-option", "n=150", "--data-option", "size=32", "--device", "cpu", "--bootstrap", 100, "--min-support", 5)
    done = fairaudit(
        "mitigate", "--loss", "reweight", *size, "--seeds", 1, "--epochs", 2, "-q", "-f", "markdown", "-o", out
    )
    assert (done.code, done.err) == (0, "")
    return out, done.out


def test_mitigate_writes_a_page_and_figures_beside_its_record(ran: tuple[Path, str], cli: Cli) -> None:
    out, printed = ran
    assert cli("report", out, "-f", "markdown").out == printed
    assert cli("report", out, "-f", "html").out == (out / "report.html").read_text(encoding="utf-8")
    names = sorted(path.name for path in (out / "figures").iterdir())
    assert names == [f"{stem}.{kind}" for stem in ("curves", "tradeoff-gender-eyeglasses") for kind in ("png", "svg")]
    record = json.loads((out / "mitigation.json").read_text())
    [_, arm] = record["arms"]
    assert [epoch["epoch"] for epoch in arm["runs"][0]["epochs"]] == [1, 2]
    assert all(math.isfinite(epoch["worst"]) for epoch in arm["runs"][0]["epochs"])
    again = cli("mitigate", "--config", out / "mitigate.toml", "--out", out, "--resume", "-f", "html", "-q", "--no-report")
    assert (again.code, again.out) == (0, (out / "report.html").read_text(encoding="utf-8"))


def test_mitigate_refuses_a_format_before_it_trains(cli: Cli) -> None:
    words = ("mitigate", "--loss", "reweight", "--out", "run")
    cli(*words, "-f", "junit").refused(
        "the report format 'junit' cannot show an experiment; choose from csv, html, json, markdown, terminal"
    )
    cli("sweep", *words[1:], "-f", "jsno").refused("unknown report format 'jsno'; did you mean 'json'?")
    assert files_below(Path()) == []


def test_verbose_says_how_long_and_with_what_on_stderr(cli: Cli) -> None:
    write_comparison(records.comparison(), Path("comparison.json"))
    loud, plain = cli("--verbose", "report", "comparison.json"), cli("report", "comparison.json")
    assert (loud.code, loud.out) == (0, plain.out)
    assert re.fullmatch(r"fairaudit \S+, Python \S+, (\w+ \S+, )*\w+ \S+: \d+\.\d s\n", loud.err)
    refused = cli("-v", "report", "nothing.json")
    assert refused.code == 2
    assert sorted(line.partition(" ")[0] for line in refused.err.splitlines()) == ["fairaudit", "fairaudit:"]
