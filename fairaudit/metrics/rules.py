"""Rules: what a release must meet, ``METRIC[CLASS] KIND by A[,B] OP NUMBER``, refused when they make no sense.

A rule's text says all there is to it, so that a record can be judged again. Options follow in parentheses:
``accuracy gap by race <= 0.1 (warning, point, min_support 50)``. ``worse_by`` before the operator compares with a baseline:
``accuracy gap by race worse_by <= 0.02``. ``given`` after the attributes means within every level of other columns:
``selection_rate gap by gender given age <= 0.1``. Two requirements limit no number: ``expected race: Black | White`` and
``audited race``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.disparity import KINDS, NAMED, Kind
from fairaudit.metrics.indices import INDICES
from fairaudit.metrics.rates import ALIASES, BALANCED_ACCURACY, RATES, Direction, rate_named
from fairaudit.metrics.scored import SCORED, scored_named
from fairaudit.metrics.statistics import STATISTICS

Operator = Literal["<=", "<", ">=", ">"]
Severity = Literal["error", "warning"]
DecideOn = Literal["interval", "point"]
GRAMMAR = "METRIC[CLASS] KIND by A[,B] OP NUMBER, for example 'accuracy gap by race <= 0.10'"

_RULE = re.compile(
    r"\s*(?P<metric>[A-Za-z][\w.-]*)\s*(?:\[(?P<of>[^\]]+)\])?\s*(?:\s(?P<kind>(?!by\s)[A-Za-z][\w-]*))?"
    r"\s+by\s+(?P<by>[^<>=]+?)(?:\s+given\s+(?P<given>[^<>=]+?))?(?P<worse>\s+worse[_-]by)?"
    r"\s*(?P<operator><=|>=|<|>)\s*(?P<limit>[^\s<>=()]\S*)"
    r"\s*(?P<options>(?:\([^()]*\)\s*)*)"
)
_PRESENCE = re.compile(r"\s*(?P<what>expected|audited)\s+(?P<by>[^:<>=]+?)\s*(?::\s*(?P<levels>.+?)\s*)?", re.IGNORECASE)
_OPTIONS = ("warning", "error", "point", "interval", "min_support N")


@dataclass(frozen=True)
class Rule:
    """A rule that has been understood.

    Attributes:
        text: as the user wrote it.
        metric: canonical name of a rate, ``balanced_accuracy``, or a disparity of ``NAMED`` or ``INDICES``.
        of: the class as written, ``macro``, or None.
        kind: how groups are compared; of disparities with a name of their own, the kind that they are, or ``index``.
        by: attributes as written.
        operator: comparison with the limit.
        limit: the number.
        worse_by: whether it limits how much worse than a baseline's the number is, instead of the number.
        severity: a warning is shown and never changes the verdict.
        decide_on: the interval, or the point estimate as if it were the truth.
        min_support: overrides the audit's smallest denominator.
        given: columns within whose levels, crossed, it must hold, as written; empty for all images together.
    """

    text: str
    metric: str
    of: str | None
    kind: Kind
    by: tuple[str, ...]
    operator: Operator
    limit: float
    worse_by: bool = False
    severity: Severity = "error"
    decide_on: DecideOn = "interval"
    min_support: int | None = None
    given: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the metric is a disparity itself."""
        return self.metric in NAMED


@dataclass(frozen=True)
class Presence:
    """A requirement that limits no number: levels that must occur, or an attribute that must be audited at all.

    Attributes:
        text: as the user wrote it.
        by: the one attribute.
        levels: levels of which there must be images; empty where being audited is enough.
        severity: always an error.
    """

    text: str
    by: tuple[str, ...]
    levels: tuple[str, ...]
    severity: Severity = "error"


Requirement = Rule | Presence


def parse_requirement(text: str) -> Requirement:
    """Read a rule, ``expected ATTRIBUTE: LEVEL | LEVEL`` or ``audited ATTRIBUTE``.

    Raises:
        UsageError: it is neither, or its limit can never decide anything.
        UnknownNameError: no such metric, kind or option.
    """
    match = _PRESENCE.fullmatch(text)
    if match is None:
        return parse_rule(text)
    levels = tuple(part.strip() for part in (match["levels"] or "").split("|") if part.strip())
    if (match["what"].casefold() == "expected") != bool(levels) or "," in match["by"]:
        raise UsageError(
            f"the requirement {text!r} cannot be read; write 'expected ATTRIBUTE: LEVEL | LEVEL' or 'audited ATTRIBUTE'"
        )
    return Presence(text.strip(), (match["by"],), levels)


