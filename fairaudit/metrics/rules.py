"""Rules: what a release must meet, ``METRIC[CLASS] KIND by A[,B] OP NUMBER``, refused when they make no sense."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.disparity import KINDS, NAMED, Kind
from fairaudit.metrics.rates import ALIASES, BALANCED_ACCURACY, RATES, Direction

Operator = Literal["<=", "<", ">=", ">"]
GRAMMAR = "METRIC[CLASS] KIND by A[,B] OP NUMBER, for example 'accuracy gap by race <= 0.10'"

_RANGES: Mapping[Kind, tuple[float, float]] = {
    "shortfall": (-1.0, 1.0),
    "ratio": (0.0, math.inf),
    "spread": (0.0, 0.5),  # half the groups at 0, half at 1
}

_RULE = re.compile(
    r"\s*(?P<metric>[A-Za-z][\w-]*)\s*(?:\[(?P<of>[^\]]+)\])?\s*(?:\s(?P<kind>(?!by\s)[A-Za-z][\w-]*))?"
    r"\s+by\s+(?P<by>[^<>=]+?)\s*(?P<operator><=|>=|<|>)\s*(?P<limit>[^\s<>=]\S*)\s*"
)


@dataclass(frozen=True)
class Rule:
    """A rule that has been understood.

    Attributes:
        text: as the user wrote it.
        metric: canonical name of a rate, ``balanced_accuracy``, or a disparity of ``NAMED``.
        of: the class as written, ``macro``, or None.
        kind: how groups are compared; of disparities with a name of their own, the kind that they are.
        by: attributes as written.
        operator: comparison with the limit.
        limit: the number.
    """

    text: str
    metric: str
    of: str | None
    kind: Kind
    by: tuple[str, ...]
    operator: Operator
    limit: float

    @property
    def named(self) -> bool:
        """Whether the metric is a disparity itself."""
        return self.metric in NAMED


def parse_rule(text: str) -> Rule:
    """Read one rule.

    Args:
        text: ``METRIC[CLASS] KIND by A[,B] OP NUMBER``.

    Raises:
        UsageError: it is not of that form, or its limit can never decide anything.
        UnknownNameError: no such metric or kind.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"the rule {text!r} cannot be read; write {GRAMMAR}")
    metric = match["metric"].casefold().replace("-", "_")
    metric = ALIASES.get(metric, metric)
    if metric not in {*RATES, *NAMED, BALANCED_ACCURACY}:
        raise UnknownNameError(
            f"metric in the rule {text!r}:", match["metric"], [*RATES, *NAMED, BALANCED_ACCURACY, *ALIASES]
        )
    try:
        limit = float(match["limit"])
    except ValueError as error:
        raise UsageError(f"the rule {text!r} has the limit {match['limit']!r}, which is not a number") from error
    by = tuple(part.strip() for part in match["by"].split(","))
    if not all(by) or len(set(by)) != len(by):
        raise UsageError(f"the rule {text!r} must name each attribute once after 'by'")
    rule = Rule(text.strip(), metric, match["of"], _kind(text, metric, match["kind"]), by,
                cast(Operator, match["operator"]), limit)  # fmt: skip
    _check_limit(rule)
    return rule


def _kind(text: str, metric: str, kind: str | None) -> Kind:
    if metric in NAMED:
        if kind is not None:
            raise UsageError(f"the rule {text!r}: {metric} is a disparity itself; write it without {kind!r}")
        return NAMED[metric].kind
    if kind is None:
        raise UsageError(
            f"the rule {text!r} does not say how groups are compared; after {metric} write one of {', '.join(KINDS)}"
        )
    folded = kind.casefold().replace("-", "_")
    if folded not in KINDS:
        raise UnknownNameError(f"kind of comparison in the rule {text!r}:", kind, KINDS)
    return folded


def _check_limit(rule: Rule) -> None:
    said = f"the rule {rule.text!r}"
    if not math.isfinite(rule.limit):
        raise UsageError(f"{said} has the limit {rule.limit}, which nothing can be compared with; give a finite number")
    direction = Direction.HIGHER if rule.metric not in RATES else RATES[rule.metric].direction
    upper = rule.operator in ("<=", "<")
    if rule.kind in ("worst_group", "shortfall") and direction is Direction.NONE:
        raise UsageError(
            f"{said}: {rule.metric} has no better direction, so {rule.kind} says nothing; use gap, difference or ratio"
        )
    if rule.kind == "worst_group":
        if upper != (direction is Direction.LOWER):
            better = (
                "high, so the worst group is limited with >=" if upper else "low, so the worst group is limited with <="
            )
            raise UsageError(f"{said} would be met by bad models: {rule.metric} should be {better}")
    elif rule.kind != "ratio" and not upper:
        raise UsageError(f"{said} would be met by large disparities; a {rule.kind} is limited with <=")
    low, high = _RANGES.get(rule.kind, (0.0, 1.0))
    always = rule.limit >= high if upper else rule.limit <= low
    never = rule.limit < low if upper else rule.limit > high
    if always or never or rule.limit == {"<": low, ">": high}.get(rule.operator):
        end = "up" if math.isinf(high) else f"to {high:g}"
        raise UsageError(f"{said} can never decide anything: a {rule.kind} lies from {low:g} {end}")
