"""An experiment for a terminal: every arm's accuracy and disparities beside the baseline's, and who lost."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from fairaudit.reports import _wording as words
from fairaudit.results import group_label
from fairaudit.results.mitigation import ArmResult, MitigationResult, Number

MARKS = {"better": "✓", "worse": "✗", "higher": "↑", "lower": "↓", "undecided": " "}
STYLES = {"better": "green", "worse": "bold red"}
COLUMNS = (("accuracy", None, "accuracy"), ("accuracy", "worst_group", "worst group"), ("accuracy", "gap", "gap"))
NOTES = 4
"""Sentences of one arm that are shown; each seed may have its own."""
F1 = (("f1", "gap", "F1 gap"), ("f1[macro]", "gap", "F1 gap"))


def render_mitigation(result: MitigationResult, *, width: int = 80, color: bool = False) -> str:
    """Write an experiment for a terminal.

    Args:
        result: what it found.
        width: columns of the terminal.
        color: whether to colour what is also marked by a sign.
    """
    stream = io.StringIO()
    console = Console(
        file=stream, width=max(40, width), force_terminal=color, color_system="standard" if color else None,
        no_color=not color, markup=False, highlight=False, emoji=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    for part in _parts(result):
        console.print(part, soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n") + "\n"


def _parts(result: MitigationResult) -> Iterable[RenderableType]:
    s, n = result.settings, result.images
    target = words.clean(", ".join(s["target"]))
    yield Text(f"{target} on {n['test']:,} test images, {_runs(s['seeds'])}", style="bold")
    yield Text(
        f"{words.clean(s['architecture'])} from {words.clean(s['start'])}; trained on {n['train']:,} images, epochs "
        f"selected by {s['select']} on {n['validation']:,} others"
    )
    for by in s["by"]:
        yield Text()
        yield Text(f"by {words.grouping_name(tuple(by))}", style="bold")
        yield _table(result, tuple(by))
    yield Text()
    for line in _sentences(result):
        yield Padding(Text("· " + line), (0, 0, 0, 0))


def _runs(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"mean ± SD of {seeds} seeds"


def _table(result: MitigationResult, by: tuple[str, ...]) -> RenderableType:
    shown = [*COLUMNS, *(f for f in F1 if result.arms[0].number(f[0], f[1], by) is not None)]
    table = Table(Column("", overflow="fold"), box=None, pad_edge=False, header_style="bold")
    for _, _, title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for arm in result.arms:
        numbers = [arm.number(metric, kind, by if kind else ()) for metric, kind, _ in shown]
        name = words.clean(arm.name) + (" ◆" if arm.on_front and by == tuple(result.settings["by"][0]) else "")
        table.add_row(name, *(_value(one) for one in numbers))
        if arm.name != result.baseline and result.baseline is not None:
            table.add_row("", *(_change(one) for one in numbers))
    return table


def _value(one: Number | None) -> Text:
    if one is None or math.isnan(one.value):
        return Text("undefined")
    return Text(f"{one.value:.3f}" + ("" if math.isnan(one.sd) else f" ±{one.sd:.3f}"))


def _change(one: Number | None) -> Text:
    if one is None or math.isnan(one.change):
        return Text("")
    p = one.p_images if math.isnan(one.p_seeds) else one.p_seeds
    said = "" if math.isnan(p) else " p<.001" if p < 0.001 else f" p={p:.3f}".replace("0.", ".")
    return Text(f"{one.change:+.3f}{said} {MARKS[one.trend]}".rstrip(), style=STYLES.get(one.trend, ""))


def _sentences(result: MitigationResult) -> Iterable[str]:
    several = result.settings["seeds"] > 1
    if len(result.settings["target"]) > 1:
        yield "an image is right where every target is; audit_TARGET.json of each run is of one target by itself"
    for arm in result.arms:
        yield from _losses(arm)
    if result.baseline is not None and len(result.arms) > 1:
        how = "by a t-test over seeds and by an interval over images" if several else "by an interval over images"
        level = f"{result.settings['confidence']:.0%}"
        yield f"✓ better and ✗ worse than {words.clean(result.baseline)} are shown at {level} {how}; p is " + (
            "of the seeds" if several else "of the images"
        )
    if any(math.isnan(n.value) for arm in result.arms for n in arm.numbers):
        yield "undefined: a group has too few images, or none of a class; audit.json of each run gives the reason"
    if any(arm.on_front for arm in result.arms) and len(result.arms) > 1:
        yield "◆ no other arm has both a higher accuracy and a smaller gap"
    for arm in result.arms:
        for note in arm.notes[:NOTES]:
            yield f"{words.clean(arm.name)}: {words.clean(note)}"
        if len(arm.notes) > NOTES:
            yield f"{words.clean(arm.name)}: {len(arm.notes) - NOTES} more sentences are in mitigation.json"


def _losses(arm: ArmResult) -> Iterable[str]:
    for loser in arm.losers:
        group = words.clean(group_label(loser.group))
        p = "p < .001" if loser.p < 0.001 else f"p = {loser.p:.3f}"
        p = "no test: nothing scatters" if math.isnan(loser.p) else f"{p} after Holm"
        shown = "" if loser.shown else ", not shown"
        yield (f"{words.clean(arm.name)} costs {group} most: accuracy {loser.before:.3f} → {loser.after:.3f} ({p}{shown})")
