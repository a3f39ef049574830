"""Reading: the audit that a record describes."""

from __future__ import annotations

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
    Scores,
    Together,
)
from fairaudit.results.lines import P_VALUES
from fairaudit.results.record import RANGE
from fairaudit.results.sensitivity import LabelNoise, Range
from fairaudit.results.verdicts import RuleOutcome, RuleResult, Verdict


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


def _overall(record: Mapping[str, Any]) -> Overall:
    counts, together = record.get("counts"), record.get("together")
    stored = None if counts is None else tuple(map(tuple, counts))
    return Overall(record["n"], _metrics(record["metrics"]), stored, None if together is None else _together(together))


def _disparity(record: Mapping[str, Any]) -> Disparity:
    p = (None if (one := record.get(name)) is None else float(one) for name in P_VALUES)
    return Disparity(record["metric"], record["kind"], record["group"], _estimate(record), *p)


def _noise(record: Mapping[str, Any]) -> LabelNoise:
    def numbers(one: Mapping[str, Any]) -> list[float]:
        return [math.nan if one[key] is None else float(one[key]) for key in RANGE]

    return LabelNoise(
        record["errors"], tuple(Range(one["metric"], one["kind"], one["group"], *numbers(one)) for one in record["ranges"])
    )


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


def _metrics(record: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(estimate) for name, estimate in record.items()}


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
