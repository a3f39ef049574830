"""Tables beside those of a grouping: within levels of other columns, and what wrong labels could do; for every format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairaudit.reports import _wording as words
from fairaudit.reports._rules import group_key, ruled
from fairaudit.results import AuditResult, Conditional, Disparity, Estimate, GroupingResult, LabelNoise, Range, Verdict

Cell = tuple[Estimate | str | None, tuple[Verdict, str] | None]
"""A number or a text, and what a rule says of it."""

SHRUNK = (
    "shrunk: drawn towards the mean of all groups, the more the fewer images a group has; no interval, gap or verdict is "
    "made of it"
)
_TOO_LARGE = (
    "counted on few images a gap is too large on average, and a mean of gaps is too; intervals take that into account"
)
_CORRECTED = (
    "corrected: if labels are wrong whether or not the model is; could be: whatever errors depend on. Chance comes on top; "
    "no interval and no verdict includes this"
)


@dataclass(frozen=True)
class Aside:
    """A table that a report shows below those of a grouping.

    Attributes:
        title: what it is about.
        leads: headings of the columns that say what a row is.
        columns: headings of the columns of values.
        rows: what each row is, and its values.
        last_apart: whether the last row sums the others up.
        signed: whether numbers carry their sign.
        notes: sentences below it.
    """

    title: str
    leads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]
    last_apart: bool = False
    signed: bool = False
    notes: tuple[str, ...] = ()


def asides(result: AuditResult, grouping: GroupingResult, metrics: Sequence[str], most: int) -> Iterator[Aside]:
    """Everything beside the tables of one grouping.

    Args:
        result: the audit.
        grouping: one of all images.
        metrics: those that are shown of it.
        most: rows of a table of differences.
    """
    for conditional in result.conditional:
        if conditional.by == grouping.by:
            yield from _gaps(result, conditional, metrics)
            yield from _differences(grouping, conditional, metrics, most)
    if grouping.label_noise is not None:
        yield from _noise(grouping.label_noise, metrics)


def shrunk_column(grouping: GroupingResult, metric: str, groups: Sequence[Mapping[str, float] | None]) -> list[str] | None:
    """The shrunken values of one metric, in the order of the groups given; None where there are none.

    Args:
        grouping: the grouping.
        metric: the metric.
        groups: shrunken values of each group that is shown.
    """
    if not any(metric in (one.shrunk or {}) for one in grouping.groups):
        return None
    return [words.number((one or {}).get(metric, math.nan)) for one in groups]


def _gaps(result: AuditResult, conditional: Conditional, metrics: Sequence[str]) -> Iterator[Aside]:
    levels = result.within(conditional.by, conditional.given)
    means = {d.metric: d.estimate for d in conditional.disparities if d.kind == "gap"}
    shown = [m for m in metrics if m in means]
    if not shown:
        return
    rows: list[tuple[tuple[str, ...], tuple[Cell, ...]]] = []
    for level in levels:
        found = {d.metric: d.estimate for d in level.disparities if d.kind == "gap"}
        marks = ruled(result, level.by, "gap", given=level.given)
        n = sum(group.n for group in level.groups)
        cells = tuple((found.get(m), marks.get((m, group_key(None)))) for m in shown)
        rows.append(((words.group_name(level.given), f"{n:,}" if n else "absent"), cells))
    total = sum(group.n for level in levels for group in level.groups)
    rows.append((("mean over levels", f"{total:,}"), tuple((means[m], None) for m in shown)))
    given, by = words.grouping_name(conditional.given), words.grouping_name(conditional.by)
    title = f"Within levels of {given}: gap between the groups of {by}"
    names = tuple(words.clean(m) for m in shown)
    yield Aside(title, (given, "n"), names, tuple(rows), last_apart=True, notes=(_TOO_LARGE,))


def _differences(grouping: GroupingResult, conditional: Conditional, metrics: Sequence[str], most: int) -> Iterator[Aside]:
    def order(d: Disparity) -> float:
        return -abs(d.estimate.value)

    own = [d for d in conditional.disparities if d.kind == "difference" and d.metric in metrics]
    found = sorted((d for d in own if not math.isnan(d.estimate.value)), key=order)
    if not found or grouping.privileged is None:
        return
    shown, rest = found[:most], len(found) - most
    title = f"Mean difference from {words.group_name(grouping.privileged)} over levels of " + words.grouping_name(
        conditional.given
    )
    rows = tuple(((words.group_name(d.group), words.clean(d.metric)), ((d.estimate, None),)) for d in shown)
    notes = (f"and {rest} smaller ones",) if rest > 0 else ()
    yield Aside(title, ("group", "metric"), ("difference",), rows, signed=True, notes=notes)


def _noise(noise: LabelNoise, metrics: Sequence[str]) -> Iterator[Aside]:
    rows = []
    for metric in metrics:
        own = [r for r in noise.ranges if r.metric == metric]
        differences = sorted((r for r in own if r.kind == "difference"), key=lambda r: -abs(r.value))
        for one in [*(r for r in own if r.kind == "gap"), *differences[:1]]:
            signed = one.kind == "difference"
            what = "gap" if one.group is None else f"of {words.group_name(one.group)}"
            numbers = [words.number(one.value, signed), words.number(one.corrected, signed), _range(one, signed)]
            rows.append(((words.clean(metric), what), tuple((text, None) for text in numbers)))
    if rows:
        columns = ("counted", "corrected", "could be")
        yield Aside(_assumed(noise), ("metric", "difference"), columns, tuple(rows), notes=(_CORRECTED,))


def _range(one: Range, signed: bool) -> str:
    return f"{words.number(one.low, signed)} to {words.number(one.high, signed)}"


def _assumed(noise: LabelNoise) -> str:
    rates = [f"{100 * e:g} % of {words.clean(a)} labels" for a, e in noise.errors.items() if not isinstance(e, Mapping)]
    matrices = [f"{words.clean(a)} labels" for a, e in noise.errors.items() if isinstance(e, Mapping)]
    said = [f"{' and '.join(rates)} were wrong"] if rates else []
    said += [f"{' and '.join(matrices)} were wrong as the error matrix says"] if matrices else []
    return f"If {' and '.join(said)}"
