"""Matthews' correlation and Cohen's kappa against scikit-learn, and undefined cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.metrics.counts import cells
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.statistics import STATISTICS, one_vs_rest
from fairaudit.predictions import IntArray


def _rows(counts: IntArray) -> tuple[IntArray, IntArray]:
    k = len(counts)
    true, predicted = np.divmod(np.repeat(np.arange(k * k), counts.ravel()), k)
    return true, predicted


@pytest.mark.parametrize("k", [2, 3, 7])
def test_statistics_are_scikit_learns(k: int) -> None:
    counts = np.random.default_rng(k).integers(0, 30, (5, k, k))
    table = Table(counts, tuple("abcdefg"[:k]))
    for i, matrix in enumerate(counts):
        y_true, y_pred = _rows(matrix)
        assert table.measure(Metric("mcc")).value[i] == pytest.approx(sk.matthews_corrcoef(y_true, y_pred))
        assert table.measure(Metric("cohen_kappa")).value[i] == pytest.approx(sk.cohen_kappa_score(y_true, y_pred))
        for c in range(k):
            expected = sk.matthews_corrcoef(y_true == c, y_pred == c)
            assert table.measure(Metric("mcc_one_vs_rest", c)).value[i] == pytest.approx(expected)


def test_undefined_where_one_class_is_all_there_is() -> None:
    one_called = [[4, 0], [5, 0]]
    one_cell = [[9, 0], [0, 0]]
    nobody = [[0, 0], [0, 0]]
    table = Table(np.array([one_called, one_cell, nobody]), ("a", "b"))
    mcc, kappa = table.measure(Metric("mcc")), table.measure(Metric("cohen_kappa"))
    assert np.isnan(mcc.value).tolist() == [True, True, True]
    assert mcc.reason == (*["undefined: 0 images outside the commonest class"] * 2, "absent: no images")
    assert np.isnan(kappa.value).tolist() == [False, True, True]
    assert kappa.value[0] == 0
    assert kappa.support.tolist() == [5, 0, 0]


def test_slopes_are_the_derivative() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(9)).reshape(3, 3)
    for statistic in STATISTICS.values():
        value, slope = statistic.slopes(p)
        for i in range(3):
            for j in range(3):
                moved = p.copy()
                moved[i, j] += 1e-7
                # shares must sum to 1: a step along one of them, less the step that keeps the sum
                step = (statistic.slopes(moved / moved.sum())[0] - value) / 1e-7
                assert step == pytest.approx(slope[i, j] - (slope * p).sum(), abs=1e-4), statistic.name


def test_one_against_the_rest_of_two_classes_is_both() -> None:
    counts = np.array([[[30, 3], [7, 11]]])
    ones = one_vs_rest(cells(counts).of_class(1))
    assert np.array_equal(ones, counts)
