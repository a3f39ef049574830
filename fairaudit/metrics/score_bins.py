"""Ranking by histograms of scores, for tables whose rows are not kept: they add up over batches, as counts do.

Bins are nearly of equal width in log₂(s / (1 − s)), because the scores of sure networks crowd at 0 and 1. Within a bin
nobody knows which image ranks higher, and each pair counts half; how far the area could be off for that is known exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairaudit.metrics.aggregates import Law
from fairaudit.metrics.measure import Measure, Metric, Table, measured
from fairaudit.metrics.ranking import Ties, auroc_law
from fairaudit.metrics.rates import MACRO
from fairaudit.metrics.score_measures import mean_over_classes
from fairaudit.metrics.scored import SCORED
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

_OCTAVES, _FINENESS = 21, 8
"""Of the odds to either side, which 2^-21 bounds, less than the six decimals of stored scores; each in 2^8 bins."""
RANK_BINS = (2 * _OCTAVES << _FINENESS) + 1
_SMALLEST = np.float32(2.0**-_OCTAVES).view(np.int32)
_AT_ONCE = 1 << 15
"""Rows whose numbers stay in a core's cache from one step to the next."""


def rank_bins(score: FloatArray) -> NDArray[np.int32]:
    """(n,) bin of each score, below ``RANK_BINS``; a higher score is never in a lower bin.

    The bits of a float, read as a whole number, are nearly its logarithm, and rise with it.

    Args:
        score: (n,) scores in [0, 1].
    """
    yes = score.astype(np.float32)
    odds, against = yes.view(np.int32), (1 - yes).view(np.int32)
    for side in (odds, against):  # of whole numbers the larger one is found four times as fast
        np.maximum(side, _SMALLEST, out=side)
    odds -= against
    odds >>= 23 - _FINENESS
    odds += RANK_BINS // 2
    return odds


def rank_histograms(score: FloatArray, positive: BoolArray, ids: IntArray, groups: int) -> IntArray:
    """(g, 2, b) images of other classes and of the class in each bin.

    Args:
        score: (n,) scores of one class, in [0, 1].
        positive: (n,) whether the image is of that class.
        ids: (n,) group, below ``groups``.
        groups: how many groups.
    """
    cell = np.empty(len(score), dtype=np.int64)
    for start in range(0, len(score), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        own, odds = cell[some], rank_bins(score[some])
        odds += np.multiply(positive[some], RANK_BINS, dtype=np.int32)
        np.multiply(ids[some], 2 * RANK_BINS, out=own)
        own += odds
    return np.bincount(cell, minlength=groups * 2 * RANK_BINS).reshape(groups, 2, RANK_BINS)


def binned(histogram: IntArray) -> Ties:
    """The images of one group, as if those of a bin had equal scores.

    Args:
        histogram: (2, b) images of other classes and of the class.
    """
    kept = histogram.take(np.flatnonzero(histogram[0] | histogram[1]), axis=1).astype(np.float64)
    return Ties(kept[1], kept[0])


def area_error(t: Ties) -> float:
    """The most by which an area from bins is off: half of the pairs whose order nobody knows; nan without pairs.

    Args:
        t: what ``binned`` made.
    """
    pairs = float(t.positives.sum() * t.negatives.sum())
    return float((t.positives * t.negatives).sum() / (2 * pairs)) if pairs else float("nan")


def binned_areas(scores: IntArray, y_true: IntArray, ids: IntArray, table: Table) -> tuple[dict[Metric, Measure], float]:
    """AUROC of every group from histograms, of the positive class or of each and their mean.

    Args:
        scores: (m, k, b) images with a score of each class in each bin, for each of m combinations of values.
        y_true: (m,) their label or ``MISSING``.
        ids: (m,) their group or ``MISSING``.
        table: counts of the groups.

    Returns:
        The measures, and the most by which one of a class is off.
    """
    classes = [*range(len(table.classes))] if table.positive is None else [table.positive]
    laws: list[Law] = []
    off = 0.0
    for c in classes:
        tied = []
        for g in range(len(table.n)):
            own = (ids == g) & (y_true != MISSING)
            sides = [scores[own & side, c].sum(0) for side in (y_true != c, y_true == c)]
            tied.append(binned(np.stack(sides)))
        off = max([off, *(error for error in map(area_error, tied) if error > off)])
        laws.append(auroc_law(tied))
    auroc, of = SCORED["auroc"], "positives or negatives"
    found = {}

    def add(metric: Metric, law: Law, scarce: list[str]) -> None:
        found[metric] = measured(table.key(metric), auroc.direction, law, scarce, table.n, 0.0, auroc.most)

    for c, law in zip(classes, laws, strict=True):
        add(Metric("auroc", c), law, [of] * len(table.n))
    if table.positive is None:
        law = mean_over_classes(laws)
        assert law.scarce is not None  # a mean names its smallest class
        add(Metric("auroc", MACRO), law, [f"{of} of {table.classes[int(i)]}" for i in law.scarce])
    return found, off
