"""Changes: coverage of every interval, p-values under no change, and what must not be said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from fairaudit.comparison import Change, Trend
from fairaudit.metrics.change import paired_changes, unpaired_changes
from fairaudit.metrics.change_limits import bonett_price, mover_p
from fairaudit.metrics.compared import Question, group_statistic
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.paired import pair, values
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.seeds import seed_changes, sign_test_sentence, t_test
from fairaudit.predictions import FloatArray, IntArray

ACCURACY = (Metric("accuracy"),)


def question(
    g: int, replicates: int = 200, k: int = 2, floor: int = 20, families: int = 1, wanted: tuple[Metric, ...] = ()
) -> Question:
    groups = tuple({"race": str(i)} for i in range(g))
    return Question(groups, tuple("abcdef"[:k]), 1, 0.95, floor, replicates, 0, families, wanted)


def models(
    rng: np.random.Generator, n: int, before: FloatArray, after: FloatArray, shared: float = 0.7
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Labels, two models right with given chances per group, and groups; a share of images is as hard for both."""
    ids = np.repeat(np.arange(len(before)), n)
    y = rng.integers(0, 2, len(ids))
    hard = rng.random(len(ids))
    other = np.where(rng.random(len(ids)) < shared, hard, rng.random(len(ids)))
    return y, np.where(hard < before[ids], y, 1 - y), np.where(other < after[ids], y, 1 - y), ids


def one(changes: list[Change], metric: str, kind: str | None = None, group: int | None = None) -> Change:
    wanted = None if group is None else {"race": str(group)}
    return next(c for c in changes if (c.metric, c.kind, c.group) == (metric, kind, wanted))


def test_who_got_worse_is_named_and_who_did_not_is_not() -> None:
    before, after = np.array([0.9, 0.9, 0.8]), np.array([0.75, 0.9, 0.93])
    counted = pair(*models(np.random.default_rng(0), 400, before, after), 3, 2)
    changes = paired_changes(counted, question(3))
    found = [one(changes, "accuracy", group=g) for g in range(3)]
    assert [c.trend for c in found] == [Trend.WORSE, Trend.UNDECIDED, Trend.BETTER]
    errors = [one(changes, "error_rate", group=g) for g in range(3)]
    assert [c.trend for c in errors] == [Trend.WORSE, Trend.UNDECIDED, Trend.BETTER]
    assert [c.change.value for c in errors] == pytest.approx([-c.change.value for c in found])
    assert [(c.gained, c.lost) for c in errors] == [(c.lost, c.gained) for c in found]
    for c in found:
        assert c.test == "mcnemar"
        assert c.p <= c.p_adjusted
        assert c.p <= c.p_exact
        assert c.gained is not None
        assert c.lost is not None
        assert c.change.value == pytest.approx((c.gained - c.lost) / 400)
    twice = paired_changes(counted, question(3, families=2))
    assert one(twice, "accuracy", group=0).p_adjusted == pytest.approx(2 * found[0].p_adjusted)
    assert one(twice, "accuracy", group=0).change.ci_low < found[0].change.ci_low


def test_the_same_model_twice_shows_nothing() -> None:
    y, before, _, ids = models(np.random.default_rng(1), 60, np.array([0.9, 0.6]), np.array([0.9, 0.6]))
    for change in paired_changes(pair(y, before, before, ids, 2, 2), question(2)):
        assert change.trend is Trend.UNDECIDED, change.metric
        if not math.isnan(change.change.value):
            assert change.change.value == 0
            assert change.change.ci_low <= 0 <= change.change.ci_high
            assert change.p == 1


def test_undefined_and_small_groups_are_shown_and_left_out() -> None:
    y, before, after, ids = models(np.random.default_rng(2), 60, np.array([0.9, 0.6, 0.8]), np.array([0.7, 0.8, 0.8]))
    y[ids == 1] = 0  # no positives
    keep = (ids != 2) | (np.arange(len(ids)) % 6 == 0)  # ten images
    counted = pair(y[keep], before[keep], after[keep], ids[keep], 4, 2)
    changes = paired_changes(counted, question(4))
    assert one(changes, "true_positive_rate", group=1).change.reason == "undefined: 0 positives"
    assert one(changes, "accuracy", group=3).change.reason == "absent: no images"
    gap = one(changes, "accuracy", "gap")
    rates = [values(side, [Metric("accuracy")])[0][:2] for side in counted.sides()]
    assert gap.change.value == pytest.approx(np.ptp(rates[1]) - np.ptp(rates[0]))
    assert gap.change.reason == "left out: 2 of 4 groups (undefined or too small on a side)"
    assert math.isnan(one(changes, "true_positive_rate", "gap").change.value)


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize(("p", "q"), [(0.9, 0.9), (0.95, 0.8), (0.6, 0.7)])
def test_paired_proportions_are_covered(n: int, p: float, q: float) -> None:
    rng = np.random.default_rng([n, int(100 * p)])
    both = min(p, q) - 0.04
    cells = rng.multinomial(n, [both, q - both, p - both, 1 - p - q + both], size=20_000)
    low, high = bonett_price(cells[:, 1], cells[:, 2], np.array(n), 1.959964)
    covered = float(np.mean((low <= q - p) & (q - p <= high)))
    assert covered >= 0.94


