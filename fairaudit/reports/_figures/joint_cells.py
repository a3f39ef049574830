"""Joint cells: of a joint target, the images of each group with all, some and no target right."""

from __future__ import annotations

import math

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import DARK, INK, LIGHT, MUTED, SERIES, Picture, canvas, picture
from fairaudit.reports._figures.rows import HEIGHT, short
from fairaudit.reports._selection import over_groups, worst_first
from fairaudit.results import AuditResult, Estimate, GroupingResult, GroupResult

PARTS = ("accuracy", "some_right", "none_right")
"""They add up to 1 in every group."""

MOST = 40
_COLOURS = ("#0b4f85", "#8fb9dc", SERIES[1])
_INKS = (LIGHT, DARK, DARK)


def joint_cells(result: AuditResult, grouping: GroupingResult) -> Picture | None:
    """Draw the shares of one grouping; None where the target is not a joint one.

    Args:
        result: the audit.
        grouping: the grouping.
    """
    if any(part not in result.overall.metrics for part in PARTS):
        return None
    targets = [words.clean(name.strip()) for name in str(result.settings.get("target", "")).split(",")]
    floor = int(result.settings.get("min_support", 0))
    groups = [g for g in worst_first(grouping, "accuracy", floor) if g.n and not math.isnan(_value(g, "accuracy"))][:MOST]
    if not groups:
        return None
    spread, mean = over_groups(grouping, "accuracy").get("spread"), _mean(result, grouping, targets)
    names = ("both right", "one right", "none right") if len(targets) == 2 else ("all right", "some right", "none right")
    with canvas(height=1.1 + HEIGHT * len(groups)) as figure:
        axes = figure.add_subplot()
        for y, group in enumerate(groups):
            start = 0.0
            for part, colour, ink in zip(PARTS, _COLOURS, _INKS, strict=True):
                share = _value(group, part)
                axes.barh(y, share, 0.82, left=start, color=colour, linewidth=0)
                if share >= 0.06:
                    axes.text(
                        start + share / 2, y, f"{share:.2f}", ha="center", va="center_baseline", fontsize=8.5, color=ink
                    )
                start += share
            axes.annotate(
                f"{group.n:,}", (1, y), (34, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
                va="center_baseline", fontsize=8.5, color=MUTED, annotation_clip=False,
            )  # fmt: skip
        axes.annotate(
            "images", (1, -0.95), (34, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
            va="center_baseline", fontsize=8.5, color=MUTED, annotation_clip=False,
        )  # fmt: skip
        if mean is not None:
            axes.axvline(mean.value, ymax=(len(groups) + 0.1) / (len(groups) + 0.9), color=INK, linewidth=1.2)
            if spread is not None and not math.isnan(spread.estimate.value):
                ends = [mean.value - spread.estimate.value, mean.value + spread.estimate.value]
                axes.plot(ends, [-0.75, -0.75], color=INK, linewidth=2.2, solid_capstyle="butt", clip_on=False)
        for colour, name in zip(_COLOURS, names, strict=True):
            axes.barh(0, 0, color=colour, label=name)
        axes.set_xlim(0, 1)
        axes.set_ylim(len(groups) - 0.5, -1.4)
        axes.set_yticks(range(len(groups)), [short(words.group_name(g.group)) for g in groups])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"share of the group's images, {' and '.join(targets)}")
        figure.legend(loc="outside upper center", ncols=3, fontsize=8.5, handlelength=1.2)
    told = _told(mean, None if spread is None else spread.estimate)
    worst, best = groups[0], groups[-1]
    alt = (
        f"{names[0].capitalize()}: {words.group_name(worst.group)} {words.number(_value(worst, 'accuracy'))} (worst) to "
        f"{words.group_name(best.group)} {words.number(_value(best, 'accuracy'))} (best){told}."
    )
    line = " The line is the mean over the groups" if mean is not None else ""
    line += (
        ", the bar above it one standard deviation to either side." if line and spread is not None else "." if line else ""
    )
    return picture(
        figure,
        f"joint cells {' '.join(grouping.by)}",
        f"{' and '.join(targets).capitalize()} right at once, by {words.grouping_name(grouping.by)}",
        alt,
        f"Worst group first{told}.{line}",
    )


def _value(group: GroupResult, metric: str) -> float:
    return group.metrics[metric].value if metric in group.metrics else math.nan


def _mean(result: AuditResult, grouping: GroupingResult, targets: list[str]) -> Estimate | None:
    """Mean accuracy over groups, where the record has it: groups that are the classes have the mean recall of classes."""
    if sorted(map(str.casefold, targets)) != sorted(words.clean(name).casefold() for name in grouping.by):
        return None
    one = result.overall.metrics.get("balanced_accuracy")
    return None if one is None or math.isnan(one.value) else one


def _told(mean: Estimate | None, spread: Estimate | None) -> str:
    if spread is None or math.isnan(spread.value):
        return ""
    if mean is None:
        return f"; standard deviation over groups {words.estimate(spread)}"
    return f"; mean {words.number(mean.value)} ± {words.number(spread.value)} (standard deviation over groups)"
