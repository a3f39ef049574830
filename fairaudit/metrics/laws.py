"""The sampling law of any metric of counts: of a rate, of what combines classes, of a correlation."""

from __future__ import annotations

from dataclasses import replace

from fairaudit.metrics.aggregates import Law, over_classes, rate_law
from fairaudit.metrics.counts import Cells, Counts, cells
from fairaudit.metrics.design_effects import DesignEffects
from fairaudit.metrics.rates import RATES, rate_named
from fairaudit.metrics.statistics import STATISTICS, one_vs_rest, statistic_law


def law_of(name: str, of: int | str | None, counts: Counts, c: Cells, e: DesignEffects | None) -> Law:
    """The sampling law of a metric in every group.

    Args:
        name: a key of ``RATES`` or ``STATISTICS``, or an F-score of any β.
        of: index of the class, one of ``AGGREGATES`` over classes, None for metrics of all classes.
        counts: (g, k, k) [group, true, predicted].
        c: their cells.
        e: by what counts are divided for the limits; None divides by 1.
    """
    one = of if isinstance(of, int) else None
    if name in STATISTICS:
        matrices = counts if one is None else one_vs_rest(c.of_class(one))
        return statistic_law(STATISTICS[name], matrices, 1.0 if e is None else e.of_statistic(name, one))
    rate = rate_named(name)
    assert rate is not None  # metrics come from ``resolve`` or ``catalogue``
    if isinstance(of, str):
        if e is None:
            return over_classes(rate, c, of)
        return over_classes(rate, c, of, e.over_classes(rate), e.of_class(RATES["accuracy"], None))
    return rate_law(rate, c if one is None else c.of_class(one), 1.0 if e is None else e.of_class(rate, one))


def weighted_law(name: str, of: int | str | None, counts: Counts, weighted: Counts, e: DesignEffects) -> Law:
    """The same where images have weights: values and limits of weighted counts, supports in images.

    Args:
        name: as of ``law_of``.
        of: as of ``law_of``.
        counts: (g, k, k) images.
        weighted: (g, k, k) the same images, weighted.
        e: by what weighted counts are divided (``weights.in_units``).
    """
    images = law_of(name, of, counts, cells(counts), None)
    heavy = law_of(name, of, weighted, cells(weighted), e)
    return replace(heavy, support=images.support, scarce=images.scarce)
