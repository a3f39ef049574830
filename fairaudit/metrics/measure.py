"""Measures: one metric in every group, with its support, the reason where it is undefined, and limits at any quantile.

This is where a rate meets its sampling law. A proportion has exact limits; an F-score is a function of two independent
proportions; a mean over classes is combined from its parts. Over classes, an image counts in the numerator of one
proportion at the most (where it may count in one of several, these are negatively correlated, which only helps), but a
wrong one lowers the F-scores of two classes, the true and the predicted one. All limits take denominators as fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import Cells, cells
from fairaudit.metrics.intervals import Limits, clopper_pearson, f_score, f_score_variance, mover_mean, wilson
from fairaudit.metrics.rates import (
    ALIASES,
    BALANCED_ACCURACY,
    MACRO,
    RATES,
    Direction,
    Rate,
    rate_support,
    rate_values,
)
from fairaudit.predictions import FloatArray, IntArray


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
        interval: limits at any quantile, for a group standing alone (Wilson's for proportions).
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
    """

    counts: IntArray
    classes: tuple[str, ...]
    positive: int | None = None

    @cached_property
    def n(self) -> IntArray:
        """(g,) images per group."""
        return np.asarray(self.counts.sum((-2, -1)), dtype=np.int64)

    @cached_property
    def _cells(self) -> Cells:
        return cells(self.counts)

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
        if of in self.classes:
            return [self.classes.index(of)]
        folded = {c.casefold(): i for i, c in enumerate(self.classes)}
        if of.strip().casefold() not in folded:
            raise UnknownNameError("class", of, [*self.classes, MACRO])
        return [folded[of.strip().casefold()]]

    def measure(self, metric: Metric) -> Measure:
        """One metric in every group."""
        rate = RATES[metric.rate]
        c = self._cells.of_class(metric.of) if isinstance(metric.of, int) else self._cells
        value, support, law = rate_values(rate, c), rate_support(rate, c), _law(rate, c)
        scarce = [rate.of] * len(self.n)
        if isinstance(metric.of, str):
            scarce = [f"{rate.of} of {self.classes[i]}" for i in support.argmin(-1)]
            law = _mean(law, value, shared=1 if rate.beta is None else 2)
            value, support = value.mean(-1), support.min(-1)
        reason = tuple(None if s > 0 else undefined(n, of) for s, n, of in zip(support, self.n, scarce, strict=True))
        limits, interval = cache(law.limits), cache(law.interval)
        return Measure(
            self.key(metric), rate.direction, value, support.astype(np.int64), reason, limits, interval, law.variance
        )


@dataclass(frozen=True, eq=False)
class _Law:
    limits: Limits
    interval: Limits
    variance: FloatArray


def _law(rate: Rate, c: Cells) -> _Law:
    """Limits and variance of a rate, with the axes of its values."""
    if rate.beta is None:
        x, n = rate.parts(c)
        p = (x + 2) / (n + 4)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(n > 0, p * (1 - p) / n, np.nan)
        return _Law(lambda z: clopper_pearson(x, n, z), lambda z: wilson(x, n, z), variance)
    beta = rate.beta

    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        return f_score(c.tp, c.fn, c.fp, beta, z)

    return _Law(limits, limits, f_score_variance(c.tp, c.fn, c.fp, beta))


def _mean(law: _Law, every: FloatArray, shared: int) -> _Law:
    """The mean over classes; exact limits for the group alone as well, Wilson's are too short for many small classes."""
    k = every.shape[-1]

    def limits(z: float) -> tuple[FloatArray, FloatArray]:
        return mover_mean(every, *law.limits(z), shared)

    return _Law(limits, limits, shared * law.variance.sum(-1) / k**2)


def undefined(n: int, of: str) -> str:
    """The reason of an undefined value."""
    return "absent: no images" if n == 0 else f"undefined: 0 {of}"
