"""The rule language: what it understands, and what it refuses in one sentence."""

from __future__ import annotations

import pytest

from fairaudit.errors import FairauditError, UnknownNameError, UsageError
from fairaudit.metrics.disparity import KINDS, NAMED
from fairaudit.metrics.indices import INDICES
from fairaudit.metrics.rates import ALIASES, RATES, Direction
from fairaudit.metrics.rules import GRAMMAR, parse_rule


@pytest.mark.parametrize(
    ("text", "metric", "of", "kind", "by", "operator", "limit"),
    [
        ("accuracy gap by race <= 0.10", "accuracy", None, "gap", ("race",), "<=", 0.1),
        ("  Accuracy   GAP by  race<0.1 ", "accuracy", None, "gap", ("race",), "<", 0.1),
        (
            "true_positive_rate[East Asian] difference by race <= .05",
            "true_positive_rate", "East Asian", "difference", ("race",), "<=", 0.05,
        ),
        ("TPR [Black] Shortfall by race <= 5e-2", "true_positive_rate", "Black", "shortfall", ("race",), "<=", 0.05),
        ("recall[macro] spread by race <= 0.1", "true_positive_rate", "macro", "spread", ("race",), "<=", 0.1),
        ("f1_score[a-b] ratio by x >= 0.8", "f1", "a-b", "ratio", ("x",), ">=", 0.8),
        ("f1 ratio by x <= 1.25", "f1", None, "ratio", ("x",), "<=", 1.25),
        ("disparate-impact by race >= 0.8", "disparate_impact", None, "ratio", ("race",), ">=", 0.8),
        ("Disparate_Impact[Female] by race > 0.8", "disparate_impact", "Female", "ratio", ("race",), ">", 0.8),
        ("equalized_odds_difference by race <= 0.1", "equalized_odds_difference", None, "gap", ("race",), "<=", 0.1),
        ("accuracy Worst-Group by race,gender >= 0.85", "accuracy", None, "worst_group", ("race", "gender"), ">=", 0.85),
        (
            "balanced_accuracy gap by hair color , age group <= 0.1",
            "balanced_accuracy", None, "gap", ("hair color", "age group"), "<=", 0.1,
        ),
        ("error_rate worst_group by by <= 0.1", "error_rate", None, "worst_group", ("by",), "<=", 0.1),
        ("fpr worst_group by race < 0.1", "false_positive_rate", None, "worst_group", ("race",), "<", 0.1),
        ("accuracy shortfall by race <= -0.1", "accuracy", None, "shortfall", ("race",), "<=", -0.1),
        ("accuracy gap by race <= 0", "accuracy", None, "gap", ("race",), "<=", 0.0),
        ("accuracy worst_group by race >= 1", "accuracy", None, "worst_group", ("race",), ">=", 1.0),
        ("accuracy min-max-ratio by race >= 0.8", "accuracy", None, "min_max_ratio", ("race",), ">=", 0.8),
        ("mcc pairwise_mean by race <= 0.1", "mcc", None, "pairwise_mean", ("race",), "<=", 0.1),
        ("Demographic-Parity-Ratio by race >= .5", "demographic_parity_ratio", None, "index", ("race",), ">=", 0.5),
        ("theil_index[b] by x <= 3", "theil_index", "b", "index", ("x",), "<=", 3.0),
    ],
)  # fmt: skip
def test_rules_that_are_understood(
    text: str, metric: str, of: str | None, kind: str, by: tuple[str, ...], operator: str, limit: float
) -> None:
    rule = parse_rule(text)
    found = (rule.metric, rule.of, rule.kind, rule.by, rule.operator, rule.limit)
    assert found == (metric, of, kind, by, operator, limit)
    assert rule.text == text.strip()
    assert rule.named == (metric in NAMED)


@pytest.mark.parametrize("metric", [*RATES, "balanced_accuracy", *ALIASES])
@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_and_kind_parses_on_one_side_only(metric: str, kind: str) -> None:
    accepted = 0
    for side in ("<=", ">="):
        try:
            rule = parse_rule(f"{metric} {kind} by a {side} 0.3")
        except UsageError:
            continue
        accepted += 1
        assert rule.kind == kind
    rate = RATES.get(ALIASES.get(metric, metric))
    aimless = rate is not None and rate.direction is Direction.NONE and kind in ("worst_group", "shortfall")
    assert accepted == (0 if aimless else 2 if kind == "ratio" else 1)


