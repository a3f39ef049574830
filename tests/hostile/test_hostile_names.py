"""Names made to do harm, in datasets, files and arguments: no terminal is repainted, no spreadsheet runs them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairaudit.cli.streams as streams
from fairaudit.results.spreadsheet import guarded
from tests.cli.conftest import Cli, Finished

ESC = "\x1b[2J\x1b[1;31mPASS\x1b[0m"
NAMES = (
    ESC,
    "\x1b]0;owned\x07",
    "\x9b31mred",
    "a\rb",
    "[red]x[/red]",
    "<img src=x onerror=alert(1)>",
    "\u202eevil",
    "a\x08b",
)
REPAINTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FORMATS = ("terminal", "json", "csv", "markdown", "github", "junit", "model-card", "html")


def table(path: Path, names: tuple[str, ...], n: int = 30) -> Path:
    rng = np.random.default_rng(0)
    rows = [(name, ("m", "w")[k % 2], ("m", "w")[int(rng.random() < 0.7) ^ k % 2]) for name in names for k in range(n)]
    pd.DataFrame(rows, columns=[f"race{ESC}", "gender", "gender_pred"]).to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    return path


def harmless(done: Finished) -> None:
    assert not REPAINTS.search(done.err), repr(done.err)
    assert not REPAINTS.search(done.out), repr(REPAINTS.search(done.out))


@pytest.mark.parametrize("form", FORMATS)
def test_no_report_repaints_the_terminal(form: str, cli: Cli) -> None:
    table(Path("t.csv"), NAMES)
    words = ("audit", "t.csv", "--y-true", "gender", "--by", f"race{ESC}", "--rule", f"accuracy gap by race{ESC} <= 0.01")
    done = cli(*words, "-f", form, "--out", "run", "--no-report")
    assert done.code in (1, 3), done.err
    harmless(done)
    again = cli("report", "run", "-f", form)
    assert again.code == 0, again.err
    harmless(again)
    if form == "json":
        levels = {group["group"][f"race{ESC}"] for group in json.loads(done.out)["groupings"][0]["groups"]}
        assert ESC in levels, "what is spelt out for the terminal is the same name to a parser"


def test_a_table_in_a_file_does_not_repaint_whoever_prints_it(cli: Cli) -> None:
    table(Path("t.csv"), NAMES)
    cli("audit", "t.csv", "--y-true", "gender", "--by", f"race{ESC}", "--out", "run", "--no-report")
    assert cli("report", "run", "-f", "csv", "--out", "all.csv").code == 0
    text = Path("all.csv").read_text()
    assert not REPAINTS.search(text.replace("\u202e", ""))
    assert "\\u001b[2J" in text


@pytest.mark.parametrize(
    "words",
    [
        (f"no{ESC}such",),
        ("audit", f"no{ESC}.csv"),
        ("audit", "no\nfile: all is well\n.csv"),
        ("audit", "t.csv", "--y-true", ESC),
        ("audit", "t.csv", "--y-true", "gender", "--by", ESC),
        ("audit", "t.csv", "--y-true", "gender", f"--{ESC}"),
        ("audit", "t.csv", "--y-true", "gender", "--by", "gender", "--rule", ESC),
        ("audit", "t.csv", "--y-true", "gender", "--by", "gender", "--where", ESC),
        ("gate", ESC),
        ("gate", ".", "--policy", ESC),
        ("report", ESC, "-f", "html"),
        ("report", ".", "-f", ESC),
        ("merge", ESC, ESC),
        ("compare", ESC, ESC),
        ("plan", "--rule", ESC, "--groups", "2", "--rate", "0.5"),
        ("list", ESC),
        ("list", "datasets", ESC),
        ("data", "profile", ESC),
        ("data", "check", "table", "--root", ESC),
        ("data", "profile", "table", "--root", "t.csv", "--target", ESC),
        ("evaluate", ESC, "--data", "table", "--root", "t.csv", "--target", "gender", "--by", "gender"),
        ("evaluate", "x.pt", "--data", ESC),
        ("embed", ESC),
        ("explain", ESC, "--data", "table", "--root", ESC),
        ("mitigate", "--loss", ESC),
        ("sweep", "--loss", "max-group", "--grid", ESC),
        ("attribute", "map", ESC),
        ("audit", "t.csv", "--config", "\x9b2J"),
        ("evaluate", "--config", f"c{ESC}.toml"),
    ],
    ids=lambda words: "-".join(word for word in words if word.isalpha())[:40],
)
def test_no_refusal_repaints_the_terminal(words: tuple[str, ...], cli: Cli) -> None:
    table(Path("t.csv"), NAMES)
    done = cli(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1, "one line, whatever the name holds"
    harmless(done)


def test_what_is_inside_files_does_not_repaint_either(cli: Cli) -> None:
    Path("policy.toml").write_text('rules = ["\\u001b[2J gap by race <= 1"]')
    Path("bad.json").write_text('{"schema_version": "\\u001b[2J"}')
    Path("mitigation.json").write_text('{"schema_version": 1, "arms": {"\\u001b[2J": 1}}')
    Path("cut.csv").write_text('gender,gender_pred\n"\x1b[2J')
    for words in (
        ("gate", "bad.json"), ("report", "mitigation.json"), ("audit", "cut.csv", "--y-true", "gender"),
        ("audit", "cut.csv", "--y-true", "gender", "--policy", "policy.toml"),
    ):  # fmt: skip
        done = cli(*words)
        assert done.code == 2
        harmless(done)


def test_a_plan_does_not_repaint(cli: Cli) -> None:
    done = cli("plan", "--rule", f"accuracy gap by {ESC} <= 0.05", "--groups", "2", "--rate", "0.9")
    assert done.code == 0
    harmless(done)
    assert "\\u001b[2J" in done.out


def test_colours_stay_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(streams, "stdout_colour", lambda: True)
    streams.write_out("\x1b[1;32mgood\x1b[0m \x1b[2J\x1b[8;1H")
    assert capsys.readouterr().out == "\x1b[1;32mgood\x1b[0m \\u001b[2J\\u001b[8;1H\n"


def test_a_long_name_does_not_flood_the_terminal(cli: Cli) -> None:
    Path("t.csv").write_text(f"{'x' * 100_000},b\n1,2\n")
    done = cli("audit", "t.csv", "--y-true", "gender")
    assert done.code == 2
    assert len(done.err) < 5000
    assert " … " in done.err


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", "\r=1", '=HYPERLINK("http://x","y")')


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert guarded(text)[0] == "'"
    assert guarded(guarded(text)) == guarded(text)


def test_every_csv_that_people_open_is_guarded(cli: Cli) -> None:
    table(Path("t.csv"), FORMULAS)
    words = ("audit", "t.csv", "--y-true", "gender", "--by", f"race{ESC}", "--no-report", "--out", "run")
    texts = [cli(*words, "-f", "csv").out]
    for form, name in (("csv", "all.csv"),):
        assert cli("report", "run", "-f", form, "--out", name).code == 0
        texts.append(Path(name).read_text())
    scored = pd.read_csv("t.csv").assign(score=lambda t: (t["gender_pred"] == "m") * 0.5 + 0.2)
    scored.to_csv("s.csv", index=False, quoting=csv.QUOTE_ALL)
    done = cli(*words[:1], "s.csv", *words[2:6], "--y-score", "m=score", "--positive", "m", "--sweep", "sweep.csv")
    assert done.code == 0, done.err
    texts.append(Path("sweep.csv").read_text())
    for text in texts:
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert len(cells) > 100
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not number(cell)]


def number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
