"""What a comparison of models found: frozen records that mirror ``comparison.json`` field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

from fairaudit.results import SIGNIFICANT_DIGITS, Estimate, Group

SCHEMA_VERSION = 1


class Trend(StrEnum):
    """What may be said of a change; anything but ``undecided`` is shown by the data at the confidence asked for."""

    BETTER = "better"
    WORSE = "worse"
    HIGHER = "higher"
    LOWER = "lower"
    UNDECIDED = "undecided"


class Design(StrEnum):
    """How the two sides belong together."""

    PAIRED = "paired"
    UNPAIRED = "unpaired"
    SEEDS = "seeds"


@dataclass(frozen=True)
class Change:
    """One number before and after.

    Attributes:
        metric: ``accuracy``, ``true_positive_rate[Female]``.
        kind: gap, spread or worst_group; None for a group's own value.
        group: the group; None for all images, and for kinds over groups.
        before: the number before (over seeds: the mean, without an interval).
        after: the number after.
        change: after − before; support is the smaller one of both sides.
        p: of the test against no change; nan where there is none.
        p_adjusted: after Holm over the groups of this metric and Bonferroni over the models compared.
        p_exact: McNemar's exact p where ``p`` is its mid-p; nan elsewhere.
        test: which test: ``mcnemar``, ``permutation``, ``mover``, ``paired t``; None where there is none.
        gained: images that only the second model gets counted; None where the test does not rest on them.
        lost: images that only the first model gets counted.
        sd: standard deviation over seeds, before and after; None without seeds.
        trend: what may be said.
    """

    metric: str
    kind: str | None
    group: Group | None
    before: Estimate
    after: Estimate
    change: Estimate
    p: float = math.nan
    p_adjusted: float = math.nan
    p_exact: float = math.nan
    test: str | None = None
    gained: int | None = None
    lost: int | None = None
    sd: tuple[float, float] | None = None
    trend: Trend = Trend.UNDECIDED


@dataclass(frozen=True)
class GroupingChange:
    """Every change within one grouping.

    Attributes:
        by: the crossed attributes; empty for all images together.
        changes: of every metric, groups in declared order, then kinds over groups.
    """

    by: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class PairComparison:
    """Two models, or two sets of seeds.

    Attributes:
        before: what the first is called.
        after: what the second is called.
        design: how images belong together.
        n: images on each side (over seeds: of each run).
        overall: changes over all images.
        groupings: one per ``--by``.
        notes: sentences that a reader must know.
    """

    before: str
    after: str
    design: Design
    n: tuple[int, int]
    overall: GroupingChange
    groupings: tuple[GroupingChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonResult:
    """Everything that a comparison found; the same input, settings and seed give the same record.

    Attributes:
        settings: what was asked: target, classes, positive, confidence, bootstrap, seed, min_support, where.
        pairs: one per model that was compared with the first.
        schema_version: version of this record's layout.
    """

    settings: Mapping[str, Any]
    pairs: tuple[PairComparison, ...]
    schema_version: int = field(default=SCHEMA_VERSION)


def comparison_json(result: ComparisonResult) -> str:
    """The text of ``comparison.json``: numbers to ten significant digits; null is undefined or infinite, see the reason."""
    record = {
        "schema_version": result.schema_version,
        "settings": _plain(result.settings),
        "comparisons": [
            {
                "before": pair.before,
                "after": pair.after,
                "design": pair.design.value,
                "n": list(pair.n),
                "overall": [_change(change) for change in pair.overall.changes],
                "groupings": [
                    {"by": list(grouping.by), "changes": [_change(change) for change in grouping.changes]}
                    for grouping in pair.groupings
                ],
                "notes": list(pair.notes),
            }
            for pair in result.pairs
        ],
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _change(change: Change) -> dict[str, Any]:
    return {
        "metric": change.metric,
        "kind": change.kind,
        "group": _plain(change.group),
        "trend": change.trend.value,
        "before": _estimate(change.before),
        "after": _estimate(change.after),
        "change": _estimate(change.change),
        "test": change.test,
        "p": _plain(change.p),
        "p_adjusted": _plain(change.p_adjusted),
        "p_exact": _plain(change.p_exact),
        "gained": change.gained,
        "lost": change.lost,
        "sd": _plain(change.sd),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": _plain(estimate.value),
        "ci_low": _plain(estimate.ci_low),
        "ci_high": _plain(estimate.ci_high),
        "support": int(estimate.support),
        "reason": estimate.reason,
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}") + 0.0 if math.isfinite(value) else None
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)
