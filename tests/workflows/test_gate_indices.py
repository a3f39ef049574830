"""Rules on indices and on the kinds over groups: judged as listed, by hand where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import AuditResult, Disparity, RuleResult, Verdict
from fairaudit.workflows.audit import audit
from fairaudit.workflows.gate import gate
from fairaudit.workflows.plan import plan_audit


def _predictions(n: int = 900, worse: float = 0.0) -> Predictions:
    rng = np.random.default_rng(7)
    race = np.repeat(np.arange(3), n // 3)
    y_true = (rng.random(n) < np.array([0.8, 0.5, 0.2])[race]).astype(np.int64)
    right = rng.random(n) < np.array([0.95, 0.85, 0.7 - worse])[race]
    task = Task(("no", "yes"), y_true, np.where(right, y_true, 1 - y_true))
    rows = np.array([str(i) for i in range(n)], dtype=object)
    return Predictions(rows, {"y": task}, {"race": Column(race, ("a", "b", "c"))})


def _audited(*rules: str, predictions: Predictions | None = None, min_support: int = 20) -> AuditResult:
    settings = AuditSettings(by=(("race",),), rules=rules, positive="yes", min_support=min_support)
    return audit(predictions or _predictions(), settings)


def _listed(result: AuditResult, metric: str, kind: str | None) -> list[Disparity]:
    return [d for d in result.groupings[0].disparities if (d.metric, d.kind) == (metric, kind)]


def _one(result: AuditResult) -> RuleResult:
    [rule] = result.rules
    return rule


@pytest.mark.parametrize(
    ("metric", "kind", "operator"),
    [
        ("demographic_parity_ratio", None, ">="),
        ("equalized_odds_ratio", None, ">="),
        ("equalized_odds_average_gap", None, "<="),
        ("differential_fairness", None, "<="),
        ("generalized_entropy_index", None, "<="),
        ("theil_index", None, "<="),
        ("coefficient_of_variation", None, "<="),
        ("between_group_generalized_entropy_index", None, "<="),
        ("between_group_theil_index", None, "<="),
        ("accuracy", "min_max_ratio", ">="),
        ("accuracy", "pairwise_mean", "<="),
    ],
)
def test_what_is_of_all_groups_is_judged_as_it_is_listed(metric: str, kind: str | None, operator: str) -> None:
    [listed] = _listed(_audited(), metric, kind)
    e = listed.estimate
    assert e.ci_low < e.value < e.ci_high
    middle = e.value * 1.0001
    margin = 0.5 * (e.ci_high - e.ci_low)
    pass_at, fail_at = e.ci_high + margin, max(e.ci_low * 0.5, 1e-9)
    if operator == ">=":
        pass_at, fail_at = max(e.ci_low * 0.5, 1e-9), min(e.ci_high + margin, (1 + e.ci_high) / 2)
    name = f"{metric} {kind or ''} by race {operator} "
    for limit, verdict in ((middle, Verdict.INCONCLUSIVE), (pass_at, Verdict.PASS), (fail_at, Verdict.FAIL)):
        rule = _one(_audited(f"{name}{limit}"))
        [outcome] = rule.outcomes
        assert (outcome.value, outcome.ci_low, outcome.ci_high) == pytest.approx((e.value, e.ci_low, e.ci_high))
        assert (rule.verdict, outcome.group) == (verdict, None)


def test_average_odds_are_judged_by_absolute_value() -> None:
    result = _audited("average_odds_difference by race <= 0.03 (point)", "average_abs_odds_difference by race <= 0.03")
    signed, absolute = result.rules
    listed = _listed(result, "average_odds_difference", None)
    assert [o.group for o in signed.outcomes] == [d.group for d in listed]
    assert [o.value for o in signed.outcomes] == [abs(d.estimate.value) for d in listed]
    # The side that could prove a failure holds for both groups at once; the other is not corrected.
    for outcome, disparity in zip(absolute.outcomes, _listed(result, "average_abs_odds_difference", None), strict=True):
        assert outcome.ci_low == pytest.approx(disparity.estimate.ci_low)
        assert outcome.value < outcome.ci_high < disparity.estimate.ci_high
    assert absolute.verdict is Verdict.FAIL


def test_a_group_that_is_too_small_keeps_the_rule_from_passing() -> None:
    rules = [
        "demographic_parity_ratio by race >= 0.01",
        "between_group_theil_index by race <= 5",
        "differential_fairness by race <= 50",
        "accuracy min_max_ratio by race >= 0.01",
        "average_odds_difference by race <= 0.999",
    ]
    few = np.arange(900) % 300 < np.array([300, 300, 10])[np.repeat(np.arange(3), 300)]
    result = _audited(*rules, predictions=_predictions().take(few))
    for rule in result.rules:
        assert rule.verdict is Verdict.INCONCLUSIVE
        [small] = [o for o in rule.outcomes if o.group == {"race": "c"}]
        assert (small.reason or "").startswith("too small: support ")
    # The index of all images has no groups to leave out.
    assert _one(_audited("theil_index by race <= 5", predictions=_predictions().take(few))).verdict is Verdict.PASS


def test_a_class_that_one_group_is_never_called_makes_it_infinite() -> None:
    p = _predictions()
    task = p.tasks["y"]
    called = np.where(p.attributes["race"].codes == 2, 0, task.y_pred)
    never = Predictions(p.rows, {"y": Task(task.classes, task.y_true, called)}, p.attributes)
    rule = _one(_audited("differential_fairness by race <= 1", predictions=never))
    assert rule.verdict is Verdict.FAIL
    assert math.isinf(rule.outcomes[0].value)
    rules = ["differential_fairness by race worse_by <= 1"]
    [worse] = gate(_audited(predictions=never), rules, baseline=_audited()).rules
    assert (worse.verdict, worse.outcomes[0].reason) == (
        Verdict.INCONCLUSIVE,
        "infinite here or in the baseline, which have no difference",
    )


def test_an_index_is_compared_with_a_baseline() -> None:
    now, before = _audited(predictions=_predictions(worse=0.3)), _audited()
    [outcome] = gate(now, ["theil_index by race worse_by <= 0.01"], baseline=before).rules[0].outcomes
    values = [_listed(r, "theil_index", None)[0].estimate.value for r in (now, before)]
    assert outcome.value == pytest.approx(values[0] - values[1])
    assert outcome.verdict is Verdict.FAIL


def test_without_a_class_every_class_must_hold() -> None:
    settings = AuditSettings(by=(("race",),), rules=("theil_index by race <= 0.2",))
    rule = _one(audit(_predictions(), settings))
    assert [o.metric for o in rule.outcomes] == ["theil_index[no]", "theil_index[yes]"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("differential_fairness[yes] by race <= 1", "differential_fairness is of all classes; write it without [yes]"),
        ("theil_index[macro] by race <= 1", "theil_index has no macro over classes; name a class"),
        ("theil_index[maybe] by race <= 1", "unknown class 'maybe'; choose from no, yes, macro"),
    ],
)
def test_classes_that_an_index_does_not_have(rule: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _audited(rule)
    assert str(caught.value) == message


@pytest.mark.parametrize("rule", ["theil_index by race <= 1", "accuracy pairwise_mean by race <= 0.1"])
def test_what_cannot_be_planned_says_so(rule: str) -> None:
    with pytest.raises(UsageError, match="cannot be planned"):
        plan_audit(_audited(), [rule])
