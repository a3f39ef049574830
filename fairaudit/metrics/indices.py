"""Indices: disparities that are more than one comparison of one rate, each with the limits that fit it.

Averages of two comparisons combine their limits by MOVER; entropies of benefits use the count bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from fairaudit.metrics import inequality, intervals
from fairaudit.metrics.contrasts import averaged
from fairaudit.metrics.counts import cells
from fairaudit.metrics.disparity import Comparison, Contrast
from fairaudit.metrics.intervals import Limits
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.pairs import foremost, front
from fairaudit.metrics.rates import RATES, Direction
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Estimate

TPR, FPR = "true_positive_rate", "false_positive_rate"


@dataclass(frozen=True)
class Draws:
    """How the count bootstrap is drawn.

    Attributes:
        replicates: how many times.
        seed: of the generator.
    """

    replicates: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class _Case:
    table: Table
    of: int
    comparison: Comparison
    draws: Draws
    family: int | None = None

    def measures(self, *rates: str) -> list[Measure]:
        return [self.table.measure(Metric(rate, self.of)) for rate in rates]


Find = Callable[[_Case], list[Contrast]]


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        formula: for people.
        source: whose definition it is.
        find: the table with its class, comparison and draws → contrasts.
        per_class: whether it is of one class against the rest.
        direction: which way is better; none where it has a sign and 0 is best.
        rates: rates without which, or with too small a support, a group cannot be judged; an index of all images has none.
        against: whether it is of each group against the privileged one.
        most: its largest value.
    """

    formula: str
    source: str
    find: Find
    per_class: bool = True
    direction: Direction = Direction.LOWER
    rates: tuple[str, ...] = ()
    against: bool = False
    most: float = 1.0


def classes_of(index: Index, table: Table) -> list[int | None]:
    """Classes for which an index is listed: the positive one, or each; None where it is of all classes."""
    if not index.per_class and not table.several:
        return [None] if table.per_class else []
    return [*table.listed_classes]


def index_key(name: str, table: Table, of: int | None) -> str:
    """Name in records: ``theil_index``, ``theil_index[Female]``."""
    return name if of is None or of == table.positive else f"{name}[{table.classes[of]}]"


def _ratio(*rates: str) -> Find:
    def find(case: _Case) -> list[Contrast]:
        parts = [case.comparison.over_groups([m], "min_max_ratio", len(rates)).estimate for m in case.measures(*rates)]
        bad = next((p for p in parts if math.isnan(p.value)), None)
        if bad is not None:
            return [Contrast(None, bad)]
        return [Contrast(None, _combine(parts, min, min, min))]

    return find


def _combine(
    parts: list[Estimate],
    value: Callable[[list[float]], float],
    low: Callable[[list[float]], float],
    high: Callable[[list[float]], float],
) -> Estimate:
    reasons = [p.reason for p in parts if p.reason is not None]
    return Estimate(
        float(value([p.value for p in parts])),
        float(low([p.ci_low for p in parts])),
        float(high([p.ci_high for p in parts])),
        min(p.support for p in parts),
        "; ".join(dict.fromkeys(reasons)) or None,
    )


def _average_odds(absolute: bool) -> Find:
    def find(case: _Case) -> list[Contrast]:
        ref, comparison = case.comparison.privileged, case.comparison
        if ref is None:
            return []
        found = averaged(case.measures(TPR, FPR), ref, comparison.confidence, comparison.min_support, case.family, absolute)
        return [Contrast(i, e) for i, e in zip(found.groups.tolist(), found.estimates(), strict=True)]

    return find


def _average_gap(case: _Case) -> list[Contrast]:
    both, comparison = case.measures(TPR, FPR), case.comparison
    gaps = [comparison.over_groups([m], "gap").estimate for m in both]
    bad = next((g for g in gaps if math.isnan(g.value)), None)
    if bad is not None:
        return [Contrast(None, bad)]
    low, sums, reach = 0.0, [], []
    for m in both:
        keep = np.flatnonzero(comparison.usable(m))
        p, limits = m.value[keep], _kept(m.limits, keep)
        low += intervals.gap(p, limits, comparison.confidence, joint=2).low / 2
        z = intervals.quantile(comparison.confidence)
        i, j = _pairs(p, *limits(z))
        high = intervals.difference(p, limits, z, i, j)[1]
        difference = p[i] - p[j]
        # Hundreds of pairs are too many to combine each of one rate with each of another.
        best = front(difference, high - difference)
        sums.append(difference[best])
        reach.append((high - difference)[best])
    upper = (sums[0][:, None] + sums[1][None] + np.hypot(reach[0][:, None], reach[1][None])).max() / 2
    combined = _combine(gaps, lambda v: sum(v) / 2, lambda _: low, lambda _: min(1.0, float(upper)))
    return [Contrast(None, combined)]


