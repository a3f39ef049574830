"""Other images, dealt anew: what is kept, and what chance may do."""

from __future__ import annotations

import numpy as np

from fairaudit.metrics.clusters import by_person
from fairaudit.metrics.reshuffled import dealt, drawn, reshuffled, reshuffled_people


def test_groups_keep_their_sizes_and_images() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 20, (3, 2, 2)), rng.integers(0, 30, (3, 2, 2))
    total = 0
    for a, b in reshuffled(before, after, 500, rng):
        total += len(a)
        np.testing.assert_array_equal(a + b, np.broadcast_to(before + after, a.shape))
        np.testing.assert_array_equal(a.sum((-2, -1)), np.broadcast_to(before.sum((-2, -1)), a.shape[:2]))
        assert min(a.min(), b.min()) >= 0
        share = before.sum((-2, -1)) / (before + after).sum((-2, -1))
        np.testing.assert_allclose(a.mean(0), (before + after) * share[:, None, None], atol=0.6)
    assert total == 500


def test_people_on_one_side_are_dealt_and_people_on_both_change_sides() -> None:
    first, second = np.array([1, 1, 1, 0, 0, 1, 1], dtype=bool), np.array([0, 0, 0, 1, 1, 1, 1], dtype=bool)
    a, b = dealt(first, second, 4000, np.random.default_rng(0))
    both, alone = first & second, first ^ second
    assert (a[:, both] + b[:, both] == 1).all()
    assert (a[:, alone] == b[:, alone]).all()
    assert (a[:, alone].sum(1) == 3).all()
    np.testing.assert_allclose(a[:, alone].mean(0), 3 / 5, atol=0.03)
    np.testing.assert_allclose(a[:, both].mean(0), 1 / 2, atol=0.03)


def test_people_take_all_of_their_images_along() -> None:
    rng = np.random.default_rng(1)
    n, g = 30, 2
    who, side = rng.integers(0, 6, n), rng.integers(0, 2, n)
    side[who < 3] = 0
    y, called, ids = rng.integers(0, 2, n), rng.integers(0, 2, n), rng.integers(0, g, n)
    people = by_person(y, called, ids + g * side, who, 2 * g, 2)
    allowed = {}
    for p in range(6):
        for s in (0, 1):
            own = (who == p) & (side == s)
            one = np.zeros((g, 2, 2), dtype=np.int64)
            np.add.at(one, (ids[own], y[own], called[own]), 1)
            allowed[p, s] = one
    whole = sum(allowed.values())
    for a, b in reshuffled_people(people, 30, rng):
        np.testing.assert_array_equal(a + b, np.broadcast_to(whole, a.shape))
        for replicate in a:
            # the sum of the images that are called "before" is that of whole people: solve for who they are
            found = _explained(replicate, [one for one in allowed.values() if one.any()])
            assert found


def _explained(target: np.ndarray, parts: list[np.ndarray]) -> bool:
    """Whether some of the parts add up to the target."""
    reached = {np.zeros_like(target).tobytes()}
    for part in parts:
        more = {(np.frombuffer(one, dtype=np.int64).reshape(target.shape) + part).tobytes() for one in reached}
        fitting = {m for m in more if (np.frombuffer(m, dtype=np.int64).reshape(target.shape) <= target).all()}
        reached |= fitting
    return target.tobytes() in reached


def test_drawing_anew() -> None:
    times = drawn(40, 5000, np.random.default_rng(0))
    assert (times.sum(1) == 40).all()
    np.testing.assert_allclose(times.mean(0), 1, atol=0.08)
    np.testing.assert_allclose(times.var(0), 39 / 40, rtol=0.12)
    assert drawn(0, 3, np.random.default_rng(0)).shape == (3, 0)
