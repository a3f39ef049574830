"""Forest: one metric of every group with its interval, worst first, beside the reference group."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import FAIL, MUTED, SHADE, Picture, canvas, picture
from fairaudit.reports._figures.rows import HEIGHT, Row, bounds, draw, key
from fairaudit.reports._labels import LabelRow
from fairaudit.reports._rules import group_key, rule_parts, ruled
from fairaudit.reports._selection import high_is_worse, over_groups, worst_first
from fairaudit.results import AuditResult, Estimate, GroupingResult, GroupResult, Verdict

MOST = 30
"""Rows of one figure: the worst ones."""


@dataclass(frozen=True)
class _Limit:
    """A limit of a rule on the axis, and what it is."""

    at: float
    said: str


def forest(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture:
    """Draw one metric of one grouping.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric.
    """
    floor = int(result.settings.get("min_support", 0))
    marks = ruled(result, grouping.by, "worst_group", "difference", "shortfall", "ratio")
    groups = worst_first(grouping, metric, floor)
    reference = next((g for g in groups if grouping.privileged is not None and g.group == grouping.privileged), None)

    def row(group: GroupResult) -> Row:
        name = words.group_name(group.group) + (" (reference)" if group is reference else "")
        verdict = marks.get((metric, group_key(group.group)))
        return _row(name, group.metrics.get(metric), Verdict.NONE if verdict is None else verdict[0], floor)

    rows = [row(group) for group in groups[:MOST]]
    if (everybody := result.overall.metrics.get(metric)) is not None:
        rows.append(_row("all images", everybody, Verdict.NONE, floor, apart=True))
    limits = list(_limits(result, grouping, metric, None if reference is None else reference.metrics.get(metric)))
    base = None if reference is None else reference.metrics.get(metric)
    numbers = [n for one in rows for n in (one.value, one.low, one.high)]
    drawn = [limit for limit in limits if not math.isnan(limit.at)]
    left, right = bounds([*numbers, *(limit.at for limit in drawn)])
    name = f"{words.metric_name(metric)} by {words.grouping_name(grouping.by)}"
    with canvas(height=1.0 + HEIGHT * len(rows)) as figure:
        axes = figure.add_subplot()
        axes.set_xlim(left, right)
        if base is not None and not math.isnan(base.value):
            if not math.isnan(base.ci_low) and not math.isnan(base.ci_high):
                axes.axvspan(max(base.ci_low, left), min(base.ci_high, right), color=SHADE, linewidth=0)
            axes.axvline(base.value, color=MUTED, linewidth=0.9)
        for limit in drawn:
            axes.axvline(limit.at, color=FAIL, linewidth=1.0, linestyle=(0, (4, 2)))
        draw(axes, rows, (f"{words.confidence(result)} interval", "images"))
        axes.set_xlabel(name)
    caption = [f"The {len(rows[:-1])} worst of {len(groups)} groups." if len(groups) > MOST else "Worst group first."]
    if base is not None and not math.isnan(base.value):
        caption.append("The line and its band are the reference group's value and interval.")
    if drawn:
        caption.append(f"Dashed: {'; '.join(dict.fromkeys(limit.said for limit in drawn))}.")
    caption.append(key(rows, floor))
    return picture(
        figure,
        f"forest {' '.join(grouping.by)} {metric}",
        name[0].upper() + name[1:],
        _finding(result, grouping, metric, groups, reference),
        " ".join(text for text in caption if text),
    )


def labels(result: AuditResult, grouping: GroupingResult, metric: str, found: list[LabelRow]) -> Picture:
    """Draw the gaps between groups in one metric of several labels.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric, without a label.
        found: the labels that are shown, in order; at least one.
    """
    floor = int(result.settings.get("min_support", 0))
    rows = [
        _row(one.label, one.gap.estimate, Verdict.NONE if one.verdict is None else one.verdict[0], floor) for one in found
    ]
    name = f"gap in {words.metric_name(metric)} by {words.grouping_name(grouping.by)}"
    with canvas(height=1.0 + HEIGHT * len(rows)) as figure:
        axes = figure.add_subplot()
        axes.set_xlim(*bounds([0.0, *(n for one in rows for n in (one.value, one.low, one.high))]))
        draw(axes, rows, (f"{words.confidence(result)} interval", "images"))
        axes.set_xlabel(name)
    known = [one for one in found if not math.isnan(one.gap.estimate.value)]
    first = max(known, key=lambda one: one.gap.estimate.value, default=None)
    alt = f"Largest gap between the groups of {words.grouping_name(grouping.by)} in {words.metric_name(metric)}: "
    alt += "none is defined." if first is None else f"{words.clean(first.label)}, {words.estimate(first.gap.estimate)}."
    caption = f"Largest difference between two groups, label by label; the {len(rows)} largest. {key(rows, floor)}".strip()
    return picture(figure, f"labels {' '.join(grouping.by)} {metric}", f"Labels: {name}", alt, caption)


def _row(label: str, one: Estimate | None, verdict: Verdict, floor: int, apart: bool = False) -> Row:
    if one is None:
        return Row(label, math.nan, math.nan, math.nan, "–", apart=apart)
    few = not math.isnan(one.value) and one.support < floor
    text, support = words.estimate(one), "" if math.isnan(one.value) else f"{one.support:,}"
    return Row(label, one.value, one.ci_low, one.ci_high, text, support, verdict, few, apart)


def _limits(result: AuditResult, grouping: GroupingResult, metric: str, base: Estimate | None) -> Iterator[_Limit]:
    """Where rules put their limits: on the worst group itself, or at a distance from the reference group."""
    for rule in result.rules:
        parts = rule_parts(rule.rule)
        if parts is None or parts.worse_by or parts.given or _folded(parts.by) != _folded(grouping.by):
            continue
        if not any(one.metric == metric for one in rule.outcomes):
            continue
        try:
            limit = float(parts.limit)
        except ValueError:
            continue
        said = f"limit of the rule {words.clean(rule.rule)}"
        if parts.kind == "worst_group":
            yield _Limit(limit, said)
        elif base is not None and parts.kind in ("difference", "shortfall"):
            worse = 1.0 if high_is_worse(grouping, metric, int(result.settings.get("min_support", 0))) else -1.0
            yield _Limit(base.value + worse * limit, said)
            if parts.kind == "difference":
                yield _Limit(base.value - worse * limit, said)


def _finding(
    result: AuditResult, grouping: GroupingResult, metric: str, groups: list[GroupResult], reference: GroupResult | None
) -> str:
    def told(group: GroupResult) -> str:
        one = group.metrics[metric]
        return f"{words.group_name(group.group)} {words.estimate(one)} of {words.count(one.support, 'image')}"

    floor = int(result.settings.get("min_support", 0))
    known = [g for g in groups if metric in g.metrics and not math.isnan(g.metrics[metric].value)]
    large = [g for g in known if g.metrics[metric].support >= floor] or known
    name = f"{words.metric_name(metric)} by {words.grouping_name(grouping.by)}"
    if not large:
        return f"No group has a value of {name}."
    said = [f"{name}: worst {told(large[0])}"]
    said += [f"best {told(large[-1])}"] if len(large) > 1 else []
    said += [f"reference {told(reference)}"] if reference in known and reference not in (large[0], large[-1]) else []
    if (gap := over_groups(grouping, metric).get("gap")) is not None and not math.isnan(gap.estimate.value):
        said.append(f"gap {words.estimate(gap.estimate)}")
    missing = [words.group_name(g.group) for g in groups if g not in known]
    tail = f" Without a value: {', '.join(missing[:6])}{' and more' if len(missing) > 6 else ''}." if missing else ""
    return "; ".join(said) + "." + tail


def _folded(by: tuple[str, ...]) -> list[str]:
    return sorted(name.casefold() for name in by)