def groupings_asked(by: Iterable[Sequence[str]], requirements: Iterable[Requirement]) -> list[tuple[str, ...]]:
    """Groupings that are asked for and that rules are about; of an attribute that must occur only where no other has it."""
    known = list(requirements)
    asked = [tuple(one) for one in by] + [one.by for one in known if isinstance(one, Rule)]
    for one in known:
        if isinstance(one, Presence) and one.by[0].casefold() not in {name.casefold() for g in asked for name in g}:
            asked.append(one.by)
    return asked


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
    if metric not in NAMED and metric not in INDICES:
        metric = _metric(text, metric, match["metric"]).name
    try:
        limit = float(match["limit"])
    except ValueError as error:
        raise UsageError(f"the rule {text!r} has the limit {match['limit']!r}, which is not a number") from error
    by = tuple(part.strip() for part in match["by"].split(","))
    if not all(by) or len(set(by)) != len(by):
        raise UsageError(f"the rule {text!r} must name each attribute once after 'by'")
    given = tuple(part.strip() for part in match["given"].split(",")) if match["given"] else ()
    if given and (not all(given) or len({name.casefold() for name in (*by, *given)}) < len(by) + len(given)):
        raise UsageError(f"the rule {text!r} must name each column once after 'given', and none that stands after 'by'")
    severity, decide_on, min_support = _options(text, match["options"])
    rule = Rule(text.strip(), metric, match["of"], _kind(text, metric, match["kind"]), by,
                cast(Operator, match["operator"]), limit, match["worse"] is not None,
                severity, decide_on, min_support, given)  # fmt: skip
    _check_limit(rule)
    return rule


def _options(text: str, written: str) -> tuple[Severity, DecideOn, int | None]:
    """Severity, what is decided on, and the smallest support; of what is said twice the first counts."""
    found: dict[str, str] = {}
    for option in filter(None, (part.strip().casefold() for part in re.split(r"[(),]", written))):
        if option in ("warning", "error"):
            found.setdefault("severity", option)
        elif option in ("point", "interval"):
            found.setdefault("decide_on", option)
        elif (support := re.fullmatch(r"min[_-]support[ =]*(\d+)", option)) and int(support[1]) > 0:
            found.setdefault("min_support", support[1])
        else:
            raise UnknownNameError(f"option in the rule {text!r}:", option, _OPTIONS)
    support_text = found.get("min_support")
    return (
        cast(Severity, found.get("severity", "error")),
        cast(DecideOn, found.get("decide_on", "interval")),
        None if support_text is None else int(support_text),
    )


@dataclass(frozen=True)
class _Metric:
    """What must be known of a metric to see whether a limit makes sense."""

    name: str
    direction: Direction = Direction.HIGHER
    least: float = 0.0
    most: float = 1.0


def _metric(text: str, name: str, written: str) -> _Metric:
    if (index := INDICES.get(name)) is not None:
        return _Metric(name, index.direction, most=index.most)
    if name in NAMED or name == BALANCED_ACCURACY:
        return _Metric(name)
    if (rate := rate_named(name)) is not None:
        return _Metric(rate.name, rate.direction)
    if (statistic := STATISTICS.get(name)) is not None:
        return _Metric(name, statistic.direction, least=-1.0)
    if (scored := scored_named(name)) is not None:
        return _Metric(scored.name, scored.direction, most=scored.most)
    known = [*RATES, *NAMED, *INDICES, BALANCED_ACCURACY, *ALIASES, *STATISTICS, *SCORED]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    raise UnknownNameError(f"metric in the rule {text!r}:", written, near or known)


def _kind(text: str, metric: str, kind: str | None) -> Kind:
    if metric in NAMED or metric in INDICES:
        if kind is not None:
            raise UsageError(f"the rule {text!r}: {metric} is a disparity itself; write it without {kind!r}")
        return NAMED[metric].kind if metric in NAMED else "index"
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
    metric = _metric(rule.text, rule.metric, rule.metric)
    direction, width = metric.direction, metric.most - metric.least
    upper = rule.operator in ("<=", "<")
    what = rule.metric if rule.kind == "index" else f"a {rule.kind}"
    smallest_ratio = rule.kind == "min_max_ratio" or (rule.kind == "index" and direction is Direction.HIGHER)
    if rule.kind in ("worst_group", "shortfall") and direction is Direction.NONE:
        raise UsageError(
            f"{said}: {rule.metric} has no better direction, so {rule.kind} says nothing; use gap, difference or ratio"
        )
    if rule.worse_by:
        if not upper or not 0 <= rule.limit < width:
            raise UsageError(f"{said}: worse_by is limited with <= and a number from 0 to below {width:g}")
        if rule.kind == "ratio" or smallest_ratio:
            raise UsageError(
                f"{said}: worse_by compares differences, and a ratio is none; use gap, shortfall or difference"
            )
        return
    if rule.kind == "worst_group":
        if upper != (direction is Direction.LOWER):
            better = (
                "high, so the worst group is limited with >=" if upper else "low, so the worst group is limited with <="
            )
            raise UsageError(f"{said} would be met by bad models: {rule.metric} should be {better}")
    elif rule.kind != "ratio" and upper == smallest_ratio:
        raise UsageError(f"{said} would be met by large disparities; {what} is limited with {'>=' if upper else '<='}")
    ranges: Mapping[Kind, tuple[float, float]] = {
        "worst_group": (metric.least, metric.most),
        "shortfall": (-width, width),
        "ratio": (0.0, math.inf),
        "min_max_ratio": (0.0, 1.0),
        "spread": (0.0, width / 2),  # half the groups at one end, half at the other
    }
    low, high = ranges.get(rule.kind, (0.0, width))
    always = rule.limit >= high if upper else rule.limit <= low
    never = rule.limit < low if upper else rule.limit > high
    if always or never or rule.limit == {"<": low, ">": high}.get(rule.operator):
        end = "up" if math.isinf(high) else f"to {high:g}"
        raise UsageError(f"{said} can never decide anything: {what} lies from {low:g} {end}")
