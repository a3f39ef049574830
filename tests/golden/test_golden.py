"""A golden run: one frozen table of predictions gives the same bytes of audit.json, JUnit and Markdown, everywhere, always.

A change of these files is a change of what every user's audits say. Where it is meant, write them anew and read the diff:

    FAIRAUDIT_REGENERATE=1 pytest tests/golden
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from fairaudit.cli.app import run

HERE = Path(__file__).parent
WORDS = (
    "--y-true", "gender", "--y-score", "score", "--positive", "Female",
    "--by", "race", "--privileged", "race=White", "--bootstrap", "200", "--seed", "7",
    "--policy", str(HERE / "policy.toml"),
)  # fmt: skip
FILES = {"audit.json": "json", "audit.xml": "junit", "audit.md": "markdown"}


def fairaudit(*words: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the frozen table; its rules fail, pass, warn and stay open."""
    folder = tmp_path_factory.mktemp("golden") / "run"
    code, _, err = fairaudit("audit", HERE / "predictions.csv", *WORDS, "--out", folder)
    assert code == 1, err
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_bytes_are_those_of_before(name: str, stored: Path, tmp_path: Path) -> None:
    code, _, err = fairaudit("report", stored, "--format", FILES[name], "--out", tmp_path / name, "--quiet")
    assert (code, err) == (0, "")
    found = (tmp_path / name).read_bytes()
    if os.environ.get("FAIRAUDIT_REGENERATE") == "1":
        (HERE / name).write_bytes(found)
    assert (HERE / name).read_bytes() == found, f"{name} differs: FAIRAUDIT_REGENERATE=1 writes it anew, if this is meant"


def test_neither_the_way_nor_the_order_of_the_rows_matters(stored: Path, tmp_path: Path) -> None:
    golden = (HERE / "audit.json").read_text(encoding="utf-8")
    assert (stored / "audit.json").read_text(encoding="utf-8") == golden
    code, printed, _ = fairaudit("audit", HERE / "predictions.csv", *WORDS, "--format", "json")
    assert (code, printed) == (1, golden)
    head, *rows = (HERE / "predictions.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "reversed.csv").write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    code, printed, _ = fairaudit("audit", tmp_path / "reversed.csv", *WORDS, "--format", "json")
    assert (code, printed) == (1, golden)


def test_the_run_has_every_ending(stored: Path) -> None:
    markdown = (HERE / "audit.md").read_text(encoding="utf-8")
    assert {verdict for verdict in ("✗ fail", "? inconclusive", "✓ pass") if f"| {verdict} |" in markdown} == {
        "✗ fail", "? inconclusive", "✓ pass",
    }  # fmt: skip
    for words in ("<failure ", "<error ", "<system-out>warning, "):
        assert words in (HERE / "audit.xml").read_text(encoding="utf-8")
    assert "undefined" in markdown