def _pairs(p: FloatArray, low: FloatArray, high: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs of groups among which those lie that no other pair exceeds both in difference and in upper half width."""
    i, j = np.meshgrid(foremost(p, high - p), foremost(-p, p - low), indexing="ij")
    return i[i != j], j[i != j]


def _kept(limits: Limits, keep: IntArray) -> Limits:
    return cast(Limits, lambda z: tuple(limit[keep] for limit in limits(z)))


def _differential(case: _Case) -> list[Contrast]:
    """The smallest ε such that no group's chance to be called a class is e^ε times another's, whatever the class."""
    table, comparison = case.table, case.comparison
    ratios = []
    confidence = comparison.confidence ** (1 / len(table.classes))
    for c in range(len(table.classes)):
        measure = table.measure(Metric("selection_rate", c))
        keep = np.flatnonzero(comparison.usable(measure))
        if len(keep) < 2:
            return [Contrast(None, comparison.over_groups([measure], "gap").estimate)]
        p, limits = measure.value[keep], _kept(measure.limits, keep)
        if p.max() == 0:  # never called in any group: all groups have the same chance
            continue
        # The upper limit of the ratio bounds ε from below for all classes at once; one class's lower limit bounds it above.
        high = intervals.min_max_ratio(p, limits, confidence).high
        low = intervals.min_max_ratio(p, limits, comparison.confidence).low
        ratios.append((float(p.min() / p.max()), low, high))
    gap = comparison.over_groups([table.measure(Metric("selection_rate", 0))], "gap").estimate
    value, high, low = (max(-math.log(r[i]) if r[i] > 0 else math.inf for r in ratios) + 0.0 for i in range(3))
    reason = gap.reason
    if math.isinf(value):
        reason = "infinite: a class is never called in one group" + (f"; {reason}" if reason else "")
    return [Contrast(None, Estimate(value, low, high, gap.support, reason))]


def _entropy(measure: Callable[[FloatArray], FloatArray], biased: bool) -> Find:
    def find(case: _Case) -> list[Contrast]:
        table, comparison, draws = case.table, case.comparison, case.draws
        counts = inequality.benefits(cells(table.counts).of_class(case.of))
        small = (table.n < comparison.min_support) | (table.n == 0) if biased else table.n == 0
        used = table.n[~small]
        support = int(used.min() if biased and len(used) else used.sum())
        if (~small).sum() < (2 if biased else 1):
            why = "only one group" if (~small).any() else "no group"
            return [Contrast(None, _nothing(f"undefined: {why} has enough support", support))]
        kept = counts[~small]
        value = float(measure(kept))
        if math.isnan(value):
            return [Contrast(None, _nothing("undefined: no image has a benefit", support))]
        replicates = measure(inequality.draw(kept, draws.replicates, draws.seed))
        low, high = inequality.bootstrap_limits(value, replicates, comparison.confidence, biased)
        left = int(small.sum()) if biased else 0
        reason = f"left out: {left} of {len(small)} groups (undefined or too small)" if left else None
        return [Contrast(None, Estimate(value, low, high, support, reason))]

    return find


INDICES: Mapping[str, Index] = {
    "demographic_parity_ratio": Index(
        "min ÷ max selection rate", "Fairlearn", _ratio("selection_rate"), direction=Direction.HIGHER,
        rates=("selection_rate",),
    ),
    "equalized_odds_ratio": Index(
        "the smaller min ÷ max of TPR and FPR", "Fairlearn", _ratio(TPR, FPR), direction=Direction.HIGHER,
        rates=(TPR, FPR),
    ),
    "average_odds_difference": Index(
        "½ (TPR − privileged TPR + FPR − privileged FPR)", "AIF360", _average_odds(absolute=False),
        direction=Direction.NONE, rates=(TPR, FPR), against=True,
    ),
    "average_abs_odds_difference": Index(
        "½ (|TPR − privileged TPR| + |FPR − privileged FPR|)", "AIF360", _average_odds(absolute=True),
        rates=(TPR, FPR), against=True,
    ),
    "equalized_odds_average_gap": Index(
        "½ (gap of TPR + gap of FPR)", "Hardt et al. (2016), averaged", _average_gap, rates=(TPR, FPR)
    ),
    "differential_fairness": Index(
        "ε: largest |ln(selection rate ÷ another group's)| over classes", "Foulds et al. (2020), no prior",
        _differential, per_class=False, rates=("selection_rate",), most=math.inf,
    ),
    "generalized_entropy_index": Index(
        "mean((b/mean b)² − 1) / 2, b = 1 if right, 2 if called in error, 0 if missed", "AIF360, α = 2",
        _entropy(inequality.generalised_entropy, biased=False), most=math.inf,
    ),
    "theil_index": Index(
        "mean(b/mean b · ln(b/mean b))", "AIF360",
        _entropy(lambda x: inequality.generalised_entropy(x, 1.0), biased=False), most=math.inf,
    ),
    "coefficient_of_variation": Index(
        "SD of b ÷ mean b = √(2 GE)", "AIF360, Speicher et al. (2018)",
        _entropy(inequality.coefficient_of_variation, biased=False), most=math.inf,
    ),
    "between_group_generalized_entropy_index": Index(
        "generalized_entropy_index with each group's mean for b", "AIF360, α = 2",
        _entropy(inequality.between_groups, biased=True), rates=("selection_rate",), most=math.inf,
    ),
    "between_group_theil_index": Index(
        "theil_index with each group's mean for b", "AIF360",
        _entropy(lambda x: inequality.between_groups(x, 1.0), biased=True), rates=("selection_rate",), most=math.inf,
    ),
}  # fmt: skip


def index_contrasts(
    name: str, table: Table, of: int | None, comparison: Comparison, draws: Draws, family: int | None = None
) -> list[Contrast]:
    """One index of one class.

    Args:
        name: a key of ``INDICES``.
        table: counts of every group.
        of: the class; None for an index of all classes.
        comparison: privileged group, confidence, smallest support.
        draws: how the count bootstrap is drawn.
        family: how many contrasts with the privileged group hold together (default: all of them).
    """
    if of is not None:
        table, of = table.seen_from(of)
    return INDICES[name].find(_Case(table, -1 if of is None else of, comparison, draws, family))


def classes_ruled(name: str, of: str | None, table: Table) -> list[int | None]:
    """The classes that a rule on an index is about; without a class and a positive one, every class.

    Raises:
        UnknownNameError: no such class.
        UsageError: the index is of all classes, or is asked for over classes.
    """
    per_class = RATES["selection_rate"] if INDICES[name].per_class else None
    return [one for one in table.classes_of(per_class, name, of) if not isinstance(one, str)]


def _nothing(reason: str, support: int) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, support, reason)
