"""Pages beside records: which files, all of them or none, and nothing loaded that nobody asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairaudit.errors import OutputError
from fairaudit.reports._html_comparison import comparison_page
from fairaudit.workflows import pages
from fairaudit.workflows.pages import page_files, write_page
from tests.reports.records import comparison, experiment


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_page_and_its_figures_are_written_beside_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "report.html").write_text("an older one")
    write_page(experiment(), tmp_path)
    figures = [f"figures/{name}.{kind}" for name in ("curves", "tradeoff-race-gender") for kind in ("png", "svg")]
    assert below(tmp_path) == [*figures, "mine.txt", "report.html"]
    assert "max-group" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "figures/curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figures/curves.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_page_is_that_of_the_format() -> None:
    assert page_files(comparison())["report.html"] == comparison_page(comparison())


def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"report.html is a folder, but a file must be written there"):
        write_page(comparison(), tmp_path, {"comparison.json": "{}"})
    assert below(tmp_path) == []
    (tmp_path / "report.html").rmdir()

    def defect(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pages, "comparison_pictures", defect)
    with pytest.raises(ZeroDivisionError):
        write_page(comparison(), tmp_path, {"comparison.json": "{}"})
    assert below(tmp_path) == ["comparison.json"], "a defect in a figure costs no record"


def test_who_writes_no_page_loads_neither_figures_nor_templates(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = [f"{i}.jpg,{'xy'[i % 2]},{'xy'[i % 2]},{'pq'[i // 2 % 2]}" for i in range(80)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["file,t,t_pred,g", *rows]))
    code = (
        "import sys; from fairaudit.cli.app import run\n"
        "assert run(['compare', 'a.csv', 'b.csv', '--y-true', 't', '--by', 'g', '--out', 'o', '--no-report', '-q']) == 0\n"
        "print([m for m in ('matplotlib', 'jinja2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip().splitlines()[-1] == "[]"
