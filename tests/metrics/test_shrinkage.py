"""Shrinkage against plain loops, the posterior itself, simulated groups, and what must hold of any counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.design_effects import design_effects
from fairaudit.metrics.measure import Table
from fairaudit.metrics.shrinkage import Prior, beta_prior, posterior_mean, shrunk, shrunk_shares
from fairaudit.metrics.statistics import STATISTICS


def _loops(x: list[float], n: list[float]) -> tuple[float, float]:
    """Mean and correlation of Kleinman's moments, number by number."""
    weights, rho = list(n), 0.0
    for _ in range(100):
        total = sum(weights)
        mean = sum(w * a / b for w, a, b in zip(weights, x, n, strict=True)) / total
        square = sum(w * (a / b - mean) ** 2 for w, a, b in zip(weights, x, n, strict=True))
        alone = sum(w * (1 - w / total) / b for w, b in zip(weights, n, strict=True))
        together = sum(w * (1 - w / total) * (1 - 1 / b) for w, b in zip(weights, n, strict=True))
        rho = min(1.0, max(0.0, (square / (mean * (1 - mean)) - alone) / together))
        weights = [b / (1 + rho * (b - 1)) for b in n]
    return mean, rho


@pytest.mark.parametrize("seed", range(5))
def test_the_prior_is_that_of_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(5, 400, 8).astype(float)
    x = rng.binomial(n.astype(int), rng.beta(9, 3, 8)).astype(float)
    prior = beta_prior(x, n)
    assert prior is not None
    mean, rho = _loops(x.tolist(), n.tolist())
    assert 1 / (prior.size + 1) == pytest.approx(rho, abs=1e-9)
    assert prior.mean == pytest.approx(mean, abs=1e-9)


def test_groups_of_one_size_have_a_closed_form() -> None:
    """With n images each, ρ = (n Σ(p − m)² / (m (1 − m)(g − 1)) − 1) / (n − 1), whatever the weights."""
    x, n = np.array([30.0, 36.0, 45.0, 49.0]), 50.0
    p = x / n
    m = p.mean()
    rho = (n * ((p - m) ** 2).sum() / (m * (1 - m) * 3) - 1) / (n - 1)
    prior = beta_prior(x, np.full(4, n))
    assert prior is not None
    assert [prior.mean, prior.size] == pytest.approx([m, (1 - rho) / rho])
    assert shrunk(x, np.full(4, n)).tolist() == pytest.approx([(a + m * prior.size) / (n + prior.size) for a in x])


def test_the_posterior_mean_is_the_mean_of_the_posterior() -> None:
    a, b, x, n = 4.5, 1.5, 7, 11
    weight = integrate.quad(lambda p: stats.beta.pdf(p, a, b) * stats.binom.pmf(x, n, p), 0, 1)[0]
    mean = integrate.quad(lambda p: p * stats.beta.pdf(p, a, b) * stats.binom.pmf(x, n, p), 0, 1)[0] / weight
    found = posterior_mean(np.array([float(x)]), np.array([float(n)]), Prior(a / (a + b), a + b))
    assert found[0] == pytest.approx(mean) == (x + a) / (n + a + b)


def test_the_two_limits() -> None:
    x, n = np.array([1.0, 18.0, 0.0]), np.array([4.0, 20.0, 0.0])
    everything = posterior_mean(x, n, Prior(0.7, math.inf))
    nothing = posterior_mean(x, n, Prior(0.7, 0.0))
    assert everything[:2].tolist() == [0.7, 0.7]
    assert nothing[:2].tolist() == [0.25, 0.9]
    assert np.isnan([everything[2], nothing[2]]).all(), "of no image nothing was seen"
    huge, tiny = (posterior_mean(x, n, Prior(0.7, size)) for size in (1e12, 1e-12))
    np.testing.assert_allclose(huge[:2], everything[:2])
    np.testing.assert_allclose(tiny[:2], nothing[:2])


def test_groups_that_do_not_differ_are_drawn_to_their_mean_and_groups_far_apart_stay() -> None:
    n = np.array([40.0, 100.0, 300.0])
    np.testing.assert_allclose(shrunk(0.9 * n, n), 0.9)
    far = shrunk(np.array([1000.0, 5000.0, 9000.0]), np.full(3, 1e4))
    np.testing.assert_allclose(far, [0.1, 0.5, 0.9], atol=1e-3)


