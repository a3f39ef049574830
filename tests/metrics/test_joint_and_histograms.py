"""Joint targets by loops, levels from numbers, and every rate over thresholds against decisions taken one by one."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.groups import binned, with_unknown
from fairaudit.metrics.histograms import HISTOGRAM_BINS, group_scores, sweep
from fairaudit.metrics.joint import joined, joint_measures, normalised_confusion
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.predictions import Column, Task


def test_joint_targets_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    a = Task(("x", "y", "z"), rng.integers(-1, 3, 200), rng.integers(0, 3, 200))
    b = Task(("f", "m"), rng.integers(-1, 2, 200), rng.integers(0, 2, 200))
    ids = rng.integers(-1, 2, 200)
    both = joined([a, b])
    assert both.classes == ("x f", "x m", "y f", "y m", "z f", "z m")
    table = Table(confusion(both.y_true, both.y_pred, ids, 2, 6), both.classes, per_class=False)
    found = joint_measures([a, b], ids, table)
    for g in range(2):
        rows = [i for i in range(200) if ids[i] == g and a.y_true[i] >= 0 and b.y_true[i] >= 0]
        right = [int(a.y_true[i] == a.y_pred[i]) + int(b.y_true[i] == b.y_pred[i]) for i in rows]
        assert table.measure(Metric("accuracy")).value[g] == pytest.approx(right.count(2) / len(rows))
        assert found[Metric("some_right")].value[g] == pytest.approx(right.count(1) / len(rows))
        assert found[Metric("none_right")].value[g] == pytest.approx(right.count(0) / len(rows))
        assert found[Metric("none_right")].support[g] == len(rows)
    keys = [table.key(m) for m in table.catalogue()]
    assert keys == ["accuracy", "error_rate", "balanced_accuracy", "mcc", "cohen_kappa"]
    shares = normalised_confusion(table.counts)
    assert shares.sum(-1) == pytest.approx(np.ones(6))


def test_numbers_become_levels_and_nothing_is_lost() -> None:
    column = binned(np.array([0.0, 17.9, 18.0, 64.0, 65.0, 116.0, np.nan]), [0, 18, 40, 65])
    assert column.levels == ("0 to <18", "18 to <40", "40 to <65", "65 or more")
    assert column.codes.tolist() == [0, 0, 1, 2, 3, 3, -1]
    column = binned(np.array([-1.0, 3.0]), [0.5])
    assert column.levels == ("under 0.5", "0.5 or more")
    assert column.codes.tolist() == [0, 1]


def test_what_is_unknown_becomes_a_level_where_there_is_any() -> None:
    column = with_unknown(Column.of(["b", None, "a"]))
    assert column.levels == ("a", "b", "unknown")
    assert column.codes.tolist() == [1, 2, 0]
    whole = Column.of(["b", "a"])
    assert with_unknown(whole) is whole
    assert with_unknown(Column.of(["unknown", None])).levels == ("unknown", "(unknown)")


def test_every_rate_at_every_threshold() -> None:
    rng = np.random.default_rng(3)
    score, hit, ids = rng.random(500), rng.random(500) < 0.4, rng.integers(-1, 3, 500)
    score[:5] = [0.0, 1.0, 0.5, 0.25, 1 - 1e-12]
    stored = group_scores(score, hit, ids, 3)
    counts = sweep(np.array([s.negatives for s in stored]), np.array([s.positives for s in stored]))
    assert counts.shape == (HISTOGRAM_BINS + 1, 3, 2, 2)
    for t in (0, 1, 100, 511, 512, 1000, 1023):
        expected = confusion(hit.astype(np.int64), (score >= t / HISTOGRAM_BINS).astype(np.int64), ids, 3, 2)
        assert np.array_equal(counts[t], expected), t
    assert counts[-1, :, :, 1].sum() == 0
    for rate in RATES.values():
        every = rate_values(rate, cells(counts))
        assert np.array_equal(every[100], rate_values(rate, cells(counts[100])), equal_nan=True)


def test_histograms_of_shards_add_up() -> None:
    rng = np.random.default_rng(4)
    score, hit, ids = rng.random(300), rng.random(300) < 0.4, rng.integers(0, 2, 300)
    whole = group_scores(score, hit, ids, 2)
    halves = [group_scores(score[p], hit[p], ids[p], 2) for p in (slice(0, 120), slice(120, 300))]
    for g in range(2):
        added = np.array(halves[0][g].positives) + np.array(halves[1][g].positives)
        assert added.tolist() == list(whole[g].positives)
    assert sum(n for n, _, _ in whole[0].reliability) == (ids == 0).sum()
