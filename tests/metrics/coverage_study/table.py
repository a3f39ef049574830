"""The whole study, line by line: ``python -m tests.metrics.coverage_study.table`` prints what ``coverage`` ships."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from fairaudit.metrics.change_limits import bonett_price
from fairaudit.metrics.coverage import SEED
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.intervals import wilson
from tests.metrics.coverage_study import classes, enumerated, groups, others, scores
from tests.metrics.coverage_study.combined import Result, Z, equalized_odds, results

Cells = dict[str, float]
"""Name of each cell and how many of its intervals contained the truth."""

OVER_GROUPS = {
    "gap": "gap (max − min)",
    "largest difference": "largest difference from the privileged group",
    "difference": "differences from the privileged group, all at once",
    "ratio": "ratios to the privileged group, all at once",
    "min_max_ratio": "ratio min ÷ max",
    "equalized odds": "equalized odds difference",
    "spread": "spread (SD over groups)",
    "pairwise_mean": "pairwise mean",
    "worst_group": "worst group",
}
RATE_SIZES = (20, 100, 1000)
PAIR_SIZES = ((20, 20), (20, 100), (20, 5000), (100, 100), (1000, 1000))
PAIRED = ((0.9, 0.9), (0.95, 0.8), (0.6, 0.7))


@dataclass(frozen=True)
class Found:
    """One line of the study.

    Attributes:
        quantity: what the intervals are of.
        simulated: supports, classes.
        trials: per cell; 0 where everything was enumerated.
        cells: coverage of each.
    """

    quantity: str
    simulated: str
    trials: int
    cells: Cells

    @property
    def mean(self) -> float:
        """Over all cells."""
        return float(np.mean([*self.cells.values()]))

    @property
    def least(self) -> float:
        """Of the worst cell."""
        return min(self.cells.values())


@cache
def group_results(supports: str, trials: int, seed: int = SEED) -> dict[str, dict[str, Result]]:
    """Every kind of interval over groups, by quantity and cell; what takes memory is left out.

    Args:
        supports: a key of ``groups.SUPPORTS``.
        trials: per cell.
        seed: of the draws.
    """
    found: dict[str, dict[str, Result]] = defaultdict(dict)
    for cell in groups.cells(supports):
        first, second = (groups.of_hits(x, cell.n) for x in groups.draw(cell, trials, seed))
        told = results(first, cell.p)
        told["equalized odds"] = equalized_odds(first, cell.p, second, cell.q)
        for kind, result in told.items():
            found[OVER_GROUPS[kind]][cell.name] = Result(result.covers, result.below, result.above)
    return found


@cache
def matrix_results(supports: str, trials: int, seed: int = SEED) -> Cells:
    """Every kind of interval over groups of F-scores and means over classes; a cell is a kind, a metric and a model."""
    found: Cells = {}
    for model in groups.MODELS:
        counts, chances = groups.draw_matrices(model, supports, trials, seed)
        for metric in (*classes.F_SCORES, *classes.MEANS[:2]):
            for kind, result in results(*groups.of_matrices(counts, chances, metric)).items():
                found[f"{OVER_GROUPS[kind]} of {metric.rate} {metric.of}, {model}"] = result.coverage
    return found


@cache
def class_coverage(of: str, n: int, trials: int, seed: int = SEED) -> dict[str, Cells]:
    """What is made of a whole confusion matrix, by quantity; a cell is a metric and a truth."""
    found: dict[str, Cells] = {quantity: {} for quantity in classes.METRICS}
    for metric, truth, covered in classes.coverage(of, n, trials, seed):
        quantity = next(name for name, metrics in classes.METRICS.items() if metric in metrics)
        found[quantity][f"{metric.rate} {metric.of}, {truth}"] = covered
    return found


@cache
def ranking(trials: int, seed: int = SEED) -> dict[str, Cells]:
    """Areas under the ROC curve and average precision."""
    return _by_first(scores.ranking_coverage(trials, seed))


@cache
def losses(n: int, trials: int, seed: int = SEED) -> dict[str, Cells]:
    """Mean losses and calibration errors."""
    return _by_first(scores.score_coverage(n, trials, seed))


@cache
def indices(n: int, trials: int, seed: int = SEED) -> dict[str, Cells]:
    """Disparities that are more than one comparison."""
    single = _by_first(others.index_coverage(n, trials, seed))
    return {kind: {f"{name}, {cell}": covered for name in names for cell, covered in single[name].items()}
            for kind, names in others.KINDS.items()}  # fmt: skip


@cache
def people(number: int, trials: int, seed: int = SEED) -> dict[str, Cells]:
    """A rate of people with several pictures, and the same had pictures been taken for people."""
    told = [*others.people_coverage(number, trials, seed)]
    return {"people": {cell: covered for cell, covered, _ in told}, "pictures": {cell: plain for cell, _, plain in told}}


@cache
def paired(n: int, trials: int, seed: int = SEED) -> Cells:
    """The change of a rate between two models on the same images, of which 4 % are right with neither or only one."""
    found = {}
    for p, q in PAIRED:
        both = min(p, q) - 0.04
        rng = np.random.default_rng([seed, n, int(100 * p), int(100 * q)])
        drawn = rng.multinomial(n, [both, q - both, p - both, 1 - p - q + both], size=trials)
        low, high = bonett_price(drawn[:, 1], drawn[:, 2], np.array(n), Z)
        found[f"{p} becomes {q}"] = float(((low <= q - p) & (q - p <= high)).mean())
    return found


@cache
def bootstrap_gap(trials: int, seed: int = SEED) -> Cells:
    """The negative control, where all groups are equal."""
    return {
        f"{g} groups of {n:,}": others.bootstrap_gap_coverage(g, n, np.full(g, 0.5), trials, seed)
        for g in (2, 7, 14)
        for n in (20, 100, 1000)
    }


def _by_first(told: Iterable[tuple[str, str, float]]) -> dict[str, Cells]:
    found: dict[str, Cells] = defaultdict(dict)
    for first, cell, covered in told:
        found[first][cell] = covered
    return found


def study(share: float = 1.0) -> Iterator[Found]:
    """Every line, with the seed that is shipped.

    Args:
        share: of the trials that are shipped.
    """
    t400, t500, t1000, t2000, t4000, t20000 = (round(share * trials) for trials in (400, 500, 1000, 2000, 4000, 20_000))
    for n in RATE_SIZES:
        covered = enumerated.rate_coverage(wilson, n, enumerated.THOUSANDTHS)
        yield Found("rate of a group", f"{n:,} images", 0, {str(p): float(c) for p, c in
                                                            zip(enumerated.THOUSANDTHS, covered, strict=True)})  # fmt: skip
    for n, m in PAIR_SIZES:
        of_pairs = enumerated.difference_coverage(clopper_pearson, n, m, enumerated.TWENTIETHS)
        named = {str(i): float(c) for i, c in enumerate(of_pairs.ravel())}
        yield Found("difference of two groups", f"{n:,} and {m:,} images", 0, named)
    for quantity in OVER_GROUPS.values():
        for supports in groups.SUPPORTS:
            results = group_results(supports, t4000)[quantity]
            yield Found(quantity, supports, t4000, {name: r.coverage for name, r in results.items()})
    for supports in groups.SUPPORTS:
        yield Found("F-scores and means over classes, compared", supports, t400, matrix_results(supports, t400))
    for quantity in others.KINDS:
        for n in (20, 100):
            yield Found(quantity, f"{n} positives, {n} negatives", t400, indices(n, t400)[quantity])
    for quantity in classes.METRICS:
        for of in classes.TRUTHS:
            for n in (20, 100, 1000):
                yield Found(quantity, f"{of}, {n:,} images", t1000, class_coverage(of, n, t1000)[quantity])
    for quantity, cells in ranking(t2000).items():
        yield Found(quantity, "5 to 100 positives, 10 to 400 negatives", t2000, cells)
    for quantity in ("log loss", "Brier score", "calibration error"):
        for n in (20, 100, 1000):
            yield Found(quantity, f"{n:,} images", t1000, losses(n, t1000)[quantity])
    for number in (20, 200):
        yield Found("rate, several pictures of a person", f"{number} people", t1000, people(number, t1000)["people"])
    for n in (20, 100):
        yield Found("change of a rate, same images", f"{n} images", t20000, paired(n, t20000))
    not_offered = "not offered: gap by percentile bootstrap"
    yield Found(not_offered, "20, 100 and 1,000 images, equal truths", t500, bootstrap_gap(t500))


def main() -> None:
    """Print each line as it stands in ``coverage``."""
    before = None
    for one in study():
        if one.quantity != before:
            print(f"{one.quantity}: trials {one.trials}")
        before = one.quantity
        print(f'    ("{one.simulated}", {len(one.cells)}, {one.mean:.3f}, {one.least:.3f}),')


if __name__ == "__main__":
    main()
