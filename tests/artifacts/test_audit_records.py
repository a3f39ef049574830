from __future__ import annotations

import json
import math
import subprocess
import sys
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.artifacts.records import read_audit, write_audit, write_json, write_toml
from fairaudit.artifacts.schema import audit_schema
from fairaudit.errors import ArtifactError
from fairaudit.results import (
    AuditResult,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    Overall,
    RuleOutcome,
    RuleResult,
    Verdict,
    from_record,
    to_json,
    to_record,
)

NAN, INF = math.nan, math.inf


def audit() -> AuditResult:
    a, b, c = {"race": "A"}, {"race": "B"}, {"race": "C"}
    undefined = Estimate(NAN, NAN, NAN, 0, "undefined: 0 positives")
    return AuditResult(
        settings={"target": "gender", "classes": ["x", "y"], "positive": "y", "confidence": 0.95, "min_support": 20},
        overall=Overall(70, {"accuracy": Estimate(1 / 3, 0.25, 0.4, 70), "true_positive_rate": undefined}),
        groupings=(
            GroupingResult(
                by=("race",),
                privileged=a,
                privileged_is="largest",
                missing=2,
                counts=(((10, 0), (30, 0)), ((10, 10), (10, 0)), ((0, 0), (0, 0))),
                groups=(
                    GroupResult(a, 40, {"accuracy": Estimate(0.25, 0.1, 0.5, 40)}),
                    GroupResult(b, 30, {"accuracy": Estimate(1 / 3, 0.2, 0.5, 30)}),
                    GroupResult(c, 0, {"accuracy": Estimate(NAN, NAN, NAN, 0, "absent: no images")}),
                ),
                disparities=(
                    Disparity("selection_rate", "ratio", b, Estimate(INF, 2.5, INF, 30, "infinite: the value is 0")),
                    Disparity("accuracy", "ratio", b, Estimate(1.5, 1.25, INF, 30)),
                    Disparity("accuracy", "gap", None, Estimate(-0.0, -0.5, 0.5, 30, "left out: 1 of 3 groups")),
                    Disparity("acc_diff", None, None, Estimate(0.1, NAN, NAN, 30)),
                    Disparity("accuracy", "difference", b, Estimate(1 / 12, -0.1, 0.3, 30), 1 / 3, 2 / 3, 0.5),
                    Disparity("accuracy", "difference", c, Estimate(NAN, NAN, NAN, 0, "absent: no images")),
                ),
            ),
        ),
        rules=(
            RuleResult(
                "accuracy gap by race <= 0.1",
                Verdict.INCONCLUSIVE,
                (
                    RuleOutcome("accuracy", None, 0.083, 0.0, 0.2, Verdict.INCONCLUSIVE, "the interval is wide"),
                    RuleOutcome("accuracy", c, NAN, NAN, NAN, Verdict.INCONCLUSIVE, "absent: no images"),
                ),
            ),
        ),
        verdict=Verdict.INCONCLUSIVE,
        notes=("two images are left out — perceived labels",),
    )


def test_a_file_gives_back_the_audit_up_to_ten_digits(tmp_path: Path) -> None:
    write_audit(audit(), tmp_path / "audit.json")
    again = read_audit(tmp_path / "audit.json")
    # nan is not equal to itself, so the comparison goes by the text and by what the text cannot tell.
    assert to_json(again) == to_json(audit())
    assert math.isnan(again.overall.metrics["true_positive_rate"].value)
    infinite, unbounded, _, bare, *_ = (d.estimate for d in again.groupings[0].disparities)
    assert (infinite.value, infinite.ci_low, infinite.ci_high) == (INF, 2.5, INF)
    assert (unbounded.value, unbounded.ci_high) == (1.5, INF)
    assert math.isnan(bare.ci_low)
    assert math.isnan(bare.ci_high)
    tested, absent = again.groupings[0].disparities[-2:]
    assert (tested.p_value, tested.p_holm, tested.p_bh) == (0.3333333333, 0.6666666667, 0.5)
    assert (absent.p_value, absent.p_holm, absent.p_bh) == (None, None, None)
    assert again.groupings[0].counts == audit().groupings[0].counts
    assert again.settings == audit().settings
    assert again.rules[0].outcomes[0] == audit().rules[0].outcomes[0]
    assert read_audit(tmp_path).verdict is Verdict.INCONCLUSIVE  # the folder it lies in


