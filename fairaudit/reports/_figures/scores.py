"""Scores: how a class's scores spread over its images and over the others, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import INK, PASS, SERIES, Picture, picture
from fairaudit.reports._figures.panels import MOST, Scored, panels, scored, which
from fairaudit.results import AuditResult, GroupingResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20
"""Bars from 0 to 1."""


def scores(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture | None:
    """Draw a histogram for each group, those worst in a metric first; None where there are no scores.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric that says which groups are worst.
    """
    every = scored(result, grouping, metric)
    groups = every[:MOST]
    if not groups or grouping.scores is None:
        return None
    threshold = result.settings.get("threshold")
    cut = float(threshold) if isinstance(threshold, int | float) else 0.5
    of = words.clean(grouping.scores.of)

    def draw(axes: Axes, one: Scored) -> None:
        for sign, counts, colour in ((1, one[1].positives, PASS), (-1, one[1].negatives, SERIES[1])):
            total = sum(counts)
            shares = [sign * n / total for n in coarse(counts)] if total else [0.0] * BINS
            axes.stairs(shares, [i / BINS for i in range(BINS + 1)], color=colour, fill=True, alpha=0.85)
        axes.axhline(0, color=INK, linewidth=0.7)
        axes.plot([cut, cut], [-0.7, 0.7], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.set_xlim(0, 1)
        axes.set_ylim(-1, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([-1, 0, 1], ["1", "0", "1"])
        # Where a model that can tell classes apart leaves room.
        axes.text(0.03, 0.78, f"{of[:10]} {sum(one[1].positives):,}", fontsize=8.5, ha="left", color=INK)
        axes.text(0.97, -0.93, f"others {sum(one[1].negatives):,}", fontsize=8.5, ha="right", color=INK)

    figure = panels(groups, 1.35, (f"score of {of}", "share of the group's images"), draw)
    caption = (
        f"{which(len(groups), len(every), metric)} Above the line: images that are {of}, with their number; below: the "
        f"others. Each side adds up to 1. Dashed: {words.number(cut)}."
    )
    return picture(
        figure,
        f"scores {' '.join(grouping.by)}",
        f"Scores of {of}, by {words.grouping_name(grouping.by)}",
        _finding(groups, of, cut),
        caption,
    )


def coarse(counts: Sequence[int], bins: int = BINS) -> list[int]:
    """A histogram in fewer bins of equal width; each fine bin counts where its middle lies.

    Args:
        counts: of fine bins.
        bins: how many there shall be.
    """
    found = [0] * bins
    for i, n in enumerate(counts):
        found[int((i + 0.5) * bins / len(counts))] += n
    return found


def _finding(groups: list[Scored], of: str, cut: float) -> str:
    """The group with the largest share of the class below the threshold."""
    shares = []
    for group, one in groups:
        total = sum(one.positives)
        if total:
            below = sum(n for i, n in enumerate(one.positives) if (i + 0.5) / len(one.positives) < cut)
            shares.append((below / total, words.group_name(group.group), total))
    if not shares:
        return f"No group has images of {of}."
    share, who, total = max(shares)
    return (
        f"{who} has the largest share of {of} scored below {words.number(cut)}: {words.number(share)} of {total:,} images."
    )
