"""How numbers, groups and verdicts are written for people, the same in every format."""

from __future__ import annotations

import math
import re

from fairaudit.reports._rules import rule_parts
from fairaudit.results import AuditResult, Disparity, Estimate, Group, RuleOutcome, RuleResult, Verdict, group_label

SYMBOLS = {Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?", Verdict.PASS: "✓", Verdict.NONE: "–"}
"""Marks that are told apart without colour."""

IMAGES = "images"
"""What rules count that ask for the presence of levels."""

MINUS = "\N{MINUS SIGN}"

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_SAID_ALREADY = re.compile(r"^the interval \S+ to \S+ (?=contains )")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def clean(text: object) -> str:
    """A name from a dataset without what could repaint or rearrange a page: escape sequences, controls, bidi marks."""
    return " ".join(_INVISIBLE.sub(" ", _ESCAPES.sub("", str(text))).split()) or "(empty)"


def group_name(group: Group | None) -> str:
    """A group for people, ``Black Female``."""
    return clean(group_label(group))


def contrast_of(one: RuleOutcome) -> str:
    """Whose contrast of a rule it is: ``Black``, ``Black, age 20-29``, ``age 20-29``; empty for all groups and images."""
    level = [f"{clean(column)} {clean(value)}" for column, value in (one.given or {}).items()]
    return ", ".join([*([] if one.group is None else [group_name(one.group)]), *level])


def grouping_name(by: tuple[str, ...]) -> str:
    """A grouping for people, ``race × gender``."""
    return " × ".join(clean(attribute) for attribute in by)


def number(value: float, signed: bool = False) -> str:
    """Three decimals; a ratio in the thousands gets none."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):.3f}" if abs(value) < 1000 else f"{abs(value):,.0f}"
    if not float(text.replace(",", "")):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def interval(low: float, high: float, signed: bool = False) -> str:
    """``[0.893, 0.928]``, or nothing where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, signed)}, {number(high, signed)}]"


def estimate(value: Estimate, signed: bool = False) -> str:
    """``0.912 [0.893, 0.928]``; else ``undefined (0 positives)``, ``absent`` or ``infinite [2.100, ∞]``."""
    if math.isnan(value.value):
        return missing(value.reason)
    shown = "infinite" if math.isinf(value.value) else number(value.value, signed)
    return f"{shown} {interval(value.ci_low, value.ci_high, signed)}".strip()


def metric_name(metric: str) -> str:
    """A metric in plain words, for headings: ``true positive rate [Female]``; rules and tables have its own name."""
    name, bracket, of = clean(metric).partition("[")
    return name.replace("_", " ") + (" " if bracket else "") + bracket + of


def missing(reason: str | None) -> str:
    """What stands in the place of a number that is undefined."""
    said = clean(reason or "undefined")
    if said.startswith("absent"):
        return "absent"
    why = said.removeprefix("undefined").lstrip(": ")
    return f"undefined ({why})" if why else "undefined"


def count(n: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``5,162 images``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def confidence(result: AuditResult) -> str:
    """The audit's confidence in percent, ``95 %``."""
    return f"{100 * float(result.settings.get('confidence', 0.95)):g} %"


def title(result: AuditResult) -> str:
    """What was audited: target, classes, how many images."""
    target = clean(result.settings.get("target", "the target"))
    classes = [clean(c) for c in result.settings.get("classes", ())]
    shown = ", ".join(classes[:6]) + (f" and {len(classes) - 6} more" if len(classes) > 6 else "")
    said = f"{target} ({shown})" if shown else target
    if result.settings.get("multilabel") is not None:
        said = f"{len(classes)} labels ({shown})"
    positive = result.settings.get("positive")
    of = f", positive {clean(positive)}" if positive is not None else ""
    return f"{said}{of}: {count(result.overall.n, 'image')}, {confidence(result)} intervals"


def suspicions(result: AuditResult) -> list[str]:
    """Notes that say that the model may have been read wrongly: whoever reads a number must have read them before."""
    return [clean(note) for note in result.notes if note.startswith(("every prediction is", "accuracy "))]


def verdict_sentence(result: AuditResult) -> str:
    """The verdict in one plain sentence. A pass says what was shown, never that a model is fair."""
    if not result.rules:
        return "no rules: nothing was judged"
    rules = tuple(rule for rule in result.rules if rule.severity != "warning")
    warned = [rule for rule in result.rules if rule.severity == "warning" and rule.verdict is not Verdict.PASS]
    tail = (
        f"; {count(len(warned), 'rule')} that only {'warns' if len(warned) == 1 else 'warn'} did not pass" if warned else ""
    )
    return _judged(result, rules) + tail if rules else f"only warnings were asked for{tail}"


def _judged(result: AuditResult, rules: tuple[RuleResult, ...]) -> str:
    failed = [rule for rule in rules if rule.verdict is Verdict.FAIL]
    open_ = [rule for rule in rules if rule.verdict is Verdict.INCONCLUSIVE]
    of = f"of {count(len(rules), 'rule')}"
    if len(rules) == 1 and (failed or open_):
        return "the rule fails" if failed else "the rule cannot be decided by this data"
    if failed:
        tail = f"; {len(open_)} cannot be decided by this data" if open_ else ""
        return f"{len(failed)} {of} {'fails' if len(failed) == 1 else 'fail'}{tail}"
    if open_:
        return f"{len(open_)} {of} cannot be decided by this data; none fails"
    which = "the rule passes" if len(rules) == 1 else f"all {len(rules)} rules pass"
    return f"{which}: no disparity {_beyond(rules)} shown by this data at {confidence(result)}"


def _beyond(rules: tuple[RuleResult, ...]) -> str:
    parts = [rule_parts(rule.rule) for rule in rules]
    plain = [None if p is None or p.worse_by or p.kind == "worst_group" else p for p in parts]
    limits = {p.limit if p is not None and p.operator.startswith("<") else None for p in plain}
    if len(limits) == 1 and (limit := limits.pop()) is not None:
        return f"above {clean(limit)}"
    return "beyond its limit" if len(rules) == 1 else "beyond their limits"


def outcome(one: RuleOutcome) -> str:
    """One contrast of a rule and what is to be said of it: ``Black: 0.132 [0.081, 0.190]``."""
    who = f"{contrast_of(one)}: " if contrast_of(one) else ""
    if math.isnan(one.value):
        return f"{who}{clean(one.reason or 'undefined')}"
    if one.metric == IMAGES:
        return f"{who}{count(int(one.value), 'image')}"
    shown = "infinite" if math.isinf(one.value) else number(one.value)
    said = f"{who}{shown} {interval(one.ci_low, one.ci_high)}".strip()
    if one.reason is None:
        return said
    reason = clean(one.reason)
    rest = _SAID_ALREADY.sub("", reason)
    return f"{said}: {reason}" if rest == reason else f"{said} {rest}"


def contrast_name(one: Disparity) -> str:
    """A disparity's metric and kind, ``accuracy gap``."""
    return clean(one.metric) if one.kind is None else f"{clean(one.metric)} {one.kind.replace('_', ' ')}"
