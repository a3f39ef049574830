"""Every metric and disparity by name: what ``fairaudit list metrics`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairaudit.metrics.disparity import NAMED
from fairaudit.metrics.indices import INDICES
from fairaudit.metrics.rates import BALANCED_ACCURACY, RATES, Direction
from fairaudit.metrics.scored import SCORED, top_k
from fairaudit.metrics.statistics import STATISTICS


@dataclass(frozen=True)
class Entry:
    """One line of the registry.

    Attributes:
        name: as it stands in records.
        formula: for people.
        direction: which way is better.
        source: whose definition it is.
        what: ``rate``, ``statistic``, ``scores`` (measured on rows) or ``disparity`` (takes no kind in rules).
    """

    name: str
    formula: str
    direction: Direction
    source: str
    what: str


def entries() -> Iterator[Entry]:
    """Every metric, then every disparity that has a name of its own."""
    for rate in RATES.values():
        yield Entry(rate.name, rate.formula, rate.direction, rate.source, "rate")
        if rate.name == "error_rate":
            text = "mean true positive rate over classes"
            yield Entry(BALANCED_ACCURACY, text, Direction.HIGHER, "scikit-learn", "rate")
    for statistic in STATISTICS.values():
        yield Entry(statistic.name, statistic.formula, statistic.direction, statistic.source, "statistic")
    for scored in (*SCORED.values(), top_k(3)):
        yield Entry(scored.name, scored.formula, scored.direction, scored.source, "scores")
    for name, named in NAMED.items():
        direction = Direction.NONE if named.kind == "ratio" else Direction.LOWER
        yield Entry(name, named.formula, direction, named.source, "disparity")
    for name, index in INDICES.items():
        yield Entry(name, index.formula, index.direction, index.source, "disparity")
