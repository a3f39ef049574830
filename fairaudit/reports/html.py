"""A page to read and to pass on: the verdict, figures, then every table; one file that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from fairaudit.comparison import ComparisonResult
from fairaudit.reports import _audit_tables as tables
from fairaudit.reports import _wording as words
from fairaudit.reports._besides import asides
from fairaudit.reports._html_comparison import comparison_page
from fairaudit.reports._html_mitigation import mitigation_page
from fairaudit.reports._labels import label_metrics, labels_of
from fairaudit.reports._page import (
    Cell,
    Column,
    Facts,
    Finding,
    Folded,
    Mark,
    Part,
    Points,
    Prose,
    Section,
    Table,
    anchor,
    mark,
    page,
)
from fairaudit.reports._pictures import Pictures, pictures
from fairaudit.reports._rules import deciding
from fairaudit.reports._selection import chosen_metrics, contrasts, over_groups, shown_metrics, told_apart, told_apart_note
from fairaudit.results import AuditResult, Disparity, GroupingResult, Verdict
from fairaudit.results.mitigation import MitigationResult

SHORT = 12
"""Rows of a table that is not folded away."""

LARGEST = 3
"""Disparities of the first screen."""


def render(result: AuditResult, *, metrics: tuple[str, ...] = (), rows: int = 10, model: str = "", data: str = "") -> str:
    """Write an audit as one HTML file.

    Args:
        result: the audit.
        metrics: metrics to show per group; empty shows accuracy, what rules are about, and the usual ones.
        rows: how many of the largest differences are listed per grouping; the others are folded away.
        model: what was audited, as the page shall name it; a record alone does not know.
        data: the images, likewise.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    return document(result, pictures(result, metrics), metrics=metrics, rows=rows, model=model, data=data)


def render_comparison(result: ComparisonResult, *, metrics: tuple[str, ...] = ()) -> str:
    """Write a comparison as one HTML file.

    Args:
        result: the comparison.
        metrics: which metrics to show; empty shows accuracy, and folded what is shown in others.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    return comparison_page(result, metrics=metrics)


def render_mitigation(result: MitigationResult) -> str:
    """Write an experiment as one HTML file.

    Args:
        result: the experiment.
    """
    return mitigation_page(result)


def document(
    result: AuditResult,
    drawn: Pictures,
    *,
    metrics: Sequence[str] = (),
    rows: int = 10,
    model: str = "",
    data: str = "",
    besides: Sequence[Section] = (),
) -> str:
    """The page around figures that were drawn before.

    Args:
        result: the audit.
        drawn: its figures.
        metrics: as of ``render``.
        rows: as of ``render``.
        model: as of ``render``.
        data: as of ``render``.
        besides: sections before the details, such as a gallery.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    chosen, used = chosen_metrics(result, metrics), {"rules", "details", "main"} | {one.id for one in besides}
    sections = [Section("rules", "Rules", tuple(_rules(result, drawn)))] if result.rules else []
    for grouping, own in zip(result.unconditional, drawn.groupings, strict=True):
        shown = shown_metrics(result, grouping, chosen, metrics)
        parts = [*own, *_tables(result, grouping, shown, metrics and chosen, rows)]
        name = words.grouping_name(grouping.by)
        sections.append(Section(_unused(anchor("by", *grouping.by), used), f"By {name}", parts))
    sections += [*besides, Section("details", "Details", tuple(_details(result, chosen, drawn.left_out)))]
    labels = labels_of(result)
    target = f"{len(labels)} labels" if labels else words.clean(result.settings.get("target", "the target"))
    return page(
        f"Audit of {target}",
        tuple(_lead(result, chosen, model, data)),
        sections,
        kind="audit",
        subtitle=words.title(result),
    )


def _lead(result: AuditResult, chosen: Sequence[str], model: str, data: str) -> Iterator[Part]:
    """The first screen: the verdict, who is compared with whom, what is largest, and what nobody can tell."""
    yield Finding(mark(result.verdict, spelled=bool(result.rules)), _verdict(result), tuple(_reasons(result)))
    if suspicions := words.suspicions(result):
        yield Finding(Mark("!", "warning", "fail", spelled=True), f"{' '.join(_sentence(s) for s in suspicions)}")
    yield Facts(tuple(_facts(result, model, data)))
    largest = _largest(result, chosen)
    if largest:
        yield _largest_table(result, largest)
    if unjudged := list(_unjudged(result)):
        yield Points(unjudged, "What this data cannot tell")


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _verdict(result: AuditResult) -> str:
    """The verdict in one sentence, with the rules that fail by name."""
    first, semicolon, rest = words.verdict_sentence(result).partition("; ")
    failed = [words.clean(r.rule) for r in result.rules if r.verdict is Verdict.FAIL and r.severity != "warning"]
    if failed:
        more = f" and {words.count(len(failed) - 3, 'more rule')}" if len(failed) > 3 else ""
        first += f": {'; '.join(failed[:3])}{more}"
        semicolon = ". " if rest else ""
    said = f"{first}{semicolon}{rest}"
    return f"{said[:1].upper()}{said[1:]}."


