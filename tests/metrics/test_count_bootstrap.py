"""Bootstraps that draw counts are bootstraps of rows: the same distribution as resampling the table row by row.

One multinomial draw per group stands for drawing as many of the group's rows anew; of people, for drawing people with all
of their rows; of two models, for drawing both predictions of an image together. Each is held to a plain loop over rows, in
means, standard deviations and the whole distribution, within what so many replicates of either let them differ by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
from scipy.stats import ks_2samp, kurtosis

from fairaudit.metrics import inequality
from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.inequality import benefits
from fairaudit.metrics.paired import pair
from fairaudit.metrics.paired_people import pair_people
from fairaudit.predictions import FloatArray, IntArray

B, GROUPS = 1500, 3
N = 260

Statistics = Mapping[str, Callable[[FloatArray], FloatArray]]
"""Name → what is computed of (g, 2, 2) counts, or of two models' (2, g, 2, 2)."""


def _rows(seed: int) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Labels, two models' predictions, groups, and who is on each row; a person's rows are right or wrong together."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 70, N)
    skill = rng.normal(0, 1.2, 70)[person]
    y, group = rng.integers(0, 2, N), np.minimum(rng.geometric(0.55, N) - 1, GROUPS - 1)
    first = np.where(skill + rng.normal(0, 0.7, N) < -0.9, 1 - y, y)
    second = np.where(skill + rng.normal(0, 0.7, N) < -1.1, 1 - y, y)
    return y, first, second, group, person


def _accuracy(c: FloatArray) -> FloatArray:
    right: FloatArray = np.trace(c, axis1=-2, axis2=-1)
    return np.asarray(right / c.sum((-2, -1)))


def _f1(c: FloatArray) -> FloatArray:
    return 2 * c[..., 1, 1] / (2 * c[..., 1, 1] + c[..., 0, 1] + c[..., 1, 0])


def _theil(c: FloatArray) -> FloatArray:
    return inequality.generalised_entropy(benefits(cells(c).of_class(1)), 1.0)


ONE: Statistics = {
    "accuracy of a group": lambda c: _accuracy(c)[1],
    "F1 of the smallest group": lambda c: _f1(c)[2],
    "gap": lambda c: np.asarray(np.ptp(_accuracy(c))),
    "spread": lambda c: np.asarray(_accuracy(c).std()),
    "Theil's index": _theil,
    "a cell": lambda c: c[0, 1, 0],
}
TWO: Statistics = {
    "change of accuracy": lambda c: _accuracy(c[1])[0] - _accuracy(c[0])[0],
    "change of F1": lambda c: _f1(c[1])[1] - _f1(c[0])[1],
    "change of the gap": lambda c: np.asarray(np.ptp(_accuracy(c[1])) - np.ptp(_accuracy(c[0]))),
    "before": lambda c: _accuracy(c[0])[2],
}


def _same(found: FloatArray, expected: FloatArray, name: str) -> None:
    """That two samples of B replicates have one distribution; five standard errors are all that chance explains."""
    assert found.shape == expected.shape == (B,)
    sd = expected.std()
    assert abs(found.mean() - expected.mean()) < 5 * sd * np.sqrt(2 / B), name
    of_sd = np.sqrt((kurtosis(expected, fisher=False) - 1) / 4 * 2 / B)
    assert abs(found.std() / sd - 1) < 5 * of_sd, name
    assert ks_2samp(found, expected).pvalue > 1e-5, name


def _count(y: IntArray, predicted: IntArray, group: IntArray) -> IntArray:
    return confusion(y, predicted, group, GROUPS, 2)


def _stratified(group: IntArray, rng: np.random.Generator) -> IntArray:
    """Rows drawn anew within each group, as many as it has."""
    return np.concatenate([rng.choice(own, len(own)) for g in range(GROUPS) if len(own := np.flatnonzero(group == g))])


def _of_people(person: IntArray, rng: np.random.Generator) -> IntArray:
    """All rows of people drawn anew, as many as there are."""
    known = np.unique(person)
    return np.concatenate([np.flatnonzero(person == one) for one in rng.choice(known, len(known))])


def _by_rows(draw: Callable[[np.random.Generator], IntArray], count: Callable[[IntArray], IntArray]) -> Iterator[IntArray]:
    rng = np.random.default_rng(11)
    for _ in range(B):
        yield count(draw(rng))


