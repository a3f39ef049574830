"""Plans against the published figures, against the gate itself on drawn tables, and against exact enumeration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from fairaudit.errors import UsageError
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.gate import judge
from fairaudit.metrics.intervals import quantile
from fairaudit.metrics.measure import Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.plan import (
    Design,
    design_of,
    fail_chance,
    pass_chance,
    shown,
    smallest_drop,
    strictest_limit,
    support_needed,
)
from fairaudit.metrics.rules import parse_rule
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import Verdict


def _design(text: str, rates: list[float], n: int) -> Design:
    return design_of(parse_rule(text), np.array(rates), np.full(len(rates), n), 0.95)


@pytest.mark.parametrize(
    ("groups", "limit", "published"), [(7, 0.05, 1600), (7, 0.1, 400), (14, 0.05, 1900), (14, 0.1, 500)]
)
def test_published_sizes(groups: int, limit: float, published: int) -> None:
    design = _design(f"accuracy gap by race <= {limit}", [0.9] * groups, 1)
    assert support_needed(design, limit, 0.9) == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize(
    ("n", "gap", "limit", "passes", "fails"),
    [
        (500, 0.03, 0.10, 0.77, 0.0),
        (500, 0.15, 0.10, 0.0, 0.44),
        (1000, 0.0, 0.05, 0.40, 0.0),
        (1000, 0.08, 0.05, 0.0, 0.39),
        (5000, 0.03, 0.05, 0.65, 0.0),
        (5000, 0.08, 0.10, 0.57, 0.0),
    ],
)
def test_published_verdicts(n: int, gap: float, limit: float, passes: float, fails: float) -> None:
    design = _design(f"accuracy gap by race <= {limit}", [0.9] * 6 + [0.9 - gap], n)
    assert pass_chance(design, limit) == pytest.approx(passes, abs=0.03)
    assert fail_chance(design, limit) == pytest.approx(fails, abs=0.03)


def _as_the_gate(text: str, rates: FloatArray, support: IntArray, draws: IntArray) -> dict[Verdict, float]:
    rule, found = parse_rule(text), []
    groups = tuple({"race": str(i)} for i in range(len(rates)))
    for right in draws:
        counts = np.zeros((len(rates), 2, 2), dtype=np.int64)
        counts[:, 0, 0], counts[:, 0, 1] = right, support - right
        found.append(judge(rule, Grouping(("race",), groups, Table(counts, ("a", "b"), 0), Comparison(0.95, 1, 1))).verdict)
    return {v: found.count(v) / len(found) for v in Verdict}


@pytest.mark.parametrize(
    "text",
    [
        "accuracy gap by race <= 0.18",
        "accuracy difference by race <= 0.18",
        "accuracy shortfall by race <= 0.15",
        "error_rate shortfall by race <= 0.15",
        "accuracy ratio by race >= 0.82",
        "accuracy ratio by race <= 1.25",
        "accuracy spread by race <= 0.08",
        "accuracy worst_group by race >= 0.74",
        "error_rate worst_group by race <= 0.26",
        "selection_rate gap by race <= 0.18",
        "demographic_parity_difference by race <= 0.18",
        "disparate_impact by race >= 0.82",
    ],
)
def test_a_plan_promises_what_the_gate_does(text: str) -> None:
    rng = np.random.default_rng(5)
    right, support, trials = np.array([0.92, 0.9, 0.8, 0.88]), np.array([150, 200, 100, 300]), 400
    draws = rng.binomial(support, right, (trials, 4))
    gate = _as_the_gate(text, right, support, draws)
    rates = 1 - right if text.startswith("error") else right
    design = design_of(parse_rule(text), rates, support, 0.95, privileged=1)
    limit = parse_rule(text).limit
    slack = 4 * 0.5 / np.sqrt(trials) / 1.3
    assert pass_chance(design, limit) == pytest.approx(gate[Verdict.PASS], abs=slack)
    assert fail_chance(design, limit) == pytest.approx(gate[Verdict.FAIL], abs=slack)
    assert gate[Verdict.PASS] + gate[Verdict.FAIL] > 0.02


def test_a_worst_group_by_enumeration() -> None:
    n, p, limit = 120, 0.9, 0.8
    x = np.arange(n + 1)
    low, _ = clopper_pearson(x.astype(float), np.full(n + 1, float(n)), quantile(0.95))
    exact = float(binom.pmf(x, n, p)[low >= limit].sum()) ** 3
    assert pass_chance(_design("accuracy worst_group by race >= 0.8", [p] * 3, n), limit, trials=20000) == pytest.approx(
        exact, abs=0.015
    )


def test_a_pair_by_enumeration() -> None:
    n, m, p, q, limit = 60, 90, 0.85, 0.9, 0.2
    x, y = np.arange(n + 1.0)[:, None], np.arange(m + 1.0)[None, :]
    (l1, u1), (l2, u2) = clopper_pearson(x, np.array(n), quantile(0.95)), clopper_pearson(y, np.array(m), quantile(0.95))
    d = x / n - y / m
    upper = np.maximum(d + np.hypot(u1 - x / n, y / m - l2), -d + np.hypot(x / n - l1, u2 - y / m))
    exact = float((binom.pmf(x, n, p) * binom.pmf(y, m, q))[upper <= limit].sum())
    design = design_of(parse_rule("accuracy gap by race <= 0.2"), np.array([p, q]), np.array([n, m]), 0.95)
    assert pass_chance(design, limit, trials=20000) == pytest.approx(exact, abs=0.015)


def test_many_groups_are_paired_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rates, support = rng.uniform(0.7, 0.99, 60), rng.integers(20, 4000, 60)
    design = design_of(parse_rule("accuracy gap by race <= 0.2"), rates, support, 0.95)
    pruned, failing = shown(design, 300), fail_chance(design, 0.15, 300)
    monkeypatch.setattr("fairaudit.metrics.plan._PAIRWISE", 1000)
    np.testing.assert_allclose(pruned, shown(design, 300), atol=1e-12)
    assert failing == fail_chance(design, 0.15, 300)


def test_what_it_returns_is_what_was_asked() -> None:
    design = _design("accuracy difference by race <= 0.08", [0.9, 0.88, 0.9], 700)
    n = support_needed(design, 0.08, 0.8)
    assert n is not None
    assert pass_chance(design.sized(n), 0.08) >= 0.8
    assert pass_chance(design.sized(int(n * 0.95)), 0.08) < 0.81
    limit = strictest_limit(design, 0.9)
    assert pass_chance(design, limit) >= 0.9 > pass_chance(design, limit - 0.002)
    equal = replace(design, rates=np.full(3, 0.9))
    drop = smallest_drop(equal, 1, 0.9)
    assert drop is not None
    worse = np.array([0.9, 0.9 - drop, 0.9])
    assert fail_chance(replace(equal, rates=worse), 0.0) >= 0.9
    assert fail_chance(replace(equal, rates=worse + np.array([0, 0.005, 0])), 0.0) < 0.9
    assert shown(design).tolist() == shown(design).tolist(), "the same seed, the same audits"


def test_what_no_size_can_show() -> None:
    assert support_needed(_design("accuracy gap by race <= 0.05", [0.9, 0.85], 1), 0.05, 0.9) is None
    assert smallest_drop(_design("accuracy gap by race <= 0.05", [0.05, 0.05], 20), 0, 0.9) is None


def test_equalized_odds_needs_both() -> None:
    one = support_needed(_design("equal_opportunity_difference by race <= 0.1", [0.9] * 7, 1), 0.1, 0.9)
    both = support_needed(_design("equalized_odds_difference by race <= 0.1", [0.9] * 7, 1), 0.1, 0.9)
    assert one is not None
    assert both is not None
    assert one < both < 1.4 * one


@pytest.mark.parametrize(
    ("text", "rates", "message"),
    [
        (
            "f1 gap by race <= 0.1",
            [0.9, 0.9],
            "the rule 'f1 gap by race <= 0.1' is about f1, which is not one proportion of images, and cannot be planned; "
            "plan for a rate, such as true_positive_rate",
        ),
        (
            "precision[macro] gap by race <= 0.1",
            [0.9, 0.9],
            "the rule 'precision[macro] gap by race <= 0.1' is about precision[macro], which is not one proportion of "
            "images, and cannot be planned; plan for a rate, such as true_positive_rate",
        ),
        (
            "accuracy gap by race <= 0.1",
            [0.9],
            "the rule 'accuracy gap by race <= 0.1' compares groups: plan for at least two",
        ),
        ("accuracy gap by race <= 0.1", [0.9, 1.1], "a rate lies from 0 to 1"),
    ],
)
def test_what_cannot_be_planned(text: str, rates: list[float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _design(text, rates, 100)
    assert str(caught.value) == message