def _reasons(result: AuditResult) -> Iterator[tuple[None, str]]:
    """What broke the rules that fail."""
    failed = [r for r in result.rules if r.verdict is Verdict.FAIL]
    for rule in failed[:3]:
        if parts := deciding(rule):
            rest = f", and {words.count(len(parts) - 1, 'more contrast')}" if len(parts) > 1 else ""
            name = f"{words.clean(rule.rule)}: " if len(failed) > 1 else ""
            yield None, f"{name}{words.outcome(parts[0])}{rest}"


def _facts(result: AuditResult, model: str, data: str) -> Iterator[tuple[str, str]]:
    if model:
        yield "Model", model
    if data:
        yield "Data", data
    if (where := result.settings.get("where")) is not None:
        yield "Restricted to", words.clean(where)
    for grouping in result.unconditional:
        absent = sum(group.n == 0 for group in grouping.groups)
        tail = f", {absent} of them absent" if absent else ""
        if grouping.privileged is None:
            against = "; no group has images to compare with"
        else:
            how = "as named" if grouping.privileged_is == "named" else "the largest group"
            against = f", each against {words.group_name(grouping.privileged)} ({how})"
        yield (
            f"Compared by {words.grouping_name(grouping.by)}",
            f"{words.count(len(grouping.groups), 'group')}{tail}{against}",
        )
    yield "Intervals", f"{words.confidence(result)}; fewer than {_floor(result)} images decide nothing"


def _largest(result: AuditResult, chosen: Sequence[str]) -> list[tuple[GroupingResult, Disparity]]:
    """The largest differences from the reference groups, those of other metrics and groupings before a second of one."""
    targets = {part.strip().casefold() for part in str(result.settings.get("target", "")).split(",")}
    found: list[tuple[GroupingResult, Disparity]] = []
    for grouping in result.unconditional:
        # Between groups that are the target's own classes, rates of selection differ by design.
        own = targets & {name.casefold() for name in grouping.by}
        metrics = [
            m for m in shown_metrics(result, grouping, chosen) if not own or "worst_group" in over_groups(grouping, m)
        ]
        known = contrasts(grouping, metrics, "difference", _floor(result))
        found += [(grouping, one) for one in known if one.estimate.support >= _floor(result)]
    found.sort(key=lambda pair: -abs(pair[1].estimate.value))
    first: dict[tuple[tuple[str, ...], str], tuple[GroupingResult, Disparity]] = {}
    for grouping, one in found:
        first.setdefault((grouping.by, one.metric), (grouping, one))
    return [*first.values(), *(pair for pair in found if pair not in first.values())][:LARGEST]


def _largest_table(result: AuditResult, largest: Sequence[tuple[GroupingResult, Disparity]]) -> Table:
    notes, rows = tables.Notes(_floor(result)), list[list[Cell | str]]()
    for grouping, one in largest:
        star = " *" if told_apart(one, result) else ""
        notes.said += [told_apart_note(result)] if star else []
        rows.append(
            [
                words.group_name(one.group),
                words.clean(one.metric),
                notes.cell(one.estimate, signed=True, star=star),
                f"{one.estimate.support:,}",
                words.group_name(grouping.privileged),
            ]
        )
    columns = ("group", "metric", Column("difference", True), Column("images", True), "from")
    caption = (
        "Largest difference from the reference group" if len(rows) == 1 else "Largest differences from the reference group"
    )
    return Table(caption, columns, rows, notes.lines(), leads=2, sortable=False)


def _unjudged(result: AuditResult) -> Iterator[str]:
    open_rules = [r for r in result.rules if any(o.verdict is Verdict.INCONCLUSIVE for o in r.outcomes)]
    for rule in open_rules[:4]:
        parts = [one for one in rule.outcomes if one.verdict is Verdict.INCONCLUSIVE]
        first = min(parts, key=lambda one: (math.isnan(one.value), -abs(one.value)))
        rest = f", and {words.count(len(parts) - 1, 'more contrast')}" if len(parts) > 1 else ""
        yield f"{words.clean(rule.rule)}: {words.outcome(first)}{rest}."
    if len(open_rules) > 4:
        yield f"{words.count(len(open_rules) - 4, 'more rule')} with contrasts that cannot be decided: see the rules."
    for grouping in result.unconditional:
        absent = [words.group_name(g.group) for g in grouping.groups if not g.n]
        small = [f"{words.group_name(g.group)} ({g.n:,})" for g in grouping.groups if 0 < g.n < _floor(result)]
        for names, what in ((absent, "without images"), (small, f"with fewer than {_floor(result)} images")):
            if names:
                rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
                yield f"By {words.grouping_name(grouping.by)}, groups {what}: {', '.join(names[:8])}{rest}."


