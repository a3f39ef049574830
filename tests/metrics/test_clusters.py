"""Several pictures of a person: design effects by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.metrics.clusters import PersonCounts, by_person
from fairaudit.metrics.counts import Cells, confusion
from fairaudit.metrics.people_notes import people_note
from fairaudit.metrics.rates import RATES
from fairaudit.predictions import MISSING, IntArray

ACCURACY = RATES["accuracy"].parts


def table(right: IntArray, pictures: IntArray) -> PersonCounts:
    """(trials, people) right pictures and pictures, each trial a group."""
    trials, people = right.shape
    counts = np.zeros((right.size, 2, 2), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = right.ravel(), (pictures - right).ravel()
    return PersonCounts(np.repeat(np.arange(trials), people), np.arange(right.size), counts, trials)


def test_counts_are_those_of_all_pictures() -> None:
    rng = np.random.default_rng(0)
    y, predicted, ids, who = (rng.integers(low, high, 300) for low, high in ((-1, 3), (0, 3), (-1, 2), (-1, 60)))
    found = by_person(y, predicted, ids, who, 2, 3)
    np.testing.assert_array_equal(found.totals(), confusion(y, predicted, ids, 2, 3))
    assert found.repeated
    kept = (y != MISSING) & (ids != MISSING)
    for g in range(2):
        here = kept & (ids == g)
        assert found.people[g] == len(set(who[here & (who != MISSING)])) + int((here & (who == MISSING)).sum())


def test_one_picture_each_is_the_plain_case() -> None:
    rng = np.random.default_rng(1)
    y, predicted, ids = (rng.integers(0, 3, 200) for _ in range(3))
    found = by_person(y, predicted, ids, np.arange(200), 3, 3)
    assert not found.repeated
    for rate in ("accuracy", "true_positive_rate", "false_positive_rate", "precision"):
        effect = found.design_effect(RATES[rate].parts)
        np.testing.assert_array_equal(effect[~np.isnan(effect)], 1.0)


def test_pictures_that_are_all_alike_are_one() -> None:
    right = np.array([[4, 0, 4, 4, 0] * 20])
    effect = float(table(right, np.full_like(right, 4)).design_effect(ACCURACY)[0])
    # four alike pictures are one; 100 people: the ratio of sample to population variance, and Student's correction
    assert effect == pytest.approx(4, rel=0.04)
    x, n = table(right, np.full_like(right, 4)).effective(ACCURACY)
    assert n[0] == pytest.approx(100, rel=0.04)
    assert x[0] / n[0] == pytest.approx(0.6)


def test_the_variance_is_that_between_people() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.integers(1, 6, 80)
    right = rng.binomial(pictures, rng.beta(2, 1, 80))
    found = table(right[None], pictures[None])
    p, n, m = right.sum() / pictures.sum(), pictures.sum(), 80
    variance = m / (m - 1) * sum((x - p * k) ** 2 for x, k in zip(right, pictures, strict=True)) / n**2
    drawn = np.array([ACCURACY(cell(c)) for c in found.resampled(4000, rng)])
    bootstrap = (drawn[:, 0] / drawn[:, 1]).var()
    plain = float(p * (1 - p) / n)
    effect = float(found.design_effect(ACCURACY)[0])
    assert effect == pytest.approx(max(variance / plain, 1), rel=0.05)  # Student's correction
    assert bootstrap == pytest.approx(variance, rel=0.1)


def cell(counts: IntArray) -> Cells:
    from fairaudit.metrics.counts import cells

    return cells(counts[0])


def test_no_error_says_nothing_of_how_errors_cluster() -> None:
    pictures = np.full((1, 30), 4)
    effect = table(pictures, pictures).design_effect(ACCURACY)
    assert float(effect[0]) >= 4
    empty = PersonCounts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 2, 2), dtype=np.int64), 2)
    assert np.isnan(empty.design_effect(ACCURACY)).all()
    assert [float(v.sum()) for v in empty.effective(ACCURACY)] == [0, 0]
    alone = table(np.array([[3]]), np.array([[5]]))
    assert float(alone.effective(ACCURACY)[1][0]) <= 1.0


def test_the_note() -> None:
    assert people_note(np.array([0, 1, 2, MISSING, MISSING]), clustered=True) is None
    note = people_note(np.array([0, 1, 1, MISSING]), clustered=True)
    assert note is not None
    assert note.endswith("together; those of entropies treat images as independent")
    blunt = people_note(np.array([0, 1, 1, MISSING]), clustered=False)
    assert blunt is not None
    assert "too narrow" in blunt
    assert note.startswith("3 images show 2 people")
