"""Several labels of each image, against scikit-learn, plain loops, the jackknife, and truths that are known."""

from __future__ import annotations

import math
import warnings
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.indices import Draws, index_contrasts
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.label_rows import LabelRows, label_effects, pooled_rates
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.multilabel import LabelTable
from fairaudit.metrics.over_labels import added_together, effects_of, label_table, split_effects
from fairaudit.metrics.registry import entries
from fairaudit.metrics.summary import summarise
from fairaudit.metrics.together import together
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

Z = quantile(0.95)
LABELS = ("Smiling", "Young", "Bald")
NO_YES = ("no", "yes")


def drawn(seed: int, n: int = 240, labels: int = 3, groups: int = 3, missing: float = 0.0) -> LabelRows:
    """Labels and decisions that hang together within an image."""
    rng = np.random.default_rng(seed)
    lean = rng.normal(0, 0.7, (n, 1))
    y = rng.normal(0, 1, (n, labels)) + lean < np.linspace(-0.9, 0.4, labels)
    wrong = rng.normal(0, 1, (n, labels)) + lean < -1.3
    cell = 2 * y.astype(np.int64) + (y ^ wrong)
    cell[rng.random((n, labels)) < missing] = MISSING
    return LabelRows(cell, rng.integers(0, groups, n), groups)


def table_of(rows: LabelRows, **more: Any) -> LabelTable:
    counts, effects = rows.counts(), label_effects(rows)
    labels = rows.cell.shape[1]
    names = tuple(LABELS[i] if i < len(LABELS) else f"label {i}" for i in range(labels))
    known = together(
        rows, counts, more.get("betas", ()), "weighted" in more.get("aggregates", ()),
        partial(effects_of, effects) if effects else None,
    )  # fmt: skip
    return label_table(counts, names, [NO_YES] * labels, together=known, effects=effects, **more)


def values(table: LabelTable, name: str, of: str | None = None) -> list[float]:
    [metric] = table.resolve(name, of)
    return [float(v) for v in table.measure(metric).value]


def of_group(rows: LabelRows, g: int) -> tuple[IntArray, IntArray]:
    """Labels and decisions of one group without missing ones, as scikit-learn wants them."""
    cell = rows.cell[rows.ids == g]
    return cell // 2, cell % 2


# Against scikit-learn.


