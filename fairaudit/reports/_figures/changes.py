"""Changes: one metric of every group before and after, and how sure each change is; kinds over groups below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fairaudit.comparison import Change, ComparisonResult, GroupingChange, PairComparison, Trend
from fairaudit.reports import _comparison as said
from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import INK, MUTED, RULE, VERDICT_COLOURS, Picture, canvas, picture
from fairaudit.reports._figures.rows import HEIGHT, Row, bounds, draw, short
from fairaudit.results import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
"""Groups of one figure: those of which something is shown, then the largest changes."""

_VERDICTS = {
    Trend.WORSE: Verdict.FAIL, Trend.BETTER: Verdict.PASS, Trend.UNDECIDED: Verdict.INCONCLUSIVE,
    Trend.HIGHER: Verdict.NONE, Trend.LOWER: Verdict.NONE,
}  # fmt: skip
"""Changes wear the colours and marks of verdicts: worse those of a broken rule."""

_MEANINGS = {
    Trend.WORSE: "cross ✗: worse", Trend.BETTER: "circle ✓: better", Trend.UNDECIDED: "diamond: no change is shown",
    Trend.HIGHER: "circle ↑: higher", Trend.LOWER: "circle ↓: lower",
}  # fmt: skip


def changes(
    result: ComparisonResult, pair: PairComparison, grouping: GroupingChange, metric: str, which: str = ""
) -> Picture | None:
    """Draw one metric of one grouping; None where no group's change is defined.

    Args:
        result: the comparison.
        pair: of it.
        grouping: of the pair.
        metric: the metric.
        which: tells the figures of several pairs apart.
    """
    groups, over = said.of_metric(grouping, metric)
    known = [c for c in groups if not math.isnan(c.change.value)]
    if not known:
        return None
    decided = sorted(known, key=lambda c: (c.trend is Trend.UNDECIDED, -abs(c.change.value)))[:MOST]
    shown = sorted(decided, key=lambda c: c.change.value, reverse=_rising_is_worse(known))
    shown += [c for c in pair.overall.changes if c.metric == metric and not math.isnan(c.change.value)]
    name = f"{words.clean(metric)} by {words.grouping_name(grouping.by)}"
    wide = max(len(said.p_cell(c)) for c in (*shown, *over))
    rows = [_row(c, c.group is None, wide) for c in shown]
    below = [_row(c, False, wide) for c in over]
    values = [n for one in (*rows, *below) for n in (one.value, one.low, one.high)]
    with canvas(height=1.35 + HEIGHT * (len(rows) + len(below) + (1.2 if below else 0))) as figure:
        tall = [len(rows) + 1.3, len(below) + 0.4] if below else [1]
        grid = figure.add_gridspec(len(tall), 2, height_ratios=tall, width_ratios=[1, 1])
        left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        right.set_xlim(*bounds([0.0, *values]))
        _arrows(left, shown, rows)
        _beside_zero(right, rows, ("change", "p"))
        left.set_xlabel(f"{words.clean(metric)}, before → after")
        last = right
        if below:
            last = figure.add_subplot(grid[1, 1])
            last.set_xlim(*right.get_xlim())
            right.tick_params(axis="x", labelbottom=False)
            _texts(figure.add_subplot(grid[1, 0]), over, below)
            _beside_zero(last, below, ("", ""))
        for axes in (left, right, last):
            axes.locator_params(axis="x", nbins=4)
        last.set_xlabel(f"change, {said.confidence(result)} interval")
    return picture(
        figure,
        f"changes {which} {' '.join(grouping.by)} {metric}",
        f"{name[0].upper()}{name[1:]}, before and after",
        _finding(name, groups, over),
        _caption(groups, shown, over, len(known)),
    )


def _arrows(axes: Axes, shown: Sequence[Change], rows: Sequence[Row]) -> None:
    axes.set_xlim(*bounds(n for c in shown for n in (c.before.value, c.after.value)))
    axes.set_ylim(len(rows) - 0.4, -1.3)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    for label, c in zip(axes.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if c.trend is Trend.WORSE else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    for y, (c, row) in enumerate(zip(shown, rows, strict=True)):
        colour = VERDICT_COLOURS[row.verdict]
        if row.apart:
            axes.axhline(y - 0.5, color=MUTED, linewidth=0.6)
        axes.annotate(
            "", (c.after.value, y), (c.before.value, y),
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0,
                        "mutation_scale": 9},
        )  # fmt: skip
        axes.plot([c.before.value], [y], marker="|", markersize=7, color=colour, markeredgewidth=1.6)


def _beside_zero(axes: Axes, rows: Sequence[Row], heads: tuple[str, str]) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    draw(axes, rows, heads, names=False)
    if any(heads):
        return
    axes.spines["bottom"].set_color(RULE)


def _texts(axes: Axes, over: Sequence[Change], rows: Sequence[Row]) -> None:
    """Gaps and means share no axis: their values stand as texts."""
    axes.set_xlim(0, 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params(axis="both", length=0, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for y, c in enumerate(over):
        axes.text(0.5, y, f"{words.number(c.before.value)} → {words.number(c.after.value)}", va="center_baseline",
                  ha="center", fontsize=8.5)  # fmt: skip


def _row(c: Change, apart: bool, wide: int) -> Row:
    """A row of either panel; p-values are padded to the same width, so that both have them below each other."""
    label = f"{said.MARKS[c.trend]} {short(said.row_name(c), 26)}".strip()
    limits = words.interval(c.change.ci_low, c.change.ci_high, signed=True)
    text = f"{words.number(c.change.value, signed=True)} {limits}".strip()
    p = said.p_cell(c).rjust(wide, "\N{FIGURE SPACE}")
    return Row(label, c.change.value, c.change.ci_low, c.change.ci_high, text, p, _VERDICTS[c.trend], False, apart)


def _rising_is_worse(groups: Sequence[Change]) -> bool:
    """Which way is worse, by what is shown; falling where nothing is."""
    return any(
        (c.trend is Trend.WORSE and c.change.value > 0) or (c.trend is Trend.BETTER and c.change.value < 0) for c in groups
    )


def _finding(name: str, groups: Sequence[Change], over: Sequence[Change]) -> str:
    sentences = list(said.sentences(groups, over, p=False))
    return f"{name}: " + "; ".join(one.text for one in sentences[:12]) + ("; and more." if len(sentences) > 12 else ".")


def _caption(groups: Sequence[Change], shown: Sequence[Change], over: Sequence[Change], known: int) -> str:
    return " ".join(_captions(groups, [*shown, *over], known))


def _captions(groups: Sequence[Change], shown: Sequence[Change], known: int) -> Iterator[str]:
    yield "Left: from before (bar) to after (arrow head). Right: the change; where its interval spans 0, none is shown."
    found = {c.trend for c in shown}
    yield "Marks: " + "; ".join(text for trend, text in _MEANINGS.items() if trend in found) + "."
    if known > MOST:
        yield f"{MOST} of {known} groups: those of which something is shown, then the largest changes."
    if len(groups) > known:
        yield f"Without a change: {words.count(len(groups) - known, 'group')} whose number is undefined."