@pytest.mark.parametrize(("a", "b"), [(18, 2), (45, 5), (4, 4)])
def test_it_finds_the_prior_and_comes_nearer_to_the_truth(a: float, b: float) -> None:
    rng = np.random.default_rng(3)
    sizes, means, drawn, counted = [], [], 0.0, 0.0
    for _ in range(200):
        n = rng.choice([20, 50, 200, 2000], 14)
        truth = rng.beta(a, b, 14)
        x, n = rng.binomial(n, truth).astype(float), n.astype(float)
        prior = beta_prior(x, n)
        assert prior is not None
        sizes.append(1 / (prior.size + 1))
        means.append(prior.mean)
        drawn += float(((shrunk(x, n) - truth) ** 2).sum())
        counted += float(((x / n - truth) ** 2).sum())
    assert np.mean(sizes) == pytest.approx(1 / (a + b + 1), rel=0.1)
    assert np.mean(means) == pytest.approx(a / (a + b), abs=0.01)
    assert drawn < 0.9 * counted


@pytest.mark.parametrize(("x", "n"), [([3, 4], [10, 10]), ([3, 4, 0], [10, 10, 0]), ([1, 0, 1], [1, 1, 1]), ([], [])])
def test_of_fewer_than_three_groups_nothing_is_said(x: list[int], n: list[int]) -> None:
    counts = np.array(x, dtype=float), np.array(n, dtype=float)
    assert beta_prior(*counts) is None
    assert np.isnan(shrunk(*counts)).all()


counted = st.lists(
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=3, max_size=12
).filter(lambda rows: sum(n > 0 for _, n in rows) >= 3 and any(n > 1 for _, n in rows))


@given(counted)
def test_what_holds_of_any_counts(rows: list[tuple[int, int]]) -> None:
    x, n = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found, prior = shrunk(x, n), beta_prior(x, n)
    assert prior is not None
    assert (np.isnan(found) == (n == 0)).all()
    p = x[n > 0] / n[n > 0]
    assert p.min() - 1e-12 <= prior.mean <= p.max() + 1e-12
    between = np.sort(np.stack([p, np.full(len(p), prior.mean)]), axis=0)
    assert ((between[0] - 1e-12 <= found[n > 0]) & (found[n > 0] <= between[1] + 1e-12)).all(), "drawn towards, not past"
    order = np.random.default_rng(0).permutation(len(n))
    np.testing.assert_allclose(shrunk(x[order], n[order]), found[order], atol=1e-9)
    np.testing.assert_allclose(shrunk(n - x, n), 1 - found, atol=1e-9)


def test_the_smaller_group_is_drawn_farther() -> None:
    x, n = np.array([10.0, 100.0, 800.0, 700.0]), np.array([20.0, 200.0, 900.0, 900.0])
    found = shrunk(x, n)
    assert found[0] > found[1] > 0.5, "both have a share of .5, and the others have more"


def test_which_metrics_of_a_table() -> None:
    rng = np.random.default_rng(0)
    table = Table(rng.integers(1, 40, (4, 2, 2)), ("no", "yes"), 1)
    found = shrunk_shares(table)
    assert {"accuracy", "error_rate", "true_positive_rate", "selection_rate", "prevalence", "jaccard"} <= set(found)
    assert not {"f1", "f2", "balanced_accuracy", *STATISTICS} & set(found)
    right, n = table.counts.trace(axis1=1, axis2=2), table.n
    np.testing.assert_allclose(found["accuracy"], shrunk(right.astype(float), n.astype(float)))
    np.testing.assert_allclose(found["error_rate"], 1 - found["accuracy"])
    assert shrunk_shares(Table(table.counts[:2], ("no", "yes"), 1)) == {}


def test_a_metric_with_fewer_than_three_defined_groups_is_left_out() -> None:
    counts = np.array([[[5, 5], [0, 0]], [[5, 5], [0, 0]], [[5, 5], [4, 4]], [[5, 5], [3, 5]]])
    found = shrunk_shares(Table(counts, ("no", "yes"), 1))
    assert "accuracy" in found
    assert "true_positive_rate" not in found


def test_photographs_of_one_person_count_for_less() -> None:
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(120), 5)
    group = people % 4
    right = (rng.random(120) < np.array([0.95, 0.9, 0.6, 0.5])[people[::5] % 4])[people]
    y_true = rng.integers(0, 2, 600)
    y_pred = np.where(right, y_true, 1 - y_true)
    counted_by_person = by_person(y_true, y_pred, group, people, 4, 2)
    counts = np.array([[[np.sum((group == g) & (y_true == t) & (y_pred == c)) for c in (0, 1)] for t in (0, 1)]
                       for g in range(4)])  # fmt: skip
    plain = shrunk_shares(Table(counts, ("a", "b")))["accuracy"]
    clustered = shrunk_shares(Table(counts, ("a", "b"), effects=design_effects(counted_by_person)))["accuracy"]
    assert np.ptp(clustered) < np.ptp(plain)
