"""A perfect classifier, and a group that has no positives: what differs is in the labels, nothing is of the tool's making.

Other tools write the rate of no positives as 0, 1 or 10, and find a disparity of 1 in a model without an error. Here every
disparity of the record is looked at: it is that of no difference, or undefined with the reason, or the labels' own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairaudit.metrics.disparity import NAMED
from fairaudit.metrics.indices import INDICES
from fairaudit.metrics.rates import Direction
from fairaudit.metrics.registry import entries
from tests.cli.conftest import Cli

OF_LABELS = {
    "selection_rate", "prevalence", "demographic_parity_difference", "demographic_parity_ratio", "disparate_impact",
    "differential_fairness",
}  # fmt: skip
"""What compares how often a class is called: of a perfect model that is how often it is the label."""
NEUTRAL = {"difference": 0.0, "shortfall": 0.0, "gap": 0.0, "spread": 0.0, "pairwise_mean": 0.0, "ratio": 1.0,
           "min_max_ratio": 1.0}  # fmt: skip
SIZES = {"a": {"no": 240, "yes": 160}, "b": {"no": 400, "yes": 0}, "c": {"no": 200, "yes": 200}}


def neutral(metric: str, kind: str | None) -> float:
    """The value of no disparity."""
    if kind in NEUTRAL:
        return NEUTRAL[kind]
    if kind == "worst_group":
        directions = {e.name: e.direction for e in entries()}
        return 1.0 if directions[metric] is Direction.HIGHER else 0.0
    assert metric in NAMED or metric in INDICES, metric
    return 1.0 if metric.endswith("_ratio") else 0.0


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [(race, y) for race, of in SIZES.items() for y, n in of.items() for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["race", "y"])
    frame["y_pred"] = frame["y"]
    frame["p"] = np.where(frame["y"] == "yes", 1.0, 0.0)
    frame["third"] = np.where(frame["y"] == "yes", np.where(np.arange(len(frame)) % 2, "c", "d"), "e")
    frame["third_pred"] = frame["third"]
    path = tmp_path / "perfect.csv"
    frame.to_csv(path, index=False)
    return path


def check(record: dict[str, Any]) -> int:
    """Look at every disparity; returns how many of them are undefined."""
    [grouping] = record["groupings"]
    undefined = 0
    assert len(grouping["disparities"]) > 100
    for d in grouping["disparities"]:
        metric = d["metric"].split("[")[0]
        where = (d["metric"], d["kind"], d["group"])
        if metric in OF_LABELS:
            continue
        expected = neutral(metric, d["kind"])
        if d["value"] is None:
            undefined += 1
            assert d["reason"], where
            assert d["ci_low"] is None, where
            assert d["ci_high"] is None, where
        else:
            assert d["value"] == expected, where
            assert d["ci_low"] - 1e-12 <= expected, where
            assert d["ci_high"] is None or expected <= d["ci_high"] + 1e-12, where
    for group in grouping["groups"]:
        for name, estimate in group["metrics"].items():
            if estimate["value"] is None:
                assert estimate["support"] == 0, name
                assert estimate["reason"].startswith("undefined: 0 "), name
    return undefined


@pytest.mark.parametrize("scores", [(), ("--y-score", "p")])
@pytest.mark.parametrize("privileged", ["a", "b", "c"])
def test_no_disparity_is_of_the_tools_making(privileged: str, scores: tuple[str, ...], table: Path, cli: Cli) -> None:
    words = ("--y-true", "y", "--positive", "yes", "--by", "race", "--privileged", f"race={privileged}", "-f", "json")
    result = cli("audit", table, *words, *scores)
    assert (result.code, result.err) == (0, "")
    assert check(result.record) > 10, "rates of positives are undefined in b"


def test_nor_with_several_classes_of_which_a_group_lacks_two(table: Path, cli: Cli) -> None:
    words = ("--y-true", "third", "--by", "race", "--aggregate", "micro,weighted,worst", "-f", "json")
    assert check(cli("audit", table, *words).record) > 20


def test_what_differs_is_what_differs_in_the_labels(table: Path, cli: Cli) -> None:
    record = cli("audit", table, "--y-true", "y", "--positive", "yes", "--by", "race", "-f", "json").record
    [grouping] = record["groupings"]
    found = {(d["metric"], d["kind"], str(d["group"])): d for d in grouping["disparities"]}
    for (metric, kind, group), d in found.items():
        if metric == "selection_rate":
            labels = found["prevalence", kind, group]
            assert [d[key] for key in ("value", "ci_low", "ci_high")] == [labels[k] for k in ("value", "ci_low", "ci_high")]
    gap = found["demographic_parity_difference", None, "None"]
    assert gap["value"] == 0.5
    assert found["selection_rate", "gap", "None"]["value"] == 0.5
    assert {metric for metric, *_ in found} >= OF_LABELS


@pytest.mark.parametrize(
    "rule",
    [
        "true_positive_rate gap by race <= 0.1",
        "true_positive_rate spread by race <= 0.1",
        "true_positive_rate worst_group by race >= 0.8",
        "true_positive_rate min_max_ratio by race >= 0.8",
        "true_positive_rate difference by race <= 0.1",
        "true_positive_rate shortfall by race <= 0.1",
        "false_negative_rate gap by race <= 0.1",
        "precision gap by race <= 0.1",
        "f1 gap by race <= 0.1",
        "f1_diff by race <= 0.1",
        "equal_opportunity_difference by race <= 0.1",
        "equalized_odds_difference by race <= 0.1",
        "average_odds_difference by race <= 0.1",
    ],
)
def test_a_rule_on_what_is_undefined_is_inconclusive_with_the_reason(rule: str, table: Path, cli: Cli) -> None:
    words = ("--y-true", "y", "--positive", "yes", "--by", "race", "--privileged", "race=a")
    result = cli("audit", table, *words, "--rule", rule, "-f", "json")
    assert result.code == 3, "neither passed over in silence nor failed for what is not there"
    [judged] = result.record["rules"]
    assert judged["verdict"] == "inconclusive"
    [open_] = [o for o in judged["outcomes"] if o["verdict"] != "pass"]
    assert (open_["group"], open_["value"], open_["verdict"]) == ({"race": "b"}, None, "inconclusive")
    assert open_["reason"].startswith("undefined: 0 p")
    told = " ".join(cli("audit", table, *words, "--rule", rule).out.split())
    assert f"? inconclusive: {rule} b: {open_['reason']}" in told


def test_the_same_rules_pass_where_the_group_has_positives(table: Path, cli: Cli) -> None:
    frame = pd.read_csv(table)
    for column in ("y", "y_pred"):
        frame.loc[frame["race"] == "b", column] = np.where(np.arange(400) % 2, "yes", "no")
    frame.to_csv(table, index=False)
    rules = ("--rule", "true_positive_rate gap by race <= 0.1", "--rule", "equalized_odds_difference by race <= 0.1")
    assert cli("audit", table, "--y-true", "y", "--positive", "yes", "--by", "race", *rules).code == 0


def test_what_is_of_labels_is_what_is_made_of_selection_rates() -> None:
    made = {name for name, named in NAMED.items() if named.rates == ("selection_rate",)}
    made |= {name for name, index in INDICES.items() if index.rates == ("selection_rate",) and "group" not in name}
    assert made | {"selection_rate", "prevalence"} == OF_LABELS
