"""Two models on the same images: the cells in which both predictions are counted together, and what they can tell.

An image that both models get right, or both wrong, says nothing about which is better; all that is known lies in the images
on which they differ. So two confusion matrices are not enough, and the unit is the cell [group, true, before, after]. It is
kept sparse: of k³ cells per group only those that occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from fairaudit.metrics.change_limits import bonett_price
from fairaudit.metrics.counts import Cells, cells
from fairaudit.metrics.measure import Metric
from fairaudit.metrics.rates import MICRO, WEIGHTED, WORST, Direction, Rate, rate_named, rate_values
from fairaudit.metrics.statistics import STATISTICS, one_vs_rest, statistic_values
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

CHUNK = 4_000_000
"""Numbers per batch of replicates: bounds the memory, whatever the number of classes and groups."""

Sides = tuple[IntArray, IntArray]
"""(…, g, k, k) counts before and after."""


@dataclass(frozen=True, eq=False)
class Differing:
    """The images that only one of two models has counted, in every group, and what they show.

    Attributes:
        gained: (g,) counted after but not before.
        lost: (g,) counted before but not after.
        n: (g,) images in the denominator.
        p: (g,) two-sided p of no change.
        p_exact: (g,) of the same test, where it is never too small.
        test: which one.
        effect: (g,) how many images are worth an independent one, for the limits.
    """

    gained: IntArray
    lost: IntArray
    n: IntArray
    p: FloatArray
    p_exact: FloatArray
    test: str = "mcnemar"
    effect: FloatArray | float = 1.0

    def limits(self, z: float) -> tuple[FloatArray, FloatArray]:
        """(g,) limits of the change at a quantile."""
        return bonett_price(self.gained / self.effect, self.lost / self.effect, self.n / self.effect, z)


@dataclass(frozen=True, eq=False)
class PairedCounts:
    """How many images of each group, true class, class predicted before and class predicted after.

    Attributes:
        group: (c,) of each cell that occurs.
        true: (c,) true class.
        before: (c,) class that the first model predicted.
        after: (c,) class that the second model predicted.
        n: (c,) images in the cell.
        n_groups: number of groups, g.
        n_classes: number of classes, k.
    """

    group: IntArray
    true: IntArray
    before: IntArray
    after: IntArray
    n: IntArray
    n_groups: int
    n_classes: int

    def sides(self) -> Sides:
        """The confusion matrices of both models, (g, k, k) each."""
        first, second = self._flat(self.before), self._flat(self.after)
        shape = (self.n_groups, self.n_classes, self.n_classes)
        size = int(np.prod(shape))
        weights = self.n.astype(np.float64)
        both = (np.bincount(key, weights, size).astype(np.int64).reshape(shape) for key in (first, second))
        return next(both), next(both)

    def resampled(self, replicates: int, rng: np.random.Generator) -> Iterator[Sides]:
        """Bootstrap: images are drawn anew within each group, both predictions of an image together.

        One multinomial draw per group; equal in distribution to resampling its rows with the group's size fixed.

        Yields:
            (b, g, k, k) twice, until there are as many replicates as asked for.
        """
        for size in self._batches(replicates):
            drawn = np.zeros((size, len(self.n)), dtype=np.int64)
            for g in range(self.n_groups):
                own = np.flatnonzero(self.group == g)
                if len(own):
                    total = int(self.n[own].sum())
                    drawn[:, own] = rng.multinomial(total, self.n[own] / total, size=size)
            yield self._spread(drawn, self.before), self._spread(drawn, self.after)

    def swapped(self, replicates: int, rng: np.random.Generator) -> Iterator[Sides]:
        """Permutation: for each image, chance decides which of its two predictions is called "before".

        Only cells whose predictions differ can change; of n such images, a binomial(n, ½) number is swapped.

        Yields:
            (b, g, k, k) twice, until there are as many replicates as asked for.
        """
        differ = np.flatnonzero(self.before != self.after)
        base_before, base_after = self.sides()
        for size in self._batches(replicates):
            swaps = np.zeros((size, len(self.n)), dtype=np.int64)
            swaps[:, differ] = rng.binomial(self.n[differ], 0.5, size=(size, len(differ)))
            moved = self._spread(swaps, self.after) - self._spread(swaps, self.before)
            yield base_before + moved, base_after - moved

    def discordant(self, metric: Metric) -> tuple[IntArray, IntArray, IntArray] | None:
        """Images that a proportion counts under one model only, and its denominator.

        Returns:
            (g,) counted after but not before, (g,) before but not after, (g,) images in the denominator; None where the
            metric is no proportion of images that are the same under both models (precision, F-scores, means).
        """
        marked = self.marked(metric)
        if marked is None:
            return None
        up, down, inside = marked
        return self._per_group(up), self._per_group(down), self._per_group(inside)

    def differing(self, metric: Metric) -> Differing | None:
        """What the images that only one model has counted show: McNemar's test; None as for ``discordant``."""
        found = self.discordant(metric)
        if found is None:
            return None
        exact, p = mcnemar(found[0], found[1])
        return Differing(*found, p, exact)

    def marked(self, metric: Metric) -> tuple[BoolArray, BoolArray, BoolArray] | None:
        """(c,) cells that a proportion counts after but not before, before but not after, and has in its denominator."""
        rate = rate_named(metric.rate)
        counted = None if rate is None else _indicator(rate, metric.of)
        if counted is None:
            return None
        if metric.of is None:
            inside = np.ones(len(self.n), dtype=np.bool_)
            before, after = (counted[0][0, (side != self.true).astype(int)] for side in (self.before, self.after))
        else:
            hit, within = counted
            truth = (self.true == metric.of).astype(int)
            inside = within[truth]
            before, after = (hit[truth, (side == metric.of).astype(int)] for side in (self.before, self.after))
        return inside & after & ~before, inside & before & ~after, inside

    def _per_group(self, chosen: BoolArray) -> IntArray:
        return np.bincount(self.group[chosen], self.n[chosen], self.n_groups).astype(np.int64)

    def _flat(self, predicted: IntArray) -> IntArray:
        return np.asarray((self.group * self.n_classes + self.true) * self.n_classes + predicted)

    def _batches(self, replicates: int) -> Iterator[int]:
        size = max(1, CHUNK // max(1, self.n_groups * self.n_classes**2, len(self.n)))
        for start in range(0, replicates, size):
            yield min(size, replicates - start)

    def _spread(self, drawn: IntArray, predicted: IntArray) -> IntArray:
        """Replicates of cells as replicates of one model's confusion matrices."""
        shape = (len(drawn), self.n_groups, self.n_classes, self.n_classes)
        size = int(np.prod(shape[1:]))
        key = np.arange(len(drawn))[:, None] * size + self._flat(predicted)
        return np.bincount(key.ravel(), drawn.ravel(), len(drawn) * size).astype(np.int64).reshape(shape)


def pair(y_true: IntArray, before: IntArray, after: IntArray, ids: IntArray, n_groups: int, n_classes: int) -> PairedCounts:
    """Count two models' predictions of the same images; rows without a label or group are left out.

    Args:
        y_true: (n,) true class or ``MISSING``.
        before: (n,) class predicted by the first model.
        after: (n,) class predicted by the second model.
        ids: (n,) group or ``MISSING``.
        n_groups: number of groups, g.
        n_classes: number of classes, k.
    """
    keep = (ids != MISSING) & (y_true != MISSING)
    key = ((ids[keep] * n_classes + y_true[keep]) * n_classes + before[keep]) * n_classes + after[keep]
    found, n = np.unique(key, return_counts=True)
    rest, last = np.divmod(found, n_classes)
    rest, first = np.divmod(rest, n_classes)
    group, true = np.divmod(rest, n_classes)
    return PairedCounts(group, true, first, last, n.astype(np.int64), n_groups, n_classes)


def mcnemar(gained: IntArray, lost: IntArray) -> tuple[FloatArray, FloatArray]:
    """McNemar's test (1947): of the images on which two models differ, does either have more than half?

    Args:
        gained: (…) images that only the second model has.
        lost: (…) images that only the first model has.

    Returns:
        Two-sided p, exact (binomial, never too small) and mid-p (Fagerland, Lydersen & Laake 2013, who found it close to
        its level where the exact one is far below); 1 where no image differs.
    """
    less, total = np.minimum(gained, lost).astype(np.float64), (gained + lost).astype(np.float64)
    tail = _at_most(less, total)
    point = tail - _at_most(less - 1, total)
    exact = np.minimum(1.0, 2 * tail)
    # At a tie both tails hold the middle point, which counts once in all.
    middle = np.where(gained == lost, 1.0, 2 * tail - point)
    return exact, np.minimum(1.0, middle)


def _at_most(x: FloatArray, n: FloatArray) -> FloatArray:
    """P(X ≤ x) for X binomial(n, ½)."""
    inside = (x >= 0) & (x < n)
    return np.where(inside, betainc(np.where(inside, n - x, 1.0), np.where(inside, x + 1, 1.0), 0.5), x >= n)


def holm(p: FloatArray, families: int = 1) -> FloatArray:
    """Holm's step-down adjusted p-values (1979): the chance of one false alarm in the family stays below the level.

    Args:
        p: (m,) p-values; nan where there is no test, which then is not of the family.
        families: how many such families are judged together.
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1) * families
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def values(counts: IntArray, metrics: list[Metric]) -> list[FloatArray]:
    """Every metric of any replicates of counts; nan where a denominator is 0.

    Args:
        counts: (…, k, k) [true, predicted].
        metrics: which ones.

    Returns:
        (…) per metric.
    """
    split = cells(counts)
    known: dict[str, FloatArray] = {}
    found = []
    for metric in metrics:
        if metric.rate in STATISTICS:
            matrices = one_vs_rest(split.of_class(metric.of)) if isinstance(metric.of, int) else np.asarray(counts, float)
            found.append(statistic_values(STATISTICS[metric.rate], matrices))
            continue
        rate = rate_named(metric.rate)
        assert rate is not None  # metrics come from a table's catalogue
        if metric.rate not in known:
            known[metric.rate] = rate_values(rate, split)
        value = known[metric.rate]
        if isinstance(metric.of, int):
            value = value[..., metric.of]
        elif metric.of is not None:
            value = _over_classes(rate, metric.of, value, split)
        found.append(value)
    return found


def _over_classes(rate: Rate, how: str, value: FloatArray, split: Cells) -> FloatArray:
    """(…) of classes as one number, see ``aggregates.over_classes``."""
    if how == MICRO:
        tp, fp, fn, tn = (part.sum(-1) for part in (split.tp, split.fp, split.fn, split.tn))
        return rate_values(rate, Cells(tp, fp, fn, tn, split.right, split.n))
    if how == WEIGHTED:
        labelled = split.tp + split.fn
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(labelled > 0, labelled * value, 0.0).sum(-1) / labelled.sum(-1))
    if how == WORST:
        return np.asarray(value.min(-1) if rate.direction is Direction.HIGHER else value.max(-1))
    return np.asarray(value.mean(-1))


def _indicator(rate: Rate, of: int | str | None) -> tuple[BoolArray, BoolArray] | None:
    """Whether a rate counts an image, and whether it has it in its denominator, asked of confusion matrices of one image.

    Returns:
        (2, 2) counted, by whether the true and the predicted class are the class; (2,) in the denominator. None where the
        denominator depends on what was predicted or the rate is no proportion.
    """
    if rate.beta is not None or isinstance(of, str) or rate.per_class != (of is not None):
        return None
    one = np.eye(4).reshape(2, 2, 2, 2)  # [true, predicted] → the matrix of a single such image
    split = cells(one) if of is None else cells(one).of_class(1)
    top, bottom = rate.parts(split)
    if not np.isin(top, (0, 1)).all() or not np.isin(bottom, (0, 1)).all() or (bottom[:, 0] != bottom[:, 1]).any():
        return None
    if of is None and (top != top[::-1, ::-1]).any():  # of all classes, and yet not about right and wrong
        return None
    return top.astype(np.bool_), bottom[:, 0].astype(np.bool_)