def _rules(result: AuditResult, drawn: Pictures) -> Iterator[Part]:
    if drawn.rules is not None:
        yield drawn.rules
    yield tables.rules_table(result)
    every = [rule for rule in result.rules if len(rule.outcomes) > 1]
    if every:
        total = sum(len(rule.outcomes) for rule in every)
        yield Folded(f"Every contrast of every rule ({total:,})", tuple(map(tables.outcomes_table, every)))


def _tables(
    result: AuditResult, grouping: GroupingResult, metrics: Sequence[str], asked: Sequence[str], most: int
) -> Iterator[Part]:
    yield tables.groups_table(result, grouping, metrics)
    for metric in label_metrics(result, grouping, asked):
        if (table := tables.labels_table(result, grouping, metric)) is not None:
            yield Folded(table.caption, (table,), open=len(table.rows) <= SHORT)
    yield from tables.differences(result, grouping, metrics, most)
    if (between := tables.between_table(result, grouping, metrics)) is not None:
        yield between
    if (named := tables.named_table(result, grouping)) is not None:
        judged = any(isinstance(cell, Cell) and cell.mark is not None for row in named.rows for cell in row)
        yield Folded(named.caption, (named,), open=judged or len(named.rows) <= SHORT)
    for aside in asides(result, grouping, metrics, most):
        yield tables.aside_table(result, aside)
    every = list(grouping.groups[0].metrics) if grouping.groups else []
    more = [metric for metric in every if metric not in metrics]
    if more and len(more) <= MORE:
        yield Folded(
            f"{words.count(len(more), 'more metric')} of every group", (tables.groups_table(result, grouping, more),)
        )
    if (counts := tables.counts_table(result, grouping)) is not None:
        yield Folded("Counts behind the numbers", (counts,))


MORE = 60
"""Further metrics of every group that a page holds; those of forty labels are for programs."""


def _details(result: AuditResult, chosen: Sequence[str], left_out: int) -> Iterator[Part]:
    if result.notes:
        yield Section("notes", "Notes", (Points([f"{n[:1].upper()}{n[1:]}." for n in map(words.clean, result.notes)]),))
    yield Section("how-to-read", "How to read this", (Points(tuple(_how_to_read(result))),))
    yield Section("settings", "Settings", (_settings(result.settings),))
    hidden = len(result.overall.metrics) - len(chosen)
    said = ["Every number of this page, and those that it leaves out, are in the run's audit.json and in the CSV report."]
    if left_out:
        said.append(f"{words.count(left_out, 'more figure')} would fit no page that is read; ask for metrics by name.")
    if hidden > 0:
        said.append(f"{words.count(hidden, 'more metric')} per group and every disparity are there.")
    yield Prose((" ".join(said),))


def _how_to_read(result: AuditResult) -> Iterator[str]:
    yield f"In brackets: {words.confidence(result)} intervals. A number without them has none."
    yield "Difference: group minus reference group. Gap: largest minus smallest group. Spread: standard deviation."
    yield f"Images of a metric are its denominator. Where they are fewer than {_floor(result)}, the number decides nothing."
    if result.rules:
        yield "A rule passes only if the whole interval keeps to the limit, and fails only if all of it is beyond."
        yield "A rule that passes says what this data shows, not that the model treats people alike elsewhere."
    yield "Groups are as the dataset labels them."


def _settings(settings: Mapping[str, object]) -> Table:
    rows = [[words.clean(key), _value(value)] for key, value in settings.items() if value is not None]
    return Table("What was asked", ("setting", "value"), rows, sortable=False)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{words.clean(k)}: {_value(v)}" for k, v in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(_value(one) for one in value) or "–"
    return "yes" if value is True else "no" if value is False else words.clean(value)


def _floor(result: AuditResult) -> int:
    return int(result.settings.get("min_support", 0))


def _unused(wanted: str, used: set[str]) -> str:
    name, k = wanted, 1
    while name in used:
        k += 1
        name = f"{wanted}-{k}"
    used.add(name)
    return name
