"""Changes of what counts tell: every metric of every group before and after, and how far apart the groups lie.

Of the same images the bootstrap draws both predictions together, which tells how the two sides' estimates are correlated,
and chance swaps them, which tells what a change looks like where there is none. Of other images chance decides which of
them are called "before". What is made of it, metric by metric, is in ``compared``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fairaudit.comparison import Change
from fairaudit.metrics.clusters import PersonCounts
from fairaudit.metrics.compared import Compared, Question, Replicates, correlation
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.paired import PairedCounts, Sides, values
from fairaudit.metrics.reshuffled import reshuffled, reshuffled_people
from fairaudit.predictions import IntArray


def paired_changes(
    counts: PairedCounts, asked: Question, tables: Sequence[Table] | None = None, shared: int = 1
) -> list[Change]:
    """Changes between two models that saw the same images.

    Args:
        counts: images by what both models predicted, person by person where people are on several.
        asked: what is asked.
        tables: the counts of both sides with all that is known of them; None makes plain ones.
        shared: in how many groups one person may be.
    """
    tables = tables or [asked.table(side) for side in counts.sides()]
    rng, metrics = np.random.default_rng(asked.seed), asked.metrics(tables[0])
    resampled = _evaluated(counts.resampled(asked.replicates, rng), metrics)
    null = _evaluated(counts.swapped(asked.replicates, rng), metrics)
    found: list[Change] = []
    for metric, drawn, nothing in zip(metrics, resampled, null, strict=True):
        measures = tables[0].measure(metric), tables[1].measure(metric)
        differing = counts.differing(metric)
        found += Compared(asked, measures, nothing, correlation(*drawn), differing, shared).changes()
    return found


def unpaired_changes(
    before: IntArray,
    after: IntArray,
    asked: Question,
    tables: Sequence[Table] | None = None,
    people: PersonCounts | None = None,
    shared: int = 1,
) -> list[Change]:
    """Changes between two models that saw different images.

    Args:
        before: (g, k, k) counts of the first.
        after: (g, k, k) counts of the second.
        asked: what is asked.
        tables: the counts of both sides with all that is known of them; None makes plain ones.
        people: the counts of both sides person by person, where people are on several images, see ``reshuffled_people``.
        shared: in how many groups one person may be.
    """
    tables = tables or [asked.table(before), asked.table(after)]
    rng, metrics = np.random.default_rng(asked.seed), asked.metrics(tables[0])
    drawn = (
        reshuffled(before, after, asked.replicates, rng)
        if people is None
        else reshuffled_people(people, asked.replicates, rng)
    )
    found: list[Change] = []
    for metric, nothing in zip(metrics, _evaluated(drawn, metrics), strict=True):
        measures = tables[0].measure(metric), tables[1].measure(metric)
        found += Compared(asked, measures, nothing, shared=shared).changes()
    return found


def _evaluated(drawn: Iterator[Sides], metrics: list[Metric]) -> list[Replicates]:
    """Replicates of every metric; counts are let go batch by batch."""
    batches = [(values(first, metrics), values(second, metrics)) for first, second in drawn]
    return [
        (np.concatenate([first[i] for first, _ in batches]), np.concatenate([second[i] for _, second in batches]))
        for i in range(len(metrics))
    ]
