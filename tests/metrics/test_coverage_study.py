"""The coverage study: do the intervals contain the truth as often as they say? Enumerated, or simulated with a fixed seed.

Intervals that compare groups are drawn 4,000 times in each of 119 cells. The Monte Carlo standard error of a coverage of
95 % is then 0.34 points, and the floor of 93.6 % lies four of them below: an interval that covers 95 % falls below it once
in 30,000 cells, one that covers 92.5 % stays above it in one cell of 250. Nothing has a ceiling: what compares groups is
conservative by design. ``test_coverage_sample.py`` draws a twentieth as often, ``test_coverage_long.py`` ten times.
"""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.metrics.coverage import COVERAGE, EXACT, Coverage
from tests.metrics.coverage_study import groups, table

pytestmark = pytest.mark.statistics


@pytest.mark.parametrize("supports", groups.SUPPORTS)
@pytest.mark.parametrize("quantity", table.OVER_GROUPS.values())
def test_what_compares_groups_is_covered(quantity: str, supports: str) -> None:
    found = table.group_results(supports, 4000)[quantity]
    low = {cell: result.coverage for cell, result in found.items() if result.coverage < 0.936}
    assert not low, low


@pytest.mark.parametrize("supports", groups.SUPPORTS)
def test_a_gap_misses_on_neither_side_too_often(supports: str) -> None:
    for cell, result in table.group_results(supports, 4000)["gap (max − min)"].items():
        assert result.above <= 0.064, cell
        assert result.below <= (0.040 if supports in ("100 images", "1,000 images") else 0.050), cell


def test_areas_under_the_curve_are_covered() -> None:
    covered = [*table.ranking(2000)["AUROC"].values()]
    assert np.mean(covered) >= 0.95
    assert min(covered) >= 0.92


# What was found, less four standard errors of a cell. Means over 7 classes of 20 images rest on two or three of each.
FLOORS = {
    "F-scores and means over classes, compared": 0.906,
    "average odds, average gap": 0.92,
    "equalized odds ratio": 0.92,
    "differential fairness": 0.92,
    "entropies over images": 0.90,
    "entropies between groups": 0.92,
    "F-scores": 0.922,
    "mean over classes": 0.90,
    "MCC": 0.91,
    "Cohen's kappa": 0.905,
    "AUROC": 0.92,
    "average precision": 0.92,
    "log loss": 0.88,
    "Brier score": 0.922,
    "calibration error": 0.95,
    "rate, several pictures of a person": 0.91,
    "change of a rate, same images": 0.944,
}


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], table.Found]:
    return {(one.quantity, one.simulated): one for one in table.study()}


@pytest.mark.parametrize("quantity", FLOORS)
def test_what_is_of_one_group_is_covered(quantity: str, found: dict[tuple[str, str], table.Found]) -> None:
    lines = [one for one in found.values() if one.quantity == quantity]
    assert lines
    for one in lines:
        low = {cell: covered for cell, covered in one.cells.items() if covered < FLOORS[quantity]}
        assert not low, (one.simulated, low)


def test_the_percentile_bootstrap_of_a_gap_is_caught() -> None:
    cells = table.bootstrap_gap(500)
    assert cells["14 groups of 100"] < 0.10, "the negative control covers"
    assert max(covered for cell, covered in cells.items() if not cell.startswith("2 ")) < 0.10


@pytest.mark.parametrize("number", [20, 200])
def test_pictures_taken_for_people_are_caught(number: int) -> None:
    plain = table.people(number, 1000)["pictures"]
    assert max(covered for cell, covered in plain.items() if "correlation 0.0" not in cell) < 0.9
    assert min(covered for cell, covered in plain.items() if "correlation 0.0" in cell) > 0.93


@pytest.mark.parametrize("one", COVERAGE, ids=lambda one: f"{one.quantity}, {one.simulated}")
def test_the_printed_table_is_what_the_study_finds(one: Coverage, found: dict[tuple[str, str], table.Found]) -> None:
    line = found[one.quantity, one.simulated]
    assert (one.cells, one.trials) == (len(line.cells), line.trials)
    assert [one.mean, one.least] == pytest.approx([line.mean, line.least], abs=5.1e-4)


def test_the_printed_table_is_the_whole_study(found: dict[tuple[str, str], table.Found]) -> None:
    assert [(one.quantity, one.simulated) for one in COVERAGE] == list(found)
    assert {one.quantity for one in COVERAGE if one.trials == EXACT} == {"rate of a group", "difference of two groups"}
    assert set(FLOORS) == {one.quantity for one in COVERAGE[8:-1]} - set(table.OVER_GROUPS.values())
