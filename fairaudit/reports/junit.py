"""JUnit XML, one test case per rule and contrast, or per change, for the test reports of CI systems.

A contrast beyond its limit is a failure. One that cannot be decided is an error, a failure or skipped, as the gate is told
to take it. Rules of severity ``warning`` never fail: what they found is in the case's output. Of a comparison, every group
and kind over groups is a case: a change that is shown to be for the worse is a failure, and where none is shown the case is
skipped. There are no times in it, so the same record gives the same bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from fairaudit.comparison import Change, ComparisonResult, PairComparison, Trend
from fairaudit.errors import UnknownNameError
from fairaudit.reports import _comparison as compared
from fairaudit.reports import _wording as words
from fairaudit.reports._rules import deciding, rule_by
from fairaudit.results import AuditResult, RuleOutcome, RuleResult, Verdict

TAGS = {"error": "error", "fail": "failure", "pass": "skipped"}
"""What an inconclusive contrast becomes."""

_COUNTS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(result: AuditResult, *, on_inconclusive: str = "error") -> str:
    """Write the rules of an audit as JUnit XML: a suite per rule, a case per contrast.

    A rule whose verdict none of its contrasts shares (one without any, for example) has a case of its own, so that no
    verdict is lost.

    Args:
        result: the audit.
        on_inconclusive: what a contrast that cannot be decided becomes: ``error``, ``fail`` or ``pass``, which skips it.

    Raises:
        UnknownNameError: ``on_inconclusive`` is none of these.
    """
    if on_inconclusive not in TAGS:
        raise UnknownNameError("on_inconclusive", on_inconclusive, TAGS)
    return _document([_suite(result, rule, TAGS[on_inconclusive]) for rule in result.rules], "no rules")


def render_comparison(result: ComparisonResult, *, metrics: tuple[str, ...] = ()) -> str:
    """Write the changes of a comparison as JUnit XML: a suite per pair of models, metric and grouping.

    Args:
        result: the comparison.
        metrics: which metrics to test; empty tests accuracy.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    chosen = compared.chosen(result, metrics)
    return _document(
        [
            _changes(result, pair, metric, grouping.by, [*groups, *over])
            for pair in result.pairs
            for metric in chosen
            for grouping in pair.groupings
            for groups, over in [compared.of_metric(grouping, metric)]
        ],
        "no groupings",
    )


def _document(suites: list[ET.Element], nothing: str) -> str:
    root = ET.Element("testsuites", {"name": "fairaudit", **_summed([])})
    root.extend(suites or [ET.Element("testsuite", {"name": nothing, **_summed([])})])
    root.attrib |= _summed([case for suite in suites for case in suite.iter("testcase")])
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _changes(
    result: ComparisonResult, pair: PairComparison, metric: str, by: tuple[str, ...], changes: Sequence[Change]
) -> ET.Element:
    place = ",".join(by)
    cases = [_change(place, metric, c) for c in changes]
    name = f"{metric} by {place}: {pair.before} → {pair.after}"
    suite = ET.Element("testsuite", {"name": _text(name), **_summed(cases)})
    properties = ET.SubElement(suite, "properties")
    for key, value in (("comparison", compared.title(result, pair)), ("design", compared.design(result, pair))):
        ET.SubElement(properties, "property", {"name": key, "value": _text(value)})
    suite.extend(cases)
    return suite


def _change(place: str, metric: str, c: Change) -> ET.Element:
    name = f"{metric}, {compared.row_name(c)} is not worse"
    case = ET.Element("testcase", {"classname": _text(f"fairaudit.{place}"), "name": _text(name)})
    if c.trend in (Trend.BETTER, Trend.HIGHER, Trend.LOWER):
        return case
    if math.isnan(c.change.value):
        ET.SubElement(case, "skipped", {"message": _text(c.change.reason or "undefined")})
        return case
    if c.trend is Trend.UNDECIDED:
        ET.SubElement(
            case, "skipped", {"message": _text(f"no change is shown, and none is ruled out: {compared.moved(c)}")}
        )
        return case
    failure = ET.SubElement(case, "failure", {"message": _text(f"worse: {compared.moved(c)}"), "type": "worse"})
    failure.text = _text(f"worse: {compared.row_name(c)} {compared.moved(c)}")
    return case


def _suite(result: AuditResult, rule: RuleResult, inconclusive: str) -> ET.Element:
    place = ",".join(rule_by(rule.rule)) or "rules"
    cases = [_case(rule, one.verdict, place, _named(one), words.outcome(one), inconclusive) for one in rule.outcomes]
    if rule.verdict not in {one.verdict for one in rule.outcomes}:
        why = "; ".join(words.outcome(one) for one in deciding(rule)) or f"the rule is {rule.verdict.value}"
        cases.insert(0, _case(rule, rule.verdict, place, "the rule", why, inconclusive))
    suite = ET.Element("testsuite", {"name": _text(rule.rule), **_summed(cases)})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result, rule):
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    suite.extend(cases)
    return suite


def _case(rule: RuleResult, verdict: Verdict, place: str, name: str, said: str, inconclusive: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": _text(f"fairaudit.{place}"), "name": _text(f"{rule.rule}: {name}")})
    if verdict in (Verdict.PASS, Verdict.NONE):
        return case
    if rule.severity == "warning":
        ET.SubElement(case, "system-out").text = _text(f"warning, {verdict.value}: {said}")
        return case
    tag = "failure" if verdict is Verdict.FAIL else inconclusive
    found = ET.SubElement(case, tag, {"message": _text(said)})
    if tag != "skipped":  # whose body and type the common schema does not know
        found.set("type", verdict.value)
        found.text = _text(f"{verdict.value}: {said} (decided on the {rule.decided_on})")
    return case


def _properties(result: AuditResult, rule: RuleResult) -> Iterator[tuple[str, object]]:
    yield "audit", words.title(result)
    yield "verdict", rule.verdict.value
    yield "severity", rule.severity
    yield "decided_on", rule.decided_on


def _named(one: RuleOutcome) -> str:
    return f"{words.clean(one.metric)}, {words.contrast_of(one) or words.group_name(None)}"


def _summed(cases: list[ET.Element]) -> dict[str, str]:
    found = {name: sum(case.find(tag) is not None for case in cases) for tag, name in _COUNTS.items()}
    return {"tests": str(len(cases)), **{name: str(n) for name, n in found.items()}}


def _text(value: object) -> str:
    """Text without what XML 1.0 cannot hold at all, escaped or not."""
    return words.clean(_NOT_XML.sub(" ", str(value)))
