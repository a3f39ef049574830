"""Arms: which arms of an experiment a figure names, how each is drawn, and where its label finds room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairaudit.reports._figures.canvas import DASHES, INK, MARKS, OPEN, SERIES
from fairaudit.reports._mitigation import short_name
from fairaudit.results.mitigation import ArmResult, MitigationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Box = tuple[float, float, float, float]
"""Left, low, right and high end in points."""

_RINGS = (7, 14, 22, 32, 44, 58, 76)
"""How many points from its mark a label may stand; beyond ``_NEAR`` a line leads to it."""

_NEAR = 16
_WAYS = ((0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7), (1, 0), (-1, 0), (0, 1), (0, -1))

_BASELINE = "s"
_COLOURS = SERIES[:-1]
"""The last one is the grey of arms that are not named."""

_LONGEST, _ENDING = 34, 21
"""Letters of a name, and those of its end where the middle goes."""

_SAME = 6
"""Points between marks that share a label."""

FEW = 6
"""Arms that are all named; of more, only those that a reader looks for are."""


@dataclass(frozen=True)
class Style:
    """How an arm is drawn.

    Attributes:
        arm: the arm.
        colour: of its marks and lines.
        dash: of its lines.
        mark: its shape.
        named: whether it is labelled and drawn in colour.
        name: without what all arms of its kind share.
    """

    arm: ArmResult
    colour: str
    dash: Any
    mark: str
    named: bool
    name: str

    @property
    def label(self) -> str:
        """Its name; where it is long only its settings, or the middle goes, as arms of a sweep differ at the end."""
        _, bracket, rest = self.name.partition("(")
        name = self.name if len(self.name) <= _LONGEST or not bracket or len(rest) > _LONGEST - 2 else f"…({rest}"
        return name if len(name) <= _LONGEST else f"{name[: _LONGEST - _ENDING - 1]}…{name[-_ENDING:]}"


def styles(result: MitigationResult, by: tuple[str, ...]) -> list[Style]:
    """How each arm is drawn: all in colour where they are few, else the baseline, the front and the worst ones.

    Args:
        result: the experiment.
        by: the grouping whose gap decides which arm is worst.
    """
    wanted = {arm.name for arm in (result.arms if len(result.arms) <= FEW else _looked_for(result, by))}
    found, turn, others = [], 0, [mark for mark in MARKS if mark != _BASELINE]
    for arm in result.arms:
        name = short_name(result, arm)
        if arm.name == result.baseline:
            found.append(Style(arm, INK, DASHES[1], _BASELINE, True, name))
        elif arm.name in wanted:
            colour, dash = _COLOURS[turn % len(_COLOURS)], DASHES[0] if turn < len(_COLOURS) else DASHES[2]
            found.append(Style(arm, colour, dash, others[(turn + turn // len(_COLOURS)) % len(others)], True, name))
            turn += 1
        else:
            found.append(Style(arm, OPEN, DASHES[0], "o", False, name))
    return found


def value(arm: ArmResult, kind: str | None, by: tuple[str, ...]) -> float:
    """The accuracy of an arm, or a disparity of it; nan where it has none."""
    one = arm.number("accuracy", kind, by if kind else ())
    return math.nan if one is None else one.value


def _looked_for(result: MitigationResult, by: tuple[str, ...]) -> Iterable[ArmResult]:
    """The front, and the arms with the lowest accuracy and the largest gap."""
    yield from (arm for arm in result.arms if arm.on_front)
    known = [arm for arm in result.arms if not math.isnan(value(arm, "gap", by)) and not math.isnan(value(arm, None, by))]
    if known:
        yield min(known, key=lambda arm: value(arm, None, by))
        yield max(known, key=lambda arm: value(arm, "gap", by))


def spaced(heights: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Heights moved apart by at least ``least`` in their order, within bounds where they fit.

    Args:
        heights: where labels would stand.
        least: the distance.
        low: lower bound.
        high: upper bound.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + least)
    for k in range(len(placed) - 1, -1, -1):
        ceiling = high if k == len(placed) - 1 else placed[k + 1] - least
        placed[k] = min(placed[k], ceiling)
    up = max(0.0, low - placed[0]) if placed else 0.0
    found = [0.0] * len(heights)
    for k, i in enumerate(order):
        found[i] = placed[k] + up
    return found


def label_points(axes: Axes, points: Sequence[tuple[float, float, str, str]], marks: Sequence[tuple[float, float]]) -> None:
    """Write names beside points, each at the nearest place where it covers neither another name nor a mark.

    Points that lie on top of each other share one.

    Args:
        axes: whose limits are final and whose figure is laid out.
        points: x, y, name and colour of each.
        marks: x and y of everything that names should not cover.
    """
    scale = axes.figure.dpi / 72
    dots = [_at(axes, *one) for one in marks]
    taken: list[_Box] = []
    frame: _Box = (axes.bbox.x0 / scale, axes.bbox.y0 / scale, axes.bbox.x1 / scale, axes.bbox.y1 / scale)
    for x, y, name, colour in _apart(axes, points):
        text = axes.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize=8.5, color=colour, va="center")
        size = text.get_window_extent()
        wide, tall = size.width / scale + 3, size.height / scale + 2
        here = _at(axes, x, y)
        best: tuple[float, float, float, _Box] | None = None
        for ring in _RINGS:
            for dx, dy in _WAYS:
                left = here[0] + ring * dx - (0 if dx > 0 else wide if dx < 0 else wide / 2)
                low = here[1] + ring * dy - tall / 2
                box = (left, low, left + wide, low + tall)
                cost = 4 * sum(_overlap(box, other) for other in taken) + ring / 100
                cost += sum(_overlap(box, (dot[0] - 3, dot[1] - 3, dot[0] + 3, dot[1] + 3)) for dot in dots)
                cost += 0 if box[0] >= frame[0] and box[2] <= frame[2] and box[1] >= frame[1] and box[3] <= frame[3] else 10
                if best is None or cost < best[0]:
                    best = (cost, ring * dx, ring * dy, box)
        assert best is not None  # there are places to try
        _, dx, dy, box = best
        text.set(ha="left" if dx > 0 else "right" if dx < 0 else "center")
        text.set_position((dx, dy))
        taken.append(box)
        if math.hypot(dx, dy) > _NEAR:
            line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
            axes.annotate("", (x, y), (dx, dy), textcoords="offset points", arrowprops=line)


def _apart(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> list[tuple[float, float, str, str]]:
    """Points that lie on top of each other under one name: ``erm and 2 more``."""
    found: list[tuple[tuple[float, float], list[tuple[float, float, str, str]]]] = []
    for point in points:
        here = _at(axes, *point[:2])
        near = next((own for place, own in found if math.dist(here, place) < _SAME), None)
        if near is None:
            found.append((here, [point]))
        else:
            near.append(point)
    return [
        (own[0][0], own[0][1], own[0][2] + (f" and {len(own) - 1} more" if len(own) > 1 else ""), own[0][3])
        for _, own in found
    ]


def _at(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """A place in points."""
    place = axes.transData.transform((x, y)) * 72 / axes.figure.dpi
    return float(place[0]), float(place[1])


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
