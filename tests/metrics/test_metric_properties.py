"""What must hold for every table, drawn at random: empty groups, single rows, constant predictions included.

A table is drawn from a seed, each of its groups in one of seven manners; that is some twenty times as fast as drawing it
cell by cell, so that thousands are looked at. What is of single groups looks at hundreds of them at once.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.disparity import (
    AGAINST_PRIVILEGED,
    ALSO_LISTED,
    NAMED,
    OVER_GROUPS,
    Comparison,
    Contrast,
    named_key,
    named_metrics,
)
from fairaudit.metrics.gate import Grouping
from fairaudit.metrics.indices import INDICES, Draws, classes_of, index_contrasts, index_key
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.rates import AGGREGATES, RATES, rate_support, rate_values
from fairaudit.metrics.statistics import STATISTICS
from fairaudit.metrics.summary import summarise
from fairaudit.predictions import IntArray
from fairaudit.results import Estimate

NAMES = "abcdef"
DRAWS = Draws(100, 0)
seeds = st.integers(0, 2**32 - 1)


def many(examples: int) -> settings:
    """So many tables in a thorough run and fewer in a quick one, however long one takes on a busy machine."""
    return settings(max_examples=math.ceil(examples * settings().max_examples / 100), deadline=None)


def group_of(rng: np.random.Generator, k: int) -> IntArray:
    """(k, k) counts of one group: nobody, one image, one prediction, one label, no error, few images, many."""
    some, one = rng.integers(0, 40, (k, k)), np.arange(k) == rng.integers(k)
    single = np.zeros((k, k), dtype=np.int64)
    single[rng.integers(k), rng.integers(k)] = 1
    manners = (
        np.zeros_like(single), single, some * one, some * one[:, None], some * np.eye(k, dtype=np.int64),
        rng.integers(0, 3, (k, k)), rng.integers(0, 400, (k, k)),
    )  # fmt: skip
    return np.asarray(manners[rng.integers(len(manners))], dtype=np.int64)


def table_of(seed: int, groups: int | None = None) -> IntArray:
    """(g, k, k) counts of 1 to 5 groups, or as many as asked for, and 1 to 3 classes."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 4))
    return np.stack([group_of(rng, k) for _ in range(groups or int(rng.integers(1, 6)))])


def measured(counts: IntArray, which: int, names: str = NAMES) -> Measure:
    """One of the metrics that an audit of the table lists, every aggregate over classes included."""
    table = Table(counts, tuple(names[: counts.shape[-1]]), betas=(0.5,), aggregates=tuple(AGGREGATES[1:]))
    listed = table.catalogue()
    return table.measure(listed[which % len(listed)])


def compared(measure: Measure, privileged: int, min_support: int) -> dict[tuple[str, int | None], Estimate]:
    """Every disparity of one metric, by its kind and its group."""
    comparison = Comparison(0.95, privileged, min_support)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found: dict[tuple[str, int | None], Estimate] = {
            (kind, c.group): c.estimate for kind in AGAINST_PRIVILEGED for c in comparison.against_privileged(measure, kind)
        }
        for kind in (*OVER_GROUPS, *ALSO_LISTED):
            # Several groups may be worst; which of them is named depends on their order.
            found[kind, None] = comparison.over_groups([measure], kind).estimate
    return found


