"""Changes of scores: permutations against rows that are really swapped, coverage, false alarms, people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss

from fairaudit.comparison import Change, Trend
from fairaudit.metrics.compared import Question
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.influence import row_pulls
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.score_change import Rows, _deals, _Errors, _Means, _of_pulls, _swaps, score_changes
from fairaudit.metrics.score_measures import score_measures
from fairaudit.predictions import FloatArray, IntArray, Task


def rows(y: IntArray, ids: IntArray, p: FloatArray, units: IntArray | None = None, cluster: bool = False) -> Rows:
    groups = int(ids.max()) + 1
    task = Task(("no", "yes"), y, (p > 0.5).astype(np.int64), np.stack([1 - p, p], 1))
    table = Table(confusion(y, task.y_pred, ids, groups, 2), task.classes, 1)
    who = np.arange(len(y)) if units is None else units
    table = replace(table, rows=score_measures(task, ids, table, (), who if cluster else None))
    return Rows(ids, who, table, row_pulls(task, ids, table))


def models(
    rng: np.random.Generator, n: int, g: int, strength: tuple[float, float], shared: float = 0.7
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Labels, groups, and the scores of two models that are as strong and share so much of what is hard."""
    y = np.tile((np.arange(n) % 2).astype(np.int64), g)
    both = rng.normal(size=n * g)
    found = []
    for s in strength:
        own = np.sqrt(shared) * both + np.sqrt(1 - shared) * rng.normal(size=n * g)
        found.append(expit(s * (s * (y - 0.5) + own)))
    return y, np.repeat(np.arange(g), n), found[0], found[1]


def asked(g: int, replicates: int = 200, seed: int = 0) -> Question:
    groups = tuple({"race": str(i)} for i in range(g))
    return Question(groups, ("no", "yes"), 1, 0.95, 20, replicates, seed)


def one(changes: list[Change], metric: str, kind: str | None = None, group: int | None = None) -> Change:
    wanted = None if group is None else {"race": str(group)}
    return next(c for c in changes if (c.metric, c.kind, c.group) == (metric, kind, wanted))


def test_swapped_losses_and_calibration_errors_are_those_of_swapped_rows() -> None:
    rng = np.random.default_rng(0)
    y, ids, p, q = models(rng, 40, 2, (1.5, 2.0))
    before, after = rows(y, ids, p), rows(y, ids, q)
    (first, second), *_ = list(_swaps(before, 6, rng))
    metrics = [Metric("brier", 1), Metric("log_loss")]
    means, error = _Means(before, after, metrics), _Errors(before, after, Metric("ece", 1))
    found, errors = means.at(first, second), error.at(first, second)
    for b in range(6):
        swapped = second[b].astype(bool)
        for side, scores in ((0, np.where(swapped, q, p)), (1, np.where(swapped, p, q))):
            for g in range(2):
                own = ids == g
                assert found[0][side][b, g] == pytest.approx(brier_score_loss(y[own], scores[own]))
                assert found[1][side][b, g] == pytest.approx(log_loss(y[own], scores[own]))
                expected = rows(y[own], np.zeros(40, dtype=np.int64), scores[own]).table.rows[Metric("ece", 1)].value
                assert errors[side][b, g] == pytest.approx(float(expected[0]))


def test_swapping_nothing_and_everything_gives_the_models_back() -> None:
    rng = np.random.default_rng(1)
    y, ids, p, q = models(rng, 30, 3, (1.5, 2.0))
    before, after = rows(y, ids, p), rows(y, ids, q)
    smooth = [m for m, pull in before.pulls.items() if pull.bins is None]
    nothing, everything = np.ones((1, 90)), np.zeros((1, 90))
    for metric, (a, b), (c, d) in zip(
        smooth,
        _Means(before, after, smooth).at(nothing, everything),
        _Means(before, after, smooth).at(everything, nothing),
        strict=True,
    ):
        first, second = before.table.measure(metric).value, after.table.measure(metric).value
        for got, expected in ((a, first), (b, second), (c, second), (d, first)):
            np.testing.assert_allclose(got[0], expected, err_msg=str(metric))


