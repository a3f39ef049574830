"""The tables of an audit for a page: what the terminal shows, with nothing cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._besides import SHRUNK, Aside, shrunk_column
from fairaudit.reports._labels import label_rows
from fairaudit.reports._page import Cell, Column, Folded, Part, Table, mark
from fairaudit.reports._rules import SEVERITY, deciding, group_key, ruled
from fairaudit.reports._selection import contrasts, named, over_groups, told_apart, told_apart_note, worst_first
from fairaudit.results import AuditResult, Disparity, Estimate, GroupingResult, RuleResult, Verdict

SMALL = "†"
COUNTS = 400
"""Rows of a table of counts; larger ones are for programs."""

Ruled = tuple[Verdict, str] | None
Line = list[Cell | str]


def floor_of(result: AuditResult) -> int:
    """The smallest denominator that is judged, in images."""
    return int(result.settings.get("min_support", 0))


class Notes:
    """What stands below one table, said once."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.reasons: list[str] = []
        self.few = False
        self.said: list[str] = []

    def cell(self, one: Estimate | None, ruled_on: Ruled = None, signed: bool = False, star: str = "") -> Cell:
        """An estimate as a cell."""
        if one is None:
            return Cell("–", value=math.nan, dim=True)
        text = words.estimate(one, signed) + star
        undefined = math.isnan(one.value)
        if not undefined and one.support < self.floor:
            self.few = True
            text += f" {SMALL}"
        if not undefined and one.reason is not None and not one.reason.startswith(("too small", "infinite")):
            reason = words.clean(one.reason)
            self.reasons += [] if reason in self.reasons else [reason]
            text += f" ({self.reasons.index(reason) + 1})"
        sign = None if ruled_on is None else mark(ruled_on[0])
        return Cell(text, sign, one.value, dim=undefined, strong=ruled_on is not None and ruled_on[0] is Verdict.FAIL)

    def lines(self) -> tuple[str, ...]:
        """The sentences."""
        found = [f"({i}) {reason}" for i, reason in enumerate(self.reasons, start=1)]
        if self.few:
            found.append(f"{SMALL} fewer than {words.count(self.floor, 'image')} behind the number: shown, not judged")
        return tuple(f"{text[:1].upper()}{text[1:]}." for text in dict.fromkeys([*found, *self.said]))


def rules_table(result: AuditResult) -> Table:
    """Every rule with its verdict and what decided it."""
    rows: list[Line] = [
        [Cell("", mark(rule.verdict, spelled=True)), words.clean(rule.rule), Cell("\n".join(_why(rule)))]
        for rule in sorted(result.rules, key=lambda r: SEVERITY.index(r.verdict))
    ]
    return Table("Rules, worst first", ("verdict", "rule", Column("decided by", wide=True)), rows, sortable=False)


def outcomes_table(rule: RuleResult) -> Table:
    """Every contrast of one rule."""
    rows: list[Line] = [
        [words.contrast_of(one) or "all groups", words.clean(one.metric), Cell(words.number(one.value), value=one.value),
         words.interval(one.ci_low, one.ci_high), Cell("", mark(one.verdict, spelled=True)),
         words.clean(one.reason) if one.reason else ""]
        for one in rule.outcomes
    ]  # fmt: skip
    columns = (
        "contrast",
        "metric",
        Column("value", True),
        Column("interval", True),
        "verdict",
        Column("what would decide it", wide=True),
    )
    return Table(words.clean(rule.rule), columns, rows)