def named(counts: IntArray, name: str, privileged: int, names: str = NAMES) -> dict[str, list[Contrast]]:
    """A disparity with a name of its own, of every class, by its name in records."""
    table = Table(counts, tuple(names[: counts.shape[-1]]))
    comparison = Comparison(0.95, privileged, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name in INDICES:
            return {index_key(name, table, of): index_contrasts(name, table, of, comparison, DRAWS)
                    for of in classes_of(INDICES[name], table)}  # fmt: skip
        found = {}
        for of in named_metrics(table, name):
            parts = [table.measure(Metric(rate, of)) for rate in NAMED[name].rates]
            found[named_key(table, name, of)] = (
                comparison.against_privileged(parts[0], "ratio")
                if NAMED[name].kind == "ratio"
                else [comparison.over_groups(parts, NAMED[name].kind)]
            )
        return found


def same(a: Estimate, b: Estimate, sign: int = 1, what: object = None) -> None:
    """Assert that two estimates are one, or each other's mirror image."""
    first = (a.value, a.ci_low, a.ci_high) if sign > 0 else (-a.value, -a.ci_high, -a.ci_low)
    for x, y in zip(first, (b.value, b.ci_low, b.ci_high), strict=True):
        assert (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-7, abs_tol=1e-9), (what, a, b)
    assert a.support == b.support, (what, a, b)


def sound(e: Estimate, what: object) -> None:
    """Assert that an estimate lies in its interval, or is undefined with a reason and without an interval."""
    if math.isnan(e.value):
        assert e.reason, what
        assert math.isnan(e.ci_low), what
        assert math.isnan(e.ci_high), what
        return
    assert e.support > 0, what
    assert e.ci_low - 1e-12 <= e.value <= e.ci_high + 1e-12, (what, e)
    assert (e.value == math.inf) == (e.reason or "").startswith("infinite"), (what, e)


@given(seeds, st.data())
@many(300)
def test_counts_add_over_batches_and_forget_the_order(seed: int, data: st.DataObject) -> None:
    counts = np.minimum(table_of(seed), 20)
    g, k, _ = counts.shape
    ids, cell = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), k * k)
    true, predicted = np.divmod(cell, k)
    order = np.random.default_rng(seed).permutation(len(ids))
    whole = confusion(true, predicted, ids, g, k)
    assert (whole == counts).all()
    assert (confusion(true[order], predicted[order], ids[order], g, k) == whole).all()
    cut = data.draw(st.integers(0, len(ids)))
    halves = [confusion(true[o], predicted[o], ids[o], g, k) for o in (order[:cut], order[cut:])]
    assert (halves[0] + halves[1] == whole).all()


@given(seeds)
@many(40)
def test_every_value_is_in_its_interval_and_nan_exactly_without_support(seed: int) -> None:
    counts = table_of(seed, groups=60)
    table = Table(counts, tuple(NAMES[: counts.shape[-1]]), betas=(0.5,), aggregates=tuple(AGGREGATES[1:]))
    for metric in table.catalogue():
        m = table.measure(metric)
        low, high = m.interval(1.96)
        known = m.support > 0
        for values in (m.value, low, high, m.variance):
            assert (np.isnan(values) == ~known).all(), m.key
        assert ((m.least <= low) & (low <= m.value) & (m.value <= high) & (high <= m.most))[known].all(), m.key
        assert [why is None for why in m.reason] == known.tolist(), m.key
        assert all(why == "absent: no images" for why, n in zip(m.reason, table.n, strict=True) if n == 0), m.key


@given(seeds)
@many(40)
def test_rates_broadcast_over_leading_axes(seed: int) -> None:
    counts = table_of(seed, groups=60)
    folded = counts.reshape(5, 12, *counts.shape[1:])
    for rate in RATES.values():
        whole, parts = rate_values(rate, cells(counts)), rate_values(rate, cells(folded))
        assert np.array_equal(parts.reshape(whole.shape), whole, equal_nan=True)
        assert ((rate_support(rate, cells(counts)) > 0) == ~np.isnan(whole)).all()


@given(seeds, st.integers(1, 30))
@many(40)
def test_more_of_the_same_images_never_widen_an_interval(seed: int, times: int) -> None:
    counts = table_of(seed, groups=60)
    few, many_ = (Table(c, tuple(NAMES[: counts.shape[-1]])) for c in (counts, counts * times))
    for metric in few.catalogue():
        one, other = few.measure(metric), many_.measure(metric)
        assert np.allclose(one.value, other.value, rtol=1e-12, equal_nan=True)
        (a, b), (c, d) = one.interval(1.96), other.interval(1.96)
        assert ((d - c <= b - a + 1e-9) | np.isnan(a)).all(), one.key


@given(seeds, seeds, st.integers(1, 30))
@many(700)
def test_the_order_of_groups_is_only_the_order_of_results(seed: int, which: int, min_support: int) -> None:
    counts = table_of(seed)
    order = np.random.default_rng(which).permutation(len(counts))
    before, after = measured(counts, which), measured(counts[order], which)
    assert np.array_equal(before.value[order], after.value, equal_nan=True)
    assert np.array_equal(before.support[order], after.support)
    turned = compared(after, 0, min_support)
    for (kind, group), e in compared(before, int(order[0]), min_support).items():
        sound(e, (before.key, kind))
        new = None if group is None else order.tolist().index(group)
        if kind == "worst_group":
            same(e, turned[kind, new], what=before.key) if math.isnan(e.value) else _same_limits(e, turned[kind, new])
        else:
            same(e, turned[kind, new], what=(before.key, kind))


def _same_limits(a: Estimate, b: Estimate) -> None:
    """Of groups that are equally bad, any may be named, and its support with it."""
    assert (a.value, a.ci_low, a.ci_high) == (b.value, b.ci_low, b.ci_high)


