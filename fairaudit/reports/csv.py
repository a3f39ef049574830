"""One long table, a row for every number, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

from fairaudit.results import AuditResult, Disparity, Estimate, Group, grouping_text
from fairaudit.results.spreadsheet import guarded

HEADER = (
    "by", "group", "n", "metric", "kind", "value", "ci_low", "ci_high", "support", "reason", "p_value", "p_holm", "p_bh",
)  # fmt: skip
"""``by`` is empty for all images together, and says within which level (``race given age=20-29``) or over which levels
(``race given age``); ``kind`` is ``value`` for a group's own number, ``shrunk`` for the same drawn towards the others. Only
differences have p-values."""


def render(result: AuditResult) -> str:
    """Write every metric of every group, and every disparity, as a table with the columns of ``HEADER``.

    A disparity that is defined by its own name has the kind ``disparity``. Undefined values are empty, infinite ones
    ``inf``. A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        result: the audit.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows(result))
    return stream.getvalue()


def rows(result: AuditResult) -> Iterator[list[str | float]]:
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


def _numbers(estimate: Estimate, of: Disparity | None = None) -> list[str | float]:
    numbers = map(_number, (estimate.value, estimate.ci_low, estimate.ci_high))
    p = (None, None, None) if of is None else (of.p_value, of.p_holm, of.p_bh)
    return [*numbers, estimate.support, estimate.reason or "", *map(_number, p)]


def _number(x: float | None) -> str | float:
    return "" if x is None or math.isnan(x) else float(f"{x:.10g}")


def _spelt(group: Group | None) -> str:
    """A group as the command line spells it, ``race=Black,gender=Female``."""
    return "" if group is None else ",".join(f"{attribute}={level}" for attribute, level in group.items())
