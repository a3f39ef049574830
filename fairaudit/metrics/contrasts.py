"""Contrasts: every other group against the privileged one, all groups of a measure at once.

There may be hundreds of groups and of metrics, so that what is computed of one contrast is computed of all in one pass;
reasons are only written where something is missing or must be read with care.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.measure import Measure
from fairaudit.metrics.rates import Direction
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Estimate
from fairaudit.results.columns import in_columns


@dataclass(frozen=True, eq=False)
class Contrasts:
    """One comparison of every other group with the privileged one.

    Attributes:
        groups: (m,) index of the other group.
        value: (m,) nan where undefined, inf where infinite.
        low: (m,) lower limits.
        high: (m,) upper limits.
        support: (m,) the smaller denominator of the two groups.
        reasons: position → why the value is undefined, infinite or to be read with care.
    """

    groups: IntArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    support: IntArray
    reasons: Mapping[int, str]

    @property
    def said(self) -> Iterable[str | None]:
        """(m,) reasons, None where there is none."""
        return map(self.reasons.get, range(len(self.groups))) if self.reasons else repeat(None, len(self.groups))

    def estimates(self) -> list[Estimate]:
        """(m,) as they are recorded."""
        return estimates(self.value, self.low, self.high, self.support, self.said)


def estimates_of(
    numbers: Sequence[tuple[FloatArray, FloatArray, FloatArray, IntArray]], said: Iterable[Iterable[str | None]]
) -> list[list[Estimate]]:
    """Estimates of several measures or comparisons, made in one pass.

    Args:
        numbers: values, limits and supports of each.
        said: reasons of each.
    """
    if not numbers:
        return []
    value, low, high, support = map(np.concatenate, zip(*numbers, strict=True))
    flat = iter(estimates(value, low, high, support, chain.from_iterable(said)))
    return [[*islice(flat, len(own))] for own, *_ in numbers]


def estimates(
    value: FloatArray, low: FloatArray, high: FloatArray, support: IntArray, reasons: Iterable[str | None]
) -> list[Estimate]:
    """(m,) numbers with their limits, supports and reasons.

    What is undefined is ``math.nan`` itself, so that records of the same numbers are equal.
    """
    numbers = (column.tolist() for column in (value, low, high, support))
    found = in_columns(Estimate, len(value), *numbers, reasons)
    unknown = np.isnan(value)
    for i in np.flatnonzero(unknown).tolist() if unknown.any() else ():
        found[i] = Estimate(math.nan, math.nan, math.nan, found[i].support, found[i].reason)
    return found


def why_not(measure: Measure, group: int, min_support: int) -> str | None:
    """Why a group cannot be judged: its value is undefined or its support below the floor; None where it can."""
    if measure.reason[group] is not None:
        return measure.reason[group]
    if measure.support[group] < min_support:
        return f"too small: support {measure.support[group]} is below {min_support}"
    return None


def contrasts_of(
    measures: Sequence[Measure], kind: str, privileged: int, confidence: float, min_support: int, family: int | None
) -> list[Contrasts]:
    """Every other group against the privileged one, in every measure.

    Args:
        measures: measures of the same groups.
        kind: difference, shortfall or ratio.
        privileged: index of the reference group.
        confidence: of the limits of all contrasts of the family together.
        min_support: smallest denominator that counts.
        family: how many contrasts that are (default: those of groups that have a value in this measure).
    """
    known = [np.array([why is None for why in m.reason], dtype=np.bool_) for m in measures]
    others = np.flatnonzero(np.arange(len(known[0])) != privileged) if known else np.zeros(0, dtype=np.int64)
    alike: dict[bytes, list[int]] = {}
    for at, defined in enumerate(known):
        alike.setdefault(defined.tobytes(), []).append(at)
    found: dict[int, Contrasts] = {}
    compare = _ratio if kind == "ratio" else _difference
    for places in alike.values():
        own, defined = [measures[at] for at in places], known[places[0]]
        z = intervals.sidak(int(defined[others].sum()) if family is None else family, confidence)
        value, low, high = (side.T for side in compare(own, z, others, privileged))
        for at, m, v, a, b in zip(places, own, value, low, high, strict=True):
            turned = kind == "shortfall" and m.direction is Direction.HIGHER
            numbers = (-v, -b, -a) if turned else (v, a, b)
            found[at] = _told(m, kind, (privileged, others, defined), numbers, min_support)
    return [found[at] for at in range(len(measures))]


Sides = tuple[FloatArray, FloatArray, FloatArray]
"""(m, measures) values, lower and upper limits."""


def _difference(measures: Sequence[Measure], z: float, others: IntArray, privileged: int) -> Sides:
    p, limits = _values(measures)
    return p[others] - p[privileged], *intervals.difference(p, limits, z, others, privileged)


def _ratio(measures: Sequence[Measure], z: float, others: IntArray, privileged: int) -> Sides:
    p, limits = _values(measures)
    low, high = intervals.ratio(p, limits, z, others, privileged)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = p[others] / p[privileged]
    return value, np.where(np.isnan(value), np.nan, low), np.where(np.isfinite(value), high, value)


def _values(measures: Sequence[Measure]) -> tuple[FloatArray, intervals.Limits]:
    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        ends = [m.limits(z) for m in measures]
        return side_by_side([low for low, _ in ends]), side_by_side([high for _, high in ends])

    return side_by_side([m.value for m in measures]), limits


def side_by_side(columns: Sequence[FloatArray]) -> FloatArray:
    """(g, m) what m measures have of each group, each a column; ``np.stack`` takes thrice as long for so little."""
    return np.ascontiguousarray(np.array(columns).T)


def _told(
    m: Measure,
    kind: str,
    groups: tuple[int, IntArray, BoolArray],
    numbers: tuple[FloatArray, FloatArray, FloatArray],
    min_support: int,
) -> Contrasts:
    """Numbers with the reasons why some are missing, or stand on too little."""
    privileged, others, defined = groups
    support = np.minimum(m.support[others], m.support[privileged])
    nowhere = _nowhere(m, kind)
    if nowhere is None and m.support.min() >= max(1, min_support) and (kind != "ratio" or m.value[privileged] != 0):
        return Contrasts(others, *numbers, support, {})
    base = why_not(m, privileged, min_support)
    known = defined[others] & defined[privileged]
    reasons: dict[int, str] = {}
    if base is not None:
        reasons = dict.fromkeys(range(len(others)), f"the privileged group is {base}")
    if nowhere is not None:
        places = np.arange(len(others)) if kind == "shortfall" else np.flatnonzero(known)
        said = dict.fromkeys(places.tolist(), nowhere)
        known = np.zeros_like(known)
    elif kind == "ratio" and m.value[privileged] == 0:
        zero = m.value[others] == 0
        infinite = "infinite: the privileged group's value is 0"
        said = dict.fromkeys(np.flatnonzero(known & ~zero).tolist(), infinite)
        said |= dict.fromkeys(np.flatnonzero(known & zero).tolist(), "undefined: 0 ÷ 0")
    else:
        said = {}
    # A group of its own is named before the privileged one.
    own = ~defined[others] if not defined[privileged] else m.support[others] < max(1, min_support)
    for i in np.flatnonzero(own).tolist():
        reasons[i] = why_not(m, int(others[i]), min_support) or ""
    value, low, high = numbers if known.all() else [np.where(known, x, np.nan) for x in numbers]
    return Contrasts(others, value, low, high, support, reasons | said)


def _nowhere(m: Measure, kind: str) -> str | None:
    """Why a measure cannot be compared so in any group, or None."""
    if kind == "ratio" and m.least < 0:
        return f"undefined: {m.key} may be below 0, where ratios say nothing"
    if kind == "shortfall" and m.direction is Direction.NONE:
        return f"undefined: {m.key} has no better direction"
    return None


def averaged(
    both: Sequence[Measure], privileged: int, confidence: float, min_support: int, family: int | None, absolute: bool
) -> Contrasts:
    """The mean of two measures' differences from the privileged group, or of the absolute ones, see ``contrasts_of``."""
    first, second = contrasts_of(both, "difference", privileged, confidence, min_support, None)
    others, d = first.groups, np.stack([first.value, second.value])
    known = ~np.isnan(d).any(0)
    family = family or int(known.sum())

    def ends(z: float) -> tuple[FloatArray, FloatArray]:
        _, low, high = _difference(both, z, others, privileged)
        return low.T, high.T

    low, high = ends(intervals.sidak(family, confidence))
    if absolute:
        inner_low, inner_high = ends(intervals.sidak(2 * family, confidence))
        value = np.abs(d).sum(0) / 2
        below = np.maximum(0.0, np.maximum(inner_low, -inner_high)).sum(0) / 2
        # The upper limit of |d| + |e| is the largest of the four signed sums'.
        signed = [((d[m], (high - d)[m]), (-d[m], (d - low)[m])) for m in (0, 1)]
        above = np.minimum(1.0, np.max([(a + b + np.hypot(x, y)) / 2 for a, x in signed[0] for b, y in signed[1]], axis=0))
    else:
        value = d.sum(0) / 2
        below, above = value - np.hypot(*(d - low)) / 2, value + np.hypot(*(high - d)) / 2
    value, below, above = (np.where(known, x, np.nan) for x in (value, below, above))
    reasons = {
        k: _undefined_first(both, int(others[k]), privileged) or first.reasons.get(k) or second.reasons[k]
        for k in sorted({*first.reasons, *second.reasons})
    }
    return Contrasts(others, value, below, above, np.minimum(first.support, second.support), reasons)


def _undefined_first(both: Sequence[Measure], group: int, privileged: int) -> str | None:
    """Why one of two measures has no value in a group, or in the privileged one; None where both have."""
    for g, whose in ((group, ""), (privileged, "the privileged group is ")):
        why = next((m.reason[g] for m in both if m.reason[g] is not None), None)
        if why is not None:
            return f"{whose}{why}"
    return None
