"""An audit within levels of other columns is the audit of those images; stored, streamed and merged it stays the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import AuditResult, GroupingResult, Overall, Verdict, from_record, to_json, to_record
from fairaudit.workflows.audit import audit
from fairaudit.workflows.audit_shards import audit_shards
from fairaudit.workflows.gate import gate
from fairaudit.workflows.merge import Shard, merge

AGES = ("young", "middle", "old", "ancient")


def _predictions(n: int = 900, scores: bool = False) -> Predictions:
    rng = np.random.default_rng(1)
    race, pose = rng.choice(3, n, p=[0.5, 0.35, 0.15]), rng.integers(-1, 2, n)
    age = rng.choice(3, n)
    y_true = rng.integers(0, 2, n)
    right = rng.random(n) < 0.95 - 0.1 * (race == 1) - 0.15 * (age == 0) * (race == 2)
    score = np.where(right == (y_true == 1), rng.uniform(0.5, 1, n), rng.uniform(0, 0.5, n))
    columns = {
        "race": Column(race, ("a", "b", "c")),
        "age": Column(age, AGES),
        "pose": Column(pose, ("front", "side")),
        "gender": Column(rng.integers(0, 2, n), ("f", "m")),
    }
    scored = np.stack([1 - score, score], 1) if scores else None
    task = Task(("cat", "dog"), y_true, np.where(right, y_true, 1 - y_true), scored)
    rows = np.array([f"{i}" for i in range(n)], dtype=object)
    return Predictions(rows, {"animal": task}, columns, {"years": rng.uniform(0, 90, n)})


def _settings(**values: Any) -> AuditSettings:
    return AuditSettings.model_validate({"by": [["race"]], "privileged": [{"race": "a"}], "bootstrap": 100, **values})


def _level(result: AuditResult, by: tuple[str, ...], **given: str) -> GroupingResult:
    found = [g for g in result.groupings if g.by == by and g.given == given]
    assert len(found) == 1
    return found[0]


def test_a_level_is_the_audit_of_its_images() -> None:
    predictions = _predictions(scores=True)
    asked = {"shrink": True, "positive": "dog"}
    result = audit(predictions, _settings(by=[["race"], ["race", "gender"]], given=[["age"], ["age", "pose"]], **asked))
    for by, given in (
        (("race",), {"age": "young"}),
        (("race", "gender"), {"age": "old"}),
        (("race",), {"age": "middle", "pose": "side"}),
    ):
        there = _level(result, by, **given)
        where = " and ".join(f'{name} == "{value}"' for name, value in given.items())
        privileged = [dict(there.privileged or {})]
        alone = audit(predictions, _settings(by=[list(by)], where=where, privileged=privileged, **asked)).groupings[0]
        assert {m.partition("[")[0] for m in there.groups[0].metrics} > {"accuracy", "auroc", "ece"}
        assert there.scores is not None
        assert _text(there) == _text(alone)
    assert [g.given for g in result.groupings[:2]] == [None, None], "those of all images come first"
    assert result.unconditional == result.groupings[:2]
    assert [g.given for g in result.within(("race",), ("age",))] == [{"age": name} for name in AGES]
    assert sum(g.n for g in result.within(("race",), ("age",))[3].groups) == 0, "an absent level is shown"


def _text(grouping: GroupingResult) -> str:
    """What a record says of a grouping's numbers, as nan equals nothing."""
    plain = replace(grouping, given=None, privileged_is="named")
    return to_json(AuditResult({}, Overall(0, {}), (plain,)))


def test_means_over_levels_stand_beside_the_groupings() -> None:
    result = audit(_predictions(), _settings(given=[["age"], ["pose"]]))
    assert [(one.by, one.given) for one in result.conditional] == [(("race",), ("age",)), (("race",), ("pose",))]
    gap = next(d for d in result.conditional[0].disparities if (d.metric, d.kind) == ("accuracy", "gap"))
    levels = result.within(("race",), ("age",))
    each = [next(d.estimate for d in g.disparities if (d.metric, d.kind) == ("accuracy", "gap")) for g in levels[:3]]
    sizes = [sum(one.n for one in g.groups) for g in levels[:3]]
    assert gap.estimate.value == pytest.approx(np.average([e.value for e in each], weights=sizes))
    unknown = int((_predictions().attributes["pose"].codes == -1).sum())
    assert result.notes == (f"{unknown} images whose pose is not known are within none of its levels",)
    assert to_json(from_record(json.loads(to_json(result)))) == to_json(result)


def test_without_it_nothing_is_stored_of_it() -> None:
    record = to_record(audit(_predictions(), _settings()))
    assert "conditional" not in record
    assert not {"given", "label_noise"} & set(record["groupings"][0])
    assert "shrunk" not in record["groupings"][0]["groups"][0]
    assert not {"given", "label_noise", "shrink"} & set(record["settings"])


def test_numbers_are_held_fixed_in_bins() -> None:
    result = audit(_predictions(), _settings(given=[["years"]], bins={"years": [0, 30, 60]}))
    assert [g.given for g in result.groupings[1:]] == [{"years": name} for name in ("0 to <30", "30 to <60", "60 or more")]
    with pytest.raises(UsageError) as caught:
        audit(_predictions(), _settings(given=[["years"]]))
    assert str(caught.value) == (
        "--given years: years is numeric and has no levels; say where each starts, --bins years=0,18,40,65"
    )


def test_a_rule_brings_its_own_levels() -> None:
    rules = ["accuracy gap by race given age,pose <= 0.5", "accuracy gap by gender <= 0.5"]
    result = audit(_predictions(), _settings(by=[], rules=rules))
    assert {(g.by, tuple(g.given or ())) for g in result.groupings} == {
        (("race",), ()), (("gender",), ()), (("race",), ("age", "pose")),
    }  # fmt: skip


