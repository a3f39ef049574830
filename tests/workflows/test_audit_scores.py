"""An audit with scores, thresholds, bins, unknown levels and joint targets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairaudit.artifacts.schema import AuditRecord
from fairaudit.config import AuditSettings
from fairaudit.errors import ConfigError, FairauditError, PredictionsError, UnknownNameError, UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import from_record, group_label, to_json, to_record
from fairaudit.workflows.audit import audit
from fairaudit.workflows.audit_table import audit_table


def _predictions(n: int = 600, classes: tuple[str, ...] = ("no", "yes"), seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    score = rng.dirichlet(np.ones(len(classes)), n)
    true = np.array([rng.choice(len(classes), p=p) for p in score])
    race = [["White", "Black", None][i] for i in rng.integers(0, 3, n)]
    return Predictions(
        np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        {"smile": Task(classes, true, score.argmax(-1), score)},
        {"race": Column.of(race, ("White", "Black"))},
        {"age": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 90, n).astype(float))},
    )


def _settings(**values: Any) -> AuditSettings:
    return AuditSettings.model_validate({"by": (("race",),), "positive": "yes", "bootstrap": 200, **values})


def test_scores_are_measured_listed_and_kept() -> None:
    result = audit(_predictions(), _settings())
    black = result.groupings[0].groups[1].metrics
    assert {"auroc", "average_precision", "brier", "ece", "ece_equal_mass", "log_loss", "confidence_ece"} <= black.keys()
    assert 0.5 < black["auroc"].ci_low < black["auroc"].value < black["auroc"].ci_high < 1
    kinds = {d.kind for d in result.groupings[0].disparities if d.metric == "auroc"}
    assert kinds == {"difference", "ratio", "gap", "spread", "worst_group", "min_max_ratio", "pairwise_mean"}
    scores = result.groupings[0].scores
    assert scores is not None
    assert scores.of == "yes"
    for group, kept in zip(result.groupings[0].groups, scores.groups, strict=True):
        assert sum(kept.negatives) + sum(kept.positives) == group.n
        assert sum(n for n, _, _ in kept.reliability) == group.n
    record = json.loads(to_json(result))
    AuditRecord.model_validate(record)
    assert to_record(from_record(record)) == record
    assert to_json(audit(_predictions(), _settings())) == to_json(result)


def test_without_scores_nothing_is_said_of_them() -> None:
    plain = _predictions()
    task = plain.tasks["smile"]
    bare = Predictions(plain.rows, {"smile": Task(task.classes, task.y_true, task.y_pred)}, plain.attributes)
    record = to_record(audit(bare, _settings()))
    assert "scores" not in record["groupings"][0]
    assert "auroc" not in record["overall"]["metrics"]
    AuditRecord.model_validate(json.loads(json.dumps(record)))


def test_the_order_of_rows_changes_no_byte() -> None:
    predictions = _predictions(classes=("no", "yes", "maybe"))
    order = np.random.default_rng(1).permutation(len(predictions))
    settings = _settings(positive=None, aggregate=("micro", "worst"), beta=(0.5,), top_k=(2,))
    first, second = (to_record(audit(p, settings)) for p in (predictions, predictions.take(order)))
    assert "top_2_accuracy" in first["overall"]["metrics"]
    assert {"f0.5[maybe]", "f1[worst]", "auroc[macro]", "mcc_one_vs_rest[no]"} <= first["overall"]["metrics"].keys()
    assert first == second


def test_decisions_by_threshold() -> None:
    predictions = _predictions()
    task = predictions.tasks["smile"]
    assert task.y_score is not None
    result = audit(predictions, _settings(threshold=0.8))
    assert result.settings["threshold"] == 0.8
    assert result.overall.metrics["selection_rate"].value == pytest.approx((task.y_score[:, 1] >= 0.8).mean())
    assert audit(predictions, _settings()).settings.keys() == result.settings.keys() - {"threshold"}


def test_numbers_make_groups_and_the_unknown_one_of_their_own() -> None:
    predictions = _predictions()
    settings = _settings(by=(("age",), ("race",)), bins={"age": (0, 18, 65)}, missing="group")
    result = audit(predictions, settings)
    age, race = result.groupings
    ages = predictions.numeric["age"]
    assert [g.group["age"] for g in age.groups] == ["0 to <18", "18 to <65", "65 or more", "unknown"]
    assert [g.n for g in age.groups] == [(ages < 18).sum(), ((ages >= 18) & (ages < 65)).sum(), (ages >= 65).sum(),
                                         np.isnan(ages).sum()]  # fmt: skip
    assert age.missing == race.missing == 0
    assert [g.group["race"] for g in race.groups] == ["White", "Black", "unknown"]
    left_out = audit(predictions, _settings(by=(("age",),), bins={"age": (0, 18, 65)})).groupings[0]
    assert left_out.missing == np.isnan(ages).sum()


def test_numbers_of_a_table_make_groups(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    rows = [f"{i},{'ab'[i % 2]},{'ab'[i % 3 % 2]},{i % 97}" for i in range(400)]
    file.write_text("\n".join(["id,y,y_pred,age", *rows]))
    settings = AuditSettings(by=(("age",),), bins={"age": (0.0, 50.0)})
    grouping = audit_table(file, settings, y_true="y", row_id="id")[0].groupings[0]
    ages = np.arange(400) % 97
    assert {g.group["age"]: g.n for g in grouping.groups} == {
        "0 to <50": (ages < 50).sum(),
        "50 or more": (ages >= 50).sum(),
    }


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"threshold": 0.5, "positive": None}, UsageError, "--threshold needs --positive: no or yes"),
        ({"bins": {"agee": (0, 5)}}, UnknownNameError, "unknown numeric column in --bins: 'agee'; did you mean 'age'?"),
        ({"bins": {"race": (0, 5)}}, UsageError, "race has levels already; only numeric columns are binned (age)"),
        ({"by": (("age",),)}, UsageError, "age is numeric and makes no groups; use a column of levels (smile, race)"),
        ({"top_k": (2,)}, UsageError, "top-2 accuracy of 2 classes says nothing; k must be from 1 to 1"),
        ({"target": "smile,smile"}, UsageError, "--target smile,smile names one target; a joint target is made of several"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], error: type[FairauditError], message: str) -> None:
    with pytest.raises(error) as caught:
        audit(_predictions(), _settings(**settings))
    assert str(caught.value) == message


def test_bad_scores_and_edges_are_refused() -> None:
    predictions = _predictions(5)
    task = predictions.tasks["smile"]
    assert task.y_score is not None
    wrong = Task(task.classes, task.y_true, task.y_pred, task.y_score * 3)
    with pytest.raises(PredictionsError, match="outside 0 to 1; apply softmax or sigmoid before writing scores"):
        audit(Predictions(predictions.rows, {"smile": wrong}, predictions.attributes), _settings())
    from fairaudit.config import validated

    for values in ({"bins": {"age": (5, 1)}}, {"beta": (0.12345,)}, {"threshold": 1.5}, {"aggregate": ("mean",)}):
        with pytest.raises(ConfigError):
            validated(values, AuditSettings, "the flags")


def test_a_hundred_thousand_scored_rows_and_fourteen_groups() -> None:
    n, rng = 100_000, np.random.default_rng(0)
    score = rng.random(n)
    task = Task(("no", "yes"), (rng.random(n) < score).astype(np.int64), (score > 0.5).astype(np.int64),
                np.stack([1 - score, score], -1))  # fmt: skip
    race, gender = (Column(rng.integers(0, k, n), tuple(f"{k}-{i}" for i in range(k))) for k in (7, 2))
    rows = np.array([str(i) for i in range(n)], dtype=object)
    predictions = Predictions(rows, {"x": task}, {"race": race, "gender": gender})
    start = time.perf_counter()
    audit(predictions, AuditSettings(by=(("race", "gender"),), positive="yes"))
    assert time.perf_counter() - start < 8  # about one second; the machine may be busy


PUBLISHED = {  # S1, percent of images with both right, and over cells: mean and population standard deviation
    "predictions_bal_aug.csv": ({"Black Female": 73.6, "White Male": 62.1, "Latino_Hispanic Male": 30.2}, 58.3, 12.2),
    "predictions_bal_aug_valattention.csv": (
        {"Black Female": 62.1, "White Male": 54.0, "Latino_Hispanic Male": 54.0}, 58.0, 5.8,
    ),
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("file", PUBLISHED)
def test_published_joint_cells(shared: Path, file: str) -> None:
    table = pd.read_csv(shared / "data" / "fairface" / file)
    tasks = {}
    for name in ("race", "gender"):
        classes = tuple(sorted(table[name].unique()))
        true, called = (Column.of(table[column].tolist(), classes).codes for column in (name, f"{name}_pred"))
        tasks[name] = Task(classes, true, called)
    columns = {name: Column.of(table[name].tolist()) for name in ("race", "gender")}
    predictions = Predictions(table["file"].to_numpy(dtype=object), tasks, columns)
    result = audit(predictions, AuditSettings(target="race,gender", by=(("race", "gender"),)))
    grouping = result.groupings[0]
    both = {group_label(g.group): g.metrics["accuracy"].value * 100 for g in grouping.groups}
    cells, mean, spread = PUBLISHED[file]
    for cell, published in cells.items():
        assert round(both[cell], 1) == published, cell
    assert round(float(np.mean(list(both.values()))), 1) == mean
    found = next(d for d in grouping.disparities if (d.metric, d.kind) == ("accuracy", "spread"))
    assert round(found.estimate.value * 100, 1) == spread
    assert round(result.overall.metrics["balanced_accuracy"].value * 100, 1) == mean
    for g in grouping.groups:
        parts = [g.metrics[name].value for name in ("accuracy", "some_right", "none_right")]
        assert sum(parts) == pytest.approx(1)
    assert np.array(grouping.counts).shape == (14, 14, 14)
