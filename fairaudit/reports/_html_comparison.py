"""A comparison of models as a page: who got worse and who gained first, then figures, tables and how to read them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from fairaudit.comparison import Change, ComparisonResult, Design, GroupingChange, PairComparison, Trend
from fairaudit.reports import _comparison as said
from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._figures.changes import changes
from fairaudit.reports._page import (
    Cell,
    Column,
    Facts,
    Finding,
    Folded,
    Mark,
    Part,
    Points,
    Section,
    Table,
    anchor,
    page,
)

Key = tuple[int, tuple[str, ...], str]
"""Which pair, grouping and metric a figure is of."""

TONES = {Trend.WORSE: "fail", Trend.BETTER: "pass", Trend.HIGHER: "plain", Trend.LOWER: "plain", Trend.UNDECIDED: "open"}
_GROUPS = 6
"""Groups of the first screen."""


def comparison_pictures(result: ComparisonResult, metrics: Sequence[str] = ()) -> dict[Key, Picture]:
    """The figures of a page: one for each pair, grouping and metric that is shown.

    Args:
        result: the comparison.
        metrics: which metrics to show; empty shows accuracy.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    found: dict[Key, Picture] = {}
    for i, pair in enumerate(result.pairs):
        which = str(i + 1) if len(result.pairs) > 1 else ""
        for grouping in pair.groupings:
            for metric in said.chosen(result, metrics):
                if (drawn := changes(result, pair, grouping, metric, which)) is not None:
                    found[i, grouping.by, metric] = drawn
    return found


