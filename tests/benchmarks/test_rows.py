"""The table of speeds: medians of ratios, and what fell short."""

from __future__ import annotations

import pytest

from tests.benchmarks import audit_scores, audits, peer, scaling, startup
from tests.benchmarks.peer import Run
from tests.benchmarks.rows import Row, markdown


def test_a_row_is_the_median_of_its_rounds() -> None:
    row = Row.of("a", "b", (ratio for ratio in (3.0, 1.0, 2.0)), 2.5)
    assert (row.ratio, row.low, row.high, row.missed) == (2.0, 1.0, 3.0, True)
    assert markdown([row, Row.of("c", "d", [1234.5])]).splitlines()[2:] == [
        "| a | b | 2.00 | 1.00 to 3.00 | 2.5 (missed) |",
        "| c | d | 1,234 | 1,234 to 1,234 |  |",
    ]


def test_a_peer_is_as_much_slower_as_its_seconds_say() -> None:
    ours, theirs = [Run(10, 100, 50), Run(20, 100, 50)], [Run(20, 50, 50), Run(60, 50, 50)]
    fast, small = peer.rows_of("net", {"fairaudit": ours, "tuned": theirs})
    assert (fast.ratio, fast.low, fast.high, fast.missed) == (2.5, 2.0, 3.0, False)
    assert (small.ratio, small.missed) == (0.5, True)


def test_the_limit_of_the_start_is_a_ratio_of_one() -> None:
    [row] = startup.rows_of({"bare": [1.0, 1.0], "help": [2.0, 4.0]})
    assert (row.ratio, row.low, row.high) == pytest.approx((1.125, 0.75, 1.5))


def test_audits_are_compared_round_by_round() -> None:
    names = (audits.FIVE, audits.WHOLE, audits.ROWS, audits.ROWS_AGAIN, audits.WITHOUT_P, audits.OURS)
    times = {name: [1.0, 2.0] for name in names} | {audits.FRAME_BOOT: [1e5, 1e4], audits.THEIRS: [4.0, 4.0]}
    rows = audits.rows_of(times, {"audit": 20.0, "write": 10.0, "gib": 1.0})
    assert [row.missed for row in rows] == [False, False, True, True, True, False, True, False]
    assert (rows[0].low, rows[0].high) == (5e3, 1e5)


def test_scores_are_compared_and_their_error_is_a_row() -> None:
    names = (audit_scores.BY_BINS, audit_scores.EXACT, audit_scores.ECE)
    slow = {audit_scores.SKLEARN: [40.0, 20.0, 60.0], audit_scores.MASKS: [9.0, 9.0, 9.0]}
    times = {name: [1.0, 1.0, 1.0] for name in names} | slow | {audit_scores.FEW: [0.02], audit_scores.MANY: [0.1]}
    rows = audit_scores.rows_of(times, 5e-5)
    assert [row.ratio for row in rows] == pytest.approx([40, 2, 40, 9, 2.5, 0.5])
    assert [row.missed for row in rows] == [False, False, False, True, False, True]


def test_areas_and_replicates_are_what_they_say() -> None:
    data = audit_scores.Data.drawn(0, 5000)
    exact = data.exact()
    assert exact == pytest.approx(data.sklearn())
    for (area, off), true in zip(data.by_bins(), exact, strict=True):
        assert abs(area - true) <= min(off, 1e-4)
    assert data.ece()[0] == pytest.approx(data.masks())
    drawn = audit_scores.replicates(data, 100, 0)
    right = (data.counts[:, 0] + data.counts[:, 3]) / data.counts.sum(1)
    assert drawn[0].mean(0) == pytest.approx(right, abs=0.01)


def test_a_slope_is_of_the_last_step() -> None:
    line = scaling.Line("a", "rows", (10, 100, 1000), (1.0, 1.5, 15.0))
    assert line.slope == pytest.approx(1.0)
    assert "slope 1.00" in scaling.table([line])
