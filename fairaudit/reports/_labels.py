"""Several labels on one page: which of forty a reader sees, and in which order; the rest stands in csv and json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairaudit.reports._rules import group_key, ruled, ruled_metrics
from fairaudit.reports._selection import over_groups
from fairaudit.results import AuditResult, Disparity, Estimate, GroupingResult, Verdict

USUAL = ("true_positive_rate", "accuracy")
"""Metrics of labels that are shown unless others were asked for or are ruled on."""


@dataclass(frozen=True)
class LabelRow:
    """One metric of one label.

    Attributes:
        label: its name.
        metric: ``true_positive_rate[Smiling]``.
        overall: of all images.
        gap: between the groups.
        worst: of the worst group; None where no direction is better.
        verdict: what a rule says of the gap, or of the worst group, and its limit; None where there is no rule.
    """

    label: str
    metric: str
    overall: Estimate
    gap: Disparity
    worst: Disparity | None
    verdict: tuple[Verdict, str] | None


def labels_of(result: AuditResult) -> tuple[str, ...]:
    """The labels of an audit of several; none of one target."""
    return tuple(result.settings.get("multilabel") or ())


def label_metrics(result: AuditResult, grouping: GroupingResult, asked: Sequence[str]) -> list[str]:
    """Metrics that are shown label by label: those asked for, or ruled on, or the usual ones.

    Args:
        result: the audit.
        grouping: the grouping that is shown.
        asked: metrics that were asked for, with their labels; empty for none.
    """
    labels = labels_of(result)
    if not labels:
        return []
    wanted = asked or [m for m in result.overall.metrics if m in ruled_metrics(result, grouping.by)]
    found = dict.fromkeys(name for metric in wanted for name in [_split(metric, labels)] if name is not None)
    return [*found] or ([] if asked else [*USUAL])


def label_rows(result: AuditResult, grouping: GroupingResult, metric: str, floor: int) -> list[LabelRow]:
    """One metric of every label: what breaks a rule first, then the largest gap; those too small to be judged come last.

    Args:
        result: the audit.
        grouping: the grouping that is shown.
        metric: its name without a label.
        floor: smallest support that counts.
    """
    gaps, worsts = (ruled(result, grouping.by, kind) for kind in ("gap", "worst_group"))
    rows = []
    for label in labels_of(result):
        key = f"{metric}[{label}]"
        over, overall = over_groups(grouping, key), result.overall.metrics.get(key)
        if overall is None or "gap" not in over:
            continue
        worst = over.get("worst_group")
        worst = None if worst is None or worst.group is None else worst
        verdict = gaps.get((key, "")) or (None if worst is None else worsts.get((key, group_key(worst.group))))
        rows.append(LabelRow(label, key, overall, over["gap"], worst, verdict))

    def place(row: LabelRow) -> tuple[bool, bool, bool, float]:
        gap = row.gap.estimate
        broken = row.verdict is not None and row.verdict[0] is Verdict.FAIL
        undefined = math.isnan(gap.value)
        return not broken, undefined, gap.support < floor, 0.0 if undefined else -gap.value

    return sorted(rows, key=place)


def shown(rows: Sequence[LabelRow], most: int) -> Sequence[LabelRow]:
    """The first rows, and all of those that break a rule."""
    broken = sum(row.verdict is not None and row.verdict[0] is Verdict.FAIL for row in rows)
    return rows[: max(most, broken)]


def _split(metric: str, labels: Sequence[str]) -> str | None:
    """The metric's name without its label; None where it is not of one label."""
    name, bracket, of = metric.partition("[")
    return name if bracket and of[:-1] in labels else None
