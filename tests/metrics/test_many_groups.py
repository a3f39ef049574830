"""Hundreds of groups: what looks at all pairs of them says what a plain loop says, and fits into memory."""

from __future__ import annotations

import math
import threading
from dataclasses import FrozenInstanceError, replace
from itertools import permutations, repeat

import numpy as np
import pytest

from fairaudit.metrics import inequality, intervals, summary
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.indices import Draws, index_contrasts
from fairaudit.metrics.measure import Metric, Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.summary import summarise
from fairaudit.results import Disparity, Estimate, GroupingResult
from fairaudit.results.columns import in_columns

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


def _summarised(table: Table) -> GroupingResult:
    groups = tuple({"place": str(i)} for i in range(len(table.n)))
    return summarise(Grouping(("place",), groups, table, Comparison(0.95, 0, 20), Draws(50, 0)), "largest", 0, Draws(50, 0))


def test_what_is_drawn_beside_is_what_is_drawn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(np.random.default_rng(0).integers(0, 40, (9, 3, 3)), ("a", "b", "c"))
    alone = _summarised(table)
    monkeypatch.setattr(summary, "MANY", 27)
    assert _summarised(replace(table)) == alone


def test_a_fault_beside_is_a_fault_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError("no room for what is drawn")

    before = threading.active_count()
    monkeypatch.setattr(summary, "MANY", 1)
    monkeypatch.setattr(inequality, "draw", fails)
    with pytest.raises(MemoryError, match="no room"):
        _summarised(_table(0, 5))
    assert threading.active_count() == before


def test_what_is_drawn_in_one_call_is_drawn_group_after_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inequality, "_AT_ONCE", 4)
    counts = np.random.default_rng(3).integers(0, 90, (11, 3)).astype(np.float64)
    counts[5] = 0
    rng = np.random.default_rng(9)
    drawn = inequality.draw(counts, 6, 9)
    for i in sorted(range(11), key=lambda i: tuple(counts[i])):
        n = int(counts[i].sum())
        wanted = rng.multinomial(n, (counts[i] + 1 / 3) / (n + 1), 6) if n else np.zeros((6, 3))
        assert np.array_equal(drawn[:, i], wanted)


def test_records_made_column_by_column_are_those_made_one_by_one() -> None:
    rows = [(0.5, 0.25, 0.75, 9, None), (0.1, 0.0, 0.2, 20, "too small")]
    made = in_columns(Estimate, 2, *zip(*rows, strict=True))
    assert made == [Estimate(*row) for row in rows]
    assert len({*made, Estimate(*rows[0])}) == 2
    with pytest.raises(FrozenInstanceError):
        made[0].value = 1.0  # type: ignore[misc]
    assert in_columns(Disparity, 1, *(repeat(x) for x in ("f1", "gap", None, made[0], None, None, None))) == [
        Disparity("f1", "gap", None, made[0])
    ]
    with pytest.raises(ValueError, match="shorter"):
        in_columns(Estimate, 2, repeat(0.5), repeat(0.25), repeat(0.75), repeat(9))
