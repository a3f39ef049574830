"""Disparities of more than one comparison: Fairlearn's and AIF360's definitions row by row, and undefined cases by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fairlearn import metrics as fl

from fairaudit.metrics import inequality
from fairaudit.metrics.disparity import Comparison, Contrast
from fairaudit.metrics.indices import INDICES, Draws, index_contrasts
from fairaudit.metrics.measure import Metric, Table
from fairaudit.predictions import FloatArray, IntArray

DRAWS = Draws(500, 3)


def _table(seed: int, groups: int = 4, low: int = 5) -> Table:
    return Table(np.random.default_rng(seed).integers(low, 60, (groups, 2, 2)), ("no", "yes"), positive=1)


def _find(name: str, table: Table, privileged: int = 0, min_support: int = 1) -> list[Contrast]:
    return index_contrasts(name, table, None if not INDICES[name].per_class else 1,
                           Comparison(0.95, privileged, min_support), DRAWS)  # fmt: skip


def _rows(table: Table) -> tuple[IntArray, IntArray, IntArray]:
    flat = np.repeat(np.arange(table.counts.size), table.counts.ravel())
    g, cell = np.divmod(flat, 4)
    true, predicted = np.divmod(cell, 2)
    return g, true, predicted


@pytest.mark.parametrize("seed", range(3))
def test_ratios_are_fairlearns(seed: int) -> None:
    table = _table(seed)
    g, true, predicted = _rows(table)
    expected = fl.demographic_parity_ratio(true, predicted, sensitive_features=g)
    assert _find("demographic_parity_ratio", table)[0].estimate.value == pytest.approx(expected)
    expected = fl.equalized_odds_ratio(true, predicted, sensitive_features=g)
    assert _find("equalized_odds_ratio", table)[0].estimate.value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_average_odds_are_aif360s(seed: int) -> None:
    table = _table(seed)
    g, true, predicted = _rows(table)

    def rate(group: int, label: int) -> float:
        return float(predicted[(g == group) & (true == label)].mean())

    signed, absolute = _find("average_odds_difference", table), _find("average_abs_odds_difference", table)
    assert [c.group for c in signed] == [1, 2, 3]
    for one, other in zip(signed, absolute, strict=True):
        assert one.group is not None
        d, e = (rate(one.group, label) - rate(0, label) for label in (0, 1))
        assert one.estimate.value == pytest.approx((d + e) / 2)
        assert other.estimate.value == pytest.approx((abs(d) + abs(e)) / 2)
    tpr = [rate(i, 1) for i in range(4)]
    fpr = [rate(i, 0) for i in range(4)]
    expected = (max(tpr) - min(tpr) + max(fpr) - min(fpr)) / 2
    assert _find("equalized_odds_average_gap", table)[0].estimate.value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_entropies_are_aif360s(seed: int) -> None:
    table = _table(seed)
    g, true, predicted = _rows(table)
    b = (1 + predicted - true).astype(np.float64)

    def entropy(values: FloatArray, alpha: float) -> float:
        r = values / values.mean()
        if alpha == 1:
            return float(np.mean([x * math.log(x) if x > 0 else 0.0 for x in r]))
        return float(np.mean(r**alpha - 1) / (alpha * (alpha - 1)))

    between = np.array([b[g == i].mean() for i in g])
    expected = {
        "generalized_entropy_index": entropy(b, 2),
        "theil_index": entropy(b, 1),
        "coefficient_of_variation": b.std() / b.mean(),
        "between_group_generalized_entropy_index": entropy(between, 2),
        "between_group_theil_index": entropy(between, 1),
    }
    for name, value in expected.items():
        e = _find(name, table)[0].estimate
        assert e.value == pytest.approx(value), name
        assert e.ci_low <= e.value <= e.ci_high
        assert e == _find(name, table)[0].estimate


@pytest.mark.parametrize("seed", range(3))
def test_differential_fairness_by_its_definition(seed: int) -> None:
    table = Table(np.random.default_rng(seed).integers(1, 60, (4, 3, 3)), ("x", "y", "z"))
    chances = table.counts.sum(1) / table.counts.sum((1, 2))[:, None]
    expected = max(
        abs(math.log(chances[i, c] / chances[j, c])) for c in range(3) for i, j in itertools.permutations(range(4), 2)
    )
    e = _find("differential_fairness", table)[0].estimate
    assert e.value == pytest.approx(expected)
    assert 0 <= e.ci_low < e.value < e.ci_high


def test_a_class_that_one_group_is_never_called_is_infinitely_unfair() -> None:
    table = Table(np.array([[[20, 0], [9, 0]], [[20, 2], [9, 4]]]), ("no", "yes"))
    e = _find("differential_fairness", table)[0].estimate
    assert e.value == math.inf
    assert e.ci_high == math.inf
    assert math.isfinite(e.ci_low)
    assert (e.reason or "").startswith("infinite")


def test_undefined_rates_make_undefined_indices() -> None:
    table = Table(np.array([[[9, 1], [0, 0]], [[9, 1], [3, 5]], [[8, 1], [2, 5]]]), ("no", "yes"), positive=1)
    signed = _find("average_odds_difference", table)
    assert [c.estimate.reason for c in signed] == ["the privileged group is undefined: 0 positives"] * 2
    assert _find("average_odds_difference", table, 1)[0].estimate.reason == "undefined: 0 positives"
    only = Table(np.array([[[9, 1], [0, 4]], [[0, 0], [0, 0]]]), ("no", "yes"), positive=1)
    assert _find("demographic_parity_ratio", only)[0].estimate.reason == "undefined: only one group has enough support"
    assert _find("between_group_theil_index", only)[0].estimate.reason == "undefined: only one group has enough support"
    assert _find("theil_index", only)[0].estimate.value > 0


def test_the_order_of_groups_changes_no_draw() -> None:
    table = _table(4, groups=6)
    turned = Table(table.counts[::-1].copy(), table.classes, 1)
    for name in ("theil_index", "between_group_theil_index"):
        a, b = _find(name, table)[0].estimate, _find(name, turned)[0].estimate
        assert (a.ci_low, a.ci_high) == pytest.approx((b.ci_low, b.ci_high), rel=1e-9)


def test_drawing_counts_is_drawing_rows() -> None:
    counts = np.array([[5.0, 60.0, 15.0]])
    drawn = inequality.draw(counts, 4000, 1, pseudo=1e-9)[:, 0]
    rows = np.repeat(np.arange(3), counts[0].astype(int))
    rng = np.random.default_rng(2)
    by_rows = np.array([np.bincount(rng.choice(rows, len(rows)), minlength=3) for _ in range(4000)])
    assert drawn.mean(0) == pytest.approx(by_rows.mean(0), abs=0.2)
    assert drawn.std(0) == pytest.approx(by_rows.std(0), rel=0.06)


def test_kinds_over_groups_by_hand() -> None:
    table = Table(np.array([[[90, 10], [0, 0]], [[70, 30], [0, 0]], [[95, 5], [0, 0]]]), ("a", "b"))
    comparison, accuracy = Comparison(0.95, 0, 1), table.measure(Metric("accuracy"))
    e = comparison.over_groups([accuracy], "min_max_ratio").estimate
    assert (e.value, e.ci_low, e.ci_high) == pytest.approx((0.7368, 0.6294, 0.8651), abs=5e-5)  # golden of the ratio
    e = comparison.over_groups([accuracy], "pairwise_mean").estimate
    assert e.value == pytest.approx((0.2 + 0.05 + 0.25) / 3)
    mcc = Table(np.array([[[9, 1], [1, 9]], [[1, 9], [9, 1]]]), ("a", "b")).measure(Metric("mcc"))
    e = comparison.over_groups([mcc], "gap").estimate
    assert e.value == pytest.approx(1.6)
    assert 1.6 < e.ci_high <= 2
    for kind in ("min_max_ratio",):
        assert "may be below 0" in (comparison.over_groups([mcc], kind).estimate.reason or "")
    assert "may be below 0" in (comparison.against_privileged(mcc, "ratio")[0].estimate.reason or "")


def test_an_index_that_drawing_only_takes_from_is_not_certain() -> None:
    """Of 25 images nobody of one group and everybody of the other is selected: no draw is more unequal."""
    counts = np.array([[6.0, 0.0, 0.0], [0.0, 0.0, 19.0]])
    found = float(inequality.between_groups(counts))
    drawn = inequality.between_groups(inequality.draw(counts, 1000, 0))
    low, high = inequality.bootstrap_limits(found, drawn, 0.95, biased=True)
    assert low < 0.9 * found
    assert high >= found
