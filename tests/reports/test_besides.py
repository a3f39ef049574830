"""Levels of other columns and wrong labels, as every format shows them: cleaned, marked, never mixed up with the rest."""

from __future__ import annotations

import math

from fairaudit.reports import csv, junit, markdown, model_card, terminal
from fairaudit.reports._rules import rule_parts, ruled
from fairaudit.reports._wording import contrast_of
from fairaudit.results import (
    AuditResult,
    Conditional,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    LabelNoise,
    Overall,
    Range,
    RuleOutcome,
    RuleResult,
    Verdict,
    grouping_text,
)

HOSTILE = "\x1b[31m<b>|evil\u202e"
GAP = Estimate(0.3, 0.21, 0.4, 90)


def _gap(estimate: Estimate) -> Disparity:
    return Disparity("accuracy", "gap", None, estimate)


def _grouping(level: str | None, gap: Estimate, **more: object) -> GroupingResult:
    groups = tuple(
        GroupResult({"race": name}, 90, {"accuracy": Estimate(value, value - 0.1, value + 0.1, 90)}, {"accuracy": 0.7})
        for name, value in (("A", 0.8), (HOSTILE, 0.5))
    )
    given = None if level is None else {HOSTILE: level}
    return GroupingResult(("race",), {"race": "A"}, "named", 0, (), groups, (_gap(gap),), given=given, **more)  # type: ignore[arg-type]


def _result() -> AuditResult:
    noise = LabelNoise(
        {"race": {"A": {"A": 1.0}}, HOSTILE: 0.02},
        (
            Range("accuracy", "gap", None, 0.3, math.nan, 0.06, 0.112),
            Range("accuracy", "difference", {"race": HOSTILE}, -0.3, -0.31, -0.4, 0.01),
        ),
    )
    rule = f"accuracy gap by race given {HOSTILE} <= 0.2"
    outcomes = (
        RuleOutcome("accuracy", None, 0.3, 0.21, 0.4, Verdict.FAIL, given={HOSTILE: "x"}),
        RuleOutcome("accuracy", {"race": HOSTILE}, math.nan, math.nan, math.nan, Verdict.INCONCLUSIVE, "too small",
                    given={HOSTILE: HOSTILE}),
    )  # fmt: skip
    mean = Conditional(
        ("race",), (HOSTILE,),
        (_gap(Estimate(0.25, 0.1, 0.3, 90)), Disparity("accuracy", "difference", {"race": HOSTILE}, GAP)),
    )  # fmt: skip
    return AuditResult(
        {"target": "t", "classes": ["a", "b"], "positive": None, "confidence": 0.95, "min_support": 20},
        Overall(180, {"accuracy": Estimate(0.65, 0.5, 0.7, 180)}),
        (
            _grouping(None, Estimate(0.11, 0.05, 0.2, 90), label_noise=noise),
            _grouping("x", GAP),
            _grouping(HOSTILE, Estimate(math.nan, math.nan, math.nan, 0, "undefined: no group has enough support")),
        ),
        (RuleResult(rule, Verdict.FAIL, outcomes),),
        Verdict.FAIL,
        conditional=(mean,),
    )


def test_names_are_cleaned_and_lines_fit() -> None:
    shown = terminal.render(_result())
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    text = " ".join(shown.split())
    assert "Within levels of <b>|evil: gap between the groups of race" in text
    assert "x 180 0.300 [0.210, 0.400] ✗" in text
    assert "mean over levels 360 0.250 [0.100, 0.300]" in text
    assert "Mean difference from A over levels of <b>|evil" in text
    assert "If 2 % of <b>|evil labels were wrong and race labels were wrong as the error matrix says" in text
    assert "accuracy gap 0.300 – 0.060 to 0.112" in text
    page = markdown.render(_result())
    assert "<b>" not in page
    assert "\u202e" not in page


def test_levels_are_no_groupings_of_their_own_in_a_page() -> None:
    shown, page = terminal.render(_result()), markdown.render(_result())
    assert shown.count("By race: ") == page.count("### By race") == 1
    assert model_card.render(_result()).count("### By race") == 1
    assert "0.110 [0.050, 0.200] ✗" not in shown, "the mark is on the level's gap only"


def test_marks_know_their_level() -> None:
    result = _result()
    assert ruled(result, ("race",), "gap") == {}
    assert ruled(result, ("race",), "gap", given={HOSTILE: "x"}) == {("accuracy", ""): (Verdict.FAIL, "<= 0.2")}


def test_a_rule_in_parts() -> None:
    parts = rule_parts("accuracy gap by race,gender given age, pose <= 0.2 (point)")
    assert parts is not None
    assert (parts.kind, parts.by, parts.given, parts.operator, parts.limit) == (
        "gap", ("race", "gender"), ("age", "pose"), "<=", "0.2",
    )  # fmt: skip
    plain = rule_parts("acc_diff by race <= 0.2")
    assert plain is not None
    assert (plain.kind, plain.by, plain.given) == (None, ("race",), ())


def test_whose_contrast_it_is() -> None:
    outcome = RuleOutcome("accuracy", {"race": "A"}, 0.1, 0.0, 0.2, Verdict.PASS, given={"age": "20-29", "pose": "side"})
    assert contrast_of(outcome) == "A, age 20-29, pose side"
    cases = junit.render(_result())
    assert "accuracy, &lt;b&gt;|evil x" in cases


def test_the_long_table_says_which_level() -> None:
    rows = [*csv.rows(_result())]
    assert {row[0] for row in rows} == {"", "race", f"race given {HOSTILE}=x", f"race given {HOSTILE}={HOSTILE}",
                                        f"race given {HOSTILE}"}  # fmt: skip
    assert sum(row[4] == "shrunk" for row in rows) == 6
    assert grouping_text(_result().groupings[1]) == f"race given {HOSTILE}=x"
