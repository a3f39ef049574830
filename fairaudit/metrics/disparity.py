"""Disparities: groups compared with the privileged group and with each other, always from counts.

Differences and ratios are of a group against the privileged one and carry simultaneous limits over the groups of the
grouping; a gap is max − min; the spread is the population standard deviation (S1's inter-class σ). Groups whose value is
undefined, or whose support is below the floor, are left out of what is computed over groups, and named.

Sources: Fairlearn's definitions for demographic parity, equal opportunity and equalized odds differences (max − min over
groups; equalized odds the larger of the gaps in true and false positive rates); AIF360's for disparate impact (selection
rate ÷ the privileged group's); Colakovic & Karakatič (2024) for ``acc_diff`` and ``f1_diff``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.contrasts import Contrasts, contrasts_of, side_by_side, why_not
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.pairs import ALL_PAIRS
from fairaudit.metrics.rates import MACRO, RATES, Direction
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.results import Estimate

Kind = Literal[
    "difference", "shortfall", "ratio", "gap", "spread", "worst_group", "min_max_ratio", "pairwise_mean", "index"
]  # fmt: skip
AGAINST_PRIVILEGED: tuple[Kind, ...] = ("difference", "shortfall", "ratio")
OVER_GROUPS: tuple[Kind, ...] = ("gap", "spread", "worst_group")
ALSO_LISTED: tuple[Kind, ...] = ("min_max_ratio", "pairwise_mean")
"""Over groups as well: listed and limited by rules, not followed from model to model."""
KINDS: tuple[Kind, ...] = AGAINST_PRIVILEGED + OVER_GROUPS + ALSO_LISTED
"""What a rule may ask of a metric; an index is no metric and takes none of them."""


@dataclass(frozen=True)
class Named:
    """A disparity that has a name of its own in the literature.

    Attributes:
        rates: the rates it is made of; the largest of their disparities counts.
        kind: how groups are compared.
        formula: for people.
        macro: whether it is also listed for the mean over classes.
        source: whose definition it is.
    """

    rates: tuple[str, ...]
    kind: Kind
    formula: str
    macro: bool = False
    source: str = "Fairlearn"


NAMED: Mapping[str, Named] = {
    "disparate_impact": Named(
        ("selection_rate",), "ratio", "selection rate ÷ the privileged group's (AIF360)", source="AIF360"
    ),
    "demographic_parity_difference": Named(("selection_rate",), "gap", "max − min selection rate (Fairlearn)"),
    "equal_opportunity_difference": Named(("true_positive_rate",), "gap", "max − min true positive rate (Fairlearn)"),
    "equalized_odds_difference": Named(
        ("true_positive_rate", "false_positive_rate"), "gap", "the larger gap of TPR and FPR (Fairlearn)"
    ),
    "predictive_equality_difference": Named(
        ("false_positive_rate",), "gap", "max − min false positive rate", source="Corbett-Davies et al. (2017)"
    ),
    "predictive_parity_difference": Named(
        ("positive_predictive_value",), "gap", "max − min positive predictive value", source="Chouldechova (2017)"
    ),
    "treatment_equality_difference": Named(
        ("false_negative_share",), "gap", "max − min FN / (FN + FP), equal exactly where FN / FP is",
        source="Berk et al. (2021)",
    ),
    "overall_accuracy_equality_difference": Named(
        ("accuracy",), "gap", "max − min accuracy", source="Berk et al. (2021)"
    ),
    "error_rate_ratio": Named(("error_rate",), "ratio", "error rate ÷ the privileged group's (AIF360)", source="AIF360"),
    "false_positive_rate_ratio": Named(
        ("false_positive_rate",), "ratio", "FPR ÷ the privileged group's (AIF360)", source="AIF360"
    ),
    "false_negative_rate_ratio": Named(
        ("false_negative_rate",), "ratio", "FNR ÷ the privileged group's (AIF360)", source="AIF360"
    ),
    "acc_diff": Named(
        ("accuracy",), "gap", "max − min accuracy (Colakovic & Karakatič)", source="Colakovic & Karakatič (2024)"
    ),
    "f1_diff": Named(
        ("f1",), "gap", "max − min F1 (Colakovic & Karakatič)", macro=True, source="Colakovic & Karakatič (2024)"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Contrast:
    """One number that compares groups, with the group it is about.

    Attributes:
        group: index of that group; None where all groups make the number.
        estimate: the number and its interval.
    """

    group: int | None
    estimate: Estimate


@dataclass(frozen=True)
class Comparison:
    """How groups of one measure are compared.

    Attributes:
        confidence: of every interval.
        privileged: index of the reference group, None where no group has images.
        min_support: smallest denominator that counts.
    """

    confidence: float
    privileged: int | None
    min_support: int

    def usable(self, measure: Measure) -> BoolArray:
        """(g,) whether the group's value is defined and its support reaches the floor."""
        return np.asarray(measure.support >= max(1, self.min_support))

    def comparable(self, measure: Measure) -> IntArray:
        """Indices of the groups that can be judged against the privileged one."""
        usable = self.usable(measure)
        if self.privileged is None or not usable[self.privileged]:
            return np.zeros(0, dtype=np.int64)
        usable[self.privileged] = False
        return np.flatnonzero(usable)

    def left_out(self, measure: Measure, group: int) -> str | None:
        """Why a group cannot be judged, or None."""
        return why_not(measure, group, self.min_support)

    def cannot_compare(self, measure: Measure, group: int) -> str | None:
        """Why a group cannot be judged against the privileged one, or None."""
        return self.left_out(measure, group) or self._privileged_small(measure)

    def against_privileged(self, measure: Measure, kind: Kind, family: int | None = None) -> list[Contrast]:
        """Every other group against the privileged one, see ``contrasts``."""
        return [
            Contrast(i, e)
            for found in self.contrasts([measure], kind, family)
            for i, e in zip(found.groups.tolist(), found.estimates(), strict=True)
        ]

    def contrasts(self, measures: Sequence[Measure], kind: Kind, family: int | None = None) -> list[Contrasts]:
        """Every other group against the privileged one, in every measure; nothing where no group is privileged.

        Args:
            measures: measures of the same groups. A group whose value is undefined has no limits.
            kind: one of ``AGAINST_PRIVILEGED``.
            family: how many contrasts the limits hold together for (default: those of groups with a value).
        """
        if self.privileged is None:
            return []
        return contrasts_of(measures, kind, self.privileged, self.confidence, self.min_support, family)

    def _privileged_small(self, m: Measure) -> str | None:
        if self.privileged is None or (why := self.left_out(m, self.privileged)) is None:
            return None
        return f"the privileged group is {why}"

    def over_groups(self, measures: list[Measure], kind: Kind, families: int = 1) -> Contrast:
        """One number over all usable groups; of several measures the largest gap (equalized odds).

        Args:
            measures: the measures, in one audit.
            kind: one of ``OVER_GROUPS`` and ``ALSO_LISTED``.
            families: how many such numbers are judged together (a rule on every class): the lower limits pay for it.
        """
        parts = self.over_each(measures, kind, len(measures) * families)
        if len(parts) == 1:
            return parts[0]
        estimates = [p.estimate for p in parts]
        support = min(e.support for e in estimates)
        bad = next((e.reason for e in estimates if np.isnan(e.value)), None)
        if bad is not None:
            return Contrast(None, _nothing(bad, support))
        reasons = [e.reason for e in estimates if e.reason is not None]
        return Contrast(
            None,
            Estimate(
                max(e.value for e in estimates),
                max(e.ci_low for e in estimates),
                max(e.ci_high for e in estimates),
                support,
                "; ".join(dict.fromkeys(reasons)) or None,
            ),
        )

    def over_each(self, measures: Sequence[Measure], kind: Kind, joint: int = 1) -> list[Contrast]:
        """One number per measure over its usable groups; measures with the same usable groups are computed in one pass.

        Args:
            measures: measures of the same groups.
            kind: one of ``OVER_GROUPS`` and ``ALSO_LISTED``.
            joint: how many such numbers are judged together: the limits that prove a disparity pay for it.
        """
        found: dict[int, Contrast] = {}
        alike: dict[tuple[bytes, int, int], list[int]] = {}
        support = np.stack([m.support for m in measures]) if measures else np.zeros((0, 0), dtype=np.int64)
        every = support >= max(1, self.min_support)
        for at, (m, usable, many) in enumerate(zip(measures, every, every.sum(1).tolist(), strict=True)):
            why = _nothing_over(m, kind, usable, many)
            if why is not None:
                found[at] = Contrast(None, why)
                continue
            # Of many groups not all pairs are looked at, and which ones depends on the measure.
            alone = at if many > ALL_PAIRS else -1
            alike.setdefault((usable.tobytes(), alone, m.direction if kind == "worst_group" else 0), []).append(at)
        for (mask, *_), places in alike.items():
            usable = np.frombuffer(mask, dtype=np.bool_)
            keep, own = np.flatnonzero(usable), [measures[at] for at in places]
            missing = len(usable) - len(keep)
            said = f"left out: {missing} of {len(usable)} groups (undefined or too small)" if missing else None
            if kind == "worst_group":
                found |= zip(places, self._worst(own, keep, said), strict=True)
                continue
            least = support[places][:, keep].min(1).tolist()
            for at, n, numbers in zip(places, least, self._numbers(own, keep, kind, joint), strict=True):
                found[at] = Contrast(None, Estimate(*numbers, n, said))
        return [found[at] for at in range(len(measures))]

    def _numbers(self, measures: list[Measure], keep: IntArray, kind: Kind, joint: int) -> list[tuple[float, float, float]]:
        """Estimate and limits of each measure over some groups."""

        def side(columns: Sequence[FloatArray]) -> FloatArray:
            kept = [column[keep] for column in columns]
            return kept[0] if len(kept) == 1 else side_by_side(kept)

        @cache
        def limits(z: float) -> tuple[FloatArray, FloatArray]:
            ends = [m.limits(z) for m in measures]
            return side([low for low, _ in ends]), side([high for _, high in ends])

        p, widest = side([m.value for m in measures]), np.array([m.most - m.least for m in measures])
        if kind == "gap":
            value = p.max(0) - p.min(0)
            low, high = intervals.gap(p, limits, self.confidence, joint, widest)
        elif kind == "min_max_ratio":
            value = p.min(0) / p.max(0)
            low, high = intervals.min_max_ratio(p, limits, self.confidence, joint)
        elif kind == "pairwise_mean":
            value = intervals.mean_apart(p)
            low, high = intervals.pairwise_mean(p, limits, self.confidence, widest, joint)
        else:
            alone = [m.interval(intervals.quantile(self.confidence)) for m in measures]
            half = np.maximum(p - side([low for low, _ in alone]), side([high for _, high in alone]) - p).max(0)
            # Of values that are all alike nothing is left, not even what rounding makes of their mean.
            value, variance = (p - p[0]).std(0), side([m.variance for m in measures])
            low, high = intervals.spread(p, variance, half, self.confidence, joint, widest)
        return [*zip(*(np.atleast_1d(x).tolist() for x in (value, low, high)), strict=True)]

    def _worst(self, measures: list[Measure], keep: IntArray, reason: str | None) -> list[Contrast]:
        """The worst of some groups, of measures with the same direction."""
        high_is_worse = measures[0].direction is Direction.LOWER
        p = np.stack([m.value[keep] for m in measures])
        ends = [self.worst_limits(m, len(keep)) for m in measures]
        sides = [np.stack([end[side][keep] for end in ends]) for side in (0, 1)]
        worst = p.argmax(1) if high_is_worse else p.argmin(1)
        low, high = ((side.max(1) if high_is_worse else side.min(1)).tolist() for side in sides)
        return [
            Contrast(i, Estimate(float(m.value[i]), a, b, int(m.support[i]), reason))
            for m, i, a, b in zip(measures, keep[worst].tolist(), low, high, strict=True)
        ]

    def worst_limits(self, m: Measure, family: int) -> tuple[FloatArray, FloatArray]:
        """(g,) limits of each group for statements about the worst: the side that would prove a group bad is family-wise.

        "The worst is at least x" is an intersection over groups and needs no correction; "some group is below x" is a
        union and does.
        """
        z, s = intervals.quantile(self.confidence), intervals.sidak(family, self.confidence)
        if m.direction is Direction.LOWER:
            return m.limits(s)[0], m.limits(z)[1]
        return m.limits(z)[0], m.limits(s)[1]


