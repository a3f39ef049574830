"""``audit --stream``: a folder of Parquet parts, counted batch by batch, gives the audit of the whole table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.artifacts import shards
from tests.cli.conftest import Cli, files_below

WORDS = ("--y-true", "gender", "--by", "race", "--by", "race,gender", "--by", "years", "--bins", "years=0,20,40,100",
         "--positive", "woman", "--missing", "group", "--bootstrap", "100")  # fmt: skip
RULES = ("--rule", "accuracy gap by race <= 0.05", "--rule", "disparate_impact by race >= 0.5")


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """3,000 rows in five uneven parts, one of them empty; some races are not known."""
    monkeypatch.setattr(shards, "BATCH_ROWS", 250)  # so that parts are of several batches
    rng = np.random.default_rng(11)
    n = 3000
    gender = rng.choice(["man", "woman"], n)
    race = rng.choice(["Asian", "Black", "White"], n, p=[0.2, 0.3, 0.5])
    wrong = rng.random(n) < np.where(race == "Black", 0.25, 0.1)
    frame = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(n)],
            "gender": gender,
            "gender_pred": np.where(wrong, np.where(gender == "man", "woman", "man"), gender),
            "race": pd.Series(race).mask(rng.random(n) < 0.02),
            "years": rng.integers(1, 90, n),
        }
    )
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, rows in enumerate((slice(0, 40), slice(40, 40), slice(40, 1900), slice(1900, 2901), slice(2901, n))):
        frame.iloc[rows].to_parquet(folder / f"part-{i}.parquet", index=False)
    frame.to_parquet(tmp_path / "whole.parquet", index=False)
    return folder


@pytest.mark.parametrize("format_", ["json", "markdown", "csv", "junit", "github", "terminal"])
def test_a_stream_says_what_the_whole_table_says(parts: Path, cli: Cli, format_: str) -> None:
    said = [
        cli("audit", path, *WORDS, *RULES, "-f", format_, *more)
        for path, *more in ((parts, "--stream"), (parts, "--no-stream"), (parts.parent / "whole.parquet", "--stream"))
    ]
    assert said[0].code == 1, said[0].err
    assert said[0].err == ""
    assert said[1] == said[0]
    assert said[2] == said[0], "one file is a table of one part"
    assert len(said[0].out) > 60


def test_what_a_stream_leaves_behind(parts: Path, cli: Cli) -> None:
    for out, flag in (("streamed", "--stream"), ("read", "--no-stream")):
        result = cli("audit", parts, *WORDS, "--out", out, flag, "-f", "json")
        assert (result.code, result.err) == (0, f"written: {out}\n")
        assert Path(out, "audit.json").read_text() == result.out
    assert Path("streamed/audit.json").read_bytes() == Path("read/audit.json").read_bytes()
    assert files_below(Path("streamed")) == ["audit.json", "run.json"], "the rows stay where they are"
    assert json.loads(Path("streamed/run.json").read_text())["streamed"] is True
    assert "streamed" not in json.loads(Path("read/run.json").read_text())
    gated = [cli("gate", out, *RULES, "-f", "markdown") for out in ("streamed", "read")]
    assert gated[0] == gated[1]
    assert gated[0].code == 1


def test_what_needs_rows_is_left_out_and_that_is_said(parts: Path, cli: Cli) -> None:
    for part in parts.iterdir():
        frame = pd.read_parquet(part)
        frame["p_woman"] = np.where(frame["gender_pred"] == "woman", 0.9, 0.1)
        frame.to_parquet(part, index=False)
    scored = cli("audit", parts, *WORDS, "--y-score", "p_woman", "--stream", "-f", "json").record
    plain = cli("audit", parts, *WORDS, "-f", "json").record
    [note] = [n for n in scored["notes"] if n not in plain["notes"]]
    assert note == (
        "the table was streamed, and its scores were not read: what needs them is left out; audit with --no-stream, or "
        "audit a part"
    )
    assert {**scored, "notes": plain["notes"]} == plain


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--y-true", "gender", "--by", "race", "--threshold", "0.5", "--positive", "woman"),
            "--threshold needs the scores of every row, which a stream does not keep; use --no-stream",
        ),
        (
            ("--y-true", "gender,race", "--y-pred", "gender_pred,race", "--by", "race"),
            "a joint target is not counted batch by batch; name one target, or read all with --no-stream",
        ),
        (
            ("--y-true", "gender", "--by", "image"),
            "column 'image' of {parts} has more than 200 different values, too many to be counted in a stream; bin it into "
            "a few levels first",
        ),
        (
            ("--y-true", "gender", "--by", "rase"),
            "{parts} has no column 'rase' (--by); did you mean 'race'?",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_streamed(
    more: tuple[str, ...], message: str, parts: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_VALUES", 200)
    cli("audit", parts, *more, "--stream", "--out", "run").refused(message.format(parts=parts))
    assert files_below(Path.cwd()) == []


def test_parts_that_do_not_belong_together(parts: Path, cli: Cli) -> None:
    pd.DataFrame({"gender": ["man"]}).to_parquet(parts / "part-9.parquet")
    words = ("audit", parts, "--y-true", "gender", "--by", "race", "--stream", "--out", "run")
    cli(*words).refused(
        f"{parts / 'part-9.parquet'} has other columns than part-0.parquet; the parts of a table must agree"
    )
    (parts / "part-9.parquet").write_bytes(b"PAR1 and no more")
    result = cli(*words)
    assert result.code == 2
    assert result.err.startswith(f"fairaudit: {parts / 'part-9.parquet'} ")
    assert files_below(Path.cwd()) == []
