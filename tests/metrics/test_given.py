"""Rules on every level of other columns: how they are read, and who pays for judging several levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairaudit.errors import UsageError
from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.gate import find_grouping, find_levels, judge, judge_all, judge_levels
from fairaudit.metrics.measure import Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.rules import parse_requirement, parse_rule
from fairaudit.results import RuleResult, Verdict

PASS, FAIL, UNSURE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def _plain(*shares: tuple[int, int], min_support: int = 20) -> Grouping:
    """Groups of (right, images)."""
    counts = np.array([[[x, n - x], [0, 0]] for x, n in shares])
    groups = tuple({"race": name} for name in "ABCDE"[: len(shares)])
    return Grouping(("race",), groups, Table(counts, ("no", "yes"), 1), Comparison(0.95, 0, min_support))


def _level(age: str, *shares: tuple[int, int]) -> Grouping:
    return replace(_plain(*shares), given={"age": age})


def _judge(text: str, *levels: Grouping) -> RuleResult:
    return judge_levels(parse_rule(text), levels)


def test_what_a_rule_says() -> None:
    rule = parse_rule("selection_rate[dog] gap by race, gender given age , pose <= 0.1 (warning, min_support 5)")
    assert (rule.by, rule.given) == (("race", "gender"), ("age", "pose"))
    assert (rule.kind, rule.of, rule.limit, rule.severity, rule.min_support) == ("gap", "dog", 0.1, "warning", 5)
    assert parse_rule("disparate_impact by race given age >= 0.8").given == ("age",)
    worse = parse_rule("accuracy gap by race given age worse_by <= 0.02")
    assert (worse.given, worse.worse_by) == (("age",), True)
    assert parse_rule("accuracy gap by race <= 0.1").given == ()


@pytest.mark.parametrize(
    "text", ["by race given race", "by race,age given Age", "by race given age,AGE", "by race given age,"]
)
def test_a_column_stands_once(text: str) -> None:
    rule = f"accuracy gap {text} <= 0.1"
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert str(caught.value) == (
        f"the rule {rule!r} must name each column once after 'given', and none that stands after 'by'"
    )


def test_it_passes_only_if_every_level_does() -> None:
    close, open_, apart = ((2850, 3000), (2840, 3000)), ((95, 100), (90, 100)), ((950, 1000), (700, 1000))
    rule = "accuracy gap by race given age <= 0.1"
    assert _judge(rule, _level("a", *close), _level("b", *close)).verdict is PASS
    assert _judge(rule, _level("a", *close), _level("b", *open_)).verdict is UNSURE
    found = _judge(rule, _level("a", *open_), _level("b", *apart), _level("c", *close))
    assert found.verdict is FAIL
    assert [(o.given, o.group, o.verdict) for o in found.outcomes] == [
        ({"age": "a"}, None, UNSURE), ({"age": "b"}, None, FAIL), ({"age": "c"}, None, PASS),
    ]  # fmt: skip


def test_small_and_absent_levels_are_inconclusive_and_say_why() -> None:
    close = ((2850, 3000), (2840, 3000))
    found = _judge("accuracy gap by race given age <= 0.1", _level("a", *close), _level("b", (9, 10), (8, 10)),
                   _level("c", (0, 0), (0, 0)))  # fmt: skip
    assert found.verdict is UNSURE
    said = {(str(o.given), str(o.group)): o.reason for o in found.outcomes if o.verdict is UNSURE}
    assert said == {
        ("{'age': 'b'}", "None"): "undefined: no group has enough support",
        ("{'age': 'b'}", "{'race': 'A'}"): "too small: support 10 is below 20",
        ("{'age': 'b'}", "{'race': 'B'}"): "too small: support 10 is below 20",
        ("{'age': 'c'}", "None"): "absent: no images of this level",
    }


def test_the_side_that_fails_pays_for_the_levels_and_the_side_that_passes_does_not() -> None:
    shares = ((900, 1000), (800, 1000))
    alone = judge(parse_rule("accuracy gap by race <= 0.1"), _plain(*shares)).outcomes[0]
    rule = "accuracy gap by race given age <= 0.1"
    several = _judge(rule, *(_level(age, *shares) for age in "abc")).outcomes
    assert all((o.value, o.ci_high) == (alone.value, alone.ci_high) for o in several)
    p, n = np.array([0.9, 0.8]), np.array([1000.0, 1000.0])
    low = intervals.gap(p, lambda z: clopper_pearson(p * n, n, z), 0.95, joint=3).low
    assert [o.ci_low for o in several] == pytest.approx([low] * 3)
    assert low < alone.ci_low
    # a level in which nothing can be judged is no further chance to fail
    two = _judge(rule, _level("a", *shares), _level("b", *shares), _level("c", (5, 6), (5, 6)), _level("d", (0, 0), (0, 0)))
    assert two.outcomes[0].ci_low == pytest.approx(
        intervals.gap(p, lambda z: clopper_pearson(p * n, n, z), 0.95, joint=2).low
    )


def test_contrasts_of_all_levels_are_one_family() -> None:
    shares = ((900, 1000), (800, 1000), (850, 1000))
    found = _judge("accuracy difference by race given age <= 0.05", _level("a", *shares), _level("b", *shares))
    p, n = np.array([0.9, 0.8, 0.85]), np.full(3, 1000.0)
    z = intervals.sidak(2 * 2, 0.95)
    _, above = intervals.difference(p, lambda q: clopper_pearson(p * n, n, q), z, np.array([1, 2]), 0)
    assert [o.ci_low for o in found.outcomes] == pytest.approx([*-above, *-above])
    assert [o.given["age"] for o in found.outcomes if o.given is not None] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "rule",
    [
        "disparate_impact by race {} >= 0.5",
        "accuracy worst_group by race {} >= 0.75",
        "theil_index by race {} <= 0.9",
        "average_odds_difference by race {} <= 0.2",
        "accuracy spread by race {} <= 0.2",
        "accuracy min_max_ratio by race {} >= 0.7",
        "accuracy gap by race {} <= 0.2 (point)",
    ],
)
def test_every_kind_of_rule_can_be_judged_within_levels(rule: str) -> None:
    counts = np.array([[[40, 10], [9, 45]], [[50, 12], [8, 60]]])
    level = replace(_plain((1, 2), (1, 2)), table=Table(counts, ("no", "yes"), 1), given={"age": "a"})
    one = judge_levels(parse_rule(rule.format("given age")), [level])
    plain = judge(parse_rule(rule.format("")), replace(level, given=None))
    assert [replace(o, given=None) for o in one.outcomes] == [*plain.outcomes]
    assert one.verdict is plain.verdict
    both = judge_levels(parse_rule(rule.format("given age")), [level, replace(level, given={"age": "b"})])
    assert len(both.outcomes) == 2 * len(one.outcomes)


def test_who_is_asked() -> None:
    plain, levels = _plain((90, 100), (80, 100)), [_level(age, (90, 100), (80, 100)) for age in "ab"]
    everything = [plain, *levels]
    assert find_grouping(parse_rule("accuracy gap by RACE <= 0.1"), everything) is plain
    assert find_levels(parse_rule("accuracy gap by RACE given Age <= 0.1"), everything) == levels
    with pytest.raises(UsageError) as caught:
        find_levels(parse_rule("accuracy gap by race given pose <= 0.1"), everything)
    assert str(caught.value) == (
        "the rule 'accuracy gap by race given pose <= 0.1' is about race within levels of pose, which was not audited; "
        "audit the predictions with --by race --given pose"
    )
    [result] = judge_all([parse_requirement("expected race: A")], everything)
    assert result.outcomes[0].value == 100, "not counted once more for each level"


def test_worse_than_the_baseline_in_any_level() -> None:
    before = [_level("a", (900, 1000), (890, 1000)), _level("b", (900, 1000), (890, 1000))]
    after = [_level("a", (900, 1000), (890, 1000)), _level("b", (900, 1000), (700, 1000))]
    rule = parse_requirement("accuracy gap by race given age worse_by <= 0.1")
    [found] = judge_all([rule], after, before)
    assert [(o.given, o.verdict) for o in found.outcomes] == [({"age": "a"}, PASS), ({"age": "b"}, FAIL)]
    assert found.outcomes[1].value == pytest.approx(0.19)
    [lacking] = judge_all([rule], after, before[:1])
    assert [(o.given, o.verdict, o.reason) for o in lacking.outcomes][1] == (
        {"age": "b"}, UNSURE, "the baseline does not have this level",
    )  # fmt: skip
    with pytest.raises(UsageError, match="compares with a baseline"):
        judge_all([rule], after)