@pytest.mark.statistics
def test_f_scores_and_precision_are_covered() -> None:
    rng = np.random.default_rng(4)
    before, after = np.array([0.85, 0.7]), np.array([0.7, 0.8])
    truth = {"f1": after - before, "precision": after - before}  # balanced labels, symmetric errors
    hits, trials = dict.fromkeys(truth, 0.0), 120
    for _ in range(trials):
        counted = pair(*models(rng, 60, before, after), 2, 2)
        changes = paired_changes(counted, question(2, replicates=100, wanted=(Metric("f1", 1), Metric("precision", 1))))
        for name, expected in truth.items():
            found = [one(changes, name, group=g).change for g in range(2)]
            hits[name] += all(e.ci_low <= t <= e.ci_high for e, t in zip(found, expected, strict=True)) / trials
    assert min(hits.values()) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials), hits


@pytest.mark.parametrize("kind", ["gap", "spread", "worst_group"])
def test_a_gap_that_closes_is_covered_where_the_percentile_bootstrap_is_not(kind: str) -> None:
    rng, g, trials = np.random.default_rng(5), 7, 60
    before, after = np.linspace(0.7, 0.95, g), np.full(g, 0.85)

    def of(rates: FloatArray) -> FloatArray:
        return group_statistic(rates, kind, Direction.HIGHER)  # type: ignore[arg-type]

    truth = float(of(after) - of(before))
    covered = percentile = 0
    for _ in range(trials):
        counted = pair(*models(rng, 400, before, after), g, 2)
        change = one(paired_changes(counted, question(g, replicates=100, wanted=ACCURACY)), "accuracy", kind).change
        covered += change.ci_low <= truth <= change.ci_high
        drawn = [
            of(values(b, [Metric("accuracy")])[0]) - of(values(a, [Metric("accuracy")])[0])
            for a, b in counted.resampled(200, rng)
        ]
        low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
        percentile += low <= truth <= high
    assert covered >= 0.95 * trials
    assert percentile < (0.9 if kind == "worst_group" else 0.6) * trials, "the negative control covers"


@pytest.mark.statistics
def test_false_alarms_are_rare_where_nothing_changed() -> None:
    rng, trials, alarms, spreads = np.random.default_rng(6), 150, 0, 0
    p = np.array([0.9, 0.8, 0.7])
    for _ in range(trials):
        changes = paired_changes(pair(*models(rng, 80, p, p), 3, 2), question(3, replicates=100, wanted=ACCURACY))
        alarms += any(one(changes, "accuracy", group=g).trend is not Trend.UNDECIDED for g in range(3))
        spreads += one(changes, "accuracy", "spread").p <= 0.05
    limit = (0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)) * trials
    assert alarms <= limit
    assert spreads <= limit


def test_other_images_are_compared_by_mover_and_p_is_where_the_interval_reaches_zero() -> None:
    rng = np.random.default_rng(7)
    before, after = np.array([0.9, 0.9]), np.array([0.7, 0.88])
    y, first, _, ids = models(rng, 150, before, before)
    y2, second, _, ids2 = models(rng, 90, after, after)
    counts = confusion(y, first, ids, 2, 2), confusion(y2, second, ids2, 2, 2)
    changes = unpaired_changes(*counts, question(2))
    assert one(changes, "accuracy", group=0).trend is Trend.WORSE
    assert one(changes, "accuracy", group=1).trend is Trend.UNDECIDED
    assert one(changes, "accuracy", group=0).test == "mover"
    tables = [Table(c, ("a", "b"), 1) for c in counts]
    measures = tables[0].measure(Metric("accuracy")), tables[1].measure(Metric("accuracy"))
    for g, p in enumerate(mover_p(measures)):
        z = float(norm.isf(p / 2))
        (low1, high1), (low2, high2) = (m.limits(z) for m in measures)
        a, b = (float(m.value[g]) for m in measures)
        edge = (b - a) + math.hypot(high2[g] - b, a - low1[g]) if b < a else (b - a) - math.hypot(b - low2[g], high1[g] - a)
        assert edge <= 0 if p == 1 else edge == pytest.approx(0, abs=1e-4)


