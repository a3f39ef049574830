"""Exit codes: what a rule, a group that is too small and a policy make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

PASSES = "accuracy gap by race <= 0.7"
FAILS = "accuracy gap by race <= 0.1"
OPEN = "accuracy gap by race <= 0.45"  # which is what it is, so that no interval decides
LARGE = ("--where", "race != 'd'")
SMALL: tuple[str, ...] = ()


@pytest.fixture
def words(table: Path) -> tuple[object, ...]:
    return ("audit", table, "--y-true", "gender", "--by", "race", "-f", "json")


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((*LARGE, "--rule", PASSES), 0),
        ((*LARGE, "--rule", FAILS), 1),
        ((*LARGE, "--rule", OPEN), 3),
        ((*SMALL, "--rule", PASSES), 3),  # twelve images cannot show that the rule holds
        ((*SMALL, "--rule", FAILS), 1),  # but the others show that it does not
        ((*SMALL, "--rule", PASSES, "--min-support", "10"), 0),
        ((*LARGE, "--rule", PASSES, "--rule", OPEN), 3),
        ((*LARGE, "--rule", OPEN, "--rule", FAILS), 1),
        ((*LARGE, "--rule", FAILS, "--exit-zero"), 0),
        ((*LARGE, "--rule", OPEN, "--exit-zero"), 0),
        ((*LARGE, "--rule", OPEN, "--on-inconclusive", "fail"), 1),
        ((*LARGE, "--rule", OPEN, "--on-inconclusive", "error"), 3),
        ((*LARGE, "--rule", FAILS, "--on-inconclusive", "pass"), 1),
        (LARGE, 0),
    ],
)
def test_exit_codes(words: tuple[object, ...], flags: tuple[str, ...], code: int, cli: Cli) -> None:
    result = cli(*words, *flags)
    assert result.code == code
    assert result.err == ""
    if code in (0, 1, 3) and "--exit-zero" not in flags and "--on-inconclusive" not in flags:
        assert result.record["verdict"] == {0: "pass", 1: "fail", 3: "inconclusive"}[code] if "--rule" in flags else "none"


def test_what_is_let_pass_is_said(words: tuple[object, ...], cli: Cli) -> None:
    result = cli(*words, *LARGE, "--rule", OPEN, "--on-inconclusive", "pass")
    assert (result.code, result.err) == (0, f"warning: 1 rule is inconclusive and was let pass: {OPEN}\n")


def test_a_stored_audit_is_judged_by_other_rules(words: tuple[object, ...], cli: Cli) -> None:
    assert cli(*words, *LARGE, "--rule", FAILS, "--out", "run").code == 1
    assert cli("gate", "run").code == 1, "by its own rules"
    assert cli("gate", "run/audit.json", "--rule", PASSES).code == 0, "by others"
    assert cli("gate", "run", "--rule", PASSES, "--min-support", 100).code == 3
    assert cli("gate", "run", "--rule", OPEN).code == 3
    assert cli("report", "run").code == 0, "to read is not to judge"
    cli("gate", "run", "--rule", "accuracy gap by age <= 0.1").refused(
        "unknown grouping in the rule 'accuracy gap by age <= 0.1': 'age'; choose from race"
    )


def test_a_policy_and_what_goes_before_it(words: tuple[object, ...], cli: Cli) -> None:
    policy = Path("policy.toml")
    policy.write_text(f'rules = ["{PASSES}"]\nmin_support = 10\non_inconclusive = "fail"\n')
    assert cli(*words, "--policy", policy).code == 0
    assert cli(*words, "--policy", policy, "--min-support", 20).code == 1, "flags win; inconclusive fails by the policy"
    assert cli(*words, "--policy", policy, "--min-support", 20, "--on-inconclusive", "error").code == 3
    assert cli(*words, "--policy", policy, "--rule", FAILS).code == 1, "a flag's rule is added"
    record = cli(*words, "--policy", policy, "--rule", FAILS).record
    assert [r["rule"] for r in record["rules"]] == [PASSES, FAILS]
    policy.write_text('rule = ["x"]\n')
    cli(*words, "--policy", policy).refused("policy.toml: unknown key 'rule'; did you mean 'rules'?")
    policy.write_text("rules = []\n")
    cli(*words, "--policy", policy).refused("policy.toml: 'rules' is empty")


def test_a_misspelt_metric_is_refused_with_a_suggestion(words: tuple[object, ...], cli: Cli) -> None:
    rule = "acuracy gap by race <= 0.1"
    cli(*words, "--rule", rule).refused(f"unknown metric in the rule {rule!r}: 'acuracy'; did you mean 'accuracy'?")
