"""Rows of intervals: a name, an estimate with its limits, and the numbers again as text; what forest plots are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import INK, MUTED, PAPER, VERDICT_COLOURS, VERDICT_MARKS
from fairaudit.results import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 0.235
"""Inches of one row."""

_LETTER = 5.5
"""Points that a letter of a number takes at most."""

_ROOM = 36
"""Letters of a name or a reason that fit beside a plot."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        label: whose number it is.
        value: the estimate; nan where there is none.
        low: its lower limit; nan where there is none.
        high: its upper limit; inf where unbounded.
        text: the numbers, or why there are none.
        support: images behind it, as text.
        verdict: of a rule on it; ``NONE`` where there is no rule.
        few: whether too few images are behind it to judge it.
        apart: whether it sums the others up.
    """

    label: str
    value: float
    low: float
    high: float
    text: str
    support: str = ""
    verdict: Verdict = Verdict.NONE
    few: bool = False
    apart: bool = False


def draw(axes: Axes, rows: Sequence[Row], heads: tuple[str, str] = ("", ""), names: bool = True) -> None:
    """Draw rows from the top down, one unit apart.

    Args:
        axes: whose x axis has its limits.
        rows: what is drawn.
        heads: headings of the texts and of the supports.
        names: whether the rows are named; not where a plot to the left names them.
    """
    texts = [short(row.text) for row in rows]
    width = _LETTER * max(map(len, (*texts, heads[0])), default=0)
    supports = width + _LETTER * max(map(len, (*(row.support for row in rows), heads[1])), default=0) + 12
    axes.set_ylim(len(rows) - 0.4, -1.3 if any(heads) else -0.6)
    # Names as texts: a tick is five artists.
    axes.set_yticks([])
    if names:
        _column(axes, [(y, short(row.label), False) for y, row in enumerate(rows)], 0.0, -6.0, "right")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=7)
    axes.grid(axis="x")
    for y, row in enumerate(rows):
        if row.apart:
            axes.axhline(y - 0.5, color=MUTED, linewidth=0.6)
    _estimates(axes, rows)
    dim = [row.few or math.isnan(row.value) for row in rows]
    _column(axes, [(-0.95, heads[0], True), *zip(range(len(rows)), texts, dim, strict=True)], 1.0, 10.0, "left")
    _column(
        axes, [(-0.95, heads[1], True), *((y, row.support, True) for y, row in enumerate(rows))], 1.0, supports, "right"
    )


def _estimates(axes: Axes, rows: Sequence[Row]) -> None:
    """Intervals and marks; those that look the same are one artist, which is what drawing takes its time by."""
    left, right = axes.get_xlim()
    for verdict in dict.fromkeys(row.verdict for row in rows):
        colour = VERDICT_COLOURS[verdict]
        own = [(y, row) for y, row in enumerate(rows) if row.verdict is verdict]
        lines = [(y, row) for y, row in own if not math.isnan(row.low) and not math.isnan(row.high)]
        axes.hlines(
            [y for y, _ in lines], [max(row.low, left) for _, row in lines], [min(row.high, right) for _, row in lines],
            color=colour, linewidth=1.8,
        )  # fmt: skip
        for few in (False, True):
            marks = [
                (min(max(row.value, left), right), y) for y, row in own if row.few is few and not math.isnan(row.value)
            ]
            if marks:
                axes.plot(
                    *zip(*marks, strict=True), linestyle="none", marker=VERDICT_MARKS[verdict], markersize=6.2,
                    color=colour, markerfacecolor=PAPER if few else colour, clip_on=False,
                )  # fmt: skip


def _column(axes: Axes, texts: Sequence[tuple[float, str, bool]], edge: float, at: float, side: str) -> None:
    """Texts beside the plot, (y, text, whether it is dim), at a distance in points from its left (0) or right edge (1)."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = axes.get_figure(root=True)
    if figure is None:
        return
    moved = ScaledTranslation(at / 72, 0, figure.dpi_scale_trans)
    place = blended_transform_factory(axes.transAxes, axes.transData) + moved
    longest = max(texts, key=lambda one: len(one[1]))
    for y, text, dim in texts:
        if text:
            drawn = axes.text(
                edge, y, text, transform=place, ha=side, va="center_baseline", fontsize=8.5, color=MUTED if dim else INK
            )
            # The longest one keeps the room for all of them.
            drawn.set_in_layout(text == longest[1])


def bounds(numbers: Iterable[float], within: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """Limits of an axis around numbers, with some room; those that are not finite do not count.

    Args:
        numbers: all that must be seen.
        within: what the axis must not leave by more than the room.
    """
    known = [number for number in numbers if math.isfinite(number)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = 0.04 * (high - low) or 0.05
    return max(low - room, within[0] - room), min(high + room, within[1] + room)


def short(text: str, room: int = _ROOM) -> str:
    """A name that fits, cleaned; the table below the figure has all of it."""
    said = words.clean(text) if text else ""
    return said if len(said) <= room else said[: room - 1].rstrip() + "…"


def key(rows: Iterable[Row], floor: int) -> str:
    """What the marks that occur mean, for a caption."""
    shown = list(rows)
    found = {row.verdict for row in shown if not math.isnan(row.value)} - {Verdict.NONE}
    meanings = {
        Verdict.PASS: "circle: held",
        Verdict.FAIL: "cross: broken",
        Verdict.INCONCLUSIVE: "diamond: cannot be decided",
    }
    said = [text for verdict, text in meanings.items() if verdict in found]
    of = f"A rule on the number: {'; '.join(said)}. " if said else ""
    few = f"Hollow: fewer than {words.count(floor, 'image')}, shown but not judged. " if any(r.few for r in shown) else ""
    return (of + few).strip()
