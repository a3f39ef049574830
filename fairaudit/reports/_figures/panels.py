"""Panels: the same small plot for several groups, worst first, those that do not fit left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import INK, MUTED, WIDTH, canvas
from fairaudit.reports._figures.rows import short
from fairaudit.reports._selection import worst_first
from fairaudit.results import AuditResult, GroupingResult, GroupResult, GroupScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 8
"""Panels of a figure."""

Scored = tuple[GroupResult, GroupScores]


def scored(result: AuditResult, grouping: GroupingResult, metric: str) -> list[Scored]:
    """Groups with scores, those worst in a metric first; none where no scores were recorded.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric that says which groups are worst.
    """
    if grouping.scores is None:
        return []
    own = {id(group): scores for group, scores in zip(grouping.groups, grouping.scores.groups, strict=True)}
    floor = int(result.settings.get("min_support", 0))
    return [
        (g, own[id(g)]) for g in worst_first(grouping, metric, floor) if sum(own[id(g)].negatives + own[id(g)].positives)
    ]


def which(shown: int, of: int, metric: str) -> str:
    """How the groups were chosen, for a caption."""
    return f"The {shown} worst of {of} groups by {words.metric_name(metric)}." if shown < of else "Worst group first."


def panels(
    groups: Sequence[Scored], height: float, labels: tuple[str, str], draw: Callable[[Axes, Scored], None]
) -> Figure:
    """Draw one panel per group.

    Args:
        groups: at most ``MOST``.
        height: of a panel without its title, in inches.
        labels: of the x and the y axis.
        draw: draws one.
    """
    across = min(len(groups), 4)
    down = -(-len(groups) // across)
    wide, tall = min(WIDTH, 1.2 + 1.7 * across), 0.5 + (height + 0.42) * down
    with canvas(wide, tall) as figure:
        # Their places are known: finding them takes longer than drawing them.
        figure.set_layout_engine("none")
        places = {
            "left": 0.55 / wide, "right": 1 - 0.12 / wide, "bottom": 0.5 / tall, "top": 1 - 0.26 / tall,
            "wspace": 0.14, "hspace": 0.42 / height,
        }  # fmt: skip
        several = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True, gridspec_kw=places)
        for i, axes in enumerate(several.flat):
            if i >= len(groups):
                axes.set_visible(False)
                continue
            draw(axes, groups[i])
            name = short(words.group_name(groups[i][0].group), 22)
            axes.set_title(name, fontsize=8.5, color=INK)
            # An invisible panel below would hide the numbers of the last one of a column.
            axes.tick_params(labelbottom=i + across >= len(groups))
        figure.text(0.5, 0.08 / tall, labels[0], fontsize=9, color=MUTED, ha="center", va="bottom")
        figure.text(0.08 / wide, 0.5, labels[1], fontsize=9, color=MUTED, ha="left", va="center", rotation=90)
    return figure
