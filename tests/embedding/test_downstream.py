"""Probes, classifiers, clusters and the map: people stay apart, groups become equal, and what is planted is found."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.embedding.clusters import clustering
from fairaudit.embedding.downstream import downstream, rebalanced
from fairaudit.embedding.flat_map import flat_map
from fairaudit.embedding.leakage import leakage
from fairaudit.embedding.sampling import some_rows, whole_classes
from fairaudit.metrics.retrieval import Vectors, normalised
from fairaudit.predictions import MISSING, IntArray


def planted(strength: float, n: int = 240, seed: int = 0) -> tuple[Vectors, IntArray, IntArray]:
    """Rows whose first axis tells a level, and three images of each person."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n // 3), 3)
    level = (people % 3 == 0).astype(np.int64)
    values = rng.normal(size=(n // 3, 8))[people] + 0.1 * rng.normal(size=(n, 8))
    values[:, 0] += strength * level
    return normalised(values), level, people.astype(np.int64)


def test_probes_find_what_is_planted_and_only_that() -> None:
    loud, level, people = planted(8.0)
    quiet, _, _ = planted(0.0)
    for name in ("linear", "kNN"):
        assert leakage(loud, level, people, 0, 0.95)[name].accuracy.value > 0.9
        found = leakage(quiet, level, people, 0, 0.95)[name]
        assert found.majority == pytest.approx(2 / 3, abs=0.02)
        # were people in training and test, kNN would know them again and their level with them
        assert found.balanced < 0.65
        assert found.accuracy.ci_low < found.majority


def test_a_level_of_one_person_is_no_matter_of_probes() -> None:
    unit, level, people = planted(1.0)
    assert leakage(unit, np.where(people == 0, 1, 0).astype(np.int64), people, 0, 0.95) == {}
    assert leakage(unit, np.full_like(level, MISSING), people, 0, 0.95) == {}


def test_groups_are_equal_within_classes_where_classes_cross_them() -> None:
    classes = np.array([0] * 10 + [1] * 9, dtype=np.int64)
    ids = np.array([0] * 7 + [1] * 3 + [0] * 2 + [1] * 7, dtype=np.int64)
    rows = rebalanced(np.arange(19), classes, ids, seed=0)
    cells = np.bincount(classes[rows] * 2 + ids[rows])
    assert cells.tolist() == [7, 7, 7, 7]
    assert set(rows) == set(range(19))


def test_groups_are_equal_as_a_whole_where_a_class_is_in_one() -> None:
    classes = np.repeat(np.arange(10), 3).astype(np.int64)
    ids = (classes > 7).astype(np.int64)
    rows = rebalanced(np.arange(30), classes, ids, seed=0)
    assert np.bincount(ids[rows]).tolist() == [24, 24]


def test_no_person_is_in_training_and_test_unless_persons_are_the_classes() -> None:
    unit, level, people = planted(8.0)
    ids = (people % 2).astype(np.int64)
    found = downstream(unit, level, ids, people, seed=0)
    assert found is not None
    counts = np.bincount(people[found.rows], minlength=80)
    assert set(counts[counts > 0]) == {3}
    assert {name for name, _ in found.said} == {"logistic regression", "SVM", "kNN", "random forest"}
    for said in found.said.values():
        assert (said == found.classes).mean() > 0.95
    assert found.fitted["rebalanced"] >= found.fitted["original"] == 240 - len(found.rows)
    persons = downstream(unit, people, ids, people, seed=0)
    assert persons is not None
    assert np.bincount(people[persons.rows]).tolist() == [1] * 80
    assert downstream(unit, np.zeros_like(people), ids, people, seed=0) is None


def test_clusters_of_classes_that_lie_apart_are_the_classes() -> None:
    classes = np.repeat(np.arange(4), 10).astype(np.int64)
    unit = normalised(np.eye(4)[classes] + 0.01)
    np.testing.assert_allclose(clustering(unit, classes, 0), 1.0)
    rng = np.random.default_rng(0)
    nmi, f1 = clustering(normalised(rng.normal(size=(40, 4))), classes, 0)
    assert nmi < 0.4
    assert f1 < 0.5
    assert np.isnan(clustering(unit, np.zeros(40, dtype=np.int64), 0)).all()


def test_the_map_keeps_classes_together() -> None:
    classes = np.repeat(np.arange(3), 12)
    unit = normalised(np.eye(3)[classes] + 0.05 * np.random.default_rng(0).normal(size=(36, 3)))
    places = flat_map(unit, 0)
    assert places.shape == (36, 2)
    assert places.min() == 0
    assert places.max() == 1
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (classes[distance.argmin(1)] == classes).mean() > 0.9


def test_samples_keep_order_and_whole_classes() -> None:
    rows = np.arange(100)
    assert some_rows(rows, 200, 0) is rows
    some = some_rows(rows, 10, 0)
    assert len(set(some)) == 10
    assert sorted(some) == some.tolist()
    kept = whole_classes(rows, rows // 10, 35, 0)
    assert np.bincount(kept // 10, minlength=10).tolist().count(10) == 3
    assert len(kept) == 30