@given(seeds, seeds)
@many(500)
def test_swapping_the_privileged_of_two_groups_mirrors_the_difference(seed: int, which: int) -> None:
    m = measured(table_of(seed, groups=2), which)
    one, other = (compared(m, privileged, 1) for privileged in (0, 1))
    for kind in ("difference", "shortfall"):
        same(one[kind, 1], other[kind, 0], sign=-1, what=(m.key, kind))
    if 0 < one["ratio", 1].value < math.inf:
        assert math.isclose(one["ratio", 1].value * other["ratio", 0].value, 1.0, rel_tol=1e-9)
    for kind in (*OVER_GROUPS, *ALSO_LISTED):
        same(one[kind, None], other[kind, None], what=(m.key, kind))


@given(seeds, seeds)
@many(500)
def test_the_order_of_classes_is_only_the_order_of_results(seed: int, which: int) -> None:
    counts = table_of(seed)
    k = counts.shape[-1]
    order = np.random.default_rng(which).permutation(k)
    m = measured(counts, which)
    turned = Table(counts[:, order][:, :, order], tuple(NAMES[i] for i in order), betas=(0.5,), aggregates=AGGREGATES[1:])
    [metric] = [one for one in turned.catalogue() if turned.key(one) == m.key]
    other = turned.measure(metric)
    for a, b in (
        (m.value, other.value),
        (m.variance, other.variance),
        *zip(m.limits(1.96), other.limits(1.96), strict=True),
    ):
        assert np.allclose(a, b, rtol=1e-7, atol=1e-9, equal_nan=True), m.key
    assert np.array_equal(m.support, other.support), m.key
    again = compared(other, 0, 1)
    for key, e in compared(m, 0, 1).items():
        same(e, again[key], what=(m.key, key))


@given(seeds, st.sampled_from([*NAMED, *INDICES]))
@many(500)
def test_disparities_with_a_name_forget_the_order_and_what_classes_are_called(seed: int, name: str) -> None:
    counts = table_of(seed)
    k, rng = counts.shape[-1], np.random.default_rng(seed)
    order, classes = rng.permutation(len(counts)), rng.permutation(k)
    before = named(counts, name, privileged=int(order[0]))
    after = named(counts[order], name, privileged=0)
    for key, contrasts in before.items():
        found = {None if c.group is None else int(order[c.group]): c.estimate for c in after[key]}
        for c in contrasts:
            sound(c.estimate, (key, c.group))
            same(c.estimate, found[c.group], what=key)
    renamed = named(counts[:, classes][:, :, classes], name, int(order[0]), "".join(NAMES[i] for i in classes))
    assert set(renamed) == set(before)
    for key, contrasts in before.items():
        for c, other in zip(contrasts, renamed[key], strict=True):
            same(c.estimate, other.estimate, what=key)


@given(seeds, st.sampled_from([*NAMED, *INDICES]))
@many(300)
def test_swapping_the_privileged_mirrors_what_has_a_name(seed: int, name: str) -> None:
    counts = table_of(seed, groups=2)
    one, other = (named(counts, name, privileged) for privileged in (0, 1))
    for key, contrasts in one.items():
        for c, turned in zip(contrasts, other[key], strict=True):
            if c.group is None:
                same(c.estimate, turned.estimate, what=key)
            elif name == "average_odds_difference":
                same(c.estimate, turned.estimate, sign=-1, what=key)
            elif name == "average_abs_odds_difference":
                same(c.estimate, turned.estimate, what=key)
            elif 0 < c.estimate.value < math.inf:
                assert math.isclose(c.estimate.value * turned.estimate.value, 1.0, rel_tol=1e-9), key


@given(seeds)
@many(25)
def test_a_whole_audit_is_sound(seed: int) -> None:
    counts = table_of(seed)
    g, k, _ = counts.shape
    groups = tuple({"g": f"{i}"} for i in range(g))
    grouping = Grouping(("g",), groups, Table(counts, tuple(NAMES[:k])), Comparison(0.95, 0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = summarise(grouping, "named", 0, DRAWS)
    for group in found.groups:
        for name, e in group.metrics.items():
            sound(e, name)
            assert math.isnan(e.value) == (e.support == 0), name
    for d in found.disparities:
        sound(d.estimate, d)
        if d.kind in ("gap", "spread") and not math.isnan(d.estimate.value):
            assert d.estimate.ci_low >= 0, d
            assert d.estimate.ci_high <= (2 if d.metric.split("[")[0] in STATISTICS else 1), d
