"""Pairs of people who are on several images, against enumeration, rows and plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fairaudit.metrics.counts import confusion
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.paired import mcnemar, pair, values
from fairaudit.metrics.paired_people import PairedPeople, numbered, pair_people, shared_groups, sign_flip
from fairaudit.metrics.rates import RATES
from fairaudit.predictions import MISSING, IntArray

ACCURACY = Metric("accuracy")
Rows = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]


def rows(seed: int, n: int = 120, people: int = 40, g: int = 3, k: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    y = rng.integers(MISSING, k, n)
    before = np.where(rng.random(n) < 0.7, np.maximum(y, 0), rng.integers(0, k, n))
    after = np.where(rng.random(n) < 0.6, before, rng.integers(0, k, n))
    return y, before, after, rng.integers(MISSING, g, n), rng.integers(MISSING, people, n)


def people(seed: int) -> PairedPeople:
    return pair_people(*rows(seed), 3, 3)


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_sign_flips_are_enumerated(net: list[int]) -> None:
    sums = [abs(sum(s * d for s, d in zip(signs, net, strict=True))) for signs in product((-1, 1), repeat=len(net))]
    seen = abs(sum(net))
    exact, middle = sign_flip(np.array(net, dtype=np.int64))
    beyond, at = np.mean([s > seen for s in sums]), np.mean([s == seen for s in sums])
    assert exact == pytest.approx(beyond + at)
    assert middle == pytest.approx(1.0 if seen == 0 else beyond + at / 2)


@given(st.integers(0, 60), st.integers(0, 60))
def test_with_one_image_each_it_is_mcnemars(gained: int, lost: int) -> None:
    exact, middle = mcnemar(np.array([gained]), np.array([lost]))
    net = np.repeat([1, -1, 0], [gained, lost, 5])
    assert sign_flip(net) == pytest.approx((float(exact[0]), float(middle[0])), rel=1e-9)


def test_many_people_take_no_time_and_no_p_is_nought() -> None:
    rng = np.random.default_rng(0)
    net = np.r_[rng.choice([-3, -2, -1, 0, 1, 2, 3], 100_000), np.full(200, 3)]
    exact, middle = sign_flip(net)
    z = abs(net.sum()) / np.sqrt((net**2).sum())
    assert z > 0.5
    assert exact == pytest.approx(2 * float(norm.sf(z)), rel=0.02)
    assert 0 < middle < exact
    assert 0 < sign_flip(np.full(400, 3))[0] < 1e-30


def test_sides_and_differing_images_are_those_of_the_images() -> None:
    y, before, after, ids, _ = rows(1)
    counted, plain = people(1), pair(y, before, after, ids, 3, 3)
    for one, other in zip(counted.sides(), plain.sides(), strict=True):
        np.testing.assert_array_equal(one, other)
    for metric in (m for m in Table(plain.sides()[0], ("a", "b", "c")).catalogue() if m.rate in RATES):
        mine, theirs = counted.differing(metric), plain.differing(metric)
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            for name in ("gained", "lost", "n"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
            assert mine.test == "person sign-flip"


def test_where_everybody_has_one_image_nothing_changes() -> None:
    y, before, after, ids, _ = rows(2)
    alone = pair_people(y, before, after, ids, np.arange(len(y)), 3, 3).differing(ACCURACY)
    plain = pair(y, before, after, ids, 3, 3).differing(ACCURACY)
    assert alone is not None
    assert plain is not None
    np.testing.assert_allclose(alone.p, plain.p)
    np.testing.assert_allclose(alone.p_exact, plain.p_exact)
    np.testing.assert_array_equal(alone.limits(1.96), plain.limits(1.96))


def test_a_person_is_swapped_whole_or_not_at_all() -> None:
    y = np.array([0, 0, 0, 1, 1])
    before, after = np.array([0, 0, 1, 1, 0]), np.array([1, 1, 0, 1, 1])
    who, ids = np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=np.int64)
    counted = pair_people(y, before, after, ids, who, 1, 2)
    allowed = set()
    for swap in product((False, True), repeat=2):
        first = np.where(np.array(swap)[who], after, before)
        second = np.where(np.array(swap)[who], before, after)
        allowed.add((confusion(y, first, ids, 1, 2).tobytes(), confusion(y, second, ids, 1, 2).tobytes()))
    seen = set()
    for a, b in counted.swapped(200, np.random.default_rng(0)):
        seen |= {(x.tobytes(), z.tobytes()) for x, z in zip(a, b, strict=True)}
    assert seen == allowed


def test_the_bootstrap_draws_people() -> None:
    y, before, after, ids, who = rows(3, n=200, people=50)
    counted = pair_people(y, before, after, ids, who, 3, 3)
    metrics = [ACCURACY, Metric("f1", 1)]
    rng = np.random.default_rng(0)
    drawn = [(values(a, metrics), values(b, metrics)) for a, b in counted.resampled(3000, rng)]
    fast = [np.concatenate([b[i] - a[i] for a, b in drawn]) for i in range(2)]
    keep = np.flatnonzero((ids != MISSING) & (y != MISSING))
    of_each = [keep[numbered(who[keep]) == p] for p in range(numbered(who[keep]).max() + 1)]
    slow: list[list[np.ndarray]] = [[], []]
    for _ in range(1000):
        taken = np.concatenate([of_each[p] for p in rng.integers(0, len(of_each), len(of_each))])
        sides = [values(confusion(y[taken], x[taken], ids[taken], 3, 3), metrics) for x in (before, after)]
        for i in range(2):
            slow[i].append(sides[1][i] - sides[0][i])
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one.mean(0), np.mean(other, 0), atol=0.015)
        np.testing.assert_allclose(one.std(0), np.std(other, 0), rtol=0.12)


@given(st.integers(2, 6), st.integers(0, 2**20))
def test_copies_of_an_image_are_worth_one(copies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, zero = np.ones(60, dtype=np.int64), np.zeros(60, dtype=np.int64)
    before, after = (rng.random(60) < 0.8).astype(np.int64), (rng.random(60) < 0.7).astype(np.int64)
    once = pair(y, before, after, zero, 1, 2).differing(ACCURACY)
    wide = [np.repeat(x, copies) for x in (y, before, after, zero, np.arange(60))]
    all_ = pair_people(wide[0], wide[1], wide[2], wide[3], wide[4], 1, 2).differing(ACCURACY)
    assert once is not None
    assert all_ is not None
    np.testing.assert_allclose(all_.p, once.p)
    # never narrower than the images themselves allow, and hardly wider
    (low, high), (a, b) = once.limits(1.96), all_.limits(1.96)
    assert copies <= float(np.ravel(all_.effect)[0]) <= 1.1 * copies
    assert a[0] <= low[0] + 1e-3
    assert b[0] >= high[0] - 1e-3


def test_pictures_of_a_person_that_change_together_are_no_evidence_of_many_people() -> None:
    rng, trials, alarms, blunt, covered = np.random.default_rng(5), 250, 0, 0, 0
    who = np.repeat(np.arange(60), 5)
    zero, one = np.zeros(300, dtype=np.int64), np.ones(300, dtype=np.int64)
    for _ in range(trials):
        hard = np.sqrt(0.8) * rng.normal(size=(2, 60))[:, who] + np.sqrt(0.2) * rng.normal(size=(2, 300))
        before, after = ((x < 1.0).astype(np.int64) for x in hard)
        people_, images = pair_people(one, before, after, zero, who, 1, 2), pair(one, before, after, zero, 1, 2)
        mine, theirs = people_.differing(ACCURACY), images.differing(ACCURACY)
        assert mine is not None
        assert theirs is not None
        alarms += mine.p[0] <= 0.05
        blunt += theirs.p[0] <= 0.05
        low, high = mine.limits(1.959964)
        covered += low[0] <= 0 <= high[0]
    error = np.sqrt(0.05 * 0.95 / trials)
    assert alarms <= (0.05 + 4 * error) * trials
    assert covered >= (0.95 - 4 * error) * trials
    assert blunt > 0.12 * trials, "the negative control keeps its level"


def test_in_how_many_groups_people_are() -> None:
    who, ids = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, 2, 1, MISSING])
    assert shared_groups([who], [ids]) == 2
    assert shared_groups([who, np.array([0])], [ids, np.array([2])]) == 3
