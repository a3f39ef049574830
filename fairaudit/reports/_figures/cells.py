"""Cells: how many images every group has, and which classes of the target they are."""

from __future__ import annotations

from collections.abc import Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import MUTED, PLAIN, SERIES, Picture, canvas, picture
from fairaudit.reports._profile import group_name, percent
from fairaudit.results.profile import GroupingProfile, GroupProfile, Profile

_MOST_CLASSES = 4
_MOST_BARS = 60
_SORTED_BEYOND = 12
_HATCHES = ("", "////", "....", "xxxx")


def cells(profile: Profile, grouping: GroupingProfile) -> Picture:
    """A bar per group, divided by the classes of the target where they are few.

    Args:
        profile: what the dataset holds.
        grouping: one of its groupings.
    """
    groups, order = _chosen(grouping)
    classes = list(profile.overall.target)
    divided = profile.target not in grouping.by and 2 <= len(classes) <= _MOST_CLASSES
    with canvas(height=0.9 + 0.26 * len(groups) + (0.3 if divided else 0)) as figure:
        axes = figure.add_subplot()
        places = range(len(groups))
        if divided:
            before = [0] * len(groups)
            parts = [(name, [g.target_counts[name] for g in groups]) for name in classes]
            if any(g.target_missing for g in groups):
                parts.append(("(not known)", [g.target_missing for g in groups]))
            for i, (name, widths) in enumerate(parts):
                colour = SERIES[i] if name in classes else MUTED
                hatch = _HATCHES[i % len(_HATCHES)]
                axes.barh(places, widths, left=before, color=colour, height=0.72, hatch=hatch, label=words.clean(name),
                          edgecolor="white", linewidth=0)  # fmt: skip
                before = [a + b for a, b in zip(before, widths, strict=True)]
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(parts), title=words.clean(profile.target),
                        alignment="left")  # fmt: skip
        else:
            axes.barh(places, [g.n for g in groups], color=PLAIN, height=0.72)
        for place, group in zip(places, groups, strict=True):
            axes.annotate(f"{group.n:,} ({percent(group.share)})", (group.n, place), (4, 0), textcoords="offset points",
                          va="center", color=MUTED, fontsize=8)  # fmt: skip
        axes.set_yticks(list(places), [group_name(g) for g in groups])
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.set_xlim(0, max([g.n for g in groups] + [1]) * 1.22)
        axes.set_xlabel("images")
        axes.grid(axis="x")
        axes.tick_params(length=0)
    by = words.grouping_name(grouping.by)
    return picture(figure, f"cells {' '.join(grouping.by)}", f"Images by {by}", _alt(groups, by), order)


def _chosen(grouping: GroupingProfile) -> tuple[Sequence[GroupProfile], str]:
    """In declared order; many levels of one column, such as countries, by size."""
    groups = list(grouping.groups)
    if len(grouping.by) > 1 or len(groups) <= _SORTED_BEYOND:
        shown, said = groups[:_MOST_BARS], ""
    else:
        shown, said = sorted(groups, key=lambda g: -g.n)[:_MOST_BARS], "Largest first."
    if len(groups) > len(shown):
        said = f"{said} {len(groups) - len(shown)} more are in the table.".strip()
    return shown, said


def _alt(groups: Sequence[GroupProfile], by: str) -> str:
    least, most = min(groups, key=lambda g: g.n), max(groups, key=lambda g: g.n)
    return f"Bars of images by {by}: {group_name(most)} has most, {most.n:,}, and {group_name(least)} least, {least.n:,}."
