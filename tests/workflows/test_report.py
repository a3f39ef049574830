from __future__ import annotations

from pathlib import Path

import pytest

from fairaudit.artifacts.records import write_audit
from fairaudit.errors import ArtifactError, UnknownNameError, UsageError
from fairaudit.results import AuditResult, Estimate, Overall
from fairaudit.workflows.report import report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    metrics = {"accuracy": Estimate(0.5, 0.4, 0.6, 9)}
    write_audit(AuditResult({"target": "smiling", "confidence": 0.95}, Overall(9, metrics), ()), tmp_path / "audit.json")
    return tmp_path


def test_a_run_folder_and_its_audit_give_the_same(run: Path) -> None:
    assert report(run, "markdown") == report(run / "audit.json", "Markdown")
    assert report(run, "json") == (run / "audit.json").read_text(encoding="utf-8")
    assert report(run, "terminal", width=None, color=True) != report(run, "terminal")


def test_refusals(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown report format 'markdwon'; did you mean 'markdown'\?"):
        report(run, "markdwon")
    with pytest.raises(UsageError, match="the report format 'json' has no option 'width'; there is none to choose from"):
        report(run, "json", width=3)
    with pytest.raises(ArtifactError, match="no such file"):
        report(run / "other.json", "json")
