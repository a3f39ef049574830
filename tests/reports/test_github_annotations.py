from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fairaudit.errors import UnknownNameError
from fairaudit.reports.github import LIMIT, render
from fairaudit.results import AuditResult, RuleOutcome, RuleResult, Verdict


def read(text: str) -> list[tuple[str, str, str]]:
    """Level, title and message of each line, as the runner reads them: properties end at :: and are parted by commas."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
        assert match is not None, line
        properties = dict(item.split("=", 1) for item in match[2].split(","))
        assert set(properties) == {"title"}
        title, message = properties["title"], match[3]
        assert ":" not in title
        for mark, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            title = title.replace(mark, sign)
            message = message if mark in ("%3A", "%2C") else message.replace(mark, sign)
        found.append((match[1], title, message))
    return found


def rule(name: str, verdict: Verdict, severity: str = "error", groups: int = 1) -> RuleResult:
    one = RuleOutcome("accuracy", {"race": "A"}, 0.2, 0.15, 0.25, verdict)
    return RuleResult(name, verdict, (one,) * groups, severity)


def test_a_rule_that_does_not_pass_is_an_annotation(audit: AuditResult) -> None:
    assert read(render(audit)) == [
        ("error", "fail: accuracy difference by race <= 0.05", "Black: 0.130 [0.080, 0.180]"),
    ]


def test_the_worst_come_first(audit: AuditResult) -> None:
    rules = (
        rule("warns", Verdict.FAIL, "warning"),
        rule("open", Verdict.INCONCLUSIVE),
        rule("passes", Verdict.PASS),
        rule("fails", Verdict.FAIL),
        rule("fails widely", Verdict.FAIL, groups=5),
    )
    told = read(render(replace(audit, rules=rules)))
    assert [(level, title) for level, title, _ in told] == [
        ("error", "fail: fails widely"),
        ("error", "fail: fails"),
        ("error", "inconclusive: open"),
        ("warning", "fail: warns"),
    ]
    assert told[0][2].splitlines() == ["A: 0.200 [0.150, 0.250]"] * 3 + ["and 2 more contrasts"]
    relaxed = read(render(replace(audit, rules=rules), on_inconclusive="pass"))
    assert ("warning", "inconclusive: open") in [(level, title) for level, title, _ in relaxed]
    with pytest.raises(UnknownNameError, match="on_inconclusive 'pas'; did you mean 'pass'"):
        render(audit, on_inconclusive="pas")


@pytest.mark.parametrize("n", [LIMIT, LIMIT + 1, 40])
def test_never_more_than_github_shows(n: int, audit: AuditResult) -> None:
    rules = tuple(rule(f"rule {i}", Verdict.FAIL) for i in range(n))
    told = read(render(replace(audit, rules=rules)))
    assert len(told) == LIMIT
    named = " ".join(title + message for _, title, message in told)
    assert all(f"rule {i}" in named for i in range(n)), "none is left out in silence"
    assert told[-1][2].startswith(f"{n - LIMIT + 1} more rules that did not pass: ") is (n > LIMIT)


def test_nothing_wrong_is_one_notice(audit: AuditResult) -> None:
    passing = replace(audit, rules=audit.rules[:1], verdict=Verdict.PASS)
    said = "the rule passes: no disparity above 0.30 shown by this data at 95 %"
    assert read(render(passing)) == [("notice", "fairaudit", said)]
    assert render(passing).startswith("::notice title=fairaudit::the rule passes: no disparity")
    assert "95 %25" in render(passing)


def test_no_name_leaves_its_place(audit: AuditResult) -> None:
    hostile = "a,b::c%0A\r\n::error file=x::y"
    outcome = RuleOutcome("accuracy", {"race": hostile}, 0.5, 0.4, 0.6, Verdict.FAIL, hostile)
    text = render(replace(audit, rules=(RuleResult(hostile, Verdict.FAIL, (outcome,)),)))
    [(level, title, message)] = read(text)
    assert level == "error"
    assert title == "fail: a,b::c%0A ::error file=x::y"
    assert message.startswith("a,b::c%0A ::error file=x::y: 0.500 [0.400, 0.600]")
