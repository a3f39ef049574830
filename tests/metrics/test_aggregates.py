"""Over classes: pooled, weighted and worst, F-scores of any β, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import RATES, Direction, rate_named
from fairaudit.predictions import IntArray

NAMES = ("a", "b", "c", "d")


def _rows(counts: IntArray) -> tuple[IntArray, IntArray]:
    k = len(counts)
    true, predicted = np.divmod(np.repeat(np.arange(k * k), counts.ravel()), k)
    return true, predicted


@pytest.mark.parametrize("how", ["micro", "weighted", "macro"])
def test_aggregates_are_scikit_learns(how: str) -> None:
    counts = np.random.default_rng(2).integers(1, 20, (3, 4, 4))
    table = Table(counts, NAMES)
    for i, matrix in enumerate(counts):
        y = _rows(matrix)
        expected = {
            "precision": sk.precision_score(*y, average=how),
            "true_positive_rate": sk.recall_score(*y, average=how),
            "f1": sk.f1_score(*y, average=how),
            "f2": sk.fbeta_score(*y, beta=2, average=how),
            "f0.5": sk.fbeta_score(*y, beta=0.5, average=how),
            "f3": sk.fbeta_score(*y, beta=3, average=how),
            "jaccard": sk.jaccard_score(*y, average=how),
        }
        for name, value in expected.items():
            measure = table.measure(Metric(name, how))
            assert measure.value[i] == pytest.approx(value), name
            assert measure.key == f"{name}[{how}]"


def test_pooled_rates_are_of_the_summed_cells() -> None:
    counts = np.random.default_rng(3).integers(0, 20, (2, 4, 4))
    table = Table(counts, NAMES)
    for i, matrix in enumerate(counts):
        tn, fp, fn, tp = sk.multilabel_confusion_matrix(*_rows(matrix), labels=range(4)).reshape(4, 4).T.sum(1)
        assert table.measure(Metric("false_positive_rate", "micro")).value[i] == pytest.approx(fp / (fp + tn))
        assert table.measure(Metric("false_omission_rate", "micro")).value[i] == pytest.approx(fn / (fn + tn))
        assert table.measure(Metric("false_discovery_rate", "micro")).value[i] == pytest.approx(fp / (fp + tp))


def test_the_worst_class_counts() -> None:
    table = Table(np.array([[[90, 10, 0], [5, 95, 0], [30, 20, 50]]]), ("a", "b", "c"))
    assert table.measure(Metric("true_positive_rate", "worst")).value[0] == 0.5
    assert table.measure(Metric("false_negative_rate", "worst")).value[0] == 0.5
    assert table.measure(Metric("false_positive_rate", "worst")).value[0] == pytest.approx(35 / 200)


def test_a_class_without_labels_weighs_nothing_but_makes_the_worst_undefined() -> None:
    table = Table(np.array([[[9, 1, 0], [2, 8, 0], [0, 0, 0]]]), ("a", "b", "c"))
    weighted = table.measure(Metric("true_positive_rate", "weighted"))
    assert weighted.value[0] == pytest.approx(17 / 20)
    assert weighted.support[0] == 10
    worst = table.measure(Metric("true_positive_rate", "worst"))
    assert np.isnan(worst.value[0])
    assert worst.reason == ("undefined: 0 positives of c",)
    missed = Table(np.array([[[9, 0], [2, 0]]]), ("a", "b")).measure(Metric("precision", "weighted"))
    assert np.isnan(missed.value[0])
    assert missed.reason == ("undefined: 0 predicted positives of b",)


@pytest.mark.parametrize("how", ["micro", "weighted", "worst"])
def test_aggregates_keep_what_rates_promise(how: str) -> None:
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 2, (200, 3, 3)) * rng.integers(0, 6, (200, 3, 3))
    table = Table(counts, ("a", "b", "c"))
    for rate in RATES.values():
        if not rate.per_class or not rate.macro:
            continue
        m = table.measure(Metric(rate.name, how))
        assert (np.isnan(m.value) == (m.support == 0)).all(), rate.name
        for limits in (m.limits, m.interval):
            low, high = limits(1.96)
            known = m.support > 0
            inside = (low >= 0) & (low <= m.value + 1e-12) & (m.value <= high + 1e-12) & (high <= 1)
            assert inside[known].all(), rate.name
            assert np.isnan(low[~known]).all(), rate.name


@pytest.mark.parametrize(("rate", "how"), [("true_positive_rate", "weighted"), ("false_positive_rate", "micro"),
                                            ("jaccard", "micro"), ("f1", "weighted"), ("true_positive_rate", "worst"),
                                            ("jaccard", "weighted"), ("false_discovery_rate", "worst")])  # fmt: skip
@pytest.mark.parametrize("n", [60, 600])
def test_aggregates_are_covered(rate: str, how: str, n: int) -> None:
    rng = np.random.default_rng(5)
    for truth in (
        np.array([[0.3, 0.03, 0.02], [0.05, 0.3, 0.0], [0.05, 0.05, 0.2]]),
        np.array([[0.32, 0.01, 0.005], [0.01, 0.31, 0.01], [0.005, 0.01, 0.32]]),
    ):
        x = rng.multinomial(n, (truth / truth.sum()).ravel(), 1500).reshape(-1, 3, 3)
        m = Table(x, ("a", "b", "c")).measure(Metric(rate, how))
        value = float(Table(np.rint(truth / truth.sum() * 10**9).astype(np.int64)[None], ("a", "b", "c")).measure(
            Metric(rate, how)).value[0])  # fmt: skip
        low, high = m.limits(1.96)
        known = m.support > 0
        assert ((low <= value) & (value <= high))[known].mean() >= 0.936, (rate, how, n)


def test_any_beta_is_a_rate() -> None:
    rate = rate_named("f0.5")
    assert rate is not None
    assert rate.formula == "1.25 TP / (1.25 TP + 0.25 FN + FP)"
    assert rate.direction is Direction.HIGHER
    assert rate_named("f1.0") is RATES["f1"]
    assert rate_named("f2") is RATES["f2"]
    for none in ("f0", "f", "f-1", "fpr", "f1e3", "mcc"):
        assert rate_named(none) is None
    table = Table(np.ones((1, 2, 2), dtype=np.int64), ("x", "y"), betas=(0.5, 2.0), aggregates=("worst",))
    keys = [table.key(m) for m in table.catalogue()]
    assert len(keys) == len(set(keys))
    assert {"f0.5[x]", "f0.5[macro]", "f0.5[worst]", "f1[worst]", "mcc", "cohen_kappa"} <= set(keys)
    assert "selection_rate[worst]" not in keys
    assert "mcc_one_vs_rest[x]" not in keys


def test_names_over_classes_resolve() -> None:
    table = Table(np.ones((1, 2, 2), dtype=np.int64), ("micro", "y"))
    assert table.resolve("F0.5", "worst") == [Metric("f0.5", "worst")]
    assert table.resolve("fdr", "weighted") == [Metric("false_discovery_rate", "weighted")]
    assert table.resolve("f1", "micro") == [Metric("f1", 0)]  # a class of that name comes first
    assert table.resolve("predicted-prevalence", "y") == [Metric("selection_rate", 1)]
    assert table.resolve("mcc", None) == [Metric("mcc")]
    with pytest.raises(UsageError, match=r"mcc_one_vs_rest has no worst over classes; name a class"):
        table.resolve("mcc_one_vs_rest", "worst")
    with pytest.raises(UsageError, match=r"auroc\[micro\] needs scores, which are not known here"):
        table.resolve("auroc", "micro")
    with pytest.raises(UsageError, match="the worst of false_negative_share over classes says nothing"):
        table.resolve("false_negative_share", "worst")
    with pytest.raises(UnknownNameError, match="unknown metric 'matthews'"):
        table.resolve("matthews", None)
