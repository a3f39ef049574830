"""Sampling weights: a row stands for so many images of the population that it was drawn from.

Rates are then Σ weight·numerator ÷ Σ weight·denominator. Supports remain numbers of images, because they say how much data
there is. Intervals are those of fewer images: of a denominator with weights w, at the most of Kish's (Σw)² ÷ Σw², and of
fewer still where the images that weigh much are right or wrong more often (the linearised variance Σ w²(y − p)² ÷ (Σw)²,
see ``clusters``, which people go into as well). So a weighted audit has, beside its counts, the same counts weighted, and
design effects.

Weighted counts are whole numbers: sums and differences of them are exact, a faultless rate is exactly 1, and what an audit
stores is what it was judged by. Their unit is the group's own, which no rate of that group depends on: its mean weight is
10⁹ units, of more than a million images fewer.

Kish, L. (1965), Survey Sampling; Korn, E. L. & Graubard, B. I. (1998), Survey Methodology 24, 193-201.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairaudit.metrics.counts import Counts, cells
from fairaudit.metrics.design_effects import DesignEffects
from fairaudit.metrics.rates import MACRO, RATES
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.predictions import MISSING, FloatArray, IntArray

FINEST = 9
"""Decimal digits of a group's mean weight, of groups of up to a million images."""

_ROOM = 15
"""Decimal digits of whole numbers that floating point adds exactly."""


def whole_units(weight: FloatArray, ids: IntArray, n_groups: int) -> IntArray:
    """Weights in whole units of each group's own.

    Args:
        weight: (n,) above 0.
        ids: (n,) group or ``MISSING``.
        n_groups: number of groups, g.

    Returns:
        (n,) at least 1; 0 where the row is in no group.
    """
    known = ids != MISSING
    at, w = ids[known], weight[known]
    largest = np.zeros(n_groups)
    np.maximum.at(largest, at, w)
    share = w / largest[at]
    n = np.bincount(at, minlength=n_groups)
    mean = np.bincount(at, share, minlength=n_groups) / np.maximum(n, 1)
    digits = np.minimum(FINEST, _ROOM - np.ceil(np.log10(n + 1.0)))
    units = np.zeros(len(ids), dtype=np.int64)
    units[known] = np.maximum(np.rint(share / mean[at] * 10.0 ** digits[at]), 1).astype(np.int64)
    return units


def kish(weight: FloatArray) -> float:
    """(Σw)² ÷ Σw², how many images of equal weight say as much of a rate that does not go with the weights.

    Args:
        weight: (n,) above 0, at least one.
    """
    share = weight / weight.max()
    return float(share.sum() ** 2 / (share**2).sum())


def in_units(effects: DesignEffects, counts: Counts, weighted: Counts) -> DesignEffects:
    """Design effects by which weighted counts, instead of counts, are divided.

    Args:
        effects: images that are worth an independent one.
        counts: (g, k, k) images.
        weighted: (g, k, k) the same images, weighted.
    """
    plain, heavy = cells(counts), cells(weighted)
    found = dict(effects.effects)
    for rate in RATES.values():
        if rate.name not in found:
            continue
        size, units = rate.parts(plain)[1], rate.parts(heavy)[1]
        ratio = _per_image(units, size)
        ratio = ratio if rate.per_class else ratio[:, None]
        for name in (rate.name, f"{rate.name}[{MACRO}]"):
            if name in found:
                found[name] = found[name] * ratio
    each = _per_image(heavy.n, plain.n)[:, None]
    for name in STATISTICS:
        found[name] = found[name] * each
    return replace(effects, effects=found)


def _per_image(units: FloatArray, images: FloatArray) -> FloatArray:
    return np.where(images > 0, units / np.maximum(images, 1), 1.0)
