"""One measured ratio, as the table of ``python -m tests.benchmarks`` shows it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """How many times faster one is than another, or smaller.

    Attributes:
        what: is measured.
        against: what it is compared with.
        ratio: the median over rounds.
        low, high: the smallest and the largest of a round.
        target: that it should reach.
    """

    what: str
    against: str
    ratio: float
    low: float
    high: float
    target: float | None = None

    @classmethod
    def of(cls, what: str, against: str, ratios: Iterable[float], target: float | None = None) -> Row:
        """From one ratio per round."""
        found = sorted(ratios)
        return cls(what, against, statistics.median(found), found[0], found[-1], target)

    @property
    def missed(self) -> bool:
        """Whether it is below its target."""
        return self.target is not None and self.ratio < self.target


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = ["| what | against | ratio | of one round | target |", "|---|---|---|---|---|"]
    for row in rows:
        target = "" if row.target is None else f"{row.target:,g}{' (missed)' if row.missed else ''}"
        lines.append(
            f"| {row.what} | {row.against} | {_number(row.ratio)} | {_number(row.low)} to {_number(row.high)} | {target} |"
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