def test_the_layout_is_the_published_one() -> None:
    record = to_record(audit())
    assert list(record) == ["schema_version", "settings", "overall", "groupings", "rules", "verdict", "notes"]
    grouping = record["groupings"][0]
    assert list(grouping) == ["by", "privileged", "privileged_is", "missing", "counts", "groups", "disparities"]
    assert grouping["by"] == ["race"]
    assert grouping["disparities"][0] == {
        "metric": "selection_rate", "kind": "ratio", "group": {"race": "B"},
        "value": None, "ci_low": 2.5, "ci_high": None, "support": 30, "reason": "infinite: the value is 0",
    }  # fmt: skip
    assert grouping["disparities"][-2] == {
        "metric": "accuracy", "kind": "difference", "group": {"race": "B"}, "value": 0.08333333333, "ci_low": -0.1,
        "ci_high": 0.3, "support": 30, "reason": None, "p_value": 0.3333333333, "p_holm": 0.6666666667, "p_bh": 0.5,
    }  # fmt: skip
    assert record["overall"]["metrics"]["accuracy"] == {
        "value": 0.3333333333, "ci_low": 0.25, "ci_high": 0.4, "support": 70, "reason": None,
    }  # fmt: skip
    assert list(record["rules"][0]["outcomes"][0]) == [
        "metric", "group", "value", "ci_low", "ci_high", "verdict", "reason",
    ]  # fmt: skip


def test_a_line_per_number() -> None:
    text = to_json(audit())
    assert json.loads(text) == to_record(audit())
    for line in (
        '  "classes": ["x", "y"],',
        '   "accuracy": {"value": 0.3333333333, "ci_low": 0.25, "ci_high": 0.4, "support": 70, "reason": null},',
        '   "privileged": {"race": "A"},',
        "    [[10, 0], [30, 0]],",
        '    {"metric": "accuracy", "kind": "gap", "group": null, "value": 0, "ci_low": -0.5, "ci_high": 0.5, "support": 30'
        ', "reason": "left out: 1 of 3 groups"},',
        '    {"metric": "accuracy", "group": {"race": "C"}, "value": null, "ci_low": null, "ci_high": null, "verdict": '
        '"inconclusive", "reason": "absent: no images"}',
    ):
        assert line in text.splitlines(), line
    assert max(line.count('"value"') for line in text.splitlines()) == 1
    empty = AuditResult({}, Overall(0, {}), ())
    assert json.loads(to_json(empty)) == to_record(empty)
    assert '  "metrics": {}' in to_json(empty).splitlines()


