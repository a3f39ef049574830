"""Measures: one metric in every group, with its support, the reason where it is undefined, and limits at any quantile.

This is where a rate meets its sampling law: a proportion has exact limits, F1 is an increasing function of a proportion, a
mean over classes that share no row is combined from its parts, and what is left (F2, macro F1, macro rates over shared
rows) is drawn from smoothed counts and taken as normal on the logit scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import cells
from fairaudit.metrics.intervals import Limits, clopper_pearson, mover_mean, wilson
from fairaudit.metrics.rates import (
    ALIASES,
    BALANCED_ACCURACY,
    MACRO,
    RATES,
    Direction,
    Law,
    Rate,
    jaccard_to_f1,
    rate_support,
    rate_values,
)
from fairaudit.predictions import FloatArray, IntArray

PSEUDO_ROWS = 2.0
"""Rows that smoothing adds to a group's confusion matrix before it is resampled, spread evenly over the cells."""


@dataclass(frozen=True)
class Metric:
    """A rate and the class it is of.

    Attributes:
        rate: a key of ``RATES``.
        of: index of the class, ``"macro"`` for the mean over classes, None for rates of all classes.
    """

    rate: str
    of: int | str | None = None


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric in every group.

    Attributes:
        key: the metric's name in records, ``true_positive_rate[Female]``.
        direction: which way is better.
        value: (g,) nan where undefined.
        support: (g,) images in the denominator (of a mean over classes: of the smallest class).
        reason: (g,) why the value is undefined, None where it is not.
        limits: limits at any quantile, for what compares groups.
        interval: limits at any quantile, for a group standing alone (Wilson where there is a choice).
        variance: (g,) sampling variance from smoothed counts.
    """

    key: str
    direction: Direction
    value: FloatArray
    support: IntArray
    reason: tuple[str | None, ...]
    limits: Limits
    interval: Limits
    variance: FloatArray


@dataclass(frozen=True, eq=False)
class Table:
    """The confusion matrix of every group of a grouping, and what its classes are called.

    Attributes:
        counts: (g, k, k) [group, true, predicted].
        classes: (k,) names.
        positive: index of the class that plain metric names mean, or None.
        bootstrap: replicates where a limit has no closed form.
        seed: of the bootstrap; every group is drawn from a stream of its own that starts alike, so that the order of the
            groups changes nothing.
    """

    counts: IntArray
    classes: tuple[str, ...]
    positive: int | None = None
    bootstrap: int = 1000
    seed: int = 0

    @cached_property
    def n(self) -> IntArray:
        """(g,) images per group."""
        return np.asarray(self.counts.sum((-2, -1)), dtype=np.int64)

    def key(self, metric: Metric) -> str:
        """The metric's name in records."""
        if metric == Metric("true_positive_rate", BALANCED_ACCURACY):
            return BALANCED_ACCURACY
        if metric.of is None or (self.positive is not None and metric.of == self.positive):
            return metric.rate
        name = metric.of if isinstance(metric.of, str) else self.classes[metric.of]
        return f"{metric.rate}[{name}]"

    def catalogue(self) -> list[Metric]:
        """Every metric that an audit of this table lists."""
        listed: list[Metric] = []
        for rate in RATES.values():
            if not rate.per_class:
                listed.append(Metric(rate.name))
            elif self.positive is not None:
                listed.append(Metric(rate.name, self.positive))
            else:
                listed += [Metric(rate.name, c) for c in range(len(self.classes))]
                listed += [Metric(rate.name, MACRO)] if rate.macro else []
            if rate.name == "error_rate":
                listed.append(Metric("true_positive_rate", BALANCED_ACCURACY))
        return listed

    def resolve(self, name: str, of: str | None) -> list[Metric]:
        """The metrics that a name and an optional class mean; without a class and a positive one, every class.

        Args:
            name: a metric's name or alias, dashes and case ignored.
            of: a class name in any case, ``"macro"``, or None.

        Raises:
            UnknownNameError: no such metric or class.
            UsageError: a class is given to a metric of all classes, or ``macro`` to one whose mean says nothing.
        """
        rate_name = name.strip().casefold().replace("-", "_")
        rate_name = ALIASES.get(rate_name, rate_name)
        if rate_name == BALANCED_ACCURACY and of is None:
            return [Metric("true_positive_rate", BALANCED_ACCURACY)]
        if rate_name not in RATES and rate_name != BALANCED_ACCURACY:
            raise UnknownNameError("metric", name, [*RATES, BALANCED_ACCURACY])
        return [Metric(rate_name, c) for c in self.classes_of(RATES.get(rate_name), rate_name, of)]

    def classes_of(self, rate: Rate | None, name: str, of: str | None) -> Sequence[int | str | None]:
        """Which classes a metric of this name is about, see ``resolve``."""
        if rate is None or not rate.per_class:
            if of is not None:
                raise UsageError(f"{name} is of all classes; write it without [{of}]")
            return [None]
        if of is None:
            return [self.positive] if self.positive is not None else list(range(len(self.classes)))
        if of.strip().casefold() == MACRO:
            if not rate.macro:
                raise UsageError(f"the mean of {name} over classes is always 1/{len(self.classes)}; name a class")
            return [MACRO]
        folded = {c.casefold(): i for i, c in enumerate(self.classes)}
        if of.strip().casefold() not in folded:
            raise UnknownNameError("class", of, [*self.classes, MACRO])
        return [folded[of.strip().casefold()]]

    def measure(self, metric: Metric) -> Measure:
        """One metric in every group."""
        rate = RATES[metric.rate]
        c = cells(self.counts)
        every, supports = rate_values(rate, c), rate_support(rate, c)
        if isinstance(metric.of, str):
            return self._mean_over_classes(metric, rate, every, supports)
        value, support = (every, supports) if metric.of is None else (every[:, metric.of], supports[:, metric.of])
        # nan iff the support is 0, whatever the group: an empty group has every support 0.
        reason = tuple(None if s > 0 else undefined(n, rate.of) for s, n in zip(support, self.n, strict=True))
        if rate.law is Law.OTHER:
            limits, variance = self._drawn(metric, value)
            interval = limits
        else:
            x, n = self._proportion(metric, rate)
            limits, interval, variance = _exact(x, n, rate.law)
        whole = support.astype(np.int64)
        return Measure(self.key(metric), rate.direction, value, whole, reason, limits, interval, variance)

    def _proportion(self, metric: Metric, rate: Rate) -> tuple[FloatArray, FloatArray]:
        x, n = rate.parts(cells(self.counts))
        return (x, n) if metric.of is None else (x[:, metric.of], n[:, metric.of])  # type: ignore[index]

    def _mean_over_classes(self, metric: Metric, rate: Rate, every: FloatArray, supports: FloatArray) -> Measure:
        value, support = every.mean(-1), supports.min(-1)
        reason = tuple(
            None if s.min() > 0 else undefined(n, f"{rate.of} of {self.classes[int(s.argmin())]}")
            for s, n in zip(supports, self.n, strict=True)
        )
        if rate.independent:
            x, n = rate.parts(cells(self.counts))
            exact, alone, v = _exact(x, n, rate.law)
            limits: Limits = lambda z: mover_mean(every, *exact(z))  # noqa: E731
            interval: Limits = lambda z: mover_mean(every, *alone(z))  # noqa: E731
            variance = v.sum(-1) / v.shape[-1] ** 2
        else:
            limits, variance = self._drawn(metric, value)
            interval = limits
        whole = support.astype(np.int64)
        return Measure(self.key(metric), rate.direction, value, whole, reason, limits, interval, variance)

    def _drawn(self, metric: Metric, value: FloatArray) -> tuple[Limits, FloatArray]:
        centre, error, variance = self._replicates[metric]

        def limits(z: float) -> tuple[FloatArray, FloatArray]:
            low, high = expit(centre - z * error), expit(centre + z * error)
            # Smoothing moves the centre inwards; the limits must still enclose what was observed.
            return np.minimum(low, value), np.maximum(high, value)

        return limits, variance

    @cached_property
    def _replicates(self) -> dict[Metric, tuple[FloatArray, FloatArray, FloatArray]]:
        k, g = len(self.classes), len(self.counts)
        wanted = [Metric(r.name, c) for r in RATES.values() if r.law is Law.OTHER for c in range(k)]
        wanted += [Metric(r.name, MACRO) for r in RATES.values() if r.per_class and r.macro and not r.independent]
        found = {m: (np.full(g, np.nan), np.full(g, np.nan), np.full(g, np.nan)) for m in wanted}
        extra = PSEUDO_ROWS / k**2
        for i, counts in enumerate(self.counts):
            n = int(counts.sum())
            if n == 0:
                continue
            smooth = (counts + extra) / (n + PSEUDO_ROWS)
            draws = np.random.default_rng(self.seed).multinomial(n, smooth.ravel(), size=self.bootstrap)
            c = cells(draws.reshape(self.bootstrap, k, k) + extra)
            middle = cells(counts + extra)
            for metric, (centre, error, variance) in found.items():
                drawn = _of_class(rate_values(RATES[metric.rate], c), metric.of)
                centre[i] = logit(_of_class(rate_values(RATES[metric.rate], middle), metric.of))
                error[i], variance[i] = logit(drawn).std(), drawn.var()
        return found


def _of_class(every: FloatArray, of: int | str | None) -> FloatArray:
    return np.asarray(every.mean(-1) if isinstance(of, str) else every[..., of])


def undefined(n: int, of: str) -> str:
    """The reason of an undefined value."""
    return "absent: no images" if n == 0 else f"undefined: 0 {of}"


def _exact(x: FloatArray, n: FloatArray, law: Law) -> tuple[Limits, Limits, FloatArray]:
    p = (x + 2) / (n + 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(n > 0, p * (1 - p) / n, np.nan)
    if law is Law.BINOMIAL:
        return lambda z: clopper_pearson(x, n, z), lambda z: wilson(x, n, z), variance

    def of_f1(limits: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
        return jaccard_to_f1(limits[0]), jaccard_to_f1(limits[1])

    # The delta method: F1 changes with its Jaccard index at the rate 2 / (1 + J)².
    slope = 2.0 / (1.0 + p) ** 2
    return lambda z: of_f1(clopper_pearson(x, n, z)), lambda z: of_f1(wilson(x, n, z)), variance * slope**2
