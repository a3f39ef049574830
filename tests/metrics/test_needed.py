"""How many more images would decide a rule: the fast figure against the gate on tables that have grown so."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import decide, judge
from fairaudit.metrics.measure import Table
from fairaudit.metrics.needed import NEARLY, ON_THE_LIMIT, needed, say_needed
from fairaudit.metrics.numbers import Grouping, numbers_of
from fairaudit.metrics.plan import design_of, pass_chance
from fairaudit.metrics.rules import parse_rule
from fairaudit.predictions import FloatArray
from fairaudit.results import Verdict


def _grouping(counts: FloatArray) -> Grouping:
    groups = tuple({"race": "ABCDEFGHIJKLMNOPQRST"[i]} for i in range(len(counts)))
    return Grouping(("race",), groups, Table(counts, ("no", "yes"), 1), Comparison(0.95, 0, 20))  # type: ignore[arg-type]


def _tables(seed: int, trials: int) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(trials):
        g = int(rng.integers(2, 9))
        n, right = rng.integers(30, 2000, g), np.clip(rng.normal(0.88, 0.05, g), 0.3, 1.0)
        counts = np.zeros((g, 2, 2))
        for k in range(2):
            labelled = (n + k) // 2
            counts[:, k, k] = rng.binomial(labelled, right)
            counts[:, k, 1 - k] = labelled - counts[:, k, k]
        tables.append(counts)
    return tables


@pytest.mark.parametrize(
    ("text", "slack"),
    [
        ("accuracy gap by race <= 0.12", 0.12),
        ("accuracy gap by race <= 0.04", 0.12),
        ("accuracy difference by race <= 0.07", 0.12),
        ("accuracy shortfall by race <= 0.05", 0.12),
        ("accuracy ratio by race >= 0.95", 0.12),
        ("accuracy spread by race <= 0.03", 0.12),
        ("accuracy worst_group by race >= 0.85", 0.12),
        ("error_rate worst_group by race <= 0.12", 0.25),
        ("true_positive_rate gap by race <= 0.1", 0.12),
        ("disparate_impact by race >= 0.9", 0.12),
        ("f1 gap by race <= 0.1", 0.35),
    ],
)
def test_so_many_more_decide_it_and_fewer_do_not(text: str, slack: float) -> None:
    rule, checked, errors = parse_rule(text), 0, []
    for counts in _tables(3, 25):
        grouping = _grouping(counts)
        for number in numbers_of(rule, grouping):
            if number.unjudged or decide(number.low, number.high, rule) is not Verdict.INCONCLUSIVE:
                continue
            sample, upper = number.samples[0], rule.operator == "<="
            size = sample.size.astype(float)
            within = number.value < rule.limit if upper else number.value > rule.limit
            found = needed(rule, grouping.comparison, sample, number.group, number.joint, within)
            if found is None or found.more < 30:  # a few images are right or wrong as wholes
                continue

            def verdict(
                share: float,
                counts: FloatArray = counts,
                size: FloatArray = size,
                grow: tuple[int, ...] = found.groups,
                target: int = found.size,
                group: int | None = number.group,
            ) -> Verdict:
                grown = size.copy()
                grown[list(grow)] += share * (target - size[list(grow)])
                larger = _grouping(counts * (grown / size)[:, None, None])
                now = next(n for n in numbers_of(rule, larger) if n.group == group)
                return decide(now.low, now.high, rule)

            checked += 1
            errors.append(verdict(1 - slack) is not Verdict.INCONCLUSIVE or verdict(1 + slack) is Verdict.INCONCLUSIVE)
            assert verdict(1 + 2 * slack) is (Verdict.PASS if within else Verdict.FAIL)
    assert checked >= 4
    assert np.mean(errors) <= 0.1


def _grown(said: str, counts: FloatArray, share: float) -> FloatArray:
    """A table in which every group that a sentence names has grown by a share of what the sentence asks for."""
    sizes = {"images": counts.sum((1, 2)), "positives": counts[:, 1].sum(1), "negatives": counts[:, 0].sum(1)}
    factor = np.ones(len(counts))
    for part in said.split("; and "):
        more = re.search(r"about ([\d,]+) more (\w+) of (\w)(?: |$)", part)
        each = re.search(r"about ([\d,]+) (\w+) in each of (?:(\w) and (\w)|\d+ groups) \(", part)
        assert more or each, said
        unit, number = ((more or each)[2], float((more or each)[1].replace(",", "")))  # type: ignore[index]
        size = sizes[unit]
        if more:
            named, target = [more[3]], number + size
        else:
            assert each is not None
            named, target = (
                ([each[3], each[4]] if each[3] else list("ABCDEFGHIJ"[: len(counts)])),
                np.full(len(size), number),
            )
        chosen = np.isin(list("ABCDEFGHIJ"[: len(counts)]), named)
        factor = np.where(chosen, np.maximum(factor, 1 + share * np.maximum(target / size - 1, 0.0)), factor)
    return counts * factor[:, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "accuracy min_max_ratio by race >= 0.93",
        "accuracy min_max_ratio by race >= 0.85",
        "accuracy pairwise_mean by race <= 0.09",
        "accuracy pairwise_mean by race <= 0.03",
        "demographic_parity_ratio by race >= 0.85",
        "equalized_odds_ratio by race >= 0.2",
        "differential_fairness by race <= 0.2",
        "differential_fairness by race <= 0.1",
        "average_odds_difference by race <= 0.03",
        "average_abs_odds_difference by race <= 0.08",
        "equalized_odds_average_gap by race <= 0.14",
        "equalized_odds_average_gap by race <= 0.04",
    ],
)
def test_what_is_said_decides_and_less_does_not(text: str) -> None:
    rule, errors, verdicts = parse_rule(text), [], set()
    for counts in (2 * table for table in _tables(5, 25)):  # twice, so that nobody is too small to be judged
        for outcome in judge(rule, _grouping(counts)).outcomes:
            reason = outcome.reason or ""
            if outcome.verdict is not Verdict.INCONCLUSIVE or not reason.endswith("if the rates stayed as they are"):
                assert outcome.verdict is not Verdict.INCONCLUSIVE or reason.endswith((NEARLY, ON_THE_LIMIT)), reason
                continue
            said = reason.partition("; support ")[2].partition("; ")[2]
            if min(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) more", said)) < 30:
                continue  # a few images are right or wrong as wholes

            def verdict(
                share: float, counts: FloatArray = counts, said: str = said, group: object = outcome.group
            ) -> Verdict:
                now = judge(rule, _grouping(_grown(said, counts, share))).outcomes
                return next(o.verdict for o in now if o.group == group)

            errors.append(verdict(0.8) is not Verdict.INCONCLUSIVE or verdict(1.2) is Verdict.INCONCLUSIVE)
            assert verdict(1.5) is not Verdict.INCONCLUSIVE, (said, counts.sum((1, 2)))
            verdicts.add(verdict(1.5))
    assert len(errors) >= 3
    assert np.mean(errors) <= 0.15
    assert verdicts


def test_where_no_figure_is_known_it_says_why() -> None:
    counts = np.array([[[93.0, 7.0], [10, 90]], [[180, 20], [8, 192]], [[85, 15], [12, 88]]])
    for name, limit in (("theil_index", 0.06), ("between_group_theil_index", 0.0003)):
        [outcome] = judge(parse_rule(f"{name} by race <= {limit}"), _grouping(counts)).outcomes
        assert outcome.verdict is Verdict.INCONCLUSIVE
        why = "how many more images would decide it is not known: its limits are drawn, not computed"
        assert (outcome.reason or "").endswith(why)
    counts[1, 1] = [3, 4]  # too few positives, enough negatives
    outcomes = judge(parse_rule("equalized_odds_average_gap by race <= 0.1"), _grouping(counts)).outcomes
    assert (outcomes[0].reason or "").endswith("not the same groups have enough positives as have enough negatives")


def test_the_plan_agrees() -> None:
    """At the size where the expected table just passes, about half of all audits pass."""
    counts = np.array([[[93.0, 7.0], [0, 0]], [[2850, 150], [0, 0]]])
    rule = parse_rule("accuracy gap by race <= 0.06")
    said = judge(rule, _grouping(counts)).outcomes[0].reason or ""
    match = re.search(r"about ([\d,]+) more images of A would decide it if the rates stayed as they are$", said)
    assert match is not None, said
    size = 100 + int(match[1].replace(",", ""))
    design = design_of(rule, np.array([0.93, 0.95]), np.array([size, 3000]), 0.95)
    assert 0.4 < pass_chance(design, 0.06) < 0.65
    assert pass_chance(design_of(rule, np.array([0.93, 0.95]), np.array([size // 2, 3000]), 0.95), 0.06) < 0.35


def test_the_limit_itself_is_never_decided() -> None:
    counts = np.array([[[90.0, 10.0], [0, 0]], [[80, 20], [0, 0]], [[85, 15], [0, 0]]])
    for text in (
        "accuracy gap by race <= 0.1",
        "accuracy difference by race <= 0.1",
        "accuracy worst_group by race >= 0.8",
        "equalized_odds_difference[no] by race <= 0.1",
    ):
        outcomes = judge(parse_rule(text), _grouping(counts)).outcomes
        assert any(ON_THE_LIMIT in (o.reason or "") for o in outcomes) or "equalized" in text, text
    close = judge(parse_rule("accuracy gap by race <= 0.1001"), _grouping(counts)).outcomes[0]
    assert (close.reason or "").endswith(NEARLY)


def test_equalized_odds_counts_positives_and_negatives() -> None:
    counts = np.array([[[180.0, 20.0], [20, 180]], [[180, 20], [18, 182]]])
    reason = judge(parse_rule("equalized_odds_difference by race <= 0.06"), _grouping(counts)).outcomes[0].reason or ""
    assert re.search(
        r"more\)?; and about .* (positives|negatives) .* would decide it if the rates stayed as they are$", reason
    )
    assert "positives" in reason
    assert "negatives" in reason


def test_it_costs_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    right = rng.binomial(500, 0.9, 14)
    counts = np.stack([right, 500 - right, right * 0, right * 0], -1).reshape(14, 2, 2)
    grouping = _grouping(counts.astype(float))
    rule = parse_rule("accuracy gap by race <= 0.08")
    number = numbers_of(rule, grouping)[0]

    def once() -> float:
        start = time.perf_counter()
        say_needed(rule, grouping.comparison, grouping.groups, number.samples, None, 1)
        return time.perf_counter() - start

    assert min(once() for _ in range(20)) < 5e-3  # half a millisecond on an idle core