def _compare(found: list[FloatArray], expected: list[FloatArray], statistics: Statistics) -> None:
    for name, statistic in statistics.items():
        _same(np.array([statistic(c) for c in found]), np.array([statistic(c) for c in expected]), name)


def _drawn(counts: IntArray, seed: int = 3, pseudo: float = 0.0) -> list[FloatArray]:
    """The count bootstrap of whole confusion matrices."""
    flat = inequality.draw(counts.reshape(GROUPS, 4).astype(np.float64), B, seed, pseudo)
    return [*flat.reshape(B, GROUPS, 2, 2)]


@pytest.mark.parametrize("seed", [0, 1])
def test_images_within_groups(seed: int) -> None:
    y, predicted, _, group, _ = _rows(seed)
    expected = [*_by_rows(lambda rng: _stratified(group, rng), lambda rows: _count(y[rows], predicted[rows], group[rows]))]
    _compare(_drawn(_count(y, predicted, group)), [c.astype(float) for c in expected], ONE)


def test_with_a_pseudo_image_of_all_kinds_in_every_group() -> None:
    y, predicted, _, group, _ = _rows(1)
    kinds = np.indices((GROUPS, 2, 2)).reshape(3, -1)
    more = [np.concatenate([column, extra]) for column, extra in zip((group, y, predicted), kinds, strict=True)]
    weight = np.concatenate([np.ones(N), np.full(4 * GROUPS, 0.25)])

    def draw(rng: np.random.Generator) -> IntArray:
        every = [np.flatnonzero(more[0] == g) for g in range(GROUPS)]
        sizes = [int((group == g).sum()) for g in range(GROUPS)]
        drawn = [rng.choice(own, n, p=weight[own] / weight[own].sum()) for own, n in zip(every, sizes, strict=True)]
        return np.concatenate(drawn)

    expected = _by_rows(draw, lambda rows: _count(more[1][rows], more[2][rows], more[0][rows]))
    _compare(_drawn(_count(y, predicted, group), pseudo=1.0), [c.astype(float) for c in expected], ONE)


@pytest.mark.parametrize("seed", [0, 1])
def test_people_with_all_their_images(seed: int) -> None:
    y, predicted, _, group, person = _rows(seed)
    people = by_person(y, predicted, group, person, GROUPS, 2)
    found = [c.astype(float) for c in people.resampled(B, np.random.default_rng(3))]
    expected = [*_by_rows(lambda rng: _of_people(person, rng), lambda rows: _count(y[rows], predicted[rows], group[rows]))]
    _compare(found, [c.astype(float) for c in expected], ONE)


def _both(sides: Iterator[tuple[IntArray, IntArray]]) -> list[FloatArray]:
    return [np.stack(pair).astype(float) for first, second in sides for pair in zip(first, second, strict=True)]


@pytest.mark.parametrize("people", [False, True])
def test_both_predictions_of_an_image_together(people: bool) -> None:
    y, before, after, group, person = _rows(2)
    rng = np.random.default_rng(3)
    if people:
        found = _both(pair_people(y, before, after, group, person, GROUPS, 2).resampled(B, rng))
    else:
        found = _both(pair(y, before, after, group, GROUPS, 2).resampled(B, rng))

    def count(rows: IntArray) -> IntArray:
        return np.stack([_count(y[rows], side[rows], group[rows]) for side in (before, after)])

    expected = _by_rows(lambda rng: _of_people(person, rng) if people else _stratified(group, rng), count)
    _compare(found, [c.astype(float) for c in expected], TWO)


def test_other_designs_are_told_apart() -> None:
    y, before, after, group, person = _rows(0)
    plain, accuracy = _drawn(_count(y, before, group)), ONE["accuracy of a group"]
    people = by_person(y, before, group, person, GROUPS, 2).resampled(B, np.random.default_rng(3))
    with pytest.raises(AssertionError, match="accuracy"):
        _compare([c.astype(float) for c in people], plain, {"accuracy of a group": accuracy})
    together = _both(pair(y, before, after, group, GROUPS, 2).resampled(B, np.random.default_rng(3)))
    apart = [np.stack(sides) for sides in zip(plain, _drawn(_count(y, after, group), seed=4), strict=True)]
    with pytest.raises(AssertionError, match="change"):
        _compare(together, apart, {"change of accuracy": TWO["change of accuracy"]})
    assert {tuple(c.sum((-2, -1))) for c in plain} == {tuple(_count(y, before, group).sum((-2, -1)))}, (
        "groups keep their sizes"
    )
