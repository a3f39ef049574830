"""A streamed table's audit is, byte for byte, that of the table read as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairaudit.artifacts import shards
from fairaudit.artifacts.tables import TableColumns, read_predictions, write_predictions
from fairaudit.config import AuditSettings
from fairaudit.errors import FairauditError, PredictionsError, UnknownNameError, UsageError
from fairaudit.metrics.scored import scored_named
from fairaudit.predictions import MISSING, Column, Predictions, Task
from fairaudit.results import AuditResult, Estimate, Verdict, to_json
from fairaudit.workflows import audit_shards as streaming
from fairaudit.workflows.audit import audit
from fairaudit.workflows.audit_shards import audit_shards
from fairaudit.workflows.audit_table import audit_table

RULES = ("accuracy gap by race <= 0.2", "accuracy worst_group by gender >= 0.5")
PLAIN = AuditSettings(target="age", by=(("race",), ("gender",)), rules=RULES, min_support=5, bootstrap=100)


def predictions(seed: int, n: int = 700, scores: bool = False) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < 0.7, y, rng.integers(0, 3, n)).astype(np.int64)
    y[::17] = MISSING
    race = rng.choice(3, n, p=[0.2, 0.5, 0.3])
    race[::11] = MISSING
    columns = {
        "race": Column(race, ("Asian", "Black", "White", "absent")),
        "gender": Column(rng.integers(0, 2, n), ("man", "woman")),
    }
    years = rng.choice([10.0, 18.5, 20.0, 29.0, 41.0], n)
    years[::23] = np.nan
    score = rng.dirichlet(np.ones(3), n) if scores else None
    tasks = {
        "age": Task(("old", "young", "mid"), y, predicted, score),
        "smile": Task(("no", "yes"), rng.integers(0, 2, n), rng.integers(0, 2, n)),
    }
    return Predictions(np.array([f"{i}.jpg" for i in range(n)], dtype=object), tasks, columns, {"years": years})


def written(whole: Predictions, folder: Path, parts: int = 3) -> Path:
    """A run folder whose predictions are in parts."""
    (folder / "predictions").mkdir(parents=True)
    for i in range(parts):
        write_predictions(whole.take(np.arange(len(whole)) % parts == i), folder / "predictions" / f"part-{i}.parquet")
    return folder


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "BATCH_ROWS", 50)


CHANGES: list[Mapping[str, Any]] = [
    {},
    {"by": (("race", "gender"), ("gender",)), "rules": (), "positive": "young", "privileged": ({"race": "white"},)},
    {"by": (("Race",), ("smile", "gender"), ("age",)), "rules": ()},
    {"where": 'years >= 30 and gender == "woman"'},
    {"where": 'race in ["black", "White"]', "missing": "group"},
    {"by": (("years",), ("years", "gender")), "bins": {"years": (18.0, 40.0)}, "rules": (), "missing": "group"},
    {"by": (("race",),), "rules": (), "beta": (0.5,), "aggregate": ("micro", "weighted"), "confidence": 0.9},
    {"target": "smile", "by": (("age",),), "rules": ()},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_a_stream_of_our_parts(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    settings = AuditSettings.model_validate({**PLAIN.model_dump(), **changes})
    folder = written(predictions(1), tmp_path / "run")
    whole = audit(read_predictions(folder), settings)
    assert to_json(audit_shards(folder, settings)) == to_json(whole)


def test_combinations_too_many_to_count_in_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(predictions(8), tmp_path / "run")
    usual = to_json(audit_shards(folder, PLAIN))
    monkeypatch.setattr(shards, "_DENSE", 0)
    assert to_json(audit_shards(folder, PLAIN)) == usual


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"by": (("race", "gender"), ("years",))},
        {"where": 'years < 30 or race == "Black"'},
        {"by": (("years",),), "rules": (), "bins": {"years": (20.0, 40.0)}},
        {"by": (("age",), ("smile",)), "rules": ()},
        {"target": "how old", "by": (("gender",),), "rules": ()},
    ],
)
def test_a_stream_of_anybodys_parts(tmp_path: Path, changes: Mapping[str, Any], plain: bool) -> None:
    """Text and number columns, declared or not, are spelled as they are when the table is read as a whole."""
    folder = written(predictions(2), tmp_path / "run")
    if plain:
        for part in (folder / "predictions").iterdir():
            table = pq.ParquetFile(part).read().replace_schema_metadata(None)
            fields = [f.with_type(f.type.value_type) if hasattr(f.type, "value_type") else f for f in table.schema]
            pq.write_table(table.cast(pa.schema(fields)), part)
    settings = AuditSettings.model_validate({**PLAIN.model_dump(), "target": None, **changes})
    mine, _ = audit_table(folder, settings, y_true="age", stream=True)
    theirs, _ = audit_table(folder, settings, y_true="age", stream=False)
    assert to_json(mine) == to_json(theirs)


def test_a_table_that_declares_nothing(tmp_path: Path) -> None:
    folder = written(predictions(3), tmp_path / "run")
    for part in (folder / "predictions").iterdir():
        pq.write_table(pq.ParquetFile(part).read().replace_schema_metadata(None), part)
    settings = PLAIN.model_copy(update={"by": (("race", "gender"),)})
    assert to_json(audit_shards(folder, settings)) == to_json(audit(read_predictions(folder), settings))


def _split(result: AuditResult, *, areas: bool) -> tuple[AuditResult, dict[str, float]]:
    """An audit without what it measures on scores, and its areas, every one by its place."""
    found: dict[str, float] = {}

    def ours(key: str) -> bool:
        return scored_named(key.partition("[")[0]) is not None

    def kept(metrics: Mapping[str, Estimate], where: str) -> dict[str, Estimate]:
        found.update({f"{where} {key}": metrics[key].value for key in metrics if areas and key.startswith("auroc")})
        return {key: metrics[key] for key in metrics if not ours(key)}

    groupings = []
    for g in result.groupings:
        groups = tuple(replace(one, metrics=kept(one.metrics, str(dict(one.group)))) for one in g.groups)
        for d in g.disparities:
            if areas and d.metric.startswith("auroc"):
                whose = d.group if d.kind == "difference" else ""  # the worst of two groups that are alike is either
                found[f"{g.by} {d.metric} {d.kind} {whose}"] = d.estimate.value
        disparities = tuple(d for d in g.disparities if not ours(d.metric))
        groupings.append(replace(g, groups=groups, disparities=disparities, scores=None))
    overall = replace(result.overall, metrics=kept(result.overall.metrics, "all"))
    return replace(result, overall=overall, groupings=tuple(groupings), notes=()), found


@pytest.mark.parametrize("positive", [None, "old"])
def test_of_scores_the_areas_are_kept_and_that_is_said(tmp_path: Path, positive: str | None) -> None:
    folder = written(predictions(4, scores=True), tmp_path / "run")
    settings = PLAIN.model_copy(update={"positive": positive})
    streamed = audit_shards(folder, settings)
    rest, areas = _split(streamed, areas=True)
    expected_rest, expected = _split(audit(read_predictions(folder), settings), areas=True)
    assert to_json(rest) == to_json(expected_rest)
    assert list(areas) == list(expected)
    assert list(areas.values()) == pytest.approx(list(expected.values()), abs=2e-3, nan_ok=True)
    [note] = [note for note in streamed.notes if "streamed" in note]
    assert re.fullmatch(
        r"the table was streamed, and AUROC is that of histograms of its scores, off by (\S+) at the most; what else needs "
        "scores is left out; audit with --no-stream, or audit a part",
        note,
    )


def test_scores_are_left_out_where_there_would_be_too_many_histograms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_HISTOGRAMS", 3)
    folder = written(predictions(4, scores=True), tmp_path / "run")
    result = audit_shards(folder, PLAIN)
    whole = predictions(4, scores=True)
    without = replace(whole, tasks={k: replace(t, y_score=None) for k, t in whole.tasks.items()})
    expected = audit(without, PLAIN)
    note = "the table was streamed, and its scores were not read"
    assert [n for n in result.notes if n.startswith(note)]
    assert to_json(replace(result, notes=())) == to_json(replace(expected, notes=()))


def test_what_a_stream_cannot_tell_of_scores_is_refused(tmp_path: Path) -> None:
    folder = written(predictions(4, scores=True), tmp_path / "run")
    judged = audit_shards(folder, PLAIN.model_copy(update={"rules": ("auroc[old] gap by gender <= 0.99",)}))
    assert [rule.verdict for rule in judged.rules] == [Verdict.PASS]
    needing: list[Mapping[str, Any]] = [
        {"rules": ("brier gap by race <= 0.1",)},
        {"threshold": 0.5, "positive": "old"},
        {"target": "age,smile"},
    ]
    for changes in needing:
        with pytest.raises(UsageError, match=r"scores|several targets"):
            audit_shards(folder, AuditSettings.model_validate({**PLAIN.model_dump(), **changes}))


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "no score"), (1.5, "a score outside 0 to 1")])
def test_scores_that_are_no_chances_are_refused_with_their_row(tmp_path: Path, bad: float, said: str) -> None:
    whole = predictions(4, scores=True)
    score = whole.tasks["age"].y_score
    assert score is not None
    score[600, 1] = bad
    folder = written(whole, tmp_path / "run", parts=1)
    with pytest.raises(PredictionsError, match=rf"row 601 of .* has {said} in the column 'age_score\[young\]'"):
        audit_shards(folder, PLAIN)


def test_people_need_the_rows_and_that_is_said(tmp_path: Path) -> None:
    who = Column(np.arange(700) // 7, tuple(map(str, range(100))))
    folder = written(replace(predictions(4), identity=who), tmp_path / "run")
    result = audit_shards(folder, PLAIN)
    assert [note for note in result.notes if "streamed" in note] == [
        "the table was streamed, and who is on its images was not read: intervals treat images as independent, and are too "
        "narrow where people are on several; audit with --no-stream, or audit a part"
    ]
    assert to_json(replace(result, notes=())) == to_json(replace(audit(predictions(4), PLAIN), notes=()))


def test_large_folders_stream_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(predictions(5), tmp_path / "run")
    assert not streaming.should_stream(folder)
    monkeypatch.setattr(streaming, "MANY_ROWS", 699)
    assert streaming.should_stream(folder)
    _, out = audit_table(folder, PLAIN, out=tmp_path / "out", report=False)
    assert out is not None
    assert sorted(file.name for file in out.iterdir()) == ["audit.json", "run.json"]


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"by": (("rase",),), "rules": ()}, UnknownNameError, "race"),
        ({"by": (("years",),), "rules": ()}, UsageError, "years is numeric"),
        ({"by": (), "rules": ()}, UsageError, "name at least one grouping"),
        ({"where": "years > 200"}, PredictionsError, "all 700 were ruled out"),
        ({"target": None}, UsageError, "2 targets"),
        ({"privileged": ({"race": "Blue"},)}, UnknownNameError, "Blue"),
    ],
)
def test_what_cannot_be_audited(
    tmp_path: Path, changes: Mapping[str, Any], error: type[FairauditError], match: str
) -> None:
    folder = written(predictions(6), tmp_path / "run")
    with pytest.raises(error, match=match):
        audit_shards(folder, AuditSettings.model_validate({**PLAIN.model_dump(), **changes}))


def test_columns_that_cannot_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(predictions(7), tmp_path / "run")
    hints = TableColumns("age", "smile_pred", classes=("old", "young", "mid", "no", "yes"), by=("race",))
    audit_shards(folder, PLAIN, hints)
    empty = TableColumns("gender", "race", by=("race",))
    with pytest.raises(PredictionsError, match=r"column 'race' of .* is empty in 64 rows"):
        audit_shards(folder, PLAIN.model_copy(update={"target": None}), empty)
    monkeypatch.setattr(shards, "MAX_COMBINATIONS", 5)
    with pytest.raises(PredictionsError, match=r"age, age_pred, race together take more than"):
        audit_shards(folder, PLAIN)
    monkeypatch.setattr(shards, "MAX_VALUES", 2)
    with pytest.raises(PredictionsError, match=r"more than 2 different values"):
        audit_shards(folder, PLAIN)