def groups_table(result: AuditResult, grouping: GroupingResult, metrics: Sequence[str]) -> Table:
    """Chosen metrics of every group, the worst in the first of them first."""
    floor = floor_of(result)
    marks, notes = ruled(result, grouping.by, "worst_group"), Notes(floor)
    groups = worst_first(grouping, metrics[0], floor)
    columns: list[Column | str] = ["group", Column("images", True)]
    drawn = {metric: shrunk_column(grouping, metric, [group.shrunk for group in groups]) for metric in metrics}
    for metric in metrics:
        columns.append(Column(words.clean(metric), True))
        columns += [Column(f"{words.clean(metric)}, shrunk", True)] if drawn[metric] is not None else []
    rows: list[Line] = []
    for i, group in enumerate(groups):
        same = grouping.privileged is not None and dict(group.group) == dict(grouping.privileged)
        name = words.group_name(group.group) + (" (reference)" if same else "")
        row: Line = [name, Cell(f"{group.n:,}" if group.n else "absent", value=float(group.n), dim=not group.n)]
        for metric in metrics:
            row.append(notes.cell(group.metrics.get(metric), marks.get((metric, group_key(group.group)))))
            row += [own[i]] if (own := drawn[metric]) is not None else []
        rows.append(row)
    whole: Line = ["all images", Cell(f"{result.overall.n:,}", value=float(result.overall.n))]
    for metric in metrics:
        whole.append(notes.cell(result.overall.metrics.get(metric)))
        whole += [""] if drawn[metric] is not None else []
    notes.said += [SHRUNK] if any(own is not None for own in drawn.values()) else []
    caption = (
        f"{words.count(len(groups), 'group')} of {words.grouping_name(grouping.by)}, worst {words.clean(metrics[0])} first"
    )
    return Table(caption, columns, [*rows, whole], notes.lines(), last_apart=True)


def differences(result: AuditResult, grouping: GroupingResult, metrics: Sequence[str], most: int) -> Iterator[Part]:
    """Differences from the reference group, the largest first; those beyond ``most`` are folded away."""
    floor = floor_of(result)
    found = contrasts(grouping, metrics, "difference", floor)
    if grouping.privileged is None or not found:
        return
    marks = ruled(result, grouping.by, "difference", "shortfall")

    def verdict(one: Disparity) -> Ruled:
        return marks.get((one.metric, group_key(one.group)))

    first = [d for d in found if (v := verdict(d)) is not None and v[0] is Verdict.FAIL]
    ordered = [*first, *(d for d in found if d not in first)]
    shown = ordered[: max(most, len(first))]
    how = "" if grouping.privileged_is == "named" else " (the largest group)"
    of = f"from {words.group_name(grouping.privileged)}{how}"
    yield _differences(result, shown, [verdict(d) for d in shown], floor, f"Largest differences {of}")
    if rest := ordered[len(shown) :]:
        table = _differences(result, rest, [verdict(d) for d in rest], floor, f"Smaller differences {of}")
        yield Folded(f"{len(rest)} smaller differences", (table,))


def _differences(
    result: AuditResult, found: Sequence[Disparity], verdicts: Sequence[Ruled], floor: int, caption: str
) -> Table:
    notes = Notes(floor)
    rows: list[Line] = []
    for one, verdict in zip(found, verdicts, strict=True):
        star = " *" if told_apart(one, result) else ""
        notes.said += [told_apart_note(result)] if star else []
        cell = notes.cell(one.estimate, verdict, signed=True, star=star)
        support = Cell(f"{one.estimate.support:,}", value=float(one.estimate.support))
        p = [] if all(d.p_holm is None for d in found) else [_p(one.p_value), _p(one.p_holm)]
        rows.append([words.group_name(one.group), words.clean(one.metric), cell, support, *p])
    extra = [Column("p", True), Column("p (Holm)", True)] if rows and len(rows[0]) > 4 else []
    columns: list[Column | str] = ["group", "metric", Column("difference", True), Column("images", True), *extra]
    return Table(caption, columns, rows, notes.lines(), leads=2)


def _p(value: float | None) -> Cell:
    if value is None or math.isnan(value):
        return Cell("–", value=math.nan, dim=True)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value=value)


def between_table(result: AuditResult, grouping: GroupingResult, metrics: Sequence[str]) -> Table | None:
    """Gap, spread and worst group of chosen metrics."""
    notes = Notes(floor_of(result))
    rows: list[Line] = []
    for metric in metrics:
        for kind, one in over_groups(grouping, metric).items():
            verdict = ruled(result, grouping.by, kind).get((metric, group_key(one.group)))
            whose = "" if one.group is None else words.group_name(one.group)
            rows.append([words.clean(metric), kind.replace("_", " "), notes.cell(one.estimate, verdict), whose])
    caption = f"Between the groups of {words.grouping_name(grouping.by)}"
    return (
        Table(caption, ("metric", "kind", Column("value", True), "group"), rows, notes.lines(), leads=2) if rows else None
    )


