from __future__ import annotations

import math

import pytest

from fairaudit.reports import _wording as words
from fairaudit.reports._layout import broken
from fairaudit.reports._rules import RuleParts, rule_parts
from fairaudit.results import Estimate


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Middle Eastern", "Middle Eastern"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("\x9b31mred", "red"),
        ("a\nb\tc\rd", "a b c d"),
        ("abc\u202egnp.exe", "abc gnp.exe"),
        ("\x1b", "(empty)"),
        ("", "(empty)"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_names_cannot_repaint_the_terminal(raw: str, clean: str) -> None:
    assert words.clean(raw) == clean


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "0.123"),
        (0.12345, True, "+0.123"),
        (-0.5, True, "−0.500"),
        (-0.0001, True, "0.000"),
        (0.0, True, "0.000"),
        (15.46, False, "15.460"),
        (12345.6, False, "12,346"),
        (math.inf, False, "∞"),
        (-math.inf, False, "−∞"),
        (math.nan, False, "–"),
    ],
)
def test_numbers(value: float, signed: bool, text: str) -> None:
    assert words.number(value, signed) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.912, 0.893, 0.928, 9), "0.912 [0.893, 0.928]"),
        (Estimate(0.912, math.nan, math.nan, 9), "0.912"),
        (Estimate(math.nan, math.nan, math.nan, 0, "undefined: 0 positives"), "undefined (0 positives)"),
        (Estimate(math.nan, math.nan, math.nan, 0, "undefined"), "undefined"),
        (Estimate(math.nan, math.nan, math.nan, 0), "undefined"),
        (Estimate(math.nan, math.nan, math.nan, 0, "absent: no images"), "absent"),
        (Estimate(math.inf, 2.0, math.inf, 4, "infinite: over 0"), "infinite [2.000, ∞]"),
    ],
)
def test_estimates(estimate: Estimate, text: str) -> None:
    assert words.estimate(estimate) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("accuracy gap by race worse_by <= 0.02", RuleParts("gap", ("race",), "<=", "0.02", worse_by=True)),
        ("acc_diff by race given age worse-by<=.02", RuleParts(None, ("race",), "<=", ".02", ("age",), worse_by=True)),
        ("accuracy gap by race <= 0.10", RuleParts("gap", ("race",), "<=", "0.10")),
        ("true_positive_rate[East Asian] difference by race,gender<0.05",
         RuleParts("difference", ("race", "gender"), "<", "0.05")),
        ("disparate_impact by race >= 0.8", RuleParts(None, ("race",), ">=", "0.8")),
        ("accuracy worst-group by skin tone > .8", RuleParts("worst_group", ("skin tone",), ">", ".8")),
        ("something else", None),
    ],
)  # fmt: skip
def test_rules_are_taken_apart(text: str, parts: RuleParts | None) -> None:
    assert rule_parts(text) == parts


@pytest.mark.parametrize(
    ("name", "room", "lines"),
    [
        ("accuracy", 20, "accuracy"),
        ("true_positive_rate[Female]", 26, "true_positive_rate[Female]"),
        ("true_positive_rate[Female]", 18, "true_positive_rate\n[Female]"),
        ("positive_predictive_value[a_b c]", 18, "positive_\npredictive_value\n[a_b c]"),
    ],
)
def test_long_names_break_where_words_end(name: str, room: int, lines: str) -> None:
    assert broken(name, room) == lines
