"""``fairaudit plan``: sizes before an audit, reach after it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

RULE = "accuracy gap by race <= 0.05"


def test_sizes(cli: Cli) -> None:
    result = cli("plan", "--rule", RULE, "--groups", 7, "--rate", 0.9)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{RULE}\n  7 groups, true rates 0.9 in each, 95 % intervals\n")
    assert "▸ passes with 90 % chance: 1,600 images per group (11,200 in all)" in result.out
    found = json.loads(cli("plan", "--rule", RULE, "--rate", "0.9,0.89,0.91", "--power", 0.8, "-f", "json").out)
    assert [(one["rule"], one["rates"], one["power"], one["unit"]) for one in found] == [
        (RULE, [0.9, 0.89, 0.91], 0.8, "images")
    ]
    sizes = [n for _, n in sorted([*found[0]["others"], [found[0]["power"], found[0]["support"]]])]
    assert sizes == sorted(sizes), "a surer pass takes more images"
    tpr = cli("plan", "--rule", "tpr[Female] difference by race <= 0.1", "--groups", 2, "--rate", 0.9)
    assert "positives per group" in tpr.out


def test_what_an_audit_could_have_shown(table: Path, cli: Cli) -> None:
    cli("audit", table, "--y-true", "gender", "--by", "race", "--rule", RULE, "--out", "run")
    result = cli("plan", "--audit", "run")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{RULE} (accuracy)\n  observed 0.450; the strictest limit that these data pass is 0.5")
    assert "smallest group: a, 80 images; it must be worse by 0.239 to be shown with 90 % chance" in result.out
    reach = json.loads(cli("plan", "--audit", "run/audit.json", "-f", "json").out)[0]
    rule = f"accuracy gap by race <= {reach['shown'] + 1e-6:.6f}"
    outcomes = cli("gate", "run", "--rule", rule, "-f", "json").record["rules"][0]["outcomes"]
    assert outcomes[0]["verdict"] == "pass"
    assert reach["groups"] == 3, "d is too small to count"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--groups", 7, "--rate", 0.9),
            "name a rule: fairaudit plan --rule 'accuracy gap by race <= 0.05' --groups 7 --rate 0.9",
        ),
        (
            ("--rule", RULE, "--groups", 7),
            "name the true rate that is hoped for, such as --rate 0.9: what is needed depends on it",
        ),
        (
            ("--rule", RULE, "--rate", 0.9),
            "name how many groups there are with --groups, or one --rate per group: 0.9,0.88,0.9",
        ),
        (
            ("--rule", RULE, "--rate", "0.9,0.8", "--groups", 3),
            "--rate names 2 rates for 3 groups; write one, or one per group",
        ),
        (("--rule", RULE, "--rate", "high"), "--rate 'high': write a number from 0 to 1, or one per group: 0.9,0.88,0.9"),
        (("--rule", RULE, "--rate", "9", "--groups", 3), "--rate '9': a rate lies from 0 to 1"),
        (
            ("--rule", RULE, "--rate", "0.9,0.8"),
            f"no number of images shows {RULE!r}: at these rates the truth itself is 0.1, which is not inside the limit",
        ),
        (("--rule", RULE, "--rate", "0.9", "--groups", 3, "--power", 2), "--power 2: a chance from 0.01 to 0.999"),
        (("--rule", RULE, "--rate", "0.9", "--groups", 0), "--groups 0: a number from 1 to 2000"),
        (("--audit", "run", "--groups", 3), "--audit brings its own groups and rates; leave --groups and --rate out"),
    ],
)
def test_refusals(words: tuple[object, ...], message: str, cli: Cli, table: Path) -> None:
    if "run" in words:
        cli("audit", table, "--y-true", "gender", "--by", "race", "--out", "run")
    cli("plan", *words).refused(message)
