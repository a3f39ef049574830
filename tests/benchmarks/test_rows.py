"""The table of speeds: medians of ratios, and what fell short."""

from __future__ import annotations

import pytest

from tests.benchmarks import audits, peer, startup
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
