"""Every disparity of ``fairaudit list metrics``, in a whole audit of random rows, against somebody else's definition of it.

Fairlearn's functions where it has them, plain restatements of the published definitions elsewhere, and every kind of every
metric from the values of its groups. AIF360's own code is asked in ``test_aif360``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.config import AuditSettings
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.registry import entries
from fairaudit.predictions import IntArray
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit
from tests.metrics.oracle_rows import GROUPS, SEEDS, audited, rows

NAN = np.nan

Rows = tuple[IntArray, IntArray, IntArray]
"""Labels, predictions and groups, (n,) each."""


def _fairlearn(function: Callable[..., float], **more: Any) -> Callable[[Rows], float]:
    return lambda of: function(of[0], of[1], sensitive_features=of[2], **more)


def _frame(oracle: Callable[..., float], **more: Any) -> Callable[[Rows], float]:
    def gap(of: Rows) -> float:
        frame = fl.MetricFrame(metrics=oracle, y_true=of[0], y_pred=of[1], sensitive_features=of[2], sample_params=None)
        return float(frame.difference(**more))

    return gap


def _wrong_share(y_true: IntArray, y_pred: IntArray) -> float:
    return float(np.asarray(y_true)[np.asarray(y_true) != np.asarray(y_pred)].mean())


def _entropy(alpha: int, between: bool) -> Callable[[Rows], float]:
    def index(of: Rows) -> float:
        true, predicted, group = of
        benefit = (1 + predicted - true).astype(float)
        if between:
            benefit = np.array([benefit[group == g].mean() for g in group])
        r = benefit / benefit.mean()
        return float(np.mean(r * np.log(np.where(r > 0, r, 1)))) if alpha == 1 else float(np.mean(r**2 - 1) / 2)

    return index


def _differential(of: Rows) -> float:
    _, predicted, group = of
    chances = [[(predicted[group == g] == c).mean() for c in (0, 1)] for g in set(group.tolist())]
    return max(abs(math.log(a / b)) for c in (0, 1) for a, b in itertools.permutations([one[c] for one in chances], 2))


OVER_GROUPS: Mapping[str, Callable[[Rows], float]] = {
    "demographic_parity_difference": _fairlearn(fl.demographic_parity_difference),
    "demographic_parity_ratio": _fairlearn(fl.demographic_parity_ratio),
    "equal_opportunity_difference": _fairlearn(fl.equal_opportunity_difference),
    "equalized_odds_difference": _fairlearn(fl.equalized_odds_difference),
    "equalized_odds_ratio": _fairlearn(fl.equalized_odds_ratio),
    "equalized_odds_average_gap": _fairlearn(fl.equalized_odds_difference, agg="mean"),
    "predictive_equality_difference": _frame(fl.false_positive_rate),
    "predictive_parity_difference": _frame(sk.precision_score),
    "treatment_equality_difference": _frame(_wrong_share),
    "overall_accuracy_equality_difference": _frame(sk.accuracy_score),
    "acc_diff": _frame(sk.accuracy_score),
    "f1_diff": _frame(sk.f1_score),
    "differential_fairness": _differential,
    "generalized_entropy_index": _entropy(2, between=False),
    "theil_index": _entropy(1, between=False),
    "coefficient_of_variation": lambda of: math.sqrt(2 * _entropy(2, between=False)(of)),
    "between_group_generalized_entropy_index": _entropy(2, between=True),
    "between_group_theil_index": _entropy(1, between=True),
}


def _both(combine: Callable[[float, float], float]) -> Callable[[Rows, Rows], float]:
    def average(own: Rows, other: Rows) -> float:
        d = fl.true_positive_rate(*own[:2]) - fl.true_positive_rate(*other[:2])
        e = fl.false_positive_rate(*own[:2]) - fl.false_positive_rate(*other[:2])
        return combine(float(d), float(e))

    return average


def _ratio(rate: Callable[..., float]) -> Callable[[Rows, Rows], float]:
    return lambda own, other: rate(*own[:2]) / rate(*other[:2])


AGAINST_PRIVILEGED: Mapping[str, Callable[[Rows, Rows], float]] = {
    "disparate_impact": _ratio(fl.selection_rate),
    "error_rate_ratio": _ratio(sk.zero_one_loss),
    "false_positive_rate_ratio": _ratio(fl.false_positive_rate),
    "false_negative_rate_ratio": _ratio(fl.false_negative_rate),
    "average_odds_difference": _both(lambda d, e: (d + e) / 2),
    "average_abs_odds_difference": _both(lambda d, e: (abs(d) + abs(e)) / 2),
}


def complete(seed: int) -> tuple[AuditResult, Rows]:
    """The four groups in which everything is defined, b privileged."""
    whole = rows(seed)
    kept = whole.take(whole.attributes["group"].codes < 4)
    asked = {"target": "two", "positive": "yes", "by": (("group",),), "min_support": 1, "bootstrap": 100,
             "privileged": ({"group": "b"},)}  # fmt: skip
    task = kept.tasks["two"]
    return audit(kept, AuditSettings.model_validate(asked)), (task.y_true, task.y_pred, kept.attributes["group"].codes)


@pytest.mark.parametrize("seed", SEEDS)
def test_disparities_with_a_name(seed: int) -> None:
    result, of = complete(seed)
    found = {(d.metric, None if d.group is None else d.group["group"]): d.estimate.value
             for d in result.groupings[0].disparities if d.kind is None}  # fmt: skip
    for name, oracle in OVER_GROUPS.items():
        assert found[name, None] == pytest.approx(oracle(of)), name
    for name, against in AGAINST_PRIVILEGED.items():
        for g in (0, 2, 3):
            true, predicted, group = of
            own, privileged = ((true[group == i], predicted[group == i], group[group == i]) for i in (g, 1))
            assert found[name, GROUPS[g]] == pytest.approx(against(own, privileged)), (name, g)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", ["two", "four", "x+y+z", "two,four"])
def test_every_kind_of_every_metric_follows_from_its_groups(target: str, seed: int) -> None:
    [grouping] = audited(seed, target).groupings
    directions = {e.name: e.direction for e in entries()}
    values = {name: [g.metrics[name].value for g in grouping.groups] for name in grouping.groups[0].metrics}
    seen = set()
    for d in grouping.disparities:
        if d.kind is None:
            continue
        seen.add((d.metric, d.kind))
        v, direction = np.array(values[d.metric]), directions[d.metric.split("[")[0]]
        known = v[~np.isnan(v)]
        if d.kind in ("difference", "ratio"):
            assert d.group is not None
            own, reference = v[GROUPS.index(d.group["group"])], v[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                quotient = own / reference if min(known.min(initial=0), 0) == 0 else NAN
            expected = {"difference": own - reference, "ratio": quotient}[d.kind]
            if d.kind == "ratio" and d.metric.split("[")[0] in ("mcc", "mcc_one_vs_rest", "cohen_kappa"):
                expected = NAN
        else:
            lower, higher = known.min(), known.max()
            expected = {
                "gap": higher - lower,
                "spread": known.std(),
                "min_max_ratio": lower / higher if higher else NAN,
                "pairwise_mean": np.mean([abs(a - b) for a, b in itertools.combinations(known, 2)]),
                "worst_group": {Direction.HIGHER: lower, Direction.LOWER: higher, Direction.NONE: NAN}[direction],
            }[d.kind]
            if d.kind == "min_max_ratio" and d.metric.split("[")[0] in ("mcc", "mcc_one_vs_rest", "cohen_kappa"):
                expected = NAN
        assert d.estimate.value == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), d
    assert len(seen) == 7 * len(values)


def test_every_disparity_of_the_list_has_an_oracle() -> None:
    assert {*OVER_GROUPS, *AGAINST_PRIVILEGED} == {e.name for e in entries() if e.what == "disparity"}
