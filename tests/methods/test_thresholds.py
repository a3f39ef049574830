"""Thresholds of groups: the constrained rate is equal on validation, and the same table is decided in the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from fairlearn.postprocessing import ThresholdOptimizer

from fairaudit.errors import DataError, FairauditError
from fairaudit.methods import thresholds
from fairaudit.methods.base import Outcome
from fairaudit.methods.thresholds import Given, GroupThresholds, labels_of
from fairaudit.predictions import MISSING, Column
from tests.methods.studies import Bench, bench, biased, labelled, logits, same


def scores_of(outcome: Outcome, asked: Bench) -> np.ndarray:
    scores = logits(outcome.model, asked.study.validation).softmax(dim=1).double().numpy()
    rounded: np.ndarray = np.round(scores, 6)
    return rounded


def chances(outcome: Outcome, scores: np.ndarray, asked: Bench, positive: int = 1) -> np.ndarray:
    """(n,) chance that each image is decided to be positive, read off many draws of the decision."""
    assert isinstance(outcome.decide, GroupThresholds)
    rule, columns = outcome.decide, asked.study.validation_columns
    decided = [
        GroupThresholds(rule.by, rule.positive, rule.optimizer, rule.groups, seed)(scores, columns) for seed in range(60)
    ]
    share: np.ndarray = (np.array(decided) == positive).mean(axis=0)
    return share


@pytest.mark.parametrize(
    ("constraint", "rates"),
    [
        pytest.param("demographic_parity", [selection_rate], marks=pytest.mark.training),
        pytest.param("true_positive_rate_parity", [true_positive_rate], marks=pytest.mark.training),
        pytest.param("false_positive_rate_parity", [false_positive_rate], marks=pytest.mark.training),
        ("equalized_odds", [true_positive_rate, false_positive_rate]),
    ],
)
def test_the_constrained_rate_is_equal_on_validation(constraint: Any, rates: list[Any]) -> None:
    held = biased(400, 0.7, seed=2)
    asked = bench(biased(300, 0.9, seed=1), held, epochs=4)
    outcome = thresholds.run(asked.study, constraint=constraint)
    assert outcome.decide is not None
    scores = scores_of(outcome, asked)
    chance = chances(outcome, scores, asked)
    targets, groups = held.data.targets.numpy(), held.data.groups.numpy()
    for rate in rates:
        gaps = []
        for decided in (chance, (scores[:, 1] > 0.5).astype(float)):
            rows = slice(None) if rate is selection_rate else targets == (rate is true_positive_rate)
            gaps.append(abs(np.subtract(*(decided[rows][groups[rows] == g].mean() for g in (0, 1)))))
        assert gaps[1] > 0.2, "without thresholds the groups differ"
        assert gaps[0] < 0.02
    frame = MetricFrame(
        metrics=rates[0],
        y_true=targets,
        y_pred=outcome.decide(scores, asked.study.validation_columns),
        sensitive_features=groups,
    )
    assert frame.difference() < 0.1


def test_decisions_are_fairlearns() -> None:
    held = biased(200, 0.7, seed=2)
    asked = bench(validation=held, seed=5)
    outcome = thresholds.run(asked.study)
    scores, groups = scores_of(outcome, asked), held.columns["glasses"].values().astype(str)
    oracle = ThresholdOptimizer(estimator=Given(), prefit=True, predict_method="predict_proba")
    oracle.fit(scores, held.data.targets.numpy(), sensitive_features=groups)
    assert outcome.decide is not None
    decided = outcome.decide(scores, held.columns)
    assert np.array_equal(decided, oracle.predict(scores, sensitive_features=groups, random_state=5))


def test_the_same_table_gives_the_same_decisions_and_each_row_its_own_draw() -> None:
    held = biased(200, 0.7, seed=2)
    outcome = thresholds.run(bench(validation=held).study)
    assert outcome.decide is not None
    rng = np.random.default_rng(0)
    table = rng.dirichlet([1, 1], size=500).round(2)
    columns = {"glasses": Column(rng.integers(2, size=500), ("no", "yes"))}
    decided = outcome.decide(table, columns)
    assert np.array_equal(decided, outcome.decide(table, columns))
    # What other rows are must not matter: the first rows alone are decided as they were among all.
    few = {"glasses": columns["glasses"].take(np.arange(100))}
    assert np.array_equal(outcome.decide(table[:100], few), decided[:100])


def test_groups_are_known_by_name_in_whatever_order_the_levels_are() -> None:
    held = biased(200, 0.7, seed=2)
    asked = bench(validation=held)
    outcome = thresholds.run(asked.study)
    assert outcome.decide is not None
    scores = scores_of(outcome, asked)
    turned = {"glasses": Column(1 - held.columns["glasses"].codes, ("yes", "no"))}
    assert np.array_equal(outcome.decide(scores, held.columns), outcome.decide(scores, turned))


def test_an_image_of_unknown_or_other_group_is_decided_by_the_larger_score() -> None:
    held = biased(200, 0.7, seed=2)
    outcome = thresholds.run(bench(validation=held).study)
    assert outcome.decide is not None
    scores = np.array([[0.9, 0.1], [0.2, 0.8]] * 4)
    columns = {"glasses": Column(np.array([MISSING] * 4 + [2] * 4), ("no", "yes", "sun"))}
    assert outcome.decide(scores, columns).tolist() == [0, 1] * 4
    assert labels_of(columns, ("glasses",)).tolist() == [""] * 4 + ["sun"] * 4


def test_the_positive_class_may_be_the_first_one() -> None:
    held = biased(400, 0.7, seed=2)
    asked = bench(biased(300, 0.9, seed=1), held, epochs=4)
    outcome = thresholds.run(asked.study, constraint="true_positive_rate_parity", positive="Female")
    chance = chances(outcome, scores_of(outcome, asked), asked, positive=0)
    targets, groups = held.data.targets.numpy(), held.data.groups.numpy()
    rates = [chance[(targets == 0) & (groups == g)].mean() for g in (0, 1)]
    assert rates[0] == pytest.approx(rates[1], abs=0.02)


def test_what_a_reader_must_know_is_in_the_notes() -> None:
    asked = bench(biased(300, 0.9, seed=1), biased(400, 0.7, seed=2), epochs=4)
    outcome = thresholds.run(asked.study, constraint="equalized_odds")
    assert outcome.notes[:2] == (
        "glasses must be known of every image to decide on it, and the checkpoint alone decides without thresholds",
        "some decisions are drawn at random, the same ones each time for the same table and seed",
    )
    assert [note.partition(" is ")[0].partition(":")[0] for note in outcome.notes[2:]] == ["threshold of glasses"] * 2
    assert all("male where its score is above 0." in note for note in outcome.notes[2:])
    plain = asked.study.network()
    bench(biased(300, 0.9, seed=1), biased(400, 0.7, seed=2), epochs=4).study.fit(plain)
    assert same(outcome.model, plain)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"constraint": "equal_odds"},
            "thresholds has no constraint 'equal_odds'; did you mean 'equalized_odds'?",
        ),
        ({"objective": "f1"}, "thresholds has no objective 'f1'; choose from accuracy_score, balanced_accuracy_score"),
        ({"positive": "woman"}, "thresholds has no class 'woman' to be positive; choose from female, male"),
    ],
)
def test_options_that_are_not_there(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        thresholds.run(bench().study, **options)
    assert str(caught.value) == sentence


def test_what_cannot_be_equalised_is_refused() -> None:
    part = biased(60, 0.5, seed=0, target="age")
    with pytest.raises(FairauditError) as caught:
        thresholds.run(bench(part, part).study)
    assert str(caught.value) == "the method thresholds needs a target of two classes, and this one has 3"
    gender = np.arange(40) % 2
    with pytest.raises(DataError) as caught:
        thresholds.run(bench(validation=labelled(gender, gender, seed=0)).study)
    assert str(caught.value) == (
        "the group 'glasses: no' has no validation image of the class 'male', and thresholds needs some of both in every "
        "group; group by other attributes, or give validation more images"
    )
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(FairauditError) as caught:
        thresholds.run(bench(part, part, by=()).study)
    assert str(caught.value) == "the method thresholds needs groups; name the attributes that make them with --by"
