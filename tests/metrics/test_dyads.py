"""Pairs share people on either side: the variance equals a loop over pairs of pairs, and limits cover."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.errors import PredictionsError
from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.dyads import FEWEST, PairCounts, by_dyad, dyads_of
from fairaudit.metrics.influence import Pull
from fairaudit.metrics.intervals import wilson
from fairaudit.metrics.people_notes import pairs_note
from fairaudit.metrics.rates import RATES
from fairaudit.metrics.score_clusters import pull_effect
from fairaudit.predictions import MISSING, BoolArray, Column, FloatArray, IntArray, Predictions, Task

FMR, FNMR = RATES["false_positive_rate"], RATES["false_negative_rate"]


def every_pair(people: int, images: int, among: float, rng: np.random.Generator) -> tuple[IntArray, IntArray, BoolArray]:
    """All impostor pairs, who is on either image of each, and which match; some people match nearly anybody."""
    i, j = np.triu_indices(people * images, 1)
    first, second = i // images, j // images
    apart = first != second
    first, second = first[apart], second[apart]
    lure = among * rng.normal(size=people)
    score = lure[first] + lure[second] + rng.normal(size=len(first))
    turned = rng.random(len(first)) < 0.5
    return np.where(turned, second, first), np.where(turned, first, second), score > 0.84 * np.sqrt(1 + 2 * among**2)


def counted(first: IntArray, second: IntArray, hit: BoolArray, ids: IntArray | None = None, groups: int = 1) -> PairCounts:
    y = np.zeros(len(hit), dtype=np.int64)
    return by_dyad(y, hit.astype(np.int64), y if ids is None else ids, (first, second), groups, 2)


def test_squares_are_those_of_a_loop_over_pairs_that_share_a_person() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, (2, 60))  # some are of one person's own images
    ids, x = rng.integers(0, 3, 60), rng.normal(size=60)
    dyads, place = dyads_of(ids, (first, second), 3)
    found = dyads.squares(np.bincount(place, x, len(dyads.group)))
    for g in range(3):
        rows = np.flatnonzero(ids == g)
        told = sum(x[a] * x[b] for a in rows for b in rows if {first[a], second[a]} & {first[b], second[b]})
        assert found[g] == pytest.approx(told)
        assert dyads.people(np.ones(len(dyads.group), dtype=np.bool_))[g] == len({*first[rows], *second[rows]})


def test_who_is_named_first_changes_nothing_and_an_unknown_person_is_somebody_else() -> None:
    first, second, hit = every_pair(15, 2, 1.0, np.random.default_rng(0))
    effect = counted(first, second, hit).design_effect(FMR.parts)
    np.testing.assert_allclose(counted(second, first, hit).design_effect(FMR.parts), effect)
    ordered = counted(np.minimum(first, second), np.maximum(first, second), hit)
    np.testing.assert_allclose(ordered.design_effect(FMR.parts), effect)
    nobody = np.full_like(first, MISSING)
    alone = counted(nobody, nobody, hit)
    assert not alone.repeated
    assert alone.people[0] == 2 * len(hit)
    assert alone.design_effect(FMR.parts)[0, 1] == 1.0


def test_pairs_of_own_images_are_clusters_of_people() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 4)
    hit = rng.random(120) < np.repeat(rng.random(30), 4)
    one, y, ids = np.ones(120, dtype=np.int64), hit.astype(np.int64), np.zeros(120, dtype=np.int64)
    plain, pairs = by_person(one, y, ids, person, 1, 2), by_dyad(one, y, ids, (person, person), 1, 2)
    np.testing.assert_allclose(pairs.design_effect(FNMR.parts), plain.design_effect(FNMR.parts))
    np.testing.assert_array_equal(pairs.totals(), plain.totals())
    assert pairs.repeated
    pull = Pull((hit - hit.mean()) / 120, None)
    np.testing.assert_allclose(pull_effect(pull, ids, person, 1, person), pull_effect(pull, ids, person, 1))


def test_scores_know_of_both_persons_as_counts_do() -> None:
    first, second, hit = every_pair(40, 1, 1.0, np.random.default_rng(1))
    ids = np.zeros(len(hit), dtype=np.int64)
    of_scores = pull_effect(Pull((hit - hit.mean()) / len(hit), None), ids, first, 1, second)
    assert of_scores == pytest.approx(counted(first, second, hit).design_effect(FMR.parts)[:, 1], rel=0.02)
    assert of_scores > 2 * pull_effect(Pull((hit - hit.mean()) / len(hit), None), ids, first, 1)


def test_of_too_few_people_and_too_few_matches_the_worst_is_taken() -> None:
    first, second, hit = every_pair(FEWEST - 1, 3, 0.0, np.random.default_rng(2))
    assert counted(first, second, hit).design_effect(FMR.parts)[0, 1] > 40  # a person is in 15 images' pairs with 3 each
    first, second, hit = every_pair(30, 2, 0.0, np.random.default_rng(2))
    none = counted(first, second, np.zeros_like(hit)).design_effect(FMR.parts)[0, 1]
    assert none == pytest.approx(116 * 1.0887, rel=2e-3), "half of a person's 116 pairs, and Student's quantile of 29"
    assert counted(first, second, hit).design_effect(FMR.parts)[0, 1] < 3


def test_own_images_and_pairs_of_two_make_the_worst_that_either_can() -> None:
    rng = np.random.default_rng(0)
    first, second, _ = every_pair(10, 2, 0.0, rng)
    own = np.repeat(np.arange(10), 3)
    ids = np.r_[np.zeros(len(first)), np.ones(len(own)), np.full(len(first) + len(own), 2)].astype(np.int64)
    persons = np.r_[first, own, first, own], np.r_[second, own, second, own]
    dyads, place = dyads_of(ids, persons, 3)
    of_two, of_one, mixed = dyads.worst(np.bincount(place))
    assert of_two == 10 * 36**2 / 2
    assert of_one == 10 * 9
    assert mixed == 10 * (36 + 3) ** 2 - 45 * 16


def test_the_bootstrap_of_people_tells_as_much() -> None:
    first, second, hit = every_pair(60, 2, 0.7, np.random.default_rng(3))
    pairs = counted(first, second, hit)
    x, n = pairs.effective(FMR.parts)
    p = float(x[0, 1] / n[0, 1])
    drawn = [c[0, 0, 1] / c[0, 0].sum() for c in pairs.resampled(400, np.random.default_rng(0))]
    assert np.std(drawn) == pytest.approx(np.sqrt(p * (1 - p) / n[0, 1]), rel=0.25)


def test_both_persons_are_named_by_the_same_levels() -> None:
    rows = np.array(["a | b"], dtype=object)
    task = Task(("impostor", "genuine"), np.array([0]), np.array([0]))
    one, other = Column.of(["x"], ("x", "y")), Column.of(["y"], ("x", "y"))
    assert Predictions(rows, {"t": task}, identity=one, second=other).take(np.array([0])).second is not None
    for person in (None, Column.of(["x"])):
        with pytest.raises(PredictionsError, match="both persons of a pair must be named by the same levels"):
            Predictions(rows, {"t": task}, identity=person, second=other)
    with pytest.raises(PredictionsError, match="there are 1 row ids, but second has 2"):
        Predictions(rows, {"t": task}, identity=one, second=Column.of(["y", "x"], ("x", "y")))


def test_the_note_counts_people() -> None:
    note = pairs_note((np.array([0, 0, 1, MISSING]), np.array([1, 2, 1, 2])), clustered=True)
    assert note.startswith(
        "4 pairs are of 4 people: intervals of metrics and their disparities take into account that pairs"
    )
    assert "treat pairs as independent, and are too narrow" in pairs_note((np.array([0]), np.array([1])), clustered=False)


@pytest.mark.parametrize("people", [FEWEST, 12, 30])
@pytest.mark.parametrize("images", [1, 2])
def test_the_variance_is_right_on_average_whatever_the_number_of_people(people: int, images: int) -> None:
    """Exactly: it is quadratic, so its mean over independent sources is the sum of what each source alone gives."""
    i, j = np.triu_indices(people * images, 1)
    first, second = i // images, j // images
    first, second = first[first != second], second[first != second]
    dyads, place = dyads_of(np.zeros(len(first), dtype=np.int64), (first, second), 1)

    def told(x: FloatArray) -> float:
        residual = np.bincount(place, x - x.mean(), len(dyads.group)).astype(np.float64)
        return float(dyads.variance(residual, np.array([float(people)]))[0])

    of_people = [(first == who).astype(np.float64) + (second == who) for who in range(people)]
    of_pairs = [(place == dyad).astype(np.float64) for dyad in range(len(dyads.group))]
    for sources in (of_people, of_pairs):
        assert sum(told(x) for x in sources) == pytest.approx(sum(x.sum() ** 2 for x in sources))


@pytest.mark.statistics
@pytest.mark.parametrize(("people", "among", "least"), [(30, 0.0, 0.93), (30, 0.5, 0.9), (80, 0.5, 0.92), (80, 1.0, 0.92)])
def test_limits_that_know_both_persons_cover_and_those_that_know_one_do_not(
    people: int, among: float, least: float
) -> None:
    trials, covered = 400, np.zeros(2)
    rng = np.random.default_rng(5)
    truth = 0.2004  # beyond 0.84 standard deviations
    for _ in range(trials):
        first, second, hit = every_pair(people, 1, among, rng)
        y = np.zeros(len(hit), dtype=np.int64)
        known = by_person(y, hit.astype(np.int64), y, first, 1, 2), counted(first, second, hit)
        for k, one in enumerate(known):
            x, n = one.effective(FMR.parts)
            low, high = wilson(x[:, 1], n[:, 1], 1.96)
            covered[k] += low[0] <= truth <= high[0]
    assert covered[1] / trials >= least
    if among:
        assert covered[0] / trials < 0.85
