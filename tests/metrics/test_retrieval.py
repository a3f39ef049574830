"""Retrieval measures equal plain loops and pytorch-metric-learning's calculator, in bounded blocks."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from fairaudit.metrics import retrieval
from fairaudit.metrics.clustered_means import clustered_means
from fairaudit.metrics.retrieval import Retrieval, Vectors, normalised, retrieve
from fairaudit.predictions import MISSING, IntArray

KS = (1, 3, 10)


def space(n: int = 90, classes: int = 12, d: int = 6, seed: int = 0) -> tuple[Vectors, IntArray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = rng.normal(size=(classes, d))
    return normalised(centres[labels] + rng.normal(size=(n, d))), labels.astype(np.int64)


def by_loops(unit: Vectors, classes: IntArray, rows: list[int]) -> dict[str, list[float]]:
    """Every measure as its sentence says, one query at a time."""
    told: dict[str, list[float]] = {name: [] for name in (*map(str, KS), "r_precision", "map_at_r", "map_at_1000")}
    for q in rows:
        others = sorted((o for o in rows if o != q), key=lambda o: -float(unit[q].astype(np.float64) @ unit[o]))
        right = [classes[o] == classes[q] for o in others]
        total = sum(right)
        for k in KS:
            told[str(k)].append(float(any(right[:k])))
        for name, depth, most in (("map_at_r", total, total), ("map_at_1000", 1000, min(total, 1000))):
            precision = [sum(right[: i + 1]) / (i + 1) for i in range(min(depth, len(right))) if right[i]]
            told[name].append(sum(precision) / most if total else np.nan)
        told["r_precision"].append(sum(right[:total]) / total if total else np.nan)
    return told


def agrees(found: Retrieval, told: dict[str, list[float]]) -> None:
    for k in KS:
        np.testing.assert_array_equal(found.hits[k], np.array(told[str(k)], dtype=bool))
    for name, values in found.means.items():
        np.testing.assert_allclose(values, told[name], atol=1e-6)


def test_every_measure_is_that_of_plain_loops() -> None:
    unit, classes = space()
    agrees(retrieve(unit, classes, KS), by_loops(unit, classes, list(range(len(classes)))))


def test_blocks_and_depth_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, classes = space(n=70)
    told = by_loops(unit, classes, list(range(70)))
    told["map_at_1000"] = retrieve(unit, classes, KS).map_at_1000.tolist()
    monkeypatch.setattr(retrieval, "_BUDGET", 9000)  # a few queries at a time
    agrees(retrieve(unit, classes, KS), told)
    monkeypatch.setattr(retrieval, "DEPTH", 20)  # fewer than there are, so that only the nearest are sorted
    shallow = retrieve(unit, classes, KS)
    np.testing.assert_array_equal(shallow.hits[10], np.array(told["10"], dtype=bool))
    np.testing.assert_allclose(shallow.map_at_r, told["map_at_r"], atol=1e-6)


def test_a_gallery_of_some_rows_knows_no_others_and_a_missing_class_is_nowhere() -> None:
    unit, classes = space()
    classes[5] = MISSING
    rows = np.arange(0, 90, 2)
    kept = [r for r in [*rows.tolist(), 5] if classes[r] != MISSING]
    found = retrieve(unit, classes, KS, np.array([*rows, 5]))
    np.testing.assert_array_equal(found.queries, kept)
    agrees(found, by_loops(unit, classes, kept))


def test_a_class_of_one_image_can_be_found_by_nobody() -> None:
    unit, classes = space()
    classes[3] = 99
    found = retrieve(unit, classes, (1,))
    assert found.relevant[3] == 0
    assert np.isnan(found.map_at_r[3])
    assert np.isfinite(np.delete(found.map_at_r, 3)).all()


def test_recall_at_one_and_map_are_those_of_pytorch_metric_learning() -> None:
    torch = pytest.importorskip("torch")
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    unit, classes = space(n=150, classes=20)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        knn_func=CustomKNN(CosineSimilarity()),
        device=torch.device("cpu"),
    )
    told = calculator.get_accuracy(torch.tensor(unit), torch.tensor(classes))
    found = retrieve(unit, classes, (1,))
    assert found.hits[1][found.relevant > 0].mean() == pytest.approx(told["precision_at_1"], abs=1e-9)
    assert np.nanmean(found.r_precision) == pytest.approx(told["r_precision"], abs=1e-6)
    assert np.nanmean(found.map_at_r) == pytest.approx(told["mean_average_precision_at_r"], abs=1e-6)


class FlatIndex:
    """What FAISS's exact index answers, equal images in reverse order of their places."""

    def __init__(self, d: int) -> None:
        self.held = np.zeros((0, d), dtype=np.float32)

    def add(self, rows: Vectors) -> None:
        self.held = np.concatenate([self.held, rows])

    def search(self, rows: Vectors, k: int) -> tuple[Any, Any]:
        similar = rows @ self.held.T
        last = np.lexsort((-np.arange(len(self.held)) * np.ones_like(similar), -similar))[:, :k]
        return np.take_along_axis(similar, last, 1), last


