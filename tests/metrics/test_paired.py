"""Paired counts and McNemar against rows, scipy and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from fairaudit.metrics.counts import confusion
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.paired import PairedCounts, holm, mcnemar, pair, values
from fairaudit.metrics.rates import RATES
from fairaudit.predictions import MISSING, IntArray


def rows(seed: int, n: int = 90, g: int = 3, k: int = 3) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(MISSING, k, n)
    before = np.where(rng.random(n) < 0.7, np.maximum(y, 0), rng.integers(0, k, n))
    after = np.where(rng.random(n) < 0.6, before, rng.integers(0, k, n))
    return y, before, after, rng.integers(MISSING, g, n)


def paired(seed: int, n: int = 90) -> PairedCounts:
    return pair(*rows(seed, n), 3, 3)


def test_sides_are_the_confusion_matrices_of_each_model() -> None:
    y, before, after, ids = rows(0)
    first, second = pair(y, before, after, ids, 3, 3).sides()
    np.testing.assert_array_equal(first, confusion(y, before, ids, 3, 3))
    np.testing.assert_array_equal(second, confusion(y, after, ids, 3, 3))


def test_mcnemar_is_the_binomial_test_of_the_images_that_differ() -> None:
    pairs = [(0, 0), (1, 0), (0, 6), (3, 3), (10, 4), (4, 10), (40, 75), (300, 200)]
    gained, lost = np.array(pairs).T
    exact, middle = mcnemar(gained, lost)
    for (b, c), p, mid in zip(pairs, exact, middle, strict=True):
        expected = binomtest(b, b + c).pvalue if b + c else 1.0
        assert p == pytest.approx(expected, rel=1e-9)
        point = binomtest(b, b + c, 0.5, alternative="less").pvalue if b + c else 1.0
        point -= binomtest(b - 1, b + c, 0.5, alternative="less").pvalue if b else 0.0
        assert mid == pytest.approx(expected - point if b != c else 1.0, rel=1e-6)
    # by hand: 1 of 5 images; 2·(1 + 5)/32, less one of the two middle points 5/32
    assert [float(x[0]) for x in mcnemar(np.array([1]), np.array([4]))] == [12 / 32, 7 / 32]


def test_discordant_images_of_every_proportion_found_row_by_row() -> None:
    y, before, after, ids = rows(3)
    counts = pair(y, before, after, ids, 3, 3)
    seen = set()
    for metric in (m for m in Table(counts.sides()[0], ("a", "b", "c")).catalogue() if m.rate in RATES):
        found = counts.discordant(metric)
        if found is None:
            continue
        seen.add(metric.rate)
        gained, lost, n = found
        one = Table(confusion(y, before, ids, 3, 3), ("a", "b", "c")).measure(metric)
        other = Table(confusion(y, after, ids, 3, 3), ("a", "b", "c")).measure(metric)
        np.testing.assert_array_equal(n, one.support)
        np.testing.assert_allclose((gained - lost) / n, other.value - one.value, atol=1e-12)
    for g in range(3):
        here = (ids == g) & (y != MISSING)
        accuracy, recall = counts.discordant(Metric("accuracy")), counts.discordant(Metric("true_positive_rate", 1))
        assert accuracy is not None
        assert recall is not None
        gained, lost, _ = accuracy
        assert gained[g] == sum(a == t != b for t, b, a in zip(y[here], before[here], after[here], strict=True))
        assert lost[g] == sum(b == t != a for t, b, a in zip(y[here], before[here], after[here], strict=True))
        positives = here & (y == 1)
        up, _, size = recall
        assert (up[g], size[g]) == (int((positives & (after == 1) & (before != 1)).sum()), int(positives.sum()))
    assert {"accuracy", "error_rate", "true_positive_rate", "false_positive_rate", "selection_rate"} <= seen
    assert not {"precision", "f1", "f2", "negative_predictive_value"} & seen


def test_the_bootstrap_of_cells_is_the_bootstrap_of_rows() -> None:
    y, before, after, ids = rows(5, n=240)
    counts = pair(y, before, after, ids, 3, 3)
    metrics = [Metric("accuracy"), Metric("f1", 1), Metric("precision", 0)]
    rng = np.random.default_rng(0)
    drawn = [(values(a, metrics), values(b, metrics)) for a, b in counts.resampled(3000, rng)]
    fast = [np.concatenate([b[i] - a[i] for a, b in drawn]) for i in range(3)]
    slow: list[list[np.ndarray]] = [[], [], []]
    inside = [np.flatnonzero((ids == g) & (y != MISSING)) for g in range(3)]
    for _ in range(1500):
        taken = np.concatenate([rng.choice(own, len(own)) for own in inside])
        first, second = (confusion(y[taken], x[taken], ids[taken], 3, 3) for x in (before, after))
        for i, (a, b) in enumerate(zip(values(first, metrics), values(second, metrics), strict=True)):
            slow[i].append(b - a)
    for one, other in zip(fast, slow, strict=True):
        by_rows = np.array(other)
        assert one.shape == (3000, 3)
        np.testing.assert_allclose(one.mean(0), by_rows.mean(0), atol=0.012)
        np.testing.assert_allclose(one.std(0), by_rows.std(0), rtol=0.1)
        np.testing.assert_allclose(
            np.quantile(one, [0.05, 0.95], 0), np.quantile(by_rows, [0.05, 0.95], 0), atol=0.035
        )  # one image is 0.027


def test_swapping_keeps_what_is_true_and_is_even_handed() -> None:
    counts = paired(7, n=200)
    first, second = counts.sides()
    for a, b in counts.swapped(2000, np.random.default_rng(1)):
        np.testing.assert_array_equal(a + b, np.broadcast_to(first + second, a.shape))
        np.testing.assert_array_equal(a.sum(-1), np.broadcast_to(first.sum(-1), a.shape[:-1]))
        assert (a >= 0).all()
        change = (b - a).mean(0)
        assert np.abs(change).max() < 0.5
        gained, lost, _ = counts.discordant(Metric("accuracy")) or (0, 0, 0)
        moved = np.trace(b - a, axis1=-2, axis2=-1)
        np.testing.assert_allclose(moved.var(0), gained + lost, rtol=0.15)  # ± 1 for each image that differs


def test_batches_do_not_change_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairaudit.metrics.paired.CHUNK", 200)
    sizes = [len(a) for a, _ in paired(1).resampled(25, np.random.default_rng(0))]
    assert sum(sizes) == 25
    assert len(sizes) > 1


def test_holm_against_its_definition() -> None:
    p = np.array([0.01, 0.04, 0.03, np.nan, 0.005])
    # sorted: .005·4, .01·3, .03·2, .04·1, each at least as large as the one before
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, np.nan, 0.02])
    np.testing.assert_allclose(holm(p, 3), [0.09, 0.18, 0.18, np.nan, 0.06])
    assert np.isnan(holm(np.array([np.nan]))).all()


@pytest.mark.parametrize("positive", [None, 1])
def test_values_are_the_measures(positive: int | None) -> None:
    counts = paired(9).sides()[0].copy()
    counts[2] = 0
    counts[1, 1] = 0  # nobody of class b
    table = Table(counts, ("a", "b", "c"), positive, betas=(0.5, 3.0), aggregates=("micro", "weighted", "worst"))
    metrics = table.catalogue()
    assert {"mcc", "cohen_kappa", "f0.5", "f1"} <= {m.rate for m in metrics}
    for metric, value in zip(metrics, values(counts, metrics), strict=True):
        np.testing.assert_allclose(value, table.measure(metric).value, atol=1e-12, err_msg=str(metric))
