"""What an audit found: frozen records without behaviour beyond looking things up.

They mirror ``audit.json`` field by field. In memory an undefined value is ``nan`` and an infinite one is ``inf``; the file
has null for both and the reason tells them apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

SCHEMA_VERSION = 1

Group = Mapping[str, str]
"""One cell of a grouping, attribute → level, in the grouping's order."""


class Verdict(StrEnum):
    """Answer to a rule, to one of its contrasts, or to the whole policy."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.PASS: 0,
    Verdict.NONE: 0,
    Verdict.FAIL: 1,
    Verdict.INCONCLUSIVE: 3,
}


@dataclass(frozen=True)
class Estimate:
    """A number, how far it can be trusted, and why it is missing if it is.

    Attributes:
        value: the estimate; nan where undefined, inf where infinite.
        ci_low: lower limit of the interval at the audit's confidence; nan where there is none.
        ci_high: upper limit; inf where unbounded.
        support: the denominator behind the value, in images.
        reason: why the value is undefined, infinite, or to be read with care; None otherwise.
    """

    value: float
    ci_low: float
    ci_high: float
    support: int
    reason: str | None = None


@dataclass(frozen=True)
class GroupResult:
    """One group of a grouping.

    Attributes:
        group: attribute → level.
        n: images in the group; 0 for a group that was expected and is absent.
        metrics: metric name → estimate.
    """

    group: Group
    n: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class Disparity:
    """One contrast between groups.

    Attributes:
        metric: ``accuracy``, ``true_positive_rate[Female]``, or a disparity such as ``disparate_impact[Female]``.
        kind: difference, shortfall, ratio, gap, spread, worst_group, min_max_ratio or pairwise_mean; None where the metric
            is a disparity itself.
        group: the group compared with the privileged one, or the worst group; None where all groups make the number.
        estimate: the number.
    """

    metric: str
    kind: str | None
    group: Group | None
    estimate: Estimate


@dataclass(frozen=True)
class GroupScores:
    """The scores of one class in one group.

    Attributes:
        negatives: images of other classes in each bin of equal width from 0 to 1; a score on an edge is in the bin above.
        positives: images of the class in each bin.
        reliability: images, mean score and share of positives in each of ten bins of equal width; nan where empty.
    """

    negatives: tuple[int, ...]
    positives: tuple[int, ...]
    reliability: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Scores:
    """The scores behind a grouping; histograms of shards merge by adding.

    Attributes:
        of: the class that they are of.
        groups: one per group, in the grouping's order.
    """

    of: str
    groups: tuple[GroupScores, ...]


@dataclass(frozen=True)
class Clusters:
    """Who is on the images of a grouping, as far as intervals need it.

    Attributes:
        people: people in each group, in the grouping's order.
        design_effects: rate → per group, per class (one number for rates of all classes): how many images are worth an
            independent one; nan where the rate is undefined.
    """

    people: tuple[int, ...]
    design_effects: Mapping[str, tuple[tuple[float, ...], ...]]


@dataclass(frozen=True)
class GroupingResult:
    """Every group of one grouping and every disparity between them.

    Attributes:
        by: the attributes that were crossed, in command order.
        privileged: the reference group; None where no group has images.
        privileged_is: ``"named"`` by the user or the dataset card, or ``"largest"``.
        missing: images left out because an attribute is not known for them.
        counts: (g, k, k) nested counts [group, true class, predicted class].
        groups: one result per group, in declared order, absent ones included.
        disparities: every metric × kind.
        scores: histograms of the positive class's scores, where there are scores of two classes or a positive one.
        clusters: design effects that the intervals take into account, where people are known and on several images.
    """

    by: tuple[str, ...]
    privileged: Group | None
    privileged_is: str
    missing: int
    counts: tuple[tuple[tuple[int, ...], ...], ...]
    groups: tuple[GroupResult, ...]
    disparities: tuple[Disparity, ...]
    scores: Scores | None = None
    clusters: Clusters | None = None


@dataclass(frozen=True)
class RuleOutcome:
    """One contrast of a rule.

    Attributes:
        metric: the metric judged, with its class.
        group: the group judged; None where all groups make the number.
        value: what was estimated (nan where undefined).
        ci_low: lower limit that the verdict used.
        ci_high: upper limit that the verdict used.
        verdict: of this contrast.
        reason: why it cannot be judged, or what would decide it; None otherwise.
    """

    metric: str
    group: Group | None
    value: float
    ci_low: float
    ci_high: float
    verdict: Verdict
    reason: str | None = None


@dataclass(frozen=True)
class RuleResult:
    """A rule, its verdict and every contrast behind it.

    Attributes:
        rule: its text, which says all there is to it.
        verdict: of all its contrasts.
        outcomes: the contrasts.
        severity: ``error``, or ``warning`` where it does not change the verdict of the audit.
        decided_on: ``interval``, or ``point`` where the estimate was taken for the truth.
    """

    rule: str
    verdict: Verdict
    outcomes: tuple[RuleOutcome, ...]
    severity: str = "error"
    decided_on: str = "interval"


@dataclass(frozen=True)
class Overall:
    """All images together.

    Attributes:
        n: images audited.
        metrics: metric name → estimate.
    """

    n: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class AuditResult:
    """Everything that an audit found; the same input, settings and seed give the same record.

    Attributes:
        settings: what was asked, in JSON's own types: target, classes, positive, confidence, bootstrap, seed, min_support …
        overall: all images together.
        groupings: one per ``--by``.
        rules: one per rule, in the order given.
        verdict: of all rules: fail if one fails, else inconclusive if one is, else pass; none without rules.
        notes: sentences that a reader must know (images left out, an attribute with one level …).
        schema_version: version of this record's layout.
    """

    settings: Mapping[str, Any]
    overall: Overall
    groupings: tuple[GroupingResult, ...]
    rules: tuple[RuleResult, ...] = ()
    verdict: Verdict = Verdict.NONE
    notes: tuple[str, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)


def group_label(group: Group | None) -> str:
    """How a group is written for people: ``"Black Female"``, ``"Female Young: no"``, or ``"all groups"`` for None."""
    if group is None:
        return "all groups"
    return " ".join(level if level not in ("yes", "no") else f"{name}: {level}" for name, level in group.items())


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
