"""An audit as plain JSON values and back: the layout, order and rounding of ``audit.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from fairaudit.results.audit import (
    AuditResult,
    Clusters,
    Conditional,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    GroupScores,
    Overall,
    RuleOutcome,
    RuleResult,
    Scores,
    Together,
    Verdict,
)
from fairaudit.results.plain import DIGITS
from fairaudit.results.plain import plain as _plain
from fairaudit.results.sensitivity import LabelNoise, Range

SIGNIFICANT_DIGITS = DIGITS


def to_record(result: AuditResult) -> dict[str, Any]:
    """The audit as plain JSON values, laid out and ordered as ``audit.json`` is.

    Numbers are rounded to ten significant digits; what is undefined or infinite becomes None and its reason tells which.
    """
    return {
        "schema_version": result.schema_version,
        "settings": {str(key): _plain(value) for key, value in result.settings.items()},
        "overall": _overall_record(result.overall),
        "groupings": [_grouping_record(grouping) for grouping in result.groupings],
        **({"conditional": [_conditional_record(one) for one in result.conditional]} if result.conditional else {}),
        "rules": [
            {
                "rule": rule.rule,
                "verdict": rule.verdict.value,
                "severity": rule.severity,
                "decided_on": rule.decided_on,
                "outcomes": [
                    {
                        "metric": outcome.metric,
                        **({} if outcome.given is None else {"given": _plain(outcome.given)}),
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
        overall=_overall(record["overall"]),
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
                        outcome.get("given"),
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
        conditional=tuple(
            Conditional(tuple(one["by"]), tuple(one["given"]), tuple(_disparity(d) for d in one["disparities"]))
            for one in record.get("conditional") or ()
        ),
    )


def to_json(result: AuditResult) -> str:
    """The text of ``audit.json``: the same audit gives the same bytes, on any machine and at any time."""
    return json.dumps(to_record(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _overall_record(overall: Overall) -> dict[str, Any]:
    return {
        "n": int(overall.n),
        "metrics": _metrics_record(overall.metrics),
        **({} if overall.counts is None else {"counts": _plain(overall.counts)}),
        **({} if overall.together is None else {"together": _plain(vars(overall.together))}),
    }


def _overall(record: Mapping[str, Any]) -> Overall:
    counts, together = record.get("counts"), record.get("together")
    stored = None if counts is None else tuple(map(tuple, counts))
    return Overall(record["n"], _metrics(record["metrics"]), stored, None if together is None else _together(together))


def _grouping_record(grouping: GroupingResult) -> dict[str, Any]:
    return {
        "by": list(grouping.by),
        **({} if grouping.given is None else {"given": _plain(grouping.given)}),
        "privileged": _plain(grouping.privileged),
        "privileged_is": grouping.privileged_is,
        **({} if grouping.named is None else {"named": _plain(grouping.named)}),
        "missing": int(grouping.missing),
        "counts": _plain(grouping.counts),
        **({} if grouping.weighted is None else {"weighted": _plain(grouping.weighted)}),
        "groups": [
            {
                "group": _plain(one.group),
                "n": int(one.n),
                "metrics": _metrics_record(one.metrics),
                **({} if one.shrunk is None else {"shrunk": _plain(one.shrunk)}),
            }
            for one in grouping.groups
        ],
        "disparities": [_disparity_record(d) for d in grouping.disparities],
        **({} if grouping.scores is None else {"scores": _scores_record(grouping.scores)}),
        **({} if grouping.clusters is None else {"clusters": _clusters_record(grouping.clusters)}),
        **({} if grouping.together is None else {"together": _plain(vars(grouping.together))}),
        **({} if grouping.label_noise is None else {"label_noise": _noise_record(grouping.label_noise)}),
    }


def _disparity_record(d: Disparity) -> dict[str, Any]:
    return {"metric": d.metric, "kind": d.kind, "group": _plain(d.group), **_estimate_record(d.estimate)}


def _disparity(record: Mapping[str, Any]) -> Disparity:
    return Disparity(record["metric"], record["kind"], record["group"], _estimate(record))


def _conditional_record(one: Conditional) -> dict[str, Any]:
    return {
        "by": list(one.by),
        "given": list(one.given),
        "disparities": [_disparity_record(d) for d in one.disparities],
    }


_RANGE = ("value", "corrected", "low", "high")


def _noise_record(noise: LabelNoise) -> dict[str, Any]:
    ranges = [
        {"metric": r.metric, "kind": r.kind, "group": _plain(r.group), **{k: _plain(getattr(r, k)) for k in _RANGE}}
        for r in noise.ranges
    ]
    return {"errors": _plain(noise.errors), "ranges": ranges}


def _noise(record: Mapping[str, Any]) -> LabelNoise:
    def numbers(one: Mapping[str, Any]) -> list[float]:
        return [math.nan if one[key] is None else float(one[key]) for key in _RANGE]

    return LabelNoise(
        record["errors"], tuple(Range(one["metric"], one["kind"], one["group"], *numbers(one)) for one in record["ranges"])
    )


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


def _together(record: Mapping[str, Any]) -> Together:
    def numbers(named: Mapping[str, list[float | None]]) -> dict[str, tuple[float, ...]]:
        return {name: tuple(math.nan if x is None else float(x) for x in values) for name, values in named.items()}

    return Together(
        tuple(record["images"]),
        tuple(record["complete"]),
        tuple(record["exact"]),
        numbers(record["means"]),
        numbers(record["sizes"]),
        numbers(record["alike"]),
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
        groups=tuple(
            GroupResult(one["group"], one["n"], _metrics(one["metrics"]), one.get("shrunk")) for one in record["groups"]
        ),
        disparities=tuple(_disparity(d) for d in record["disparities"]),
        scores=None if record.get("scores") is None else _scores(record["scores"]),
        clusters=None if record.get("clusters") is None else _clusters(record["clusters"]),
        together=None if record.get("together") is None else _together(record["together"]),
        given=record.get("given"),
        label_noise=None if record.get("label_noise") is None else _noise(record["label_noise"]),
        named=record.get("named"),
        weighted=None if record.get("weighted") is None else tuple(tuple(map(tuple, one)) for one in record["weighted"]),
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
