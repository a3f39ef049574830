"""Every number of an embedding audit as the row of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fairaudit.results import Estimate, Group
from fairaudit.results.embedding import EmbeddedGroup, EmbeddedGrouping, EmbeddingResult

Row = list[str | float]

MEASURES = ("part", "by", "group", "measure", "kind", "value", "ci_low", "ci_high", "support", "reason")
"""``part``: retrieval, retrieval_own, verification, geometry, leakage or downstream; ``group`` is also an attribute (of
leakage), and ``kind`` what it is of: ``value`` of a group, ``gap`` over groups, a probe, a classifier and its training."""


def measures(result: EmbeddingResult) -> Iterator[Row]:
    """The table's rows; what is undefined or unknown is an empty text.

    Args:
        result: the audit.
    """
    for grouping in result.groupings:
        by = ",".join(grouping.by)
        for group in grouping.groups:
            yield from ([part, by, _spelt(group.group), name, "value", *_numbers(one)] for part, name, one in _own(group))
        yield from ([part, by, "", name, "gap", *_numbers(one)] for part, name, one in _gaps(grouping))
        for level in grouping.within:
            within = f"{by} given {_spelt(level.given)}"
            yield from ([_part(name), within, "", name, "gap", *_numbers(one)] for name, one in level.gaps.items())
    for leak in result.leaks:
        told = {"accuracy": leak.accuracy, "balanced": _alone(leak.balanced), "majority": _alone(leak.majority)}
        yield from (["leakage", "", leak.attribute, name, leak.probe, *_numbers(one)] for name, one in told.items())
    for one in result.trained:
        kind = f"{one.classifier}, {one.training}"
        for name, accuracy in one.accuracy.items():
            yield ["downstream", ",".join(one.by), name, "accuracy", kind, *_numbers(accuracy)]
        for name, gap in (("accuracy gap", one.gap), ("balanced_accuracy gap", one.balanced_gap)):
            yield ["downstream", ",".join(one.by), "", name, kind, *_numbers(gap)]


def _own(group: EmbeddedGroup) -> Iterator[tuple[str, str, Estimate]]:
    yield from (("retrieval", name, one) for name, one in group.full.items())
    yield from (("retrieval_own", name, one) for name, one in group.own.items())
    if group.verified is not None:
        pairs = group.verified
        yield from (("verification", name, one) for name, one in (("fmr", pairs.fmr), ("fnmr", pairs.fnmr)))
        yield from (("verification", name, _alone(x)) for name, x in (("eer", pairs.eer), ("threshold", pairs.threshold)))
    yield from (("geometry", name, _alone(value)) for name, value in {**group.geometry, **group.clusters}.items())


def _gaps(grouping: EmbeddedGrouping) -> Iterator[tuple[str, str, Estimate]]:
    yield from ((_part(name), name.removeprefix("own "), one) for name, one in grouping.gaps.items())
    yield "geometry", "crowding", grouping.crowding_gap
    yield "retrieval", "majority_advantage", grouping.majority_advantage


def _part(name: str) -> str:
    if name in ("fmr", "fnmr"):
        return "verification"
    return "retrieval_own" if name.startswith("own ") else "retrieval"


def _alone(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan, 0)


def _numbers(one: Estimate) -> Row:
    numbers = ("" if math.isnan(x) else float(f"{x:.10g}") for x in (one.value, one.ci_low, one.ci_high))
    return [*numbers, one.support or "", one.reason or ""]


def _spelt(group: Group) -> str:
    """A group as the command line spells it, ``race=Black,gender=Female``."""
    return ",".join(f"{attribute}={level}" for attribute, level in group.items())
