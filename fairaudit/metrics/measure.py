"""Measures: one metric in every group, with its support, the reason where it is undefined, and limits at any quantile.

This is where a rate meets its sampling law. A proportion has exact limits; an F-score is a function of two independent
proportions; what is of all classes is combined from its parts (``aggregates``); correlations have the delta method's
(``statistics``). What counts cannot tell, because it needs scores, is measured from the rows and handed to the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.aggregates import Law
from fairaudit.metrics.counts import Cells, cells
from fairaudit.metrics.design_effects import DesignEffects
from fairaudit.metrics.intervals import Limits
from fairaudit.metrics.laws import law_of, weighted_law
from fairaudit.metrics.rates import AGGREGATES, ALIASES, BALANCED_ACCURACY, MACRO, RATES, Direction, rate_named
from fairaudit.metrics.scored import SCORED, scored_named
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.metrics.trials import Remembered, Trials
from fairaudit.metrics.weights import in_units
from fairaudit.predictions import FloatArray, IntArray


@dataclass(frozen=True)
class Metric:
    """A rate and the class it is of.

    Attributes:
        rate: a key of ``RATES``, ``STATISTICS`` or ``SCORED``, or an F-score of any β.
        of: index of the class, one of ``AGGREGATES`` over classes, None for metrics of all classes.
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
        least: the smallest value that the metric can have.
        most: the largest one; inf where there is none.
        trials: the proportion whose exact limits make the limits, where there is one.
    """

    key: str
    direction: Direction
    value: FloatArray
    support: IntArray
    reason: tuple[str | None, ...]
    limits: Limits
    interval: Limits
    variance: FloatArray
    least: float = 0.0
    most: float = 1.0
    trials: Trials | None = None


class Described(Protocol):
    """What every kind of metric says of itself."""

    @property
    def name(self) -> str:
        """As it stands in rules and records."""

    @property
    def per_class(self) -> bool:
        """Whether it is of one class against the rest."""


@dataclass(frozen=True, eq=False)
class Table:
    """The confusion matrix of every group of a grouping, and what its classes are called.

    Attributes:
        counts: (g, k, k) [group, true, predicted].
        classes: (k,) names.
        positive: index of the class that plain metric names mean, or None.
        betas: F-scores that are listed besides F1 and F2.
        aggregates: what is listed over classes besides the mean: micro, weighted, worst.
        rows: measures that counts cannot tell, made from the rows.
        per_class: whether metrics of one class are listed; of joint targets they are not.
        effects: how many images are worth an independent one, where people are on several, or images have weights; None
            where each is on one.
        weighted: (g, k, k) the same counts weighted, in whole units of each group's own (``weights``); None where every
            image weighs the same.
    """

    counts: IntArray
    classes: tuple[str, ...]
    positive: int | None = None
    betas: tuple[float, ...] = ()
    aggregates: tuple[str, ...] = ()
    rows: Mapping[Metric, Measure] = field(default_factory=dict)
    per_class: bool = True
    effects: DesignEffects | None = None
    weighted: FloatArray | None = field(default=None, kw_only=True)

    several: ClassVar[bool] = False
    """Whether the classes are labels side by side: what is otherwise of all classes is then of each label."""

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
        extra = [rate_named(f"f{beta:g}") for beta in self.betas]
        rates = [*RATES.values(), *(r for r in extra if r is not None and r.name not in RATES)]
        for rate in rates:
            listed += self._of_classes(rate.name, rate.per_class)
            if rate.per_class and rate.macro and self.positive is None and self.per_class:
                listed += [Metric(rate.name, how) for how in (MACRO, *self.aggregates)]
            if rate.name == "error_rate":
                listed.append(Metric("true_positive_rate", BALANCED_ACCURACY))
        for statistic in STATISTICS.values():
            if not statistic.per_class or len(self.classes) > 2:
                listed += self._of_classes(statistic.name, statistic.per_class)
        return [*dict.fromkeys([*listed, *self.rows])]

    def _of_classes(self, name: str, per_class: bool) -> list[Metric]:
        if not per_class:
            return [Metric(name)]
        return [Metric(name, c) for c in self.listed_classes]

    @property
    def listed_classes(self) -> Sequence[int]:
        """The classes that are listed one against the rest: the positive one, or each."""
        if not self.per_class:
            return ()
        return range(len(self.classes)) if self.positive is None else (self.positive,)

    def resolve(self, name: str, of: str | None) -> list[Metric]:
        """The metrics that a name and an optional class mean; without a class and a positive one, every class.

        Args:
            name: a metric's name or alias, dashes and case ignored.
            of: a class name in any case, one of ``AGGREGATES``, or None.

        Raises:
            UnknownNameError: no such metric or class.
            UsageError: a class is given to a metric of all classes, an aggregate to one whose mean says nothing, or the
                metric needs scores that this table was not made from.
        """
        rate_name, kind = described(name)
        if rate_name == BALANCED_ACCURACY and of is None:
            return [Metric("true_positive_rate", BALANCED_ACCURACY)]
        found = [Metric(rate_name, c) for c in self.classes_of(kind, rate_name, of)]
        rows = scored_named(rate_name)
        if rows is not None and self.weighted is not None:
            raise UsageError(f"{rate_name} needs more than counts and is not weighted yet; judge it without weights")
        if rows is not None and (absent := [m for m in found if m not in self.rows]):
            raise UsageError(
                f"{self.key(absent[0])} needs {rows.needs}, which are not known here; audit predictions that have them"
            )
        return found

    def classes_of(self, kind: Described | None, name: str, of: str | None) -> Sequence[int | str | None]:
        """Which classes a metric of this name is about, see ``resolve``."""
        if kind is None or not kind.per_class:
            if of is not None:
                raise UsageError(f"{name} is of all classes; write it without [{of}]")
            return [None]
        if of is None:
            return [self.positive] if self.positive is not None else list(range(len(self.classes)))
        if of in self.classes:
            return [self.classes.index(of)]
        folded = {c.casefold(): i for i, c in enumerate(self.classes)}
        wanted = of.strip().casefold()
        if wanted in AGGREGATES and (wanted == MACRO or wanted not in folded):
            self._check_aggregate(name, wanted)
            return [wanted]
        if wanted not in folded:
            raise UnknownNameError("class", of, [*self.classes, MACRO])
        return [folded[wanted]]

    def _check_aggregate(self, name: str, how: str) -> None:
        rate = rate_named(name)
        if rate is None:
            if Metric(name, how) not in self.rows:
                raise UsageError(f"{name} has no {how} over classes; name a class")
        elif rate.name == "false_negative_share":
            raise UsageError(f"the {how} of {name} over classes says nothing; name a class")
        elif not rate.macro:
            raise UsageError(f"the mean of {name} over classes is always 1/{len(self.classes)}; name a class")

    def has_mean(self, rate: str) -> bool:  # noqa: ARG002 - of classes it always has; of labels it may not be known
        """Whether a rate's mean over classes is known."""
        return True

    def seen_from(self, of: int) -> tuple[Table, int]:
        """The table and class that an index of one class is computed from."""
        return self, of

    def measure(self, metric: Metric) -> Measure:
        """One metric in every group; asked for again it is the same, with the limits that were computed already."""
        if metric not in self._measured:
            self._measured[metric] = self._measure(metric)
        return self._measured[metric]

    @cached_property
    def _measured(self) -> dict[Metric, Measure]:
        return {}

    def _measure(self, metric: Metric) -> Measure:
        if metric in self.rows:
            return self.rows[metric]
        law = self._law(metric)
        if metric.rate in STATISTICS:
            statistic = STATISTICS[metric.rate]
            return measured(self.key(metric), statistic.direction, law, [statistic.of] * len(self.n), self.n, -1.0)
        rate = rate_named(metric.rate)
        assert rate is not None  # metrics come from ``resolve`` or ``catalogue``
        scarce = [rate.of] * len(self.n)
        if law.scarce is not None:
            scarce = [f"{rate.of} of {self.classes[int(i)]}" for i in law.scarce]
        return measured(self.key(metric), rate.direction, law, scarce, self.n)

    def _law(self, metric: Metric) -> Law:
        if self.weighted is None or self._in_units is None:
            return law_of(metric.rate, metric.of, self.counts, self._cells, self.effects)
        return weighted_law(metric.rate, metric.of, self.counts, self.weighted, self._in_units)

    @cached_property
    def _in_units(self) -> DesignEffects | None:
        if self.weighted is None or self.effects is None:
            return None
        return in_units(self.effects, self.counts, self.weighted)