def test_what_was_written_member_by_member_is_still_read(tmp_path: Path) -> None:
    record = to_record(audit())
    for d in record["groupings"][0]["disparities"]:
        for name in ("p_value", "p_holm", "p_bh"):
            d.pop(name, None)
    record["groupings"][0]["disparities"].append({**record["groupings"][0]["disparities"][1], "kind": "shortfall"})
    (tmp_path / "audit.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    again = read_audit(tmp_path)
    assert [d.kind for d in again.groupings[0].disparities] == [
        "ratio", "ratio", "gap", None, "difference", "difference", "shortfall",
    ]  # fmt: skip
    assert all(d.p_value is None for d in again.groupings[0].disparities)


def test_the_text_is_plain_strict_json_without_negative_zero() -> None:
    text = to_json(audit())
    assert text.endswith("}\n")
    assert "NaN" not in text
    assert "Infinity" not in text
    assert "-0," not in text
    assert "-0.0" not in text
    assert "perceived" in text
    assert "—" in text  # names stay readable


def test_numpy_numbers_are_written_like_pythons() -> None:
    estimate = Estimate(np.float32(0.5), np.float64(0.25), np.float64(INF), np.int64(3))  # type: ignore[arg-type]
    settings: dict[str, Any] = {"a": np.int32(1), "b": (np.float64(0.1), True, None), "c": Path("x")}
    record = to_record(AuditResult(settings, Overall(3, {"m": estimate}), ()))
    assert (
        json.loads(json.dumps(record))
        == record
        == json.loads(to_json(AuditResult(settings, Overall(3, {"m": estimate}), ())))
    )
    assert record["settings"] == {"a": 1, "b": [0.1, True, None], "c": "x"}
    assert record["overall"]["metrics"]["m"]["ci_high"] is None


@given(
    value=st.floats(-1e300, 1e300) | st.just(NAN) | st.just(-0.0),
    low=st.floats(-1e300, 1e300),
    high=st.floats(-1e300, 1e300) | st.just(INF),
)
def test_numbers_survive(value: float, low: float, high: float) -> None:
    before = AuditResult({}, Overall(1, {"m": Estimate(value, low, high, 1)}), ())
    text = json.dumps(to_record(before), allow_nan=False)
    after = from_record(json.loads(text)).overall.metrics["m"]
    for old, new in ((value, after.value), (low, after.ci_low), (high, after.ci_high)):
        assert (math.isnan(old) and math.isnan(new)) or new == pytest.approx(old, rel=1e-9)
    assert json.dumps(to_record(from_record(json.loads(text)))) == text
    written = to_json(before)
    assert json.loads(written) == to_record(before)
    assert to_json(from_record(json.loads(written))) == written


def test_the_published_schema_accepts_an_audit_and_refuses_others() -> None:
    schema = audit_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    record = to_record(audit())
    jsonschema.validate(record, schema)
    record["groupings"][0]["groups"][0]["n"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, schema)


def broken(tmp_path: Path, change: str) -> Path:
    record = to_record(audit())
    exec(change, {"r": record})
    (tmp_path / "audit.json").write_text(json.dumps(record))
    return tmp_path / "audit.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("del r['schema_version']",
         "is not an audit: it has no schema_version; name an audit.json or a run folder"),
        ("r['schema_version'] = 2",
         "has the schema version 2, and this fairaudit reads version 1; audit the predictions again, or use the fairaudit "
         "that wrote it"),
        ("del r['groupings'][0]['privileged']", "is not a valid audit: groupings.0.privileged: field required"),
        ("r['groupings'][0]['counts'][0][0][0] = -1",
         "is not a valid audit: groupings.0.counts.0.0.0: input should be greater than or equal to 0"),
        ("r['overall']['metrics']['accuracy']['value'] = 'high'",
         "is not a valid audit: overall.metrics.accuracy.value: input should be a valid number"),
        ("r['rules'][0]['verdict'] = 'none'",
         "is not a valid audit: rules.0.verdict: input should be 'pass', 'fail' or 'inconclusive'"),
        ("r['surprise'] = 1", "is not a valid audit: surprise: extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_what_is_not_an_audit_is_refused(tmp_path: Path, change: str, said: str) -> None:
    path = broken(tmp_path, change)
    with pytest.raises(ArtifactError) as caught:
        read_audit(path)
    assert str(caught.value) == f"{path} {said}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is not a run folder: it holds no audit\.json"):
        read_audit(tmp_path)
    with pytest.raises(ArtifactError, match=r"other\.json: no such file; name an audit\.json or a run folder"):
        read_audit(tmp_path / "other.json")
    (tmp_path / "audit.json").write_text('{"schema_version": 1,')
    with pytest.raises(ArtifactError, match=r"audit\.json is not valid JSON: Expecting property name"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ArtifactError, match=r"audit\.json is not valid JSON"):
        read_audit(tmp_path)
    (tmp_path / "audit.json").write_text("[1]")
    with pytest.raises(ArtifactError, match="is not an audit: it has no schema_version"):
        read_audit(tmp_path)


class Colour(Enum):
    RED = "red"


def test_records_beside_it(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"z": Path("a/b"), "a": Colour.RED, "n": None})
    assert (tmp_path / "run.json").read_text() == '{\n "z": "a/b",\n "a": "red",\n "n": null\n}\n'
    record = {"model": Path("m.pt"), "limit": None, "audit": {"by": (("race",), ("race", "gender")), "positive": None}}
    write_toml(tmp_path / "config.toml", record)
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == {
        "model": "m.pt", "audit": {"by": [["race"], ["race", "gender"]]},
    }  # fmt: skip


def test_results_need_no_pydantic() -> None:
    code = "import sys; from fairaudit.results import to_json; print('pydantic' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
