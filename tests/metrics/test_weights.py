"""Sampling weights: rates against scikit-learn, standard errors against a row bootstrap, and how often intervals cover."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fairaudit.metrics.clusters import PersonCounts, by_person
from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.design_effects import design_effects
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.metrics.weights import kish, whole_units
from fairaudit.predictions import MISSING, FloatArray, IntArray

CLASSES = ("a", "b", "c")


def nobody(n: int) -> IntArray:
    return np.full(n, MISSING, dtype=np.int64)


def weighed(
    y: IntArray, called: IntArray, ids: IntArray, weight: FloatArray, groups: int, k: int, who: IntArray | None = None
) -> PersonCounts:
    units = whole_units(weight, np.where(y == MISSING, MISSING, ids), groups)
    return by_person(y, called, ids, nobody(len(y)) if who is None else who, groups, k, units)


def table(
    y: IntArray, called: IntArray, ids: IntArray, weight: FloatArray, groups: int, k: int, positive: int | None = None
) -> Table:
    people = weighed(y, called, ids, weight, groups, k)
    counts = confusion(y, called, ids, groups, k)
    aggregates = ("micro", "weighted", "worst")
    totals = people.totals().astype(np.float64)
    effects = design_effects(people)
    return Table(counts, CLASSES[:k], positive, (), aggregates, effects=effects, weighted=totals)


def drawn(seed: int, n: int = 240, k: int = 3) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    called = np.where(rng.random(n) < 0.7, y, rng.integers(0, k, n))
    return y, called, rng.integers(0, 2, n), np.exp(1.2 * rng.standard_normal(n)) * 10.0 ** rng.integers(-3, 4)


@pytest.mark.parametrize("seed", range(6))
def test_rates_are_scikit_learns_with_sample_weight(seed: int) -> None:
    y, called, ids, weight = drawn(seed)
    found = table(y, called, ids, weight, 2, 3)
    for g in range(2):
        at = ids == g
        t, p, w = y[at], called[at], weight[at]
        every = {"labels": [0, 1, 2], "sample_weight": w}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected: dict[str, float] = {
                "accuracy": sk.accuracy_score(t, p, sample_weight=w),
                "balanced_accuracy": sk.balanced_accuracy_score(t, p, sample_weight=w),
                "mcc": sk.matthews_corrcoef(t, p, sample_weight=w),
                "cohen_kappa": sk.cohen_kappa_score(t, p, sample_weight=w),
                "precision[macro]": sk.precision_score(t, p, average="macro", **every),
                "f1[weighted]": sk.f1_score(t, p, average="weighted", **every),
                "f1[micro]": sk.f1_score(t, p, average="micro", **every),
            }
            per_class = {
                "precision": sk.precision_score(t, p, average=None, **every),
                "true_positive_rate": sk.recall_score(t, p, average=None, **every),
                "f1": sk.f1_score(t, p, average=None, **every),
                "f2": sk.fbeta_score(t, p, beta=2, average=None, **every),
                "jaccard": sk.jaccard_score(t, p, average=None, **every),
                "selection_rate": [float(w[p == c].sum() / w.sum()) for c in range(3)],
            }
        for name, values in per_class.items():
            expected |= {f"{name}[{c}]": float(v) for c, v in zip(CLASSES, values, strict=True)}
        for metric in found.catalogue():
            if found.key(metric) in expected:
                assert found.measure(metric).value[g] == pytest.approx(expected.pop(found.key(metric)), abs=1e-8)
        assert not expected


def test_supports_are_numbers_of_images() -> None:
    y, called, ids, weight = drawn(11)
    found, plain = table(y, called, ids, weight, 2, 3), Table(confusion(y, called, ids, 2, 3), CLASSES)
    for metric in plain.catalogue():
        np.testing.assert_array_equal(found.measure(metric).support, plain.measure(metric).support)
        assert found.measure(metric).reason == plain.measure(metric).reason


@given(st.integers(0, 10_000), st.floats(1e-200, 1e200), st.integers(1, 40))
def test_equal_weights_are_none(seed: int, size: float, n: int) -> None:
    y, called, ids, _ = drawn(seed, n)
    found, plain = table(y, called, ids, np.full(n, size), 2, 3), Table(confusion(y, called, ids, 2, 3), CLASSES)
    z = quantile(0.95)
    for metric in plain.catalogue():
        ours, theirs = found.measure(metric), plain.measure(metric)
        np.testing.assert_allclose(ours.value, theirs.value, atol=1e-12)
        np.testing.assert_allclose(ours.interval(z), theirs.interval(z), atol=1e-9)
        np.testing.assert_allclose(ours.limits(z), theirs.limits(z), atol=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 3))
def test_properties(seed: int, n: int, spread: int) -> None:
    """Whatever the weights: a rate within its limits, faultless exactly 1, never narrower than Kish's number of images."""
    rng = np.random.default_rng(seed)
    y, called, ids, _ = drawn(seed, n)
    weight = 10.0 ** rng.uniform(-3 * spread, 3 * spread, n)
    found = table(y, called, ids, weight, 2, 3, positive=1)
    for metric in found.catalogue():
        measure = found.measure(metric)
        low, high = measure.interval(quantile(0.95))
        known = ~np.isnan(measure.value)
        np.testing.assert_array_equal(known, measure.support > 0)
        assert (low[known] <= measure.value[known] + 1e-12).all()
        assert (high[known] >= measure.value[known] - 1e-12).all()
    right = table(y, y, ids, weight, 2, 3).measure(found.resolve("accuracy", None)[0])
    assert set(right.value[~np.isnan(right.value)]) <= {1.0}
    effect = weighed(y, called, ids, weight, 2, 3).design_effect(RATES["accuracy"].parts)
    for g in range(2):
        if (at := ids == g).any():
            assert effect[g] >= at.sum() / kish(weight[at]) * (1 - 1e-6)


