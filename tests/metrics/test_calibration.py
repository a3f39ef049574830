"""Losses and calibration errors against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics import calibration
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.score_measures import check_scores, score_measures
from fairaudit.predictions import BoolArray, FloatArray, IntArray, Task


def _task(n: int, k: int, seed: int = 0) -> tuple[Task, IntArray]:
    rng = np.random.default_rng(seed)
    score = rng.dirichlet(np.ones(k), n)
    true = np.array([rng.choice(k, p=p) for p in score])
    return Task(tuple("abcdefg"[:k]), true, score.argmax(-1), score), rng.integers(0, 3, n)


def _table(task: Task, ids: IntArray, positive: int | None = None) -> Table:
    return Table(confusion(task.y_true, task.y_pred, ids, 3, len(task.classes)), task.classes, positive)


def _bins(score: FloatArray, hit: BoolArray, parts: list[IntArray]) -> float:
    return float(sum(abs(score[p].mean() - hit[p].mean()) * len(p) / len(score) for p in parts if len(p)))


@pytest.mark.parametrize("k", [2, 7])
def test_metrics_of_scores_are_scikit_learns(k: int) -> None:
    task, ids = _task(500, k)
    found = score_measures(task, ids, _table(task, ids))
    assert task.y_score is not None
    for g in range(3):
        y, s = task.y_true[ids == g], task.y_score[ids == g]
        assert found[Metric("log_loss")].value[g] == pytest.approx(sk.log_loss(y, s, labels=range(k)))
        for c in range(k):
            assert found[Metric("brier", c)].value[g] == pytest.approx(sk.brier_score_loss(y == c, s[:, c]))
            assert found[Metric("auroc", c)].value[g] == pytest.approx(sk.roc_auc_score(y == c, s[:, c]))
            part = sk.average_precision_score(y == c, s[:, c])
            assert found[Metric("average_precision", c)].value[g] == pytest.approx(part)
            edges = [np.flatnonzero(np.minimum(np.floor(s[:, c] * 100), 99) == b) for b in range(100)]
            assert found[Metric("ece", c)].value[g] == pytest.approx(_bins(s[:, c], y == c, edges))
            ranks = np.argsort(np.argsort(s[:, c]))
            mass = [np.flatnonzero(ranks * 100 // len(ranks) == b) for b in range(100)]
            assert found[Metric("ece_equal_mass", c)].value[g] == pytest.approx(_bins(s[:, c], y == c, mass))
        expected = np.mean([sk.roc_auc_score(y == c, s[:, c]) for c in range(k)])
        assert found[Metric("auroc", "macro")].value[g] == pytest.approx(expected)
        best = s.max(-1)
        edges = [np.flatnonzero(np.minimum(np.floor(best * 100), 99) == b) for b in range(100)]
        assert found[Metric("confidence_ece")].value[g] == pytest.approx(_bins(best, s.argmax(-1) == y, edges))
        if k == 7:
            for top in (3, 5):
                expected = sk.top_k_accuracy_score(y, s, k=top, labels=range(k))
                assert found[Metric(f"top_{top}_accuracy")].value[g] == pytest.approx(expected)


def test_ties_rank_as_scikit_learn_has_them() -> None:
    rng = np.random.default_rng(2)
    score = rng.integers(0, 3, (200, 4)) / 3.0
    true = rng.integers(0, 4, 200)
    task, ids = Task(tuple("abcd"), true, score.argmax(-1), score), np.zeros(200, dtype=np.int64)
    found = score_measures(task, ids, _table(task, ids), top=(2,))
    assert found[Metric("top_2_accuracy")].value[0] == pytest.approx(sk.top_k_accuracy_score(true, score, k=2))
    with pytest.raises(UsageError, match="top-4 accuracy of 4 classes says nothing; k must be from 1 to 3"):
        score_measures(task, ids, _table(task, ids), top=(4,))


@pytest.mark.parametrize("others", [0, 4])
@pytest.mark.parametrize("loss", [0.2, 2.3])
def test_equal_losses_of_few_images_are_not_certain(loss: float, others: int) -> None:
    x = np.r_[np.full(others, loss * 1.01), np.full(30 - others, loss)]
    law = calibration.mean_law(x, np.zeros(30, dtype=np.int64), 1, np.log(2), np.inf)
    low, high = law.limits(1.959964)
    # of 30 images none is faultless: 11.6 % may be (one-sided 97.5 %)
    assert 0.1 * loss < law.value[0] - low[0] < 0.2 * loss
    assert high[0] > law.value[0] + 0.05 * loss
    many = calibration.mean_law(np.linspace(0.2, 0.4, 30), np.zeros(30, dtype=np.int64), 1, 0.4, np.inf).limits(1.959964)
    assert many[1][0] - many[0][0] < 0.06, "losses that differ speak for themselves"


def test_empty_groups_and_one_sided_ones_are_undefined() -> None:
    score = np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    task = Task(("no", "yes"), np.array([1, 1, -1]), np.array([1, 1, 0]), score)
    ids = np.array([0, 0, 1])
    found = score_measures(task, ids, _table(task, ids, 1))
    assert found[Metric("auroc", 1)].reason == ("undefined: 0 positives or negatives", *["absent: no images"] * 2)
    assert found[Metric("average_precision", 1)].value[0] == 1
    for m in found.values():
        assert (np.isnan(m.value) == (m.support == 0)).all(), m.key
        low, high = m.interval(1.96)
        assert (np.isnan(low) == (m.support == 0)).all(), m.key
        assert ((low <= m.value) & (m.value <= high))[m.support > 0].all(), m.key
        assert m.key.count("[") == 0


def test_scores_that_are_no_chances_are_refused() -> None:
    def task(*rows: tuple[float, float]) -> Task:
        n = len(rows)
        return Task(("a", "b"), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.array(rows))

    check_scores(task((0.0, 1.0)), "x")
    with pytest.raises(PredictionsError, match=r"row 2 has no score \(nan\) for x"):
        check_scores(task((0.5, 0.5), (np.nan, 0.1)), "x")
    with pytest.raises(PredictionsError, match="row 1 has a score for x outside 0 to 1"):
        check_scores(task((-2.0, 3.0)), "x")


def test_reliability_by_hand() -> None:
    n, score, share = calibration.reliability(np.array([0.0, 0.05, 0.1, 1.0]), np.array([False, True, True, True]))
    assert n.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert score[[0, 1, 9]].tolist() == pytest.approx([0.025, 0.1, 1.0])
    assert share[[0, 1, 9]].tolist() == [0.5, 1.0, 1.0]
    assert np.isnan(score[2:9]).all()
