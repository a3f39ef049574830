"""Policy files: rules as strings and tables, defaults for all of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairaudit.config import Policy, read_toml
from fairaudit.errors import ConfigError
from fairaudit.metrics.rules import parse_requirement


def _read(folder: Path, text: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return read_toml(path, Policy)


def test_strings_and_tables(tmp_path: Path) -> None:
    policy = _read(
        tmp_path,
        """
        decide_on = "point"
        expected = { race = ["Black", "East Asian"] }
        audited = ["gender"]
        rules = [
          "accuracy gap by race <= 0.1",
          { rule = "accuracy spread by race <= 0.1", severity = "warning", decide_on = "interval" },
          { rule = "f1 gap by race <= 0.1", min_support = 50 },
        ]
        """,
    )
    assert policy.requirements == (
        "accuracy gap by race <= 0.1 (point)",
        "accuracy spread by race <= 0.1 (warning)",
        "f1 gap by race <= 0.1 (point, min_support 50)",
        "expected race: Black | East Asian",
        "audited gender",
    )
    assert [type(parse_requirement(text)).__name__ for text in policy.requirements] == ["Rule"] * 3 + ["Presence"] * 2


def test_a_policy_of_expectations_alone(tmp_path: Path) -> None:
    assert _read(tmp_path, 'audited = ["race"]\n').requirements == ("audited race",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rules = ["a"]\nconfidance = 0.9\n', "unknown key 'confidance'; did you mean 'confidence'?"),
        ('rules = [{rule = "a", severty = "warning"}]\n', "unknown key 'rules.0.severty'; did you mean 'severity'?"),
        ('rules = [{severity = "warning"}]\n', "'rules.0.rule' is missing"),
        ('rules = [{rule = "a", severity = "fatal"}]\n', "rules.0.severity: Input should be 'error' or 'warning'"),
        ('rules = ["a"]\ndecide_on = "luck"\n', "decide_on: Input should be 'interval' or 'point'"),
        ("rules = []\n", "'rules' is empty"),
        ("expected = {race = []}\n", "'expected.race' is empty"),
        ('name = "empty"\n', ": the policy asks nothing; give it rules"),
    ],
)
def test_refusals(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text)
    assert str(caught.value).endswith(message)
