"""Several contrasts at once: p-values that agree with the intervals, and their adjustment for how many there are.

A p-value here is the smallest error rate at which the contrast's own interval excludes "no difference", so that p and
interval never contradict each other. With exact limits Holm's adjustment kept the family-wise error within its level in
simulations where pooled z and Newcombe's limits did not. Use Holm's for flags and Šidák's for intervals; they may disagree
at the margin.

Sources: Holm (1979); Benjamini & Hochberg (1995).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.inversion import exact_p, exact_start, inverted_p
from fairaudit.metrics.measure import Measure
from fairaudit.predictions import FloatArray, IntArray


def contrast_p_values(measure: Measure, comparison: Comparison) -> FloatArray:
    """Two-sided p-values of every group against the privileged one.

    Args:
        measure: the metric in every group.
        comparison: privileged group and smallest support.

    Returns:
        (g,) nan for the privileged group and for groups that cannot be compared.
    """
    return all_p_values([measure], comparison)[0]


def all_p_values(measures: Sequence[Measure], comparison: Comparison) -> list[FloatArray]:
    """``contrast_p_values`` of many metrics of the same groups; those with exact limits are inverted in one pass."""
    found = [np.full(len(m.value), np.nan) for m in measures]
    first: dict[bytes, int] = {}
    exact: list[tuple[int, IntArray]] = []
    copies: list[tuple[int, int]] = []
    for at, m in enumerate(measures):
        groups = comparison.comparable(m)
        if len(groups) == 0:
            continue
        own, mirrored = _looks(m, comparison)
        known = first.get(own, first.get(mirrored))
        if known is not None:
            copies.append((at, known))
            continue
        first[own] = at
        equal = m.value[groups] == m.value[comparison.privileged]
        found[at][groups[equal]] = 1.0
        apart = groups[~equal]
        if m.trials is None:
            found[at][apart] = inverted_p(m, apart, int(comparison.privileged or 0), comparison.confidence)
        else:
            exact.append((at, apart))
    _invert(measures, exact, comparison, found)
    for at, known in copies:
        found[at] = found[known]
    return found


def _quantiles(groups: int, confidence: float) -> tuple[float, float]:
    """Two quantiles, which an audit asks of all groups anyway."""
    return intervals.quantile(confidence), intervals.sidak(max(2, groups - 1), confidence)


def _looks(m: Measure, comparison: Comparison) -> tuple[bytes, bytes]:
    """What a measure has in common with the same by another name, and with 1 − it, whose differences surprise as much."""
    near, far = (m.limits(z) for z in _quantiles(len(m.value), comparison.confidence))
    sides = np.stack([m.value, *near, *far])
    both = np.round([sides, (1 - sides)[[0, 2, 1, 4, 3]]], 10) + 0.0
    support = m.support.tobytes()
    return both[0].tobytes() + support, both[1].tobytes() + support


def _invert(
    measures: Sequence[Measure], exact: list[tuple[int, IntArray]], comparison: Comparison, found: list[FloatArray]
) -> None:
    """Fill in p-values of measures with exact limits."""
    if not exact:
        return
    ref = int(comparison.privileged or 0)
    z = _quantiles(len(found[0]), comparison.confidence)
    sides: list[tuple[FloatArray, ...]] = []
    for at, groups in exact:
        m = measures[at]
        assert m.trials is not None  # what comes here has exact limits
        table = np.stack([m.value, m.trials.x, m.trials.n, *m.limits(z[0]), *m.limits(z[1])])
        own, other = table[:, groups], np.broadcast_to(table[:, [ref]], (len(table), len(groups)))
        above = own[0] > other[0]
        larger, smaller = np.where(above, own, other), np.where(above, other, own)
        sides.append((larger, smaller, np.full(len(groups), m.trials.bend)))
    larger, smaller, bend = (np.concatenate([side[i] for side in sides], axis=-1) for i in range(3))
    down, up = larger[0] - larger[[3, 5]], smaller[[4, 6]] - smaller[0]
    start = exact_start(down, up, larger[0] - smaller[0], z)
    p = exact_p(larger[:3], smaller[:3], bend, start)
    for (at, groups), part in zip(exact, np.split(p, np.cumsum([len(g) for _, g in exact])[:-1]), strict=True):
        found[at][groups] = part


def holm(p: FloatArray) -> FloatArray:
    """Adjusted p-values that hold the chance of even one false alarm (Holm 1979).

    Args:
        p: (…, m) families of p-values; nan stays and is no contrast.
    """
    ranks, m = np.arange(p.shape[-1]), _tests(p)
    return _stepwise(p, m - ranks, lambda raw: np.maximum.accumulate(raw, -1))


def benjamini_hochberg(p: FloatArray) -> FloatArray:
    """Adjusted p-values that hold the expected share of false alarms among alarms (1995), see ``holm``."""
    ranks, m = np.arange(p.shape[-1]), _tests(p)
    return _stepwise(p, m / (ranks + 1), lambda raw: np.fmin.accumulate(raw[..., ::-1], -1)[..., ::-1])


def _tests(p: FloatArray) -> IntArray:
    return np.asarray((~np.isnan(p)).sum(-1, keepdims=True))


def _stepwise(p: FloatArray, factor: FloatArray | IntArray, running: Callable[[FloatArray], FloatArray]) -> FloatArray:
    order = np.argsort(p, axis=-1, kind="stable")  # nan comes last
    adjusted = np.full(p.shape, np.nan)
    stepped = running(np.take_along_axis(p, order, -1) * factor)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), -1)
    return np.where(np.isnan(p), np.nan, adjusted)
