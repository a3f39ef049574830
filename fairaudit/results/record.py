"""An audit as plain JSON values and back: the layout, order and rounding of ``audit.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from fairaudit.results.audit import (
    AuditResult,
    Clusters,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    GroupScores,
    Overall,
    RuleOutcome,
    RuleResult,
    Scores,
    Verdict,
)

SIGNIFICANT_DIGITS = 10
"""How many digits of a number a record keeps: more would differ between processors, fewer would lose counts."""


def to_record(result: AuditResult) -> dict[str, Any]:
    """The audit as plain JSON values, laid out and ordered as ``audit.json`` is.

    Numbers are rounded to ten significant digits; what is undefined or infinite becomes None and its reason tells which.
    """
    return {
        "schema_version": result.schema_version,
        "settings": {str(key): _plain(value) for key, value in result.settings.items()},
        "overall": {"n": int(result.overall.n), "metrics": _metrics_record(result.overall.metrics)},
        "groupings": [_grouping_record(grouping) for grouping in result.groupings],
        "rules": [
            {
                "rule": rule.rule,
                "verdict": rule.verdict.value,
                "severity": rule.severity,
                "decided_on": rule.decided_on,
                "outcomes": [
                    {
                        "metric": outcome.metric,
                        "group": _plain(outcome.group),
                        "value": _plain(outcome.value),
                        "ci_low": _plain(outcome.ci_low),
                        "ci_high": _plain(outcome.ci_high),
                        "verdict": outcome.verdict.value,
                        "reason": outcome.reason,
                    }
                    for outcome in rule.outcomes
                ],
            }
            for rule in result.rules
        ],
        "verdict": result.verdict.value,
        "notes": list(result.notes),
    }


def from_record(record: Mapping[str, Any]) -> AuditResult:
    """The audit that a record describes.

    A value that is None is infinite where the reason starts with ``infinite``, and undefined otherwise. One limit that is
    None beside one that is a number is unbounded; two are no interval.

    Args:
        record: laid out as ``to_record`` does; a file is validated before it comes here.
    """
    return AuditResult(
        settings=dict(record["settings"]),
        overall=Overall(record["overall"]["n"], _metrics(record["overall"]["metrics"])),
        groupings=tuple(_grouping(grouping) for grouping in record["groupings"]),
        rules=tuple(
            RuleResult(
                rule["rule"],
                Verdict(rule["verdict"]),
                tuple(
                    RuleOutcome(
                        outcome["metric"],
                        outcome["group"],
                        *_numbers(outcome),
                        Verdict(outcome["verdict"]),
                        outcome["reason"],
                    )
                    for outcome in rule["outcomes"]
                ),
                rule.get("severity", "error"),
                rule.get("decided_on", "interval"),
            )
            for rule in record["rules"]
        ),
        verdict=Verdict(record["verdict"]),
        notes=tuple(record["notes"]),
        schema_version=record["schema_version"],
    )


def to_json(result: AuditResult) -> str:
    """The text of ``audit.json``: the same audit gives the same bytes, on any machine and at any time."""
    return json.dumps(to_record(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _grouping_record(grouping: GroupingResult) -> dict[str, Any]:
    return {
        "by": list(grouping.by),
        "privileged": _plain(grouping.privileged),
        "privileged_is": grouping.privileged_is,
        "missing": int(grouping.missing),
        "counts": _plain(grouping.counts),
        "groups": [
            {"group": _plain(one.group), "n": int(one.n), "metrics": _metrics_record(one.metrics)}
            for one in grouping.groups
        ],
        "disparities": [
            {"metric": d.metric, "kind": d.kind, "group": _plain(d.group), **_estimate_record(d.estimate)}
            for d in grouping.disparities
        ],
        **({} if grouping.scores is None else {"scores": _scores_record(grouping.scores)}),
        **({} if grouping.clusters is None else {"clusters": _clusters_record(grouping.clusters)}),
    }


def _clusters_record(clusters: Clusters) -> dict[str, Any]:
    return {"people": _plain(clusters.people), "design_effects": _plain(clusters.design_effects)}


def _clusters(record: Mapping[str, Any]) -> Clusters:
    return Clusters(
        tuple(record["people"]),
        {
            name: tuple(tuple(math.nan if e is None else float(e) for e in row) for row in rows)
            for name, rows in record["design_effects"].items()
        },
    )


def _scores_record(scores: Scores) -> dict[str, Any]:
    return {
        "of": scores.of,
        "groups": [
            {
                "negatives": " ".join(map(str, one.negatives)),
                "positives": " ".join(map(str, one.positives)),
                "reliability": [{"n": n, "score": _plain(s), "share": _plain(p)} for n, s, p in one.reliability],
            }
            for one in scores.groups
        ],
    }


def _scores(record: Mapping[str, Any]) -> Scores:
    def number(value: float | None) -> float:
        return math.nan if value is None else value

    return Scores(
        record["of"],
        tuple(
            GroupScores(
                tuple(map(int, one["negatives"].split())),
                tuple(map(int, one["positives"].split())),
                tuple((b["n"], number(b["score"]), number(b["share"])) for b in one["reliability"]),
            )
            for one in record["groups"]
        ),
    )


def _grouping(record: Mapping[str, Any]) -> GroupingResult:
    return GroupingResult(
        by=tuple(record["by"]),
        privileged=record["privileged"],
        privileged_is=record["privileged_is"],
        missing=record["missing"],
        counts=tuple(tuple(tuple(row) for row in counts) for counts in record["counts"]),
        groups=tuple(GroupResult(one["group"], one["n"], _metrics(one["metrics"])) for one in record["groups"]),
        disparities=tuple(Disparity(d["metric"], d["kind"], d["group"], _estimate(d)) for d in record["disparities"]),
        scores=None if record.get("scores") is None else _scores(record["scores"]),
        clusters=None if record.get("clusters") is None else _clusters(record["clusters"]),
    )


def _metrics_record(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _estimate_record(estimate) for name, estimate in metrics.items()}


def _metrics(record: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(estimate) for name, estimate in record.items()}


def _estimate_record(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": _plain(estimate.value),
        "ci_low": _plain(estimate.ci_low),
        "ci_high": _plain(estimate.ci_high),
        "support": int(estimate.support),
        "reason": estimate.reason,
    }


def _estimate(record: Mapping[str, Any]) -> Estimate:
    return Estimate(*_numbers(record), record["support"], record["reason"])


def _numbers(record: Mapping[str, Any]) -> tuple[float, float, float]:
    value, low, high = record["value"], record["ci_low"], record["ci_high"]
    if value is None:
        value = math.inf if (record["reason"] or "").startswith("infinite") else math.nan
    if (low is None) != (high is None):
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
    return float(value), math.nan if low is None else float(low), math.nan if high is None else float(high)


def _plain(value: Any) -> Any:
    """A value in JSON's types: numbers of numpy and of Python alike, rounded, never nan or infinite."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")
        return number + 0.0 if math.isfinite(number) else None
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)
