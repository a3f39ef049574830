"""``comparison.json``: its schema, its bytes, what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.artifacts.comparison_schema import comparison_schema
from fairaudit.artifacts.comparisons import comparison_file, read_comparison, write_comparison
from fairaudit.comparison import (
    Change,
    ComparisonResult,
    Design,
    GroupingChange,
    PairComparison,
    Trend,
    comparison_from_record,
    comparison_json,
)
from fairaudit.config import AuditSettings
from fairaudit.errors import ArtifactError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import Estimate
from fairaudit.workflows.compare import Side, compare

NAN = math.nan


def found(unpaired: bool = False, seeds: bool = False) -> ComparisonResult:
    """A comparison as the workflow makes it, with people, scores and an absent group."""

    def side(seed: int) -> Side:
        rng = np.random.default_rng(seed)
        y = np.arange(120) % 2
        p = 1 / (1 + np.exp(-2 * (y - 0.5) - rng.normal(size=120)))
        task = Task(("no", "yes"), y, (p > 0.5).astype(np.int64), np.stack([1 - p, p], 1))
        race = Column(np.arange(120) % 3, ("A", "B", "C", "absent"))
        rows = np.array([f"{i}.jpg" for i in range(120)], dtype=object)
        who = Column(np.arange(120) // 3, tuple(map(str, range(40))))
        return Side(f"model {seed}", Predictions(rows, {"smile": task}, {"race": race}, {}, who))

    asked = AuditSettings(by=(("race",),), bootstrap=100, positive="yes", beta=(0.5,), aggregate=("worst",))
    if seeds:
        return compare([side(0), side(1)], [side(2), side(3)], asked, seeds=True)
    return compare([side(0)], [side(1)] if unpaired else [side(1), side(2)], asked, unpaired=unpaired)


@pytest.mark.parametrize(("unpaired", "seeds"), [(False, False), (True, False), (False, True)])
def test_a_file_gives_back_the_comparison(unpaired: bool, seeds: bool, tmp_path: Path) -> None:
    result = found(unpaired, seeds)
    text = comparison_json(result)
    assert comparison_json(found(unpaired, seeds)) == text, "the same input, settings and seed"
    jsonschema.Draft202012Validator(comparison_schema()).validate(json.loads(text))
    path = tmp_path / "comparison.json"
    write_comparison(result, path)
    assert path.read_bytes() == text.encode("utf-8")
    again = read_comparison(tmp_path)
    assert comparison_json(again) == text
    assert [pair.design for pair in again.pairs] == [pair.design for pair in result.pairs]
    for one, other in zip(result.pairs[0].groupings[0].changes, again.pairs[0].groupings[0].changes, strict=True):
        assert (one.metric, one.kind, one.group, one.trend, one.test) == (
            other.metric, other.kind, other.group, other.trend, other.test,
        )  # fmt: skip
        assert math.isnan(other.p) == math.isnan(one.p)


numbers = st.floats(allow_infinity=False, width=64)
estimates = st.builds(Estimate, numbers, numbers, numbers, st.integers(0, 10**9), st.none() | st.text(max_size=5))
chances = st.floats(0, 1) | st.just(NAN)
changes = st.builds(
    Change, st.text(max_size=5), st.sampled_from([None, "mean", "gap", "spread", "worst_group"]),
    st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2), estimates, estimates, estimates,
    chances, chances, chances, st.sampled_from([None, "mcnemar", "person sign-flip", "permutation", "mover", "paired t"]),
    st.none() | st.integers(0, 99), st.none() | st.integers(0, 99),
    st.none() | st.tuples(st.floats(0, 9) | st.just(NAN), st.floats(0, 9)), st.sampled_from(Trend),
)  # fmt: skip
groupings = st.builds(GroupingChange, st.just(("race",)), st.lists(changes, max_size=2).map(tuple))
pairs = st.builds(
    PairComparison, st.text(max_size=4), st.text(max_size=4), st.sampled_from(Design),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.builds(GroupingChange, st.just(()), st.lists(changes, max_size=1).map(tuple)),
    st.lists(groupings, max_size=2).map(tuple), st.lists(st.text(max_size=5), max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(pairs, max_size=1))
def test_any_comparison_survives_its_record(parts: list[PairComparison]) -> None:
    text = comparison_json(ComparisonResult({"target": "x"}, tuple(parts)))
    record = json.loads(text)
    jsonschema.Draft202012Validator(comparison_schema()).validate(record)
    assert comparison_json(comparison_from_record(record)) == text


def test_the_schema_is_strict_and_describes_itself() -> None:
    schema = comparison_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "fairaudit comparison"
    assert all(d["additionalProperties"] is False for d in schema["$defs"].values() if "properties" in d)
    change = schema["$defs"]["ChangeRecord"]
    assert set(change["required"]) == set(change["properties"])


def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    record: dict[str, Any] = json.loads(comparison_json(found()))
    path = tmp_path / "comparison.json"
    with pytest.raises(ArtifactError, match=r"comparison.json: no such file; name a comparison.json or the folder"):
        read_comparison(tmp_path)

    def refused(changed: Any, message: str) -> None:
        path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
        with pytest.raises(ArtifactError, match=message) as error:
            read_comparison(path)
        assert "\n" not in str(error.value)

    refused("{", r"is not valid JSON")
    refused({"schema_version": 1, "overall": {}}, r"is not a comparison; name what 'fairaudit compare --out' wrote")
    refused({**record, "schema_version": 9}, r"has the schema version 9, and this fairaudit reads version 1")
    refused({**record, "mood": 1}, r"is not a valid comparison: mood: extra inputs are not permitted")
    wrong = json.loads(json.dumps(record))
    wrong["comparisons"][0]["overall"][0]["p"] = 1.5
    refused(wrong, r"is not a valid comparison: comparisons.0.overall.0.p: ")
    wrong = json.loads(json.dumps(record))
    wrong["comparisons"][1]["groupings"][0]["changes"][0]["trend"] = "good"
    refused(wrong, r"is not a valid comparison: comparisons.1.groupings.0.changes.0.trend: ")


def test_where_it_is_written(tmp_path: Path) -> None:
    assert comparison_file(tmp_path) == tmp_path / "comparison.json"
    assert comparison_file(tmp_path / "mine.json") == tmp_path / "mine.json"
    assert comparison_file(tmp_path / "new") == tmp_path / "new" / "comparison.json"
    (tmp_path / "odd.json").mkdir()
    assert comparison_file(tmp_path / "odd.json") == tmp_path / "odd.json" / "comparison.json"
