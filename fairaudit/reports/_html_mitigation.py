"""An experiment as a page: which arms are shown to be better or worse and who lost first, then figures and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from fairaudit.reports import _mitigation as said
from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._figures.curves import curves
from fairaudit.reports._figures.tradeoff import tradeoff
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
from fairaudit.results.mitigation import ArmResult, MitigationResult, Number

TONES = {"worse": "fail", "better": "pass", "higher": "plain", "lower": "plain", "undecided": "open"}
_CURVES = "curves"
_ARMS = 4
"""Names in a title."""

_FEW = 6
"""Arms of which each is told by itself."""

_LONG = 80
"""Letters of names in one sentence."""


def mitigation_pictures(result: MitigationResult) -> dict[str, Picture]:
    """The figures of a page: the trade-off by each grouping, and the learning curves where the record has them.

    Args:
        result: the experiment.
    """
    drawn = {_key(by): tradeoff(result, by) for by in said.groupings(result)} | {_CURVES: curves(result)}
    return {key: one for key, one in drawn.items() if one is not None}


def mitigation_page(result: MitigationResult, figures: Mapping[str, Picture] | None = None) -> str:
    """Write an experiment as an HTML page.

    Args:
        result: what it found.
        figures: those that ``mitigation_pictures`` draws; None draws them.
    """
    figures = mitigation_pictures(result) if figures is None else figures
    sections = [
        *(_grouping(result, by, figures) for by in said.groupings(result)),
        Section("lost", "Who lost most", list(_losers(result))),
        Section("training", "Training", list(_training(result, figures))),
        Section("notes", "Notes", list(_notes(result))),
        Section("settings", "Settings", [Facts(list(_settings(result)))]),
        Section("reading", "How to read this", [Points(list(_reading(result)))], short="How to read"),
    ]
    tested = f"{result.images['test']:,} test images, {said.runs(result)}. {said.setting(result)}."
    return page(_title(result), [_finding(result)], sections, kind="mitigation", subtitle=tested[0].upper() + tested[1:])


def _key(by: tuple[str, ...]) -> str:
    return " ".join(by)


def _title(result: MitigationResult) -> str:
    compared = said.others(result) or list(result.arms)
    named = ", ".join(words.clean(arm.name) for arm in compared)
    arms = named if len(compared) <= _ARMS and len(named) <= _LONG else words.count(len(compared), "arm")
    against = f" against {words.clean(result.baseline)}" if said.others(result) else ""
    return f"{said.targets(result)}: {arms}{against}"


def _finding(result: MitigationResult) -> Finding:
    compared = said.others(result)
    if not compared:
        return Finding(Mark("–", "nothing compared"), "No baseline was trained: nothing here says whether a method helped.")
    base = words.clean(result.baseline)
    shown = {
        trend: [arm for arm in compared if any(n.trend == trend for n in arm.numbers)] for trend in ("worse", "better")
    }
    told = [(trend, _who(arms)) for trend, arms in shown.items() if arms]
    sentence = f"Against {base}, no arm is shown to be better or worse."
    if told:
        (first, who), *rest = told
        more = "".join(f"; {trend}: {others}" for trend, others in rest)
        sentence = f"{first.capitalize()} than {base} in some number: {who}{more}."
    points = list(_points(result) if len(compared) <= _FEW else _summed(result))
    points += [(_mark("undecided"), words.clean(note)) for note in result.notes if note.startswith("one seed")]
    return Finding(_mark(next((trend for trend, arms in shown.items() if arms), "undecided")), sentence, points)


def _who(arms: Sequence[ArmResult]) -> str:
    names = ", ".join(words.clean(arm.name) for arm in arms)
    return names if len(names) <= _LONG else words.count(len(arms), "arm")


def _points(result: MitigationResult) -> Iterator[tuple[Mark | None, str]]:
    """Of few arms: everything that is shown of each, and who lost most under it."""
    yield from ((_mark(one.trend, one.mark), one.text) for one in said.verdicts(result))
    for arm in said.others(result):
        for one in arm.losers[:1]:
            yield _mark("worse" if one.shown else "undecided"), said.loss(result, arm, one)


def _summed(result: MitigationResult) -> Iterator[tuple[Mark | None, str]]:
    """Of many arms: the front, and who is shown to lose most."""
    by = said.groupings(result)[0]
    for arm in [arm for arm in result.arms if arm.on_front][:_FEW]:
        accuracy, gap = (said.value(arm.number("accuracy", kind, by if kind else ())) for kind in (None, "gap"))
        yield None, f"{said.FRONT} {said.short_name(result, arm)}: accuracy {accuracy}, gap {gap}"
    lost = said.lost_groups(result)
    for group, n in lost[:_FEW]:
        yield _mark("worse"), f"{group} lost most under {words.count(n, 'arm')}, and the loss is shown"
    if not lost:
        yield _mark("undecided"), "of no group is a loss against the baseline shown"


def _mark(trend: str, symbol: str = "") -> Mark:
    word = "not shown" if trend == "undecided" else trend
    return Mark(symbol or said.MARKS[trend].strip() or "?", word, TONES[trend])


def _grouping(result: MitigationResult, by: tuple[str, ...], figures: Mapping[str, Picture]) -> Section:
    parts: list[Part] = [figures[_key(by)]] if _key(by) in figures else []
    kinds = [*said.columns(result, by), ("accuracy", "spread", "spread")]
    shown = [(m, k, title) for m, k, title in kinds if any(arm.number(m, k, by if k else ()) for arm in result.arms)]
    columns: list[Column | str] = ["arm", *(Column(title, True) for _, _, title in shown)]
    rows = [
        [_arm(result, arm, by), *(_cell(arm.number(m, k, by if k else ())) for m, k, _ in shown)] for arm in result.arms
    ]
    name = words.grouping_name(by)
    below = "; below each number, the change from the baseline" if said.others(result) else ""
    parts.append(Table(f"Every arm by {name}{below}", columns, rows,
                       [f"{text[0].upper()}{text[1:]}." for text in said.reading(result)]))  # fmt: skip
    parts += _served(result, by)
    parts.append(Folded(f"Intervals and p-values by {name}", [_intervals(result, by)]))
    return Section(anchor("by", *by), f"By {name}", parts)


def _served(result: MitigationResult, by: tuple[str, ...]) -> Iterator[Part]:
    """Accuracy of every group; where groups are many a row each, folded away."""
    groups = [words.group_name(one.group) for one in said.served(result.arms[0], by)]
    if not groups:
        return
    found = {
        said.short_name(result, arm): {words.group_name(one.group): one for one in said.served(arm, by)}
        for arm in result.arms
    }
    many = len(groups) > _FEW
    head, lines, across = ("group", groups, list(found)) if many else ("arm", list(found), groups)
    columns: list[Column | str] = [head, *(Column(name, True) for name in across)]
    rows: list[list[Cell | str]] = [
        [line, *(_cell(found[one].get(line) if many else found[line].get(one)) for one in across)] for line in lines
    ]
    notes = ["p is adjusted over the groups (Holm)."] if said.others(result) else []
    table = Table(f"Accuracy of every group by {words.grouping_name(by)}", columns, rows, notes)
    yield Folded(f"Accuracy of {words.count(len(groups), 'group')}", [table]) if many else table


def _arm(result: MitigationResult, arm: ArmResult, by: tuple[str, ...]) -> Cell:
    return Cell(said.arm_name(result, arm, by), strong=arm.on_front and by == said.groupings(result)[0])


def _cell(one: Number | None) -> Cell:
    text, moved = said.value(one), said.change(one)
    decided = one is not None and one.trend != "undecided"
    if decided and one is not None:
        moved = moved.removesuffix(said.MARKS[one.trend]).rstrip()
    mark = _mark(one.trend) if decided and one is not None else None
    value = math.nan if one is None else one.value
    return Cell(f"{text}\n{moved}" if moved else text, mark, value, math.isnan(value))


def _intervals(result: MitigationResult, by: tuple[str, ...]) -> Table:
    heads = ("value", "SD", "change", "over seeds", "p", "over images", "p")
    columns: list[Column | str] = ["arm", "number", *(Column(head, True) for head in heads)]
    several = int(result.settings["seeds"]) > 1
    rows: list[list[Cell | str]] = [
        [said.short_name(result, arm), said.named(one), *_whole(one, several)]
        for arm in result.arms
        for one in arm.numbers
        if one.by in ((), by)
    ]
    notes = [
        f"Intervals are of the change, at {result.settings['confidence']:.0%}. Over seeds: whether training again would "
        "show the same; over images: whether other test images would. A change counts as shown where both say so, and "
        "with one seed where the images do."
    ]
    return Table(f"Every number by {words.grouping_name(by)}", columns, rows, notes, leads=2)


def _whole(one: Number, several: bool) -> Iterator[Cell]:
    def p(value: float) -> Cell:
        return Cell("" if math.isnan(value) else "< .001" if value < 0.001 else f"{value:.3f}", value=value)

    yield Cell(words.number(one.value), value=one.value)
    yield Cell("" if math.isnan(one.sd) else words.number(one.sd), value=one.sd)
    decided = None if one.trend == "undecided" else _mark(one.trend)
    yield Cell("" if math.isnan(one.change) else words.number(one.change, signed=True), decided, one.change)
    yield Cell(words.interval(one.ci_low, one.ci_high, signed=True) if several else "", value=one.ci_low)
    yield p(one.p_seeds)
    yield Cell(words.interval(one.image_low, one.image_high, signed=True), value=one.image_low)
    yield p(one.p_images)


def _losers(result: MitigationResult) -> Iterator[Part]:
    rows: list[list[Cell | str]] = []
    for arm in result.arms:
        for one in arm.losers:
            p = "no test" if math.isnan(one.p) else "< .001" if one.p < 0.001 else f"{one.p:.3f}"
            before, after = (Cell(words.number(value), value=value) for value in (one.before, one.after))
            group = Cell(words.group_name(one.group), strong=one.shown)
            tested = Cell(p, _mark("worse") if one.shown else None, one.p)
            rows.append([said.short_name(result, arm), words.grouping_name(one.by), group, before, after, tested])
    if rows:
        columns: list[Column | str] = ["arm", "grouping", "group", *(Column(n, True) for n in ("before", "after", "p"))]
        notes = [
            "Of each arm and grouping, the group whose accuracy fell most against the baseline; ✗ where that is shown. "
            "p is adjusted over the groups (Holm). comparison.json in each arm's folder has every group."
        ]
        yield Table("Accuracy of the group that lost most", columns, rows, notes)


def _training(result: MitigationResult, figures: Mapping[str, Picture]) -> Iterator[Part]:
    if _CURVES in figures:
        yield figures[_CURVES]
    columns: list[Column | str] = ["arm", *(Column(n, True) for n in ("seed", "epochs", "kept", "seconds")), "folder"]
    rows: list[list[Cell | str]] = [
        [
            words.clean(arm.name), Cell(str(run.seed), value=run.seed),
            Cell(str(len(run.epochs) or "–"), value=len(run.epochs)), Cell(str(run.selected or "–"), value=run.selected),
            Cell(f"{run.seconds:,.1f}", value=run.seconds), words.clean(run.folder),
        ]
        for arm in result.arms for run in arm.runs
    ]  # fmt: skip
    notes = [
        "kept: the epoch whose weights were tested. Every folder has a checkpoint, predictions and an audit of its own."
    ]
    yield Folded("Every training", [Table("Every arm and seed", columns, rows, notes)])


def _notes(result: MitigationResult) -> Iterator[Part]:
    notes = [words.clean(note) for note in result.notes]
    notes += [said.TOGETHER] if len(result.settings["target"]) > 1 else []
    if notes:
        yield Points(notes)
    told = [(arm, arm.notes) for arm in result.arms if arm.notes]
    for arm, own in told:
        yield Points([words.clean(note) for note in own], f"{said.short_name(result, arm)}:")


def _settings(result: MitigationResult) -> Iterator[tuple[str, str]]:
    for key, value in result.settings.items():
        if value is not None:
            yield words.clean(key).replace("_", " "), _text(value)
    for name, n in result.images.items():
        yield f"{words.clean(name)} images", f"{n:,}"
    groups = [f"{words.clean(name)} {n:,}" for name, n in result.groups.items()]
    yield "training images of each group", ", ".join(groups)


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(
            " × ".join(map(words.clean, one)) if isinstance(one, (list, tuple)) else _text(one) for one in value
        )
    return words.clean(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value)


def _reading(result: MitigationResult) -> Iterator[str]:
    yield "Every arm was trained and selected on the same images; the test images selected nothing."
    yield "worst group: the accuracy of the group that is served least. gap: the largest accuracy minus the smallest."
    yield "spread: standard deviation of accuracy over groups."
    yield "A smaller gap may come from groups that lost: see who lost most."
    yield "Where no change is shown, none is ruled out either. More seeds and more test images show more."
    if said.others(result):
        yield f"{said.how_shown(result)}."
    yield "Groups are as the dataset labels them."
