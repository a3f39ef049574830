"""The gate on counts made by hand: three verdicts, who is left out, and which error rate each side pays for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.gate import Grouping, decide, find_grouping, judge, overall_verdict
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rules import parse_rule
from fairaudit.results import RuleOutcome, RuleResult, Verdict

PASS, FAIL, UNSURE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def _grouping(
    counts: Sequence[Sequence[Sequence[int]]],
    *,
    classes: tuple[str, ...] = ("no", "yes"),
    positive: int | None = 1,
    privileged: int | None = 0,
    min_support: int = 20,
) -> Grouping:
    table = Table(np.array(counts, dtype=np.int64), classes, positive)
    groups = tuple({"race": name} for name in "ABCDEFGHIJKLMNOPQRST"[: len(counts)])
    return Grouping(("race",), groups, table, Comparison(0.95, privileged, min_support))


def _right(*shares: tuple[int, int]) -> list[list[list[int]]]:
    """Groups of (right, images)."""
    return [[[x, n - x], [0, 0]] for x, n in shares]


def _judge(text: str, grouping: Grouping) -> RuleResult:
    return judge(parse_rule(text), grouping)


def _of(result: RuleResult, group: str | None) -> RuleOutcome:
    found = [o for o in result.outcomes if (None if o.group is None else o.group["race"]) == group]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("low", "high", "rule", "verdict"),
    [
        (0.01, 0.09, "accuracy gap by a <= 0.1", PASS),
        (0.01, 0.1, "accuracy gap by a <= 0.1", PASS),
        (0.01, 0.1, "accuracy gap by a < 0.1", UNSURE),
        (0.1, 0.2, "accuracy gap by a <= 0.1", UNSURE),
        (0.1, 0.2, "accuracy gap by a < 0.1", FAIL),
        (0.11, 0.2, "accuracy gap by a <= 0.1", FAIL),
        (0.8, 1.2, "disparate_impact by a >= 0.8", PASS),
        (0.8, 1.2, "disparate_impact by a > 0.8", UNSURE),
        (0.7, 1.2, "disparate_impact by a >= 0.8", UNSURE),
        (0.7, 0.8, "disparate_impact by a >= 0.8", UNSURE),
        (0.7, 0.8, "disparate_impact by a > 0.8", FAIL),
        (0.7, 0.79, "disparate_impact by a >= 0.8", FAIL),
        (2.0, math.inf, "disparate_impact by a >= 0.8", PASS),
        (2.0, math.inf, "accuracy ratio by a <= 1.25", FAIL),
        (1.0, math.inf, "accuracy ratio by a <= 1.25", UNSURE),
        (math.nan, math.nan, "accuracy gap by a <= 0.1", UNSURE),
        (0.0, math.nan, "accuracy gap by a <= 0.1", UNSURE),
    ],
)
def test_inside_outside_or_across(low: float, high: float, rule: str, verdict: Verdict) -> None:
    assert decide(low, high, parse_rule(rule)) is verdict


def test_a_fail_wins_over_doubt_and_doubt_over_a_pass() -> None:
    for chosen in itertools.product((PASS, FAIL, UNSURE), repeat=3):
        expected = FAIL if FAIL in chosen else UNSURE if UNSURE in chosen else PASS
        assert overall_verdict(chosen) is expected
    assert overall_verdict([]) is Verdict.NONE


@pytest.mark.parametrize(
    ("rule", "shares", "verdict"),
    [
        ("accuracy gap by race <= 0.05", [(950, 1000), (950, 1000)], PASS),
        ("accuracy gap by race <= 0.05", [(95, 100), (95, 100)], UNSURE),
        ("accuracy gap by race <= 0.05", [(95, 100), (60, 100)], FAIL),
        ("accuracy difference by race <= 0.05", [(950, 1000), (950, 1000)], PASS),
        ("accuracy difference by race <= 0.05", [(95, 100), (95, 100)], UNSURE),
        ("accuracy difference by race <= 0.05", [(60, 100), (95, 100)], FAIL),  # better than the privileged group
        ("accuracy shortfall by race <= 0.05", [(60, 100), (95, 100)], PASS),
        ("accuracy shortfall by race <= 0.05", [(95, 100), (60, 100)], FAIL),
        ("accuracy shortfall by race <= 0.05", [(95, 100), (93, 100)], UNSURE),
        ("error_rate shortfall by race <= 0.05", [(95, 100), (60, 100)], FAIL),
        ("error_rate shortfall by race <= 0.05", [(60, 100), (95, 100)], PASS),
        ("accuracy ratio by race >= 0.8", [(950, 1000), (900, 1000)], PASS),
        ("accuracy ratio by race >= 0.8", [(95, 100), (75, 100)], UNSURE),
        ("accuracy ratio by race >= 0.8", [(950, 1000), (500, 1000)], FAIL),
        ("accuracy ratio by race <= 1.25", [(500, 1000), (950, 1000)], FAIL),
        ("accuracy spread by race <= 0.05", [(950, 1000), (950, 1000)], PASS),
        ("accuracy spread by race <= 0.05", [(95, 100), (95, 100)], PASS),
        ("accuracy spread by race <= 0.05", [(93, 100), (86, 100)], UNSURE),
        ("accuracy spread by race <= 0.05", [(950, 1000), (500, 1000)], FAIL),
        ("accuracy worst_group by race >= 0.85", [(950, 1000), (950, 1000)], PASS),
        ("accuracy worst_group by race >= 0.85", [(950, 1000), (86, 100)], UNSURE),
        ("accuracy worst_group by race >= 0.85", [(950, 1000), (60, 100)], FAIL),
        ("error_rate worst_group by race <= 0.15", [(950, 1000), (950, 1000)], PASS),
        ("error_rate worst_group by race <= 0.15", [(950, 1000), (60, 100)], FAIL),
    ],
)
def test_three_verdicts(rule: str, shares: list[tuple[int, int]], verdict: Verdict) -> None:
    result = _judge(rule, _grouping(_right(*shares)))
    assert result.rule == rule
    assert result.verdict is verdict
    for outcome in result.outcomes:
        assert outcome.ci_low <= outcome.value + 1e-12
        assert outcome.value <= outcome.ci_high + 1e-12
        assert (outcome.reason is None) == (outcome.verdict is not UNSURE)


def test_the_golden_gap_decides() -> None:
    grouping = _grouping(_right((90, 100), (70, 100), (95, 100)))
    outcome = _of(_judge("accuracy gap by race <= 0.36", grouping), None)
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx((0.1222, 0.3553), abs=5e-5)
    for limit, verdict in ((0.1222, FAIL), (0.1223, UNSURE), (0.3553, UNSURE), (0.3554, PASS)):
        assert _judge(f"accuracy gap by race <= {limit}", grouping).verdict is verdict, limit
    said = _of(_judge("accuracy gap by race <= 0.2", grouping), None).reason
    assert said == (
        "the interval 0.122 to 0.355 contains the limit 0.2; support 100; about 600 images in each of B and C (1,000 more) "
        "would decide it if the rates stayed as they are"
    )
    two = _grouping(_right((45, 50), (30, 50)))
    outcome = _of(_judge("accuracy difference by race <= 0.2", two), "B")
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx((0.1199, 0.4625), abs=5e-5)


def test_the_side_that_fails_a_rule_pays_for_every_contrast() -> None:
    shares = [(90, 100), (75, 100), (92, 100), (93, 100)]
    grouping = _grouping(_right(*shares))
    z, s = intervals.quantile(0.95), intervals.sidak(3, 0.95)
    low_z, high_z = clopper_pearson(np.array([90.0, 75.0]), np.array([100.0, 100.0]), z)
    low_s, high_s = clopper_pearson(np.array([90.0, 75.0]), np.array([100.0, 100.0]), s)
    worse = _of(_judge("accuracy shortfall by race <= 0.1", grouping), "B")
    assert worse.ci_low == pytest.approx(0.15 - math.hypot(0.9 - low_s[0], high_s[1] - 0.75))
    assert worse.ci_high == pytest.approx(0.15 + math.hypot(high_z[0] - 0.9, 0.75 - low_z[1]))
    either = _of(_judge("accuracy difference by race <= 0.1", grouping), "B")
    assert (either.ci_low, either.ci_high) == pytest.approx((worse.ci_low, worse.ci_high))
    ratio = _of(_judge("accuracy ratio by race >= 0.8", grouping), "B")
    table = grouping.table.measure(grouping.table.resolve("accuracy", None)[0])
    assert ratio.ci_low == pytest.approx(float(intervals.ratio(table.value, table.limits, z, 1, 0)[0]))
    assert ratio.ci_high == pytest.approx(float(intervals.ratio(table.value, table.limits, s, 1, 0)[1]))
    worst = _of(_judge("accuracy worst_group by race >= 0.8", grouping), "B")
    family = intervals.sidak(4, 0.95)
    assert worst.ci_low == pytest.approx(low_z[1])
    assert worst.ci_high == pytest.approx(clopper_pearson(np.array(75.0), np.array(100.0), family)[1])


def test_groups_that_are_not_judged_do_not_widen_what_is() -> None:
    few = _grouping(_right((90, 100), (75, 100), (92, 100)))
    more = _grouping(_right((90, 100), (75, 100), (92, 100), (5, 9), (0, 0)))
    for rule in (
        "accuracy difference by race <= 0.1",
        "accuracy worst_group by race >= 0.8",
        "accuracy gap by race <= 0.1",
    ):
        for group in ("B", "C") if "gap" not in rule else (None,):
            assert _of(_judge(rule, few), group) == _of(_judge(rule, more), group)


@pytest.mark.parametrize("kind", ["gap", "difference", "shortfall", "spread", "worst_group", "ratio"])
@pytest.mark.parametrize(
    ("extra", "reason"),
    [((12, 12), "too small: support 12 is below 20"), ((0, 0), "absent: no images")],
)
def test_a_group_left_out_keeps_a_rule_from_passing(kind: str, extra: tuple[int, int], reason: str) -> None:
    limit = {"worst_group": ">= 0.8", "ratio": ">= 0.8"}.get(kind, "<= 0.2")
    text = f"accuracy {kind} by race {limit}"
    good = _right((950, 1000), (950, 1000))
    assert _judge(text, _grouping(good)).verdict is PASS
    result = _judge(text, _grouping(good + _right(extra)))
    assert result.verdict is UNSURE
    assert _of(result, "C").verdict is UNSURE
    assert _of(result, "C").reason == reason
    bad = _judge(text, _grouping(_right((950, 1000), (300, 1000), extra)))
    assert bad.verdict is FAIL
    assert _of(bad, "C").verdict is UNSURE


def test_a_small_privileged_group_leaves_every_contrast_open() -> None:
    result = _judge("accuracy difference by race <= 0.2", _grouping(_right((12, 12), (950, 1000), (300, 1000))))
    assert [o.verdict for o in result.outcomes] == [UNSURE, UNSURE]
    assert {o.reason for o in result.outcomes} == {"the privileged group is too small: support 12 is below 20"}
    assert (
        _judge("accuracy difference by race <= 0.2", _grouping(_right((12, 12), (300, 1000)), min_support=1)).verdict
        is FAIL
    )


def test_nothing_to_compare_is_inconclusive_with_the_reason() -> None:
    only = _grouping(_right((95, 100)))
    outcome = _judge("accuracy difference by race <= 0.2", only).outcomes[0]
    assert (outcome.verdict, outcome.reason) == (UNSURE, "there is only one group to compare")
    outcome = _judge("accuracy gap by race <= 0.2", only).outcomes[0]
    assert (outcome.verdict, outcome.reason) == (UNSURE, "undefined: only one group has enough support")
    empty = _grouping(_right((0, 0), (0, 0)), privileged=None)
    outcome = _judge("accuracy ratio by race >= 0.2", empty).outcomes[0]
    assert (outcome.verdict, outcome.reason) == (UNSURE, "no group has images")


def test_a_perfect_classifier_and_a_group_without_positives() -> None:
    grouping = _grouping([[[600, 0], [0, 400]], [[900, 0], [0, 0]], [[500, 0], [0, 500]]])
    for rule in ("true_positive_rate gap by race <= 0.1", "equal_opportunity_difference by race <= 0.1",
                 "equalized_odds_difference by race <= 0.1", "true_positive_rate difference by race <= 0.1",
                 "f1 worst_group by race >= 0.9"):  # fmt: skip
        result = _judge(rule, grouping)
        assert result.verdict is UNSURE, rule
        assert "undefined: 0 positives" in (_of(result, "B").reason or ""), rule
        others = [o for o in result.outcomes if o.group != {"race": "B"}]
        assert others
        assert {o.verdict for o in others} == {PASS}
    assert _judge("accuracy gap by race <= 0.1", grouping).verdict is PASS


def test_without_a_positive_class_every_class_is_judged() -> None:
    counts = [[[400, 100], [20, 480]], [[480, 20], [20, 480]]]
    grouping = _grouping(counts, positive=None)
    result = _judge("true_positive_rate gap by race <= 0.05", grouping)
    assert [o.metric for o in result.outcomes] == ["true_positive_rate[no]", "true_positive_rate[yes]"]
    assert [o.verdict for o in result.outcomes] == [FAIL, PASS]
    named = _judge("equal_opportunity_difference by race <= 0.05", grouping)
    assert [o.metric for o in named.outcomes] == ["equal_opportunity_difference[no]", "equal_opportunity_difference[yes]"]
    one = _judge("true_positive_rate[YES] gap by race <= 0.05", grouping)
    assert [o.metric for o in one.outcomes] == ["true_positive_rate[yes]"]
    assert one.verdict is PASS
    plain = _judge("true_positive_rate gap by race <= 0.05", _grouping(counts, positive=1))
    assert [o.metric for o in plain.outcomes] == ["true_positive_rate"]
    macro = _judge("f1_diff[macro] by race <= 0.2", grouping)
    assert [o.metric for o in macro.outcomes] == ["f1_diff[macro]"]


@pytest.mark.parametrize("kind", ["gap", "spread", "difference", "worst_group"])
def test_judging_every_class_costs_the_failing_side_a_little(kind: str) -> None:
    counts = [[[450, 50], [20, 480]], [[480, 20], [60, 440]]]
    limit = ">= 0.9" if kind == "worst_group" else "<= 0.05"
    both = _judge(f"true_positive_rate {kind} by race {limit}", _grouping(counts, positive=None)).outcomes
    alone = _judge(f"true_positive_rate[yes] {kind} by race {limit}", _grouping(counts, positive=None)).outcomes
    pairs = [(a, b) for a in both for b in alone if (a.metric, a.group) == (b.metric, b.group)]
    assert pairs
    for a, b in pairs:
        if kind == "worst_group":
            assert a.ci_high > b.ci_high
            assert a.ci_low == b.ci_low
        else:
            assert a.ci_low < b.ci_low
            assert a.ci_high == b.ci_high


def test_an_infinite_ratio_says_so() -> None:
    counts = [[[40, 0], [60, 0]], [[30, 10], [20, 40]], [[3, 1], [2, 4]]]
    result = _judge("disparate_impact by race >= 0.8", _grouping(counts))
    sure, small = _of(result, "B"), _of(result, "C")
    assert (sure.value, sure.ci_high, sure.verdict) == (math.inf, math.inf, PASS)
    assert sure.reason == "infinite: the privileged group's value is 0"
    assert small.value == math.inf
    assert small.reason == "infinite: the privileged group's value is 0; too small: support 10 is below 20"
    doubt = _of(_judge("disparate_impact by race >= 50", _grouping(counts)), "B")
    assert doubt.verdict is UNSURE
    assert (doubt.reason or "").startswith("infinite: the privileged group's value is 0; the interval ")


def test_worst_groups_come_first() -> None:
    grouping = _grouping(_right((90, 100), (70, 100), (95, 100), (0, 0)))
    right = [o.group for o in _judge("accuracy worst_group by race >= 0.5", grouping).outcomes]
    wrong = [o.group for o in _judge("error_rate worst_group by race <= 0.5", grouping).outcomes]
    assert right == wrong == [{"race": r} for r in "BACD"]


def test_a_grouping_is_found_whatever_the_order_and_case() -> None:
    table = Table(np.zeros((1, 2, 2), dtype=np.int64), ("a", "b"))
    groupings = [Grouping(by, (), table, Comparison(0.95, None, 20)) for by in (("race",), ("Race", "gender"))]
    assert find_grouping(parse_rule("accuracy gap by GENDER,race <= 0.1"), groupings) is groupings[1]
    assert find_grouping(parse_rule("accuracy gap by race <= 0.1"), groupings) is groupings[0]
    with pytest.raises(UnknownNameError) as caught:
        find_grouping(parse_rule("accuracy gap by age <= 0.1"), groupings)
    assert str(caught.value) == (
        "unknown grouping in the rule 'accuracy gap by age <= 0.1': 'age'; choose from race, Race,gender"
    )


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        ("f1[maybe] gap by race <= 0.1", UnknownNameError, "unknown class 'maybe'; choose from no, yes, macro"),
        ("accuracy[yes] gap by race <= 0.1", UsageError, "accuracy is of all classes; write it without [yes]"),
        ("selection_rate[macro] gap by race <= 0.1", UsageError,
         "the mean of selection_rate over classes is always 1/2; name a class"),
        ("disparate_impact[macro] by race >= 0.8", UsageError,
         "the rule 'disparate_impact[macro] by race >= 0.8': disparate_impact is of one class; name it instead of [macro]"),
    ],
)  # fmt: skip
def test_classes_that_do_not_fit(rule: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        _judge(rule, _grouping(_right((9, 10))))
    assert str(caught.value) == message
