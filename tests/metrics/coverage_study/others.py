"""Coverage of indices and of people with several pictures; and what a percentile bootstrap would have covered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairaudit.metrics.clusters import PersonCounts
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.indices import INDICES, Draws, index_contrasts
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rates import RATES
from fairaudit.predictions import FloatArray, IntArray

Z = quantile(0.95)
RATES_OF_GROUPS = {
    "3 equal groups": [(0.8, 0.2)] * 3,
    "3 unequal groups": [(0.9, 0.1), (0.8, 0.2), (0.6, 0.3)],
}
"""True and false positive rates of each group."""
KINDS = {
    "average odds, average gap": (
        "average_odds_difference", "average_abs_odds_difference", "equalized_odds_average_gap",
    ),
    "equalized odds ratio": ("equalized_odds_ratio",),
    "differential fairness": ("differential_fairness",),
    "entropies over images": ("generalized_entropy_index", "theil_index"),
    "entropies between groups": ("between_group_generalized_entropy_index", "between_group_theil_index"),
}  # fmt: skip


def _outcomes(negatives: IntArray, positives: IntArray, wrong: IntArray, right: IntArray) -> IntArray:
    """(…, 2, 2) counts [true, predicted]."""
    return np.stack([np.stack([negatives - wrong, wrong], -1), np.stack([positives - right, right], -1)], -2)


def index_coverage(n: int, trials: int, seed: int) -> Iterator[tuple[str, str, float]]:
    """Index, truth and coverage, at once over all groups where there is one number for each.

    Args:
        n: positives, and as many negatives, of each group.
        trials: tables that are drawn from each truth.
        seed: of the draws.
    """
    comparison = Comparison(0.95, 0, 1)
    for case, rates in RATES_OF_GROUPS.items():
        rng = np.random.default_rng([seed, n, *case.encode()])
        tpr, fpr = np.array(rates).T
        endless = np.full(len(rates), 10**8)
        truth = _outcomes(endless, endless, np.rint(fpr * 10**8).astype(int), np.rint(tpr * 10**8).astype(int))
        all_of = np.full((trials, len(rates)), n)
        drawn = _outcomes(all_of, all_of, rng.binomial(n, fpr, all_of.shape), rng.binomial(n, tpr, all_of.shape))
        names = [name for kind in KINDS.values() for name in kind]
        expected = {name: _limits(name, truth, comparison, Draws(2))[2] for name in names}
        hits = dict.fromkeys(names, 0)
        for counts in drawn:
            for name in names:
                low, high, _ = _limits(name, counts, comparison, Draws(400))
                hits[name] += bool(((low - 1e-9 <= expected[name]) & (expected[name] <= high + 1e-9)).all())
        for name in names:
            yield name, case, hits[name] / trials


def _limits(name: str, counts: IntArray, comparison: Comparison, draws: Draws) -> tuple[FloatArray, FloatArray, FloatArray]:
    table = Table(counts, ("no", "yes"), 1)
    of = 1 if INDICES[name].per_class else None
    found = [c.estimate for c in index_contrasts(name, table, of, comparison, draws)]
    low, high, value = (np.array(part) for part in zip(*((e.ci_low, e.ci_high, e.value) for e in found), strict=True))
    return low, high, value


def people_coverage(people: int, trials: int, seed: int) -> Iterator[tuple[str, float, float]]:
    """Truth, coverage of a rate with people for clusters, and coverage had pictures been taken for people.

    Args:
        people: how many, with 2 to 6 pictures each.
        trials: how often they are drawn.
        seed: of the draws.
    """
    parts = RATES["accuracy"].parts
    for p in (0.5, 0.9, 0.95):
        for alike in (0.0, 0.3, 0.8):
            rng = np.random.default_rng([seed, people, int(100 * p), int(10 * alike)])
            pictures = rng.integers(2, 7, (trials, people))
            scale = (1 - alike) / alike if alike else np.inf
            chance = rng.beta(p * scale, (1 - p) * scale, pictures.shape) if alike else np.full(pictures.shape, p)
            right = rng.binomial(pictures, chance)
            counts = np.zeros((right.size, 2, 2), dtype=np.int64)
            counts[:, 0, 0], counts[:, 0, 1] = right.ravel(), (pictures - right).ravel()
            found = PersonCounts(np.repeat(np.arange(trials), people), np.arange(right.size), counts, trials)
            cell = f"{p} right, correlation {alike} within people"
            covered = [_within(law, *found.effective(parts), p) for law in (wilson, clopper_pearson)]
            yield cell, min(covered), _within(wilson, right.sum(1), pictures.sum(1), p)


def _within(law: object, x: FloatArray | IntArray, n: FloatArray | IntArray, truth: float) -> float:
    low, high = law(x, n, Z)  # type: ignore[operator]
    return float(((low <= truth) & (truth <= high)).mean())


def bootstrap_gap_coverage(groups: int, n: int, truths: FloatArray, trials: int, seed: int) -> float:
    """What is not offered: quantiles of max − min of resampled groups.

    Args:
        groups: how many.
        n: images of each.
        truths: (groups,) true rates.
        trials: tables that are drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, groups, n])
    rates = rng.binomial(n, truths, (trials, groups)) / n
    resampled = np.ptp(rng.binomial(n, rates, (200, trials, groups)) / n, axis=-1)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return float(((low <= np.ptp(truths)) & (np.ptp(truths) <= high)).mean())
