from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from fairaudit.errors import UnknownNameError
from fairaudit.reports.terminal import render
from fairaudit.results import AuditResult, Estimate, GroupingResult, GroupResult, Verdict


def test_the_whole_page(audit: AuditResult) -> None:
    assert render(audit) == PAGE


PAGE = """\
Audit of gender (Female, Male), positive Female: 912 images, 95 % intervals

✗ 1 of 2 rules fails

  ✗ fail: accuracy difference by race <= 0.05
      Black: 0.130 [0.080, 0.180]
      1 contrast cannot be decided
  ✓ pass: accuracy gap by race <= 0.30
      0.130 [0.080, 0.180]

By race: 4 groups, worst accuracy first
  group                   n  accuracy                true_positive_rate
  Black                 400  0.820 [0.780, 0.855]    0.800 [0.740, 0.850]
  White (reference)     500  0.950 [0.930, 0.965]    0.900 [0.870, 0.920]
  Inuit                  12  0.917 [0.646, 0.985] †  undefined (0 positives)
  Martian            absent  absent                  absent
  all images            912  0.893 [0.871, 0.911]    0.856 [0.820, 0.885]

  group              false_positive_rate
  Black              0.100 [0.050, 0.200]
  White (reference)  0.100 [0.050, 0.200]
  Inuit              0.100 [0.050, 0.200] †
  Martian            –
  all images         0.100 [0.080, 0.120]
  † fewer than 20 images behind the number: shown, not judged

Largest differences from White
  group       metric              difference                   support
  Black       accuracy            −0.130 [−0.180, −0.080] * ✗      400
  Black       true_positive_rate  −0.100 [−0.170, +0.010]          200
  Inuit       accuracy            −0.033 [−0.300, +0.100] † ?       12
  † fewer than 20 images behind the number: shown, not judged
  a rule on this number: ✗ broken, ? cannot be decided
  * p < 0.05 by Holm's method, over all groups that are compared in the metric

Between the groups of race
  metric                         value
  accuracy         gap           0.130 [0.080, 0.180] (1) ✓
                   spread        0.065 [0.040, 0.090] (1)
                   worst: Black  0.820 [0.775, 0.860] (1)
  false_positive_  worst: White  0.100 [0.050, 0.200]
  rate
  (1) left out: 2 of 4 groups (undefined or too small)
  a rule on this number: ✓ held

Disparities with a name
  metric            value
  disparate_impact  infinite [3.000, ∞]
    Black
  acc_diff          0.130 [0.080, 0.180] (1)
  (1) left out: 2 of 4 groups (undefined or too small)

Notes
  · gender is perceived, not self-identified

1 more metric per group and every disparity: --format csv or json
"""


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_page_and_no_number_is_cut(audit: AuditResult, width: int) -> None:
    text = render(crowded(audit), width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for grouping in crowded(audit).groupings:
        for group in grouping.groups:
            for estimate in group.metrics.values():
                assert f"{estimate.value:.3f} [{estimate.ci_low:.3f}, {estimate.ci_high:.3f}]" in text


def crowded(audit: AuditResult) -> AuditResult:
    """Fourteen groups with wide names, eight metrics, all of them ruled on so that all are shown."""
    names = ("accuracy", "balanced_accuracy", "positive_predictive_value[Female]", "f1[macro]", "f2", "x", "y", "z")
    groups = tuple(
        GroupResult(
            {"race": f"Latino_Hispanic or 東アジア {i}", "gender": "Female presenting"},
            100 + i,
            {name: Estimate((50 + i) / (101 + j), 0.11, 0.99, 100 + i) for j, name in enumerate(names)},
        )
        for i in range(14)
    )
    grouping = GroupingResult(("race", "gender"), groups[3].group, "largest", 0, (), groups, ())
    overall = replace(audit.overall, metrics=dict(groups[0].metrics))
    outcomes = tuple(replace(audit.rules[0].outcomes[0], metric=name) for name in names)
    rule = replace(audit.rules[0], rule="x gap by race,gender <= 0.3", outcomes=outcomes)
    return replace(audit, overall=overall, groupings=(grouping,), rules=(rule,), verdict=Verdict.PASS)


def test_every_group_of_a_crowded_page_appears_in_every_table(audit: AuditResult) -> None:
    text = render(crowded(audit), width=120)
    assert len(re.findall(r"東アジア 13", text)) == len(re.findall(r"^  all images", text, re.MULTILINE)) > 1


def test_colour_repeats_what_signs_say(audit: AuditResult) -> None:
    plain, coloured = render(audit), render(audit, color=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_environment_does_not_change_the_text(audit: AuditResult, monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(audit)
    for name, value in (("NO_COLOR", "1"), ("FORCE_COLOR", "1"), ("COLUMNS", "33"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
        assert render(audit) == before
    assert "\x1b[1;31m" in render(audit, color=True)  # whether to colour is the caller's decision


def test_metrics_can_be_chosen(audit: AuditResult) -> None:
    text = render(audit, metrics=("false-positive-rate", "f2"))
    assert "false_positive_rate" in text
    assert "By race: 4 groups, worst false_positive_rate first" in text
    assert "0.860 [0.830, 0.880]" in text
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acuracy'; did you mean 'accuracy'\?"):
        render(audit, metrics=("acuracy",))


def test_broken_differences_are_listed_even_beyond_the_rows(audit: AuditResult) -> None:
    text = render(audit, rows=0)
    assert "−0.130 [−0.180, −0.080] * ✗" in text
    assert "and 2 smaller ones" in text


@pytest.mark.parametrize(
    ("verdicts", "rules", "sentence"),
    [
        ((), (), "– no rules: nothing was judged"),
        (("pass",), ("accuracy gap by race <= 0.05",),
         "✓ the rule passes: no disparity above 0.05 shown by this data at 95 %"),
        (("pass", "pass"), ("accuracy gap by race <= 0.05", "f1 gap by race <= 0.1"),
         "✓ all 2 rules pass: no disparity beyond their limits shown by this data at 95 %"),
        (("pass",), ("accuracy worst_group by race >= 0.85",),
         "✓ the rule passes: no disparity beyond its limit shown by this data at 95 %"),
        (("inconclusive",), ("a gap by race <= 0.05",), "? the rule cannot be decided by this data"),
        (("fail",), ("a gap by race <= 0.05",), "✗ the rule fails"),
        (("inconclusive", "pass"), ("a gap by race <= 0.05", "b gap by race <= 0.05"),
         "? 1 of 2 rules cannot be decided by this data; none fails"),
        (("fail", "inconclusive", "fail"), ("a gap by r <= 1", "b gap by r <= 1", "c gap by r <= 1"),
         "✗ 2 of 3 rules fail; 1 cannot be decided by this data"),
        (("fail", "pass"), ("a gap by r <= 1", "b gap by r <= 1"), "✗ 1 of 2 rules fails"),
    ],
)  # fmt: skip
def test_the_verdict_is_one_plain_sentence(
    audit: AuditResult, verdicts: tuple[str, ...], rules: tuple[str, ...], sentence: str
) -> None:
    judged = tuple(
        replace(audit.rules[0], rule=rule, verdict=Verdict(verdict)) for rule, verdict in zip(rules, verdicts, strict=True)
    )
    worst = next((v for v in ("fail", "inconclusive", "pass") if v in verdicts), "none")
    text = render(replace(audit, rules=judged, verdict=Verdict(worst)))
    assert text.splitlines()[2] == sentence
    assert "fair" not in text
