"""Plan: how many images a rule needs, and what an audit of a given size could show.

A rule passes when the whole interval lies inside its limit, so the chance of a pass is the chance that the limit which an
audit *shows*, the outer end of its interval, stays inside. Audits are simulated from true rates with a fixed seed, on the
intervals that the gate decides on: groups are independent binomials, limits are looked up in a table of every count that
can occur. The same uniform numbers serve every size, so that two sizes differ by their size alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr, chndtr

from fairaudit.errors import UsageError
from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import ALSO_LISTED, NAMED, Kind
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.rates import AGGREGATES, RATES, Direction, rate_named
from fairaudit.metrics.rules import Rule
from fairaudit.predictions import BoolArray, FloatArray, IntArray

TRIALS = 4000
MOST = 10_000_000
_PAIRWISE = 24  # groups up to which every pair is looked at


@dataclass(frozen=True, eq=False)
class Design:
    """An audit that is yet to be made, of one rule.

    Attributes:
        kind: how the rule compares groups.
        upper: whether its limit is an upper one (``<=``).
        direction: which way the metric is better.
        rates: (g,) true rates.
        support: (g,) denominators.
        confidence: of the intervals.
        privileged: index of the reference group; only differences, shortfalls and ratios have one.
        measures: how many independent gaps must all hold: 2 for equalized odds.
        family: how many numbers the rule judges together (a rule on every class); only failing pays for it.
    """

    kind: Kind
    upper: bool
    direction: Direction
    rates: FloatArray
    support: IntArray
    confidence: float = 0.95
    privileged: int = 0
    measures: int = 1
    family: int = 1

    def sized(self, support: int) -> Design:
        """The same design with this denominator in every group."""
        return replace(self, support=np.full(len(self.rates), support))


def design_of(rule: Rule, rates: FloatArray, support: IntArray, confidence: float, privileged: int = 0) -> Design:
    """What a rule needs to know of an audit.

    Args:
        rule: the rule.
        rates: (g,) true rates; of equalized odds the true positive rates, the false positive rates mirroring them.
        support: (g,) denominators of the rate.
        confidence: of the intervals.
        privileged: index of the reference group.

    Raises:
        UsageError: the metric is not a proportion of images, or there is nothing to compare.
    """
    first = denominator(rule)
    if len(rates) < (1 if rule.kind == "worst_group" else 2):
        raise UsageError(f"the rule {rule.text!r} compares groups: plan for at least two")
    if not ((rates >= 0) & (rates <= 1)).all():
        raise UsageError("a rate lies from 0 to 1")
    count = len(NAMED[rule.metric].rates) if rule.named else 1
    upper = rule.operator in ("<=", "<")
    return Design(rule.kind, upper, RATES[first].direction, rates, support, confidence, privileged, count)


def denominator(rule: Rule) -> str:
    """The rate whose denominator a plan counts.

    Raises:
        UsageError: the metric is not a proportion of images (an F-score, a mean over classes).
    """
    if rule.kind in ALSO_LISTED:
        raise UsageError(
            f"the rule {rule.text!r} is about a {rule.kind}, which cannot be planned; plan for a gap or a ratio"
        )
    names = NAMED[rule.metric].rates if rule.named else (rule.metric,)
    rates = [rate_named(name) for name in names]
    folded = "" if rule.of is None else rule.of.strip().casefold()
    if folded in AGGREGATES or any(rate is None or rate.beta is not None for rate in rates):
        metric = rule.metric + (f"[{folded}]" if folded in AGGREGATES else "")
        raise UsageError(
            f"the rule {rule.text!r} is about {metric}, which is not one proportion of images, and cannot be planned; "
            "plan for a rate, such as true_positive_rate"
        )
    return names[0]


def shown(design: Design, trials: int = TRIALS, seed: int = 0) -> FloatArray:
    """(trials,) the strictest limit that each simulated audit would pass: the outer end of its interval."""
    z = intervals.quantile(design.confidence)
    parts = [_outer(design, z, trials, seed + m) for m in range(design.measures)]
    return np.asarray(np.max(parts, axis=0) if design.upper else np.min(parts, axis=0))


def pass_chance(design: Design, limit: float, trials: int = TRIALS, seed: int = 0) -> float:
    """The chance that a rule with this limit passes."""
    found = shown(design, trials, seed)
    return float(np.mean(found <= limit if design.upper else found >= limit))


def fail_chance(design: Design, limit: float, trials: int = TRIALS, seed: int = 0) -> float:
    """The chance that a rule with this limit fails: that the inner end of its interval lies beyond."""
    bad = np.zeros(trials, dtype=np.bool_)
    for m in range(design.measures):
        bad |= _beyond(design, limit, trials, seed + m)
    return float(bad.mean())


def strictest_limit(design: Design, power: float, trials: int = TRIALS, seed: int = 0) -> float:
    """The strictest limit that an audit of this size passes with the given chance."""
    found = np.sort(shown(design, trials, seed))
    at = int(np.ceil(power * trials)) - 1
    return float(found[at] if design.upper else found[trials - 1 - at])


def support_needed(design: Design, limit: float, power: float, trials: int = TRIALS, seed: int = 0) -> int | None:
    """Images that every group needs in the rate's denominator; None where no number up to ten million is enough.

    Args:
        design: its own ``support`` is not looked at.
        limit: the rule's limit.
        power: wanted chance of a pass.
        trials: simulated audits per size.
        seed: of the simulation.

    Returns:
        Within 1 % of the smallest number. Counts are whole, so that the chance of a pass is not quite monotone in it.
    """

    def enough(n: int) -> bool:
        return pass_chance(design.sized(n), limit, trials, seed) >= power

    high = 16
    while not enough(high):
        high *= 4
        if high > MOST:
            return None
    low = high // 4 if high > 16 else 0
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_drop(
    design: Design, group: int, power: float, limit: float | None = None, trials: int = TRIALS, seed: int = 0
) -> float | None:
    """How much worse one group must truly be for the audit to show it; None where even the worst would not be shown.

    Args:
        design: the others' true rates and every group's support.
        group: index of the group that is worse.
        power: wanted chance to show it.
        limit: what must be exceeded; None: that groups differ at all (0 for differences, 1 for ratios).
        trials: simulated audits per step.
        seed: of the simulation.
    """
    down = design.direction is not Direction.LOWER
    room = float(design.rates[group] if down else 1 - design.rates[group])
    nothing = (1.0 if design.kind == "ratio" else 0.0) if limit is None else limit

    def seen(drop: float) -> bool:
        rates = design.rates.copy()
        rates[group] = np.clip(rates[group] + (-drop if down else drop), 0.0, 1.0)
        return fail_chance(replace(design, rates=rates), nothing, trials, seed) >= power

    if not seen(room):
        return None
    low, high = 0.0, room
    while high - low > 5e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def _draw(design: Design, trials: int, seed: int, *kinds: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray:
    """(kinds, trials, g) functions of simulated counts and their denominators, by a table per distinct group."""
    uniform = np.random.default_rng([seed, len(design.rates)]).random((trials, len(design.rates)))
    found = np.empty((len(kinds), *uniform.shape))
    tables: dict[tuple[float, int], tuple[FloatArray, FloatArray]] = {}
    for g, (p, n) in enumerate(zip(design.rates.tolist(), design.support.tolist(), strict=True)):
        if (p, n) not in tables:
            reach = 7 * np.sqrt(n * p * (1 - p)) + 20
            x = np.arange(max(0, int(n * p - reach)), min(n, int(n * p + reach) + 1) + 1, dtype=np.float64)
            tables[p, n] = bdtr(x, n, p), np.stack([kind(x, np.full_like(x, n)) for kind in kinds])
        below, values = tables[p, n]
        found[:, :, g] = values[:, np.minimum(np.searchsorted(below, uniform[:, g]), len(below) - 1)]
    return found


def _limits(
    design: Design, z: float, trials: int, seed: int, method: Callable[..., tuple[FloatArray, FloatArray]] | None = None
) -> FloatArray:
    """(3, trials, g) estimates, and lower and upper limits at one quantile, exact ones unless told otherwise."""
    limits = method or clopper_pearson
    return _draw(design, trials, seed, lambda x, n: x / n, lambda x, n: limits(x, n, z)[0], lambda x, n: limits(x, n, z)[1])


def _outer(design: Design, z: float, trials: int, seed: int) -> FloatArray:
    if design.kind == "spread":
        p, low, high = _limits(design, z, trials, seed, intervals.wilson)
        half = np.maximum(p - low, high - p).max(-1)
        return np.asarray(np.minimum(p.std(-1) + half / np.sqrt(p.shape[-1]), 0.5))
    p, low, high = _limits(design, z, trials, seed)
    if design.kind == "gap":
        return np.minimum(_widest(p, p - low, high - p), 1.0)
    if design.kind == "worst_group":
        return np.asarray(high.max(-1) if design.upper else low.min(-1))
    under, over = _against(design, p, low, high)
    if design.kind == "difference":
        return np.asarray(np.maximum(over, -under).max(-1))
    return np.asarray(over.max(-1) if design.upper else under.min(-1))


def _beyond(design: Design, limit: float, trials: int, seed: int) -> BoolArray:
    """(trials,) whether the inner end of the interval lies beyond the limit."""
    g, joint = len(design.rates), design.measures * design.family
    if design.kind == "spread":
        p, v = _draw(design, trials, seed, lambda x, n: x / n,
                     lambda x, n: (x + 2) / (n + 4) * (1 - (x + 2) / (n + 4)) / n)  # fmt: skip
        return spread_exceeds(p, v, limit, design.confidence, joint)
    if design.kind == "gap":
        z = intervals.studentized_range(g, design.confidence ** (1 / joint))
        p, low, high = _limits(design, z, trials, seed)
        return np.asarray(-_widest(p, high - p, p - low, sign=-1.0) > limit)
    family = g if design.kind == "worst_group" else g - 1
    p, low, high = _limits(design, intervals.sidak(family * design.family, design.confidence), trials, seed)
    if design.kind == "worst_group":
        return np.asarray(low.max(-1) > limit if design.upper else high.min(-1) < limit)
    under, over = _against(design, p, low, high)
    if design.kind == "difference":
        return np.asarray(np.maximum(under, -over).max(-1) > limit)
    return np.asarray(under.max(-1) > limit if design.upper else over.min(-1) < limit)


def spread_exceeds(p: FloatArray, variance: FloatArray, limit: float, confidence: float, joint: int = 1) -> BoolArray:
    """Whether the lower limit of the spread over the last axis lies above a limit, without solving for it."""
    g, s = p.shape[-1], ((p - p.mean(-1, keepdims=True)) ** 2)
    total = variance.sum(-1)
    t1, t2 = (1 - 1 / g) * total, (1 - 2 / g) * (variance**2).sum(-1) + total**2 / g**2
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.fmax(t2 / t1, (s * variance).sum(-1) / s.sum(-1))
    return np.asarray(chndtr(s.sum(-1) / a, t1 / a, g * limit**2 / a) > 0.5 + confidence ** (1 / joint) / 2)


def _against(design: Design, p: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(trials, g − 1) limits of every other group against the privileged one, in the rule's own sense."""
    ref = design.privileged
    others = np.flatnonzero(np.arange(p.shape[-1]) != ref)

    def columns(_z: float) -> tuple[FloatArray, FloatArray]:
        return low.T, high.T

    compare = intervals.ratio if design.kind == "ratio" else intervals.difference
    under, over = compare(p.T, columns, 0.0, others, [ref])
    if design.kind == "shortfall" and design.direction is Direction.HIGHER:
        under, over = -over, -under
    return under.T, over.T