def named_metrics(table: Table, name: str) -> list[int | str | None]:
    """Classes for which a named disparity is listed in an audit of this table."""
    named = NAMED[name]
    if not RATES[named.rates[0]].per_class and not table.several:
        return [None]
    if table.positive is not None:
        return [table.positive]
    mean = named.macro and table.per_class and table.has_mean(named.rates[0])
    return [*table.listed_classes, *([MACRO] if mean else [])]


def named_key(table: Table, name: str, of: int | str | None) -> str:
    """Name in records: ``disparate_impact``, ``disparate_impact[Female]``."""
    suffix = table.key(Metric(NAMED[name].rates[0], of)).removeprefix(NAMED[name].rates[0])
    return name + suffix


def _nothing_over(m: Measure, kind: Kind, usable: BoolArray, many: int) -> Estimate | None:
    """Why there is no such number over so many usable groups; None where there is one."""
    if kind == "worst_group" and m.direction is Direction.NONE:
        return _nothing(f"undefined: {m.key} has no better direction", 0)
    if many < (1 if kind == "worst_group" else 2):
        why = "only one group" if many else "no group"
        return _nothing(f"undefined: {why} has enough support", 0)
    if kind == "min_max_ratio" and m.least < 0:
        why = f"undefined: {m.key} may be below 0, where ratios say nothing"
        return _nothing(why, int(m.support[usable].min()))
    if kind == "min_max_ratio" and m.value[usable].max() == 0:
        return _nothing("undefined: 0 ÷ 0", int(m.support[usable].min()))
    return None


def _nothing(reason: str, support: int) -> Estimate:
    return Estimate(np.nan, np.nan, np.nan, support, reason)