def named_table(result: AuditResult, grouping: GroupingResult) -> Table | None:
    """Disparities that the literature gave a name, each of its worst class and group."""
    notes, marks = Notes(floor_of(result)), ruled(result, grouping.by, None)
    found = named(grouping, {metric for metric, _ in marks})
    rows: list[Line] = [
        [words.clean(d.metric), notes.cell(d.estimate, marks.get((d.metric, group_key(d.group)))),
         "" if d.group is None else words.group_name(d.group)]
        for d in found
    ]  # fmt: skip
    of = (
        f", each of its worst {'label' if grouping.together is not None else 'class'}"
        if any("[" in d.metric for d in found)
        else ""
    )
    caption = f"Disparities with a name{of}"
    return Table(caption, ("disparity", Column("value", True), "group"), rows, notes.lines()) if rows else None


def labels_table(result: AuditResult, grouping: GroupingResult, metric: str) -> Table | None:
    """One metric of every label, what breaks a rule first, then the largest gap."""
    floor = floor_of(result)
    notes, rows = Notes(floor), list[Line]()
    for one in label_rows(result, grouping, metric, floor):
        worst = "–" if one.worst is None else words.group_name(one.worst.group)
        value = Cell("–", value=math.nan) if one.worst is None else notes.cell(one.worst.estimate)
        rows.append(
            [words.clean(one.label), notes.cell(one.overall), notes.cell(one.gap.estimate, one.verdict), worst, value]
        )
    columns = ("label", Column("all images", True), Column("gap", True), "worst group", Column("its value", True))
    caption = f"Labels by {words.clean(metric)}, largest gap first"
    return Table(caption, columns, rows, notes.lines()) if rows else None


def aside_table(result: AuditResult, aside: Aside) -> Table:
    """A table beside those of a grouping."""
    notes = Notes(floor_of(result))
    rows: list[Line] = []
    for texts, cells in aside.rows:
        values = [Cell(v) if isinstance(v, str) else notes.cell(v, verdict, aside.signed) for v, verdict in cells]
        rows.append([*texts, *values])
    notes.said += aside.notes
    columns = [*(Column(name, name == "n") for name in aside.leads), *(Column(name, True) for name in aside.columns)]
    # A level that is a number of images is no name: only what comes before it says what a row is.
    leads = max(1, sum(name != "n" for name in aside.leads))
    return Table(aside.title, columns, rows, notes.lines(), aside.last_apart, leads)


def counts_table(result: AuditResult, grouping: GroupingResult) -> Table | None:
    """The counts behind everything, [group, true, predicted]; None where a page is no place for so many."""
    classes = [words.clean(c) for c in result.settings.get("classes", ())]
    named_groups = [words.group_name(group.group) for group in grouping.groups]
    if not grouping.counts or len(grouping.counts) * len(classes) > COUNTS:
        return None
    if grouping.together is not None:
        heads = ["true negatives", "false positives", "false negatives", "true positives"]
        lead = "label"
    else:
        heads = [f"called {name}" for name in classes]
        lead = "true class"
    if len(heads) > 20:
        return None
    rows: list[Line] = [
        [group, name, *(Cell(f"{n:,}", value=float(n)) for n in row)]
        for group, matrix in zip(named_groups, grouping.counts, strict=True)
        for name, row in zip(classes, matrix, strict=True)
    ]
    columns: list[Column | str] = ["group", lead, *(Column(name, True) for name in heads)]
    return Table(f"Counts of {words.grouping_name(grouping.by)}", columns, rows, leads=2)


def _why(rule: RuleResult) -> Iterator[str]:
    parts = deciding(rule)
    shown = parts[: 1 if rule.verdict is Verdict.PASS else 3]
    yield from (words.outcome(one) for one in shown)
    if len(parts) > len(shown):
        yield f"and {words.count(len(parts) - len(shown), 'more contrast')}"
    unjudged = sum(one.verdict is Verdict.INCONCLUSIVE for one in rule.outcomes)
    if rule.verdict is Verdict.FAIL and unjudged:
        yield f"{words.count(unjudged, 'contrast')} cannot be decided"