def _widest(p: FloatArray, down: FloatArray, up: FloatArray, sign: float = 1.0) -> FloatArray:
    """(trials,) max over pairs i ≠ j of pᵢ − pⱼ + √(upᵢ² + downⱼ²); with sign −1, −max of pᵢ − pⱼ − √(…), swapped sides.

    Of many groups only those that can make the maximum are paired: per trial the eight foremost by value, by limit and in
    between, on either side.
    """
    if p.shape[-1] > _PAIRWISE:
        rows = np.arange(len(p))[:, None]
        i = np.concatenate([np.argpartition(-(p + sign * t * up), 8, -1)[:, :8] for t in (0.0, 0.7, 1.0)], -1)
        j = np.concatenate([np.argpartition(p - sign * t * down, 8, -1)[:, :8] for t in (0.0, 0.7, 1.0)], -1)
        same = i[:, :, None] == j[:, None, :]
        reach = p[rows, i][:, :, None] - p[rows, j][:, None, :] + sign * np.hypot(
            up[rows, i][:, :, None], down[rows, j][:, None, :]
        )  # fmt: skip
        return np.asarray(sign * np.where(same, -np.inf, reach).max((1, 2)))
    best = np.full(len(p), -np.inf)
    for k in range(p.shape[-1]):
        others = np.arange(p.shape[-1]) != k
        ends = p[:, [k]] - p[:, others] + sign * np.hypot(up[:, [k]], down[:, others])
        best = np.maximum(best, ends.max(-1))
    return sign * best
