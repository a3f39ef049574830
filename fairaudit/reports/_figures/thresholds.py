"""Thresholds: true and false positive rates of each group at every threshold of the score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import DASHES, INK, MUTED, RULE, SERIES, Picture, canvas, picture
from fairaudit.reports._figures.panels import Scored, scored
from fairaudit.reports._figures.rows import short
from fairaudit.results import AuditResult, GroupingResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 128
"""Thresholds that are drawn; histograms are finer than a line on a page."""


def thresholds(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture | None:
    """Draw both rates over the threshold, and against each other; None where no group has images of both kinds.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric that says which groups are worst, and have colours where not all can.
    """
    groups = [one for one in scored(result, grouping, metric) if sum(one[1].positives) and sum(one[1].negatives)]
    if not groups or grouping.scores is None:
        return None
    bright = groups[: len(SERIES)]
    if (reference := next((one for one in groups if one[0].group == grouping.privileged), None)) is not None:
        bright = bright if reference in bright else [*bright[:-1], reference]
    threshold = result.settings.get("threshold")
    cut = float(threshold) if isinstance(threshold, int | float) else 0.5
    of = words.clean(grouping.scores.of)
    with canvas(height=2.75 + 0.2 * -(-len(bright) // 3)) as figure:
        tpr_axes, fpr_axes, roc_axes = figure.subplots(1, 3)
        for one in [one for one in groups if one not in bright] + list(reversed(bright)):
            tpr, fpr = above(one[1].positives), above(one[1].negatives)
            at = [i / (len(tpr) - 1) for i in range(len(tpr))]
            style = _style(bright.index(one) if one in bright else None)
            label = short(words.group_name(one[0].group), 26) if one in bright else None
            tpr_axes.plot(at, tpr, **style)
            fpr_axes.plot(at, fpr, **style)
            roc_axes.plot(fpr, tpr, label=label, **style)
        for axes, title in ((tpr_axes, "true positive rate"), (fpr_axes, "false positive rate")):
            axes.axvline(cut, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
            _frame(axes, title, f"threshold of {of[:16]}")
        _frame(roc_axes, "true over false positive rate", "false positive rate")
        roc_axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.8)
        handles, names = roc_axes.get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=3, fontsize=8.5, handlelength=3.2)
    caption = f"A class is given where its score is at least the threshold; dashed: {words.number(cut)}."
    if len(bright) < len(groups):
        caption += f" Named: the worst by {words.metric_name(metric)} and the reference group; grey: the others."
    return picture(
        figure,
        f"thresholds {' '.join(grouping.by)}",
        f"Rates of {of} at every threshold, by {words.grouping_name(grouping.by)}",
        _finding(groups, cut, of, int(result.settings.get("min_support", 0))),
        caption,
    )


def above(counts: Sequence[int], points: int = POINTS) -> list[float]:
    """Share of a histogram at or above each of evenly spaced thresholds from 0 to 1.

    Args:
        counts: of bins of equal width, not all 0.
        points: spaces between thresholds; fewer where there are fewer bins.
    """
    from_top = [*accumulate(reversed(counts), initial=0)]
    step = max(1, len(counts) // points)
    return [from_top[len(counts) - i] / from_top[-1] for i in range(0, len(counts) + 1, step)]


def _style(place: int | None) -> dict[str, object]:
    if place is None:
        return {"color": RULE, "linewidth": 0.8}
    return {"color": SERIES[place], "linestyle": DASHES[place], "linewidth": 1.5}


def _frame(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=8.5)
    axes.set_xlabel(label, fontsize=8.5, color=MUTED)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid()


def _finding(groups: list[Scored], cut: float, of: str, floor: int) -> str:
    """How far the true positive rates of groups with enough images lie apart at the threshold."""
    found = []
    for group, one in [one for one in groups if sum(one[1].positives) >= floor] or groups:
        curve = above(one.positives)
        found.append((curve[round(cut * (len(curve) - 1))], words.group_name(group.group)))
    low, high = min(found), max(found)
    if len(found) == 1:
        return f"{low[1]}: true positive rate of {of} at {words.number(cut)} {words.number(low[0])}."
    return (
        f"At {words.number(cut)} the true positive rate of {of} is {words.number(low[0])} for {low[1]} and "
        f"{words.number(high[0])} for {high[1]}."
    )
