"""Every interval against golden values, scipy, or the same formula written as a plain loop."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize, stats

from fairaudit.metrics import intervals
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.predictions import FloatArray

Z = intervals.quantile(0.95)

GOLDEN = {
    # (hits, images): gap, min/max ratio, largest difference from the first group, population SD
    "three": ([90, 70, 95], [100, 100, 100], (0.1222, 0.3553), (0.6294, 0.8651), (0.0684, 0.3121), (0.0606, 0.1634)),
    "small beside large": (
        [20, 4600, 4400], [20, 5000, 5000], (0.0258, 0.1293), (0.8707, 0.9717), (0.0, 0.1293), (0.0, 0.1429),
    ),
    "two": ([45, 30], [50, 50], (0.1199, 0.4625), (0.4979, 0.8548), (0.1199, 0.4625), (0.0675, 0.2477)),
    "seven perfect": ([20] * 7, [20] * 7, (0.0, 0.1684), (0.8316, 1.0), (0.0, 0.1684), (0.0, 0.0609)),
}  # fmt: skip

TABLES = [
    ([90, 70, 95], [100, 100, 100]),
    ([20, 4600, 4400], [20, 5000, 5000]),
    ([0, 3, 9, 5], [7, 11, 9, 300]),
    ([0, 0], [20, 50]),
    ([1, 0, 1], [1, 1, 1]),
    ([3, 9, 27, 80, 241], [9, 27, 81, 243, 729]),
]


def _exact(x: list[int], n: list[int]) -> tuple[FloatArray, intervals.Limits]:
    hits, images = np.array(x, dtype=float), np.array(n, dtype=float)
    return hits / images, lambda z: clopper_pearson(hits, images, z)


def _spread(x: list[int], n: list[int], confidence: float = 0.95) -> intervals.Interval:
    hits, images = np.array(x, dtype=float), np.array(n, dtype=float)
    smooth = (hits + 2) / (images + 4)
    low, high = intervals.wilson(hits, images, intervals.quantile(confidence))
    half = max((hits / images - low).max(), (high - hits / images).max())
    return intervals.spread(hits / images, smooth * (1 - smooth) / images, float(half), confidence)


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_values(case: str) -> None:
    x, n, gap, ratio, reference, spread = GOLDEN[case]
    p, limits = _exact(x, n)
    assert intervals.gap(p, limits, 0.95) == pytest.approx(gap, abs=5.1e-5)
    assert intervals.min_max_ratio(p, limits, 0.95) == pytest.approx(ratio, abs=5.1e-5)
    assert intervals.reference_maximum(p, limits, 0.95, 0) == pytest.approx(reference, abs=5.1e-5)
    assert _spread(x, n) == pytest.approx(spread, abs=5.1e-5)


@pytest.mark.parametrize(
    ("groups", "c"),
    [(2, 1.960), (3, 2.344), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.948), (10, 3.164), (14, 3.354), (20, 3.544)],
)
def test_critical_values_of_the_range(groups: int, c: float) -> None:
    assert intervals.studentized_range(groups, 0.95) == pytest.approx(c, abs=5.1e-4)


@pytest.mark.parametrize(("groups", "c"), [(7, 3.173), (14, 3.561)])
def test_critical_values_of_two_ranges_at_once(groups: int, c: float) -> None:
    assert intervals.studentized_range(groups, 0.95**0.5) == pytest.approx(c, abs=5.1e-4)


@pytest.mark.parametrize(("groups", "confidence"), [(2, 0.8), (3, 0.9), (9, 0.99), (60, 0.95), (400, 0.95)])
def test_the_range_agrees_with_scipy(groups: int, confidence: float) -> None:
    q = intervals.studentized_range(groups, confidence) * math.sqrt(2)
    # scipy has no infinite degrees of freedom for many groups in reasonable time; a million differ in the sixth digit
    assert stats.studentized_range.cdf(q, groups, 1e6) == pytest.approx(confidence, abs=2e-5)


def test_one_group_has_no_range_but_a_quantile() -> None:
    assert intervals.studentized_range(1, 0.95) == Z


def test_quantiles_agree_with_scipy() -> None:
    assert pytest.approx(stats.norm.ppf(0.975)) == Z
    assert intervals.sidak(13, 0.95) == pytest.approx(stats.norm.ppf((1 + 0.95 ** (1 / 13)) / 2))
    assert intervals.sidak(0, 0.95) == Z


@pytest.mark.parametrize("n", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_one_proportion_agrees_with_scipy(n: int, confidence: float) -> None:
    x = np.unique(np.linspace(0, n, 12).astype(int))
    z = intervals.quantile(confidence)
    for name, function in (("wilson", intervals.wilson), ("exact", clopper_pearson)):
        low, high = function(x.astype(float), np.full(x.shape, float(n)), z)
        for i, hits in enumerate(x):
            expected = stats.binomtest(int(hits), n).proportion_ci(confidence, method=name)
            assert (low[i], high[i]) == pytest.approx((expected.low, expected.high), abs=1e-9), (name, hits)


@pytest.mark.parametrize("function", [intervals.wilson, clopper_pearson])
def test_limits_at_the_ends_are_exact_and_nothing_gives_nothing(
    function: Callable[..., tuple[FloatArray, FloatArray]],
) -> None:
    low, high = function(np.array([0.0, 9.0, 1e8, 0.0]), np.array([9.0, 9.0, 1e8, 0.0]), Z)
    assert low[0] == 0.0
    assert high[1] == 1.0
    assert high[2] == 1.0
    assert 0 < high[0] < 1
    assert 0 < low[1] < 1
    assert 1 - 1e-7 < low[2] < 1
    assert np.isnan([low[3], high[3]]).all()


@pytest.mark.parametrize(("x", "n"), TABLES)
def test_difference_is_square_and_add(x: list[int], n: list[int]) -> None:
    p, limits = _exact(x, n)
    for z in (1.0, Z, 3.2):
        low, high = limits(z)
        for i in range(len(x)):
            for j in range(len(x)):
                below, above = intervals.difference(p, limits, z, i, j)
                d = x[i] / n[i] - x[j] / n[j]
                assert below == pytest.approx(d - math.sqrt((p[i] - low[i]) ** 2 + (high[j] - p[j]) ** 2))
                assert above == pytest.approx(d + math.sqrt((high[i] - p[i]) ** 2 + (p[j] - low[j]) ** 2))


@pytest.mark.parametrize(("x", "n"), TABLES)
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_what_is_over_groups_is_an_extreme_over_pairs(x: list[int], n: list[int], confidence: float) -> None:
    p, limits = _exact(x, n)
    z, c = intervals.quantile(confidence), intervals.studentized_range(len(x), confidence)
    s = intervals.sidak(len(x) - 1, confidence)
    pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    low = max([0.0] + [_minus(p, limits, c, i, j)[0] for i, j in pairs])
    high = min([1.0, max(_minus(p, limits, z, i, j)[1] for i, j in pairs)])
    assert intervals.gap(p, limits, confidence) == pytest.approx((low, high))
    low = min(_over(p, limits, z, i, j)[0] for i, j in pairs)
    high = min([1.0] + [_over(p, limits, c, i, j)[1] for i, j in pairs])
    assert intervals.min_max_ratio(p, limits, confidence) == pytest.approx((low, high))
    for reference in range(len(x)):
        others = [g for g in range(len(x)) if g != reference]
        family, single = ([_minus(p, limits, q, g, reference) for g in others] for q in (s, z))
        low = max([0.0] + [max(a, -b) for a, b in family])
        high = min([1.0, max(max(b, -a) for a, b in single)])
        assert intervals.reference_maximum(p, limits, confidence, reference) == pytest.approx((low, high))


def _minus(p: FloatArray, limits: intervals.Limits, z: float, i: int, j: int) -> tuple[float, float]:
    low, high = limits(z)
    d = p[i] - p[j]
    below = d - math.sqrt((p[i] - low[i]) ** 2 + (high[j] - p[j]) ** 2)
    return below, d + math.sqrt((high[i] - p[i]) ** 2 + (p[j] - low[j]) ** 2)


def _over(p: FloatArray, limits: intervals.Limits, z: float, i: int, j: int) -> tuple[float, float]:
    low, high = limits(z)
    b = p[i] * p[j]
    a, c = high[j] * (2 * p[j] - high[j]), low[i] * (2 * p[i] - low[i])
    bottom = b + math.sqrt(max(b * b - a * c, 0.0))
    a2, c2 = low[j] * (2 * p[j] - low[j]), high[i] * (2 * p[i] - high[i])
    above = (b + math.sqrt(max(b * b - a2 * c2, 0.0))) / a2 if a2 else math.inf
    return (c / bottom if bottom else 0.0), above


@pytest.mark.parametrize(("x", "n"), TABLES)
def test_ratio_is_the_loop(x: list[int], n: list[int]) -> None:
    p, limits = _exact(x, n)
    for i in range(len(x)):
        for j in range(len(x)):
            below, above = intervals.ratio(p, limits, Z, i, j)
            assert (float(below), float(above)) == pytest.approx(_over(p, limits, Z, i, j))
            if p[j] > 0:
                assert below <= p[i] / p[j] + 1e-12
                assert above >= p[i] / p[j] - 1e-12


@pytest.mark.parametrize(("x", "n"), TABLES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_spread_inverts_the_noncentral_chi_square(x: list[int], n: list[int], confidence: float) -> None:
    g = len(x)
    p = [a / b for a, b in zip(x, n, strict=True)]
    mean = sum(p) / g
    s = sum((value - mean) ** 2 for value in p)
    v = [(a + 2) / (b + 4) * (1 - (a + 2) / (b + 4)) / b for a, b in zip(x, n, strict=True)]
    t1 = (1 - 1 / g) * sum(v)
    scale = ((1 - 2 / g) * sum(one**2 for one in v) + sum(v) ** 2 / g**2) / t1
    if s > 0:
        scale = max(scale, sum((value - mean) ** 2 * one for value, one in zip(p, v, strict=True)) / s)
    tail, dof = 0.5 + confidence / 2, t1 / scale
    low = 0.0
    if s > 0 and stats.chi2.cdf(s / scale, dof) > tail:
        found = optimize.brentq(lambda nc: stats.ncx2.cdf(s / scale, dof, nc) - tail, 1e-9, 10 * s / scale)
        low = math.sqrt(scale * found / g)
    half = 0.0
    for a, b in zip(x, n, strict=True):
        one = stats.binomtest(a, b).proportion_ci(confidence, method="wilson")
        half = max(half, a / b - one.low, one.high - a / b)
    expected = low, min(0.5, math.sqrt(s / g) + half / math.sqrt(g))
    assert _spread(x, n, confidence) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_judged_together_only_the_lower_limit_pays() -> None:
    p, limits = _exact([90, 70, 95], [100, 100, 100])
    alone, together = intervals.gap(p, limits, 0.95), intervals.gap(p, limits, 0.95, joint=2)
    assert together.low < alone.low
    assert together.high == alone.high
    v = np.full(3, 0.001)
    one, two = intervals.spread(p, v, 0.05, 0.95), intervals.spread(p, v, 0.05, 0.95, joint=2)
    assert two.low < one.low
    assert two.high == one.high


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_limits_are_monotone_in_z_and_enclose_the_value(beta: float) -> None:
    x, n = np.array([0.0, 0.0, 1.0, 3.0, 9.0, 900.0]), np.array([1.0, 30.0, 1.0, 9.0, 9.0, 1000.0])
    tp, fn, fp = np.array([[0.0, 1.0, 0.0], [5.0, 0.0, 0.0], [7.0, 2.0, 1.0], [7.0, 0.0, 3.0], [700.0, 20.0, 30.0]]).T
    weight = beta**2
    score = (1 + weight) * tp / ((1 + weight) * tp + weight * fn + fp)
    functions: list[tuple[FloatArray, intervals.Limits]] = [
        (x / n, lambda z: intervals.wilson(x, n, z)),
        (x / n, lambda z: clopper_pearson(x, n, z)),
        (score, lambda z: intervals.f_score(tp, fn, fp, beta, z)),
    ]
    for value, function in functions:
        low_before, high_before = function(0.5)
        for z in (1.0, 1.96, 3.0, 5.0):
            low, high = function(z)
            assert (low <= value + 1e-12).all()
            assert (value <= high + 1e-12).all()
            assert (low <= low_before + 1e-12).all()
            assert (high >= high_before - 1e-12).all()
            assert (low >= 0).all()
            assert (high <= 1).all()
            low_before, high_before = low, high


def test_f1_limits_are_those_of_the_jaccard_index() -> None:
    tp, fn, fp = np.array([0.0, 5.0, 40.0, 9.0]), np.array([3.0, 0.0, 5.0, 1.0]), np.array([1.0, 0.0, 5.0, 7.0])
    low, high = intervals.f_score(tp, fn, fp, 1.0, Z)
    for i in range(4):
        jaccard = stats.binomtest(int(tp[i]), int(tp[i] + fn[i] + fp[i])).proportion_ci(0.95, method="exact")
        expected = [2 * j / (1 + j) for j in (jaccard.low, jaccard.high)]
        assert [low[i], high[i]] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("beta", [0.5, 2.0, 3.0])
@pytest.mark.parametrize(("tp", "fn", "fp"), [(40, 5, 3), (40, 0, 3), (40, 5, 0), (40, 0, 0), (0, 3, 4), (3, 2, 200)])
def test_f_score_limits_restated(beta: float, tp: int, fn: int, fp: int) -> None:
    w = beta * beta

    def score(jaccard: float, share: float) -> float:
        return (1 + w) * jaccard / ((1 + w) * jaccard + (1 - jaccard) * (w * share + 1 - share))

    hits = stats.binomtest(tp, tp + fn + fp).proportion_ci(0.95, method="exact")
    jaccard = tp / (tp + fn + fp)
    if fn + fp:
        errors = stats.binomtest(fn, fn + fp).proportion_ci(0.95, method="exact")
        share, few, many = fn / (fn + fp), errors.low, errors.high
    else:
        share = 1.0 if beta >= 1 else 0.0  # nothing is known: the worse of both
        few, many = 0.0, 1.0
    worse, better = (many, few) if beta >= 1 else (few, many)
    value = score(jaccard, share)
    low = value - math.hypot(value - score(hits.low, share), score(hits.low, share) - score(hits.low, worse))
    high = value + math.hypot(score(hits.high, share) - value, score(jaccard, better) - value)
    found = intervals.f_score(np.array(float(tp)), np.array(float(fn)), np.array(float(fp)), beta, Z)
    assert [float(f) for f in found] == pytest.approx([max(0.0, low) if tp else 0.0, min(1.0, high) if fn + fp else 1.0])


def test_f_score_of_nothing_is_nothing() -> None:
    zero = np.zeros(1)
    assert np.isnan(intervals.f_score(zero, zero, zero, 2.0, Z)).all()
    assert np.isnan(intervals.f_score_variance(zero, zero, zero, 2.0)).all()


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_score_variance_is_that_of_many_draws(beta: float) -> None:
    rng = np.random.default_rng(3)
    tp, fn, fp = rng.multinomial(4000, [0.7, 0.1, 0.2], size=40_000).T.astype(float)
    w = beta**2
    drawn = ((1 + w) * tp / ((1 + w) * tp + w * fn + fp)).var()
    found = intervals.f_score_variance(np.array(2800.0), np.array(400.0), np.array(800.0), beta)
    assert found == pytest.approx(drawn, rel=0.04)


def test_mean_of_values_adds_squares() -> None:
    p, low, high = np.array([0.5, 0.9]), np.array([0.4, 0.7]), np.array([0.7, 0.95])
    below, above = intervals.mover_mean(p, low, high)
    assert below == pytest.approx(0.7 - math.sqrt(0.1**2 + 0.2**2) / 2)
    assert above == pytest.approx(0.7 + math.sqrt(0.2**2 + 0.05**2) / 2)
    # two values that move together by as much are as uncertain as one of them
    below, _ = intervals.mover_mean(np.array([0.5, 0.5]), np.array([0.4, 0.4]), np.array([0.6, 0.6]), shared=2)
    assert below == pytest.approx(0.4)
    assert intervals.mover_mean(np.array([0.1, 0.1]), np.zeros(2), np.ones(2), 2)[0] == 0.0


def test_a_hundred_million_images_leave_no_doubt() -> None:
    n = 10**8
    p, limits = _exact([9 * n // 10, 7 * n // 10, 95 * n // 100], [n, n, n])
    gap, spread = intervals.gap(p, limits, 0.95), _spread([9 * n // 10, 7 * n // 10, 95 * n // 100], [n, n, n])
    assert gap.low < 0.25 < gap.high
    assert gap.high - gap.low < 3e-4
    assert spread.low < float(p.std()) < spread.high
    assert spread.high - spread.low < 3e-4