UNREADABLE = [
    "", "   ", "accuracy", "accuracy gap race <= 0.1", "accuracy gap by race = 0.1", "accuracy gap by race == 0.1",
    "accuracy gap by race => 0.1", "accuracy gap by <= 0.1", "accuracy gap by race <= 0.1 or so", "accuracy gap by race <=",
    "accuracy[Female gap by race <= 0.1", "tpr[a]gap by race <= 0.1", "tpr[] gap by race <= 0.1", "1 gap by race <= 0.1",
    "accuracy gap by race <= 0.1; accuracy gap by sex <= 0.1", "accuracy gap gap by race <= 0.1",
]  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text)
    assert str(caught.value) == f"the rule {text!r} cannot be read; write {GRAMMAR}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "acuracy gap by race <= 0.1",
            "unknown metric in the rule 'acuracy gap by race <= 0.1': 'acuracy'; did you mean 'accuracy'?",
        ),
        (
            "accuracy gapp by race <= 0.1",
            "unknown kind of comparison in the rule 'accuracy gapp by race <= 0.1': 'gapp'; did you mean 'gap'?",
        ),
        (
            "accuracy by race <= 0.1",
            "the rule 'accuracy by race <= 0.1' does not say how groups are compared; after accuracy write one of "
            "difference, shortfall, ratio, gap, spread, worst_group, min_max_ratio, pairwise_mean",
        ),
        (
            "disparate_impact ratio by race >= 0.8",
            "the rule 'disparate_impact ratio by race >= 0.8': disparate_impact is a disparity itself; write it without "
            "'ratio'",
        ),
        (
            "accuracy gap by race <= ten",
            "the rule 'accuracy gap by race <= ten' has the limit 'ten', which is not a number",
        ),
        (
            "accuracy gap by race <= 10%",
            "the rule 'accuracy gap by race <= 10%' has the limit '10%', which is not a number",
        ),
        (
            "accuracy gap by race <= nan",
            "the rule 'accuracy gap by race <= nan' has the limit nan, which nothing can be compared with; give a finite "
            "number",
        ),
        (
            "accuracy ratio by race >= -inf",
            "the rule 'accuracy ratio by race >= -inf' has the limit -inf, which nothing can be compared with; give a "
            "finite number",
        ),
        (
            "accuracy gap by race <= 1e999",
            "the rule 'accuracy gap by race <= 1e999' has the limit inf, which nothing can be compared with; give a finite "
            "number",
        ),
        (
            "accuracy gap by race, <= 0.1",
            "the rule 'accuracy gap by race, <= 0.1' must name each attribute once after 'by'",
        ),
        (
            "accuracy gap by race,race <= 0.1",
            "the rule 'accuracy gap by race,race <= 0.1' must name each attribute once after 'by'",
        ),
        (
            "accuracy gap by race >= 0.1",
            "the rule 'accuracy gap by race >= 0.1' would be met by large disparities; a gap is limited with <=",
        ),
        (
            "demographic_parity_difference by race > 0.1",
            "the rule 'demographic_parity_difference by race > 0.1' would be met by large disparities; a gap is limited "
            "with <=",
        ),
        (
            "accuracy worst_group by race <= 0.9",
            "the rule 'accuracy worst_group by race <= 0.9' would be met by bad models: accuracy should be high, so the "
            "worst group is limited with >=",
        ),
        (
            "error_rate worst_group by race >= 0.1",
            "the rule 'error_rate worst_group by race >= 0.1' would be met by bad models: error_rate should be low, so the "
            "worst group is limited with <=",
        ),
        (
            "selection_rate shortfall by race <= 0.1",
            "the rule 'selection_rate shortfall by race <= 0.1': selection_rate has no better direction, so shortfall says "
            "nothing; use gap, difference or ratio",
        ),
    ],
)
def test_refusals_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(FairauditError) as caught:
        parse_rule(text)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", INDICES)
def test_every_index_is_limited_on_one_side_only(name: str) -> None:
    good, bad = (">=", "<=") if name.endswith("_ratio") else ("<=", ">=")
    rule = parse_rule(f"{name} by race {good} 0.5")
    assert (rule.metric, rule.kind, rule.named) == (name, "index", False)
    with pytest.raises(UsageError) as caught:
        parse_rule(f"{name} by race {bad} 0.5")
    assert str(caught.value).endswith(f" would be met by large disparities; {name} is limited with {good}")
    with pytest.raises(UsageError) as caught:
        parse_rule(f"{name} gap by race {good} 0.5")
    assert str(caught.value).endswith(f"{name} is a disparity itself; write it without 'gap'")


@pytest.mark.parametrize("ratio", ["accuracy min_max_ratio", "equalized_odds_ratio"])
def test_ratios_are_not_compared_with_a_baseline(ratio: str) -> None:
    with pytest.raises(UsageError, match="worse_by compares differences, and a ratio is none"):
        parse_rule(f"{ratio} by race worse_by <= 0.1")


@pytest.mark.parametrize(
    ("rule", "range_"),
    [
        ("accuracy gap by race <= 1", "a gap lies from 0 to 1"),
        ("accuracy gap by race <= -0.1", "a gap lies from 0 to 1"),
        ("accuracy gap by race < 0", "a gap lies from 0 to 1"),
        ("accuracy difference by race <= 1.5", "a difference lies from 0 to 1"),
        ("accuracy spread by race <= 0.5", "a spread lies from 0 to 0.5"),
        ("accuracy spread by race <= 0.7", "a spread lies from 0 to 0.5"),
        ("accuracy worst_group by race >= 0", "a worst_group lies from 0 to 1"),
        ("accuracy worst_group by race > 1", "a worst_group lies from 0 to 1"),
        ("accuracy worst_group by race >= 85", "a worst_group lies from 0 to 1"),
        ("error_rate worst_group by race <= 1", "a worst_group lies from 0 to 1"),
        ("disparate_impact by race >= -1", "a ratio lies from 0 up"),
        ("disparate_impact by race >= 0", "a ratio lies from 0 up"),
        ("accuracy ratio by race < 0", "a ratio lies from 0 up"),
        ("accuracy shortfall by race <= 1", "a shortfall lies from -1 to 1"),
        ("accuracy shortfall by race < -1", "a shortfall lies from -1 to 1"),
        ("accuracy min_max_ratio by race > 1", "a min_max_ratio lies from 0 to 1"),
        ("accuracy pairwise_mean by race <= 1", "a pairwise_mean lies from 0 to 1"),
        ("equalized_odds_ratio by race >= 0", "equalized_odds_ratio lies from 0 to 1"),
        ("average_odds_difference by race <= -0.1", "average_odds_difference lies from 0 to 1"),
        ("differential_fairness by race < 0", "differential_fairness lies from 0 up"),
    ],
)
def test_limits_that_decide_nothing(rule: str, range_: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert str(caught.value) == f"the rule {rule!r} can never decide anything: {range_}"


def test_a_metric_with_no_near_name_lists_them() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_rule("xyzzy gap by race <= 0.1")
    assert "; choose from accuracy, error_rate, precision," in str(caught.value)
