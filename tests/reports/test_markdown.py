from __future__ import annotations

import re
from dataclasses import replace

from fairaudit.reports.markdown import render
from fairaudit.results import AuditResult, GroupingResult


def test_the_page(audit: AuditResult) -> None:
    lines = render(audit).splitlines()
    assert lines[:9] == [
        "## Audit of gender (Female, Male), positive Female: 912 images, 95 % intervals",
        "",
        "**✗ 1 of 2 rules fails**",
        "",
        "| verdict | rule | decided by |",
        "| --- | --- | --- |",
        "| ✗ fail | accuracy difference by race &#60;= 0.05 | Black: 0.130 [0.080, 0.180] |",
        "| ✓ pass | accuracy gap by race &#60;= 0.30 | 0.130 [0.080, 0.180] |",
        "",
    ]
    text = "\n".join(lines)
    assert "| Black | 400 | 0.820 [0.780, 0.855] | 0.800 [0.740, 0.850] | 0.100 [0.050, 0.200] |" in text
    assert "| White (reference) | 500 |" in text
    assert "| Inuit | 12 | 0.917 [0.646, 0.985] (too few) | undefined (0 positives) |" in text
    assert "| Martian | absent | absent | absent | – |" in text
    assert "| Black | accuracy | **−0.130 [−0.180, −0.080] &#42; ✗** | 400 |" in text
    assert "| Black | true_positive_rate | −0.100 [−0.170, +0.010] | 200 |" in text
    assert "&#42; p &#60; 0.05 by Holm's method, over all groups that are compared in the metric." in text
    rare = tuple(replace(d, p_holm=None) for d in audit.groupings[0].disparities)
    assert "Holm" not in render(replace(audit, groupings=(replace(audit.groupings[0], disparities=rare),)))
    assert "Largest differences from White:" in text
    assert "| disparate_impact | infinite [3.000, ∞] | Black |" in text
    assert text.endswith("- gender is perceived, not self-identified")


def test_every_table_keeps_its_columns_whatever_the_names(audit: AuditResult) -> None:
    lines = render(_renamed(audit, "a | b \\| c`|`\n| d")).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    width = 0
    for i, line in enumerate(rows):
        cells = len(re.findall(r"(?<!\\)\|", line))
        if i + 1 < len(rows) and set(rows[i + 1]) <= set("|- "):
            width = cells
        assert cells == width, line


def test_names_are_text_not_markup(audit: AuditResult) -> None:
    hostile = "<script>alert(1)</script> **b** `c` [d](http://e) @f $x$ ~~g~~ _h_ #1 www.i.com <!--"
    text = render(_renamed(audit, hostile))
    for forbidden in ("<script", "<!--", "**b**", "`c`", "[d](", "http://", "@f", "$x", "~~", "_h_", "#1 ", "www.i"):
        assert forbidden not in text, forbidden
    assert "&#60;script&#62;alert(1)&#60;/script&#62;" in text


def _renamed(audit: AuditResult, name: str) -> AuditResult:
    grouping: GroupingResult = audit.groupings[0]
    groups = tuple(replace(g, group={"race": name}) if g.n == 400 else g for g in grouping.groups)
    disparities = tuple(replace(d, group={"race": name} if d.group else None) for d in grouping.disparities)
    rules = tuple(
        replace(r, outcomes=tuple(replace(o, group={"race": name}, metric=f"f1[{name}]") for o in r.outcomes))
        for r in audit.rules
    )
    metrics = {f"f1[{name}]" if metric == "f2" else metric: e for metric, e in audit.overall.metrics.items()}
    return replace(
        audit,
        settings={**audit.settings, "target": name, "classes": [name, "b"]},
        overall=replace(audit.overall, metrics=metrics),
        groupings=(replace(grouping, groups=groups, disparities=disparities),),
        rules=rules,
        notes=(name,),
    )
