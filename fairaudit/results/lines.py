"""Records as JSON that people can read and machines write fast: one line per number with its interval.

An audit of hundreds of groups holds a million numbers. So lines of estimates and disparities are put together by hand, one
at a time, with the ten digits of ``plain.DIGITS``; everything else goes through the standard encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any

from fairaudit.results.audit import Disparity, Estimate

TESTED = "difference"
"""The kind of disparities that have p-values."""

P_VALUES = ("p_value", "p_holm", "p_bh")

_AT_ONCE = 5000


@dataclass(frozen=True, eq=False)
class Lines:
    """An object or array whose members are written already, a line each.

    Attributes:
        members: texts; of an object with their names.
        is_object: whether it is an object.
    """

    members: Iterable[str]
    is_object: bool = False


def laid_out(value: Any, pad: str = "") -> Iterator[str]:
    """The parts of the text of a record, without a line end.

    Numbers and matrices stand on one line, and so do objects of single values, and in arrays objects of such; of all else
    every member has a line.

    Args:
        value: of JSON's types, or ``Lines``.
        pad: what stands before members.
    """
    deeper = pad + " "
    if isinstance(value, Lines):
        yield from _enclosed(value.members, "{}" if value.is_object else "[]", deeper, pad)
    elif _on_a_line(value):
        yield _encoded(value)
    elif isinstance(value, Mapping):
        for i, (name, member) in enumerate(value.items()):
            yield f"{',' if i else '{'}\n{deeper}{quoted(str(name))}: "
            yield from laid_out(member, deeper)
        yield f"\n{pad}}}"
    else:
        for i, member in enumerate(value):
            yield f"{',' if i else '['}\n{deeper}"
            short = isinstance(member, Mapping) and all(map(_on_a_line, member.values()))
            yield from [_encoded(member)] if short else laid_out(member, deeper)
        yield f"\n{pad}]"


def _on_a_line(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not any(map(_holds, value.values()))
    if isinstance(value, list | tuple):
        return all(isinstance(member, list | tuple) and not any(map(_holds, member)) for member in value if _holds(member))
    return not isinstance(value, Lines)


def _holds(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple | Lines)


def metric_lines(metrics: Mapping[str, Estimate]) -> Lines:
    """Metric name → estimate."""
    return Lines((f"{quoted(name)}: {{{_estimate(e)}}}" for name, e in metrics.items()), is_object=True)


def disparity_lines(disparities: Iterable[Disparity]) -> Lines:
    """Disparities as ``record.to_record`` lays them out."""
    return Lines(_disparities(disparities))


# Of two ways to write a float as text, % takes two thirds of the time of an f-string.
_NUMBERS = '"value": %.10g, "ci_low": %.10g, "ci_high": %.10g, "support": %d, "reason": null'
_P = ', "p_value": %.10g, "p_holm": %.10g, "p_bh": %.10g}'
_USUAL, _USUAL_TESTED = f"%s%s, {_NUMBERS}}}", f"%s%s, {_NUMBERS}{_P}"


def _disparities(disparities: Iterable[Disparity]) -> Iterator[str]:
    metric, kind, group = None, None, None
    start, levels = "", "null"
    for d in disparities:
        if d.metric is not metric or d.kind is not kind:
            metric, kind = d.metric, d.kind
            start = f'{{"metric": {quoted(metric)}, "kind": {"null" if kind is None else quoted(kind)}, "group": '
        if d.group is not group:
            group, levels = d.group, "null" if d.group is None else _levels(tuple(d.group.items()))
        e = d.estimate
        v, a, b = e.value, e.ci_low, e.ci_high
        # 0 might be a negative one.
        usual = v and a and b and e.reason is None and isfinite(v) and isfinite(a) and isfinite(b)
        if kind == TESTED:
            p, q, r = d.p_value, d.p_holm, d.p_bh
            if usual and p and q and r and p + q + r <= 3:  # of nan this is not true
                yield _USUAL_TESTED % (start, levels, v, a, b, e.support, p, q, r)
            else:
                p_values = f'"p_value": {_number(p)}, "p_holm": {_number(q)}, "p_bh": {_number(r)}'
                yield f"{start}{levels}, {_estimate(e)}, {p_values}}}"
        elif usual:
            yield _USUAL % (start, levels, v, a, b, e.support)
        else:
            yield f"{start}{levels}, {_estimate(e)}}}"


def _estimate(e: Estimate) -> str:
    v, a, b = e.value, e.ci_low, e.ci_high
    if v and a and b and e.reason is None and isfinite(v) and isfinite(a) and isfinite(b):
        return _NUMBERS % (v, a, b, e.support)
    reason = "null" if e.reason is None else quoted(e.reason)
    return (
        f'"value": {_number(v)}, "ci_low": {_number(a)}, "ci_high": {_number(b)}, '
        f'"support": {int(e.support)}, "reason": {reason}'
    )


def _number(x: float | None) -> str:
    if x is None or not isfinite(x):
        return "null"
    return f"{x + 0.0:.10g}"


@lru_cache(maxsize=8192)
def _levels(group: tuple[tuple[str, str], ...]) -> str:
    return _encoded(dict(group))


@lru_cache(maxsize=8192)
def quoted(text: str) -> str:
    """A text as JSON has it; letters of all languages stay readable."""
    return _encoded(text)


def _encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _enclosed(members: Iterable[str], brackets: str, pad: str, outer: str) -> Iterator[str]:
    rest, between = iter(members), f",\n{pad}"
    first = True
    while chunk := list(islice(rest, _AT_ONCE)):
        yield (f"{brackets[0]}\n{pad}" if first else between) + between.join(chunk)
        first = False
    yield brackets if first else f"\n{outer}{brackets[1]}"
