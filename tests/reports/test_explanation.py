"""Explanations in a terminal: which are doubted, and why, in few lines."""

from __future__ import annotations

from fairaudit.reports._explanation import doubt_lines, render_explanation
from fairaudit.results.explanation import ExplanationResult, Faithful, RowExplanation

SETTINGS = {"target": "gender", "method": "lime", "explained": "the class that was predicted", "by": ["race"]}
SEEDS = "other seeds give other maps (correlation 0.{}1)"
LINE = "the line explains 3{}% of the local behaviour"


def explained(k: int, *doubts: str) -> RowExplanation:
    faith = Faithful(0.1, 0.4, 0.3, 0.05, 0.6, None, 0.2, doubts)
    return RowExplanation(f"{k}.jpg", {"race": "a"}, "man", "man", 0.9, "man", (), (), faith)


def test_few_doubts_are_told_image_by_image() -> None:
    rows = [explained(1), explained(2, SEEDS.format(2), LINE.format(4))]
    assert doubt_lines(rows) == [
        "? doubted: 2.jpg: other seeds give other maps (correlation 0.21); the line explains 34% of the local behaviour"
    ]


def test_many_doubts_are_counted_by_reason() -> None:
    rows = [explained(0), *(explained(k, SEEDS.format(k), *([LINE.format(k)] if k > 3 else [])) for k in range(1, 6))]
    assert doubt_lines(rows) == [
        "? doubted, 5 of 6: other seeds give other maps",
        "? doubted, 2 of 6: the line explains less than half of the local behaviour",
    ]


def test_doubted_rows_are_marked_in_eighty_columns() -> None:
    text = render_explanation(ExplanationResult(SETTINGS, (explained(0), explained(1, SEEDS.format(1)))), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("seeds 0.20 ?") == 1
    assert text.count("seeds 0.20") == 2
