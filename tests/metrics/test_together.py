"""Labels that are decided alike in every image: pooled over, they must not look like endless evidence."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.config import AuditSettings
from fairaudit.metrics.label_rows import LabelRows
from fairaudit.metrics.measure import Metric
from fairaudit.metrics.over_labels import label_table
from fairaudit.metrics.rates import RATES
from fairaudit.metrics.together import least_variance, together
from fairaudit.predictions import Column, IntArray, Predictions, Task
from fairaudit.results import Estimate
from fairaudit.workflows.audit import audit

SELECTED = "selection_rate[micro]"


def pooled(called: IntArray, rng: np.random.Generator) -> Estimate:
    """The share of all labels that are called, of (n, l) decisions."""
    n, truth = len(called), rng.integers(0, 2, called.shape)
    tasks = {f"l{i}": Task(("no", "yes"), truth[:, i], called[:, i]) for i in range(called.shape[1])}
    rows = np.array([str(i) for i in range(n)], dtype=object)
    table = Predictions(rows, tasks, {"half": Column.of(["a", "b"] * (n // 2))})
    return audit(table, AuditSettings(target="all", by=(("half",),))).overall.metrics[SELECTED]


def test_one_label_called_always_and_others_never_is_not_certain() -> None:
    found = pooled(np.tile([1, 0, 0], (36, 1)), np.random.default_rng(0))
    assert found.value == pytest.approx(1 / 3)
    # Of 36 images, 0 of another kind are told from 3.7 (Poisson, one-sided 97.5 %), of which the mean takes a third.
    assert 0.02 < found.value - found.ci_low < 0.05
    assert 0.02 < found.ci_high - found.value < 0.05


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # (1/n)² (1 − 1/n) of n images, which for F-scores is what one true positive is of the denominator, ½ at the most
        ("selection_rate", [0.025**2 * 0.975, 0.025**2 * 0.975, 0.025**2 * 0.975, 0.125]),
        ("true_positive_rate", [0.1**2 * 0.9, 0.1**2 * 0.9, 0.125, 0.125]),
        ("f1", [0.1**2 * 0.9, 0.2**2 * 0.8, 0.2**2 * 0.8, 0.125]),
        ("f2", [0.1**2 * 0.9, 0.125**2 * 0.875, 0.125, 0.125]),
    ],
)
def test_one_other_image_is_as_if_it_had_been_counted(name: str, expected: list[float]) -> None:
    counts = np.array([[[30.0, 0.0, 0.0, 10.0], [30.0, 0.0, 10.0, 0.0], [30.0, 10.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]])
    np.testing.assert_allclose(least_variance(RATES[name], counts)[0], expected)


@pytest.mark.parametrize("rare", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("labels", [3, 12])
def test_limits_cover_where_most_labels_are_nearly_always_decided_alike(rare: float, labels: int) -> None:
    rng, n, trials = np.random.default_rng(0), 40, 300
    share = np.where(np.arange(labels) % 3 == 0, 1 - rare, rare)
    called = rng.random((trials * n, labels)) < share
    rows = LabelRows(called.astype(np.int64), np.repeat(np.arange(trials), n), trials)  # nobody has a label
    counts = rows.counts()
    table = label_table(counts, [str(i) for i in range(labels)], [("no", "yes")] * labels, together=together(rows, counts))
    low, high = table.measure(Metric("selection_rate", "micro")).interval(1.959964)
    assert ((low <= share.mean()) & (share.mean() <= high)).mean() >= 0.93
