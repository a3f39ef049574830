"""Reliability: of the images that were scored so, how many are of the class, group by group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import MUTED, PAPER, PASS, RULE, Picture, picture
from fairaudit.reports._figures.panels import MOST, Scored, panels, scored, which
from fairaudit.results import AuditResult, GroupingResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS = 0.22
"""Height of the bars of images, as a share of the panel."""


def reliability(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture | None:
    """Draw a reliability diagram for each group, those worst in a metric first; None where there are no scores.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric that says which groups are worst.
    """
    every = scored(result, grouping, metric)
    groups = every[:MOST]
    if not groups or grouping.scores is None:
        return None
    floor = int(result.settings.get("min_support", 0))
    of = words.clean(grouping.scores.of)

    def draw(axes: Axes, one: Scored) -> None:
        bins = [(n, score, share) for n, score, share in one[1].reliability if n]
        most, width = max(n for n, _, _ in bins), 1 / len(one[1].reliability)
        heights = [_BARS * n / most for n, _, _ in one[1].reliability]
        axes.bar([(i + 0.5) * width for i in range(len(heights))], heights, 0.86 * width, color=RULE, linewidth=0)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.plot([score for _, score, _ in bins], [share for _, _, share in bins], color=PASS, linewidth=1.1)
        for few in (False, True):
            marks = [(score, share) for n, score, share in bins if (n < floor) is few]
            if marks:
                axes.plot(
                    *zip(*marks, strict=True), linestyle="none", marker="o", markersize=4.6, color=PASS,
                    markerfacecolor=PAPER if few else PASS, clip_on=False,
                )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])

    figure = panels(groups, 1.35, (f"mean score of {of}", f"share that is {of}"), draw)
    caption = (
        f"{which(len(groups), len(every), metric)} Ten bins of equal width; on the dashed line scores are frequencies. "
        f"Bars: how the group's images spread over the bins. Hollow: fewer than {words.count(floor, 'image')}."
    )
    name = words.grouping_name(grouping.by)
    return picture(
        figure,
        f"reliability {' '.join(grouping.by)}",
        f"How far scores of {of} are frequencies, by {name}",
        _finding(groups, floor),
        caption,
    )


def _finding(groups: list[Scored], floor: int) -> str:
    """The bin with enough images that is farthest from the diagonal."""
    found = [
        (abs(share - score), words.group_name(group.group), n, score, share)
        for group, scores in groups
        for n, score, share in scores.reliability
        if n >= max(1, floor) and not math.isnan(share)
    ]
    if not found:
        return "No bin has enough images to be read."
    _, who, n, score, share = max(found, key=lambda one: one[0])
    return (
        f"Farthest from the diagonal: {who}, where {words.count(n, 'image')} scored {words.number(score)} on average are "
        f"of the class in {words.number(share)}."
    )
