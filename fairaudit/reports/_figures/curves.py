"""Curves: how training went, epoch by epoch: the loss, and on validation images the mean and the worst group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.arms import Style, spaced, styles
from fairaudit.reports._figures.canvas import PAPER, RULE, Picture, canvas, picture
from fairaudit.results.mitigation import MitigationResult, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("loss", "training loss"), ("mean", "validation accuracy,\nmean over groups"),
    ("worst", "validation accuracy,\nworst group"),
)  # fmt: skip
_LINE = 10.5
"""Points between two labels."""


def curves(result: MitigationResult) -> Picture | None:
    """Draw the learning curves of every arm; None where the record has no epochs.

    Args:
        result: the experiment.
    """
    drawn = [one for one in styles(result, tuple(result.settings["by"][0])) if one.arm.curve("loss")]
    panels = [(what, title) for what, title in _PANELS if any(one.arm.curve(what) for one in drawn)]
    if not panels:
        return None
    last = max(point.epoch for one in drawn for point in one.arm.curve("loss"))
    with canvas(height=0.5 + 1.75 * len(panels)) as figure:
        several = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (what, title) in zip(several, panels, strict=True):
            for one in sorted(drawn, key=lambda one: one.named):
                _line(axes, one, what)
            axes.set_ylabel(title)
            axes.grid(axis="y")
            _labels(axes, [one for one in drawn if one.named], what, 1.75 * 72 - 24)
        several[-1].set_xlabel("epoch")
        several[-1].set_xlim(1 - 0.02 * last, last + 0.02 * last)
        step = max(1, math.ceil(last / 10))
        several[-1].set_xticks(sorted({1, *range(step, last + 1, step)}))
    return picture(figure, "curves", "Learning curves", _finding(drawn), _caption(result, drawn))


def _line(axes: Axes, one: Style, what: str) -> None:
    curve = one.arm.curve(what)
    epochs = [point.epoch for point in curve]
    depth = 3 if one.named else 1
    if one.named and any(point.low < point.high for point in curve):
        low, high = [point.low for point in curve], [point.high for point in curve]
        axes.fill_between(epochs, low, high, color=one.colour, alpha=0.11, linewidth=0)
    axes.plot(epochs, [point.mean for point in curve], color=one.colour if one.named else RULE, linestyle=one.dash,
              linewidth=1.6 if one.named else 0.8, marker=one.mark if len(curve) == 1 else "", zorder=depth)  # fmt: skip
    if not one.named:
        return
    for run in one.arm.runs:
        for epoch in run.epochs:
            if epoch.epoch == run.selected and math.isfinite(kept := getattr(epoch, what)):
                axes.plot([run.selected], [kept], marker=one.mark, markersize=5, color=one.colour, markerfacecolor=PAPER,
                          linestyle="none", zorder=depth + 1)  # fmt: skip


def _labels(axes: Axes, named: list[Style], what: str, height: float) -> None:
    """Names at the right ends of the lines, moved apart where lines end close together."""
    ends: list[tuple[Style, Point]] = [(one, curve[-1]) for one in named if (curve := one.arm.curve(what))]
    low, high = axes.get_ylim()
    least = _LINE * (high - low) / height
    places = spaced([point.mean for _, point in ends], least, low, high)
    for (one, point), y in zip(ends, places, strict=True):
        axes.annotate(
            one.label, (point.epoch, point.mean), (1.03, y), textcoords=("axes fraction", "data"), fontsize=8.5,
            color=one.colour, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": one.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


def _finding(drawn: list[Style]) -> str:
    said = []
    for one in [one for one in drawn if one.named][:8]:
        name, curve = one.name, one.arm.curve("worst")
        if curve:
            best = max(curve, key=lambda point: point.mean)
            ends = f"{words.number(curve[0].mean)} after the first epoch, at best {words.number(best.mean)}"
            said.append(f"{name}: worst group {ends} after epoch {best.epoch}")
        else:
            loss = one.arm.curve("loss")
            said.append(f"{name}: loss {words.number(loss[0].mean)} → {words.number(loss[-1].mean)}")
    return "On validation images, mean over seeds. " + "; ".join(said) + "."


def _caption(result: MitigationResult, drawn: list[Style]) -> str:
    seeds = int(result.settings["seeds"])
    said = [f"Lines: mean of {seeds} seeds; bands: from the lowest to the highest seed." if seeds > 1 else "One seed."]
    said.append(f"Hollow marks: the epoch that each seed kept (selected by {words.clean(result.settings['select'])}).")
    said.append("Losses of different objectives are on different scales; compare their course, not their height.")
    if any(not one.named for one in drawn):
        said.append("Grey: the other arms.")
    return " ".join(said)
