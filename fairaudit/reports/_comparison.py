"""A comparison of models for a terminal: who got worse, who gained, and before → after of every group."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from fairaudit.comparison import Change, ComparisonResult, Design, PairComparison, Trend
from fairaudit.errors import UnknownNameError
from fairaudit.reports import _wording as words
from fairaudit.reports._layout import TextColumn, tables

MARKS = {Trend.WORSE: "✗", Trend.BETTER: "✓", Trend.HIGHER: "↑", Trend.LOWER: "↓", Trend.UNDECIDED: ""}
STYLES = {Trend.WORSE: "bold red", Trend.BETTER: "green"}
_TESTS = {
    "mcnemar": "McNemar's mid-p on the images where the models differ",
    "person sign-flip": "exact sign-flip test, mid-p, of what each person gained or lost",
    "permutation": "permutation of the two models",
    "mover": "by inverting the interval of the difference",
    "paired t": "paired t over seeds",
}
_LOSSES = "losses: limits of both, combined with the correlation of the images' losses"
_CALIBRATION = "calibration errors: limits of both, combined with their correlation in a paired bootstrap of the rows"
_LIMITS = {
    "auroc": "areas: limits of both, combined with DeLong's covariance of the two models",
    "average_precision": "average precision: limits of both, combined with the correlation of the images' pulls on them",
    "brier": _LOSSES,
    "log_loss": _LOSSES,
    "ece": _CALIBRATION,
    "ece_equal_mass": _CALIBRATION,
    "confidence_ece": _CALIBRATION,
}
"""Whose changes have limits of their own kind where the images are the same."""


def render_comparison(
    result: ComparisonResult, *, width: int = 80, color: bool = False, metrics: Sequence[str] = ()
) -> str:
    """Write a comparison for a terminal.

    Args:
        result: the comparison.
        width: columns of the terminal; tables are split, never cut.
        color: whether to colour what is also marked by a sign and a word.
        metrics: which metrics to show; empty shows accuracy. All of them are in the JSON.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    known = list(dict.fromkeys(c.metric for pair in result.pairs for c in pair.overall.changes))
    for name in metrics:
        if name not in known:
            raise UnknownNameError("metric", name, known)
    stream = io.StringIO()
    page = max(40, width)
    console = Console(
        file=stream,
        width=page,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    shown = tuple(metrics) or ("accuracy",)
    for i, pair in enumerate(result.pairs):
        for part in ([Text()] if i else []) + list(_parts(result, pair, page, shown)):
            console.print(part, soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def _parts(
    result: ComparisonResult, pair: PairComparison, width: int, metrics: tuple[str, ...]
) -> Iterable[RenderableType]:
    target = words.clean(result.settings.get("target", "the target"))
    yield Text(f"Comparison of {target}: {words.clean(pair.before)} → {words.clean(pair.after)}", style="bold")
    yield Text(_design(pair, float(result.settings.get("confidence", 0.95))))
    for metric in metrics:
        overall = [c for c in pair.overall.changes if c.metric == metric]
        for grouping in pair.groupings:
            own = [c for c in grouping.changes if c.metric == metric]
            yield Text()
            yield Text(f"{words.clean(metric)} by {words.grouping_name(grouping.by)}", style="bold")
            yield from (Padding(line, (0, 0, 0, 2)) for line in _sentences(own))
            yield Text()
            yield from _table([c for c in own if c.kind is None], overall, width)
            over = [c for c in own if c.kind is not None and not math.isnan(c.change.value)]
            if over:
                yield Text()
                yield from _table(over, [], width)
    yield from _foot(result, pair, metrics)


def _design(pair: PairComparison, confidence: float) -> str:
    sizes = f"{pair.n[0]:,}" if pair.n[0] == pair.n[1] else f"{pair.n[0]:,} and {pair.n[1]:,}"
    how = {
        Design.PAIRED: f"paired by image, {sizes} images",
        Design.UNPAIRED: f"unpaired: {sizes} different images",
        Design.SEEDS: f"over seeds, {sizes} images a run",
    }[pair.design]
    return f"{how}, {100 * confidence:g} % intervals"


def _sentences(own: list[Change]) -> Iterable[Text]:
    groups = [c for c in own if c.kind is None]
    for trend, name in (
        (Trend.WORSE, "worse"),
        (Trend.LOWER, "lower"),
        (Trend.BETTER, "better"),
        (Trend.HIGHER, "higher"),
    ):
        found = sorted((c for c in groups if c.trend is trend), key=lambda c: -abs(c.change.value))
        for c in found:
            yield Text(f"{MARKS[trend]} {name}: {words.group_name(c.group)} {_moved(c)}", style=STYLES.get(trend, ""))
    for c in own:
        if c.kind is not None and not math.isnan(c.change.value):
            word = _over_word(c)
            yield Text(f"{MARKS[c.trend] or '?'} {word} {_moved(c)}", style=STYLES.get(c.trend, ""))
    open_ = [c for c in groups if c.trend is Trend.UNDECIDED and not math.isnan(c.change.value)]
    if not open_:
        return
    if len(open_) == len(groups):
        yield Text("? nothing can be said of any group: no change is shown, and none is ruled out")
    else:
        yield Text(f"? nothing can be said of the other {words.count(len(open_), 'group')}")


_OVER = {"mean": "the mean over groups", "gap": "the gap", "spread": "the spread", "worst_group": "the worst group"}


def _over_word(c: Change) -> str:
    name = _OVER[c.kind or "gap"]
    if c.trend is Trend.UNDECIDED:
        return f"{name}: no change is shown,"
    if c.kind in ("mean", "worst_group"):
        return f"{name} is {c.trend.value}:"
    return f"{name} {'narrowed' if c.trend is Trend.BETTER else 'widened'}:"


def _moved(c: Change) -> str:
    limits = words.interval(c.change.ci_low, c.change.ci_high, signed=True)
    change = f"change {words.number(c.change.value, signed=True)} {limits}".strip()
    return f"{words.number(c.before.value)} → {words.number(c.after.value)} ({change}, {_p(c.p_adjusted)})"


def _p(p: float) -> str:
    if math.isnan(p):
        return "no test"
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


def _table(changes: list[Change], overall: list[Change], width: int) -> Iterable[RenderableType]:
    # groups worst first; numbers over groups in their own order
    rows = [*sorted((c for c in changes if c.kind is None), key=_worst_first), *(c for c in changes if c.kind), *overall]
    names = [words.group_name(c.group) if c.group is not None else (c.kind or "all images").replace("_", " ") for c in rows]
    columns = [
        TextColumn("before", [_side(c, 0) for c in rows]),
        TextColumn("after", [_side(c, 1) for c in rows]),
        TextColumn("change", [_cell(c) for c in rows]),
        TextColumn("p", [Text("" if math.isnan(c.p_adjusted) else _p(c.p_adjusted).removeprefix("p = ").removeprefix("p "))
                         for c in rows], right=True),
    ]  # fmt: skip
    yield from tables([TextColumn("", [Text(name) for name in names])], columns, width, last_apart=bool(overall))


_ORDER = (Trend.WORSE, Trend.LOWER, Trend.UNDECIDED, Trend.HIGHER, Trend.BETTER)


def _worst_first(c: Change) -> tuple[bool, int, float]:
    return math.isnan(c.change.value), _ORDER.index(c.trend), -abs(c.change.value)


def _side(c: Change, side: int) -> Text:
    one = (c.before, c.after)[side]
    if c.sd is not None and not math.isnan(one.value):
        return Text(f"{words.number(one.value)} ± {words.number(c.sd[side])}")
    shown = words.estimate(one)
    return Text(shown, style="dim" if math.isnan(one.value) else "")


def _cell(c: Change) -> Text:
    if math.isnan(c.change.value):
        return Text("–", style="dim")
    limits = words.interval(c.change.ci_low, c.change.ci_high, signed=True)
    shown = f"{words.number(c.change.value, signed=True)} {limits} {MARKS[c.trend]}"
    return Text(" ".join(shown.split()), style=STYLES.get(c.trend, ""))


def _foot(result: ComparisonResult, pair: PairComparison, metrics: tuple[str, ...]) -> Iterable[RenderableType]:
    used = [c for g in (pair.overall, *pair.groupings) for c in g.changes if c.metric in metrics and c.test is not None]
    tests = [_TESTS[name] for name in dict.fromkeys(c.test for c in used if c.test is not None)]
    replicates = int(result.settings.get("bootstrap", 0))
    notes = [*pair.notes]
    if tests:
        notes.append(
            f"p: {'; '.join(tests)}. Over the groups of a grouping, p-values are adjusted (Holm)"
            + ("" if pair.design is Design.SEEDS else " and intervals of changes hold together (Šidák)")
        )
    if pair.design is Design.PAIRED:
        notes += dict.fromkeys(_LIMITS[name] for metric in metrics if (name := metric.partition("[")[0]) in _LIMITS)
    if _TESTS["permutation"] in tests:
        notes.append(f"{replicates:,} permutations: their p is never below 1/{replicates + 1:,} (--bootstrap)")
    hidden = len(dict.fromkeys(c.metric for c in pair.overall.changes)) - len(metrics)
    if hidden > 0:
        notes.append(f"{words.count(hidden, 'more metric')}: --metric, or --format json")
    yield Text()
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
    for note in notes:
        table.add_row("  · ", Text(words.clean(note)))
    yield table
