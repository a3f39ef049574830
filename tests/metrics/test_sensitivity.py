"""Wrong labels of crossed groups, against counts that are mislabelled one by one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.label_noise import label_noise
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.score_measures import score_measures
from fairaudit.metrics.sensitivity import Errors, sensitivity
from fairaudit.predictions import Task
from fairaudit.results import LabelNoise, Range

RACES, GENDERS = ("Black", "White", "Asian"), ("f", "m")
RACE_ERRORS: Mapping[str, Mapping[str, float]] = {
    "Black": {"Black": 0.9, "White": 0.1},
    "White": {"White": 0.8, "Black": 0.05, "Asian": 0.15},
    "Asian": {"Asian": 1.0},
}


def _grouping(counts: Any, by: tuple[str, ...], levels: Sequence[Sequence[str]], **options: Any) -> Grouping:
    groups = tuple(dict(zip(by, cell, strict=True)) for cell in itertools.product(*levels))
    table = Table(np.asarray(counts, dtype=np.int64), ("no", "yes"), options.pop("positive", 1))
    return Grouping(by, groups, table, Comparison(0.95, options.pop("privileged", 0), options.pop("min_support", 1)))


def _found(noise: LabelNoise | None, metric: str, kind: str, group: Mapping[str, str] | None = None) -> Range:
    assert noise is not None
    hits = [r for r in noise.ranges if (r.metric, r.kind, r.group) == (metric, kind, group)]
    assert len(hits) == 1
    return hits[0]


def test_truth_that_is_mislabelled_cell_by_cell_is_found_again() -> None:
    """Six cells of race × gender; each image of a cell carries each pair of labels as often as the errors say."""
    rng = np.random.default_rng(1)
    truth = rng.integers(20, 60, (3, 2, 2, 2)) * 2000  # so many that shares are whole images
    recorded = np.zeros(truth.shape)
    gender_errors = {"f": {"f": 0.95, "m": 0.05}, "m": {"m": 0.95, "f": 0.05}}
    races, genders = [*enumerate(RACES)], [*enumerate(GENDERS)]
    for (i, r), (j, g), (k, s), (m, h) in itertools.product(races, genders, races, genders):
        recorded[k, m] += truth[i, j] * RACE_ERRORS[r].get(s, 0.0) * gender_errors[g].get(h, 0.0)
    assert np.abs(recorded - np.rint(recorded)).max() < 1e-6
    by = ("race", "gender")
    grouping = _grouping(np.rint(recorded).reshape(6, 2, 2), by, (RACES, GENDERS), privileged=2)
    found = sensitivity(grouping, {"race": RACE_ERRORS, "gender": 0.05})
    assert found is not None
    assert found.errors == {"race": RACE_ERRORS, "gender": 0.05}
    right = truth.trace(axis1=2, axis2=3).reshape(6) / truth.sum((2, 3)).reshape(6)
    positives = truth[..., 1, 1].reshape(6) / truth[..., 1, :].sum(-1).reshape(6)
    for metric, values in (("accuracy", right), ("true_positive_rate", positives)):
        gap = _found(found, metric, "gap")
        assert gap.corrected == pytest.approx(np.ptp(values), abs=1e-6)
        assert gap.low - 1e-6 <= np.ptp(values) <= gap.high + 1e-6
        for i in (0, 1, 3, 4, 5):
            one = _found(found, metric, "difference", grouping.groups[i])
            assert one.corrected == pytest.approx(values[i] - values[2], abs=1e-6)
            assert one.low - 1e-6 <= values[i] - values[2] <= one.high + 1e-6
            assert one.low <= one.value <= one.high
    negatives = truth[..., 0, 0].reshape(6) / truth[..., 0, :].sum(-1).reshape(6)
    means = (positives + negatives) / 2
    assert _found(found, "balanced_accuracy", "gap").corrected == pytest.approx(np.ptp(means), abs=1e-6)


def test_one_attribute_is_what_label_noise_says_of_each_rate() -> None:
    counts = np.random.default_rng(0).integers(10, 90, (3, 2, 2))
    grouping = _grouping(counts, ("race",), (RACES,), privileged=1)
    found = sensitivity(grouping, {"race": 0.05, "age": 0.2})
    assert found is not None
    assert found.errors == {"race": 0.05}, "of attributes that it does not have nothing is said"
    for metric in ("accuracy", "false_positive_rate", "selection_rate", "precision"):
        m = grouping.table.measure(Metric(metric, None if metric == "accuracy" else 1))
        plain = label_noise(np.rint(m.value * m.support).astype(np.int64), m.support, 0.05)
        one = _found(found, metric, "gap")
        assert [one.value, one.corrected, one.low, one.high] == pytest.approx(plain.gap())
        one = _found(found, metric, "difference", {"race": "Asian"})
        assert [one.value, one.corrected, one.low, one.high] == pytest.approx(plain.difference(2, 1))
    assert not {r.metric for r in found.ranges} & {"f1", "f2", "cohens_kappa", "theil_index"}
    assert sensitivity(grouping, {"age": 0.2}) is None


def test_means_of_what_is_measured_on_rows() -> None:
    rng = np.random.default_rng(7)
    ids, y_true = rng.integers(0, 3, 600), rng.integers(0, 3, 600)
    score = rng.dirichlet(np.ones(3), 600)
    task = Task(("x", "y", "z"), y_true, score.argmax(-1), score)
    table = Table(confusion(task.y_true, task.y_pred, ids, 3, 3), task.classes)
    table = replace(table, rows=score_measures(task, ids, table, (2,)))
    grouping = replace(_grouping(np.zeros((3, 2, 2)), ("race",), (RACES,)), table=table)
    found = sensitivity(grouping, {"race": 0.05})
    assert found is not None
    assert not any(r.metric.startswith(("ece", "auroc", "log_loss", "average_precision")) for r in found.ranges)
    error = np.array([[0.95, 0.025, 0.025], [0.025, 0.95, 0.025], [0.025, 0.025, 0.95]])
    losses = {"brier[y]": (score[:, 1] - (y_true == 1)) ** 2,
              "top_2_accuracy": (score >= np.sort(score, 1)[:, 1:2])[np.arange(600), y_true]}  # fmt: skip
    for metric, values in losses.items():
        sums, n = np.bincount(ids, values.astype(float)), np.bincount(ids)
        truth = np.linalg.solve(error.T, sums) / np.linalg.solve(error.T, n)
        one = _found(found, metric, "difference", {"race": "Asian"})
        assert one.value == pytest.approx(sums[2] / n[2] - sums[0] / n[0])
        assert one.corrected == pytest.approx(truth[2] - truth[0])
        assert one.low < one.value < one.high


def test_groups_too_small_for_the_gap_are_left_out_of_it() -> None:
    counts = [[[400, 100], [0, 0]], [[450, 50], [0, 0]], [[0, 4], [0, 0]]]
    found = sensitivity(_grouping(counts, ("race",), (RACES,), min_support=20), {"race": 0.02})
    assert _found(found, "accuracy", "gap").value == pytest.approx(0.1)
    assert _found(found, "accuracy", "difference", {"race": "Asian"}).value == pytest.approx(-0.8)
    tiny = _found(found, "accuracy", "difference", {"race": "Asian"})
    assert np.isnan(tiny.corrected), "more images are labelled into it by mistake than it has"
    assert tiny.low < -0.8
    assert tiny.high > 0.2
    assert found is not None
    assert not any(r.metric == "true_positive_rate" for r in found.ranges), "undefined everywhere"


def test_a_level_without_images_has_no_part_in_even_errors() -> None:
    counts = np.array([[[80, 20], [0, 0]], [[90, 10], [0, 0]]])
    two = sensitivity(_grouping(counts, ("race",), (RACES[:2],)), {"race": 0.1})
    three = sensitivity(_grouping([*counts, np.zeros((2, 2))], ("race",), (RACES,)), {"race": 0.1})
    assert two is not None
    assert three is not None
    assert two.ranges == three.ranges
    alone = sensitivity(_grouping(counts[:1], ("race",), (RACES[:1],)), {"race": 0.1})
    assert alone is not None
    assert alone.ranges == ()


def test_no_errors_move_nothing_and_more_move_more() -> None:
    grouping = _grouping(np.random.default_rng(3).integers(20, 90, (3, 2, 2)), ("race",), (RACES,))
    none = sensitivity(grouping, {"race": 0.0})
    assert none is not None
    for one in none.ranges:
        assert [one.corrected, one.low, one.high] == pytest.approx([one.value] * 3)
    wider = [sensitivity(grouping, {"race": rate}) for rate in (0.01, 0.05, 0.1)]
    widths = [[r.high - r.low for r in one.ranges] for one in wider if one is not None]
    assert (np.diff(widths, axis=0) >= -1e-12).all()


@pytest.mark.parametrize(
    ("errors", "kind", "message"),
    [
        (
            {"Blak": {"Blak": 1.0}, "White": {"White": 1.0}},
            UnknownNameError,
            "unknown level of 'race' in --label-noise: 'Blak'; did you mean 'Black'?",
        ),
        (
            {"Black": {"Black": 0.9, "White": 0.1}, "White": {"White": 1.0}},
            UsageError,
            "--label-noise has no row for 'Asian' of race, of which there are 100 images",
        ),
        (
            {name: dict.fromkeys(RACES, 1 / 3) for name in RACES},
            UsageError,
            "--label-noise of race: the error matrix cannot be undone: two groups are labelled alike",
        ),
    ],
)
def test_refusals(errors: Errors, kind: type[UsageError], message: str) -> None:
    grouping = _grouping([[[50, 50], [0, 0]]] * 3, ("race",), (RACES,))
    with pytest.raises(kind) as caught:
        sensitivity(grouping, {"race": errors})
    assert str(caught.value) == message


def test_levels_are_understood_in_any_case_and_rounded_shares_are_mended() -> None:
    grouping = _grouping(np.random.default_rng(3).integers(20, 90, (3, 2, 2)), ("race",), (RACES,))
    folded = {t.upper(): {r.lower(): s for r, s in row.items()} for t, row in RACE_ERRORS.items()}
    plain, same = sensitivity(grouping, {"race": RACE_ERRORS}), sensitivity(grouping, {"race": folded})
    assert plain is not None
    assert same is not None
    assert plain.ranges == same.ranges
    rounded = {**RACE_ERRORS, "Black": {"Black": 0.9004, "White": 0.1}}
    near = sensitivity(grouping, {"race": rounded})
    assert near is not None
    assert near.ranges[0].corrected == pytest.approx(plain.ranges[0].corrected, abs=1e-3)
