"""Heat: one metric over two crossed attributes, the value and its support in each cell."""

from __future__ import annotations

import math

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import MUTED, WIDTH, Picture, canvas, ink_on, picture
from fairaudit.reports._figures.rows import short
from fairaudit.reports._figures.tiles import tiles
from fairaudit.reports._selection import worst_first
from fairaudit.results import AuditResult, Estimate, GroupingResult

MOST = 24
"""Levels of one attribute that a figure has room for."""

_NARROWEST = 0.5
"""Inches of a cell that has room for its numbers."""


def heat(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture | None:
    """Draw a metric of two crossed attributes; None for other groupings, and where an attribute has too many levels.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric.
    """
    if len(grouping.by) != 2:
        return None
    levels = [list(dict.fromkeys(group.group[name] for group in grouping.groups)) for name in grouping.by]
    (down_name, down), (across_name, across) = sorted(
        zip(grouping.by, levels, strict=True), key=lambda one: len(one[1]), reverse=True
    )
    if len(down) > MOST or len(across) > MOST or len(across) < 2:
        return None
    floor = int(result.settings.get("min_support", 0))
    found = {(g.group[down_name], g.group[across_name]): g.metrics.get(metric) for g in grouping.groups}
    cells = [[found.get((first, second)) for second in across] for first in down]
    judged = [one.value for row in cells for one in row if one is not None and _judged(one, floor)]
    low, high = (min(judged), max(judged)) if judged else (0.0, 1.0)
    shares = [[_share(one.value, low, high) if _judged(one, floor) and one else None for one in row] for row in cells]
    wide = min(1.25, (WIDTH - 1.9) / len(across))
    with canvas(min(WIDTH, 2.1 + wide * len(across)), 0.9 + 0.44 * len(down)) as figure:
        axes = figure.add_subplot()
        tiles(axes, shares, 1.5)
        for y, row in enumerate(cells if wide >= _NARROWEST else []):
            for x, one in enumerate(row):
                share = shares[y][x]
                ink = MUTED if share is None else ink_on(share)
                above, below = _said(one)
                axes.text(x, y - 0.02, above, ha="center", va="bottom", fontsize=9, color=ink)
                axes.text(x, y + 0.06, below, ha="center", va="top", fontsize=8.5, color=ink)
        names = [short(str(name), 20) for name in across]
        tilted = max(map(len, names)) > 13 * wide
        axes.set_xticks(range(len(names)), names, rotation=30 if tilted else 0, ha="right" if tilted else "center")
        axes.set_yticks(range(len(down)), [short(str(name), 24) for name in down])
        axes.set_xlabel(words.clean(across_name))
        axes.set_ylabel(words.clean(down_name))
    name = f"{words.metric_name(metric)} by {words.grouping_name(grouping.by)}"
    caption = (
        "Each cell: the value, and how many images are behind it. The darker, the larger, from "
        f"{words.number(low)} to {words.number(high)}."
    )
    if any(share is None for row in shares for share in row):
        caption += f" Hatched: undefined, absent, or fewer than {words.count(floor, 'image')}."
    title = f"{name[0].upper()}{name[1:]}, cell by cell"
    return picture(
        figure, f"heat {' '.join(grouping.by)} {metric}", title, _finding(grouping, metric, name, floor), caption
    )


def _judged(one: Estimate | None, floor: int) -> bool:
    return one is not None and math.isfinite(one.value) and one.support >= floor


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between the smallest and the largest."""
    return 0.5 if high <= low else (value - low) / (high - low)


def _said(one: Estimate | None) -> tuple[str, str]:
    if one is None or math.isnan(one.value):
        why = "absent" if one is not None and (one.reason or "").startswith("absent") else "undefined"
        return why, "" if one is None or why == "absent" else f"of {one.support:,}"
    return words.number(one.value), f"of {one.support:,}"


def _finding(grouping: GroupingResult, metric: str, name: str, floor: int) -> str:
    groups = [g for g in worst_first(grouping, metric, floor) if metric in g.metrics]
    known = [g for g in groups if _judged(g.metrics[metric], floor)]
    hatched = len(grouping.groups) - len(known)
    tail = f" {words.count(hatched, 'cell')} undefined, absent or too small." if hatched else ""
    if not known:
        return f"No cell has enough images for {name}.{tail}"
    first, last = (f"{words.group_name(g.group)} {words.number(g.metrics[metric].value)}" for g in (known[0], known[-1]))
    return f"{name}: from {first} (worst) to {last} (best).{tail}"
