"""One engine: rules on a stored audit get the verdicts that the audit itself gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from fairaudit.config import AuditSettings
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import AuditResult, Verdict, from_record, to_json
from fairaudit.workflows.audit import audit, stored_groupings
from fairaudit.workflows.gate import gate

CLASSES = ("cat", "dog", "East Asian")
RULES = [
    "accuracy gap by race <= 0.10",
    "accuracy gap by race,gender <= 0.4",
    "accuracy difference by race <= 0.10",
    "accuracy shortfall by race,gender <= 0.10",
    "accuracy ratio by race >= 0.8",
    "accuracy spread by gender <= 0.10",
    "accuracy worst_group by gender,race >= 0.2",
    "error_rate worst_group by race <= 0.9",
    "balanced_accuracy gap by gender <= 0.5",
    "true_positive_rate[east asian] difference by race <= 0.05",
    "true_positive_rate gap by race <= 0.9",
    "precision[macro] spread by race <= 0.4",
    "f1[dog] gap by gender <= 0.3",
    "f2[macro] worst_group by gender >= 0.1",
    "false_positive_rate[macro] gap by race <= 0.5",
    "disparate_impact by race >= 0.3",
    "disparate_impact[dog] by gender >= 0.3",
    "demographic_parity_difference by race <= 0.5",
    "equal_opportunity_difference[cat] by gender <= 0.5",
    "equalized_odds_difference[cat] by gender <= 0.3",
    "acc_diff by race <= 0.4",
    "f1_diff[macro] by gender <= 0.4",
    "accuracy min_max_ratio by gender >= 0.5",
    "selection_rate[dog] min_max_ratio by race >= 0.4",
    "accuracy pairwise_mean by race <= 0.05",
    "demographic_parity_ratio[dog] by gender >= 0.5",
    "equalized_odds_ratio[dog] by race >= 0.05",
    "average_odds_difference by gender <= 0.3",
    "average_odds_difference[dog] by race <= 0.02",
    "average_abs_odds_difference by race <= 0.1",
    "equalized_odds_average_gap[dog] by gender <= 0.4",
    "differential_fairness by gender <= 0.8",
    "generalized_entropy_index by gender <= 0.5",
    "theil_index[East Asian] by race <= 0.2",
    "coefficient_of_variation[dog] by gender <= 0.2",
    "between_group_generalized_entropy_index[dog] by gender <= 0.05",
    "between_group_theil_index by race <= 0.0001",
]


def _predictions() -> Predictions:
    rng = np.random.default_rng(4)
    n = 600
    race = rng.choice(4, size=n, p=[0.6, 0.3, 0.07, 0.03])  # the last of five levels is absent
    y_true = rng.integers(0, 3, n)
    right = rng.random(n) < np.array([0.9, 0.8, 0.5, 0.4, 0.0])[race]
    y_pred = np.where(right, y_true, rng.integers(0, 3, n))
    columns = {
        "race": Column(race, ("a", "b", "c", "d", "e")),
        "gender": Column.of(rng.choice(["f", "m"], n).tolist()),
    }
    rows = np.array([f"{i}" for i in range(n)], dtype=object)
    return Predictions(rows, {"animal": Task(CLASSES, y_true, y_pred)}, columns)


@cache
def _audited(positive: str | None = None, rules: tuple[str, ...] = tuple(RULES)) -> AuditResult:
    values = {"by": (("race",), ("gender",), ("race", "gender")), "rules": rules, "positive": positive}
    return audit(_predictions(), AuditSettings.model_validate(values))


def _stored(result: AuditResult) -> AuditResult:
    return from_record(json.loads(to_json(result)))


@pytest.mark.parametrize("positive", [None, "dog"])
def test_the_same_rules_get_the_same_verdicts(positive: str | None) -> None:
    result = _audited(positive)
    assert {r.verdict for r in result.rules} == {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE}
    bare = _stored(_audited(positive, ()))
    assert bare.verdict is Verdict.NONE
    judged = gate(bare, [r.rule for r in result.rules])
    assert to_json(judged) == to_json(result)
    again = gate(_stored(result), ())
    assert to_json(again) == to_json(result)
    for one in result.rules[::5]:
        assert gate(bare, [one.rule]).rules == (one,)


def _photographed(pictures: int) -> Predictions:
    """The same images, of people with so many pictures each, of which the first decides whether all are right."""
    whole = _predictions()
    who = np.arange(len(whole)) // pictures
    task = whole.tasks["animal"]
    first = who * pictures
    y_pred = np.where((task.y_true == task.y_pred)[first], task.y_true, (task.y_true + 1) % 3)
    names = tuple(f"person {i}" for i in range(int(who.max()) + 1))
    return replace(whole, tasks={"animal": replace(task, y_pred=y_pred)}, identity=Column(who, names))


SETTINGS = {"by": (("race",), ("gender",), ("race", "gender")), "rules": tuple(RULES)}


def test_the_same_rules_get_the_same_verdicts_where_people_are_on_several_images() -> None:
    predictions = _photographed(4)
    result = audit(predictions, AuditSettings.model_validate(SETTINGS))
    bare = _stored(audit(predictions, AuditSettings.model_validate({**SETTINGS, "rules": ()})))
    assert to_json(gate(bare, RULES)) == to_json(result)
    clusters = bare.groupings[1].clusters
    assert clusters is not None
    assert sum(clusters.people) >= 150
    assert max(row[0] for row in clusters.design_effects["accuracy"]) > 2
    alone = audit(replace(predictions, identity=None), AuditSettings.model_validate(SETTINGS))
    for one, other in zip(result.rules, alone.rules, strict=True):
        for wide, narrow in zip(one.outcomes, other.outcomes, strict=True):
            if not np.isnan(narrow.ci_low):
                assert wide.ci_high - wide.ci_low >= narrow.ci_high - narrow.ci_low - 1e-9, one.rule


def test_images_are_independent_on_request() -> None:
    predictions = _photographed(4)
    blunt = audit(predictions, AuditSettings.model_validate({**SETTINGS, "cluster": False}))
    alone = audit(replace(predictions, identity=None), AuditSettings.model_validate(SETTINGS))
    assert blunt.settings["cluster"] is False
    assert any("600 images show 150 people" in note and "too narrow" in note for note in blunt.notes)
    assert to_json(replace(blunt, notes=(), settings=alone.settings)) == to_json(replace(alone, notes=()))


def test_one_picture_each_is_the_plain_audit() -> None:
    settings = AuditSettings.model_validate(SETTINGS)
    predictions = _photographed(1)
    assert to_json(audit(predictions, settings)) == to_json(audit(replace(predictions, identity=None), settings))


def test_stored_groupings_are_those_of_the_audit() -> None:
    result = _audited()
    for grouping, record in zip(stored_groupings(_stored(result)), result.groupings, strict=True):
        assert grouping.by == record.by
        assert grouping.groups == tuple(g.group for g in record.groups)
        assert grouping.table.counts.tolist() == [[list(row) for row in m] for m in record.counts]
        assert grouping.groups[grouping.comparison.privileged or 0] == record.privileged
        assert (grouping.comparison.confidence, grouping.comparison.min_support) == (0.95, 20)


def test_surer_means_wider() -> None:
    stored = _stored(_audited(None, ()))
    rule = ["accuracy gap by gender <= 0.2"]
    usual, sure = gate(stored, rule), gate(stored, rule, confidence=0.999)
    assert sure.rules[0].outcomes[0].ci_high > usual.rules[0].outcomes[0].ci_high
    assert sure.rules[0].outcomes[0].ci_low <= usual.rules[0].outcomes[0].ci_low
    assert "the rules were judged at a confidence of 0.999" in sure.notes
    assert usual.notes == stored.notes


def test_a_lower_floor_judges_smaller_groups() -> None:
    stored = _stored(_audited(None, ()))
    rule = ["accuracy worst_group by race >= 0.1"]

    def small(result: AuditResult) -> list[str]:
        return [str(o.reason) for o in result.rules[0].outcomes if str(o.reason).startswith("too small")]

    assert len(small(gate(stored, rule))) == 1
    assert small(gate(stored, rule, min_support=1)) == []
    assert len(small(gate(stored, rule, min_support=300))) == 3
    assert "the rules were judged with a minimum support of 1" in gate(stored, rule, min_support=1).notes


def test_what_the_audit_does_not_have_cannot_be_judged() -> None:
    stored = _stored(_audited(None, ()))
    for rule, error, message in (
        ("accuracy gap by age <= 0.1", UnknownNameError,
         "unknown grouping in the rule 'accuracy gap by age <= 0.1': 'age'; choose from race, gender, race,gender"),
        ("f1[bird] gap by race <= 0.1", UnknownNameError,
         "unknown class 'bird'; choose from cat, dog, East Asian, macro"),
        ("accuracy gap race <= 0.1", UsageError,
         "the rule 'accuracy gap race <= 0.1' cannot be read; write METRIC[CLASS] KIND by A[,B] OP NUMBER, for example "
         "'accuracy gap by race <= 0.10'"),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            gate(stored, [rule])
        assert str(caught.value) == message


def test_no_rules_no_verdict() -> None:
    assert gate(_stored(_audited(None, ())), ()).verdict is Verdict.NONE


def test_a_record_of_before_severities_reads() -> None:
    result = gate(_stored(_audited(None, ())), ["accuracy gap by race <= 0.4 (warning, point)"])
    assert [(r.severity, r.decided_on) for r in _stored(result).rules] == [("warning", "point")]
    assert to_json(gate(_stored(result), ())) == to_json(result), "the text of a rule says all there is to it"
    record = json.loads(to_json(result))
    for rule in record["rules"]:
        del rule["severity"], rule["decided_on"]
    assert [(r.severity, r.decided_on) for r in from_record(record).rules] == [("error", "interval")]
