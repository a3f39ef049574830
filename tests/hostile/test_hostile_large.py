"""Tables of very many rows: nothing grows faster than they do, and one bad row among them is named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.data.manifest import leaves_root
from fairaudit.results.data_check import DataCheck, File, Finding
from fairaudit.workflows.data_reports import text
from tests.cli.conftest import Cli
from tests.hostile.tree_mutants import HOSTILE_TEXTS

ROWS = 30_000
SECONDS = 20
"""Of the processor, ten times what it takes."""


def _labels(path: Path) -> None:
    n = np.arange(ROWS)
    labels = {"path": [f"p{i}.png" for i in n], "gender": np.where(n % 2, "man", "woman"), "race": n % 7}
    pd.DataFrame(labels).to_csv(path, index=False)


def test_a_check_of_very_many_rows_takes_seconds_and_names_every_missing_file(cli: Cli) -> None:
    _labels(Path("labels.csv"))
    began = time.process_time()
    done = cli("data", "check", "table", "--root", "labels.csv", "--by", "race", "--target", "gender", "--out", "c.json")
    assert time.process_time() - began < SECONDS
    assert done.code == 0
    (missing,) = json.loads(Path("c.json").read_text())["findings"]
    assert missing["said"] == f"{ROWS:,} of {ROWS:,}"
    assert [files[0]["file"] for files in missing["sets"]] == [f"p{i}.png" for i in range(ROWS)]


@pytest.mark.parametrize("findings", [(), (Finding("tiny", "", "1", ((File("a \u2028\n.png", "3 × 3"),),)),)])
def test_a_check_written_by_lines_is_its_record(findings: tuple[Finding, ...]) -> None:
    check = DataCheck("table", 3, 2, {"a\n": 3}, 4, 32, findings, ("a note",))
    written = text(check, "json")
    assert json.loads(written) == check.to_record()
    assert written.count("\n") == 12 + 2 * len(findings)


def test_one_bad_row_of_very_many_is_named(cli: Cli) -> None:
    n = np.arange(ROWS)
    rows = [f"{'man' if i % 2 else 'woman'},man,{i % 11 / 10},{'abc'[i % 3]}" for i in n]
    words = ("audit", "p.csv", "--y-true", "gender", "--y-score", "man=score", "--by", "race", "--no-report")
    bad = ROWS - 77
    for broken, said in (
        ("man,man,1.5,a", f"1 of {ROWS} scores are missing or outside 0 to 1, the first in row {bad} (1.5);"),
        ("man,man,x,a", f"they must be numbers from 0 to 1; the first that is none is 'x' (row {bad})\n"),
        ("man,man,0.5,a,b", f"line {bad + 1}: Expected 4 columns, got 5: man,man,0.5,a,b\n"),
    ):
        Path("p.csv").write_text("\n".join(["gender,gender_pred,score,race", *rows[: bad - 1], broken, *rows[bad:]]) + "\n")
        began = time.process_time()
        done = cli(*words)
        assert time.process_time() - began < SECONDS
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("fairaudit: ")
        assert said in done.err
        assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "row", [*HOSTILE_TEXTS, "a/b.png", "a/../b", "..a", "a..", "c:/x", "c:x", "./", "a\\..\\b", "\\a", "a/./b"]
)
def test_a_glance_at_a_path_sees_what_a_look_sees(row: str) -> None:
    parts = row.replace("\\", "/").split("/")
    looked = parts[0] == "" or ".." in parts or set(parts) <= {"", "."} or "\0" in row or row[1:2] == ":"
    assert leaves_root(row) == looked
