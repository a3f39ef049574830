"""Summaries: everything an audit lists about one grouping, every metric and every disparity, ruled or not."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.contrasts import estimates_of
from fairaudit.metrics.disparity import (
    ALSO_LISTED,
    NAMED,
    OVER_GROUPS,
    Comparison,
    Contrast,
    Kind,
    named_key,
    named_metrics,
)
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.indices import INDICES, Draws, classes_of, index_contrasts, index_key
from fairaudit.metrics.inequality import ENTROPIES
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.multiplicity import all_p_values, benjamini_hochberg, holm
from fairaudit.metrics.trials import foresee
from fairaudit.results import Disparity, Estimate, Group, GroupingResult, GroupResult, Overall
from fairaudit.results.columns import in_columns

if TYPE_CHECKING:
    from concurrent.futures import Executor

DRAWS = Draws()
MANY = 500
"""Groups × classes from which on what is drawn is drawn in a thread beside."""
AGAINST: tuple[Kind, ...] = ("difference", "ratio")
"""A shortfall is a difference with its sign turned where higher is better, and not listed a second time."""


def summarise(grouping: Grouping, privileged_is: str, missing: int, draws: Draws = DRAWS) -> GroupingResult:
    """List one grouping.

    Args:
        grouping: its counts and how its groups are compared.
        privileged_is: ``"named"`` or ``"largest"``.
        missing: images left out because an attribute is not known.
        draws: how the count bootstrap is drawn, for indices that have no closed form.
    """
    table, comparison = grouping.table, grouping.comparison
    measures = [table.measure(metric) for metric in table.catalogue()]
    _foresee(measures, comparison)
    stands = _standing(measures, comparison.confidence)
    groups = tuple(
        GroupResult(group, int(table.n[i]), {m.key: alone[i] for m, alone in zip(measures, stands, strict=True)})
        for i, group in enumerate(grouping.groups)
    )
    reference = None if comparison.privileged is None else grouping.groups[comparison.privileged]
    with _no_collection(), _beside(table) as pool:
        disparities = tuple(_disparities(grouping, measures, draws, pool))
    counts = tuple(tuple(map(tuple, matrix)) for matrix in table.counts.tolist())
    clusters = None if table.effects is None else table.effects.record()
    return GroupingResult(grouping.by, reference, privileged_is, missing, counts, groups, disparities, clusters=clusters)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without looking for cycles: records hold none, and looking whenever there are more takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _beside(table: Table) -> Iterator[Executor | None]:
    """A thread for what numpy draws, where that is worth one; when it is left, whatever has not begun yet is dropped."""
    if len(table.n) * len(table.classes) < MANY:
        yield None
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def summarise_all(table: Table, confidence: float) -> Overall:
    """All images together: a table with a single group."""
    measures = [table.measure(metric) for metric in table.catalogue()]
    foresee((m.interval for m in measures), intervals.quantile(confidence))
    return Overall(
        int(table.n.sum()), {m.key: one for m, [one] in zip(measures, _standing(measures, confidence), strict=True)}
    )


def _foresee(measures: Sequence[Measure], comparison: Comparison) -> None:
    """Compute in few passes what most measures will be asked for; the others leave more groups out."""
    confidence, z = comparison.confidence, intervals.quantile(comparison.confidence)
    most = {0: 0} | Counter(int(comparison.usable(m).sum()) for m in measures)
    usable = max(most, key=most.__getitem__)
    quantiles = {z, intervals.sidak(usable - 1, confidence), intervals.sidak(usable, confidence)}
    for one in sorted(quantiles | {intervals.studentized_range(usable, confidence)}):
        foresee((m.limits for m in measures), one)
    foresee((m.interval for m in measures), z)


def _standing(measures: Sequence[Measure], confidence: float) -> list[list[Estimate]]:
    """Each measure of each group alone."""
    z = intervals.quantile(confidence)
    return estimates_of([(m.value, *m.interval(z), m.support) for m in measures], (m.reason for m in measures))


def _disparities(grouping: Grouping, measures: list[Measure], draws: Draws, pool: Executor | None) -> Iterator[Disparity]:
    comparison, table = grouping.comparison, grouping.table
    indices = _indices(grouping, draws, pool)

    def listed(key: str, kind: str | None, contrast: Contrast) -> Disparity:
        group: Group | None = None if contrast.group is None else grouping.groups[contrast.group]
        return Disparity(key, kind, group, contrast.estimate)

    over = {kind: comparison.over_each(measures, kind) for kind in OVER_GROUPS + ALSO_LISTED}
    others, differences, ratios = _against(grouping, measures)
    place = {id(measure): at for at, measure in enumerate(measures)}
    for at, (measure, p) in enumerate(zip(measures, _p_values(measures, comparison), strict=True)):
        yield from _each(measure.key, "difference", others, differences[at], p)
        yield from _each(measure.key, "ratio", others, ratios[at])
        yield from (listed(measure.key, kind, contrasts[at]) for kind, contrasts in over.items())
    for name, named in NAMED.items():
        for of in named_metrics(table, name):
            parts = [table.measure(Metric(rate, of)) for rate in named.rates]
            key = named_key(table, name, of)
            if named.kind == "ratio":
                yield from _each(key, None, others, ratios[place[id(parts[0])]])
            elif len(parts) == 1:
                yield listed(key, None, over[named.kind][place[id(parts[0])]])
            else:
                yield listed(key, None, comparison.over_groups(parts, named.kind))
    # Class by class, because what is drawn for one class serves several indices; listed index by index.
    found = {asked: find() for asked, find in sorted(indices.items(), key=_by_class)}
    for name, one in indices:
        yield from (listed(index_key(name, table, one), None, c) for c in found[name, one])


Asked = tuple[str, int | None]
"""An index and the class that it is of."""


def _by_class(asked: tuple[Asked, object]) -> int:
    return -1 if asked[0][1] is None else asked[0][1]


def _indices(grouping: Grouping, draws: Draws, pool: Executor | None) -> Mapping[Asked, Callable[[], list[Contrast]]]:
    """Indices and how to get each; where there are many groups and classes, those that are drawn are begun at once.

    Drawing takes a third of such an audit, in calls that leave Python to others; so it goes on beside all else.
    """
    table, comparison = grouping.table, grouping.comparison
    counted = {name: index for name, index in INDICES.items() if table.weighted is None or name not in ENTROPIES}
    known = [(name, one) for name, index in counted.items() for one in classes_of(index, table)]
    found = {(name, one): partial(index_contrasts, name, table, one, comparison, draws) for name, one in known}
    if pool is None:
        return found
    begun = {
        asked: pool.submit(find).result for asked, find in sorted(found.items(), key=_by_class) if asked[0] in ENTROPIES
    }
    return {asked: begun.get(asked, find) for asked, find in found.items()}


Columns = Sequence[Sequence[Estimate]]
UNTESTED = (repeat(None),) * 3


def _each(
    key: str, kind: str | None, others: Sequence[Group], found: Sequence[Estimate], p: Iterable[Iterable[object]] = UNTESTED
) -> list[Disparity]:
    """One comparison of every other group with the privileged one, with its p-values where it has any."""
    return in_columns(Disparity, len(others), repeat(key), repeat(kind), others, found, *p)


def _against(grouping: Grouping, measures: Sequence[Measure]) -> tuple[list[Group], Columns, Columns]:
    """The groups but the privileged one, and their differences and ratios in every measure."""
    comparison = grouping.comparison
    if comparison.privileged is None:
        nothing: Columns = [[]] * len(measures)
        return [], nothing, nothing
    others = [group for i, group in enumerate(grouping.groups) if i != comparison.privileged]

    def found(kind: Kind) -> list[list[Estimate]]:
        each = comparison.contrasts(measures, kind)
        return estimates_of([(c.value, c.low, c.high, c.support) for c in each], (c.said for c in each))

    differences, ratios = map(found, AGAINST)
    return others, differences, ratios


def _p_values(measures: Sequence[Measure], comparison: Comparison) -> Iterator[list[list[float | None]]]:
    """Per measure: p-values of the other groups, as they are, and adjusted by Holm's and Benjamini and Hochberg's."""
    every = np.stack(all_p_values(measures, comparison))
    own = np.delete(every, [] if comparison.privileged is None else comparison.privileged, axis=1)
    for columns in zip(own, holm(own), benjamini_hochberg(own), strict=True):
        yield [[None if x != x else x for x in column.tolist()] for column in columns]  # nan alone differs from itself
