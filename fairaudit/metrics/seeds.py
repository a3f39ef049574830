"""Seeds: the same two models trained several times, compared by how their runs scatter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtr, stdtrit

from fairaudit.comparison import Change
from fairaudit.metrics.compared import FOLLOWED, Question, group_statistic, trend
from fairaudit.metrics.measure import Measure, Table
from fairaudit.metrics.paired import holm
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.scored import scored_named
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Estimate, Group


def seed_changes(before: Sequence[Table], after: Sequence[Table], asked: Question) -> Iterator[Change]:
    """Changes of every metric over seeds: mean, standard deviation, paired t-test.

    Args:
        before: every group of each run of the first model.
        after: those of the second model's runs, in the same order.
        asked: what is asked.

    Yields:
        Changes of groups, then of kinds over groups, metric by metric; of the metrics that every run has.
    """
    runs = [*before, *after]
    for metric in asked.wanted or before[0].catalogue():
        if any(scored_named(metric.rate) is not None and metric not in run.rows for run in runs):
            continue
        measures = [run.measure(metric) for run in runs]
        value = np.stack([m.value for m in measures])
        smallest = np.stack([m.support for m in measures]).min(0)
        yield from _changes(measures[0], value[: len(before)], value[len(before) :], smallest, asked)


def _changes(
    measure: Measure, first: FloatArray, second: FloatArray, smallest: IntArray, asked: Question
) -> Iterator[Change]:
    """One metric's changes, from its values (s, g) before and after and the smallest support of each group."""
    adjusted = holm(np.array([t_test(a, b)[0] for a, b in zip(first.T, second.T, strict=True)]), asked.families)
    for i, group in enumerate(asked.groups):
        one = _change(measure.key, None, group, first[:, i], second[:, i], int(smallest[i]), asked)
        yield _judged(replace(one, p_adjusted=float(adjusted[i])), measure.direction, asked)
    if len(asked.groups) < 2:
        return
    keep = smallest >= max(1, asked.min_support)
    left_out = len(keep) - int(keep.sum())
    why = f"left out: {left_out} of {len(keep)} groups (undefined or too small in a run)" if left_out else None
    for kind in FOLLOWED:
        if kind == "worst_group" and measure.direction is Direction.NONE:
            continue
        if keep.sum() < 2:
            nothing = Estimate(math.nan, math.nan, math.nan, 0, "undefined: fewer than two groups have enough support")
            yield Change(measure.key, kind, None, nothing, nothing, nothing)
            continue
        ends = [group_statistic(x[:, keep], kind, measure.direction) for x in (first, second)]
        one = _change(measure.key, kind, None, ends[0], ends[1], int(smallest[keep].min()), asked)
        if why is not None and one.change.reason is None:
            one = replace(one, change=replace(one.change, reason=why))
        yield _judged(replace(one, p_adjusted=min(1.0, one.p * asked.families)), measure.direction, asked)


def t_test(before: FloatArray, after: FloatArray) -> tuple[float, float]:
    """Student's paired t-test.

    Args:
        before: (s,) one number per seed.
        after: (s,) likewise, in the same order.

    Returns:
        Two-sided p and the standard error of the mean change. p is nan below two seeds, where a number is undefined, or
        where no pair of seeds scatters: then nothing is known of the scatter.
    """
    d = np.asarray(after) - np.asarray(before)
    if len(d) < 2 or np.isnan(d).any():
        return math.nan, math.nan
    error = float(d.std(ddof=1)) / math.sqrt(len(d))
    if error <= 1e-15:
        return math.nan, 0.0
    return 2 * float(stdtr(len(d) - 1, -abs(float(d.mean()) / error))), error


def sign_test_sentence(seeds: int, confidence: float) -> str:
    """What a sign test on so many seeds could reach at best."""
    best, level = 2.0 ** (1 - seeds), 1 - confidence
    if best > level:
        return f"a sign test on {seeds} seeds can never reach {level:.2g}: its smallest p is {best:.3g}"
    return f"a sign test on {seeds} seeds reaches {level:.2g} at best if nearly all agree: its smallest p is {best:.3g}"


def _change(
    key: str, kind: str | None, group: Group | None, before: FloatArray, after: FloatArray, support: int, asked: Question
) -> Change:
    def mean(x: FloatArray) -> Estimate:
        bad = bool(np.isnan(x).any())
        return Estimate(math.nan if bad else float(x.mean()), math.nan, math.nan, support,
                        "undefined in a run" if bad else None)  # fmt: skip

    p, error = t_test(before, after)
    one, two = mean(before), mean(after)
    change, half = two.value - one.value, math.nan
    reason = one.reason or two.reason
    if reason is None:
        half = error * float(stdtrit(len(before) - 1, 0.5 + asked.confidence / 2)) if error > 0 else math.nan
        reason = None if error > 0 else "the change is the same in every pair of seeds: no scatter to test against"
    found = Estimate(change, change - half, change + half, support, reason)
    sd = (float(np.std(before, ddof=1)), float(np.std(after, ddof=1)))
    return Change(key, kind, group, one, two, found, p, math.nan, test=None if math.isnan(p) else "paired t", sd=sd)


def _judged(one: Change, direction: Direction, asked: Question) -> Change:
    if not one.p_adjusted <= 1 - asked.confidence or one.change.value == 0:
        return one
    return replace(one, trend=trend(one.change.value, one.kind, direction))
