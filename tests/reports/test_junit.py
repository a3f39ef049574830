from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from fairaudit.errors import UnknownNameError
from fairaudit.reports import _wording as words
from fairaudit.reports._rules import ruled
from fairaudit.reports.junit import render
from fairaudit.results import AuditResult, RuleOutcome, RuleResult, Verdict

# What the schema that Jenkins, GitLab and others read from allows: element → attributes and children.
SCHEMA = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}


def read(text: str) -> ET.Element:
    """The document, after checking it against the schema and its sums against its cases."""
    root = ET.fromstring(text)
    for element in root.iter():
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
        if element.tag in ("testsuites", "testsuite"):
            cases = list(element.iter("testcase"))
            tags = Counter(child.tag for case in cases for child in case)
            found = (len(cases), tags["failure"], tags["error"], tags["skipped"])
            assert tuple(int(element.attrib[k]) for k in ("tests", "failures", "errors", "skipped")) == found
    return root


def outcomes(root: ET.Element) -> dict[str, str]:
    """Case → the tag that says how it ended, ``passed`` without one."""
    return {
        case.attrib["name"]: next((child.tag for child in case if child.tag != "system-out"), "passed")
        for case in root.iter("testcase")
    }


def test_a_case_per_rule_and_contrast(audit: AuditResult) -> None:
    root = read(render(audit))
    assert outcomes(root) == {
        "accuracy gap by race <= 0.30: accuracy, all groups": "passed",
        "accuracy difference by race <= 0.05: accuracy, Inuit": "error",
        "accuracy difference by race <= 0.05: accuracy, Black": "failure",
    }
    assert {case.attrib["classname"] for case in root.iter("testcase")} == {"fairaudit.race"}
    failure, error = (next(root.iter(tag)) for tag in ("failure", "error"))
    assert failure.attrib["message"] == "Black: 0.130 [0.080, 0.180]"
    assert error.attrib["message"] == "Inuit: 0.033 [0.000, 0.300]: too small: support 12 is below 20"
    told = {p.attrib["name"]: p.attrib["value"] for p in root.iter("property")}
    assert told["decided_on"] == "interval"
    assert "time" not in {name for element in root.iter() for name in element.attrib}


@pytest.mark.parametrize(("asked", "tag"), [("error", "error"), ("fail", "failure"), ("pass", "skipped")])
def test_what_is_inconclusive_ends_as_the_gate_takes_it(asked: str, tag: str, audit: AuditResult) -> None:
    ended = outcomes(read(render(audit, on_inconclusive=asked)))
    assert ended["accuracy difference by race <= 0.05: accuracy, Inuit"] == tag
    assert ended["accuracy difference by race <= 0.05: accuracy, Black"] == "failure"


def test_warnings_pass_and_say_what_they_found(audit: AuditResult) -> None:
    rules = tuple(replace(rule, severity="warning") for rule in audit.rules)
    root = read(render(replace(audit, rules=rules)))
    assert set(outcomes(root).values()) == {"passed"}
    assert [out.text for out in root.iter("system-out")] == [
        "warning, inconclusive: Inuit: 0.033 [0.000, 0.300]: too small: support 12 is below 20",
        "warning, fail: Black: 0.130 [0.080, 0.180]",
    ]


def test_no_verdict_is_lost(audit: AuditResult) -> None:
    outcome = RuleOutcome("accuracy", None, 0.1, 0.05, 0.2, Verdict.PASS)
    rules = (
        RuleResult("audited: race", Verdict.INCONCLUSIVE, ()),
        RuleResult("a gap by race <= 0.3", Verdict.FAIL, (outcome,)),
        RuleResult("b gap by race <= 0.3", Verdict.PASS, ()),
    )
    root = read(render(replace(audit, rules=rules)))
    assert outcomes(root) == {
        "audited: race: the rule": "error",
        "a gap by race <= 0.3: the rule": "failure",
        "a gap by race <= 0.3: accuracy, all groups": "passed",
        "b gap by race <= 0.3: the rule": "passed",
    }
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("4", "1", "1")
    assert read(render(replace(audit, rules=()))).attrib["tests"] == "0"


@pytest.mark.parametrize("name", ["]]>", "a&b<c>\"'", "\x00\x0b\ufffe\ud800", "--><x/>", "\U0001f600", "&#0;"])
def test_any_name_is_valid_xml(name: str, audit: AuditResult) -> None:
    outcome = RuleOutcome(f"f1[{name}]", {name: name}, 0.5, 0.4, 0.6, Verdict.FAIL, name)
    rules = (RuleResult(f"f1[{name}] gap by {name} <= 0.1", Verdict.FAIL, (outcome,)),)
    text = render(replace(audit, rules=rules))
    assert text.encode("utf-8")
    read(text)
    if name.isprintable():
        assert any(f"f1[{name}]" in case for case in outcomes(read(text)))


def test_what_is_inconclusive_cannot_end_in_another_way(audit: AuditResult) -> None:
    with pytest.raises(UnknownNameError, match="on_inconclusive 'passed'"):
        render(audit, on_inconclusive="passed")


def test_rules_on_a_baseline_and_on_presence_stand_by_their_attributes(audit: AuditResult) -> None:
    fewer = RuleOutcome("accuracy", None, 0.01, -0.02, 0.04, Verdict.INCONCLUSIVE, "0.130 after 0.120 in the baseline")
    there = RuleOutcome("images", {"race": "Black"}, 1190.0, math.nan, math.nan, Verdict.PASS)
    alone = RuleOutcome("images", None, 1.0, math.nan, math.nan, Verdict.PASS)
    rules = (
        RuleResult("accuracy gap by race,gender worse_by <= 0.02", Verdict.INCONCLUSIVE, (fewer,)),
        RuleResult("expected race: Black | White", Verdict.PASS, (there,)),
        RuleResult("audited gender", Verdict.PASS, (alone,)),
    )
    root = read(render(replace(audit, rules=rules)))
    places = [case.attrib["classname"] for case in root.iter("testcase")]
    assert places == ["fairaudit.race,gender", "fairaudit.race", "fairaudit.gender"]
    assert words.outcome(there) == "Black: 1,190 images"
    assert words.outcome(alone) == "1 image"
    # how much worse a gap has become is not the gap, and marks no number of a table
    assert not ruled(replace(audit, rules=rules), ("race", "gender"), "gap")
    [same] = ruled(
        replace(audit, rules=(replace(rules[0], rule="accuracy gap by gender,race <= 0.02"),)), ("race", "gender"), "gap"
    )
    assert same == ("accuracy", "")
    passed = replace(audit, rules=(replace(rules[0], verdict=Verdict.PASS),), verdict=Verdict.PASS)
    assert words.verdict_sentence(passed).startswith("the rule passes: no disparity beyond its limit shown")
