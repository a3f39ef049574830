"""Audits of shards merge into the audit of the union, or are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairaudit.artifacts.records import read_audit, write_audit
from fairaudit.config import AuditSettings
from fairaudit.errors import ArtifactError, UsageError
from fairaudit.predictions import MISSING, Column, Predictions, Task
from fairaudit.results import AuditResult, to_json
from fairaudit.workflows import run_reports
from fairaudit.workflows.audit import audit
from fairaudit.workflows.merge import Shard, merge, merge_files

RULES = ("accuracy gap by race <= 0.2", "accuracy worst_group by gender >= 0.5")
PLAIN = AuditSettings(by=(("race",), ("gender",)), rules=RULES, min_support=5, bootstrap=100)


def predictions(seed: int, n: int = 240, unlabelled: bool = False) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < 0.7, y, rng.integers(0, 3, n)).astype(np.int64)
    if unlabelled:
        y[::17] = MISSING
    columns = {
        "race": Column(rng.choice(3, n, p=[0.2, 0.5, 0.3]), ("Asian", "Black", "White", "absent")),
        "gender": Column(rng.integers(0, 2, n), ("man", "woman")),
    }
    rows = np.array([f"{i}.jpg" for i in range(n)], dtype=object)
    return Predictions(rows, {"age": Task(("old", "young", "mid"), y, predicted)}, columns)


def parts(whole: Predictions, seed: int, shards: int) -> list[Predictions]:
    place = np.random.default_rng(seed).integers(0, shards, len(whole))
    return [whole.take(place == i) for i in range(shards)]


def audited(tables: list[Predictions], settings: AuditSettings, **more: Any) -> list[Shard]:
    return [Shard(f"shard {i}", audit(table, settings, **more)) for i, table in enumerate(tables)]


@pytest.mark.parametrize("shards", [2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_the_merged_audit_is_the_audit_of_the_union(seed: int, shards: int) -> None:
    whole = predictions(seed, unlabelled=seed % 2 == 1)
    merged = merge(audited(parts(whole, seed, shards), PLAIN))
    assert to_json(merged) == to_json(audit(whole, PLAIN))


@pytest.mark.parametrize(
    ("changes", "card"),
    [
        ({"by": (("race", "gender"),), "rules": (), "positive": "young"}, {}),
        ({"by": (("race", "gender"),), "rules": (), "privileged": ({"race": "White", "gender": "man"},)}, {}),
        ({"by": (("race",), ("age",)), "rules": ()}, {"race": "Asian"}),
        ({"where": 'gender == "woman" or race == "Black"'}, {}),
        ({"confidence": 0.9, "min_support": 30}, {}),
    ],
)
def test_settings_survive(changes: Mapping[str, Any], card: Mapping[str, str]) -> None:
    settings = AuditSettings.model_validate({**PLAIN.model_dump(), **changes})
    whole = predictions(11, n=600)
    merged = merge(audited(parts(whole, 3, 3), settings, card_privileged=card))
    assert to_json(merged) == to_json(audit(whole, settings, card_privileged=card))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("named", [{"race": "White"}, {"gender": "man"}, None])
def test_a_level_named_in_a_crossed_grouping_is_stored(named: Mapping[str, str] | None, seed: int) -> None:
    privileged = () if named is None else (named,)
    settings = PLAIN.model_copy(update={"by": (("race", "gender"), ("race",)), "rules": (), "privileged": privileged})
    whole = predictions(seed, n=90)  # few images: other cells are the largest in other shards
    shards = audited(parts(whole, seed, 4), settings)
    assert {shard.audit.groupings[0].privileged_is for shard in shards} == {"largest"}
    assert all(shard.audit.groupings[0].named == named for shard in shards)
    assert all(shard.audit.groupings[1].named is None for shard in shards)
    assert to_json(merge(shards)) == to_json(audit(whole, settings))


def test_levels_that_were_named_differently_cannot_be_merged() -> None:
    by: dict[str, Any] = {"by": (("race", "gender"),), "rules": ()}
    shards = [
        Shard(name, audit(predictions(2), PLAIN.model_copy(update={**by, "privileged": privileged})))
        for name, privileged in (("a", ({"race": "White"},)), ("b", ({"race": "Black"},)), ("c", ()))
    ]
    for other in shards[1:]:
        with pytest.raises(UsageError, match=r"a and [bc] cannot be merged: the privileged group of race,gender differs"):
            merge([shards[0], other])


def test_images_of_unknown_groups_are_summed() -> None:
    whole = predictions(6)
    race = whole.attributes["race"]
    codes = np.where(np.arange(240) % 9 == 0, MISSING, race.codes)
    whole = replace(whole, attributes={**whole.attributes, "race": replace(race, codes=codes)})
    merged = merge(audited(parts(whole, 1, 2), PLAIN))
    assert to_json(merged) == to_json(audit(whole, PLAIN))
    assert merged.groupings[0].missing == 27
    assert merged.overall.counts is None
    alone = PLAIN.model_copy(update={"by": (("race",),), "rules": ()})
    shards = audited(parts(whole, 1, 2), alone)
    union = audit(whole, alone)
    counts = np.array(union.overall.counts)
    assert (counts.shape, counts.sum()) == ((3, 3), 240)
    assert to_json(merge(shards)) == to_json(union)
    # only one shard has images whose race is not known
    halves = [whole.take(codes == MISSING), whole.take(codes != MISSING)]
    assert to_json(merge(audited(halves, alone))) == to_json(union)
    older = [Shard(s.name, replace(s.audit, overall=replace(s.audit.overall, counts=None))) for s in shards]
    with pytest.raises(UsageError, match=r"shard 0 cannot be merged: every grouping leaves images out .* audit its pred"):
        merge(older)


def test_what_all_images_need_is_read_back(tmp_path: Path) -> None:
    whole = predictions(6)
    unknown = {
        n: replace(c, codes=np.where(np.arange(240) % 9 == 0, MISSING, c.codes)) for n, c in whole.attributes.items()
    }
    whole = replace(whole, attributes=unknown)
    settings = PLAIN.model_copy(update={"by": (("race", "gender"),), "rules": (), "privileged": ({"race": "White"},)})
    paths = [tmp_path / f"{i}.json" for i in range(2)]
    for path, part in zip(paths, parts(whole, 0, 2), strict=True):
        write_audit(audit(part, settings), path)
    merged, _ = merge_files(paths)
    assert to_json(merged) == to_json(audit(whole, settings))


def test_people_cannot_be_counted_from_counts() -> None:
    whole = replace(predictions(7), identity=Column(np.arange(240) // 3, tuple(map(str, range(80)))))
    merged = merge(audited(parts(whole, 1, 2), PLAIN))
    union = audit(whole, PLAIN)
    assert any(note.startswith("240 images show 80 people") for note in union.notes)
    assert [note for note in merged.notes if "people" in note] == [
        "people are on several images, and intervals of the merged audit treat images as independent, which makes them "
        "too narrow; only the predictions tell who is on images of several shards: audit them together"
    ]
    assert union.groupings[0].clusters is not None
    independent = audit(replace(whole, identity=None), PLAIN)
    assert to_json(replace(merged, notes=())) == to_json(replace(independent, notes=()))


def shard(settings: AuditSettings = PLAIN, table: Predictions | None = None) -> Shard:
    return Shard("b", audit(table or predictions(2), settings))


def test_what_differs_is_named() -> None:
    first = Shard("a", audit(predictions(1), PLAIN))
    task = predictions(2).tasks["age"]
    renamed = replace(predictions(2), tasks={"years": task})
    classes = replace(predictions(2), tasks={"age": replace(task, classes=("old", "young", "other"))})
    levels = predictions(2)
    race = levels.attributes["race"]
    levels = replace(
        levels, attributes={**levels.attributes, "race": replace(race, levels=("A", "Black", "White", "absent"))}
    )
    refusals = [
        (shard(table=renamed), r"their target differs \(age and years\)"),
        (shard(table=classes), r"their classes differs \(old, young, mid and old, young, other\)"),
        (shard(PLAIN.model_copy(update={"confidence": 0.9})), r"their confidence differs \(0.95 and 0.9\)"),
        (
            shard(PLAIN.model_copy(update={"by": (("gender",), ("race",))})),
            r"their groupings differ \(race; gender and gender; race\)",
        ),
        (shard(table=levels), r"the groups of race differ"),
        (shard(PLAIN.model_copy(update={"privileged": ({"race": "White"},)})), r"the privileged group of race differs"),
        (shard(PLAIN.model_copy(update={"rules": RULES[::-1]})), r"judged by different rules"),
    ]
    for other, message in refusals:
        with pytest.raises(UsageError, match=rf"a and b cannot be merged: .*{message}|a and b cannot be merged: {message}"):
            merge([first, other])


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_reports, "report_files", lambda *_: {})  # pages have tests of their own, and take seconds
    whole = predictions(3)
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, part in zip(paths, parts(whole, 0, 2), strict=True):
        write_audit(audit(part, PLAIN), path)
    merged, written = merge_files(paths, tmp_path / "run")
    assert written is not None
    stored: AuditResult = read_audit(written)
    assert to_json(stored) == to_json(merged) == to_json(audit(whole, PLAIN))
    with pytest.raises(UsageError, match=r"named twice"):
        merge_files([paths[0], paths[0]])
    with pytest.raises(UsageError, match=r"at least two"):
        merge_files(paths[:1])
    paths[1].write_text(paths[1].read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(ArtifactError, match=r"has the schema version 99"):
        merge_files(paths, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_score_histograms_are_added_and_what_needs_rows_is_named() -> None:
    whole = predictions(8)
    rng = np.random.default_rng(0)
    score = rng.random(240)
    task = Task(("no", "yes"), rng.integers(0, 2, 240), (score > 0.5).astype(np.int64), np.stack([1 - score, score], 1))
    whole = replace(whole, tasks={"smile": task})
    settings = PLAIN.model_copy(update={"positive": "yes"})
    shards = audited(parts(whole, 2, 3), settings)
    merged, union = merge(shards), audit(whole, settings)
    for one, other in zip(merged.groupings, union.groupings, strict=True):
        assert one.scores is not None
        assert other.scores is not None
        for a, b in zip(one.scores.groups, other.scores.groups, strict=True):
            assert (a.negatives, a.positives) == (b.negatives, b.positives)
            np.testing.assert_allclose(a.reliability, b.reliability, rtol=1e-12)
    for name, estimate in union.overall.metrics.items():
        if name in merged.overall.metrics:
            assert merged.overall.metrics[name] == estimate
        else:
            assert any(note.startswith("left out of the merged audit") and name in note for note in merged.notes)
    assert "auroc" not in merged.overall.metrics
    assert merged.overall.metrics["accuracy"] == union.overall.metrics["accuracy"]
