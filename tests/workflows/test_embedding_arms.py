"""Arms that train embeddings: what they are compared with, classes and splits, and a small experiment by plain loops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fairaudit.cli.mitigate import _defaults
from fairaudit.config import Arm, MitigateConfig, ModelSettings
from fairaudit.data.locate import load_dataset
from fairaudit.engine.image_sources import UnreadImages
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError, UsageError
from fairaudit.models.classifier import load_classifier
from fairaudit.results.mitigation import mitigation_json
from fairaudit.workflows.arm_audits import check_audits
from fairaudit.workflows.arm_checks import check_arms
from fairaudit.workflows.embedding_arms import with_reference
from fairaudit.workflows.embedding_runs import nothing_found
from fairaudit.workflows.experiment import Experiment, prepare_experiment, training_data
from fairaudit.workflows.mitigate import mitigate, preflight
from fairaudit.workflows.selection import retrieval_score
from tests.methods.studies import biased

FACES = {"n": "160", "size": "32", "pictures_per_identity": "4"}
PARADE = Arm(method="parade", method_options={"decorrelation": "150", "per_class": "2"})


def config(*arms: Arm, **changes: Any) -> MitigateConfig:
    values: dict[str, Any] = {
        "data": "synthetic",
        "data_options": FACES,
        "compare_content": False,
        "split_shares": (0.5, 0.25, 0.25),
        "arms": arms,
        "seeds": 1,
        "training": {"epochs": 1, "lr": 3e-3, "batch_size": 16, "select": "average", "device": "cpu", "workers": 0},
        "audit": {"target": "identity", "by": [["gender"]], "bootstrap": 100, "min_support": 5},
        **changes,
    }
    return MitigateConfig.model_validate(values)


def prepared(*arms: Arm, **changes: Any) -> Experiment:
    return prepare_experiment(with_reference(config(*arms, **changes)))


def test_embeddings_are_compared_with_metric_learning_of_the_same_loss() -> None:
    triplet = Arm(method="parade", method_options={"decorrelation": "150", "loss": "triplet", "balanced": "groups"})
    found = with_reference(config(triplet))
    assert [arm.name for arm in found.trained] == [
        "metric-learning(loss=triplet)", "parade(decorrelation=150,loss=triplet,balanced=groups)",
    ]  # fmt: skip
    assert [arm.is_baseline for arm in found.trained] == [True, False]
    assert with_reference(found) == found
    assert [arm.name for arm in with_reference(config(triplet, baseline=False)).trained] == [triplet.name]


def test_plain_metric_learning_among_the_arms_is_what_others_are_compared_with() -> None:
    own = Arm(method="metric-learning", method_options={"loss": "arcface"})
    balanced = Arm(method="metric-learning", method_options={"balanced": "groups"})
    found = with_reference(config(balanced, PARADE, own))
    assert [arm.name for arm in found.trained] == [own.name, balanced.name, PARADE.name]
    assert [arm.reference for arm in found.trained] == [True, False, False]


def test_classifiers_are_left_as_they_are_and_not_mixed_with_embeddings() -> None:
    plain = config(Arm(loss="max-group"), audit={"target": "gender", "by": [["tone"]]})
    assert with_reference(plain) is plain
    with pytest.raises(UsageError) as caught:
        with_reference(config(Arm(loss="max-group"), PARADE))
    assert str(caught.value) == (
        "parade(decorrelation=150,per_class=2) trains embeddings and max-group a classifier, and nothing compares the two; "
        "run them apart"
    )


def test_nobody_is_in_two_splits_and_each_split_has_classes_of_its_own() -> None:
    experiment = prepared(PARADE)
    parts = [experiment.splits.train, experiment.splits.validation, experiment.splits.test]
    people = [set(part.frame["identity"]) for part in parts]
    assert not people[0] & people[1]
    assert not (people[0] | people[1]) & people[2]
    for part, held in zip(parts[:2], people, strict=False):
        data = training_data(experiment, part, UnreadImages(len(part)))
        assert [data.classes[i] for i in data.targets.tolist()] == part.frame["identity"].tolist()
        assert set(data.classes) == held
    assert (experiment.audit.target, experiment.audit.positive) == ("recall_at_1", "hit")
    assert "target    identity, by which images are found again" in preflight(experiment)
    assert any("accuracy is recall@1" in note for note in experiment.notes)


def test_the_identity_is_what_embeddings_are_for_where_nobody_says() -> None:
    assert list(prepared(PARADE, audit={"by": [["gender"]]}).tasks) == ["identity"]


def test_a_column_may_be_found_again_and_its_classes_kept_apart() -> None:
    asked = {"audit": {"target": "age_group", "by": [["gender"]]}}
    shared = prepared(PARADE, **asked)
    assert list(shared.tasks) == ["age_group"]
    assert set(shared.splits.train.frame["age_group"]) & set(shared.splits.test.frame["age_group"])
    apart = prepared(PARADE, **asked, splits="classes", split_shares=(0.4, 0.3, 0.3))
    held = [set(part.frame["age_group"]) for part in (apart.splits.train, apart.splits.validation, apart.splits.test)]
    assert sum(map(len, held)) == len(set.union(*held)) == 5
    assert "each class of age_group is in one split alone" in apart.notes
    with pytest.raises(UsageError, match="--splits classes is for methods that train embeddings"):
        prepared(Arm(loss="max-group"), splits="classes", audit={"target": "gender", "by": [["tone"]]})


def test_a_share_of_the_training_people_is_of_one_level() -> None:
    experiment = prepared(PARADE, data_options={**FACES, "n": "400"}, imbalance={"gender:man": 0.8})
    people = experiment.splits.train.frame.groupby("identity", observed=True)["gender"].first()
    assert (people == "man").mean() == pytest.approx(0.8, abs=0.02)
    assert experiment.splits.train.frame["identity"].value_counts().eq(4).all(), "people are left out whole"
    assert experiment.splits.test.frame["gender"].eq("man").mean() < 0.7
    assert any("so that 80% of the people are 'man' in gender" in note for note in experiment.notes)


def test_without_data_people_are_drawn_several_times() -> None:
    asked = _defaults(True, None, [{"method": "parade"}])
    assert (asked["data_options"]["pictures_per_identity"], asked["audit"]["by"]) == (4, (("tone",),))
    for arms in ([{"loss": "max-group"}], [{"method": "last-layer"}]):
        assert "pictures_per_identity" not in _defaults(True, None, arms)["data_options"]


REFUSED: list[tuple[Arm, dict[str, Any], str]] = [
    (
        Arm(loss="max-group"),
        {},
        "the identity is a target of methods that train embeddings (metric-learning, parade, adversarial): whoever is on "
        "the test images is on no training image",
    ),
    (PARADE, {"imbalance": {"hair": 0.5}}, "unknown column 'hair'"),
    (PARADE, {"imbalance": {"gender:girl": 0.5}}, "unknown level of 'gender' 'girl'"),
    (
        PARADE,
        {"imbalance": {"tone": 0.5}, "data_options": {**FACES, "shares": "tone=dark:1", "balanced_test": False}},
        "no training image is 'light' in tone",
    ),
]


@pytest.mark.parametrize(("arm", "changes", "sentence"), REFUSED)
def test_refusals(arm: Arm, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises((UsageError, DataError)) as caught:
        prepared(arm, **changes)
    assert sentence in str(caught.value)


def test_data_without_an_identity(tmp_path: Path) -> None:
    frame = load_dataset("synthetic", None, "all", n=20, size=32).frame
    frame.drop(columns=["identity"]).rename(columns={"row": "path"}).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError) as caught:
        prepared(PARADE, data="table", root=tmp_path, data_options={})
    assert str(caught.value).startswith("the data tell no identity to find images by; name a column with --target (")


def test_everybody_seen_once_cannot_be_found_again() -> None:
    experiment = prepared(PARADE, data_options={"n": "100", "size": "32"})
    with pytest.raises(DataError) as caught:
        check_audits(experiment)
    assert str(caught.value) == "no two images are of one identity: there is nothing to find again"
    experiment = prepared(PARADE)
    check_audits(experiment)
    check_arms(experiment)
    table = nothing_found(experiment)
    assert table.tasks["recall_at_1"].y_true.tolist() == [1] * len(experiment.splits.test)
    assert not table.tasks["recall_at_1"].y_pred.any()


def test_validation_is_recall_by_group_whatever_selects() -> None:
    part: TrainingData = biased(40, 0.7, seed=3).data
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator)
    targets = torch.arange(40) // 3  # the last class has one image
    data = replace(part, targets=targets, classes=tuple(map(str, range(14))))
    unit = (x / x.norm(dim=1, keepdim=True)).double().numpy()
    near = unit @ unit.T - 4 * np.eye(40)
    hits: dict[int, list[bool]] = {0: [], 1: []}
    for i in range(39):
        hits[int(data.groups[i])].append(bool(targets[near[i].argmax()] == targets[i]))
    recall = [float(np.mean(hits[g])) for g in (0, 1)]
    found = {select: retrieval_score(x, data, select) for select in ("average", "worst-group", "gap")}
    assert found["average"].group_accuracies == pytest.approx(recall)
    assert found["average"].score == pytest.approx(np.mean(hits[0] + hits[1]))
    assert found["worst-group"].score == pytest.approx(min(recall))
    assert found["gap"].score == pytest.approx(-abs(recall[0] - recall[1]))


@pytest.mark.training
def test_a_whole_experiment(tmp_path: Path) -> None:
    asked = config(PARADE, seeds=2)
    found = mitigate(asked, tmp_path / "run")
    assert found is not None
    assert [(arm.name, arm.method) for arm in found.result.arms] == [
        ("metric-learning(per_class=2)", "metric-learning"), (PARADE.name, "parade"),
    ]  # fmt: skip
    assert found.result.baseline == "metric-learning(per_class=2)"
    experiment = prepared(PARADE)
    test = experiment.splits.test
    for arm in found.result.arms:
        for run in arm.runs:
            folder = tmp_path / "run" / run.folder
            network = load_classifier(folder / "model.pt", ModelSettings(), None, {})
            assert not [key for key in network.model.state_dict() if "branch" in key or "head" in key]
            table = pd.read_parquet(folder / "predictions.parquet")
            audit = json.loads((folder / "audit.json").read_text())
            hits = table["recall_at_1_pred"] == "hit"
            value = audit["overall"]["metrics"]["accuracy"]["value"]
            assert len(table) == len(test)
            assert value == pytest.approx(hits.mean())
            number = next(n for n in arm.numbers if (n.metric, n.kind) == ("accuracy", None))
            assert number.by_seed[run.seed] == pytest.approx(value)
    again = mitigate(asked, tmp_path / "run", resume=True)
    assert again is not None
    assert mitigation_json(again.result) == mitigation_json(found.result)
