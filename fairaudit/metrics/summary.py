"""Summaries: everything an audit lists about one grouping, every metric and every disparity, ruled or not."""

from __future__ import annotations

from collections.abc import Iterator

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import (
    AGAINST_PRIVILEGED,
    ALSO_LISTED,
    NAMED,
    OVER_GROUPS,
    Contrast,
    named_key,
    named_metrics,
)
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.indices import INDICES, Draws, classes_of, index_contrasts, index_key
from fairaudit.metrics.inequality import ENTROPIES
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.results import Disparity, Estimate, Group, GroupingResult, GroupResult, Overall

DRAWS = Draws()


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
    stands = [_standing(m, comparison.confidence) for m in measures]
    groups = tuple(
        GroupResult(group, int(table.n[i]), {m.key: alone[i] for m, alone in zip(measures, stands, strict=True)})
        for i, group in enumerate(grouping.groups)
    )
    reference = None if comparison.privileged is None else grouping.groups[comparison.privileged]
    disparities = tuple(_disparities(grouping, measures, draws))
    counts = tuple(tuple(tuple(int(x) for x in row) for row in matrix) for matrix in table.counts)
    clusters = None if table.effects is None else table.effects.record()
    return GroupingResult(grouping.by, reference, privileged_is, missing, counts, groups, disparities, clusters=clusters)


def summarise_all(table: Table, confidence: float) -> Overall:
    """All images together: a table with a single group."""
    measures = [table.measure(metric) for metric in table.catalogue()]
    return Overall(int(table.n.sum()), {m.key: _standing(m, confidence)[0] for m in measures})


def _standing(measure: Measure, confidence: float) -> list[Estimate]:
    low, high = measure.interval(intervals.quantile(confidence))
    return [
        Estimate(float(v), float(a), float(b), int(s), why)
        for v, a, b, s, why in zip(measure.value, low, high, measure.support, measure.reason, strict=True)
    ]


def _disparities(grouping: Grouping, measures: list[Measure], draws: Draws) -> Iterator[Disparity]:
    comparison, table = grouping.comparison, grouping.table

    def listed(key: str, kind: str | None, contrast: Contrast) -> Disparity:
        group: Group | None = None if contrast.group is None else grouping.groups[contrast.group]
        return Disparity(key, kind, group, contrast.estimate)

    for measure in measures:
        for kind in AGAINST_PRIVILEGED:
            yield from (listed(measure.key, kind, c) for c in comparison.against_privileged(measure, kind))
        for kind in OVER_GROUPS + ALSO_LISTED:
            yield listed(measure.key, kind, comparison.over_groups([measure], kind))
    for name, named in NAMED.items():
        for of in named_metrics(table, name):
            parts = [table.measure(Metric(rate, of)) for rate in named.rates]
            key = named_key(table, name, of)
            if named.kind == "ratio":
                yield from (listed(key, None, c) for c in comparison.against_privileged(parts[0], named.kind))
            else:
                yield listed(key, None, comparison.over_groups(parts, named.kind))
    for name, index in INDICES.items():
        for one in classes_of(index, table) if table.weighted is None or name not in ENTROPIES else []:
            contrasts = index_contrasts(name, table, one, comparison, draws)
            yield from (listed(index_key(name, table, one), None, c) for c in contrasts)
