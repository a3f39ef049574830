"""One engine: evaluate, audit and gate, on a record and on a table, give the same verdict and end with the same code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

RULES = (
    "accuracy gap by race <= 0.3",
    "accuracy worst_group by race >= 0.2 (warning)",
    "accuracy difference by gender <= 0.9 (point)",
    "true_positive_rate gap by race <= 0.99 (min_support 3)",
    "expected gender: Male | Female",
    "audited race",
)


def _flags(*rules: str) -> list[str]:
    return [word for rule in rules for word in ("--rule", rule)]


@pytest.mark.training
def test_evaluate_audit_and_gate_agree(evaluate: tuple[str, ...], cli: Cli) -> None:
    evaluated = cli(*evaluate, *_flags(*RULES), "--out", "run", "-f", "json", "-q")
    table = ("run/predictions.parquet", "--target", "gender", "--min-support", "2")
    privileged = ("--privileged", "race=White")
    found = {
        "evaluate": evaluated,
        "gate record": cli("gate", "run", "-f", "json"),
        "gate record, rules again": cli("gate", "run/audit.json", *_flags(*RULES), "-f", "json"),
        "audit": cli("audit", *table, *privileged, *_flags(*RULES), "-f", "json"),
        "gate table": cli("gate", *table, *privileged, *_flags(*RULES), "-f", "json"),
    }
    for way, result in found.items():
        assert result.code in (0, 1, 3), (way, result.err)
        assert result.code == evaluated.code, way
        assert result.record["verdict"] == evaluated.record["verdict"], way
        assert [(r["rule"], r["verdict"], r["severity"], r["decided_on"]) for r in result.record["rules"]] == [
            (r["rule"], r["verdict"], r["severity"], r["decided_on"]) for r in evaluated.record["rules"]
        ], way
    assert found["gate table"].out == found["audit"].out, "to the last byte"
    assert found["gate record"].out == evaluated.out


@pytest.fixture
def words(table: Path) -> tuple[object, ...]:
    return (table, "--y-true", "gender", "--where", "race != 'd'", "-f", "json")


def test_a_table_of_any_model_is_gated(words: tuple[object, ...], cli: Cli) -> None:
    assert cli("gate", *words, "--rule", "accuracy gap by race <= 0.7").code == 0
    assert cli("gate", *words, "--rule", "accuracy gap by race <= 0.1").code == 1
    assert cli("gate", *words, "--rule", "accuracy gap by race <= 0.45").code == 3
    cli("gate", *words).refused("name what is to be judged: --rule 'accuracy gap by race <= 0.10', or --policy FILE")
    cli("audit", *words, "--by", "race", "--out", "run")
    cli("gate", "run", "--by", "race", "--id", "file").refused(
        "run is an audit that was made already: --id, --by cannot change it; audit its predictions"
    )


def test_a_policy_with_everything(words: tuple[object, ...], cli: Cli) -> None:
    Path("policy.toml").write_text(
        """
        expected = { race = ["a", "b", "z"] }
        audited = ["gender"]
        rules = [
          { rule = "accuracy gap by race <= 0.1", severity = "warning" },
          { rule = "accuracy gap by race <= 0.46", decide_on = "point" },
        ]
        """
    )
    result = cli("gate", *words, "--policy", "policy.toml")
    assert result.code == 3, "z is absent; the failing rule only warns"
    assert [(r["verdict"], r["severity"], r["decided_on"]) for r in result.record["rules"]] == [
        ("fail", "warning", "interval"),
        ("pass", "error", "point"),
        ("inconclusive", "error", "interval"),
        ("pass", "error", "interval"),
    ]
    assert any("decided on the estimate alone" in note for note in result.record["notes"])
    assert cli("audit", *words, "--policy", "policy.toml").record["rules"] == result.record["rules"]
    for format_ in ("terminal", "markdown", "csv"):
        assert cli("gate", *words[:-2], "--policy", "policy.toml", "-f", format_).code == 3


def test_a_baseline(words: tuple[object, ...], cli: Cli, table: Path) -> None:
    rule = ("--rule", "accuracy gap by race worse_by <= 0.02")
    cli("audit", *words, "--by", "race", "--out", "before")
    assert cli("gate", *words, *rule, "--baseline", "before").code == 3, "80 of each group cannot show it"
    better = table.with_name("better.csv")
    text = table.read_text().replace("c,woman,man", "c,woman,woman").replace("c,man,woman", "c,man,man")
    better.write_text(text)
    assert cli("gate", better, *words[1:], *rule, "--baseline", "before/audit.json").code == 0
    cli("audit", better, *words[1:], "--by", "race", "--out", "after")
    assert cli("gate", "after", *rule, "--baseline", "before", "-f", "json").code == 0
    assert cli("gate", "before", *rule, "--baseline", "after", "-f", "json").code == 1
    cli("gate", "after", *rule).refused(
        "the rule 'accuracy gap by race worse_by <= 0.02' compares with a baseline: judge it with fairaudit gate AUDIT "
        "--baseline audit.json"
    )
    cli("audit", *words, "--by", "race", "--positive", "man", "--out", "other")
    cli("gate", "after", *rule, "--baseline", "other").refused(
        "the baseline's positive is man and this audit's is not named: nothing to compare"
    )
    record = Path("before/audit.json")
    record.write_text(record.read_text().replace('"schema_version": 1', '"schema_version": 9', 1))
    refused = cli("gate", "after", *rule, "--baseline", "before")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
