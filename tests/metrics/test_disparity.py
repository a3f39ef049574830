"""Disparities against Fairlearn, AIF360's definition and plain loops."""

from __future__ import annotations

import math
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import AGAINST_PRIVILEGED, NAMED, Comparison, Kind, named_key, named_metrics
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.indices import INDICES, classes_of, index_key
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.rates import RATES, Direction
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import IntArray
from fairaudit.results import Disparity, Estimate


def _rows(counts: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Groups of confusion matrices written out as rows: labels, predictions, group."""
    k = counts.shape[-1]
    flat = np.repeat(np.arange(counts.size), counts.ravel())
    group, cell = np.divmod(flat, k * k)
    true, predicted = np.divmod(cell, k)
    return true, predicted, group


def _listed(table: Table, privileged: int | None = 0, min_support: int = 1) -> tuple[Disparity, ...]:
    groups = tuple({"group": f"g{i}"} for i in range(len(table.counts)))
    grouping = Grouping(("group",), groups, table, Comparison(0.95, privileged, min_support))
    return summarise(grouping, "named", 0).disparities


def _one(found: tuple[Disparity, ...], metric: str, kind: str | None, group: str | None = None) -> Estimate:
    hits = [
        d.estimate
        for d in found
        if d.metric == metric and d.kind == kind and (group is None or d.group == {"group": group})
    ]
    assert len(hits) == 1, (metric, kind, group)
    return hits[0]


def _contrast(table: Table, metric: Metric, kind: Kind, group: int, privileged: int = 0, min_support: int = 1) -> Estimate:
    found = Comparison(0.95, privileged, min_support).against_privileged(table.measure(metric), kind)
    return next(c.estimate for c in found if c.group == group)


@pytest.mark.parametrize("seed", range(2))
def test_named_disparities_are_fairlearns(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(1, 40, (4, 2, 2))
    y_true, y_pred, group = _rows(counts)
    arguments: dict[str, Any] = {"y_true": y_true, "y_pred": y_pred, "sensitive_features": group}
    found = _listed(Table(counts, ("a", "b"), positive=1))
    for name, expected in {
        "demographic_parity_difference": fl.demographic_parity_difference(**arguments),
        "equal_opportunity_difference": fl.equal_opportunity_difference(**arguments),
        "equalized_odds_difference": fl.equalized_odds_difference(**arguments),
        "acc_diff": fl.MetricFrame(metrics=sk.accuracy_score, **arguments).difference(),
        "f1_diff": fl.MetricFrame(metrics=sk.f1_score, **arguments).difference(),
    }.items():
        assert _one(found, name, None).value == pytest.approx(expected), name
    frame = fl.MetricFrame(metrics={"true_positive_rate": fl.true_positive_rate, "precision": sk.precision_score,
                                    "selection_rate": fl.selection_rate, "false_positive_rate": fl.false_positive_rate},
                           **arguments)  # fmt: skip
    for name in frame.by_group:
        assert _one(found, name, "gap").value == pytest.approx(frame.difference()[name])
        values = frame.by_group[name].to_numpy()
        assert _one(found, name, "spread").value == pytest.approx(values.std())
        for i in range(1, 4):
            assert _one(found, name, "difference", f"g{i}").value == pytest.approx(values[i] - values[0])
            assert _one(found, name, "ratio", f"g{i}").value == pytest.approx(values[i] / values[0])
            # AIF360: the selection rate of the unprivileged over that of the privileged group
            if name == "selection_rate":
                assert _one(found, "disparate_impact", None, f"g{i}").value == pytest.approx(values[i] / values[0])


def test_multi_class_disparities_are_loops() -> None:
    counts = np.random.default_rng(7).integers(1, 30, (5, 3, 3))
    table = Table(counts, ("x", "y", "z"))
    found = _listed(table, privileged=2)
    for c, name in enumerate(table.classes):
        recall = [m[c, c] / m[c].sum() for m in counts]
        false = [(m[:, c].sum() - m[c, c]) / (m.sum() - m[c].sum()) for m in counts]
        chosen = [m[:, c].sum() / m.sum() for m in counts]
        f1 = [2 * m[c, c] / (m[c].sum() + m[:, c].sum()) for m in counts]
        assert _one(found, f"equal_opportunity_difference[{name}]", None).value == pytest.approx(max(recall) - min(recall))
        assert _one(found, f"demographic_parity_difference[{name}]", None).value == pytest.approx(max(chosen) - min(chosen))
        odds = max(max(recall) - min(recall), max(false) - min(false))
        assert _one(found, f"equalized_odds_difference[{name}]", None).value == pytest.approx(odds)
        assert _one(found, f"f1_diff[{name}]", None).value == pytest.approx(max(f1) - min(f1))
        for i in (0, 1, 3, 4):
            assert _one(found, f"disparate_impact[{name}]", None, f"g{i}").value == pytest.approx(chosen[i] / chosen[2])
            d = recall[i] - recall[2]
            assert _one(found, f"true_positive_rate[{name}]", "difference", f"g{i}").value == pytest.approx(d)
            assert _contrast(table, Metric("true_positive_rate", c), "shortfall", i, 2).value == pytest.approx(-d)
            d = false[i] - false[2]
            assert _contrast(table, Metric("false_positive_rate", c), "shortfall", i, 2).value == pytest.approx(d)
    worst = [d for d in found if d.metric == "f1[macro]" and d.kind == "worst_group"]
    macro = [np.mean([2 * m[c, c] / (m[c].sum() + m[:, c].sum()) for c in range(3)]) for m in counts]
    assert worst[0].group == {"group": f"g{int(np.argmin(macro))}"}
    assert worst[0].estimate.value == pytest.approx(min(macro))
    assert _one(found, "f1_diff[macro]", None).value == pytest.approx(max(macro) - min(macro))


def test_intervals_of_an_audit_are_those_of_the_closed_forms() -> None:
    x, n = np.array([90, 70, 95]), 100
    counts = np.array([[[a, n - a], [0, 0]] for a in x])
    found = _listed(Table(counts, ("a", "b")))
    gap, spread = _one(found, "accuracy", "gap"), _one(found, "accuracy", "spread")
    assert (gap.ci_low, gap.ci_high) == pytest.approx((0.1222, 0.3553), abs=5e-5)
    assert (spread.ci_low, spread.ci_high) == pytest.approx((0.0606, 0.1634), abs=5e-5)
    s, p = intervals.sidak(2, 0.95), x / n
    low, high = clopper_pearson(x.astype(float), np.full(3, 100.0), s)
    for i in (1, 2):
        d = _one(found, "accuracy", "difference", f"g{i}")
        assert d.ci_low == pytest.approx(p[i] - p[0] - math.hypot(p[i] - low[i], high[0] - p[0]))
        assert d.ci_high == pytest.approx(p[i] - p[0] + math.hypot(high[i] - p[i], p[0] - low[0]))
    worst = _one(found, "accuracy", "worst_group")
    z = intervals.quantile(0.95)
    assert worst.ci_low == pytest.approx(min(clopper_pearson(x.astype(float), np.full(3, 100.0), z)[0]))
    high = clopper_pearson(x.astype(float), np.full(3, 100.0), intervals.sidak(3, 0.95))[1]
    assert worst.ci_high == pytest.approx(min(high))


def test_equalized_odds_takes_the_larger_limits() -> None:
    counts = np.random.default_rng(2).integers(20, 60, (3, 2, 2))
    found = _listed(Table(counts, ("a", "b"), positive=1))
    odds = _one(found, "equalized_odds_difference", None)
    table, c = Table(counts, ("a", "b"), positive=1), intervals.studentized_range(3, 0.95**0.5)
    lows, highs = [], []
    for rate in ("true_positive_rate", "false_positive_rate"):
        m = table.measure(Metric(rate, 1))
        for i in range(3):
            for j in range(3):
                lows.append(intervals.difference(m.value, m.limits, c, i, j)[0] if i != j else 0.0)
                highs.append(intervals.difference(m.value, m.limits, intervals.quantile(0.95), i, j)[1] if i != j else 0.0)
    assert (odds.ci_low, odds.ci_high) == pytest.approx((max(lows), max(highs)))


def test_a_perfect_classifier_has_no_disparity_of_the_tools_making() -> None:
    counts = np.array([[[60, 0], [0, 40]], [[100, 0], [0, 0]], [[50, 0], [0, 50]]])  # the second has no positives
    table = Table(counts, ("no", "yes"), positive=1)
    found = _listed(table)
    for metric in ("true_positive_rate", "precision", "f1", "f2", "false_negative_rate"):
        gap = _one(found, metric, "gap")
        assert gap.value == 0.0
        assert gap.ci_low == 0.0
        assert gap.reason == "left out: 1 of 3 groups (undefined or too small)"
        for kind in AGAINST_PRIVILEGED:
            e = _contrast(table, Metric(metric, 1), kind, 1)
            assert math.isnan(e.value)
            assert e.reason is not None
            assert e.reason.startswith("undefined: 0 p")
    for name in ("equal_opportunity_difference", "equalized_odds_difference", "f1_diff"):
        assert _one(found, name, None).value == 0.0
    assert _one(found, "false_negative_rate", "ratio", "g2").reason == "undefined: 0 ÷ 0"


def test_a_ratio_over_0_is_infinite_and_says_so() -> None:
    counts = np.array([[[40, 0], [60, 0]], [[30, 10], [20, 40]]])
    found = _listed(Table(counts, ("no", "yes"), positive=1))
    e = _one(found, "disparate_impact", None, "g1")
    assert e.value == math.inf
    assert e.ci_high == math.inf
    assert 1 < e.ci_low < math.inf
    assert e.reason == "infinite: the privileged group's value is 0"
    assert _one(found, "selection_rate", "difference", "g1").value == 0.5


def test_an_undefined_privileged_group_is_named_as_the_reason() -> None:
    counts = np.array([[[40, 0], [0, 0]], [[30, 10], [20, 40]], [[3, 1], [2, 4]]])
    found = _listed(Table(counts, ("no", "yes"), positive=1), min_support=20)
    e = _one(found, "true_positive_rate", "difference", "g1")
    assert math.isnan(e.value)
    assert e.reason == "the privileged group is undefined: 0 positives"
    assert _one(found, "accuracy", "difference", "g2").reason == "too small: support 10 is below 20"
    found = _listed(Table(counts, ("no", "yes"), positive=1), privileged=2, min_support=20)
    e = _one(found, "accuracy", "difference", "g1")
    assert e.reason == "the privileged group is too small: support 10 is below 20"
    assert e.value == pytest.approx(0.7 - 0.7)
    assert _listed(Table(counts * 0, ("no", "yes"), positive=1), privileged=None)[0].kind == "gap"


def test_groups_below_the_floor_stay_out_of_gaps_and_are_counted() -> None:
    counts = np.array([[[90, 10], [0, 0]], [[80, 20], [0, 0]], [[0, 12], [0, 0]], [[0, 0], [0, 0]]])
    found = _listed(Table(counts, ("a", "b")), min_support=20)
    gap = _one(found, "accuracy", "gap")
    assert gap.value == pytest.approx(0.1)
    assert gap.reason == "left out: 2 of 4 groups (undefined or too small)"
    assert gap.support == 100
    assert _one(found, "accuracy", "worst_group").value == pytest.approx(0.8)
    everyone = _listed(Table(counts, ("a", "b")), min_support=1)
    assert _one(everyone, "accuracy", "gap").value == pytest.approx(0.9)
    lonely = _one(_listed(Table(counts, ("a", "b")), min_support=95), "accuracy", "gap")
    assert lonely.value == pytest.approx(0.1)
    nobody = _one(_listed(Table(counts, ("a", "b")), min_support=101), "accuracy", "gap")
    assert (math.isnan(nobody.value), nobody.reason) == (True, "undefined: no group has enough support")
    single = _one(_listed(Table(counts[[0, 2]], ("a", "b")), min_support=20), "accuracy", "spread")
    assert (math.isnan(single.value), single.reason) == (True, "undefined: only one group has enough support")


def test_absent_groups_do_not_widen_the_others() -> None:
    some = np.array([[[90, 10], [0, 0]], [[80, 20], [0, 0]], [[70, 30], [0, 0]]])
    more = np.concatenate([some, np.zeros((11, 2, 2), dtype=np.int64)])
    few, many = Table(some, ("a", "b")), Table(more, ("a", "b"))
    for kind in AGAINST_PRIVILEGED:
        for group in (1, 2):
            assert _contrast(few, Metric("accuracy"), kind, group) == _contrast(many, Metric("accuracy"), kind, group)


def test_no_better_direction_no_worst_group() -> None:
    table = Table(np.array([[[9, 1], [2, 8]]] * 2), ("a", "b"), positive=1)
    found = _listed(table)
    worst = next(d.estimate for d in found if (d.metric, d.kind) == ("selection_rate", "worst_group"))
    assert worst.reason == "undefined: selection_rate has no better direction"
    shortfall = _contrast(table, Metric("selection_rate", 1), "shortfall", 1)
    assert (math.isnan(shortfall.value), shortfall.reason) == (True, "undefined: selection_rate has no better direction")


def test_every_metric_and_kind_is_listed() -> None:
    kinds: set[Kind] = {"difference", "ratio", "gap", "spread", "worst_group", "min_max_ratio", "pairwise_mean"}
    table = Table(np.random.default_rng(0).integers(0, 9, (3, 3, 3)), ("x", "y", "z"))
    found = _listed(table)
    keys = {table.key(m) for m in table.catalogue()}
    assert {(d.metric, d.kind) for d in found if d.kind is not None} == {(key, kind) for key in keys for kind in kinds}
    named = {named_key(table, name, of) for name in NAMED for of in named_metrics(table, name)}
    indices = {index_key(name, table, of) for name, index in INDICES.items() for of in classes_of(index, table)}
    assert {d.metric for d in found if d.kind is None} == named | indices
    assert "f1_diff[macro]" in named
    assert "acc_diff" in named
    assert "disparate_impact[macro]" not in named


def test_worst_means_high_where_low_is_better() -> None:
    counts = np.array([[[90, 10], [0, 0]], [[80, 20], [0, 0]]])
    found = _listed(Table(counts, ("a", "b")))
    right = next(d for d in found if (d.metric, d.kind) == ("accuracy", "worst_group"))
    wrong = next(d for d in found if (d.metric, d.kind) == ("error_rate", "worst_group"))
    assert right.group == wrong.group == {"group": "g1"}
    assert wrong.estimate.value == pytest.approx(1 - right.estimate.value)
    assert wrong.estimate.ci_low == pytest.approx(1 - right.estimate.ci_high)
    assert wrong.estimate.ci_high == pytest.approx(1 - right.estimate.ci_low)
    assert RATES["error_rate"].direction is Direction.LOWER


def test_measures_remember_their_limits() -> None:
    m: Measure = Table(np.array([[[9, 1], [2, 8]]]), ("a", "b")).measure(Metric("accuracy"))
    assert m.limits(1.96) is m.limits(1.96)
