"""Every rate against scikit-learn where it is defined, and by hand where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import cells
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.rates import ALIASES, RATES, Direction, rate_support, rate_values
from fairaudit.predictions import FloatArray, IntArray


def _rows(counts: IntArray) -> tuple[IntArray, IntArray]:
    """A confusion matrix written out as labels and predictions."""
    k = len(counts)
    true, predicted = np.divmod(np.repeat(np.arange(k * k), counts.ravel()), k)
    return true, predicted


def _oracle(rate: str, y_true: IntArray, y_pred: IntArray, k: int) -> FloatArray:
    """(k,) what scikit-learn says of each class against the rest."""
    labels = list(range(k))
    per_class = {"labels": labels, "average": None, "zero_division": np.nan}
    tn, fp, fn, tp = (sk.multilabel_confusion_matrix(y_true, y_pred, labels=labels).reshape(k, 4).T).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "precision": sk.precision_score(y_true, y_pred, **per_class),
            "positive_predictive_value": sk.precision_score(y_true, y_pred, **per_class),
            "true_positive_rate": sk.recall_score(y_true, y_pred, **per_class),
            "false_negative_rate": 1 - sk.recall_score(y_true, y_pred, **per_class),
            "f1": sk.f1_score(y_true, y_pred, **per_class),
            "f2": sk.fbeta_score(y_true, y_pred, beta=2, **per_class),
            "false_positive_rate": fp / (fp + tn),
            "true_negative_rate": tn / (fp + tn),
            "negative_predictive_value": tn / (tn + fn),
            "false_discovery_rate": 1 - sk.precision_score(y_true, y_pred, **per_class),
            "false_omission_rate": fn / (tn + fn),
            "jaccard": sk.jaccard_score(y_true, y_pred, labels=labels, average=None),
            "prevalence": (tp + fn) / len(y_true),
            "false_negative_share": fn / (fn + fp),
            "selection_rate": (tp + fp) / len(y_true),
        }[rate]
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("k", [2, 7])
@pytest.mark.parametrize("seed", range(1))
def test_rates_are_scikit_learns(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 30, (2, k, k))
    table = Table(counts, tuple("abcdefg"[:k]))
    for i, matrix in enumerate(counts):
        y_true, y_pred = _rows(matrix)
        assert table.measure(Metric("accuracy")).value[i] == pytest.approx(sk.accuracy_score(y_true, y_pred))
        assert table.measure(Metric("error_rate")).value[i] == pytest.approx(sk.zero_one_loss(y_true, y_pred))
        balanced = table.measure(Metric("true_positive_rate", "balanced_accuracy"))
        assert balanced.value[i] == pytest.approx(sk.balanced_accuracy_score(y_true, y_pred))
        assert balanced.key == "balanced_accuracy"
        for name, rate in RATES.items():
            if not rate.per_class:
                continue
            expected = _oracle(name, y_true, y_pred, k)
            assert rate_values(rate, cells(matrix)) == pytest.approx(expected)
            for c in range(k):
                assert table.measure(Metric(name, c)).value[i] == pytest.approx(expected[c])
            if rate.macro:
                assert table.measure(Metric(name, "macro")).value[i] == pytest.approx(expected.mean())


@pytest.mark.parametrize("k", [2, 3])
def test_undefined_exactly_where_the_support_is_0(k: int) -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, 2, (300, k, k)) * rng.integers(0, 4, (300, k, k))
    c = cells(counts)
    for rate in RATES.values():
        value, support = rate_values(rate, c), rate_support(rate, c)
        assert (np.isnan(value) == (support == 0)).all(), rate.name
        assert ((value >= 0) & (value <= 1))[support > 0].all(), rate.name
        assert (support <= np.broadcast_to(c.n if support.ndim == 1 else c.n[:, None], support.shape)).all(), rate.name
    table = Table(counts, tuple("abc"[:k]))
    for metric in table.catalogue():
        m = table.measure(metric)
        assert (np.isnan(m.value) == (m.support == 0)).all(), m.key
        assert [why is None for why in m.reason] == (m.support > 0).tolist(), m.key
        low, high = m.interval(1.96)
        assert ((low >= m.least) & (high <= m.most) & (low <= m.value) & (m.value <= high))[m.support > 0].all(), m.key
        assert (np.isnan(low) == (m.support == 0)).all(), m.key
        assert (np.isnan(high) == (m.support == 0)).all(), m.key


def _at(measure: Measure, i: int) -> tuple[float | None, int, str | None]:
    value = float(measure.value[i])
    return None if np.isnan(value) else value, int(measure.support[i]), measure.reason[i]


def test_undefined_cases_by_hand() -> None:
    none_positive = [[9, 0], [0, 0]]  # all labelled a, all called a
    missed = [[4, 0], [5, 0]]  # b exists and is never called
    nobody = [[0, 0], [0, 0]]
    table = Table(np.array([none_positive, missed, nobody]), ("a", "b"), positive=1)

    def of(rate: str, i: int) -> tuple[float | None, int, str | None]:
        return _at(table.measure(Metric(rate, 1)), i)

    assert of("true_positive_rate", 0) == (None, 0, "undefined: 0 positives")
    assert of("false_negative_rate", 0) == (None, 0, "undefined: 0 positives")
    assert of("precision", 0) == (None, 0, "undefined: 0 predicted positives")
    assert of("f1", 0) == (None, 0, "undefined: 0 positives or predicted positives")
    assert of("f2", 0) == (None, 0, "undefined: 0 positives or predicted positives")
    assert of("false_positive_rate", 0) == (0.0, 9, None)
    assert of("negative_predictive_value", 0) == (1.0, 9, None)
    assert of("selection_rate", 0) == (0.0, 9, None)
    assert of("true_positive_rate", 1) == (0.0, 5, None)
    assert of("precision", 1) == (None, 0, "undefined: 0 predicted positives")
    assert of("f2", 1) == (0.0, 5, None)
    assert of("selection_rate", 2) == (None, 0, "absent: no images")
    macro = table.measure(Metric("true_positive_rate", "macro"))
    assert _at(macro, 0) == (None, 0, "undefined: 0 positives of b")
    assert _at(macro, 1) == (0.5, 4, None)
    assert _at(macro, 2) == (None, 0, "absent: no images")


def test_support_of_f_scores_counts_images_not_weights() -> None:
    table = Table(np.array([[[50, 3], [7, 40]]]), ("a", "b"), positive=1)
    assert table.measure(Metric("f1", 1)).support.tolist() == [50]
    assert table.measure(Metric("f2", 1)).support.tolist() == [50]
    assert table.measure(Metric("f2", 1)).value[0] == pytest.approx(5 * 40 / (5 * 40 + 4 * 7 + 3))


def test_macro_false_positive_rate_of_two_classes_is_the_balanced_error() -> None:
    table = Table(np.array([[[50, 3], [7, 40]], [[5, 0], [0, 9]]]), ("a", "b"))
    wrong, right = (
        table.measure(Metric("false_positive_rate", "macro")),
        table.measure(Metric("true_positive_rate", "macro")),
    )
    assert wrong.value == pytest.approx(1 - right.value)
    low, high = wrong.limits(1.96)
    assert low == pytest.approx(1 - right.limits(1.96)[1])
    assert high == pytest.approx(1 - right.limits(1.96)[0])


def test_catalogue_lists_each_class_or_the_positive_one() -> None:
    counts = np.ones((1, 2, 2), dtype=np.int64)
    keys = [Table(counts, ("x", "y")).key(m) for m in Table(counts, ("x", "y")).catalogue()]
    assert len(keys) == len(set(keys))
    assert {"accuracy", "balanced_accuracy", "f1[x]", "f1[y]", "f1[macro]", "selection_rate[y]"} <= set(keys)
    assert "selection_rate[macro]" not in keys
    plain = Table(counts, ("x", "y"), positive=1)
    keys = [plain.key(m) for m in plain.catalogue()]
    assert {"accuracy", "balanced_accuracy", "f1", "selection_rate"} <= set(keys)
    assert not any("[" in key for key in keys)


def test_every_rate_is_declared_in_full() -> None:
    for name, rate in RATES.items():
        assert name == rate.name
        assert rate.formula
        assert rate.of.endswith("s")
        assert isinstance(rate.direction, Direction)
    assert set(ALIASES.values()) <= set(RATES)
    assert not set(ALIASES) & set(RATES)


def test_names_resolve() -> None:
    table = Table(np.ones((1, 3, 3), dtype=np.int64), ("East Asian", "white", "White"))
    assert table.resolve("TPR", "east asian") == [Metric("true_positive_rate", 0)]
    assert table.resolve("true-positive-rate", "White") == [Metric("true_positive_rate", 2)]
    assert table.resolve("recall", "white") == [Metric("true_positive_rate", 1)]
    assert table.resolve("f1_score", None) == [Metric("f1", c) for c in range(3)]
    assert table.resolve("f2", "Macro") == [Metric("f2", "macro")]
    assert table.resolve("Balanced_Accuracy", None) == [Metric("true_positive_rate", "balanced_accuracy")]
    assert table.resolve("accuracy", None) == [Metric("accuracy")]


@pytest.mark.parametrize(
    ("name", "of", "error", "message"),
    [
        ("acuracy", None, UnknownNameError, "unknown metric 'acuracy'; did you mean 'accuracy' or 'auroc'?"),
        ("f1", "femal", UnknownNameError, "unknown class 'femal'; did you mean 'female' or 'male'?"),
        ("accuracy", "male", UsageError, "accuracy is of all classes; write it without [male]"),
        ("balanced_accuracy", "male", UsageError, "balanced_accuracy is of all classes; write it without [male]"),
        (
            "selection_rate", "macro", UsageError,
            "the mean of selection_rate over classes is always 1/2; name a class",
        ),
    ],
)  # fmt: skip
def test_names_that_do_not_resolve(name: str, of: str | None, error: type[Exception], message: str) -> None:
    table = Table(np.ones((1, 2, 2), dtype=np.int64), ("female", "male"))
    with pytest.raises(error) as caught:
        table.resolve(name, of)
    assert type(caught.value) is error
    assert str(caught.value) == message
