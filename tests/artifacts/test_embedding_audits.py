"""``embedding.json``: what is written is read again, fits its published schema, and what does not is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fairaudit.artifacts.embedding_audits import read_embedding_audit, write_embedding_audit
from fairaudit.artifacts.embedding_schema import embedding_schema
from fairaudit.errors import ArtifactError
from fairaudit.results.embedding_record import embedding_json
from tests.reports import embedded


@pytest.mark.parametrize("kept", [embedded.plain(), embedded.bare()], ids=["plain", "bare"])
def test_a_record_fits_its_schema_and_comes_back(kept: Any, tmp_path: Path) -> None:
    write_embedding_audit(kept, tmp_path / "embedding.json")
    assert embedding_json(read_embedding_audit(tmp_path)) == (tmp_path / "embedding.json").read_text(encoding="utf-8")
    schema = embedding_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(embedding_json(kept)), schema)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "has the schema version 2, and this fairaudit reads version 1; audit the embeddings again"),
        ({"schema_version": True}, "has the schema version True, and"),
        ({"numbers": None}, "is not an embedding audit; name what 'fairaudit embed' wrote"),
        ({"n": -1}, "is not a valid embedding audit: n: input should be greater than or equal to 0"),
        ({"groupings": []}, "is not a valid embedding audit: groupings: list should have at least 1 item"),
        ({"leaks": [{"attribute": "race"}]}, r"is not a valid embedding audit: leaks\.0\.probe: field required"),
        ({"more": 1}, "is not a valid embedding audit: more: extra inputs are not permitted"),
    ],
)
def test_what_is_no_record_of_ours_is_refused_in_a_sentence(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    record = json.loads(embedding_json(embedded.plain())) | changes
    record = {key: value for key, value in record.items() if value is not None}
    path = tmp_path / "embedding.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ArtifactError, match=said):
        read_embedding_audit(path)


@pytest.mark.parametrize("place", ["curve", "fmr", "fnmr"])
@pytest.mark.parametrize("value", [1e300, -0.5, 1.1])
def test_rates_that_are_none_are_refused(place: str, value: float, tmp_path: Path) -> None:
    record = json.loads(embedding_json(embedded.plain()))
    verified = next(g["verified"] for g in record["groupings"][0]["groups"] if g["verified"] is not None)
    if place == "curve":
        verified["curve"][0][1] = value
    else:
        verified[place]["value"] = value
    path = tmp_path / "embedding.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"verified\.{place}.*: input should be (greater|less) than or equal to"):
        read_embedding_audit(path)


def test_geometry_that_lacks_a_measure_is_refused(tmp_path: Path) -> None:
    record = json.loads(embedding_json(embedded.plain()))
    del record["groupings"][0]["groups"][0]["geometry"]["inter"]
    path = tmp_path / "embedding.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ArtifactError, match="inter is missing"):
        read_embedding_audit(path)


def test_no_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no such file; name an embedding\.json or the run folder"):
        read_embedding_audit(tmp_path)
