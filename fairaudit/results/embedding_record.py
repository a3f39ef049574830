"""The audit of an embedding space as plain JSON values and back: the layout and rounding of ``embedding.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from fairaudit.results.audit import Estimate
from fairaudit.results.embedding import (
    EmbeddedGroup,
    EmbeddedGrouping,
    EmbeddedLevel,
    EmbeddingResult,
    Leak,
    Place,
    Trained,
    Verified,
)
from fairaudit.results.plain import plain


def embedding_record(result: EmbeddingResult) -> dict[str, Any]:
    """Everything in JSON's types; None where a number is undefined.

    Args:
        result: the audit.
    """
    record = _record(result)
    return {"schema_version": record.pop("schema_version"), **record}


def embedding_json(result: EmbeddingResult) -> str:
    """``embedding.json``: deterministic, without times or paths; one group, probe, classifier or place a line.

    Args:
        result: the audit.
    """
    record = embedding_record(result)
    short = {"leaks", "trained", "places"}
    lines = []
    for key, value in record.items():
        if key in short and value:
            rows = ",\n".join(f"  {_compact(one)}" for one in value)
            lines.append(f' "{key}": [\n{rows}\n ]')
        elif key == "groupings":
            lines.append(f' "{key}": [\n' + ",\n".join(_grouping(one) for one in value) + "\n ]")
        else:
            lines.append(f' "{key}": {_compact(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _grouping(record: Mapping[str, Any]) -> str:
    parts = []
    for key, value in record.items():
        if key == "groups":
            parts.append('   "groups": [\n' + ",\n".join(f"    {_compact(one)}" for one in value) + "\n   ]")
        else:
            parts.append(f'   "{key}": {_compact(value)}')
    return "  {\n" + ",\n".join(parts) + "\n  }"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _record(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found = {one.name: _record(getattr(value, one.name)) for one in fields(value)}
        if isinstance(value, Estimate) and value.reason is None:
            del found["reason"]
        return found
    if isinstance(value, Mapping):
        return {str(key): _record(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_record(one) for one in value]
    return plain(value)


def embedding_from_record(record: Mapping[str, Any]) -> EmbeddingResult:
    """The audit that a record describes.

    Args:
        record: laid out as ``embedding_record`` does; a file is validated before it comes here.
    """
    return EmbeddingResult(
        dict(record["settings"]),
        record["n"],
        record["numbers"],
        record["classes"],
        tuple(map(_grouping_of, record["groupings"])),
        tuple(map(_leak, record["leaks"])),
        record["target"],
        tuple(map(_trained, record["trained"])),
        tuple(Place(**one) for one in record["places"]),
        tuple(record["notes"]),
    )


def _grouping_of(record: Mapping[str, Any]) -> EmbeddedGrouping:
    return EmbeddedGrouping(
        tuple(record["by"]),
        tuple(map(_group, record["groups"])),
        _estimates(record["gaps"]),
        _estimate(record["crowding_gap"]),
        _estimate(record["majority_advantage"]),
        record["spectrum_rows"],
        record["cluster_classes"],
        tuple(EmbeddedLevel(dict(one["given"]), one["n"], _estimates(one["gaps"])) for one in record["within"]),
    )


def _group(record: Mapping[str, Any]) -> EmbeddedGroup:
    pairs = record["verified"]
    return EmbeddedGroup(
        dict(record["group"]),
        record["n"],
        record["classes"],
        _estimates(record["full"]),
        _estimates(record["own"]),
        _real(record["geometry"], *record["geometry"]),
        _real(record["clusters"], *record["clusters"]),
        None if pairs is None else _verified(pairs),
    )


def _verified(record: Mapping[str, Any]) -> Verified:
    told = {name: _estimate(record[name]) for name in ("fmr", "fnmr")} | _real(record, "eer", "threshold")
    bins = {name: tuple(record[name]) for name in ("genuine_scores", "impostor_scores")}
    curve = tuple((_number(t), _number(fmr), _number(fnmr)) for t, fmr, fnmr in record["curve"])
    return Verified(**{**record, **told, **bins, "curve": curve})


def _leak(record: Mapping[str, Any]) -> Leak:
    return Leak(**{**record, "accuracy": _estimate(record["accuracy"]), **_real(record, "balanced", "majority")})


def _trained(record: Mapping[str, Any]) -> Trained:
    told = {
        "accuracy": _estimates(record["accuracy"]),
        **{name: _estimate(record[name]) for name in ("gap", "balanced_gap")},
    }
    return Trained(**{**record, "by": tuple(record["by"]), **told})


def _estimates(record: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(one) for name, one in record.items()}


def _estimate(record: Mapping[str, Any]) -> Estimate:
    value, low, high = (_number(record[name]) for name in ("value", "ci_low", "ci_high"))
    return Estimate(value, low, high, record["support"], record.get("reason"))


def _real(record: Mapping[str, Any], *names: str) -> dict[str, float]:
    return {name: _number(record[name]) for name in names}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
