"""``--given`` and ``--shrink``: in every format, judged alike everywhere, refused in one sentence."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Cli, files_below

WORDS = ("--y-true", "gender", "--by", "race", "--given", "age", "--bins", "age=0,18,65", "--privileged", "race=a",
         "--bootstrap", "100")  # fmt: skip
RULE = "accuracy gap by race given age <= 0.15"


@pytest.fixture
def ages(tmp_path: Path) -> Path:
    """Of adults 95 % are right whoever they are, of children 90 % of a and b and 60 % of c; of ten nobody knows the age."""
    rows = []
    for race, right in (("a", 0.9), ("b", 0.9), ("c", 0.6)):
        for age, share, n in ((9, right, 200), (40, 0.95, 300), (70, 0.95, 12), (None, 0.5, 10)):
            for k in range(n):
                true = ("woman", "man")[k % 2]
                other = {"woman": "man", "man": "woman"}[true]
                rows.append((race, age, "front" if k % 3 else "side", true, true if k < share * n else other))
    path = tmp_path / "ages.csv"
    pd.DataFrame(rows, columns=["race", "age", "pose", "gender", "gender_pred"]).to_csv(path, index=False)
    return path


def _gaps(record: dict[str, Any]) -> dict[str, float]:
    return {
        g["given"]["age"]: d["value"]
        for g in record["groupings"]
        if "given" in g
        for d in g["disparities"]
        if (d["metric"], d["kind"]) == ("accuracy", "gap")
    }


def test_every_format_says_it(ages: Path, cli: Cli) -> None:
    words = ("audit", ages, *WORDS, "--shrink", "--rule", RULE)
    as_json = cli(*words, "-f", "json")
    assert (as_json.code, as_json.err) == (1, "")
    jsonschema.validate(as_json.record, cli("list", "schema").record)
    assert as_json.record["settings"]["given"] == [["age"]]
    assert _gaps(as_json.record) == {"0 to <18": pytest.approx(0.3), "18 to <65": pytest.approx(0), "65 or more": None}
    [mean] = as_json.record["conditional"]
    gap = next(d for d in mean["disparities"] if (d["metric"], d["kind"]) == ("accuracy", "gap"))
    assert gap["value"] == pytest.approx(600 * 0.3 / 1500)
    assert gap["reason"] == "left out: 1 of 3 levels (undefined or too small)"
    assert as_json.record["notes"] == ["30 images whose age is not known are within none of its levels"]
    [rule] = as_json.record["rules"]
    assert [(o["given"], o["group"], o["verdict"]) for o in rule["outcomes"][:3]] == [
        ({"age": "0 to <18"}, None, "fail"),
        ({"age": "18 to <65"}, None, "pass"),
        ({"age": "65 or more"}, None, "inconclusive"),
    ]

    terminal = cli(*words)
    assert all(len(line) <= 80 for line in terminal.out.splitlines())
    shown = " ".join(terminal.out.split())
    for text in (
        "age 0 to <18: 0.300 [",
        "Within levels of age: gap between the groups of race",
        "Mean difference from a over levels of age",
        "accuracy shrunk",
        "shrunk: drawn towards the mean of all groups, the more the fewer images a group has",
        "mean over levels 1,536",
    ):
        assert text in shown, text
    assert re.search(r"0 to <18 +600 +0\.300 \[0\.\d{3}, 0\.\d{3}\] ✗", terminal.out)

    markdown = cli(*words, "-f", "markdown").out
    assert "**Within levels of age: gap between the groups of race**" in markdown
    assert "| mean over levels | 1,536 | 0.120 [" in markdown
    assert "accuracy, shrunk" in markdown

    rows = list(csv.DictReader(io.StringIO(cli(*words, "-f", "csv").out)))
    kinds = {(r["by"], r["kind"]) for r in rows if r["metric"] == "accuracy"}
    assert {("race given age=0 to <18", "gap"), ("race given age", "gap"), ("race", "shrunk"), ("race", "value")} <= kinds
    [listed] = [r for r in rows if (r["by"], r["metric"], r["kind"]) == ("race given age", "accuracy", "gap")]
    assert float(listed["value"]) == pytest.approx(0.12)
    junit = cli(*words, "-f", "junit").out
    assert "accuracy, age 0 to &lt;18" in junit
    assert cli(*words, "-f", "github").out.startswith("::error title=fail%3A accuracy gap by race given age <= 0.15::age 0")


@pytest.mark.training
def test_columns_cross_and_repeat(ages: Path, cli: Cli) -> None:
    record = cli("audit", ages, *WORDS, "--given", "pose", "--given", "age,pose", "-f", "json").record
    found = [tuple(g.get("given", {})) for g in record["groupings"]]
    assert found == [()] + [("age",)] * 3 + [("pose",)] * 2 + [("age", "pose")] * 6
    n = [sum(one["n"] for one in g["groups"]) for g in record["groupings"]]
    frame = pd.read_csv(ages)
    assert n[0] == len(frame)
    assert n[4:6] == [int((frame["pose"] == pose).sum()) for pose in ("front", "side")]
    assert sum(n[6:]) == int(frame["age"].notna().sum())


def test_shares_are_drawn_by_hand(ages: Path, cli: Cli) -> None:
    record = cli("audit", ages, "--y-true", "gender", "--by", "race", "--shrink", "-f", "json").record
    frame = pd.read_csv(ages)
    right = frame["gender"] == frame["gender_pred"]
    p = np.array([right[frame["race"] == race].mean() for race in "abc"])
    n, m = 522, p.mean()
    rho = (n * ((p - m) ** 2).sum() / (m * (1 - m) * 2) - 1) / (n - 1)
    size = (1 - rho) / rho
    expected = [(n * value + size * m) / (n + size) for value in p]
    assert [g["shrunk"]["accuracy"] for g in record["groupings"][0]["groups"]] == pytest.approx(expected)


@pytest.mark.training
def test_the_same_verdict_everywhere(ages: Path, cli: Cli) -> None:
    words = (*WORDS, "--given", "pose,age")
    rules = ("--rule", RULE, "--rule", "accuracy worst_group by race given age,pose >= 0.3")
    during = cli("audit", ages, *words, *rules, "-f", "json")
    assert cli("audit", ages, *words, "--out", "run", "-q").code == 0
    stored = cli("gate", "run", *rules, "-f", "json")
    Path("policy.toml").write_text(f"rules = ['{RULE}', '{rules[-1]}']\n")
    table = cli("gate", ages, *words, "--policy", "policy.toml", "-f", "json")
    assert during.code == stored.code == table.code == 1
    assert during.record == stored.record == table.record
    levels = ("--given", "pose,age", "--bins", "age=0,18,65", "--privileged", "race=a", "--bootstrap", "100")
    again = cli("audit", "run", "--by", "race", *levels, *rules, "-f", "json")
    assert again.record["rules"] == during.record["rules"]


@pytest.mark.training
def test_worse_than_a_baseline_in_every_level(ages: Path, cli: Cli) -> None:
    assert cli("audit", ages, *WORDS, "--out", "before", "-q").code == 0
    frame = pd.read_csv(ages)
    old = frame["age"] == 40
    frame.loc[old & (frame["race"] == "b"), "gender_pred"] = "woman"
    frame.to_csv("after.csv", index=False)
    rule = "accuracy gap by race given age worse_by <= 0.1"
    words = ("gate", "after.csv", *WORDS, "--baseline", "before", "--rule", rule, "-f", "json")
    found = cli(*words)
    assert found.code == 1
    [judged] = found.record["rules"]
    assert [o["verdict"] for o in judged["outcomes"]][:2] == ["inconclusive", "fail"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--given", "race"),
         "--given race: every grouping names it already (race); hold another column fixed, or add a grouping without it"),
        (("--given", "pose,pose"), "--given pose,pose names a column twice"),
        (("--given", "poses"), "ages.csv has no column 'poses' (--by); did you mean 'pose'?"),
        (("--rule", "accuracy gap by race given race <= 0.1"),
         "the rule 'accuracy gap by race given race <= 0.1' must name each column once after 'given', and none that stands "
         "after 'by'"),
        (("--rule", "accuracy gap by race given poses <= 0.1"),
         "ages.csv has no column 'poses' (--by); did you mean 'pose'?"),
    ],
)  # fmt: skip
def test_refusals(ages: Path, cli: Cli, words: tuple[str, ...], message: str) -> None:
    result = cli("audit", ages, "--y-true", "gender", "--by", "race", *words, "--out", "run")
    result.refused(message.replace("ages.csv", str(ages)) if str(ages) in result.err else message)
    assert files_below(Path()) == []


def test_a_stored_audit_cannot_be_held_fixed_afterwards(ages: Path, cli: Cli) -> None:
    cli("audit", ages, "--y-true", "gender", "--by", "race", "--out", "run", "-q")
    cli("gate", "run", "--rule", "accuracy gap by race given age <= 0.1").refused(
        "the rule 'accuracy gap by race given age <= 0.1' is about race within levels of age, which was not audited; audit "
        "the predictions with --by race --given age"
    )
    cli("gate", "run", "--given", "age", "--shrink", "--no-cluster", "--rule", RULE).refused(
        "run is an audit that was made already: --given, --no-cluster, --shrink cannot change it; audit its predictions"
    )
    cli("plan", "--audit", "run", "--rule", RULE).refused(
        f"the rule {RULE!r} must hold in every level of age; plan it for one level, without 'given'"
    )


@pytest.mark.slow
def test_evaluate_does_the_same_and_its_configuration_repeats_it(evaluate: tuple[str, ...], cli: Cli) -> None:
    words = ("--given", "age", "--shrink", "--label-noise", "race=0.1", "--rule", "accuracy gap by race given age <= 0.9")
    first = cli(*evaluate, *words, "-q", "--out", "run", "-f", "json")
    assert first.code in (0, 1, 3)
    assert first.record["settings"]["given"] == [["age"]]
    assert first.record["settings"]["label_noise"] == {"race": 0.1}
    assert any(g.get("given") == {"age": "20-29"} for g in first.record["groupings"])
    assert any(o["given"] == {"age": "20-29"} for o in first.record["rules"][0]["outcomes"])
    again = cli("evaluate", "--config", "run/config.toml", "-q", "--out", "again", "-f", "json")
    assert again.out == first.out
