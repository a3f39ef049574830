"""One long table, a row for every number, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from fairaudit.comparison import Change, ComparisonResult
from fairaudit.reports._embedding_rows import MEASURES, measures
from fairaudit.results import AuditResult, Disparity, Estimate, Group, grouping_text
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult
from fairaudit.results.spreadsheet import guarded

Row = list[str | float]

HEADER = (
    "by", "group", "n", "metric", "kind", "value", "ci_low", "ci_high", "support", "reason", "p_value", "p_holm", "p_bh",
)  # fmt: skip
"""``by`` is empty for all images together, and says within which level (``race given age=20-29``) or over which levels
(``race given age``); ``kind`` is ``value`` for a group's own number, ``shrunk`` for the same drawn towards the others. Only
differences have p-values."""

CHANGES = (
    "before", "after", "design", "by", "group", "metric", "kind", "trend", "value_before", "value_after", "change",
    "ci_low", "ci_high", "p_value", "p_adjusted", "p_exact", "test", "gained", "lost", "sd_before", "sd_after", "support",
    "reason",
)  # fmt: skip
"""Of a comparison: models, whose number, before and after, and the change with its limits; ``kind`` as in ``HEADER``."""

NUMBERS = (
    "arm", "metric", "kind", "by", "group", "value", "sd", "change", "ci_low", "ci_high", "p_seeds", "image_low",
    "image_high", "p_images", "trend", "on_front",
)  # fmt: skip
"""Of an experiment: ``kind`` is empty for all images and for a group's own number; limits and p are of the change over
seeds and over images."""


def render(result: AuditResult) -> str:
    """Write every metric of every group, and every disparity, as a table with the columns of ``HEADER``.

    A disparity that is defined by its own name has the kind ``disparity``. Undefined values are empty, infinite ones
    ``inf``. A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        result: the audit.
    """
    return _text(*table_of(result))


def render_comparison(result: ComparisonResult) -> str:
    """Write every change of every group, and over groups, as a table with the columns of ``CHANGES``.

    Args:
        result: the comparison.
    """
    return _text(*table_of(result))


def render_mitigation(result: MitigationResult) -> str:
    """Write one line per arm and number, for plots of accuracy against disparity: the columns of ``NUMBERS``.

    Args:
        result: the experiment.
    """
    return _text(*table_of(result))


def render_embedding(result: EmbeddingResult) -> str:
    """Write every measure of an embedding space as a table with the columns of ``MEASURES``.

    Args:
        result: the audit.
    """
    return _text(*table_of(result))


def table_of(
    result: AuditResult | ComparisonResult | MitigationResult | EmbeddingResult,
) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The columns of a record's table, and its rows as values; what is undefined or unknown is an empty text.

    Args:
        result: an audit, of embeddings or of a table, a comparison or an experiment.
    """
    if isinstance(result, EmbeddingResult):
        return MEASURES, measures(result)
    if isinstance(result, AuditResult):
        return HEADER, rows(result)
    return (CHANGES, _changes(result)) if isinstance(result, ComparisonResult) else (NUMBERS, _arms(result))


def rows(result: AuditResult) -> Iterator[Row]:
    """The table's rows as values, columns as in ``HEADER``; what is undefined or unknown is an empty text."""
    for metric, estimate in result.overall.metrics.items():
        yield ["", "", result.overall.n, metric, "value", *_numbers(estimate)]
    for grouping in result.groupings:
        by = grouping_text(grouping)
        sizes = {_spelt(group.group): group.n for group in grouping.groups}
        for group in grouping.groups:
            for metric, estimate in group.metrics.items():
                yield [by, _spelt(group.group), group.n, metric, "value", *_numbers(estimate)]
            for metric, value in (group.shrunk or {}).items():
                alone = Estimate(value, math.nan, math.nan, group.metrics[metric].support)
                yield [by, _spelt(group.group), group.n, metric, "shrunk", *_numbers(alone)]
        for one in grouping.disparities:
            name = _spelt(one.group)
            yield [by, name, sizes.get(name, ""), one.metric, one.kind or "disparity", *_numbers(one.estimate, one)]
    for mean in result.conditional:
        by = f"{','.join(mean.by)} given {','.join(mean.given)}"
        for one in mean.disparities:
            yield [by, _spelt(one.group), "", one.metric, one.kind or "disparity", *_numbers(one.estimate, one)]


def _changes(result: ComparisonResult) -> Iterator[Row]:
    for pair in result.pairs:
        for grouping in (pair.overall, *pair.groupings):
            for c in grouping.changes:
                names = [pair.before, pair.after, pair.design.value, ",".join(grouping.by), _spelt(c.group)]
                yield [*names, c.metric, c.kind or "value", c.trend.value, *_change(c)]


def _change(c: Change) -> Row:
    numbers = (c.before.value, c.after.value, c.change.value, c.change.ci_low, c.change.ci_high)
    counts: Row = ["" if n is None else n for n in (c.gained, c.lost)]
    p = map(_number, (c.p, c.p_adjusted, c.p_exact))
    sd = map(_number, c.sd or (None, None))
    return [*map(_number, numbers), *p, c.test or "", *counts, *sd, c.change.support, c.change.reason or ""]


def _arms(result: MitigationResult) -> Iterator[Row]:
    for arm in result.arms:
        for n in (*arm.numbers, *arm.groups):
            numbers = (n.value, n.sd, n.change, n.ci_low, n.ci_high, n.p_seeds, n.image_low, n.image_high, n.p_images)
            names = [arm.name, n.metric, n.kind or "", " ".join(n.by), _spelt(n.group)]
            yield [*names, *map(_number, numbers), n.trend, "yes" if arm.on_front else "no"]


def _text(header: Sequence[str], lines: Iterable[Row]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([guarded(cell) if isinstance(cell, str) else cell for cell in line] for line in lines)
    return stream.getvalue()


def _numbers(estimate: Estimate, of: Disparity | None = None) -> Row:
    numbers = map(_number, (estimate.value, estimate.ci_low, estimate.ci_high))
    p = (None, None, None) if of is None else (of.p_value, of.p_holm, of.p_bh)
    return [*numbers, estimate.support, estimate.reason or "", *map(_number, p)]


def _number(x: float | None) -> str | float:
    return "" if x is None or math.isnan(x) else float(f"{x:.10g}")


def _spelt(group: Group | None) -> str:
    """A group as the command line spells it, ``race=Black,gender=Female``."""
    return "" if group is None else ",".join(f"{attribute}={level}" for attribute, level in group.items())
