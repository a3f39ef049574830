"""``mitigation.json``: its schema, its bytes, its first version, what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.artifacts.mitigation_schema import mitigation_schema
from fairaudit.artifacts.mitigations import read_mitigation, write_mitigation
from fairaudit.errors import ArtifactError
from fairaudit.results.mitigation import (
    ArmResult,
    Epoch,
    Loser,
    MitigationResult,
    Number,
    SeedRun,
    mitigation_from_record,
    mitigation_json,
)
from tests.reports.records import bare_experiment, experiment, sweep


@pytest.mark.parametrize("result", [experiment(), sweep(), bare_experiment()], ids=["plain", "sweep", "bare"])
def test_a_file_gives_back_the_experiment(result: MitigationResult, tmp_path: Path) -> None:
    text = mitigation_json(result)
    jsonschema.Draft202012Validator(mitigation_schema()).validate(json.loads(text))
    path = tmp_path / "mitigation.json"
    write_mitigation(result, path)
    assert path.read_bytes() == text.encode("utf-8")
    for place in (path, tmp_path):
        again = read_mitigation(place)
        assert mitigation_json(again) == text
        assert [arm.name for arm in again.arms] == [arm.name for arm in result.arms]
        assert [run.folder for run in again.arms[0].runs] == [run.folder for run in result.arms[0].runs]
        assert [len(run.epochs) for run in again.arms[0].runs] == [len(run.epochs) for run in result.arms[0].runs]


def test_an_epoch_is_a_line() -> None:
    """Of fifty epochs, three seeds and ten arms, a number a line would be a book."""
    lines = mitigation_json(experiment()).splitlines()
    assert sum('"epoch": 2,' in line for line in lines) == 6
    assert all('"worst": ' in line for line in lines if '"epoch": 2,' in line)


numbers = st.floats(-1e6, 1e6) | st.just(math.nan)
chances = st.floats(0, 1) | st.just(math.nan)
deviations = st.floats(0, 9) | st.just(math.nan)
texts = st.text(max_size=5)
bys = st.lists(texts, max_size=2).map(tuple)
values = st.builds(
    Number, texts, st.sampled_from([None, "worst_group", "gap", "spread"]), bys, numbers, deviations,
    numbers, numbers, numbers, chances, numbers, numbers, chances,
    st.sampled_from(["better", "worse", "higher", "lower", "undecided"]), st.lists(numbers, max_size=2).map(tuple),
    st.none() | st.dictionaries(texts, texts, max_size=2),
)  # fmt: skip
losers = st.builds(
    Loser, bys, st.dictionaries(texts, texts, max_size=2), st.floats(0, 1), st.floats(0, 1), chances, st.booleans()
)
epochs = st.builds(Epoch, st.integers(1, 99), numbers, numbers, numbers, numbers, st.lists(numbers, max_size=2).map(tuple))
runs = st.builds(
    SeedRun, st.integers(0, 9), texts, st.integers(0, 9), st.floats(0, 1e6), st.lists(epochs, max_size=2).map(tuple)
)
arms = st.builds(
    ArmResult, texts, texts, st.none() | texts,
    st.lists(runs, max_size=2).map(tuple), st.lists(values, max_size=2).map(tuple),
    st.lists(losers, max_size=2).map(tuple), st.booleans(), st.lists(texts, max_size=2).map(tuple),
    st.lists(values, max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(arms, min_size=1, max_size=2))
def test_any_experiment_survives_its_record(several: list[ArmResult]) -> None:
    text = mitigation_json(experiment(*several))
    record = json.loads(text)
    jsonschema.Draft202012Validator(mitigation_schema()).validate(record)
    assert mitigation_json(mitigation_from_record(record)) == text


def test_the_first_version_is_read_without_epochs_and_seeds(tmp_path: Path) -> None:
    record: dict[str, Any] = json.loads(mitigation_json(experiment()))
    record["schema_version"] = 1
    for arm in record["arms"]:
        for run in arm["runs"]:
            del run["epochs"]
        for number in arm["numbers"]:
            del number["by_seed"], number["group"]
        del arm["groups"]
    (tmp_path / "mitigation.json").write_text(json.dumps(record))
    found = read_mitigation(tmp_path)
    assert found.schema_version == 3
    assert (found.arms[1].runs[0].epochs, found.arms[1].numbers[0].by_seed, found.arms[1].groups) == ((), (), ())
    assert found.arms[1].numbers[2].value == 0.06


def test_the_schema_is_strict_and_describes_itself() -> None:
    schema = mitigation_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "fairaudit mitigation"
    strict = {name for name, one in schema["$defs"].items() if one.get("additionalProperties") is False}
    assert strict == set(schema["$defs"]) - {"ExperimentSettings", "JsonValue"}


def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    record: dict[str, Any] = json.loads(mitigation_json(experiment()))
    path = tmp_path / "mitigation.json"
    with pytest.raises(
        ArtifactError, match=r"mitigation.json: no such file; name a mitigation.json or the folder of an exp"
    ):
        read_mitigation(tmp_path)

    def refused(changed: Any, message: str) -> None:
        path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
        with pytest.raises(ArtifactError, match=message) as error:
            read_mitigation(path)
        assert "\n" not in str(error.value)

    refused("[", "is not valid JSON")
    refused({"schema_version": 1, "comparisons": []}, "is not an experiment; name what 'fairaudit mitigate' wrote")
    refused(
        {**record, "schema_version": 9}, "has the schema version 9, and this fairaudit reads versions 1 to 3; run the exp"
    )
    refused({**record, "schema_version": True}, "has the schema version True")
    refused({**record, "mood": 1}, "is not a valid experiment: mood: extra inputs are not permitted")
    refused({**record, "arms": []}, "is not a valid experiment: arms: list should have at least 1 item")
    wrong = json.loads(json.dumps(record))
    wrong["arms"][1]["numbers"][0]["p_images"] = 1.5
    refused(wrong, r"is not a valid experiment: arms\.1\.numbers\.0\.p_images: ")
    wrong = json.loads(json.dumps(record))
    del wrong["settings"]["seeds"]
    refused(wrong, r"is not a valid experiment: settings\.seeds: field required")
