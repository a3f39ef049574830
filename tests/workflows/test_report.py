from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fairaudit.artifacts.records import write_audit
from fairaudit.errors import ArtifactError, UnknownNameError, UsageError
from fairaudit.reports.csv import HEADER
from fairaudit.results import AuditResult, Disparity, Estimate, GroupingResult, GroupResult, Overall
from fairaudit.workflows.report import report, write_report


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
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"empty is not a run folder: it holds none of audit\.json, mitigation\.json"):
        report(tmp_path / "empty", "json")


def test_files_are_the_text_and_parquet_is_the_table(run: Path, tmp_path: Path) -> None:
    write_report(run, "markdown", tmp_path / "new" / "audit.md")
    assert (tmp_path / "new" / "audit.md").read_text(encoding="utf-8") == report(run, "markdown")
    undefined = Estimate(math.nan, math.nan, math.nan, 0, "undefined: 0 positives")
    group = GroupResult({"race": "=A"}, 4, {"accuracy": Estimate(0.25, 0.1, 0.5, 4), "recall": undefined})
    gap = Disparity("accuracy", "gap", None, Estimate(math.inf, 1.0, math.inf, 4, "infinite: by hand"))
    below = Disparity("accuracy", "difference", {"race": "=A"}, Estimate(-0.5, -0.7, -0.2, 4), 0.01, 0.02, 0.015)
    grouping = GroupingResult(("race",), None, "largest", 0, (), (group,), (gap, below))
    write_audit(AuditResult({}, Overall(9, {"accuracy": Estimate(0.5, 0.4, 0.6, 9)}), (grouping,)), run / "audit.json")
    write_report(run, "csv", tmp_path / "audit.parquet")
    table = pq.read_table(tmp_path / "audit.parquet")
    assert table.column_names == list(HEADER)
    assert [str(table.schema.field(name).type) for name in ("n", "value", "support", "reason")] == [
        "int64", "double", "int64", "string",
    ]  # fmt: skip
    assert str(table.schema.field("p_holm").type) == "double"
    none = (None, None, None)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("", "", 9, "accuracy", "value", 0.5, 0.4, 0.6, 9, "", *none),
        ("race", "race==A", 4, "accuracy", "value", 0.25, 0.1, 0.5, 4, "", *none),
        ("race", "race==A", 4, "recall", "value", None, None, None, 0, "undefined: 0 positives", *none),
        ("race", "", None, "accuracy", "gap", math.inf, 1.0, math.inf, 4, "infinite: by hand", *none),
        ("race", "race==A", 4, "accuracy", "difference", -0.5, -0.7, -0.2, 4, "", 0.01, 0.02, 0.015),
    ]
    with pytest.raises(UsageError, match=r"x\.parquet: Parquet holds the table of every number.*--format csv"):
        write_report(run, "markdown", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()