def test_with_faiss_the_same_is_found_though_copies_push_a_query_out(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, classes = space(n=80)
    unit[:6] = normalised(unit[:1] + 1e-7 * np.arange(6)[:, None])  # nearer to each other than FAISS can tell
    classes[:6] = classes[0]
    plain = retrieve(unit, classes, KS)
    monkeypatch.setitem(sys.modules, "faiss", types.SimpleNamespace(IndexFlatIP=FlatIndex))
    monkeypatch.setattr(retrieval, "find_spec", lambda name: name == "faiss")
    monkeypatch.setattr(retrieval, "DEPTH", 12)
    found = retrieve(unit, classes, KS)
    for k in KS:
        np.testing.assert_array_equal(found.hits[k], plain.hits[k])
    np.testing.assert_allclose(found.map_at_r, plain.map_at_r, atol=1e-6)


def test_images_that_are_equally_near_are_in_no_order_of_the_file() -> None:
    unit = np.tile(normalised(np.array([[1.0, 2.0]])), (400, 1))  # a network that makes the same of every image
    classes = np.repeat(np.arange(4), 100).astype(np.int64)
    found = retrieve(unit, classes, (1,))
    shares = [found.hits[1][classes == c].mean() for c in range(4)]
    assert max(shares) < 0.5, "in the order of the file one class would be found by everybody"
    assert found.hits[1].mean() == pytest.approx(99 / 399, abs=0.07)
    np.testing.assert_array_equal(retrieve(unit, classes, (1,)).hits[1], found.hits[1])


def test_means_have_the_limits_of_people_and_not_of_images() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5)
    x = np.repeat(rng.uniform(0.2, 0.8, 40), 5)
    ids = np.zeros(200, dtype=np.int64)
    (together,) = clustered_means(x, ids, people, 1).estimates(0.95)
    (apart,) = clustered_means(x, ids, np.arange(200), 1).estimates(0.95)
    each = x[::5]
    half = 2.0227 * each.std(ddof=1) / np.sqrt(40)  # Student's quantile of 39 degrees of freedom
    assert together.value == pytest.approx(x.mean())
    assert together.ci_high - together.value == pytest.approx(half, rel=1e-3)
    assert apart.ci_high - apart.ci_low < 0.5 * (together.ci_high - together.ci_low)


def test_a_mean_without_variance_is_not_certain_and_an_absent_group_has_none() -> None:
    ids = np.array([0] * 12 + [2] * 4, dtype=np.int64)
    x = np.array([1.0] * 12 + [0.5, np.nan, 0.25, 0.0])
    alike, absent, some = clustered_means(x, ids, np.repeat(np.arange(8), 2), 3).estimates(0.95)
    assert (alike.value, alike.ci_high) == (1.0, 1.0)
    assert alike.ci_low == pytest.approx(0.025 ** (1 / 6))  # exact limit of six people of six
    assert np.isnan(absent.value)
    assert absent.reason == "absent"
    assert (some.value, some.support) == (0.25, 3)


def test_where_hardly_anybody_differs_a_mean_is_no_surer_than_a_share() -> None:
    ids, people = np.zeros(60, dtype=np.int64), np.arange(60)
    x = np.ones(60)
    x[0] = 0.9
    (found,) = clustered_means(x, ids, people, 1).estimates(0.95)
    assert found.ci_low < 0.95  # that of Student is 0.995
    assert found.ci_high == 1.0


def test_gaps_of_means_have_limits_and_leave_small_groups_out() -> None:
    rng = np.random.default_rng(0)
    ids = np.repeat([0, 1, 2], [200, 200, 5]).astype(np.int64)
    x = np.r_[rng.uniform(0, 1, 200), rng.uniform(0.2, 1, 200), np.zeros(5)]
    means = clustered_means(x, ids, np.arange(405), 3)
    gap = means.gap(0.95, 20)
    assert gap is not None
    assert gap.value == pytest.approx(x[200:400].mean() - x[:200].mean())
    assert 0 < gap.ci_low < gap.value < gap.ci_high < 0.2
    error = np.sqrt(x[:200].var(ddof=1) / 200 + x[200:400].var(ddof=1) / 200)
    assert gap.ci_high - gap.value == pytest.approx(1.97 * error, rel=0.01)
    assert means.gap(0.95, 1000) is None


@pytest.mark.statistics
@pytest.mark.parametrize("power", [1.0, 0.15])
@pytest.mark.parametrize("people", [15, 60])
def test_limits_of_means_cover(people: int, power: float) -> None:
    rng = np.random.default_rng(3)
    covered, trials = 0, 2000
    truth = 1 / (1 + power)  # of a uniform number to that power, which for the small one lies near 1
    for _ in range(trials):
        times = rng.integers(1, 5, people)
        x = np.repeat(rng.random(people) ** power, times)
        (found,) = clustered_means(x, np.zeros(len(x), dtype=np.int64), np.repeat(np.arange(people), times), 1).estimates(
            0.95
        )
        covered += found.ci_low <= truth <= found.ci_high
    assert covered / trials >= 0.9