@pytest.mark.parametrize("people", [False, True])
def test_a_stored_audit_gets_the_same_verdicts(people: bool) -> None:
    predictions = _predictions()
    if people:
        who = np.arange(len(predictions)) // 3
        predictions = replace(predictions, identity=Column(who, tuple(f"p{i}" for i in range(int(who.max()) + 1))))
    rules = [
        "accuracy gap by race given age <= 0.1",
        "accuracy difference by race given age <= 0.02",
        "disparate_impact[dog] by race given pose >= 0.3",
        "average_odds_difference by race given age <= 0.3",
        "theil_index[dog] by race given pose <= 0.3",
        "accuracy worst_group by race given age >= 0.01",
        "accuracy gap by race <= 0.1",
    ]
    result = audit(predictions, _settings(given=[["age"], ["pose"]], rules=rules))
    assert {r.verdict for r in result.rules} >= {Verdict.PASS, Verdict.INCONCLUSIVE}
    bare = audit(predictions, _settings(given=[["age"], ["pose"]]))
    stored = from_record(json.loads(to_json(bare)))
    assert to_json(gate(stored, rules)) == to_json(result)
    assert to_json(gate(from_record(json.loads(to_json(result))), ())) == to_json(result)


def test_people_within_several_levels_widen_the_mean() -> None:
    predictions = _predictions()
    who = np.random.default_rng(0).integers(0, 300, len(predictions))
    named = replace(predictions, identity=Column(who, tuple(f"p{i}" for i in range(300))))
    with_people = audit(named, _settings(given=[["age"]]))
    apart = audit(named, _settings(given=[["age"]], cluster=False))
    gaps = [
        next(d.estimate for d in one.conditional[0].disparities if (d.metric, d.kind) == ("accuracy", "gap"))
        for one in (with_people, apart)
    ]
    assert gaps[0].value == gaps[1].value
    assert gaps[0].ci_high > gaps[1].ci_high
    assert (
        "people are within up to 3 levels of age, which are then no independent samples: limits of means over levels hold "
        "whatever their correlation"
    ) in with_people.notes


SETTINGS = {
    "by": [["race"], ["race", "gender"]], "given": [["age"]], "bins": {"years": [0, 30, 60]}, "shrink": True,
    "label_noise": {"race": {"a": {"a": 0.9, "b": 0.1}, "b": {"b": 1.0}, "c": {"c": 1.0}}, "gender": 0.02},
    "rules": ["accuracy gap by race given age <= 0.1"],
}  # fmt: skip


def test_a_stream_says_the_same(tmp_path: Path) -> None:
    predictions = _predictions()
    write_predictions(predictions, tmp_path / "p.parquet")
    settings = _settings(**SETTINGS)
    assert to_json(audit_shards(tmp_path / "p.parquet", settings)) == to_json(audit(predictions, settings))


@pytest.mark.training
def test_merged_shards_are_the_union() -> None:
    whole = _predictions()
    settings = _settings(**SETTINGS)
    part = np.arange(len(whole)) % 3 == 0
    shards = [Shard(name, audit(whole.take(rows), settings)) for name, rows in (("x", part), ("y", ~part))]
    assert to_json(merge(shards)) == to_json(audit(whole, settings))


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"given": [["race"]]}, UsageError,
         "--given race: every grouping names it already (race); hold another column fixed, or add a grouping without it"),
        ({"given": [["age", "Age"]]}, UsageError, "--given age,Age names a column twice"),
        ({"given": [["ages"]]}, UnknownNameError,
         "unknown column whose levels are held fixed (given): 'ages'; did you mean 'age'?"),
        ({"label_noise": {"pose": 0.1}}, UnknownNameError,
         "unknown attribute in --label-noise: 'pose'; choose from race"),
        ({"label_noise": {"animal": 0.1}, "by": [["race"], ["animal"]]}, UsageError,
         "--label-noise of animal: it is the target, whose wrong labels change what is right; only labels of groups can be "
         "asked about"),
        ({"label_noise": 0.1, "by": [["animal"]], "privileged": []}, UsageError,
         "--label-noise: animal is the target itself; name a grouping by something else"),
    ],
)  # fmt: skip
def test_refusals(values: dict[str, Any], kind: type[UsageError], message: str) -> None:
    with pytest.raises(kind) as caught:
        audit(_predictions(90), _settings(**values))
    assert str(caught.value) == message


def test_a_grouping_by_the_column_itself_is_left_alone() -> None:
    result = audit(_predictions(), _settings(by=[["race"], ["age"]], given=[["age"]]))
    assert {(g.by, tuple(g.given or ())) for g in result.groupings} == {
        (("race",), ()),
        (("age",), ()),
        (("race",), ("age",)),
    }


def test_labels_of_the_target_are_taken_as_right() -> None:
    result = audit(_predictions(), _settings(by=[["race", "animal"], ["race"]], label_noise=0.05))
    assert [dict(g.label_noise.errors) for g in result.groupings if g.label_noise is not None] == [{"race": 0.05}] * 2
    assert result.notes[-1] == (
        "how far disparities could move if labels of race are wrong is listed apart: no interval and no verdict includes it"
    )


def test_too_few_groups_are_not_shrunk_and_that_is_said() -> None:
    result = audit(_predictions(), _settings(by=[["gender"], ["race"]], shrink=True))
    gender, race = result.groupings
    assert [g.shrunk for g in gender.groups] == [{}, {}]
    assert all(g.shrunk and "accuracy" in g.shrunk for g in race.groups)
    assert result.notes == (
        "nothing is shrunk by gender: fewer than 3 of its groups have images, which says nothing of how groups scatter",
    )
