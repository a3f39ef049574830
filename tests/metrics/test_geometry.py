"""Every measure of geometry as a loop over pairs, and what it does where a group has none."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from fairaudit.metrics import geometry as g
from fairaudit.metrics.crowding import Crowding, crowding, crowding_gap
from fairaudit.metrics.retrieval import normalised


def group(seed: int = 0, n: int = 40, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n).astype(np.int64) * 3
    return normalised(rng.normal(size=(3 * classes, 5))[labels] + rng.normal(size=(n, 5))), labels


@pytest.mark.parametrize("block", [7, 512])
def test_every_measure_is_that_of_plain_loops(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(g, "_BLOCK", block)
    unit, classes = group()
    found = g.geometry(unit, classes, np.arange(40), 40, seed=0)
    u = unit.astype(np.float64)
    pairs = list(combinations(range(len(u)), 2))
    squared = {p: float(((u[p[0]] - u[p[1]]) ** 2).sum()) for p in pairs}
    same = [p for p in pairs if classes[p[0]] == classes[p[1]]]
    apart = [p for p in pairs if classes[p[0]] != classes[p[1]]]
    assert found.alignment == pytest.approx(np.mean([squared[p] for p in same]), rel=1e-5)
    assert found.uniformity == pytest.approx(np.log(np.mean([np.exp(-2 * squared[p]) for p in pairs])), rel=1e-5)
    assert found.crowding.value == pytest.approx(np.mean([squared[p] / 2 for p in apart]), rel=1e-5)
    within = [np.mean([squared[p] / 2 for p in same if classes[p[0]] == c]) for c in np.unique(classes[np.ravel(same)])]
    assert found.intra == pytest.approx(np.mean(within), rel=1e-5)
    centres = [u[classes == c].sum(0) for c in np.unique(classes)]
    centres = [c / np.linalg.norm(c) for c in centres]
    assert found.inter == pytest.approx(np.mean([1 - a @ b for a, b in permutations(centres, 2)]), rel=1e-5)
    assert found.ratio == pytest.approx(found.intra / found.inter)
    nearest = [min(1 - u[i] @ u[j] for j in range(len(u)) if classes[j] != classes[i]) for i in range(len(u))]
    assert found.density == pytest.approx(np.mean(nearest), rel=1e-5)


def test_the_spectrum_is_zero_where_every_direction_is_used_alike_and_grows_as_one_takes_over() -> None:
    assert g.spectrum(np.eye(5, dtype=np.float32)) == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    told = [g.spectrum(normalised(rng.normal(size=(80, 6)) * [s, 1, 1, 1, 1, 1])) for s in (1, 3, 30)]
    assert told == sorted(told)
    values = np.linalg.svd(np.diag([3.0, 1.0]), compute_uv=False)
    shares = values / values.sum()
    expected = sum(0.5 * np.log(0.5 / s) for s in shares)
    assert g.spectrum(np.diag([3.0, 1.0]).astype(np.float32)) == pytest.approx(expected)
    assert np.isnan(g.spectrum(np.ones((1, 3), dtype=np.float32)))


def test_a_group_of_one_class_has_no_other_and_one_of_single_images_has_no_same() -> None:
    unit, _ = group()
    one = g.geometry(unit, np.zeros(40, dtype=np.int64), np.arange(40), 10, seed=0)
    assert np.isnan([one.inter, one.ratio, one.crowding.value, one.density]).all()
    assert np.isfinite([one.alignment, one.uniformity, one.intra, one.spectrum]).all()
    single = g.geometry(unit, np.arange(40), np.arange(40), 10, seed=0)
    assert np.isnan([single.alignment, single.intra, single.ratio]).all()
    assert np.isfinite([single.inter, single.crowding.value, single.density]).all()
    alone = g.geometry(unit[:1], np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), 10, seed=0)
    assert np.isnan([alone.alignment, alone.uniformity, alone.crowding.value, alone.density, alone.spectrum]).all()


def test_a_large_group_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, classes = group(n=400)
    whole = g.geometry(unit, classes, np.arange(400), 50, seed=0)
    monkeypatch.setattr(g, "LARGEST", 200)
    part = g.geometry(unit, classes, np.arange(400), 50, seed=0)
    assert part.alignment == whole.alignment
    assert part.uniformity != whole.uniformity
    assert part.uniformity == pytest.approx(whole.uniformity, abs=0.2)


def test_density_and_spectrum_are_of_equally_many_images_so_that_groups_compare() -> None:
    rng = np.random.default_rng(0)
    unit = normalised(rng.normal(size=(1200, 5)))
    classes = np.arange(1200) // 3
    few, many = (g.geometry(unit[:n], classes[:n], classes[:n], 300, seed=0) for n in (300, 1200))
    assert many.density == pytest.approx(few.density, rel=0.08)
    assert many.spectrum == pytest.approx(few.spectrum, abs=0.02)
    assert g.geometry(unit, classes, classes, 1200, seed=0).density < 0.8 * few.density
    none = g.geometry(unit[:299], classes[:299], classes[:299], 300, seed=0)
    assert np.isnan([none.density, none.spectrum]).all()


def test_the_error_of_crowding_is_that_of_leaving_everybody_out_once() -> None:
    unit, classes = group(n=60, classes=8)
    people = np.arange(60) // 2 * 100 + classes  # at the most two images, of one class
    found = crowding(unit, classes, people)
    without = [crowding(unit[people != p], classes[people != p], people[people != p]).value for p in np.unique(people)]
    m = len(without)
    assert found.people == m
    assert found.error == pytest.approx(
        np.sqrt((m - 1) / m * ((np.array(without) - np.mean(without)) ** 2).sum()), rel=1e-6
    )
    two = crowding(unit[:2], np.arange(2), np.arange(2))
    assert np.isnan(two.error)
    assert np.isnan(crowding_gap([found, two], 0.95).ci_low)
    assert np.isnan(crowding_gap([found], 0.95).value)


def test_a_crowding_gap_has_limits() -> None:
    apart, near = (Crowding(value, 0.02, 50) for value in (0.9, 0.5))
    found = crowding_gap([apart, near, Crowding(np.nan, np.nan, 0)], 0.95)
    assert found.value == pytest.approx(0.4)
    assert (found.ci_low, found.ci_high) == pytest.approx(
        (0.4 - 2.0096 * 0.02 * 2**0.5, 0.4 + 2.0096 * 0.02 * 2**0.5), abs=2e-4
    )


@pytest.mark.statistics
def test_limits_of_crowding_cover() -> None:
    rng = np.random.default_rng(0)
    covered, trials = 0, 1000
    for _ in range(trials):
        centres = rng.normal(size=(25, 3)) + np.eye(3)[0]
        who = np.repeat(np.arange(25), 3)
        found = crowding(normalised(centres[who] + 0.3 * rng.normal(size=(75, 3))), who, who)
        covered += abs(found.value - 0.7827) <= 2.064 * found.error
    assert covered / trials > 0.93
