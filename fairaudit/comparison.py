"""What a comparison of models found: frozen records that mirror ``comparison.json`` field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fairaudit.results import Estimate, Group
from fairaudit.results.plain import plain

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
        kind: mean (each group counting once), gap, spread or worst_group; None for a group's own value.
        group: the group; None for all images, and for kinds over groups.
        before: the number before (over seeds: the mean, without an interval).
        after: the number after.
        change: after − before; support is the smaller one of both sides.
        p: of the test against no change; nan where there is none.
        p_adjusted: after Holm over the groups of this metric and Bonferroni over the models compared.
        p_exact: the exact p where ``p`` is the mid-p of McNemar's or the sign-flip test; nan elsewhere.
        test: which test: ``mcnemar``, ``person sign-flip``, ``permutation``, ``mover``, ``paired t``; None where there is
            none.
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
    """The text of ``comparison.json``: numbers to ten significant digits; null is undefined, see the reason."""
    record = {
        "schema_version": result.schema_version,
        "settings": plain(result.settings),
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
        "group": plain(change.group),
        "trend": change.trend.value,
        "before": _estimate(change.before),
        "after": _estimate(change.after),
        "change": _estimate(change.change),
        "test": change.test,
        "p": plain(change.p),
        "p_adjusted": plain(change.p_adjusted),
        "p_exact": plain(change.p_exact),
        "gained": change.gained,
        "lost": change.lost,
        "sd": plain(change.sd),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": plain(estimate.value),
        "ci_low": plain(estimate.ci_low),
        "ci_high": plain(estimate.ci_high),
        "support": int(estimate.support),
        "reason": estimate.reason,
    }


def comparison_from_record(record: Mapping[str, Any]) -> ComparisonResult:
    """The comparison that a record describes.

    Args:
        record: laid out as ``comparison_json`` does; a file is validated before it comes here.
    """
    return ComparisonResult(
        dict(record["settings"]),
        tuple(
            PairComparison(
                pair["before"],
                pair["after"],
                Design(pair["design"]),
                (pair["n"][0], pair["n"][1]),
                GroupingChange((), tuple(_read_change(change) for change in pair["overall"])),
                tuple(
                    GroupingChange(tuple(one["by"]), tuple(_read_change(change) for change in one["changes"]))
                    for one in pair["groupings"]
                ),
                tuple(pair["notes"]),
            )
            for pair in record["comparisons"]
        ),
        record["schema_version"],
    )


def _read_change(record: Mapping[str, Any]) -> Change:
    sd = record["sd"]
    return Change(
        record["metric"],
        record["kind"],
        record["group"],
        _read_estimate(record["before"]),
        _read_estimate(record["after"]),
        _read_estimate(record["change"]),
        _number(record["p"]),
        _number(record["p_adjusted"]),
        _number(record["p_exact"]),
        record["test"],
        record["gained"],
        record["lost"],
        None if sd is None else (_number(sd[0]), _number(sd[1])),
        Trend(record["trend"]),
    )


def _read_estimate(record: Mapping[str, Any]) -> Estimate:
    value, low, high = (_number(record[key]) for key in ("value", "ci_low", "ci_high"))
    return Estimate(value, low, high, record["support"], record["reason"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