def comparison_page(
    result: ComparisonResult, figures: Mapping[Key, Picture] | None = None, metrics: Sequence[str] = ()
) -> str:
    """Write a comparison as an HTML page.

    Args:
        result: the comparison.
        figures: those that ``comparison_pictures`` draws; None draws them.
        metrics: which metrics to show; empty shows accuracy.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    shown = said.chosen(result, metrics)
    figures = comparison_pictures(result, metrics) if figures is None else figures
    sections = [part for i, pair in enumerate(result.pairs) for part in _pair(result, i, pair, shown, figures)]
    first = result.pairs[0]
    target = words.clean(result.settings.get("target", "the target"))
    after = words.clean(first.after) if len(result.pairs) == 1 else words.count(len(result.pairs), "model")
    title = f"{target}: {words.clean(first.before)} → {after}"
    lead = [_finding(pair, shown[0]) for pair in result.pairs if shown]
    tail = [
        Section("settings", "Settings", [Facts(list(_settings(result)))]),
        Section("reading", "How to read this", [Points(list(_reading(result)))], short="How to read"),
    ]
    return page(title, lead, [*sections, *tail], kind="comparison", subtitle=f"{said.design(result, first)}.")


def _finding(pair: PairComparison, metric: str) -> Finding:
    """What the first grouping shows, in a sentence, and what the others add."""
    name = words.clean(metric)
    if not pair.groupings:
        return Finding(Mark("–", "nothing compared"), "No grouping was compared.")
    points: list[tuple[Mark | None, str]] = []
    for i, grouping in enumerate(pair.groupings):
        groups, over = said.of_metric(grouping, metric)
        where = f"by {words.grouping_name(grouping.by)}, " if i else ""
        told = list(said.sentences(groups, ()))
        decided = [one for one in told if one.trend is not Trend.UNDECIDED]
        room = _GROUPS if i == 0 else 3
        points += [(_mark(one), f"{where}{one.text}") for one in decided[:room]]
        if len(decided) > room:
            points.append((None, f"{where}{words.count(len(decided) - room, 'more group')} in the table below"))
        rest = [*said.sentences((), over), *told[len(decided) :]]
        if i > 0:  # what cannot be said is said of the first grouping; of others, that nothing is shown
            rest = [one for one in rest if one.trend is not Trend.UNDECIDED] or rest[-1:]
        points += [(_mark(one), f"{where}{one.text}") for one in rest]
    groups, _ = said.of_metric(pair.groupings[0], metric)
    sentence, trend = _sentence(groups, name)
    of = f"{words.clean(pair.before)} → {words.clean(pair.after)}: "
    return Finding(Mark(said.MARKS[trend] or said.OPEN, trend.value, TONES[trend]), of + sentence, points)


def _sentence(groups: Sequence[Change], name: str) -> tuple[str, Trend]:
    def who(trend: Trend) -> str:
        found = [words.group_name(c.group) for c in groups if c.trend is trend]
        more = f" and {len(found) - _GROUPS} more" if len(found) > _GROUPS else ""
        return ", ".join(found[:_GROUPS]) + more

    decided = [trend for trend in (Trend.WORSE, Trend.LOWER, Trend.BETTER, Trend.HIGHER) if who(trend)]
    if not decided:
        return f"of no group is a change in {name} shown", Trend.UNDECIDED
    return f"{name} is " + "; ".join(f"{trend.value} for {who(trend)}" for trend in decided), decided[0]


def _pair(
    result: ComparisonResult, i: int, pair: PairComparison, metrics: Sequence[str], figures: Mapping[Key, Picture]
) -> Iterator[Section]:
    several = len(result.pairs) > 1
    tag = f"pair-{i + 1}" if several else ""
    inner: list[Section] = []
    for grouping in pair.groupings:
        parts: list[Part] = []
        for metric in metrics:
            parts += [figures[key]] if (key := (i, grouping.by, metric)) in figures else []
            parts += _tables(pair, grouping, metric)
        parts += _other_metrics(grouping, metrics)
        heading = f"By {words.grouping_name(grouping.by)}"
        inner.append(Section(anchor("by", tag, *grouping.by), heading, parts))
    notes = said.notes(result, pair, metrics)
    inner.append(Section(anchor("notes", tag), "Notes", [Points(notes)] if notes else []))
    if not several:
        yield from inner
        return
    heading = f"{words.clean(pair.before)} → {words.clean(pair.after)}"
    yield Section(tag, heading, [Points([said.design(result, pair)]), *(s for s in inner if s.parts)])


def _tables(pair: PairComparison, grouping: GroupingChange, metric: str) -> Iterator[Table]:
    groups, over = said.of_metric(grouping, metric)
    overall = [c for c in pair.overall.changes if c.metric == metric]
    rows = [*groups, *overall]
    if not rows:
        return
    name, by = words.clean(metric), words.grouping_name(grouping.by)
    images = "images a run" if pair.design is Design.SEEDS else "images"
    counted = any(c.gained is not None for c in rows)
    columns: list[Column | str] = ["group", *(Column(n, True) for n in (images, "before", "after", "change", "p"))]
    columns += [Column("gained", True), Column("lost", True)] if counted else []
    notes = [f"{said.KEY}."]
    if counted:
        notes.append("gained and lost: images that only the second, or only the first model gets right.")
    body = [_row(c, counted) for c in rows]
    yield Table(f"{name} by {by}, what is worse first", columns, body, notes, last_apart=bool(overall))
    if over:
        wide: list[Column | str] = ["over groups", *(Column(n, True) for n in ("before", "after", "change", "p"))]
        cells = [[_name(c), *_numbers(c)] for c in over]
        yield Table(f"{name} over the groups of {by}", wide, cells, sortable=False)


def _row(c: Change, counted: bool) -> list[Cell | str]:
    support = Cell(f"{c.change.support:,}", value=float(c.change.support))
    flips = [Cell("" if n is None else f"{n:,}", value=math.nan if n is None else float(n)) for n in (c.gained, c.lost)]
    return [_name(c), support, *_numbers(c), *(flips if counted else [])]


def _name(c: Change) -> Cell:
    return Cell(said.row_name(c), strong=c.trend is Trend.WORSE)


def _numbers(c: Change) -> Iterator[Cell]:
    for which, one in enumerate((c.before, c.after)):
        yield Cell(said.side(c, which), value=one.value, dim=math.isnan(one.value))
    text = said.change(c).removesuffix(said.MARKS[c.trend]).strip()
    decided = None if c.trend is Trend.UNDECIDED else Mark(said.MARKS[c.trend], c.trend.value, TONES[c.trend])
    yield Cell(text, decided, c.change.value, math.isnan(c.change.value), c.trend is Trend.WORSE)
    yield Cell(said.p_cell(c), value=c.p_adjusted)


def _other_metrics(grouping: GroupingChange, metrics: Sequence[str]) -> Iterator[Part]:
    """What is shown in metrics that have no table of their own."""
    found = [c for c in grouping.changes if c.metric not in metrics and c.trend is not Trend.UNDECIDED]
    if not found:
        return
    found.sort(key=lambda c: (said.ORDER.index(c.trend), -abs(c.change.value)))
    columns: list[Column | str] = ["metric", "group", *(Column(n, True) for n in ("before", "after", "change", "p"))]
    body: list[list[Cell | str]] = [[words.clean(c.metric), _name(c), *_numbers(c)] for c in found]
    note = (
        "p-values are adjusted over the groups of one metric, not over metrics: of many metrics, some would show a change "
        "by chance alone. csv and json have every change, shown or not."
    )
    table = Table(f"Changes shown by {words.grouping_name(grouping.by)} in other metrics", columns, body, [note], leads=2)
    yield Folded(f"{words.count(len(found), 'change')} shown in other metrics", [table])


def _mark(one: said.Said) -> Mark:
    word = "cannot be said" if one.trend is Trend.UNDECIDED else one.trend.value
    return Mark(one.mark, word, TONES[one.trend])


def _settings(result: ComparisonResult) -> Iterator[tuple[str, str]]:
    for key, value in result.settings.items():
        if value is not None and value != []:
            listed = isinstance(value, (list, tuple))
            text = ", ".join(map(words.clean, value)) if listed else words.clean(value)
            yield words.clean(key).replace("_", " "), text
    yield "metrics compared", str(len(said.known_metrics(result)))


def _reading(result: ComparisonResult) -> Iterator[str]:
    level = said.confidence(result)
    yield f"{said.KEY[0].upper()}{said.KEY[1:]}: too few images say nothing, not that nothing changed."
    yield f"In brackets: {level} intervals. A change is after − before; a gap that falls is better, whoever paid for it."
    yield "A smaller gap may come from groups that lost: look at who got worse before at the gap."
    yield "mean: every group counts once. gap: largest value minus smallest. spread: standard deviation over groups."
    yield "Groups are as the dataset labels them."
