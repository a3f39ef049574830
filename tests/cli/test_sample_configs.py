"""Every file in sample_configs/ is run, and so is every command that one of them names."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

SAMPLES = Path(__file__).parents[2] / "sample_configs"


@pytest.fixture
def project(cli: Cli, model: Path, fairface: Path, table: Path) -> Cli:
    """A user's project: model.pt, data/fairface, predictions.csv and the sample files, as the working folder."""
    Path("data").mkdir()
    Path("data/fairface").symlink_to(fairface)
    shutil.copy(model, "model.pt")
    predictions = table.read_text().replace("woman", "Female").replace("man", "Male")
    Path("predictions.csv").write_text(predictions)
    for path in SAMPLES.iterdir():
        shutil.copy(path, path.name)
    return cli


def commands(name: str) -> list[list[str]]:
    """What follows ``fairaudit`` in a sample file, up to a redirection, in order."""
    lines = re.findall(r"\bfairaudit ((?:evaluate|audit|gate|report|data|list|demo)\b.*)", (SAMPLES / name).read_text())
    return [shlex.split(re.split(r"\s(?:>>|>|\|)\s", line)[0]) for line in lines]


def test_there_is_nothing_else() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir()) == [
        "evaluate_fairface.toml",
        "github_actions.yml",
        "policy.toml",
    ]


def test_the_workflow(project: Cli) -> None:
    steps = commands("github_actions.yml")
    assert [step[0] for step in steps] == ["evaluate", "gate"]
    summary = project(*steps[0])
    assert summary.code == 0, summary.err
    assert summary.out.startswith("#"), "Markdown and nothing else goes into the summary"
    judged = project(*steps[1], "--format", "json")
    assert judged.code == {"pass": 0, "fail": 1, "inconclusive": 3}[judged.record["verdict"]]
    assert [len(rule["outcomes"]) > 0 for rule in judged.record["rules"]] == [True] * 8


def test_the_policy(project: Cli) -> None:
    named = commands("policy.toml")
    assert [words[0] for words in named] == ["evaluate", "audit", "gate"]
    evaluated = project(*named[0], "--size", 32, "--out", "runs/mine", "--format", "json")
    assert evaluated.code == 3, evaluated.err
    judged = project(*named[2], "--format", "json")
    assert (judged.code, judged.record["rules"]) == (3, evaluated.record["rules"])
    audited = project(*named[1], "--format", "json")
    assert audited.code == 1, audited.err
    assert [g["by"] for g in audited.record["groupings"]] == [["race"], ["race", "gender"]], "a rule adds its own"


def test_the_run(project: Cli) -> None:
    [words] = commands("evaluate_fairface.toml")
    assert words[:3] == ["evaluate", "--config", "evaluate_fairface.toml"]
    result = project(*words, "--size", 32, "--out", "run", "--format", "json")
    assert result.code == 3, result.err
    assert [rule["rule"] for rule in result.record["rules"]] == ["accuracy gap by race <= 0.15"]
    assert [g["by"] for g in result.record["groupings"]] == [["race"], ["race", "gender"]]
    assert result.record["groupings"][0]["privileged"] == {"race": "White"}
    again = project("evaluate", "--config", "run/config.toml", "--out", "again", "--format", "json")
    assert again.out == result.out
