"""What of the coverage study takes seconds: all that is enumerated, and every simulation with a twentieth of its trials.

``test_coverage_study.py`` (``-m statistics``) draws as often as the printed table says. A twentieth is enough to notice a
formula that has changed: the mean of a line over its cells still has a standard error of a quarter of a point where groups
are compared. No mean may be further than four standard errors from the printed one, neither below it, where intervals
are too narrow, nor above, where they are wider than they need to be.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairaudit.metrics.calibration import equal_width, error_law
from fairaudit.metrics.coverage import COVERAGE, EXACT, SEED, Coverage
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.intervals import Interval, quantile, wilson
from fairaudit.metrics.measure import Table
from fairaudit.predictions import FloatArray
from tests.metrics.coverage_study import classes, groups, others, table
from tests.metrics.coverage_study.combined import Drawn, equalized_odds, results
from tests.metrics.coverage_study.enumerated import THOUSANDTHS, TWENTIETHS, difference_coverage, rate_coverage

SHARE = 1 / 20
SAME_DRAWS = {
    "F-scores and means over classes, compared": 48,
    "average odds, average gap": 3,
    "entropies over images": 2,
    "entropies between groups": 2,
    "F-scores": 4,
    "mean over classes": 5,
}
"""How many cells of a quantity are other metrics of the same draws, which together may tell no more than one."""


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], table.Found]:
    return {(one.quantity, one.simulated): one for one in table.study(SHARE)}


def test_the_printed_table_lists_the_study(found: dict[tuple[str, str], table.Found]) -> None:
    assert [(one.quantity, one.simulated) for one in COVERAGE] == list(found)
    assert [one.cells for one in COVERAGE] == [len(one.cells) for one in found.values()]
    assert [round(SHARE * one.trials) for one in COVERAGE] == [one.trials for one in found.values()]


@pytest.mark.parametrize("one", COVERAGE, ids=lambda one: f"{one.quantity}, {one.simulated}")
def test_a_twentieth_of_the_trials_finds_the_printed_table(
    one: Coverage, found: dict[tuple[str, str], table.Found]
) -> None:
    line = found[one.quantity, one.simulated]
    rounding = 5.1e-4
    if one.trials == EXACT:
        assert [line.mean, line.least] == pytest.approx([one.mean, one.least], abs=rounding)
        return
    draws = line.trials * one.cells / SAME_DRAWS.get(one.quantity, 1)
    # Where hardly anything misses, one miss is what may be expected. The printed mean has noise of its own.
    error = math.sqrt(max(one.mean * (1 - one.mean), 1 / draws) * (1 + SHARE) / draws)
    assert line.mean == pytest.approx(one.mean, abs=4 * error + rounding)
    least = math.sqrt(max(one.least * (1 - one.least), 1 / line.trials) / line.trials)
    assert line.least >= one.least - 4 * least - rounding


def test_the_percentile_bootstrap_of_a_gap_is_caught() -> None:
    covered = others.bootstrap_gap_coverage(14, 100, np.full(14, 0.5), 500, SEED)
    assert covered < 0.10, "the negative control covers"


@pytest.mark.parametrize(("n", "floor"), [(20, 0.92), (100, 0.93), (1000, 0.944)])
def test_the_interval_of_a_rate_is_wilsons(n: int, floor: float) -> None:
    covered = rate_coverage(wilson, n, TWENTIETHS)
    assert 0.945 <= covered.mean() <= 0.960
    assert covered.min() >= floor
    # Between the twentieths coverage sinks a little lower; it has been enumerated elsewhere to three digits.
    assert rate_coverage(wilson, n, THOUSANDTHS).min() == pytest.approx({20: 0.917, 100: 0.927, 1000: 0.943}[n], abs=6e-4)


@pytest.mark.parametrize(("n", "m"), table.PAIR_SIZES)
def test_square_and_add_is_newcombes_with_wilsons_limits(n: int, m: int) -> None:
    covered = difference_coverage(wilson, n, m, TWENTIETHS)
    assert 0.947 <= covered.mean() <= 0.958
    assert covered.min() >= (0.915 if n == m == 20 else 0.930)


@pytest.mark.parametrize(("n", "m"), table.PAIR_SIZES)
def test_differences_of_two_groups_are_covered_exactly(n: int, m: int) -> None:
    assert difference_coverage(clopper_pearson, n, m, TWENTIETHS).min() >= 0.95


def check_combined(drawn: Drawn, truth: FloatArray, shipped: list[dict[str, list[Interval]]], where: str) -> None:
    """Hold what the study combines to what the package does, trial by trial."""
    found = results(drawn, truth)
    for t, told in enumerate(shipped):
        assert set(told) == set(found)
        for kind, every in told.items():
            low, high = np.array(every).T
            known = ~np.isnan(low)
            if kind == "spread":
                assert found[kind].covers[t] == (low[0] - 1e-9 <= truth.std() <= high[0] + 1e-9), (where, kind)
                continue
            sides = found[kind].sides
            assert sides is not None
            for ours, theirs in zip(sides, (low, high), strict=True):
                assert np.atleast_1d(ours[..., t])[known] == pytest.approx(theirs[known], rel=1e-9, abs=1e-12), (
                    where,
                    kind,
                )


@pytest.mark.parametrize("supports", groups.SUPPORTS)
def test_the_study_combines_limits_as_the_package_does(supports: str) -> None:
    for cell in groups.cells(supports):
        x, y = groups.draw(cell, trials=3, seed=5)
        first, second = groups.of_hits(x, cell.n), groups.of_hits(y, cell.n)
        shipped = [groups.shipped(groups.accuracy(x[:, t], cell.n)) for t in range(3)]
        check_combined(first, cell.p, shipped, cell.name)
        sides = equalized_odds(first, cell.p, second, cell.q).sides
        assert sides is not None
        odds = np.array([groups.shipped_odds(x[:, t], y[:, t], cell.n) for t in range(3)])
        combined = np.array(sides).T
        assert combined == pytest.approx(odds, rel=1e-9, abs=1e-12), cell.name


@pytest.mark.parametrize("model", groups.MODELS)
def test_the_study_combines_f_scores_as_the_package_does(model: str) -> None:
    counts, chances = groups.draw_matrices(model, "100 images", 3, seed=5)
    names = tuple(map(str, range(counts.shape[-1])))
    for metric in (*classes.F_SCORES, *classes.MEANS[:2]):
        shipped = [groups.shipped(Table(one, names).measure(metric)) for one in counts]
        check_combined(*groups.of_matrices(counts, chances, metric), shipped, f"{metric}, {model}")


def test_noise_alone_makes_calibration_errors_that_are_told_from_it() -> None:
    rng = np.random.default_rng(3)
    score, group = rng.random(200_000), np.repeat(np.arange(400), 500)
    law = error_law(score, rng.random(200_000) < score, group, 400, equal_width(score))
    assert law.value.mean() > 0.1  # of scores that are calibrated: what a plain bootstrap would take for the middle
    assert (law.limits(quantile(0.95))[0] == 0).mean() >= 0.95