def test_units_hold_any_range_of_weights() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(-1, 3, 2000)
    weight = rng.uniform(0.5, 2, 2000) * np.array([1e-300, 1.0, 1e300, 7.0])[ids]
    units = whole_units(weight, ids, 3)
    assert (units[ids == MISSING] == 0).all()
    for g in range(3):
        at = ids == g
        np.testing.assert_allclose(units[at] / units[at].sum(), weight[at] / weight[at].sum(), rtol=1e-7)
    assert whole_units(np.array([1e-9, 1e12]), np.zeros(2, dtype=np.int64), 1).min() >= 1


def test_kish_by_hand() -> None:
    assert kish(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert kish(np.full(9, 1e200)) == pytest.approx(9)
    ids = np.zeros(200, dtype=np.int64)
    y, weight = np.zeros(200, dtype=np.int64), np.tile([1.0, 3.0], 100)
    effect = weighed(y, y, ids, weight, 1, 2).design_effect(RATES["accuracy"].parts)
    # nobody is wrong: 200 Σw² ÷ (Σw)² = 200 · 1,000 ÷ 400², and not less for want of errors
    assert float(effect[0]) == pytest.approx(1.25, rel=1e-6)


@pytest.mark.parametrize("informative", [0.0, -0.6])
@pytest.mark.parametrize("name", ["accuracy", "true_positive_rate", "precision", "false_positive_rate", "jaccard"])
def test_standard_errors_are_those_of_a_row_bootstrap(name: str, informative: float) -> None:
    """The weighted design, rows drawn anew with their weights; of 6,000 draws an SD is known to about 1 %."""
    rng = np.random.default_rng(5)
    n, replicates = 1500, 6000
    weight = np.exp(0.8 * rng.standard_normal(n))
    y = rng.integers(0, 2, n)
    called = np.where(rng.random(n) < 1 / (1 + np.exp(-1.4 - informative * np.log(weight))), y, 1 - y)
    ids = np.zeros(n, dtype=np.int64)
    people = weighed(y, called, ids, weight, 1, 2)
    rate = RATES[name]
    x, size = rate.parts(cells(people.pictures.sum(0)))
    value = rate_values(rate, cells(people.totals()))[0]
    spread = np.sqrt(value * (1 - value) / size * people.design_effect(rate.parts)[0])
    cell = 2 * y + called
    counts = np.empty((replicates, 2, 2))
    for i in range(replicates):
        rows = rng.integers(0, n, n)
        counts[i] = np.bincount(cell[rows], weight[rows], 4).reshape(2, 2)
    draws = rate_values(rate, cells(counts))
    expected = draws.std(axis=0)
    one = 1 if rate.per_class else ...
    # never below Kish's, which is what a rate that does not go with the weights has
    assert 0.97 <= float(spread[one] / expected[one]) <= (1.06 if informative < 0 else 1.08)
    assert x.shape == size.shape


@pytest.mark.parametrize("informative", [0.0, -0.6])
def test_standard_errors_of_what_combines_classes_are_those_of_a_row_bootstrap(informative: float) -> None:
    """Means over classes, pooled rates and correlations; never less than the bootstrap's, and not much more."""
    rng = np.random.default_rng(8)
    n, replicates = 1800, 3000
    weight = np.exp(0.8 * rng.standard_normal(n))
    y = rng.integers(0, 3, n)
    wrong = rng.random(n) > 1 / (1 + np.exp(-1.2 - informative * np.log(weight)))
    called = np.where(wrong, (y + rng.integers(1, 3, n)) % 3, y)
    ids = np.zeros(n, dtype=np.int64)
    found = table(y, called, ids, weight, 1, 3)
    draws = np.empty((replicates, 3, 3))
    for i in range(replicates):
        rows = rng.integers(0, n, n)
        draws[i] = np.bincount((3 * y + called)[rows], weight[rows], 9).reshape(3, 3)
    drawn_from = Table(draws, CLASSES, None, (), ("micro", "weighted"))  # type: ignore[arg-type]  # fractions
    for name, of in (
        ("balanced_accuracy", None),
        ("f1", "macro"),
        ("jaccard", "micro"),
        ("mcc", None),
        ("cohen_kappa", None),
    ):
        [metric] = found.resolve(name, of)
        expected = float(drawn_from.measure(metric).value.std())
        spread = float(np.sqrt(found.measure(metric).variance[0]))
        most = 1.5 if (name, of) == ("f1", "macro") else 1.2  # a wrong image counts in two classes: √2, as without weights
        assert 0.95 <= spread / expected <= most, (name, spread / expected)


def test_standard_errors_of_people_and_weights_are_those_of_a_cluster_bootstrap() -> None:
    rng = np.random.default_rng(6)
    people, replicates = 400, 5000
    who = np.repeat(np.arange(people), rng.integers(1, 6, people))
    weight = np.exp(0.5 * rng.standard_normal(people))[who] * rng.uniform(0.5, 1.5, len(who))
    good = rng.beta(1.5, 0.7, people)[who]
    y = rng.integers(0, 2, len(who))
    called = np.where(rng.random(len(who)) < good, y, 1 - y)
    found = weighed(y, called, np.zeros(len(who), dtype=np.int64), weight, 1, 2, who)
    rate = RATES["accuracy"]
    value = float(rate_values(rate, cells(found.totals()))[0])
    spread = np.sqrt(value * (1 - value) / len(who) * found.design_effect(rate.parts)[0])
    right = np.bincount(who, weight * (y == called))
    total = np.bincount(who, weight)
    rows = rng.integers(0, people, (replicates, people))
    draws = right[rows].sum(1) / total[rows].sum(1)
    assert value == pytest.approx(right.sum() / total.sum(), abs=1e-8)
    assert float(spread / draws.std()) == pytest.approx(1, abs=0.04)
    alone = weighed(y, called, np.zeros(len(who), dtype=np.int64), weight, 1, 2)
    assert float(found.design_effect(rate.parts)[0]) > 1.3 * float(alone.design_effect(rate.parts)[0])


def two(rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """One image in ten stands for ten times as many."""
    return np.where(rng.random(size) < 0.1, 10.0, 1.0)


def lognormal(rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """Weights of many sizes."""
    return np.exp(0.8 * rng.standard_normal(size))


@pytest.mark.parametrize("slope", [0.0, -0.7, 0.7])
@pytest.mark.parametrize("weights", [two, pytest.param(lognormal, marks=pytest.mark.statistics)])
@pytest.mark.parametrize(("n", "trials"), [(100, 3000), (1000, 400)])
def test_intervals_cover(
    n: int, trials: int, weights: Callable[[np.random.Generator, tuple[int, ...]], FloatArray], slope: float
) -> None:
    """Whether or not images that weigh much are wrong more often; unweighted limits miss where they are."""
    rng = np.random.default_rng([n, int(10 * slope) + 10])
    many = weights(rng, (400_000,))
    for rate in (0.5, 0.9, 0.97):
        at = np.log(rate / (1 - rate)) - slope * np.log(many).mean()
        weight = weights(rng, (trials, n))
        right = rng.random((trials, n)) < 1 / (1 + np.exp(-at - slope * np.log(weight)))
        truth = float((many / (1 + np.exp(-at - slope * np.log(many)))).sum() / many.sum())
        zeros = np.zeros(trials * n, dtype=np.int64)
        found = weighed(zeros, 1 - right.ravel(), np.repeat(np.arange(trials), n), weight.ravel(), trials, 2)
        size = n / found.design_effect(RATES["accuracy"].parts)
        value = rate_values(RATES["accuracy"], cells(found.totals()))
        noise = 3 * np.sqrt(0.05 * 0.95 / trials)
        for limits, floor in ((wilson, 0.935), (clopper_pearson, 0.945)):
            low, high = limits(value * size, size, quantile(0.95))
            assert np.mean((low <= truth) & (truth <= high)) >= floor - noise
        if slope and n == 1000 and weights is two:
            low, high = wilson(right.sum(1).astype(float), np.full(trials, float(n)), quantile(0.95))
            assert np.mean((low <= truth) & (truth <= high)) < 0.6


def test_images_that_are_alike_are_counted_once_and_weigh_as_many() -> None:
    rng = np.random.default_rng(3)
    y, called, ids, _ = drawn(3, 300)
    ids, weight = np.where(rng.random(300) < 0.1, MISSING, ids), rng.choice([0.5, 2.0, 7.0], 300)
    together, apart = weighed(y, called, ids, weight, 2, 3), weighed(y, called, ids, weight, 2, 3, np.arange(300))
    assert len(together.group) < 60 < len(apart.group)
    np.testing.assert_array_equal(together.people, apart.people)
    np.testing.assert_array_equal(together.totals(), apart.totals())
    found, expected = (design_effects(one).effects for one in (together, apart))
    for name, effect in expected.items():
        np.testing.assert_allclose(found[name], effect, atol=1.01e-4)
