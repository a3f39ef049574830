"""An audit as plain JSON values and back: the layout, order and rounding of ``audit.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairaudit.results.audit import (
    AuditResult,
    Clusters,
    Conditional,
    Disparity,
    Estimate,
    GroupingResult,
    Overall,
    Scores,
)
from fairaudit.results.lines import P_VALUES, TESTED, disparity_lines, laid_out, metric_lines
from fairaudit.results.plain import DIGITS
from fairaudit.results.plain import plain as _plain
from fairaudit.results.sensitivity import LabelNoise

SIGNIFICANT_DIGITS = DIGITS


def to_record(result: AuditResult) -> dict[str, Any]:
    """The audit as plain JSON values, laid out and ordered as ``audit.json`` is.

    Numbers are rounded to ten significant digits; what is undefined or infinite becomes None and its reason tells which.
    """
    return _record(result, _VALUES)


def to_json(result: AuditResult) -> str:
    """The text of ``audit.json``: the same audit gives the same bytes, on any machine and at any time."""
    return "".join(json_parts(result))


def json_parts(result: AuditResult) -> Iterator[str]:
    """The same, part by part: of hundreds of groups and metrics it is long."""
    yield from laid_out(_record(result, _LINES))
    yield "\n"


@dataclass(frozen=True)
class _Form:
    """How the numbers of a record are given, of which there may be a million."""

    metrics: Callable[[Mapping[str, Estimate]], Any]
    disparities: Callable[[Iterable[Disparity]], Any]


def _record(result: AuditResult, form: _Form) -> dict[str, Any]:
    conditional = [_conditional_record(one, form) for one in result.conditional]
    return {
        "schema_version": result.schema_version,
        "settings": {str(key): _plain(value) for key, value in result.settings.items()},
        "overall": _overall_record(result.overall, form),
        "groupings": [_grouping_record(grouping, form) for grouping in result.groupings],
        **({"conditional": conditional} if conditional else {}),
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


def _overall_record(overall: Overall, form: _Form) -> dict[str, Any]:
    return {
        "n": int(overall.n),
        "metrics": form.metrics(overall.metrics),
        **({} if overall.counts is None else {"counts": _plain(overall.counts)}),
        **({} if overall.together is None else {"together": _plain(vars(overall.together))}),
    }


def _grouping_record(grouping: GroupingResult, form: _Form) -> dict[str, Any]:
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
                "metrics": form.metrics(one.metrics),
                **({} if one.shrunk is None else {"shrunk": _plain(one.shrunk)}),
            }
            for one in grouping.groups
        ],
        "disparities": form.disparities(grouping.disparities),
        **({} if grouping.scores is None else {"scores": _scores_record(grouping.scores)}),
        **({} if grouping.clusters is None else {"clusters": _clusters_record(grouping.clusters)}),
        **({} if grouping.together is None else {"together": _plain(vars(grouping.together))}),
        **({} if grouping.label_noise is None else {"label_noise": _noise_record(grouping.label_noise)}),
    }


def _disparity_record(d: Disparity) -> dict[str, Any]:
    p = {name: _plain(getattr(d, name)) for name in P_VALUES} if d.kind == TESTED else {}
    return {"metric": d.metric, "kind": d.kind, "group": _plain(d.group), **_estimate_record(d.estimate), **p}


def _conditional_record(one: Conditional, form: _Form) -> dict[str, Any]:
    return {"by": list(one.by), "given": list(one.given), "disparities": form.disparities(one.disparities)}


RANGE = ("value", "corrected", "low", "high")
"""The numbers of a range of label noise."""


def _noise_record(noise: LabelNoise) -> dict[str, Any]:
    ranges = [
        {"metric": r.metric, "kind": r.kind, "group": _plain(r.group), **{k: _plain(getattr(r, k)) for k in RANGE}}
        for r in noise.ranges
    ]
    return {"errors": _plain(noise.errors), "ranges": ranges}


def _clusters_record(clusters: Clusters) -> dict[str, Any]:
    return {"people": _plain(clusters.people), "design_effects": _plain(clusters.design_effects)}


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


def _metrics_record(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _estimate_record(estimate) for name, estimate in metrics.items()}


def _estimate_record(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": _plain(estimate.value),
        "ci_low": _plain(estimate.ci_low),
        "ci_high": _plain(estimate.ci_high),
        "support": int(estimate.support),
        "reason": estimate.reason,
    }


_VALUES = _Form(_metrics_record, lambda disparities: [_disparity_record(d) for d in disparities])
_LINES = _Form(metric_lines, disparity_lines)
