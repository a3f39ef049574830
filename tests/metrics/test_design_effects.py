"""Design effects in a table: what they widen, what they leave alone, and what the intervals then cover."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.metrics.clusters import PersonCounts, by_person
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.design_effects import DesignEffects, design_effects, stored_effects
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.intervals import difference, quantile
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import RATES, rate_named
from fairaudit.predictions import MISSING, FloatArray, IntArray

Z = quantile(0.95)
CLASSES = ("a", "b", "c")


def people(seed: int, trials: int = 1, persons: int = 60, alike: float = 0.8) -> tuple[PersonCounts, IntArray]:
    """Persons of 1 to 6 pictures; with chance ``alike`` a picture repeats the person's own label and decision."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(1, 7, (trials, persons))
    who = np.repeat(np.arange(trials * persons), pictures.ravel())
    rows = len(who)

    def drawn(n: int) -> tuple[IntArray, IntArray]:
        y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
        return y, np.where(rng.random(n) < 0.8, y, rng.integers(0, 3, n))

    (own_y, own_p), (y, p) = drawn(trials * persons), drawn(rows)
    same = rng.random(rows) < alike
    y, p = np.where(same, own_y[who], y), np.where(same, own_p[who], p)
    ids = who // persons
    return by_person(y, p, ids, who, trials, 3), confusion(y, p, ids, trials, 3)


TRUTH = np.diag([0.5, 0.3, 0.2]) * 0.8 + np.outer([0.5, 0.3, 0.2], np.ones(3) / 3) * 0.2


def coverage(effects: DesignEffects | None, counts: IntArray, metric: Metric) -> float:
    truth = Table(np.rint(TRUTH * 3e8).astype(np.int64)[None], CLASSES).measure(metric).value[0]
    low, high = Table(counts, CLASSES, effects=effects).measure(metric).interval(Z)
    return float(((low <= truth) & (truth <= high)).mean())


METRICS = [
    Metric("accuracy"),
    Metric("true_positive_rate", 1),
    Metric("false_omission_rate", 1),
    Metric("f1", 0),
    Metric("f0.5", 1),
    Metric("precision", "macro"),
    Metric("f1", "macro"),
    Metric("true_positive_rate", "weighted"),
    Metric("jaccard", "micro"),
    Metric("mcc"),
    Metric("mcc_one_vs_rest", 0),
    Metric("cohen_kappa"),
]


def test_intervals_cover_where_pictures_of_a_person_are_alike() -> None:
    clustered, counts = people(0, trials=600)
    effects = design_effects(clustered)
    for metric in METRICS:
        assert coverage(effects, counts, metric) >= 0.93, metric
    assert coverage(None, counts, Metric("accuracy")) < 0.85
    assert coverage(None, counts, Metric("mcc")) < 0.9


def test_differences_cover_where_pictures_of_a_person_are_alike() -> None:
    clustered, counts = people(1, trials=600)
    comparison = Comparison(0.95, 0, 1)
    measures = {e: Table(counts, CLASSES, effects=e).measure(Metric("accuracy")) for e in (design_effects(clustered), None)}
    held = {}
    for effects, m in measures.items():
        found = [c.estimate for c in comparison.against_privileged(m, "difference", family=1)]
        low, high = difference(m.value, m.limits, Z, np.arange(1, 600, 2), np.arange(0, 600, 2))
        assert len(found) == 599
        held[effects is None] = float(np.mean((low <= 0) & (high >= 0)))
    assert held[False] >= 0.93
    assert held[True] < 0.88


@pytest.mark.parametrize("metric", METRICS)
def test_values_and_supports_stay_those_of_the_pictures(metric: Metric) -> None:
    clustered, counts = people(2, trials=5)
    plain, wide = (Table(counts, CLASSES, effects=e).measure(metric) for e in (None, design_effects(clustered)))
    np.testing.assert_array_equal(wide.value, plain.value)
    np.testing.assert_array_equal(wide.support, plain.support)
    for limits, other in ((wide.limits(Z), plain.limits(Z)), (wide.interval(Z), plain.interval(Z))):
        assert (np.asarray(limits[1]) - limits[0] > np.asarray(other[1]) - other[0]).all()
    assert (wide.variance > plain.variance).all()


def test_one_picture_each_has_no_effect() -> None:
    rng = np.random.default_rng(3)
    y, p, ids = (rng.integers(0, 3, 300) for _ in range(3))
    found = design_effects(by_person(y, p, ids, np.full(300, MISSING), 3, 3))
    for name, effect in found.effects.items():
        np.testing.assert_array_equal(effect[~np.isnan(effect)], 1.0, err_msg=name)
    counts = confusion(y, p, ids, 3, 3)
    for metric in Table(counts, CLASSES).catalogue():
        plain, same = (Table(counts, CLASSES, effects=e).measure(metric) for e in (None, found))
        np.testing.assert_array_equal(same.limits(Z), plain.limits(Z))
        np.testing.assert_array_equal(same.interval(Z), plain.interval(Z))


def test_every_rate_has_a_design_effect() -> None:
    clustered, _ = people(4, trials=2)
    found = design_effects(clustered)
    assert found.people == (60, 60)
    for rate in (*RATES.values(), rate_named("f0.5")):
        assert rate is not None
        effect = found.of_classes(rate)
        assert effect.shape == (2, 3 if rate.per_class else 1)
        assert (effect >= 1).all()
        if rate.beta is None:
            own: FloatArray = clustered.design_effect(rate.parts).reshape(effect.shape)
            np.testing.assert_allclose(effect, own, atol=1.1e-4)


def test_the_effect_of_a_mean_is_that_of_the_sum_of_its_parts() -> None:
    clustered, counts = people(5)
    tpr = RATES["true_positive_rate"]
    rate = np.diagonal(counts[0]) / counts[0].sum(1)
    pulls = [sum((m[k, k] - rate[k] * m[k].sum()) / counts[0, k].sum() for k in range(3)) for m in clustered.counts]
    independent = sum(rate[k] * (1 - rate[k]) / counts[0, k].sum() for k in range(3))
    by_hand = sum(u**2 for u in pulls) * 60 / 59 / independent
    assert clustered.mean_effect(tpr.parts)[0] == pytest.approx(by_hand, rel=0.05)  # Student's correction comes on top


def test_the_record_keeps_them_as_they_are() -> None:
    found = design_effects(people(6, trials=3)[0])
    again = stored_effects(found.record())
    assert again.people == found.people
    for name, effect in found.effects.items():
        np.testing.assert_array_equal(again.effects[name], effect)
