"""A table of several labels with what is measured over them: pooled decisions, means over labels, whole images.

Pooled decisions and means over images are judged as a proportion of so many independent decisions as say as much
(``together``), by Clopper and Pearson's limits; means over labels by MOVER from the limits of each label, whose squares are
multiplied by how much more such a mean varies than one of independent labels, and no shorter than its variance says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairaudit.metrics.aggregates import Law, exact_law, over_classes
from fairaudit.metrics.design_effects import DesignEffects
from fairaudit.metrics.label_rows import HAMMING, SUBSET, pooled_rates
from fairaudit.metrics.measure import Measure, Metric, measured
from fairaudit.metrics.multilabel import OF_LABEL, LabelTable
from fairaudit.metrics.rates import AGGREGATES, MICRO, WEIGHTED, WORST, Direction, Rate
from fairaudit.metrics.scored import scored_named
from fairaudit.metrics.together import own_variance
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Together


def label_table(
    counts: IntArray,
    labels: Sequence[str],
    levels: Sequence[tuple[str, str]],
    *,
    together: Together | None = None,
    betas: tuple[float, ...] = (),
    aggregates: tuple[str, ...] = (),
    scores: Sequence[Mapping[Metric, Measure]] = (),
    effects: Sequence[DesignEffects] = (),
) -> LabelTable:
    """A table of several labels, with everything that is measured over labels.

    Args:
        counts: (g, l, 4) see ``LabelTable``.
        labels: (l,) names.
        levels: (l,) the two classes of each, the one that it affirms second.
        together: what labels of one image say together; without it nothing is pooled over labels, but for the worst one.
        betas: F-scores that are listed besides F1 and F2, of each label and example-based.
        aggregates: what is listed over labels besides mean and pooled decisions: weighted, worst.
        scores: (l,) what needs the labels' scores.
        effects: (l,) design effects, where people are on several images.
    """
    joined = _joined(effects) if effects else None
    table = LabelTable(
        counts, tuple(labels), None, betas, aggregates, {}, True, joined,
        tuple(levels), tuple(scores), together, tuple(effects),
    )  # fmt: skip
    return replace(table, rows={metric: _over(table, metric) for metric in _over_labels(table)})


def _over_labels(table: LabelTable) -> Iterator[Metric]:
    known = table.together
    if known is not None:
        yield Metric(SUBSET)
        if HAMMING in known.sizes:  # counts alone, such as those of merged audits, tell of exact matches only
            yield Metric(HAMMING)
            yield from (Metric(name) for name in known.means)
    for rate in pooled_rates(table.betas):
        for how in AGGREGATES:
            of = f"{rate.name}[{how}]"
            counted = how == WORST and WORST in table.aggregates and rate.direction is not Direction.NONE
            if counted or (known is not None and of in {**known.sizes, **known.alike}):
                yield Metric(rate.name, how)


def _over(table: LabelTable, metric: Metric) -> Measure:
    key, c, n, known = table.key(metric), table._cells, table.n, table.together
    if metric.of is None:
        scored = scored_named(metric.rate)
        assert scored is not None
        assert known is not None
        if metric.rate == SUBSET:
            support = np.array(known.complete, dtype=np.float64)
            value = _divided(np.array(known.exact, dtype=np.float64), support)
            of = "images whose labels are all known"
        elif metric.rate == HAMMING:
            value, support, of = _divided(c.right.sum(-1), c.n.sum(-1)), n.astype(np.float64), "images"
        else:
            value, support, of = np.array(known.means[metric.rate], dtype=np.float64), n.astype(np.float64), "images"
        law = _sized(value, support, np.array(known.sizes[metric.rate], dtype=np.float64))
        return measured(key, scored.direction, law, [of] * len(n), n)
    rate = next(r for r in pooled_rates(table.betas) if r.name == metric.rate)
    if metric.of == MICRO:
        assert known is not None
        top, bottom = (part.sum(-1) for part in rate.parts(c))
        counted = np.minimum(bottom, n) if rate.beta is None else np.minimum((c.tp + c.fp + c.fn).sum(-1), n)
        law = _sized(_divided(top, bottom), counted, np.array(known.sizes[key], dtype=np.float64))
        return measured(key, rate.direction, law, [rate.of] * len(n), n)
    alike = None if metric.of == WORST or known is None else np.array(known.alike[key], dtype=np.float64)
    effect = effects_of(table.each_effects, rate) if table.each_effects else 1.0
    law = over_classes(rate, c, str(metric.of), effect, shared=alike)
    if alike is not None:
        labelled = c.tp + c.fn if metric.of == WEIGHTED else np.ones_like(c.tp)
        weight = labelled / np.maximum(labelled.sum(-1), 1)[..., None]
        own = own_variance(rate, table.counts.astype(np.float64))
        law = _wide_enough(law, alike * np.nansum(weight**2 * effect * own, -1))
    assert law.scarce is not None  # what combines labels names the one that fewest images have
    scarce = [f"{rate.of} of {table.classes[int(i)]}" for i in law.scarce]
    return measured(key, rate.direction, law, scarce, n)


def _sized(value: FloatArray, support: FloatArray, size: FloatArray) -> Law:
    """The law of a proportion that says as much as that of so many independent decisions."""
    size = np.where(support > 0, np.nan_to_num(size), 0.0)
    x = np.nan_to_num(value) * size

    # Exact limits for the group alone as well: Wilson's are too short where a few images hold most of the errors.
    law = exact_law(np.where(support > 0, value, np.nan), support, x, size)
    return replace(law, interval=law.limits)


def _wide_enough(law: Law, variance: FloatArray) -> Law:
    """A mean over labels with no side shorter than its variance says.

    Rates near 0 or 1 have one side that hardly reaches beyond the estimate; of a sum of many the errors come from both.
    """

    def limits(z: Any, i: Any = ...) -> tuple[FloatArray, FloatArray]:
        (low, high), value = law.limits(z, i), law.value[i]
        reach = z * np.sqrt(variance[i])
        return np.maximum(np.fmin(low, value - reach), 0.0), np.minimum(np.fmax(high, value + reach), 1.0)

    return replace(law, limits=limits, interval=limits)


def _divided(top: FloatArray, bottom: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom > 0, top / bottom, np.nan))


def effects_of(each: Sequence[DesignEffects], rate: Rate) -> FloatArray:
    """(g, l) design effects of a rate of every label.

    Args:
        each: those of each label, at least one.
        rate: the rate.
    """
    return np.stack([one.of_class(rate, OF_LABEL if rate.per_class else None) for one in each], -1)


def split_effects(joined: DesignEffects, labels: int) -> tuple[DesignEffects, ...]:
    """The design effects of each label, from the columns of all of them side by side."""
    each = []
    for i in range(labels):
        own = {name: np.split(effect, labels, axis=1)[i] for name, effect in joined.effects.items()}
        each.append(DesignEffects(joined.people, own))
    return tuple(each)


def _joined(each: Sequence[DesignEffects]) -> DesignEffects:
    """Side by side: of every rate the columns of the first label, then those of the second."""
    names = each[0].effects
    return DesignEffects(each[0].people, {name: np.concatenate([e.effects[name] for e in each], 1) for name in names})


def added_together(parts: Sequence[Together], over_groups: bool = False) -> Together:
    """What counts tell of whole images, of the union of different ones: how many there are, and how many match exactly.

    Args:
        parts: what is known of each part, group by group.
        over_groups: whether their groups are to be one.
    """

    def added(each: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        total = np.sum(each, axis=0)
        return tuple(int(n) for n in ([total.sum()] if over_groups else total))

    complete = added([part.complete for part in parts])
    return Together(
        images=added([part.images for part in parts]),
        complete=complete,
        exact=added([part.exact for part in parts]),
        means={},
        sizes={SUBSET: tuple(float(n) if n else math.nan for n in complete)},
        alike={},
    )
