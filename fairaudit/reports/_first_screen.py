"""The first screen of an audit's page: all that a reader who scrolls no further must know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._audit_tables import Notes, floor_of
from fairaudit.reports._page import Cell, Column, Facts, Finding, Mark, Part, Points, Table, mark
from fairaudit.reports._rules import deciding
from fairaudit.reports._selection import contrasts, over_groups, shown_metrics, told_apart, told_apart_note
from fairaudit.results import AuditResult, Disparity, GroupingResult, Verdict

LARGEST = 3
"""Disparities of the first screen."""


def first_screen(result: AuditResult, chosen: Sequence[str], model: str, data: str) -> Iterator[Part]:
    """The verdict, who is compared with whom, what is largest, and what nobody can tell.

    Args:
        result: the audit.
        chosen: metrics that count among the largest differences.
        model: what was audited; empty where nobody knows.
        data: the images, likewise.
    """
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
            name = (
                f"{words.clean(rule.rule)}: " if len(failed) > 1 else "" if words.contrast_of(parts[0]) else "all groups: "
            )
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
    yield "Intervals", f"{words.confidence(result)}; fewer than {floor_of(result)} images decide nothing"


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
        known = contrasts(grouping, metrics, "difference", floor_of(result))
        found += [(grouping, one) for one in known if one.estimate.support >= floor_of(result)]
    found.sort(key=lambda pair: -abs(pair[1].estimate.value))
    first: dict[tuple[tuple[str, ...], str], tuple[GroupingResult, Disparity]] = {}
    for grouping, one in found:
        first.setdefault((grouping.by, one.metric), (grouping, one))
    return [*first.values(), *(pair for pair in found if pair not in first.values())][:LARGEST]


def _largest_table(result: AuditResult, largest: Sequence[tuple[GroupingResult, Disparity]]) -> Table:
    notes, rows = Notes(floor_of(result)), list[list[Cell | str]]()
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
        small = [f"{words.group_name(g.group)} ({g.n:,})" for g in grouping.groups if 0 < g.n < floor_of(result)]
        for names, what in ((absent, "without images"), (small, f"with fewer than {floor_of(result)} images")):
            if names:
                rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
                yield f"By {words.grouping_name(grouping.by)}, groups {what}: {', '.join(names[:8])}{rest}."
