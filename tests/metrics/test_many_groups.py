"""Hundreds of groups: what looks at all pairs of them says what a plain loop says, and fits into memory."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from fairaudit.metrics import intervals
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.indices import Draws, index_contrasts
from fairaudit.metrics.measure import Metric, Table

NAME = "equalized_odds_average_gap"


def _table(seed: int, groups: int) -> Table:
    return Table(np.random.default_rng(seed).integers(1, 60, (groups, 2, 2)), ("no", "yes"), positive=1)


@pytest.mark.parametrize("groups", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_the_widest_average_gap_is_found_among_all_pairs_of_pairs(seed: int, groups: int) -> None:
    table = _table(seed, groups)
    [contrast] = index_contrasts(NAME, table, 1, Comparison(0.95, 0, 1), Draws(100, 0))
    z = intervals.quantile(0.95)
    found = []
    for rate in ("true_positive_rate", "false_positive_rate"):
        measure = table.measure(Metric(rate, 1))
        low, high = measure.limits(z)
        p = measure.value
        pairs = permutations(range(groups), 2)
        found.append([(p[i] - p[j], math.hypot(high[i] - p[i], p[j] - low[j])) for i, j in pairs])
    widest = max((a + b + math.hypot(x, y)) / 2 for a, x in found[0] for b, y in found[1])
    assert contrast.estimate.ci_high == pytest.approx(min(1.0, widest), rel=1e-12)


def test_four_hundred_groups() -> None:
    [contrast] = index_contrasts(NAME, _table(0, 400), 1, Comparison(0.95, 0, 1), Draws(100, 0))
    assert contrast.estimate.ci_low <= contrast.estimate.value <= contrast.estimate.ci_high
