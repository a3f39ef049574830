from __future__ import annotations

import csv
import io
from dataclasses import replace

from fairaudit.reports.csv import HEADER, render
from fairaudit.results import AuditResult


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_number_has_a_row(audit: AuditResult) -> None:
    found = rows(render(audit))
    grouping = audit.groupings[0]
    expected = len(audit.overall.metrics) + sum(len(g.metrics) for g in grouping.groups) + len(grouping.disparities)
    assert len(found) == expected
    assert tuple(found[0]) == HEADER
    assert found[0] == {
        "by": "", "group": "", "n": "912", "metric": "accuracy", "kind": "value",
        "value": "0.893", "ci_low": "0.871", "ci_high": "0.911", "support": "912", "reason": "",
        "p_value": "", "p_holm": "", "p_bh": "",
    }  # fmt: skip
    undefined = next(r for r in found if r["reason"] == "undefined: 0 positives")
    assert (undefined["group"], undefined["value"], undefined["support"]) == ("race=Inuit", "", "0")
    infinite = next(r for r in found if r["metric"] == "disparate_impact")
    assert (infinite["kind"], infinite["value"], infinite["ci_low"], infinite["n"]) == ("disparity", "inf", "3.0", "400")
    difference = next(r for r in found if r["kind"] == "difference")
    assert difference["value"] == "-0.13"  # a negative number is a number, not a formula
    assert (difference["p_value"], difference["p_holm"], difference["p_bh"]) == ("4e-07", "8e-07", "8e-07")
    assert all(r["p_value"] == "" for r in found if r["kind"] != "difference")


def test_no_cell_is_a_formula(audit: AuditResult) -> None:
    metrics = {f"{start}cmd()": e for start, e in zip("=+-@", audit.overall.metrics.values(), strict=True)}
    grouping = replace(audit.groupings[0], by=("=1+1", "\tb"))
    text = render(replace(audit, overall=replace(audit.overall, metrics=metrics), groupings=(grouping,)))
    found = rows(text)
    assert [r["metric"] for r in found[:4]] == ["'=cmd()", "'+cmd()", "'-cmd()", "'@cmd()"]
    assert found[4]["by"] == "'=1+1,\tb"
