"""The page and the figures that audits leave in run folders, and what is loaded for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fairaudit.workflows import run_reports
from fairaudit.workflows.run_reports import described
from tests.cli.conftest import Cli, files_below

pytestmark = pytest.mark.training

WORDS = ("--y-true", "gender", "--by", "race", "--rule", "accuracy gap by race <= 0.6", "--exit-zero", "-q")


@pytest.mark.usefixtures("drawn")
def test_an_audit_leaves_a_page_and_its_figures(table: Path, cli: Cli) -> None:
    said = cli("audit", table, *WORDS, "--out", "run")
    assert (said.code, said.err) == (0, "")
    held = [name for name in files_below(Path("run")) if not name.startswith("figures/")]
    assert held == ["audit.json", "figures", "predictions.parquet", "report.html", "run.json"]
    figures = sorted(path.name for path in Path("run/figures").iterdir())
    assert [name.removesuffix(".png") for name in figures[::2]] == [name.removesuffix(".svg") for name in figures[1::2]]
    assert {"limits.svg", "forest-race-accuracy.svg", "confusion-race.png"} <= set(figures)
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert all(f'id="figure-{name.removesuffix(".png")}"' in page for name in figures[::2]), "the files are the page's"
    assert "predictions.csv, SHA-256" in page
    assert str(table.parent) not in page, "no path of a machine"
    assert cli("report", "run", "-f", "html").out == page
    assert cli("report", "run", "-f", "html", "--option", "data=the faces").out == page.replace(
        page[page.index("predictions.csv, SHA-256") : page.index("…</dd>") + 1], "the faces"
    )


@pytest.mark.usefixtures("drawn")
def test_merged_and_streamed_audits_have_pages_too(table: Path, cli: Cli) -> None:
    frame = pd.read_csv(table)
    Path("parts").mkdir()
    for i, half in enumerate((frame.iloc[::2], frame.iloc[1::2])):
        half.astype("category").to_parquet(f"parts/{i}.parquet")
    assert cli("audit", "parts", *WORDS, "--stream", "--out", "streamed").code == 0
    assert "Audit of gender" in Path("streamed/report.html").read_text(encoding="utf-8")
    for name in ("a", "b"):
        assert cli("audit", table, *WORDS, "--no-report", "--out", name).code == 0
        assert files_below(Path(name)) == ["audit.json", "predictions.parquet", "run.json"]
    assert cli("merge", "a", "b", "--out", "both", "--exit-zero", "-q").code == 0
    assert "2 audits merged: a, b" in Path("both/report.html").read_text(encoding="utf-8")
    assert cli("merge", "a", "b", "--out", "both", "--exit-zero", "-q", "--no-report").code == 0
    assert files_below(Path("both")) == ["audit.json", "run.json"], "an older page does not stay"


@pytest.mark.usefixtures("drawn")
def test_an_evaluation_names_its_model_and_its_data(evaluate: tuple[str, ...], cli: Cli) -> None:
    said = cli(*evaluate, "--limit", 14, "--by", "race", "--bootstrap", 100, "--out", "run", "-q")
    assert said.code == 0, said.err
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "<dt>Model</dt><dd>model.pt, torchvision/shufflenet_v2_x0_5, SHA-256 " in page
    assert "<dt>Data</dt><dd>fairface, 14 images</dd>" in page
    assert cli(*evaluate, "--limit", 14, "--by", "race", "--bootstrap", 100, "--out", "run", "-q", "--no-report").code == 0
    assert not Path("run/report.html").exists()


def test_a_defect_in_a_figure_costs_no_result(table: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run_reports, "report_files", defect)
    said = cli("audit", table, *WORDS, "--out", "run")
    assert said.code == 70
    assert files_below(Path("run")) == ["audit.json", "predictions.parquet", "run.json"]


def test_who_wants_no_page_loads_neither_templates_nor_figures(table: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from fairaudit.cli.app import run\n"
        f"words = ['audit', {str(table)!r}, '--y-true', 'gender', '--by', 'race', '-q']\n"
        "assert run(words) == 0 and run([*words, '--out', 'run', '--no-report']) == 0\n"
        "print([m for m in ('matplotlib', 'jinja2', 'torch') if m in sys.modules], file=sys.stderr)\n"
        "assert run([*words, '--out', 'run']) == 0\n"
        "print([m for m in ('matplotlib', 'jinja2', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.splitlines() == ["[]", "['matplotlib', 'jinja2']"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, ("", "")),
        ({"predictions": "/x/y/t.csv", "sha256": "0123456789abcdef"}, ("", "t.csv, SHA-256 01234567…")),
        ({"predictions": "/x/parts", "sha256": None}, ("", "parts")),
        ({"audits": ["runs/a", "/z/b/audit.json"]}, ("", "2 audits merged: a, b")),
        (
            {"checkpoint": {"path": "m/n.pt", "sha256": "ab" * 32}, "architecture": {"name": "timm/x", "found_by": "y"},
             "data": {"name": "utkface", "images": 5162}},
            ("n.pt, timm/x, SHA-256 abababab…", "utkface, 5,162 images"),
        ),
    ],
)  # fmt: skip
def test_runs_are_named_without_their_folders(record: dict[str, object], expected: tuple[str, str]) -> None:
    assert described(record) == expected
