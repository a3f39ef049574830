"""Limits: every ruled number with its interval against the limit of its rule, on which side of it, or on both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import FAIL, INK, PAPER, PASS, Picture, canvas, picture
from fairaudit.reports._figures.rows import HEIGHT, Row, bounds, draw, key, short
from fairaudit.reports._rules import SEVERITY, RuleParts, deciding, rule_parts
from fairaudit.results import AuditResult, RuleOutcome, RuleResult, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EACH = 5
"""Contrasts of one rule that are drawn, those that decided it first."""

MOST = 48
"""Rows of the figure; rules that do not fit are in the table."""

_SCALES = {
    "difference": "difference between groups",
    "ratio": "ratio between groups",
    "level": "value of the worst group",
}
"""Numbers of one kind share an axis."""

_TEXT = 78
"""Letters of a rule that fit above its rows."""


@dataclass(frozen=True)
class _Ruled:
    """A rule with a number, which of its contrasts are drawn, and how many are not."""

    rule: RuleResult
    parts: RuleParts
    limit: float
    outcomes: tuple[RuleOutcome, ...]
    more: int

    @property
    def rows(self) -> int:
        return 1 + len(self.outcomes) + bool(self.more)

    @property
    def scale(self) -> str:
        kind = self.parts.kind or ""
        metric = self.outcomes[0].metric.partition("[")[0]
        if "ratio" in kind or (not kind and metric.endswith(("_ratio", "disparate_impact"))):
            return "ratio"
        return "level" if kind == "worst_group" else "difference"

    @property
    def upper(self) -> bool:
        """Whether numbers must stay below the limit."""
        return self.parts.operator.startswith("<")


def limits(result: AuditResult) -> Picture | None:
    """Draw all rules with a number; None where there is none.

    Args:
        result: the audit.
    """
    every = sorted(_ruled(result), key=lambda one: SEVERITY.index(one.rule.verdict))
    shown, rows = [], 0
    for one in every:
        rows += one.rows
        if rows > MOST:
            break
        shown.append(one)
    if not shown:
        return None
    scales = {scale: [one for one in shown if one.scale == scale] for scale in _SCALES}
    panels = {scale: own for scale, own in scales.items() if own}
    sizes = {scale: sum(one.rows for one in own) for scale, own in panels.items()}
    drawn: list[Row] = []
    with canvas(height=0.3 + sum(0.75 + HEIGHT * n for n in sizes.values())) as figure:
        several = figure.subplots(len(panels), 1, squeeze=False, height_ratios=list(sizes.values()))[:, 0]
        for axes, (scale, own) in zip(several, panels.items(), strict=True):
            drawn += _panel(axes, own, _SCALES[scale], words.confidence(result) if axes is several[0] else "")
    left_out = len(every) - len(shown)
    more = f" {words.count(left_out, 'more rule')} in the table." if left_out else ""
    caption = (
        "Beside each number: blue where the rule holds, orange where it is broken, a line at the limit. A rule passes "
        "only if the whole interval lies on the one side and fails only if it lies on the other."
    )
    floor = int(result.settings.get("min_support", 0))
    return picture(
        figure,
        "limits",
        "What the rules limit",
        _finding(result),
        f"{caption} {key(drawn, floor)}{more}",
    )


def _ruled(result: AuditResult) -> Iterator[_Ruled]:
    for rule in result.rules:
        parts = rule_parts(rule.rule)
        if parts is None or not rule.outcomes:
            continue
        try:
            limit = float(parts.limit)
        except ValueError:
            continue
        first = deciding(rule)
        rest = sorted((one for one in rule.outcomes if one not in first), key=lambda one: SEVERITY.index(one.verdict))
        ordered = [*first, *rest]
        # Those without a number say the same one after the other: one of them stands for all.
        known = [one for one in ordered if not math.isnan(one.value)][:EACH] or ordered[:1]
        yield _Ruled(rule, parts, limit, tuple(known), len(ordered) - len(known))


def _panel(axes: Axes, rules: Sequence[_Ruled], label: str, confidence: str) -> list[Row]:
    """Draw the rules of one scale; returns the rows."""
    numbers = [n for one in rules for o in one.outcomes for n in (o.value, o.ci_low, o.ci_high)]
    base = [0.0] if label == _SCALES["difference"] else []
    left, right = bounds([*base, *numbers, *(one.limit for one in rules)])
    axes.set_xlim(left, right)
    rows: list[Row] = []
    for one in rules:
        head = len(rows)
        verdict = one.rule.verdict
        warns = ", warning" if one.rule.severity == "warning" else ""
        text = f"{words.SYMBOLS[verdict]} {verdict.value}{warns}: {words.clean(one.rule.rule)}"
        axes.annotate(
            short(text, _TEXT), (0, head), (-4, -1.5), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center_baseline", ha="left", fontsize=9, color=INK, fontweight="bold", annotation_clip=False,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
        rows.append(Row("", math.nan, math.nan, math.nan, ""))
        rows += [_row(outcome) for outcome in one.outcomes]
        if one.more:
            rows.append(Row("", math.nan, math.nan, math.nan, f"and {words.count(one.more, 'more contrast')}"))
        inside, outside = ((left, one.limit), (one.limit, right)) if one.upper else ((one.limit, right), (left, one.limit))
        for (start, end), colour in ((inside, PASS), (outside, FAIL)):
            span = (head + 0.6, len(rows) - 0.4 - bool(one.more))
            axes.fill_betweenx(span, [start] * 2, [end] * 2, color=colour, alpha=0.13, linewidth=0)
        axes.plot([one.limit] * 2, [head + 0.6, len(rows) - 0.4 - bool(one.more)], color=INK, linewidth=1.1)
    draw(axes, rows, (f"{confidence} interval", "") if confidence else ("", ""))
    axes.set_xlabel(label)
    return rows


def _row(one: RuleOutcome) -> Row:
    name = words.contrast_of(one) or "all groups"
    if math.isnan(one.value):
        return Row(name, math.nan, math.nan, math.nan, one.reason or "undefined", verdict=one.verdict)
    shown = "infinite" if math.isinf(one.value) else words.number(one.value)
    few = one.reason is not None and one.reason.startswith("too small")
    text = f"{shown} {words.interval(one.ci_low, one.ci_high)}".strip()
    return Row(name, one.value, one.ci_low, one.ci_high, text, verdict=one.verdict, few=few)


def _finding(result: AuditResult) -> str:
    counts = Counter(rule.verdict for rule in result.rules)
    said = [f"{counts[verdict]} {verdict.value}" for verdict in SEVERITY if counts[verdict]]
    worst = [
        f"{words.clean(rule.rule)}: {words.outcome(deciding(rule)[0])}"
        for rule in sorted(result.rules, key=lambda one: SEVERITY.index(one.verdict))
        if rule.verdict is not Verdict.PASS and deciding(rule)
    ]
    tail = f" {'. '.join(worst[:3])}." if worst else ""
    return f"Of {words.count(len(result.rules), 'rule')}: {', '.join(said)}.{tail}"
