"""Shrinkage: shares of small groups, drawn towards that of all groups as far as their few images allow.

The true shares of the groups of a grouping are taken as draws from a beta distribution, which is estimated from the groups
themselves (empirical Bayes: Efron & Morris 1973; Casella 1985). With x of n images right, a group's posterior mean is
(x + a) / (n + a + b) = (n · x/n + M · m) / (n + M), where m = a / (a + b) is the mean of the groups and M = a + b says how
many images the prior is worth: a group of M images is drawn half way.

The two are estimated from moments (Kleinman 1973). With weights w, W = Σw, m = Σ w p / W and S = Σ w (p − m)², and with
ρ = 1 / (M + 1) the correlation of two images of one group,

    E S = m (1 − m) Σ w (1 − w/W) (1/n + ρ (1 − 1/n)),

which is solved for ρ (0 where groups lie no farther apart than chance alone would have them: all are drawn to the mean
entirely). Weights start at n and then follow ρ, w = n / (1 + ρ (n − 1)), until they stay.

A shrunken value is a better guess of what more images would show, on average over the groups; of a group that is truly far
from the others it is too mild. So it stands beside what was counted, and no disparity and no verdict is made from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.rates import rate_named
from fairaudit.predictions import FloatArray

FEWEST = 3
"""Groups with images, without which nothing can be said of how groups scatter."""

_ROUNDS = 100


@dataclass(frozen=True)
class Prior:
    """The beta distribution of true shares over groups.

    Attributes:
        mean: m.
        size: M = a + b, in images; inf where groups do not differ by more than chance.
    """

    mean: float
    size: float


def beta_prior(successes: FloatArray, support: FloatArray) -> Prior | None:
    """The prior that these groups were drawn from; None of fewer than three groups, or of groups of one image each.

    Args:
        successes: (g,) numerators, may be fractions (of clusters, the counts of so many independent images).
        support: (g,) denominators; groups of 0 tell nothing.
    """
    there = np.asarray(support) > 0
    x, n = (np.asarray(part, dtype=np.float64)[there] for part in (successes, support))
    if len(n) < FEWEST or not (n > 1).any():
        return None
    p, n = x / n, np.maximum(n, 1.0)
    w, rho = n, 0.0
    for _ in range(_ROUNDS):
        mean = float(w @ p / w.sum())
        chance = mean * (1 - mean)
        if chance <= 0:
            return Prior(mean, math.inf)
        lever = w * (1 - w / w.sum())
        square = float(w @ (p - mean) ** 2) / chance
        before, rho = rho, (square - float((lever / n).sum())) / float((lever * (1 - 1 / n)).sum())
        rho = min(max(rho, 0.0), 1.0)
        if abs(rho - before) < 1e-12:
            break
        w = n / (1 + rho * (n - 1))
    return Prior(float(w @ p / w.sum()), math.inf if rho == 0 else (1 - rho) / rho)


def posterior_mean(successes: FloatArray, support: FloatArray, prior: Prior) -> FloatArray:
    """(g,) posterior means; nan where the support is 0, of which nothing was seen.

    Args:
        successes: (g,) numerators.
        support: (g,) denominators.
        prior: of the groups.
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(support, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = n / (n + prior.size) if math.isfinite(prior.size) else np.zeros_like(n)
        return np.where(n > 0, kept * (x / n) + (1 - kept) * prior.mean, np.nan)


def shrunk(successes: FloatArray, support: FloatArray) -> FloatArray:
    """(g,) shares drawn towards their common mean; nan of fewer than three groups, and where the support is 0."""
    prior = beta_prior(successes, support)
    if prior is None:
        return np.full(len(support), np.nan)
    return posterior_mean(successes, support, prior)


def shrunk_shares(table: Table) -> dict[str, FloatArray]:
    """Every metric that is a share of images, shrunk over the groups; those of which nothing can be said are left out.

    Where people are on several images, a group counts as many images as are worth an independent one.

    Args:
        table: counts of every group.

    Returns:
        The metric's name in records → (g,) values, nan where a group has none.
    """
    found: dict[str, FloatArray] = {}
    for metric in table.catalogue():
        rate = rate_named(metric.rate)
        if rate is None or rate.beta is not None or isinstance(metric.of, str):
            continue
        measure = table.measure(metric)
        n = measure.support / _effect(table, metric)
        values = shrunk(np.nan_to_num(measure.value) * n, n)
        if not np.isnan(values).all():
            found[measure.key] = values
    return found


def _effect(table: Table, metric: Metric) -> FloatArray | float:
    rate = rate_named(metric.rate)
    own, of = table.seen_from(metric.of) if isinstance(metric.of, int) else (table, None)
    if own.effects is None or rate is None:
        return 1.0
    return own.effects.of_class(rate, of if rate.per_class else None)
