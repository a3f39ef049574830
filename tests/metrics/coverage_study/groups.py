"""Cells of groups: rates, and metrics of a whole confusion matrix; what the package says of one trial of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np

from fairaudit.metrics import intervals
from fairaudit.metrics.aggregates import proportion_variance
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.predictions import FloatArray, IntArray
from tests.metrics.coverage_study.classes import alike, truth_of
from tests.metrics.coverage_study.combined import CONFIDENCE, Drawn, Sides

SUPPORTS: dict[str, tuple[Callable[[int], list[int]], ...]] = {
    "20 images": (lambda g: [20] * g,),
    "100 images": (lambda g: [100] * g,),
    "1,000 images": (lambda g: [1000] * g,),
    "20 beside 5,000": (
        lambda g: [5000] * (g - 1) + [20],
        lambda g: [20] + [5000] * (g - 1),
        lambda g: [5000] + [20] * (g - 1),
    ),
}
TRUTHS: dict[str, Callable[[int], FloatArray]] = {
    "equal .5": lambda g: np.full(g, 0.5),
    "equal .9": lambda g: np.full(g, 0.9),
    "equal .05": lambda g: np.full(g, 0.05),
    "last .05 lower": lambda g: np.r_[np.full(g - 1, 0.95), 0.9],
    "last .2 lower": lambda g: np.r_[np.full(g - 1, 0.9), 0.7],
    "half .1 lower": lambda g: np.repeat([0.9, 0.8], [g - g // 2, g // 2]),
    "linear": lambda g: np.linspace(0.9, 0.6, g),
}
GROUPS = (2, 7, 14)


@dataclass(frozen=True)
class Cell:
    """One combination of supports and truths.

    Attributes:
        name: for messages.
        n: (g,) images of each group.
        p: (g,) true rates, of right images and of true positives.
        q: (g,) true rates of false positives.
    """

    name: str
    n: IntArray
    p: FloatArray
    q: FloatArray


def cells(supports: str) -> Iterator[Cell]:
    """The cells with these supports; false positives are rarest where true positives are."""
    for g in GROUPS:
        for sizes in dict.fromkeys(tuple(layout(g)) for layout in SUPPORTS[supports]):
            of = " + ".join(f"{len(list(run))} of {n:,}" for n, run in groupby(sizes))
            for name, truths in TRUTHS.items():
                p = truths(g)
                yield Cell(f"{of}; {name}", np.array(sizes), p, (p - p.min() / 2)[::-1])


@cache
def tabulated(n: int, z: float) -> Sides:
    """Exact limits of 0, 1 … n hits of n."""
    x = np.arange(n + 1.0)
    return clopper_pearson(x, np.full(x.shape, float(n)), z)


def of_hits(x: IntArray, n: IntArray) -> Drawn:
    """Rates of hits.

    Args:
        x: (g, trials) hits.
        n: (g,) images.
    """

    def limits(z: float) -> Sides:
        tables = [tabulated(int(size), z) for size in n]
        low, high = (np.stack([t[side][row] for t, row in zip(tables, x, strict=True)]) for side in (0, 1))
        return low, high

    hits, size = x.astype(np.float64), n[:, None].astype(np.float64)
    return Drawn(hits / size, limits, lambda z: intervals.wilson(hits, size, z), proportion_variance(hits, size))


def draw(cell: Cell, trials: int, seed: int) -> tuple[IntArray, IntArray]:
    """(g, trials) hits among images at the first true rates and, independently, at the second."""
    rng = np.random.default_rng([seed, len(cell.n), *cell.name.encode()])
    first, second = (rng.binomial(cell.n[:, None], rate[:, None], (len(cell.n), trials)) for rate in (cell.p, cell.q))
    return first, second


MODELS = {
    "5 groups alike": [([0.5, 0.5], 0.9)] * 5,
    "1 of 5 groups worse": [([0.5, 0.5], 0.9)] * 4 + [([0.6, 0.4], 0.7)],
    "rare and common class": [([0.8, 0.2], 0.9), ([0.3, 0.7], 0.9)],
    "3 classes": [([0.4, 0.4, 0.2], 0.85)] * 3,
}
"""Shares of the classes and how often each is recognised, in every group."""


def draw_matrices(model: str, supports: str, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """(trials, g, k, k) counts and (g, k, k) their chances."""
    chances = np.stack([alike(shares, right) for shares, right in MODELS[model]])
    sizes = SUPPORTS[supports][0](len(chances))
    rng = np.random.default_rng([seed, *model.encode(), *supports.encode()])
    drawn = [rng.multinomial(n, c.ravel(), size=trials) for n, c in zip(sizes, chances, strict=True)]
    return np.stack(drawn, axis=1).reshape(trials, *chances.shape), chances


def of_matrices(counts: IntArray, chances: FloatArray, metric: Metric) -> tuple[Drawn, FloatArray]:
    """A metric in the trials in which it is defined in every group, and its true values."""
    trials, g, k, _ = counts.shape
    whole = Table(counts.reshape(-1, k, k), tuple(map(str, range(k)))).measure(metric)
    known = (whole.support.reshape(trials, g) > 0).all(1)

    def shaped(values: FloatArray) -> FloatArray:
        return np.asarray(values.reshape(trials, g)[known].T)

    def limits(z: float) -> Sides:
        low, high = whole.limits(z)
        return shaped(low), shaped(high)

    truth = np.array([truth_of(one, metric) for one in chances])
    return Drawn(shaped(whole.value), limits, limits, shaped(whole.variance)), truth


def shipped(measure: Measure) -> dict[str, list[intervals.Interval]]:
    """What the package says of one trial, the first group privileged."""
    comparison = Comparison(CONFIDENCE, 0, 1)
    found = {kind: [comparison.over_groups([measure], kind).estimate]
             for kind in ("gap", "spread", "min_max_ratio", "pairwise_mean", "worst_group")}  # fmt: skip
    for kind in ("difference", "ratio"):
        found[kind] = [c.estimate for c in comparison.against_privileged(measure, kind)]
    told = {kind: [intervals.Interval(e.ci_low, e.ci_high) for e in every] for kind, every in found.items()}
    told["largest difference"] = [intervals.reference_maximum(measure.value, measure.limits, CONFIDENCE, 0)]
    return told


def shipped_odds(x: IntArray, y: IntArray, n: IntArray) -> intervals.Interval:
    """What the package says of equalized odds with x of n true and y of n false positives, (g,) each."""
    table = Table(np.stack([np.stack([n - y, y], -1), np.stack([n - x, x], -1)], -2), ("no", "yes"), 1)
    odds = [table.measure(Metric(f"{sign}_positive_rate", 1)) for sign in ("true", "false")]
    e = Comparison(CONFIDENCE, 0, 1).over_groups(odds, "gap").estimate
    return intervals.Interval(e.ci_low, e.ci_high)


def accuracy(x: IntArray, n: IntArray) -> Measure:
    """The measure of x right among n images, (g,) each."""
    counts = np.stack([np.stack([x, n - x], -1), np.zeros((len(n), 2), dtype=np.int64)], -2)
    return Table(counts, ("a", "b")).measure(Metric("accuracy"))