def test_other_images_are_dealt_within_groups() -> None:
    rng = np.random.default_rng(2)
    y, ids, p, _ = models(rng, 20, 2, (1.0, 1.0))
    y2, ids2, q, _ = models(rng, 30, 2, (1.0, 1.0))
    before, after = rows(y, ids, p, np.arange(40)), rows(y2, ids2, q, np.arange(40, 100))
    for first, second in _deals(before, after, 30, rng):
        for g in range(2):
            np.testing.assert_array_equal(first[:, ids == g].sum(1) + second[:, ids2 == g].sum(1), np.full(30, 20))
    people = rows(y, ids, p, np.arange(40) // 2), rows(y2, ids2, q, np.r_[np.arange(20), 100 + np.arange(40) // 2])
    for first, second in _deals(*people, 30, rng):
        np.testing.assert_array_equal(first[:, ::2], first[:, 1::2])  # both images of a person
        np.testing.assert_array_equal(second[:, :20], 1 - first[:, ::2])  # who is on both sides changes sides
        np.testing.assert_array_equal(second[:, 20::2], second[:, 21::2])


def test_the_same_scores_twice_show_nothing() -> None:
    y, ids, p, _ = models(np.random.default_rng(3), 40, 2, (1.0, 1.0))
    changes = score_changes(rows(y, ids, p), rows(y, ids, p), asked(2), True)
    assert {c.metric for c in changes} == {
        "auroc", "average_precision", "brier", "ece", "ece_equal_mass", "log_loss", "confidence_ece",
    }  # fmt: skip
    for c in changes:
        assert (c.trend, c.change.value, c.p) == (Trend.UNDECIDED, 0, 1), (c.metric, c.kind)
        assert c.change.ci_low <= 0 <= c.change.ci_high


def test_who_got_worse_is_named() -> None:
    rng = np.random.default_rng(4)
    y, ids, p, q = models(rng, 300, 3, (2.0, 2.0))
    worse = models(rng, 300, 3, (2.0, 0.7))[3]
    q = np.where(ids == 1, worse, q)
    changes = score_changes(rows(y, ids, p), rows(y, ids, q), asked(3), True)
    for metric in ("auroc", "average_precision", "brier", "log_loss"):
        assert [one(changes, metric, group=g).trend for g in range(3)] == [
            Trend.UNDECIDED, Trend.WORSE, Trend.UNDECIDED,
        ], metric  # fmt: skip
        assert one(changes, metric, "gap").trend is Trend.WORSE
        assert one(changes, metric, group=1).test == "permutation"
    area = one(changes, "auroc", group=1)
    assert area.change.value == pytest.approx(area.after.value - area.before.value)
    assert area.change.ci_low < area.change.value < area.change.ci_high < 0


def test_correlations_are_those_of_the_images() -> None:
    rng = np.random.default_rng(5)
    y, ids, p, q = models(rng, 60, 2, (1.5, 1.5))
    before, after = rows(y, ids, p), rows(y, ids, q)
    metric = Metric("brier", 1)
    found = _of_pulls(before, before.pulls[metric].pull, after.pulls[metric].pull)
    for g in range(2):
        own = ids == g
        assert found[g] == pytest.approx(np.corrcoef((p - y)[own] ** 2, (q - y)[own] ** 2)[0, 1])


@pytest.mark.statistics
def test_changes_are_covered_and_false_alarms_rare() -> None:
    rng, trials, strength = np.random.default_rng(6), 60, (1.5, 1.5)
    covered: dict[str, int] = {}
    alarms: dict[str, int] = {}
    for _ in range(trials):
        y, ids, p, q = models(rng, 60, 1, strength)
        for c in score_changes(rows(y, ids, p), rows(y, ids, q), asked(1, 99, int(rng.integers(10**9))), True):
            covered[c.metric] = covered.get(c.metric, 0) + (c.change.ci_low <= 0 <= c.change.ci_high)
            alarms[c.metric] = alarms.get(c.metric, 0) + (c.p <= 0.05)
    error = 4 * np.sqrt(0.05 * 0.95 / trials)
    for metric, times in covered.items():
        assert times >= (0.95 - error) * trials, metric
        assert alarms[metric] <= (0.05 + error) * trials, metric


def test_copies_of_a_persons_image_change_no_p_and_narrow_nothing() -> None:
    rng = np.random.default_rng(7)
    y, ids, p, q = models(rng, 60, 2, (1.5, 1.9))
    labels, cells, who = (np.repeat(x, 4) for x in (y, ids, np.arange(120)))
    first, second = (np.repeat(x, 4) for x in (p, q))
    once = score_changes(rows(y, ids, p), rows(y, ids, q), asked(2), True)
    a_side, b_side = (rows(labels, cells, x, who, cluster=True) for x in (first, second))
    copied = score_changes(a_side, b_side, asked(2), True)
    blunt = score_changes(rows(labels, cells, first), rows(labels, cells, second), asked(2), True)
    for a, b, c in zip(once, copied, blunt, strict=True):
        assert a.change.value == pytest.approx(b.change.value)
        if "ece" in a.metric:
            continue  # whose bootstrap draws people, and whose bins of equal mass follow the rows
        assert a.p == pytest.approx(b.p)
        if a.kind is None:
            width = [x.change.ci_high - x.change.ci_low for x in (a, b, c)]
            assert width[1] >= 0.97 * width[0], a.metric
            assert width[2] < 0.8 * width[0], "the negative control"


def test_other_images_and_their_people() -> None:
    rng = np.random.default_rng(8)
    y, ids, p, _ = models(rng, 150, 2, (2.0, 2.0))
    y2, ids2, _, q = models(rng, 120, 2, (2.0, 0.6))
    sides = rows(y, ids, p, np.arange(300)), rows(y2, ids2, q, np.arange(300, 540))
    plain = score_changes(*sides, asked(2), False)
    assert one(plain, "auroc", group=0).trend is Trend.WORSE
    assert one(plain, "auroc", group=0).test == "mover"
    who = np.arange(300) // 5, 60 + np.arange(240) // 5
    people = score_changes(rows(y, ids, p, who[0], True), rows(y2, ids2, q, who[1], True), asked(2), False)
    for a, b in zip(plain, people, strict=True):
        if a.kind is None and "ece" not in a.metric:  # whose upper limit takes off what more noise adds
            assert b.change.ci_high - b.change.ci_low >= a.change.ci_high - a.change.ci_low - 1e-9
    assert all(np.isfinite(c.p) for c in people)