def test_seeds_are_tested_by_students_paired_t() -> None:
    rng = np.random.default_rng(8)
    p, q = np.array([0.9, 0.8, 0.8]), np.array([0.8, 0.8, 0.85])
    sides = []
    for chance in (p, q):
        runs = [models(rng, 100, chance, chance) for _ in range(5)]
        sides.append(np.stack([confusion(y, predicted, ids, 3, 2) for y, predicted, _, ids in runs]))
    tables = [[question(3).table(run) for run in side] for side in sides]
    changes = list(seed_changes(tables[0], tables[1], question(3)))
    accuracy = [values(side, [Metric("accuracy")])[0] for side in sides]
    for g in range(3):
        c = one(changes, "accuracy", group=g)
        expected = ttest_rel(accuracy[1][:, g], accuracy[0][:, g])
        assert c.p == pytest.approx(expected.pvalue)
        limits = expected.confidence_interval(0.95)
        assert (c.change.ci_low, c.change.ci_high) == pytest.approx((limits.low, limits.high))
        assert c.sd == pytest.approx((accuracy[0][:, g].std(ddof=1), accuracy[1][:, g].std(ddof=1)))
    spread = one(changes, "accuracy", "spread")
    assert spread.p == pytest.approx(ttest_rel(accuracy[1].std(1), accuracy[0].std(1)).pvalue)
    assert one(changes, "accuracy", group=0).trend is Trend.WORSE
    assert one(changes, "accuracy", group=1).trend is Trend.UNDECIDED


def test_seeds_that_do_not_scatter_prove_nothing() -> None:
    assert math.isnan(t_test(np.array([0.5, 0.5]), np.array([0.75, 0.75]))[0])
    assert math.isnan(t_test(np.array([0.5]), np.array([0.75]))[0])
    counts = np.tile(np.array([[[30, 10], [10, 30]]]), (3, 2, 1, 1))
    runs = [question(2).table(run) for run in counts]
    for change in seed_changes(runs, runs, question(2)):
        assert change.trend is Trend.UNDECIDED


def test_what_a_sign_test_can_reach() -> None:
    assert sign_test_sentence(5, 0.95) == "a sign test on 5 seeds can never reach 0.05: its smallest p is 0.0625"
    assert "can never" not in sign_test_sentence(6, 0.95)


@pytest.mark.statistics
@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_the_permutation_test_of_a_gap_keeps_its_level(design: str) -> None:
    rng, trials, replicates, rejected = np.random.default_rng(9), 150, 99, 0
    p = np.array([0.8, 0.75, 0.7])  # the groups differ, the models do not
    for _ in range(trials):
        asked = question(3, replicates=replicates, wanted=ACCURACY)
        y, before, after, ids = models(rng, 400, p, p, shared=0.3)
        if design == "paired":
            changes = paired_changes(pair(y, before, after, ids, 3, 2), asked)
        else:
            y2, other, _, ids2 = models(rng, 400, p, p)
            changes = unpaired_changes(confusion(y, before, ids, 3, 2), confusion(y2, other, ids2, 3, 2), asked)
        rejected += one(changes, "accuracy", "gap").p <= 0.05
    # 99 permutations and p ≤ 5/100: exact but for ties, which can only make it smaller
    error = math.sqrt(0.05 * 0.95 / trials)
    assert abs(rejected / trials - 0.05) <= 3 * error


@pytest.mark.statistics
def test_the_mean_over_groups_is_covered_and_is_the_mean_of_changes() -> None:
    rng, trials, covered = np.random.default_rng(10), 120, 0
    before, after = np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.8, 0.75])
    for _ in range(trials):
        counted = pair(*models(rng, 60, before, after), 3, 2)
        changes = paired_changes(counted, question(3, replicates=100, wanted=ACCURACY))
        mean = one(changes, "accuracy", "mean")
        groups = [one(changes, "accuracy", group=g) for g in range(3)]
        assert mean.change.value == pytest.approx(np.mean([c.change.value for c in groups]))
        assert mean.before.value == pytest.approx(np.mean([c.before.value for c in groups]))
        assert mean.before.ci_low < mean.before.value < mean.before.ci_high
        covered += mean.change.ci_low <= float((after - before).mean()) <= mean.change.ci_high
    assert covered >= (0.95 - 4 * math.sqrt(0.95 * 0.05 / trials)) * trials
