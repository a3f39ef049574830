"""Trade-off: accuracy against disparity of every arm, over seeds, and the front that no other arm beats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.arms import Style, label_points, styles, value
from fairaudit.reports._figures.canvas import MUTED, PAPER, Picture, canvas, picture
from fairaudit.reports._figures.rows import bounds
from fairaudit.results.mitigation import MitigationResult, Number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = 24


def tradeoff(result: MitigationResult, by: tuple[str, ...]) -> Picture | None:
    """Draw the arms by accuracy and the gap of one grouping; None where no arm has both.

    Args:
        result: the experiment.
        by: the grouping.
    """
    drawn = [one for one in styles(result, by) if not math.isnan(value(one.arm, "gap", by) + value(one.arm, None, by))]
    if not drawn:
        return None
    front_known = by == tuple(result.settings["by"][0])
    front = [one for one in drawn if one.arm.on_front and front_known]
    with canvas(height=4.3) as figure:
        axes = figure.add_subplot()
        axes.grid()
        axes.set_xlim(*bounds([x for one in drawn for x in _extent(one.arm.number("accuracy", "gap", by))], (0.0, 1.0)))
        axes.set_ylim(*bounds([y for one in drawn for y in _extent(one.arm.number("accuracy", None))], (0.0, 1.0)))
        axes.set_xlabel(f"gap in accuracy between groups of {words.grouping_name(by)} (smaller is better)")
        axes.set_ylabel("accuracy")
        if len(front) > 1:
            points = sorted((value(one.arm, "gap", by), value(one.arm, None, by)) for one in front)
            axes.plot([x for x, _ in points], [y for _, y in points], drawstyle="steps-post", color=MUTED, linewidth=1.0,
                      linestyle=(0, (4, 2)), zorder=1)  # fmt: skip
        marks = [point for one in sorted(drawn, key=lambda one: one.named) for point in _arm(axes, one, by)]
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")  # labels must find what they were placed around
        names = [(value(o.arm, "gap", by), value(o.arm, None, by), o.label, o.colour) for o in drawn if o.named]
        label_points(axes, names, marks)
    return picture(
        figure,
        f"tradeoff {' '.join(by)}",
        f"Accuracy against the gap by {words.grouping_name(by)}",
        _finding(result, drawn, front, by),
        _caption(result, drawn, bool(len(front) > 1)),
    )


def _arm(axes: Axes, one: Style, by: tuple[str, ...]) -> list[tuple[float, float]]:
    """One arm: its seeds as small marks, mean and standard deviation over them; returns where marks are."""
    gap, accuracy = one.arm.number("accuracy", "gap", by), one.arm.number("accuracy", None)
    if gap is None or accuracy is None:
        return []
    seeds = [
        (x, y) for x, y in zip(gap.by_seed, accuracy.by_seed, strict=False) if not (math.isnan(x) or math.isnan(y))
    ]  # records of the first version have none
    depth = 3 if one.named else 2
    if len(seeds) > 1 and one.named:
        axes.plot([x for x, _ in seeds], [y for _, y in seeds], linestyle="none", marker=one.mark, markersize=3,
                  color=one.colour, alpha=0.55, zorder=depth)  # fmt: skip
    if one.named:
        axes.errorbar(
            gap.value,
            accuracy.value,
            xerr=_half(gap),
            yerr=_half(accuracy),
            color=one.colour,
            alpha=0.6,
            linewidth=0.9,
            zorder=depth,
        )
    axes.plot([gap.value], [accuracy.value], linestyle="none", marker=one.mark, markersize=8 if one.named else 4.5,
              color=one.colour, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=depth + 1)  # fmt: skip
    if not one.named:
        return [(gap.value, accuracy.value)]
    return [(gap.value, accuracy.value), *seeds, *_along(gap, accuracy)]


def _along(gap: Number, accuracy: Number) -> list[tuple[float, float]]:
    """Places on the lines of one standard deviation, which labels should not cover either."""
    steps = [k / _STEPS for k in range(-_STEPS, _STEPS + 1)]
    across = [] if math.isnan(gap.sd) else [(gap.value + step * gap.sd, accuracy.value) for step in steps]
    return across + (
        [] if math.isnan(accuracy.sd) else [(gap.value, accuracy.value + step * accuracy.sd) for step in steps]
    )


def _half(one: Number) -> float | None:
    return None if math.isnan(one.sd) else one.sd


def _extent(one: Number | None) -> list[float]:
    if one is None:
        return []
    sd = 0.0 if math.isnan(one.sd) else one.sd
    return [one.value - sd, one.value + sd, *one.by_seed]


def _finding(result: MitigationResult, drawn: list[Style], front: list[Style], by: tuple[str, ...]) -> str:
    def told(one: Style) -> str:
        accuracy, gap = value(one.arm, None, by), value(one.arm, "gap", by)
        return f"{one.name} (accuracy {words.number(accuracy)}, gap {words.number(gap)})"

    base = [one for one in drawn if one.arm.name == result.baseline]
    said = [f"Baseline {told(one)}" for one in base]
    if front:
        said.append("no other arm has both a higher accuracy and a smaller gap than " + ", ".join(map(told, front[:5])))
    smallest = min(drawn, key=lambda one: value(one.arm, "gap", by))
    if smallest not in front[:5]:
        said.append(f"smallest gap {told(smallest)}")
    return "; ".join(said) + "."


def _caption(result: MitigationResult, drawn: list[Style], front: bool) -> str:
    seeds = int(result.settings["seeds"])
    said = ["Up and to the left is better."]
    if seeds > 1:
        said.append(f"Large marks: mean of {seeds} seeds, with lines of one standard deviation; small marks: single seeds.")
    else:
        said.append("One seed: how far another training would lie from it is not known.")
    if front:
        said.append("Dashed: the front.")
    if not all(one.named for one in drawn):
        said.append("Grey: arms that are on no front and not the worst; the table has them all.")
    return " ".join(said)