def measured(
    key: str,
    direction: Direction,
    law: Law,
    of: Sequence[str],
    n: IntArray,
    least: float = 0.0,
    most: float = 1.0,
) -> Measure:
    """A measure from a law whose only axis is the groups.

    Args:
        key: the metric's name in records.
        direction: which way is better.
        law: values, supports, limits and variance, (g,) each.
        of: (g,) what each support counts.
        n: (g,) images per group.
        least: the smallest value that the metric can have.
        most: the largest one.
    """
    reason: tuple[str | None, ...] = (None,) * len(n)
    if not (law.support > 0).all():
        reason = tuple(None if s > 0 else undefined(k, o) for s, k, o in zip(law.support, n, of, strict=True))
    return Measure(
        key, direction, law.value, law.support.astype(np.int64), reason,
        Remembered(law.limits), Remembered(law.interval), law.variance, least, most, law.trials,
    )  # fmt: skip


def described(name: str) -> tuple[str, Described | None]:
    """The canonical name of a metric, and what it says of itself; None of balanced accuracy, which is a mean of rates.

    Args:
        name: a name or alias, dashes and case ignored.

    Raises:
        UnknownNameError: no such metric.
    """
    plain = name.strip().casefold().replace("-", "_")
    plain = ALIASES.get(plain, plain)
    kind = rate_named(plain) or STATISTICS.get(plain) or scored_named(plain)
    if kind is None and plain != BALANCED_ACCURACY:
        raise UnknownNameError("metric", name, [*RATES, BALANCED_ACCURACY, *STATISTICS, *SCORED])
    return (plain if kind is None else kind.name), kind


def undefined(n: int, of: str) -> str:
    """The reason of an undefined value."""
    return "absent: no images" if n == 0 else f"undefined: 0 {of}"
