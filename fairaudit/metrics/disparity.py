"""Disparities: groups compared with the privileged group and with each other, always from counts.

Differences and ratios are of a group against the privileged one and carry simultaneous limits over the groups of the
grouping; a gap is max − min; the spread is the population standard deviation (S1's inter-class σ). Groups whose value is
undefined, or whose support is below the floor, are left out of what is computed over groups, and named.

Sources: Fairlearn's definitions for demographic parity, equal opportunity and equalized odds differences (max − min over
groups; equalized odds the larger of the gaps in true and false positive rates); AIF360's for disparate impact (selection
rate ÷ the privileged group's); Colakovic & Karakatič (2024) for ``acc_diff`` and ``f1_diff``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.measure import Measure, Metric, Table
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

    def left_out(self, measure: Measure, group: int) -> str | None:
        """Why a group cannot be judged, or None."""
        if measure.reason[group] is not None:
            return measure.reason[group]
        if measure.support[group] < self.min_support:
            return f"too small: support {measure.support[group]} is below {self.min_support}"
        return None

    def cannot_compare(self, measure: Measure, group: int) -> str | None:
        """Why a group cannot be judged against the privileged one, or None."""
        return self.left_out(measure, group) or self._privileged_small(measure)

    def against_privileged(self, measure: Measure, kind: Kind, family: int | None = None) -> list[Contrast]:
        """Every other group against the privileged one; limits hold together over the family (default: these groups).

        A group whose value is undefined has no limits and is not of the family.
        """
        ref = self.privileged
        if ref is None:
            return []
        others = [i for i in range(len(measure.value)) if i != ref]
        z = intervals.sidak(family or sum(measure.reason[i] is None for i in others), self.confidence)
        return [Contrast(i, self._contrast(measure, kind, i, ref, z)) for i in others]

    def _contrast(self, m: Measure, kind: Kind, i: int, ref: int, z: float) -> Estimate:
        support = int(min(m.support[i], m.support[ref]))
        if kind == "shortfall" and m.direction is Direction.NONE:
            return _nothing(f"undefined: {m.key} has no better direction", support)
        for g, whose in ((i, ""), (ref, "the privileged group is ")):
            if m.reason[g] is not None:
                return _nothing(f"{whose}{m.reason[g]}", support)
        reason = self.cannot_compare(m, i)
        if kind == "ratio" and m.least < 0:
            return _nothing(f"undefined: {m.key} may be below 0, where ratios say nothing", support)
        if kind == "ratio":
            low, high = intervals.ratio(m.value, m.limits, z, i, ref)
            if m.value[ref] == 0:
                if m.value[i] == 0:
                    return _nothing("undefined: 0 ÷ 0", support)
                return Estimate(np.inf, float(low), np.inf, support, "infinite: the privileged group's value is 0")
            return Estimate(float(m.value[i] / m.value[ref]), float(low), float(high), support, reason)
        low, high = intervals.difference(m.value, m.limits, z, i, ref)
        d = float(m.value[i] - m.value[ref])
        if kind == "shortfall" and m.direction is Direction.HIGHER:
            d, low, high = -d, -high, -low
        return Estimate(d, float(low), float(high), support, reason)

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
        parts = [self._over(m, kind, joint=len(measures) * families) for m in measures]
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

    def _over(self, m: Measure, kind: Kind, joint: int) -> Contrast:
        keep = np.flatnonzero(self.usable(m))
        if kind == "worst_group" and m.direction is Direction.NONE:
            return Contrast(None, _nothing(f"undefined: {m.key} has no better direction", 0))
        if len(keep) < (1 if kind == "worst_group" else 2):
            why = "no group" if len(keep) == 0 else "only one group"
            return Contrast(None, _nothing(f"undefined: {why} has enough support", 0))
        missing = len(m.value) - len(keep)
        reason = f"left out: {missing} of {len(m.value)} groups (undefined or too small)" if missing else None
        p, support = m.value[keep], int(m.support[keep].min())

        def limits(z: float) -> tuple[FloatArray, FloatArray]:
            low, high = m.limits(z)
            return low[keep], high[keep]

        if kind == "gap":
            low, high = intervals.gap(p, limits, self.confidence, joint, m.most - m.least)
            return Contrast(None, Estimate(float(p.max() - p.min()), low, high, support, reason))
        if kind == "min_max_ratio":
            return Contrast(None, self._min_max(m, p, limits, joint, support, reason))
        if kind == "pairwise_mean":
            i, j = np.triu_indices(len(p), 1)
            low, high = intervals.pairwise_mean(p, limits, self.confidence, m.most - m.least, joint)
            return Contrast(None, Estimate(float(np.abs(p[i] - p[j]).mean()), low, high, support, reason))
        if kind == "spread":
            alone_low, alone_high = m.interval(intervals.quantile(self.confidence))
            half = float(max((p - alone_low[keep]).max(), (alone_high[keep] - p).max()))
            low, high = intervals.spread(p, m.variance[keep], half, self.confidence, joint, m.most - m.least)
            return Contrast(None, Estimate(float(p.std()), low, high, support, reason))
        return self._worst(m, keep, reason)

    def _min_max(
        self, m: Measure, p: FloatArray, limits: intervals.Limits, joint: int, support: int, reason: str | None
    ) -> Estimate:
        if m.least < 0:
            return _nothing(f"undefined: {m.key} may be below 0, where ratios say nothing", support)
        if p.max() == 0:
            return _nothing("undefined: 0 ÷ 0", support)
        low, high = intervals.min_max_ratio(p, limits, self.confidence, joint)
        return Estimate(float(p.min() / p.max()), low, high, support, reason)

    def _worst(self, m: Measure, keep: IntArray, reason: str | None) -> Contrast:
        low, high = self.worst_limits(m, len(keep))
        if m.direction is Direction.LOWER:
            i = int(keep[m.value[keep].argmax()])
            limits = float(low[keep].max()), float(high[keep].max())
        else:
            i = int(keep[m.value[keep].argmin()])
            limits = float(low[keep].min()), float(high[keep].min())
        return Contrast(i, Estimate(float(m.value[i]), *limits, int(m.support[i]), reason))

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


def _nothing(reason: str, support: int) -> Estimate:
    return Estimate(np.nan, np.nan, np.nan, support, reason)
