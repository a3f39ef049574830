"""Several labels side by side in an audit: which they are, what is stored, and that it is judged the same again."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from fairaudit.artifacts.schema import audit_schema
from fairaudit.artifacts.tables import read_predictions, write_predictions
from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UnknownNameError, UsageError
from fairaudit.predictions import MISSING, Column, Predictions, Task
from fairaudit.results import AuditResult, from_record, to_json, to_record
from fairaudit.workflows.audit import audit
from fairaudit.workflows.compare import Side, compare
from fairaudit.workflows.gate import gate
from fairaudit.workflows.merge import Shard, merge
from fairaudit.workflows.plan import plan_audit
from fairaudit.workflows.sweep import swept

NO_YES = ("no", "yes")
RULES = (
    "true_positive_rate[Smiling] gap by gender <= 0.1",
    "accuracy worst_group by race >= 0.5",
    "f1 gap by race <= 0.6 (warning)",
    "subset_accuracy gap by gender <= 0.6",
    "equalized_odds_difference by gender <= 0.5",
    "disparate_impact[Young] by gender >= 0.2",
    "average_odds_difference[Male] by gender <= 0.4",
    "differential_fairness[Smiling] by gender <= 1",
    "balanced_accuracy[Smiling] gap by gender <= 0.3",
    "cohen_kappa[Smiling] gap by gender <= 0.9",
)
OVER_LABELS = (
    "hamming_accuracy gap by race <= 0.001",
    "mean_f2 difference by gender <= 0.4",
    "f1[macro] gap by race <= 0.4",
    "precision[micro] spread by race <= 0.3",
    "f1[weighted] gap by gender <= 0.4",
    "f1_diff[macro] by gender <= 0.3",
)


def predictions(seed: int = 0, n: int = 400, missing: float = 0.05, people: int | None = None, **more: Task) -> Predictions:
    """Smiling and Young are said with no and yes, Male with the two genders; race has three levels."""
    rng = np.random.default_rng(seed)
    tasks: dict[str, Task] = {}
    for name, classes in (("Smiling", NO_YES), ("Young", ("yes", "no")), ("Male", ("Female", "Male"))):
        y = rng.integers(0, 2, n)
        p = np.where(rng.random(n) < 0.12, 1 - y, y)
        tasks[name] = Task(classes, np.where(rng.random(n) < missing, MISSING, y), p)
    columns = {
        "gender": Column(rng.integers(0, 2, n), ("man", "woman")),
        "race": Column(rng.integers(0, 3, n), ("Asian", "Black", "White")),
    }
    who = None if people is None else Column.of([str(i) for i in rng.integers(0, people, n)])
    rows = np.array([f"{i}.jpg" for i in range(n)], dtype=object)
    return Predictions(rows, {**tasks, **more}, columns, {}, who)


def audited(table: Predictions, **settings: Any) -> AuditResult:
    chosen = {"target": "Smiling+Young+Male", "by": (("gender",),), "bootstrap": 100, **settings}
    return audit(table, AuditSettings(**chosen))


def test_what_is_stored() -> None:
    table = predictions()
    result = audited(table)
    assert result.settings["target"] == "Smiling+Young+Male"
    assert result.settings["classes"] == ["Smiling", "Young", "Male"]
    assert result.settings["positive"] is None
    assert result.settings["multilabel"] == {"Smiling": ["no", "yes"], "Young": ["no", "yes"], "Male": ["Female", "Male"]}
    young, man = table.tasks["Young"], table.columns()["gender"].codes == 0
    said = [(young.y_true == t) & (young.y_pred == p) & man for t, p in ((1, 1), (1, 0), (0, 1), (0, 0))]
    assert result.groupings[0].counts[0][1] == tuple(int(rows.sum()) for rows in said), "yes is Young's first class"
    alone = audited(table, target="Young", positive="yes")
    for label, own in zip(result.groupings[0].groups, alone.groupings[0].groups, strict=True):
        assert repr(label.metrics["f1[Young]"]) == repr(own.metrics["f1"])
        assert repr(label.metrics["accuracy[Young]"]) == repr(own.metrics["accuracy"])
    together = result.groupings[0].together
    assert together is not None
    assert [g.n for g in result.groupings[0].groups] == list(together.images)
    assert result.groupings[0].scores is None
    for grouping in result.groupings:
        for group in grouping.groups:
            assert not any(key.startswith("auroc") for key in group.metrics)


@pytest.mark.parametrize("people", [pytest.param(None, marks=pytest.mark.training), 90])
def test_a_stored_audit_is_judged_as_the_predictions_are(people: int | None) -> None:
    result = audited(predictions(1, people=people), rules=RULES + OVER_LABELS, aggregate=("weighted", "worst"), beta=(0.5,))
    record = json.loads(to_json(result))
    jsonschema.validate(record, audit_schema())
    again = from_record(record)
    assert to_json(again) == to_json(result)
    judged = gate(again, ())
    assert to_json(judged) == to_json(result)
    assert {r.rule for r in judged.rules} == {*RULES, *OVER_LABELS}
    assert (result.groupings[0].clusters is None) == (people is None)
    later = gate(again, ["mean_f0.5 gap by race <= 0.1", "jaccard[worst] gap by gender <= 0.4"])
    direct = audited(
        predictions(1, people=people), rules=[r.rule for r in later.rules], aggregate=("weighted", "worst"), beta=(0.5,)
    )
    assert to_record(later)["rules"] == to_record(direct)["rules"]
    sure = gate(again, ["hamming_accuracy gap by race <= 0.5"], confidence=0.8)
    assert sure.rules[0].outcomes[0].ci_high < judged.rules[len(RULES)].outcomes[0].ci_high


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.training), 1])
def test_merged_audits_are_the_audit_of_the_union_for_what_counts_tell(seed: int) -> None:
    table = predictions(seed, missing=0.1 * seed)
    place = np.random.default_rng(seed).integers(0, 3, len(table))
    settings = {"rules": RULES[:5], "aggregate": ("worst",)}
    merged = merge([Shard(f"shard {i}", audited(table.take(place == i), **settings)) for i in range(3)])
    whole = audited(table, **settings)
    for mine, theirs in zip(merged.groupings, whole.groupings, strict=True):
        known = {(d.metric, d.kind, str(d.group)): repr(d.estimate) for d in theirs.disparities}
        np.testing.assert_array_equal(mine.counts, theirs.counts)
        assert {(d.metric, d.kind, str(d.group)): repr(d.estimate) for d in mine.disparities}.items() <= known.items()
        for a, b in zip(mine.groups, theirs.groups, strict=True):
            assert a.n == b.n
            assert {k: repr(v) for k, v in a.metrics.items()}.items() <= {k: repr(v) for k, v in b.metrics.items()}.items()
    assert {"subset_accuracy", "f1[Young]", "f1[worst]"} <= set(merged.overall.metrics)
    assert to_record(merged)["rules"] == to_record(whole)["rules"]
    assert [note for note in merged.notes if "counts do not tell" in note] == [
        "left out of the merged audit, because counts do not tell them: hamming_accuracy, mean_f2, every [macro], every "
        "[micro]; audit the predictions"
    ]
    assert {note for note in merged.notes if "only: they count for these" in note} == {
        note for note in whole.notes if "only: they count for these" in note
    }


def test_a_rule_that_needs_images_refuses_a_merge() -> None:
    table, rules = predictions(), ("mean_f2 gap by gender <= 0.1",)
    shards = [Shard(str(i), audited(table.take(np.arange(400) % 2 == i), rules=rules)) for i in range(2)]
    with pytest.raises(UsageError, match="mean_f2 is made of images, not of counts, and is not known here"):
        merge(shards)


def test_all_takes_every_labelled_target_of_two_classes() -> None:
    three = Task(("a", "b", "c"), np.zeros(400, dtype=np.int64), np.zeros(400, dtype=np.int64))
    unknown = Task(NO_YES, np.full(400, MISSING), np.zeros(400, dtype=np.int64))
    result = audited(predictions(age=three, Bald=unknown), target="ALL")
    assert result.settings["classes"] == ["Smiling", "Young", "Male"]
    assert result.settings["target"] == "Smiling+Young+Male", "however it was asked for, a baseline is of the same target"
    assert "--target all takes targets of two classes, and leaves out age (3)" in result.notes
    assert "--target all leaves out Bald: no image has a label" in result.notes
    named = predictions(all=three)
    assert audited(named, target="all").settings["classes"] == ["a", "b", "c"], "a target may be called all"
    with pytest.raises(UsageError, match=r"takes every target of two classes, and there is only Smiling; the targets are "):
        audited(Predictions(named.rows, {"age": three, "Smiling": named.tasks["Smiling"]}, named.attributes), target="all")


def test_which_class_a_label_affirms() -> None:
    rows, columns = predictions().rows, predictions().attributes
    rng = np.random.default_rng(0)

    def table(*classes: tuple[str, str]) -> Predictions:
        y = rng.integers(0, 2, (400, 2))
        return Predictions(rows, {f"label {i}": Task(c, y[:, i], y[:, i]) for i, c in enumerate(classes)}, columns)

    def affirmed(one: Predictions, **settings: Any) -> list[str]:
        return [c[1] for c in audited(one, target="label 0+label 1", **settings).settings["multilabel"].values()]

    assert affirmed(table(("1", "0"), ("True", "False"))) == ["1", "True"]
    assert affirmed(table(NO_YES, ("yes", "no")), positive="NO") == ["no", "no"]
    assert affirmed(table(("a", "b"), NO_YES), positive="label 0=a") == ["a", "yes"]
    assert affirmed(table(("a", "b"), ("c", "d")), positive="LABEL 1=c,label 0=b") == ["b", "c"]
    with pytest.raises(UsageError, match=r"which class says that an image is label 1: a or b\? Name it with --positive "):
        affirmed(table(NO_YES, ("a", "b")))
    with pytest.raises(UsageError, match=r"--positive yes: the label label 1 has the classes a and b; name one of them"):
        affirmed(table(NO_YES, ("a", "b")), positive="yes")
    with pytest.raises(UnknownNameError, match="unknown label in --positive: 'label 2'"):
        affirmed(table(NO_YES, NO_YES), positive="label 2=yes")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"target": "Smiling+Yuong"}, UnknownNameError, "unknown target 'Yuong'; did you mean 'Young'"),
        ({"target": "Smiling+smiling"}, UsageError, "--target Smiling+smiling names a label twice"),
        ({"target": "Smiling+age"}, UsageError, "takes labels of two classes, and age has 3 (a, b, c); audit it by itself"),
        ({"threshold": 0.5}, UsageError, "--threshold needs scores, and Smiling has none"),
        ({"rules": ("f1[Yuong] gap by race <= 0.1",)}, UnknownNameError, "unknown label 'Yuong'; did you mean 'Young'"),
        ({"rules": ("accuracy[macro] gap by race <= 0.1",)}, UsageError, "accuracy over labels is hamming_accuracy"),
        ({"rules": ("auroc gap by race <= 0.1",)}, UsageError, "auroc needs scores, which are not known here"),
    ],
)
def test_refusals(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    three = Task(("a", "b", "c"), np.zeros(400, dtype=np.int64), np.zeros(400, dtype=np.int64))
    with pytest.raises(error) as raised:
        audited(predictions(age=three), **settings)
    assert message in str(raised.value)


def test_scores_and_a_threshold_are_of_each_label() -> None:
    plain, rng = predictions(3, missing=0.0), np.random.default_rng(0)
    tasks = {}
    for name, task in plain.tasks.items():
        score = np.clip(0.3 + 0.4 * task.y_pred + rng.normal(0, 0.1, 400), 0, 1)
        tasks[name] = Task(task.classes, task.y_true, task.y_pred, np.stack([1 - score, score], 1))
    table = Predictions(plain.rows, tasks, plain.attributes)
    result = audited(table, threshold=0.9, rules=("auroc gap by gender <= 0.3", "brier[Young] gap by race <= 0.2"))
    young = tasks["Young"]
    assert young.y_score is not None
    alone = audited(table, target="Young", positive="yes", threshold=0.9)
    for key in ("auroc", "brier", "f1", "accuracy", "log_loss"):
        assert repr(result.overall.metrics[f"{key}[Young]"]) == repr(alone.overall.metrics[key])
    assert result.overall.metrics["selection_rate[Young]"].value == pytest.approx((young.y_score[:, 0] >= 0.9).mean())
    assert len(result.rules[0].outcomes) == 3
    with pytest.raises(UsageError, match="auroc needs scores"):
        gate(result, ["auroc[Young] gap by gender <= 0.3"])
    with pytest.raises(UsageError, match="--sweep needs scores of one class"):
        swept(result)


def test_notes_on_labels_that_are_missing_or_define_groups() -> None:
    table = predictions(4, missing=0.2)
    for task in table.tasks.values():
        task.y_true[:7] = MISSING
    result = audited(table, by=(("Male",),))
    nowhere = int(np.all([t.y_true == MISSING for t in table.tasks.values()], axis=0).sum())
    assert nowhere >= 7
    assert f"{nowhere} images without a label for any of the 3 labels are left out" in result.notes
    known = np.stack([t.y_true != MISSING for t in table.tasks.values()])
    partly = int((known.any(0) & ~known.all(0)).sum())
    assert f"{partly} images have a label for some of the 3 labels only: they count for these" in result.notes
    assert any(n.startswith("Male includes the target: selection rates of Male differ") for n in result.notes)
    assert result.groupings[0].groups[0].metrics["true_positive_rate[Male]"].reason == "undefined: 0 positives"
    assert result.groupings[0].groups[0].metrics["true_positive_rate[macro]"].reason == "undefined: 0 positives of Male"
    nothing = {n: Task(t.classes, np.full(400, MISSING), t.y_pred) for n, t in table.tasks.items()}
    with pytest.raises(PredictionsError, match="no row has a label for 'any of the 3 labels'; there is nothing to audit"):
        audited(Predictions(table.rows, nothing, table.attributes))


def test_a_model_that_was_read_wrongly_is_suspected() -> None:
    table = predictions(5, missing=0.0)
    swapped = {n: Task(t.classes, t.y_true, 1 - t.y_pred if n == "Young" else t.y_pred) for n, t in table.tasks.items()}
    result = audited(Predictions(table.rows, swapped, table.attributes))
    assert any(n.startswith("accuracy of Young is far below chance") for n in result.notes)
    constant = {n: Task(t.classes, t.y_true, np.zeros(400, dtype=np.int64)) for n, t in table.tasks.items()}
    result = audited(Predictions(table.rows, constant, table.attributes))
    assert any(n.startswith("every prediction is the same for all images") for n in result.notes)
    assert not any(n.startswith("every prediction") for n in audited(table).notes)


def test_what_else_an_audit_offers_is_offered_for_labels() -> None:
    table = predictions(6)
    result = audited(
        table, by=(("gender",),), given=(("race",),), label_noise=0.02, shrink=True,
        rules=("f1[Young] gap by gender given race <= 0.9",),
    )  # fmt: skip
    assert len(result.within(("gender",), ("race",))) == 3
    assert {d.metric for d in result.conditional[0].disparities} >= {"f1[Young]", "accuracy[Smiling]"}
    noise = result.groupings[0].label_noise
    assert noise is not None
    assert {r.metric for r in noise.ranges} >= {"accuracy[Young]", "true_positive_rate[macro]"}
    again = from_record(json.loads(to_json(result)))
    assert to_json(gate(again, ())) == to_json(result)
    reach = plan_audit(result, ["accuracy[Young] gap by gender <= 0.3"])
    assert reach[0].metric == "accuracy[Young]"


def test_comparing_takes_one_label_at_a_time() -> None:
    sides = [Side("before", predictions(0)), Side("after", predictions(0))]
    with pytest.raises(UsageError, match="several labels are audited side by side, and compared one at a time"):
        compare(sides[:1], sides[1:], AuditSettings(target="Smiling+Young", by=(("gender",),)))


def test_the_predictions_survive_the_run_folder(tmp_path: Any) -> None:
    table = predictions(7, people=100)
    write_predictions(table, tmp_path / "predictions.parquet")
    again = read_predictions(tmp_path / "predictions.parquet")
    assert to_json(audited(again, rules=RULES)) == to_json(audited(table, rules=RULES))