def test_every_rate_of_a_label_is_that_of_a_target_of_two_classes() -> None:
    rows = drawn(0, missing=0.1)
    table = table_of(rows, betas=(0.5,))
    for i, label in enumerate(LABELS):
        known = rows.cell[:, i] != MISSING
        y_true, y_pred = np.where(known, rows.cell[:, i] // 2, MISSING), np.where(known, rows.cell[:, i] % 2, 0)
        own = Table(confusion(y_true, y_pred, rows.ids, 3, 2), NO_YES, 1, betas=(0.5,))
        for metric in own.catalogue():
            name = "balanced_accuracy" if metric.of == "balanced_accuracy" else metric.rate
            [mine] = table.resolve(name, label)
            expected, found = own.measure(metric), table.measure(mine)
            assert found.key == f"{name}[{label}]"
            np.testing.assert_array_equal(found.value, expected.value)
            np.testing.assert_array_equal(found.support, expected.support)
            np.testing.assert_array_equal(found.limits(Z), expected.limits(Z))
            np.testing.assert_array_equal(found.interval(Z), expected.interval(Z))
    assert table.resolve("tpr", None) == [Metric("true_positive_rate", i) for i in range(3)]
    assert table.resolve("ACCURACY", "young") == [Metric("accuracy", 1)]


def test_counts_are_scikit_learns() -> None:
    rows = drawn(1)
    for g in range(3):
        y_true, y_pred = of_group(rows, g)
        np.testing.assert_array_equal(rows.counts()[g], sk.multilabel_confusion_matrix(y_true, y_pred).reshape(-1, 4))


def test_means_over_labels_and_pooled_decisions_are_scikit_learns() -> None:
    rows = drawn(2)
    table = table_of(rows, betas=(0.5,), aggregates=("weighted",))
    for g, (average, how) in product(range(3), (("macro", "macro"), ("micro", "micro"), ("weighted", "weighted"))):
        y_true, y_pred = of_group(rows, g)
        for beta in (0.5, 1, 2):
            p, r, f, _ = sk.precision_recall_fscore_support(y_true, y_pred, beta=beta, average=average)
            assert values(table, "precision", how)[g] == pytest.approx(p)
            assert values(table, "recall", how)[g] == pytest.approx(r)
            assert values(table, f"f{beta:g}", how)[g] == pytest.approx(f)
        assert values(table, "jaccard", how)[g] == pytest.approx(sk.jaccard_score(y_true, y_pred, average=average))


def test_measures_of_whole_images_are_scikit_learns() -> None:
    rows = drawn(3)
    table = table_of(rows, betas=(0.5, 1.0))
    for g in range(3):
        y_true, y_pred = of_group(rows, g)
        assert values(table, "hamming_accuracy")[g] == pytest.approx(1 - sk.hamming_loss(y_true, y_pred))
        assert values(table, "subset_accuracy")[g] == pytest.approx(sk.accuracy_score(y_true, y_pred))
        for beta in (0.5, 1.0, 2.0):
            theirs = sk.fbeta_score(y_true, y_pred, beta=beta, average="samples", zero_division=1)
            assert values(table, f"mean_f{beta:g}")[g] == pytest.approx(theirs)
    y_true, y_pred = (np.zeros((1, 3), dtype=np.int64) for _ in range(2))
    empty = table_of(LabelRows(2 * y_true + y_pred, np.zeros(1, dtype=np.int64), 1))
    assert values(empty, "mean_f2") == [1.0], "nothing to call and nothing called: right"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sk.fbeta_score(y_true, y_pred, beta=2, average="samples") == 0, (
            "which scikit-learn's default takes for wrong"
        )


@pytest.mark.parametrize(
    ("truth", "called", "expected"),
    [
        ("110", "110", 1.0),
        ("110", "000", 0.0),  # P = 1, R = 0
        ("000", "100", 0.0),  # P = 0, R = 1
        ("000", "000", 1.0),
        ("100", "010", 0.0),  # 0/0
        ("110", "100", 5 * 1 * 0.5 / (4 * 1 + 0.5)),
        ("100", "110", 5 * 0.5 * 1 / (4 * 0.5 + 1)),
    ],
)
def test_mean_f2_by_hand(truth: str, called: str, expected: float) -> None:
    cell = np.array([[2 * int(t) + int(c) for t, c in zip(truth, called, strict=True)]])
    assert values(table_of(LabelRows(cell, np.zeros(1, dtype=np.int64), 1)), "mean_f2") == [pytest.approx(expected)]


def test_missing_labels_by_a_loop() -> None:
    rows = drawn(4, missing=0.25)
    rows.cell[:5] = MISSING
    table = table_of(rows)
    for g in range(3):
        images = [[int(c) for c in row if c != MISSING] for row, i in zip(rows.cell, rows.ids, strict=True) if i == g]
        images = [image for image in images if image]
        assert table.n[g] == len(images)
        whole = [image for image in images if len(image) == 3]
        assert values(table, "subset_accuracy")[g] == pytest.approx(
            sum(all(c in (0, 3) for c in image) for image in whole) / len(whole)
        )
        assert table.measure(Metric("subset_accuracy")).support[g] == len(whole)
        decisions = [c for image in images for c in image]
        right = sum(c in (0, 3) for c in decisions)
        assert values(table, "hamming_accuracy")[g] == pytest.approx(right / len(decisions))
        scores = []
        for image in images:
            tp, fp, fn = (image.count(c) for c in (3, 1, 2))
            p, r = tp / (tp + fp) if tp + fp else 1.0, tp / (tp + fn) if tp + fn else 1.0
            scores.append(5 * p * r / (4 * p + r) if p or r else 0.0)
        assert values(table, "mean_f2")[g] == pytest.approx(sum(scores) / len(scores))
        assert values(table, "tpr", "micro")[g] == pytest.approx(decisions.count(3) / sum(c > 1 for c in decisions))


# How labels of one image depend.


POOLED = ("hamming_accuracy", "mean_f2", "precision[micro]", "f1[micro]", "selection_rate[micro]")
MEANS = ("f1[macro]", "true_positive_rate[macro]", "precision[weighted]", "prevalence[macro]")


def metric_of(name: str) -> Metric:
    rate, _, of = name.partition("[")
    return Metric(rate, of[:-1] or None)


@pytest.fixture(scope="module")
def jackknife() -> tuple[LabelTable, dict[str, float]]:
    """A table of one group, and the variance of its numbers, by leaving out one image after the other."""
    rows, n = drawn(5, n=100, labels=6, groups=1), 100
    left: dict[str, list[float]] = {name: [] for name in (*POOLED, *MEANS)}
    for i in range(n):
        keep = np.arange(n) != i
        one = table_of(LabelRows(rows.cell[keep], rows.ids[keep], 1), aggregates=("weighted",))
        for name, found in left.items():
            found.append(float(one.measure(metric_of(name)).value[0]))
    return table_of(rows, aggregates=("weighted",)), {name: (n - 1) * float(np.var(x)) for name, x in left.items()}


@pytest.mark.statistics
def test_pooled_numbers_are_worth_as_many_decisions_as_the_jackknife_says(
    jackknife: tuple[LabelTable, dict[str, float]],
) -> None:
    table, variance = jackknife
    assert table.together is not None
    for name in POOLED:
        value = float(table.measure(metric_of(name)).value[0])
        size = table.together.sizes[name][0]
        widened = value * (1 - value) / size / variance[name]  # Student's quantile, of fewer degrees where few weigh much
        assert 1.0 <= widened < 1.2, (name, widened)
        assert size < 6 * 100, "labels of one image err together"


def test_means_over_labels_vary_as_the_jackknife_says(jackknife: tuple[LabelTable, dict[str, float]]) -> None:
    table, variance = jackknife
    assert table.together is not None
    for name in MEANS:
        low, high = table.measure(metric_of(name)).limits(1.0)
        widened = float(high[0] - low[0]) / 2 / math.sqrt(variance[name])
        assert 1.0 <= widened < 1.35, (name, widened)
    assert table.together.alike["f1[macro]"][0] > 1.2
    assert table.together.alike["prevalence[macro]"][0] > 1.2


def test_an_image_shown_twice_is_worth_one() -> None:
    rows = drawn(7, n=200, labels=5, groups=2)
    twice = LabelRows(np.repeat(rows.cell, 2, axis=0), np.repeat(rows.ids, 2), 2, np.repeat(np.arange(200), 2))
    once, doubled = table_of(rows), table_of(twice)
    assert once.together is not None
    assert doubled.together is not None
    for name, sizes in once.together.sizes.items():
        if name != "subset_accuracy":  # of independent images it is exact; people's variance is estimated
            np.testing.assert_allclose(doubled.together.sizes[name], sizes, rtol=0.02, err_msg=name)
    np.testing.assert_allclose(doubled.together.sizes["subset_accuracy"], once.together.sizes["subset_accuracy"], rtol=0.1)
    for name in ("f1[macro]", "true_positive_rate[Young]", "hamming_accuracy"):
        rate, _, of = name.partition("[")
        [metric] = once.resolve(rate, of[:-1] or None)
        for found, expected in zip(doubled.measure(metric).limits(Z), once.measure(metric).limits(Z), strict=True):
            np.testing.assert_allclose(found, expected, atol=0.02, err_msg=name)
    alone = table_of(LabelRows(rows.cell, rows.ids, 2, np.arange(200)))
    assert alone.together == once.together, "people who are on one image each change nothing"
    assert alone.effects is None


def test_design_effects_survive_being_put_side_by_side() -> None:
    rows = drawn(8, n=300, groups=2)
    effects = label_effects(LabelRows(rows.cell, rows.ids, 2, np.arange(300) // 3))
    table = label_table(rows.counts(), LABELS, [NO_YES] * 3, effects=effects)
    assert table.effects is not None
    for one, again in zip(effects, split_effects(table.effects, 3), strict=True):
        assert one.people == again.people
        for name, effect in one.effects.items():
            np.testing.assert_array_equal(again.effects[name], effect)
    assert sum(effects[0].people) >= 100


def _law(labels: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(5)
    return rng.uniform(0.03, 0.6, labels), rng.uniform(0.6, 0.95, labels), rng.uniform(0.03, 0.15, labels)


def _simulated(rng: np.random.Generator, n: int, labels: int, errors_alike: float) -> IntArray:
    """Cells of images whose labels are correlated by .3, and whose errors by as much as is said."""

    def latent(share: float) -> FloatArray:
        own = rng.standard_normal((n, labels))
        return np.asarray(math.sqrt(share) * rng.standard_normal((n, 1)) + math.sqrt(1 - share) * own)

    prevalence, tpr, fpr = _law(labels)
    y: BoolArray = latent(0.3) < ndtri(prevalence)
    wrong = latent(errors_alike) < ndtri(np.where(y, 1 - tpr, fpr))
    return np.asarray(2 * y.astype(np.int64) + (y ^ wrong))


@pytest.mark.parametrize(("n", "trials"), [(100, 250), (1000, 40)])
def test_limits_cover_where_errors_of_one_image_are_alike(n: int, trials: int) -> None:
    labels, rng = 12, np.random.default_rng(1)
    prevalence, tpr, fpr = _law(labels)
    shares = np.stack([(1 - prevalence) * (1 - fpr), (1 - prevalence) * fpr, prevalence * (1 - tpr), prevalence * tpr], -1)
    many = LabelRows(_simulated(rng, 80_000, labels, 0.7), np.zeros(80_000, dtype=np.int64), 1)
    known = together(many, many.counts())
    names, levels = [str(i) for i in range(labels)], [NO_YES] * labels
    exact = label_table(np.rint(shares * 1e12).astype(np.int64)[None], names, levels, together=known)
    rows = LabelRows(_simulated(rng, trials * n, labels, 0.7), np.repeat(np.arange(trials), n), trials)
    counts = rows.counts()
    table = label_table(counts, names, levels, together=together(rows, counts))
    covered = {}
    for name in ("hamming_accuracy", "subset_accuracy", "mean_f2", "f1[micro]", "precision[micro]",
                 "true_positive_rate[macro]", "f1[macro]"):  # fmt: skip
        metric = metric_of(name)
        truth, measure = exact.measure(metric).value[0], table.measure(metric)
        low, high = measure.interval(Z)
        defined = ~np.isnan(measure.value)
        assert defined.mean() > 0.9
        covered[name] = float(((low <= truth) & (truth <= high))[defined].mean())
    assert min(covered.values()) >= (0.92 if n == 100 else 0.88), covered
    assert np.mean([*covered.values()]) >= 0.94, covered
    right = (counts[:, :, 0] + counts[:, :, 3]).sum(1).astype(np.float64)
    low, high = wilson(right, counts.sum((1, 2)).astype(np.float64), Z)
    truth = exact.measure(Metric("hamming_accuracy")).value[0]
    assert ((low <= truth) & (truth <= high)).mean() < 0.75, "decisions that are taken as independent do not cover"


# Undefined, perfect, tiny.


def test_a_perfect_model_has_no_variance_and_still_no_certainty() -> None:
    rng = np.random.default_rng(0)
    cell = np.where(rng.random((80, 4)) < 0.4, 3, 0)
    table = table_of(LabelRows(cell, np.zeros(80, dtype=np.int64), 1))
    for name in ("hamming_accuracy", "subset_accuracy", "mean_f2", "f1[micro]", "precision[micro]", "f1[macro]"):
        measure = table.measure(metric_of(name))
        low, high = measure.limits(Z)
        assert measure.value[0] == 1.0 == high[0]
        fewest = 80 if "[" not in name else int(measure.support[0]) // (1 + ("micro" in name))
        assert 0.025 ** (1 / fewest) - 0.04 < low[0] < 0.025 ** (1 / 80) + 1e-3, "all labels of an image are one decision"


def test_what_is_undefined_is_nan_and_says_which_label_lacks_what() -> None:
    cell = np.zeros((30, 3), dtype=np.int64)
    cell[:10, 0] = 3
    cell[:, 2] = MISSING
    table = table_of(LabelRows(cell, np.repeat([0, 1], 15), 3))
    mean = table.measure(Metric("true_positive_rate", "macro"))
    assert np.isnan(mean.value).all()
    assert mean.reason == ("undefined: 0 positives of Young", "undefined: 0 positives of Smiling", "absent: no images")
    subset = table.measure(Metric("subset_accuracy"))
    assert subset.reason[0] == "undefined: 0 images whose labels are all known"
    assert np.isnan(subset.limits(Z)).all()
    assert table.measure(Metric("accuracy", 2)).reason == (
        *["undefined: 0 images with a known label"] * 2,
        "absent: no images",
    )
    hamming = table.measure(Metric("hamming_accuracy"))
    assert hamming.value[0] == 1.0
    assert hamming.reason[2] == "absent: no images"
    assert table.measure(Metric("mean_f2")).support.tolist() == [15, 15, 0]
    assert values(table, "tpr", "micro")[0] == 1.0
    assert math.isnan(values(table, "tpr", "micro")[1])


def test_questions_that_make_no_sense_are_answered_with_a_sentence() -> None:
    table = table_of(drawn(9))
    counted = label_table(table.counts, LABELS, [NO_YES] * 3)
    for one, name, of, said in [
        (table, "mean_f2", "Young", r"mean_f2 is of all labels; write it without \[Young\]"),
        (table, "accuracy", "macro", r"accuracy over labels is hamming_accuracy; write that"),
        (table, "false_negative_share", "micro", "false_negative_share has no micro over labels; name a label"),
        (table, "f1", "weighted", r"f1\[weighted\] was not asked for; audit with --aggregate weighted"),
        (table, "mean_f0.5", None, r"mean_f0\.5 is made of images, not of counts, and is not known here"),
        (table, "auroc", "Bald", "auroc needs scores, which are not known here"),
        (counted, "f1", "macro", r"f1\[macro\] is made of images, not of counts, and is not known here"),
        (counted, "subset_accuracy", None, "subset_accuracy is made of images"),
    ]:
        with pytest.raises(UsageError, match=said):
            one.resolve(name, of)
    with pytest.raises(UnknownNameError, match="unknown label 'Yuong'; did you mean 'Young'"):
        table.resolve("f1", "Yuong")
    with pytest.raises(UsageError, match=r"mean_f2 needs several labels of each image \(--target Smiling\+Young\)"):
        Table(np.ones((1, 2, 2), dtype=np.int64), NO_YES).resolve("mean_f2", None)
    assert [counted.key(m) for m in counted.catalogue() if m.of is None] == []


# What follows from a table of labels.


def test_named_disparities_and_indices_are_those_of_the_label() -> None:
    rows = drawn(10)
    table = table_of(rows)
    comparison = Comparison(0.95, 0, 5)
    groups = tuple({"g": str(i)} for i in range(3))
    found = summarise(Grouping(("g",), groups, table, comparison), "largest", 0)
    mine = {(d.metric, d.kind, str(d.group)): d.estimate for d in found.disparities}
    for i, label in enumerate(LABELS):
        own = Table(rows.counts()[:, i].reshape(-1, 2, 2), NO_YES, 1)
        for d in summarise(Grouping(("g",), groups, own, comparison), "largest", 0).disparities:
            said = repr(mine[f"{d.metric}[{label}]", d.kind, str(d.group)])
            assert said.replace(f"[{label}]", "") == repr(d.estimate)
        for name, of in (("theil_index", 1), ("differential_fairness", None)):
            expected = index_contrasts(name, own, of, comparison, Draws(100))
            assert repr(index_contrasts(name, table, i, comparison, Draws(100))) == repr(expected)
    assert ("f1_diff[macro]", None, "None") in mine
    assert found.counts == tuple(tuple(tuple(int(x) for x in row) for row in group) for group in rows.counts())
    known = {e.name for e in entries()}
    assert {key.split("[")[0] for key in found.groups[0].metrics} <= known
    assert {"mean_f2", "subset_accuracy", "hamming_accuracy"} <= known


def test_the_union_of_parts_knows_what_adds_up() -> None:
    rows = drawn(11, missing=0.1)
    first = np.arange(240) < 100
    parts = [LabelRows(rows.cell[keep], rows.ids[keep], 3) for keep in (first, ~first)]
    united = added_together([together(one, one.counts()) for one in parts])
    whole = together(rows, rows.counts())
    assert (united.images, united.complete, united.exact) == (whole.images, whole.complete, whole.exact)
    assert united.sizes == {"subset_accuracy": whole.sizes["subset_accuracy"]}
    assert added_together([whole], over_groups=True).images == (sum(whole.images),)


cells = st.integers(1, 3).flatmap(
    lambda labels: st.lists(st.lists(st.sampled_from([0, 1, 2, 3, MISSING]), min_size=labels, max_size=labels), max_size=40)
)


@settings(max_examples=15, deadline=None)
@given(cells, st.randoms(use_true_random=False))
def test_properties(drawn_cells: list[list[int]], random: Any) -> None:
    labels = len(drawn_cells[0]) if drawn_cells else 2
    cell = np.array(drawn_cells, dtype=np.int64).reshape(-1, labels)
    ids = np.array([random.randrange(-1, 2) for _ in drawn_cells], dtype=np.int64)
    table = table_of(LabelRows(cell, ids, 2), aggregates=("weighted", "worst"))
    order, turned = random.sample(range(len(ids)), len(ids)), random.sample(range(labels), labels)
    shuffled = table_of(LabelRows(cell[order], ids[order], 2), aggregates=("weighted", "worst"))
    moved = table_of(LabelRows(cell[:, turned], ids, 2), aggregates=("weighted", "worst"))
    for metric in table.catalogue():
        measure = table.measure(metric)
        low, high = measure.limits(Z)
        np.testing.assert_array_equal(np.isnan(measure.value), [why is not None for why in measure.reason])
        np.testing.assert_array_equal(np.isnan(measure.value), measure.support == 0)
        defined = ~np.isnan(measure.value)
        assert (low[defined] <= measure.value[defined] + 1e-9).all(), table.key(metric)
        assert (measure.value[defined] <= high[defined] + 1e-9).all(), table.key(metric)
        assert (low[defined] >= measure.least).all()
        assert (high[defined] <= measure.most).all()
        np.testing.assert_allclose(shuffled.measure(metric).value, measure.value, rtol=1e-9)
        same = Metric(metric.rate, turned.index(metric.of)) if isinstance(metric.of, int) else metric
        np.testing.assert_allclose(moved.measure(same).value, measure.value, rtol=1e-9)
        np.testing.assert_allclose(moved.measure(same).limits(Z), [low, high], rtol=1e-4, atol=1e-6)
    assert {m.rate for m in table.catalogue() if m.of == "macro"} == {rate.name for rate in pooled_rates()}
