"""Options of rules, rules that compare with a baseline, expected levels, attributes that must be audited."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairaudit.errors import FairauditError, UsageError
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import judge, judge_all, policy_verdict, rule_notes
from fairaudit.metrics.measure import Table
from fairaudit.metrics.numbers import Grouping, numbers_of
from fairaudit.metrics.rules import Presence, parse_requirement, parse_rule
from fairaudit.results import RuleResult, Verdict

PASS, FAIL, UNSURE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def _grouping(*shares: tuple[int, int], by: str = "race") -> Grouping:
    counts = np.array([[[x, n - x], [0, 0]] for x, n in shares], dtype=np.int64)
    groups = tuple({by: name} for name in "ABCDEFG"[: len(shares)])
    return Grouping((by,), groups, Table(counts, ("no", "yes"), 1), Comparison(0.95, 0, 20))


@pytest.mark.parametrize(
    ("options", "severity", "decide_on", "min_support"),
    [
        ("", "error", "interval", None),
        ("(warning)", "warning", "interval", None),
        (" (point, min_support 50) ", "error", "point", 50),
        ("(Warning) (min-support=7)", "warning", "interval", 7),
        ("(interval) (point, error)", "error", "interval", None),  # what is said first counts
    ],
)
def test_options(options: str, severity: str, decide_on: str, min_support: int | None) -> None:
    rule = parse_rule(f"accuracy gap by race <= 0.1 {options}")
    assert (rule.severity, rule.decide_on, rule.min_support, rule.limit) == (severity, decide_on, min_support, 0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "accuracy gap by race <= 0.1 (warnin)",
            "unknown option in the rule 'accuracy gap by race <= 0.1 (warnin)': 'warnin'; did you mean 'warning'?",
        ),
        (
            "accuracy gap by race worse_by >= 0.1",
            "the rule 'accuracy gap by race worse_by >= 0.1': worse_by is limited with <= and a number from 0 to below 1",
        ),
        (
            "accuracy ratio by race worse_by <= 0.1",
            "the rule 'accuracy ratio by race worse_by <= 0.1': worse_by compares differences, and a ratio is none; use "
            "gap, shortfall or difference",
        ),
        (
            "expected race",
            "the requirement 'expected race' cannot be read; write 'expected ATTRIBUTE: LEVEL | LEVEL' or "
            "'audited ATTRIBUTE'",
        ),
        (
            "audited race,gender",
            "the requirement 'audited race,gender' cannot be read; write 'expected ATTRIBUTE: LEVEL | LEVEL' or 'audited "
            "ATTRIBUTE'",
        ),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(FairauditError) as caught:
        parse_requirement(text)
    assert str(caught.value) == message


def test_presence_is_read() -> None:
    assert parse_requirement("expected race: East Asian | Black ") == Presence(
        "expected race: East Asian | Black", ("race",), ("East Asian", "Black")
    )
    assert parse_requirement("audited race") == Presence("audited race", ("race",), ())


def test_a_point_decides_where_an_interval_does_not() -> None:
    grouping = _grouping((90, 100), (85, 100))
    assert judge(parse_rule("accuracy gap by race <= 0.06"), grouping).verdict is UNSURE
    result = judge(parse_rule("accuracy gap by race <= 0.06 (point)"), grouping)
    assert (result.verdict, result.decided_on, result.severity) == (PASS, "point", "error")
    assert result.outcomes[0].ci_high > 0.06, "the interval is shown all the same"
    assert judge(parse_rule("accuracy gap by race <= 0.04 (point)"), grouping).verdict is FAIL
    assert judge(parse_rule("accuracy difference by race <= 0.06 (point)"), _grouping((9, 10), (9, 10))).verdict is UNSURE
    assert rule_notes([result]) == [
        "1 rule was decided on the estimate alone, as if it were the truth: chance can pass or fail it either way"
    ]


def test_a_rule_can_have_a_floor_of_its_own() -> None:
    grouping = _grouping((900, 1000), (900, 1000), (9, 10))
    assert judge(parse_rule("accuracy worst_group by race >= 0.5"), grouping).verdict is UNSURE
    assert judge(parse_rule("accuracy worst_group by race >= 0.5 (min_support 5)"), grouping).verdict is PASS
    assert judge(parse_rule("accuracy worst_group by race >= 0.5 (min_support 2000)"), grouping).verdict is UNSURE


def test_warnings_do_not_count() -> None:
    def result(verdict: Verdict, severity: str) -> RuleResult:
        return RuleResult("r", verdict, (), severity)

    assert policy_verdict([result(FAIL, "warning"), result(PASS, "error")]) is PASS
    assert policy_verdict([result(PASS, "warning"), result(UNSURE, "error")]) is UNSURE
    assert policy_verdict([result(FAIL, "warning")]) is PASS
    assert policy_verdict([result(PASS, "warning"), result(FAIL, "error")]) is FAIL
    assert policy_verdict([]) is Verdict.NONE


def test_expected_levels() -> None:
    groupings = [_grouping((90, 100), (0, 0)), _grouping((90, 100), by="gender")]
    result = judge_all([parse_requirement("expected race: a | B | Z")], groupings)[0]
    assert result.verdict is UNSURE
    assert [(dict(o.group or {}), o.verdict) for o in result.outcomes] == [
        ({"race": "a"}, PASS),
        ({"race": "B"}, UNSURE),
        ({"race": "Z"}, UNSURE),
    ]
    assert result.outcomes[2].reason == "absent: expected, and no images"
    assert judge_all([parse_requirement("expected race: A")], groupings)[0].verdict is PASS
    verdicts = [judge_all([parse_requirement(f"audited {name}")], groupings)[0] for name in ("race", "Gender", "age")]
    assert [v.verdict for v in verdicts] == [PASS, PASS, UNSURE]
    assert verdicts[2].outcomes[0].reason == "age was not audited"


BASE = _grouping((930, 1000), (900, 1000))


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (((930, 1000), (900, 1000)), UNSURE),
        (((9300, 10000), (9300, 10000)), PASS),  # it got better
        (((930, 1000), (780, 1000)), FAIL),
    ],
)
def test_worse_than_a_baseline(now: tuple[tuple[int, int], ...], verdict: Verdict) -> None:
    for kind in ("gap", "difference", "shortfall"):
        text = f"accuracy {kind} by race worse_by <= 0.02"
        assert judge(parse_rule(text), _grouping(*now), BASE).verdict is verdict, kind
    text = "accuracy worst_group by race worse_by <= 0.02"
    assert judge(parse_rule(text), _grouping(*now), BASE).verdict is verdict


def test_the_interval_of_a_change_is_mover_of_both() -> None:
    now = _grouping((930, 1000), (850, 1000))
    rule = parse_rule("accuracy gap by race worse_by <= 0.04")
    outcome = judge(rule, now, BASE).outcomes[0]
    a, b = numbers_of(parse_rule("accuracy gap by race <= 0.5"), now)[0], numbers_of(
        parse_rule("accuracy gap by race <= 0.5"), BASE)[0]  # fmt: skip
    assert outcome.value == pytest.approx(0.08 - 0.03)
    assert outcome.ci_low == pytest.approx(0.05 - math.sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2))
    assert outcome.ci_high == pytest.approx(0.05 + math.sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2))
    assert (outcome.reason or "").startswith("0.080 after 0.030 in the baseline; the interval ")
    worst = judge(parse_rule("accuracy worst_group by race worse_by <= 0.04"), now, BASE).outcomes[0]
    assert worst.value == pytest.approx(0.05)
    assert worst.ci_low < 0.05 < worst.ci_high


def test_a_group_that_the_baseline_lacks() -> None:
    rule = parse_rule("accuracy difference by race worse_by <= 0.04")
    result = judge(rule, _grouping((900, 1000), (900, 1000), (900, 1000)), BASE)
    assert result.verdict is UNSURE
    assert result.outcomes[1].reason == "the baseline does not have this group"
    with pytest.raises(UsageError) as caught:
        judge_all([rule], [BASE])
    assert str(caught.value) == (
        "the rule 'accuracy difference by race worse_by <= 0.04' compares with a baseline: judge it with fairaudit gate "
        "AUDIT --baseline audit.json"
    )


@pytest.mark.parametrize("text", ["f0.5 gap by race <= 0.1", "mcc gap by race <= 1.5", "top_3_accuracy gap by race <= 0.1"])
def test_every_kind_of_metric_can_be_limited(text: str) -> None:
    assert parse_rule(text).text == text
