"""What must hold for every table, drawn at random: empty groups, single rows, constant predictions included."""

from __future__ import annotations

import math
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rates import RATES, rate_support, rate_values
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import IntArray
from fairaudit.results import Estimate, GroupingResult

MODEST = settings(max_examples=15, deadline=None)

_sizes = st.tuples(st.integers(1, 4), st.integers(1, 3))
tables = _sizes.flatmap(
    lambda size: hnp.arrays(
        np.int64,
        (size[0], size[1], size[1]),
        elements=st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 400)),
        fill=st.just(0),
    )
)


def _summary(counts: IntArray, privileged: int = 0, classes: str = "abc", min_support: int = 1) -> GroupingResult:
    g, k, _ = counts.shape
    groups = tuple({"g": f"{i}"} for i in range(g))
    grouping = Grouping(("g",), groups, Table(counts, tuple(classes[:k])), Comparison(0.95, privileged, min_support))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return summarise(grouping, "named", 0)


def _same(a: Estimate, b: Estimate, sign: int = 1, what: object = None) -> None:
    first = (a.value, a.ci_low, a.ci_high) if sign > 0 else (-a.value, -a.ci_high, -a.ci_low)
    for x, y in zip(first, (b.value, b.ci_low, b.ci_high), strict=True):
        assert (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-7, abs_tol=1e-9), (what, a, b)
    assert a.support == b.support


@given(tables, st.data())
@MODEST
def test_counts_add_over_batches_and_forget_the_order(counts: IntArray, data: st.DataObject) -> None:
    g, k, _ = counts.shape
    flat = np.repeat(np.arange(counts.size), np.minimum(counts, 20).ravel())
    ids, cell = np.divmod(flat, k * k)
    true, predicted = np.divmod(cell, k)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(flat))
    whole = confusion(true, predicted, ids, g, k)
    assert (whole == np.minimum(counts, 20)).all()
    assert (confusion(true[order], predicted[order], ids[order], g, k) == whole).all()
    cut = data.draw(st.integers(0, len(flat)))
    first, rest = order[:cut], order[cut:]
    halves = [confusion(true[o], predicted[o], ids[o], g, k) for o in (first, rest)]
    assert (halves[0] + halves[1] == whole).all()


@given(tables)
@MODEST
def test_values_are_inside_their_intervals_and_nan_only_without_support(counts: IntArray) -> None:
    found = _summary(counts)
    for i, group in enumerate(found.groups):
        for name, e in group.metrics.items():
            assert math.isnan(e.value) == (e.support == 0), name
            assert (e.reason is None) == (e.support > 0), name
            if e.support:
                least = -1 if name.split("[")[0] in STATISTICS else 0
                assert least <= e.ci_low <= e.value <= e.ci_high <= 1, (name, e)
            if counts[i].sum() == 0:
                assert e.reason == "absent: no images"
    for d in found.disparities:
        e = d.estimate
        if math.isnan(e.value):
            assert e.reason, d
            assert math.isnan(e.ci_low), d
            assert math.isnan(e.ci_high), d
        else:
            assert e.ci_low - 1e-12 <= e.value <= e.ci_high + 1e-12, d
            assert (e.value == math.inf) == (e.reason or "").startswith("infinite"), d
        if d.kind in ("gap", "spread") and not math.isnan(e.value):
            assert e.ci_low >= 0, d
            assert e.ci_high <= (2 if d.metric.split("[")[0] in STATISTICS else 1), d


@given(tables, st.randoms(use_true_random=False))
@MODEST
def test_permuting_groups_permutes_results(counts: IntArray, random: object) -> None:
    g = len(counts)
    order = list(range(g))
    getattr(random, "shuffle")(order)  # noqa: B009
    before, after = _summary(counts, privileged=order[0]), _summary(counts[order], privileged=0)
    for new, old in enumerate(order):
        for name, e in before.groups[old].metrics.items():
            _same(e, after.groups[new].metrics[name], what=name)
    lookup = {(d.metric, d.kind, None if d.group is None else d.group["g"]): d.estimate for d in after.disparities}
    for d in before.disparities:
        if d.kind == "worst_group":
            continue  # several may be worst; the value is compared below
        group = None if d.group is None else str(order.index(int(d.group["g"])))
        _same(d.estimate, lookup[d.metric, d.kind, group], what=d)
    worst = [[d for d in found.disparities if d.kind == "worst_group"] for found in (before, after)]
    for a, b in zip(*worst, strict=True):
        assert a.estimate.value == b.estimate.value or math.isnan(a.estimate.value)
        assert a.estimate.ci_low == b.estimate.ci_low or math.isnan(a.estimate.value)


@given(tables)
@MODEST
def test_swapping_the_privileged_of_two_groups_mirrors_the_difference(counts: IntArray) -> None:
    two = np.concatenate([counts[:1], counts[-1:]])
    forward, backward = _summary(two, privileged=0), _summary(two, privileged=1)
    for kind in ("difference", "shortfall"):
        pairs = [[d for d in found.disparities if d.kind == kind] for found in (forward, backward)]
        assert pairs[0]
        for a, b in zip(*pairs, strict=True):
            assert a.metric == b.metric
            _same(a.estimate, b.estimate, sign=-1, what=a)


@given(tables)
@MODEST
def test_names_of_classes_change_nothing_but_names(counts: IntArray) -> None:
    plain, renamed = _summary(counts), _summary(counts, classes="xyz")
    assert len(plain.disparities) == len(renamed.disparities)
    for a, b in zip(plain.disparities, renamed.disparities, strict=True):
        _same(a.estimate, b.estimate, what=a)


@given(tables, st.data())
@MODEST
def test_permuting_classes_permutes_what_is_of_one_class(counts: IntArray, data: st.DataObject) -> None:
    k = counts.shape[-1]
    order = data.draw(st.permutations(range(k)))
    turned = counts[:, order][:, :, order]
    names = "".join("abc"[i] for i in order)
    before, after = _summary(counts), _summary(turned, classes=names)
    for one, other in zip(before.groups, after.groups, strict=True):
        assert set(one.metrics) == set(other.metrics)
        for name, e in one.metrics.items():
            _same(e, other.metrics[name], what=name)


@given(tables)
@MODEST
def test_rates_broadcast_over_leading_axes(counts: IntArray) -> None:
    stacked = np.stack([counts, counts[::-1]])
    for rate in RATES.values():
        both = rate_values(rate, cells(stacked))
        each = [rate_values(rate, cells(part)) for part in stacked]
        assert np.array_equal(both, np.stack(each), equal_nan=True)
        assert ((rate_support(rate, cells(stacked)) > 0) == ~np.isnan(both)).all()


@given(tables, st.integers(1, 30))
@MODEST
def test_more_of_the_same_images_never_widen_an_interval(counts: IntArray, times: int) -> None:
    few, many = _summary(counts), _summary(counts * times)
    for one, other in zip(few.groups, many.groups, strict=True):
        for name, e in one.metrics.items():
            if e.support:
                assert math.isclose(other.metrics[name].value, e.value, rel_tol=1e-12)
                width = other.metrics[name].ci_high - other.metrics[name].ci_low
                assert width <= e.ci_high - e.ci_low + 1e-9, name
