"""Means over levels against plain loops and every choice of pairs, and how often their limits hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.metrics import intervals
from fairaudit.metrics.conditional import Level, _largest_mean, conditional_disparities, mean_difference, mean_gap
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Estimate

Z = intervals.quantile(0.95)


def _counts(right: IntArray, n: IntArray) -> IntArray:
    """(g, 2, 2) of groups of so many images of one class, of which so many are right."""
    return np.stack([np.stack([right, n - right], -1), np.zeros((len(n), 2), dtype=np.int64)], 1)


def _levels(right: IntArray, n: IntArray, min_support: int = 1, privileged: int | None = 0) -> list[Grouping]:
    """The same grouping within every level, from (levels, groups) counts."""
    groups = tuple({"race": f"g{i}"} for i in range(n.shape[1]))
    comparison = Comparison(0.95, privileged, min_support)
    return [
        Grouping(("race",), groups, Table(_counts(x, m), ("yes", "no")), comparison, given={"age": f"a{s}"})
        for s, (x, m) in enumerate(zip(right, n, strict=True))
    ]


def _parts(levels: list[Grouping], metric: str = "accuracy") -> list[Level]:
    measures = [one.table.measure(Metric(metric)) for one in levels]
    return [Level(m, one.comparison, float(m.support.sum())) for m, one in zip(measures, levels, strict=True)]


def _listed(levels: list[Grouping], kind: str, group: str | None = None, metric: str = "accuracy") -> Estimate:
    found = [
        d.estimate
        for d in conditional_disparities(levels)
        if (d.metric, d.kind, d.group) == (metric, kind, None if group is None else {"race": group})
    ]
    assert len(found) == 1
    return found[0]


def test_a_mean_difference_is_that_of_plain_loops() -> None:
    right, n = np.array([[90, 70, 40], [30, 45, 20], [15, 9, 12]]), np.array([[100, 100, 50], [40, 60, 40], [20, 20, 20]])
    found = conditional_disparities(_levels(right, n))
    z = intervals.sidak(2, 0.95)
    for i in (1, 2):
        total = float(n.sum())
        centre = below = above = smooth = 0.0
        for s in range(3):
            w = n[s].sum() / total
            p, limits = right[s] / n[s], clopper_pearson(right[s], n[s], z)
            centre += w * (p[i] - p[0])
            below += w**2 * ((p[i] - limits[0][i]) ** 2 + (limits[1][0] - p[0]) ** 2)
            above += w**2 * ((limits[1][i] - p[i]) ** 2 + (p[0] - limits[0][0]) ** 2)
            for g in (0, i):
                q = (right[s, g] + 2) / (n[s, g] + 4)
                smooth += w**2 * q * (1 - q) / n[s, g]
        [one] = [d.estimate for d in found if (d.metric, d.kind, d.group) == ("accuracy", "difference", {"race": f"g{i}"})]
        assert one.value == pytest.approx(centre)
        assert one.ci_low == pytest.approx(centre - max(math.sqrt(below), z * math.sqrt(smooth)))
        assert one.ci_high == pytest.approx(centre + max(math.sqrt(above), z * math.sqrt(smooth)))
        assert one.support == min(n[:, 0].sum(), n[:, i].sum())
        assert one.reason is None


def test_one_level_is_the_grouping_itself() -> None:
    levels = _levels(np.array([[90, 60, 33]]), np.array([[100, 80, 40]]))
    alone = {(d.metric, d.kind, repr(d.group)): d.estimate for d in summarise(levels[0], "named", 0).disparities}
    for d in conditional_disparities(levels):
        one, same = d.estimate, alone[d.metric, d.kind, repr(d.group)]
        assert one.value == pytest.approx(same.value, nan_ok=True)
        assert one.support == same.support
        if math.isnan(one.value):
            assert one.reason == "undefined: no level has enough support"
        elif d.kind == "gap":
            assert [one.ci_low, one.ci_high] == pytest.approx([same.ci_low, same.ci_high])
        else:
            assert one.ci_low <= same.ci_low + 1e-12
            assert one.ci_high >= same.ci_high - 1e-12


def test_a_gap_that_another_column_explains_is_gone_within_its_levels() -> None:
    """Of the young 60 % are right in both groups and of the old 95 %, but one group is young and the other is old."""
    n = np.array([[900, 300], [300, 900]])
    right = np.array([[540, 180], [285, 855]])
    levels = _levels(right, n)
    raw = (right.sum(0) / n.sum(0)).tolist()
    assert raw[1] - raw[0] == pytest.approx(0.175)
    assert _listed(levels, "difference", "g1").value == pytest.approx(0)
    gap = _listed(levels, "gap")
    assert gap.value == pytest.approx(0)
    assert gap.ci_low == 0
    assert gap.ci_high < 0.06


def test_gaps_that_point_in_different_directions_do_not_cancel() -> None:
    right, n = np.array([[950, 700], [700, 950]]), np.full((2, 2), 1000)
    levels = _levels(right, n)
    assert _listed(levels, "difference", "g1").value == pytest.approx(0)
    gap = _listed(levels, "gap")
    assert gap.value == pytest.approx(0.25)
    assert 0.2 < gap.ci_low < 0.25 < gap.ci_high < 0.3


def test_levels_that_are_too_small_are_left_out_and_named() -> None:
    right, n = np.array([[90, 80], [9, 1], [50, 0]]), np.array([[100, 100], [10, 10], [60, 0]])
    levels = _levels(right, n, min_support=20)
    for one in (_listed(levels, "difference", "g1"), _listed(levels, "gap")):
        assert one.value == pytest.approx(-0.1 if one.value < 0 else 0.1)
        assert one.reason == "left out: 2 of 3 levels (undefined or too small)"
    nothing = _listed(_levels(right[1:], n[1:], min_support=20), "gap")
    assert math.isnan(nothing.value)
    assert (nothing.support, nothing.reason) == (0, "undefined: no level has enough support")
    none = _listed(_levels(right[1:], n[1:], min_support=20), "difference", "g1")
    assert (math.isnan(none.value), none.reason) == (True, "undefined: no level has enough support")


def test_a_group_is_compared_where_both_it_and_the_privileged_one_can_be() -> None:
    right, n = np.array([[90, 80, 70], [45, 9, 40]]), np.array([[100, 100, 100], [50, 10, 50]])
    levels = _levels(right, n, min_support=20)
    one = _listed(levels, "difference", "g1")
    assert one.value == pytest.approx(-0.1)
    assert one.reason == "left out: 1 of 2 levels (undefined or too small)"
    whole = _listed(levels, "difference", "g2")
    assert whole.value == pytest.approx((300 * -0.2 + 110 * -0.1) / 410)
    assert whole.reason is None


def test_without_a_privileged_group_there_are_only_gaps() -> None:
    levels = _levels(np.array([[9, 8], [7, 9]]), np.array([[10, 10], [10, 10]]), privileged=None)
    assert {d.kind for d in conditional_disparities(levels)} == {"gap"}


def test_one_person_on_several_levels_widens_every_limit() -> None:
    right, n = np.array([[90, 70], [80, 75]]), np.full((2, 2), 100)
    parts = _parts(_levels(right, n))
    for alone, shared in (
        (mean_difference(parts, 1, Z), mean_difference(parts, 1, Z, 2)),
        (mean_gap(parts), mean_gap(parts, 2)),
    ):
        assert shared.value == alone.value
        assert shared.ci_low < alone.ci_low or alone.ci_low == 0
        assert shared.ci_high > alone.ci_high
    one, two = mean_difference(parts, 1, Z), mean_difference(parts, 1, Z, 4)
    assert two.ci_high - two.value == pytest.approx(2 * (one.ci_high - one.value))


@pytest.mark.parametrize("seed", range(4))
def test_the_upper_limit_holds_for_every_choice_of_pairs_and_is_hardly_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 200, (3, 4))
    right = rng.binomial(n, rng.uniform(0.3, 1, (3, 4)))
    parts, w = _parts(_levels(right, n)), n.sum(1) / n.sum()
    every = []
    for s, part in enumerate(parts):
        m, found = part.measure, []
        for i, j in itertools.permutations(range(4), 2):
            above = float(intervals.difference(m.value, m.limits, Z, i, j)[1])
            d = float(m.value[i] - m.value[j])
            square = max((above - d) ** 2, Z**2 * float(m.variance[i] + m.variance[j]))
            found.append((w[s] * d, w[s] ** 2 * square))
        every.append(found)
    worst = max(sum(d for d, _ in one) + math.sqrt(sum(q for _, q in one)) for one in itertools.product(*every))
    kept = [np.arange(4)] * 3
    found_limit = _largest_mean(parts, kept, w, Z, 1)
    assert worst - 1e-12 <= found_limit <= worst + 0.01


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=3), min_size=1, max_size=4)
)
def test_what_holds_of_any_counts(rows: list[list[tuple[int, int]]]) -> None:
    right = np.array([[x for x, _ in row] for row in rows])
    n = np.array([[x + y for x, y in row] for row in rows])
    gap = mean_gap(_parts(_levels(right, n)))
    usable = [s for s in range(len(n)) if (n[s] > 0).sum() >= 2]
    assert math.isnan(gap.value) == (not usable)
    if usable:
        p = [right[s][n[s] > 0] / n[s][n[s] > 0] for s in usable]
        expected = np.average([np.ptp(values) for values in p], weights=[n[s].sum() for s in usable])
        assert gap.value == pytest.approx(expected)
        assert 0 <= gap.ci_low <= gap.value + 1e-12 <= gap.ci_high + 2e-12 <= 1 + 3e-12
    turned = mean_gap(_parts(_levels(right[::-1], n[::-1])))
    assert (turned.value, turned.ci_low, turned.ci_high) == pytest.approx((gap.value, gap.ci_low, gap.ci_high), nan_ok=True)
    renamed = mean_gap(_parts(_levels(right[:, [2, 0, 1]], n[:, [2, 0, 1]], privileged=1)))
    assert (renamed.value, renamed.ci_low) == pytest.approx((gap.value, gap.ci_low), nan_ok=True)
    forth = mean_difference(_parts(_levels(right, n)), 1, Z)
    back = mean_difference(_parts(_levels(right, n, privileged=1)), 0, Z)
    if not math.isnan(forth.value):
        assert forth.ci_low <= forth.value <= forth.ci_high
        assert (back.value, back.ci_low, back.ci_high) == pytest.approx((-forth.value, -forth.ci_high, -forth.ci_low))


TRIALS, FLOOR = 250, 0.936


def _truth(kind: str, levels: int, groups: int) -> FloatArray:
    p = np.full((levels, groups), 0.9)
    if kind == "rare":
        p[:] = 0.98
        p[:, 0] = 0.5
    elif kind == "consistent":
        p[:, 1] = 0.75
    elif kind == "opposite":
        p[::2, 1], p[1::2, 1] = 0.75, 0.99
    return p


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("kind", "levels", "groups", "n"),
    [("equal", 5, 7, 20), ("rare", 15, 2, 20), ("consistent", 5, 2, 100), ("opposite", 4, 3, 60)],
)
def test_the_limits_hold(kind: str, levels: int, groups: int, n: int) -> None:
    rng = np.random.default_rng(11)
    p = _truth(kind, levels, groups)
    size = np.full(p.shape, n)
    if kind == "rare":
        size[:, 0] = 3000  # the privileged group is sure, so that nothing hides the short side of the other
    w = size.sum(1) / size.sum()
    truth, true_gap = float(w @ (p[:, 1] - p[:, 0])), float(w @ np.ptp(p, axis=1))
    covered = np.zeros(2)
    for _ in range(TRIALS):
        parts = _parts(_levels(rng.binomial(size, p), size))
        difference, gap = mean_difference(parts, 1, Z), mean_gap(parts)
        covered += [
            difference.ci_low - 1e-12 <= truth <= difference.ci_high + 1e-12,
            gap.ci_low - 1e-12 <= true_gap <= gap.ci_high + 1e-12,
        ]
    assert (covered / TRIALS >= FLOOR).all(), covered / TRIALS


@pytest.mark.statistics
def test_the_plain_way_would_be_wrong() -> None:
    """Square-and-add around the mean of observed gaps says of equal groups, nearly always, that they differ."""
    rng = np.random.default_rng(2)
    n = np.full((20, 7), 20)
    plain = ours = 0
    for _ in range(60):
        parts = _parts(_levels(rng.binomial(n, 0.9), n))
        each = [part.comparison.over_groups([part.measure], "gap").estimate for part in parts]
        centre = float(np.mean([e.value for e in each]))
        low = centre - math.sqrt(sum((e.value - e.ci_low) ** 2 for e in each)) / 20
        plain += int(low > 0)
        ours += int(mean_gap(parts).ci_low > 0)
    assert plain >= 54
    assert ours <= 4
