"""A page to read and to pass on: the verdict, figures, then every table; one file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairaudit.comparison import ComparisonResult
from fairaudit.reports import _audit_tables as tables
from fairaudit.reports import _wording as words
from fairaudit.reports._besides import asides
from fairaudit.reports._first_screen import first_screen
from fairaudit.reports._html_comparison import comparison_page
from fairaudit.reports._html_embedding import embedding_page, embedding_pictures
from fairaudit.reports._html_mitigation import mitigation_page
from fairaudit.reports._labels import label_metrics, labels_of
from fairaudit.reports._page import (
    Cell,
    Folded,
    Part,
    Points,
    Prose,
    Section,
    Table,
    anchor,
    page,
)
from fairaudit.reports._pictures import Pictures, pictures
from fairaudit.reports._selection import chosen_metrics, shown_metrics
from fairaudit.results import AuditResult, GroupingResult, from_record, to_record
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult

SHORT = 12
"""Rows of a table that is not folded away."""

COLUMNS = 5
"""Metrics of a table of groups."""


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
    stored = as_stored(result)
    return document(stored, pictures(stored, metrics), metrics=metrics, rows=rows, model=model, data=data)


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


def render_embedding(result: EmbeddingResult, *, model: str = "", data: str = "") -> str:
    """Write an audit of embeddings as one HTML file.

    Args:
        result: the audit.
        model: what made the embeddings, as the page shall name it; a record alone does not know.
        data: the images, likewise.
    """
    return embedding_page(result, embedding_pictures(result), ", ".join(filter(None, (model, data))))


def as_stored(result: AuditResult) -> AuditResult:
    """The audit with the digits that its file keeps, so that a page made now is that of the stored run to the byte."""
    return from_record(to_record(result))


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
        tuple(first_screen(result, chosen, model, data)),
        sections,
        kind="audit",
        subtitle=words.title(result),
    )


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
    yield from (tables.groups_table(result, grouping, some) for some in _side_by_side(metrics))
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
        several = tuple(tables.groups_table(result, grouping, some) for some in _side_by_side(more))
        yield Folded(f"{words.count(len(more), 'more metric')} of every group", several)
    if (counts := tables.counts_table(result, grouping)) is not None:
        yield Folded("Counts behind the numbers", (counts,))


MORE = 60
"""Further metrics of every group that a page holds; those of forty labels are for programs."""


def _side_by_side(metrics: Sequence[str]) -> Iterator[Sequence[str]]:
    """Metrics of one table after the other: more columns fit no paper."""
    return (metrics[i : i + COLUMNS] for i in range(0, len(metrics), COLUMNS))


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
    floor = tables.floor_of(result)
    yield f"Images of a metric are its denominator. Where they are fewer than {floor}, the number decides nothing."
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


def _unused(wanted: str, used: set[str]) -> str:
    name, k = wanted, 1
    while name in used:
        k += 1
        name = f"{wanted}-{k}"
    used.add(name)
    return name
