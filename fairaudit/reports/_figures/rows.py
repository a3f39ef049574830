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


def draw(axes: Axes, rows: Sequence[Row], heads: tuple[str, str] = ("", "")) -> None:
    """Draw rows from the top down, one unit apart.

    Args:
        axes: whose x axis has its limits.
        rows: what is drawn.
        heads: headings of the texts and of the supports.
    """
    left, right = axes.get_xlim()
    texts = [short(row.text) for row in rows]
    width = _LETTER * max(map(len, (*texts, heads[0])), default=0)
    supports = width + _LETTER * max(map(len, (*(row.support for row in rows), heads[1])), default=0) + 12
    axes.set_ylim(len(rows) - 0.4, -1.3 if any(heads) else -0.6)
    axes.set_yticks(range(len(rows)), [short(row.label) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=7)
    axes.grid(axis="x")

    def beside(y: float, text: str, at: float, right_aligned: bool, dim: bool) -> None:
        axes.annotate(
            text, (1, y), (at, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center_baseline",
            ha="right" if right_aligned else "left", fontsize=8.5, color=MUTED if dim else INK, annotation_clip=False,
        )  # fmt: skip

    for text, at, right_aligned in ((heads[0], 10.0, False), (heads[1], supports, True)):
        if text:
            beside(-0.95, text, at, right_aligned, True)
    for y, row in enumerate(rows):
        colour = VERDICT_COLOURS[row.verdict]
        if row.apart:
            axes.axhline(y - 0.5, color=MUTED, linewidth=0.6)
        if not math.isnan(row.low) and not math.isnan(row.high):
            axes.plot(
                [max(row.low, left), min(row.high, right)], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt"
            )
        if not math.isnan(row.value):
            face = PAPER if row.few else colour
            at = min(max(row.value, left), right)
            axes.plot([at], [y], marker=VERDICT_MARKS[row.verdict], markersize=6.2, color=colour, markerfacecolor=face,
                      clip_on=False)  # fmt: skip
        beside(y, texts[y], 10.0, False, row.few or math.isnan(row.value))
        beside(y, row.support, supports, True, True)


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
