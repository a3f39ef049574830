"""``--label-noise``: a rate, rates and matrices per attribute, from words and files; refusals write nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Cli, files_below

WORDS = ("--y-true", "gender", "--by", "race", "--out", "run", "-q", "-f", "json")
MATRIX = "true,a,b,c,d\na,0.9,0.1,0,0\nb,0.05,0.95,0,0\nc,0,0,1,0\nd,0,0,0,1\n"
TOML = """
[race.a]
a = 0.9
b = 0.1
[race.b]
a = 0.05
b = 0.95
[race.c]
c = 1
[race.d]
d = 1
"""
FORM = "write a rate, 0.05, or ATTRIBUTE=RATE, or ATTRIBUTE=FILE with an error matrix as .csv or .toml"
SQUARE = "an error matrix is square, with a row and a column for every level"
TARGET = "it is the target, whose wrong labels change what is right; only labels of groups can be asked about"
NESTED = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.05, "b": 0.95}, "c": {"c": 1.0}, "d": {"d": 1.0}}


def _ranges(record: dict[str, Any]) -> list[dict[str, Any]]:
    return list(record["groupings"][0]["label_noise"]["ranges"])


def test_a_rate_moves_every_disparity(table: Path, cli: Cli) -> None:
    result = cli("audit", table, *WORDS, "--label-noise", "0.02", "--rule", "accuracy gap by race <= 0.9")
    assert (result.code, result.err) == (3, ""), "of d there are too few, noise or not"
    jsonschema.validate(result.record, cli("list", "schema").record)
    assert result.record["settings"]["label_noise"] == 0.02
    assert result.record["groupings"][0]["label_noise"]["errors"] == {"race": 0.02}
    assert result.record["notes"][-1] == (
        "how far disparities could move if labels of race are wrong is listed apart: no interval and no verdict includes it"
    )
    gap = next(r for r in _ranges(result.record) if (r["metric"], r["kind"]) == ("accuracy", "gap"))
    assert gap["value"] == pytest.approx(0.45)
    assert gap["low"] < gap["value"] < gap["corrected"] < gap["high"]
    plain = cli("audit", table, *WORDS[:-2], "-f", "json").record
    noisy = cli("audit", table, *WORDS, "--label-noise", "0.02").record
    assert noisy["groupings"][0]["disparities"] == plain["groupings"][0]["disparities"], "nothing else changes"


def test_unmixing_by_hand(table: Path, cli: Cli) -> None:
    Path("m.csv").write_text(MATRIX)
    record = cli("audit", table, *WORDS, "--label-noise", "race=m.csv").record
    frame = pd.read_csv(table)
    right = frame["gender"] == frame["gender_pred"]
    n = np.array([(frame["race"] == race).sum() for race in "abcd"], dtype=float)
    x = np.array([right[frame["race"] == race].sum() for race in "abcd"], dtype=float)
    error = np.array([[0.9, 0.1, 0, 0], [0.05, 0.95, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    truth = np.linalg.inv(error.T) @ x / (np.linalg.inv(error.T) @ n)
    [one] = [
        r for r in _ranges(record) if (r["metric"], r["kind"], r["group"]) == ("accuracy", "difference", {"race": "b"})
    ]
    assert one["corrected"] == pytest.approx(truth[1] - truth[0])
    assert one["value"] == pytest.approx(x[1] / n[1] - x[0] / n[0])


@pytest.mark.training
def test_every_way_to_say_it_is_the_same(table: Path, cli: Cli) -> None:
    Path("m.csv").write_text("\ufeff" + MATRIX.replace("\n", "\r\n"), encoding="utf-8")
    Path("noise.toml").write_text(TOML)
    Path("m.toml").write_text(TOML.replace("race.", ""))
    found = [
        cli("audit", table, *WORDS, "--label-noise", words).record
        for words in ("race=m.csv", "m.csv", "noise.toml", "race=m.toml", "RACE = m.csv")
    ]
    for record in found:
        assert _ranges(record) == _ranges(found[0])
    assert found[2]["settings"]["label_noise"] == {"race": NESTED}
    Path("rates.toml").write_text("race = 0.1\n")
    rates = [cli("audit", table, *WORDS, "--label-noise", words).record for words in ("rates.toml", "race=0.1", "0.1")]
    assert _ranges(rates[0]) == _ranges(rates[1]) == _ranges(rates[2])


def test_it_is_shown_in_one_small_table(table: Path, cli: Cli) -> None:
    Path("m.csv").write_text(MATRIX)
    words = ("audit", table, "--y-true", "gender", "--by", "race", "--label-noise")
    shown = cli(*words, "0.05")
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    lines = shown.out.splitlines()
    at = lines.index("If 5 % of race labels were wrong")
    assert lines[at + 1].split() == ["metric", "difference", "counted", "corrected", "could", "be"]
    assert lines[at + 2].split()[:3] == ["accuracy", "gap", "0.450"]
    assert lines[at + 3].split()[:4] == ["accuracy", "of", "c", "\N{MINUS SIGN}0.450"]
    assert "no interval and no verdict includes" in " ".join(shown.out.split())
    markdown = cli(*words, "race=m.csv", "-f", "markdown").out
    assert "**If race labels were wrong as the error matrix says**" in markdown
    assert "| accuracy | gap | 0.450 |" in markdown


@pytest.mark.parametrize(
    ("words", "files", "message"),
    [
        (("0.5",), {}, "--label-noise 0.5: a share of wrong labels is from 0 to below 0.5"),
        (("-0.1",), {}, "--label-noise -0.1: a share of wrong labels is from 0 to below 0.5"),
        (("nan",), {}, "--label-noise nan: a share of wrong labels is from 0 to below 0.5"),
        (("race=0.7",), {}, "--label-noise race 0.7: a share of wrong labels is from 0 to below 0.5"),
        (("0.1", "race=0.2"), {},
         "--label-noise 0.1 is a rate for every attribute and stands alone; name attributes, race=0.1"),
        (("race=0.1", "race=0.2"), {}, "--label-noise says twice how often labels of race are wrong"),
        (("some",), {}, f"--label-noise 'some' cannot be read; {FORM}"),
        (("race=",), {}, f"--label-noise 'race=' cannot be read; {FORM}"),
        (("race=5%",), {}, "--label-noise 5%: an error matrix is read from a .csv or .toml file"),
        (("race=m.csv",), {}, "m.csv: no such file"),
        (("race=m.toml",), {}, "m.toml: no such file"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,0.9,0.1\n"},
         f"m.csv is no error matrix: it has rows for a and columns for a, b; {SQUARE}"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,0.9,0.1\nc,0.1,0.9\n"},
         f"m.csv is no error matrix: it has rows for a, c and columns for a, b; {SQUARE}"),
        (("race=m.csv",), {"m.csv": ""},
         "m.csv: an error matrix has a row for each of two levels or more, and this one has 0"),
        (("race=m.csv",), {"m.csv": "true,a,a\na,0.9,0.1\na,0.1,0.9\n"}, "m.csv: the level 'a' has two rows"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,0.9,0.2\nb,0,1\n"},
         "m.csv: the row of 'a' sums to 1.1; the shares of a true level sum to 1"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,1.1,-0.1\nb,0,1\n"},
         "m.csv: the share of 'a' recorded as 'a' is 1.1; shares are from 0 to 1"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,0.9,most\nb,0,1\n"},
         "m.csv: the share of 'a' recorded as 'b' is 'most', which is not a number"),
        (("race=m.csv",), {"m.csv": "true,a\na,1\n"},
         "m.csv: an error matrix has a row for each of two levels or more, and this one has 1"),
        (("race=m.csv",), {"m.csv": "true,a,b,x\na,0.9,0.1,0\nb,0,1,0\nx,0,0,1\n"},
         "unknown level of 'race' in --label-noise: 'x'; choose from a, b, c, d"),
        (("race=m.csv",), {"m.csv": "true,a,b\na,0.9,0.1\nb,0,1\n"},
         "--label-noise has no row for 'c' of race, of which there are 80 images"),
        (("race=m.csv",), {"m.csv": "true,a,b,c,d\na,.5,.5,0,0\nb,.5,.5,0,0\nc,0,0,1,0\nd,0,0,0,1\n"},
         "--label-noise of race: the error matrix cannot be undone: two groups are labelled alike"),
        (("noise.toml",), {"noise.toml": "race = 'often'\n"},
         "noise.toml: race: 'often' is neither a rate nor a table of true levels"),
        (("noise.toml",), {"noise.toml": "[race]\na = 0.9\n"},
         "noise.toml: race: a = 0.9 is no row; write a table of recorded levels and their shares"),
        (("noise.toml",), {"noise.toml": "[race.a]\na = 0.9\nb = 0.1\n[race.c]\nc = 1\n"},
         f"noise.toml: race: 'b' is recorded and has no row of its own; {SQUARE}"),
        (("noise.toml",), {"noise.toml": "race = 0.6\n"},
         "noise.toml: race 0.6: a share of wrong labels is from 0 to below 0.5"),
        (("noise.toml",), {"noise.toml": "ages = 0.1\n"},
         "unknown attribute in --label-noise: 'ages'; choose from race"),
        (("gender=0.1",), {}, f"--label-noise of gender: {TARGET}"),
    ],
)  # fmt: skip
def test_refusals(table: Path, cli: Cli, words: tuple[str, ...], files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    flags = [part for word in words for part in ("--label-noise", word)]
    result = cli("audit", table, *WORDS, *flags)
    result.refused(message)
    assert files_below(Path()) == sorted(files)


def test_whose_matrix_it_is_must_be_clear(table: Path, cli: Cli) -> None:
    Path("m.csv").write_text(MATRIX)
    words = ("audit", table, "--y-true", "gender", "--by", "race,gender", "--label-noise")
    cli(*words, "m.csv").refused("--label-noise m.csv does not say whose labels it is about; write ATTRIBUTE=m.csv")
    cli(*words, "gender=0.1").refused(f"--label-noise of gender: {TARGET}")
    assert files_below(Path()) == ["m.csv"]


def test_a_configuration_says_it_too(evaluate: tuple[str, ...], cli: Cli) -> None:
    Path("c.toml").write_text(f"model = '{evaluate[1]}'\n[audit.label_noise.race.White]\nWhite = 0.9\nBlack = 0.2\n"
                              "[audit.label_noise.race.Black]\nBlack = 1.0\n")  # fmt: skip
    cli("evaluate", "--config", "c.toml", *evaluate[2:], "--out", "run").refused(
        "c.toml: audit.label_noise: race: the row of 'White' sums to 1.1; the shares of a true level sum to 1"
    )
    assert files_below(Path()) == ["c.toml"]
