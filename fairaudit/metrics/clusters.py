"""Clusters: several pictures of one person are not several persons. What identity does to an interval is decided here.

Pictures of a person tend to be right or wrong together, so n pictures say less than n people would. How much less is the
design effect: the variance of a rate between people (of the ratio Σx ÷ Σn, linearised) over the variance that independent
pictures would have. Dividing numerator and denominator by it gives effective counts, whose exact limits are Korn and
Graubard's (1998), corrected as theirs for how few people the variance was estimated from.

Two precautions. The design effect is never below 1: pictures that happen to differ within people are no evidence of more
data than there are pictures. And where nobody, or hardly anybody, is wrong (or right), nothing is known of how errors
cluster: the worst is taken, that a person's pictures are all right or all wrong.

Pictures may have sampling weights (``weights``): counts are then sums of weights, pictures are still counted apart, and the
same variance between people, each with the weight of their pictures, holds both; without persons every picture is its own.
The design effect is then never below Kish's, n Σw² ÷ (Σw)²: that the few pictures which weigh much happen to be right is
no evidence of more data either (of 100 images 10 % weighing 10 times as much as others, Wilson's limits cover in 87 % of
trials without that floor, and in 97 % with it).

In simulations (20 to 200 people of 2 to 6 pictures, intra-class correlation 0, .3, .8, rates .5 to .95) Wilson's limits of
effective counts cover in at least 94.2 % of trials and Clopper and Pearson's in 95.2 %; limits of independent pictures
fall to 62 %, those of a percentile cluster bootstrap to 61 % (few people, few errors). So effective counts it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from fairaudit.metrics.counts import Cells, cells
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

Parts = Callable[[Cells], tuple[FloatArray, FloatArray]]
"""Cells → numerator and denominator of a proportion, as in ``RATES``."""

FEW = 5
"""With fewer people on either side of a proportion, how they cluster cannot be estimated."""


@dataclass(frozen=True, eq=False)
class PersonCounts:
    """Confusion matrices person by person, within groups.

    Attributes:
        group: (c,) group of each; a person with pictures in two groups stands here twice.
        person: (c,) who it is, 0 … m − 1.
        counts: (c, k, k) pictures [true, predicted]; with weights their sum, in units of the group's own.
        n_groups: number of groups, g.
        unweighted: (c, k, k) pictures where counts are weighted; None where counts are of pictures.
        squares: (c, k, k) sums of squared weights, likewise.
        times: (c,) for how many persons each stands, who are alike; None is one each.
    """

    group: IntArray
    person: IntArray
    counts: IntArray
    n_groups: int
    unweighted: IntArray | None = None
    squares: FloatArray | None = None
    times: IntArray | None = None

    @property
    def people(self) -> IntArray:
        """(g,) people in each group."""
        return np.bincount(self.group, self.times, minlength=self.n_groups).astype(np.int64)

    @property
    def repeated(self) -> bool:
        """Whether anybody has more than one picture."""
        return bool((np.bincount(self.person, self.pictures.sum((-2, -1))) > 1).any())

    @property
    def pictures(self) -> IntArray:
        """(c, k, k) pictures, whatever they weigh."""
        return self.counts if self.unweighted is None else self.unweighted

    def totals(self) -> IntArray:
        """(g, k, k) pictures, as ``counts.confusion`` counts them."""
        return self._sum(self.counts).astype(np.int64)

    def design_effect(self, parts: Parts) -> FloatArray:
        """How many pictures are worth one independent picture, for a proportion; at least 1.

        Args:
            parts: numerator and denominator of the proportion, (…, k) per class or (…) of all classes.

        Returns:
            (g, k) or (g,); nan where the denominator is 0. Largest value: pictures per person.
        """
        x, n = parts(self.cells)
        top, bottom = self._sum(x), self._sum(n)
        pictures = bottom if self.unweighted is None else self._sum(parts(cells(self.unweighted))[1])
        people = self._people_with(n > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = top / bottom
            # all pictures of a person alike
            worst = _at_least_one(self._worst(n) / bottom * (pictures / bottom))
            residual = x - p[self.group] * n
            variance = self._variance(residual, people) / bottom**2
            effect = variance / (p * (1 - p) / pictures)
            # few people know little of their own variance (Korn & Graubard): wider by the ratio of Student's quantiles
            scarce = np.minimum(self._people_with(x > 0), self._people_with(n - x > 0))
            usual = stdtrit(np.maximum(pictures - 1, 1), 0.975)
            effect = effect * (self._student(residual, people) / usual) ** 2
            alike = worst * (stdtrit(np.maximum(people - 1, 1), 0.975) / usual) ** 2
            effect = np.where(scarce < FEW, np.fmax(alike, effect), effect)
        unknown = ((people < 2) | np.isnan(variance)) & (bottom > 0)
        effect = np.where(unknown, worst, np.maximum(effect, 1.0))
        # one picture each is the plain case, and stays exactly that
        effect = np.where(worst == 1.0, 1.0, effect)
        if self.squares is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                effect = np.fmax(effect, _at_least_one(self._sum(parts(cells(self.squares))[1]) / bottom**2 * pictures))
        return np.where(bottom > 0, effect, np.nan)

    def mean_effect(self, parts: Parts) -> FloatArray:
        """The design effect of a proportion's mean over classes, against independent pictures; at least 1.

        Beyond the effects of the classes themselves it holds what a person's pictures of different classes share.

        Args:
            parts: numerator and denominator of a proportion per class.

        Returns:
            (g,) 1 where it cannot be estimated.
        """
        x, n = parts(self.cells)
        top, bottom = self._sum(x), self._sum(n)
        pictures = bottom if self.unweighted is None else self._sum(parts(cells(self.unweighted))[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            p = top / bottom
            pull = np.nan_to_num((x - p[self.group] * n) / bottom[self.group]).sum(-1)
            independent = np.nan_to_num(p * (1 - p) / pictures).sum(-1)
            return self._against(pull, independent)

    def statistic_effect(
        self, matrices: FloatArray, slopes: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    ) -> FloatArray:
        """The design effect of a smooth function of confusion matrices, linearised; at least 1.

        Args:
            matrices: (c, m, k, k) counts of each person in a group.
            slopes: (…, k, k) shares → value and its derivative by each share.

        Returns:
            (g, m); the largest possible value where hardly anybody is wrong, or right.
        """
        total = self._sum(matrices)
        n, k = total.sum((-2, -1)), total.shape[-1]
        pictures = n if self.unweighted is None else self._sum(self.unweighted.sum((-2, -1)))[:, None] + 0 * n
        effects = []
        with np.errstate(divide="ignore", invalid="ignore"):
            p = total / n[..., None, None]
            size_of_one = (pictures / n)[..., None, None]
            slope = slopes((total * size_of_one + 4 / k**2) / (pictures + 4)[..., None, None])[1]
            centred = slope - (p * slope).sum((-2, -1), keepdims=True)
            size = matrices.sum((-2, -1))
            right = np.trace(matrices, axis1=-2, axis2=-1)
            worst = _at_least_one(self._worst(size) / n * (pictures / n))
            scarce = np.minimum(self._people_with(right > 0), self._people_with(size - right > 0))
            for i in range(total.shape[1]):
                pull = (matrices[:, i] * centred[self.group, i]).sum((-2, -1)) / n[self.group, i]
                effect = self._against(pull, (p * centred**2).sum((-2, -1))[:, i] / pictures[:, i])
                effects.append(np.where(scarce[:, i] < FEW, np.fmax(worst[:, i], effect), effect))
        return np.stack(effects, axis=1)

    def _against(self, pull: FloatArray, independent: FloatArray) -> FloatArray:
        """(g,) variance of what people add to a number over that of independent pictures, at least 1; 1 if each has one."""
        people, pictures = self.people.astype(np.float64), self._sum(self.pictures.sum((-2, -1)))
        student = self._student(pull, people) / stdtrit(np.maximum(pictures - 1, 1), 0.975)
        effect = self._variance(pull, people) / independent * student**2
        size = self.counts.sum((-2, -1)).astype(np.float64)
        uneven = _at_least_one(self._worst(size) / self._sum(size) ** 2 * pictures) > 1.0
        known = (people > 1) & uneven & np.isfinite(effect)
        least = np.ones_like(effect)
        if self.squares is not None:
            least = _at_least_one(self._sum(self.squares.sum((-2, -1))) / self._sum(size) ** 2 * pictures)
        return np.where(known, np.maximum(effect, least), 1.0)

    def effective(self, parts: Parts) -> tuple[FloatArray, FloatArray]:
        """Numerator and denominator that independent pictures would need to say as much.

        Args:
            parts: numerator and denominator of the proportion.

        Returns:
            (g, …) twice; their quotient is the rate as it is. What takes x and n (Wilson, Clopper and Pearson) takes these.
        """
        top, bottom = parts(cells(self.totals()))
        effect = np.where(bottom > 0, self.design_effect(parts), 1.0)
        return top / effect, bottom / effect

    def resampled(self, replicates: int, rng: np.random.Generator) -> Iterator[IntArray]:
        """Cluster bootstrap: people are drawn anew with all of their pictures, in whatever groups these are.

        Yields:
            (g, k, k) counts, as many times as asked for.
        """
        m = int(self.person.max(initial=-1)) + 1
        for _ in range(replicates):
            times = np.bincount(rng.integers(0, m, m), minlength=m) if m else np.zeros(0, dtype=np.int64)
            yield self._sum(self.counts * times[self.person][:, None, None]).astype(np.int64)

    def _sum(self, values: FloatArray | IntArray) -> FloatArray:
        columns = np.asarray(values, dtype=np.float64).reshape(len(self.group), math.prod(values.shape[1:])).T
        if self.times is not None:
            columns = columns * self.times
        total = np.zeros((self.n_groups, len(columns)))
        for i, column in enumerate(columns):
            total[:, i] = np.bincount(self.group, column, minlength=self.n_groups)
        return total.reshape(self.n_groups, *values.shape[1:])

    def _worst(self, sizes: FloatArray | IntArray) -> FloatArray:
        """(g, …) how much pictures, so many of each person, scatter more than one if all of a person's are alike."""
        return self._sum(np.asarray(sizes, dtype=np.float64) ** 2)

    def _variance(self, values: FloatArray, people: FloatArray) -> FloatArray:
        """(g, …) variance of the sum of what so many people add."""
        return self._sum(values**2) * people / (people - 1)

    def _student(self, values: FloatArray, people: FloatArray) -> FloatArray:  # noqa: ARG002 (pairs ask what each adds)
        """(g, …) Student's quantile of 95 % limits from that variance."""
        return np.asarray(stdtrit(np.maximum(people - 1, 1), 0.975))

    def _people_with(self, chosen: BoolArray) -> FloatArray:
        """(g, …) persons of whom something is true."""
        return self._sum(chosen.astype(np.float64))

    @cached_property
    def cells(self) -> Cells:
        """(c, k) cells of each person in a group."""
        return cells(self.counts)


def _at_least_one(effect: FloatArray) -> FloatArray:
    """Exactly 1 where it is that but for rounding, which says that each has one picture, and all weigh the same."""
    return np.where(effect <= 1 + 1e-9, 1.0, effect)  # nan stays nan


def by_person(
    y_true: IntArray,
    y_pred: IntArray,
    ids: IntArray,
    identity: IntArray,
    n_groups: int,
    n_classes: int,
    weights: IntArray | None = None,
) -> PersonCounts:
    """Count pictures person by person; rows without a label or group are left out.

    Args:
        y_true: (n,) true class or ``MISSING``.
        y_pred: (n,) predicted class.
        ids: (n,) group or ``MISSING``.
        identity: (n,) who is on the picture; ``MISSING`` is somebody who is on no other one.
        n_groups: number of groups, g.
        n_classes: number of classes, k.
        weights: (n,) what each row weighs, in whole units of its group (``weights.whole_units``); None is 1 each.
    """
    keep = np.flatnonzero((ids != MISSING) & (y_true != MISSING))
    if weights is not None and (identity[keep] == MISSING).all():
        return _by_weight(y_true[keep], y_pred[keep], ids[keep], weights[keep], n_groups, n_classes)
    who = identity[keep].copy()
    unknown = who == MISSING
    who[unknown] = identity.max(initial=0) + 1 + np.arange(int(unknown.sum()))
    person = np.unique(who, return_inverse=True)[1]
    cluster, place = np.unique(person * n_groups + ids[keep], return_inverse=True)
    counts = np.zeros((len(cluster), n_classes, n_classes), dtype=np.int64)
    at = (place, y_true[keep], y_pred[keep])
    np.add.at(counts, at, 1)
    group, person = cluster % n_groups, cluster // n_groups
    if weights is None:
        return PersonCounts(group, person, counts, n_groups)
    weighted, squares = np.zeros_like(counts), np.zeros(counts.shape)
    np.add.at(weighted, at, weights[keep])
    np.add.at(squares, at, weights[keep].astype(np.float64) ** 2)
    return PersonCounts(group, person, weighted, n_groups, counts, squares)


def _by_weight(
    y_true: IntArray, y_pred: IntArray, ids: IntArray, weights: IntArray, n_groups: int, n_classes: int
) -> PersonCounts:
    """Every picture its own person; those of one cell and weight are alike, and counted once."""
    cell = (ids * n_classes + y_true) * n_classes + y_pred
    order = np.lexsort((weights, cell))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(cell[order]) != 0) | (np.diff(weights[order]) != 0)
    times = np.diff(np.append(np.flatnonzero(first), len(order)))
    one = order[first]
    counts = np.zeros((len(one), n_classes, n_classes), dtype=np.int64)
    counts[np.arange(len(one)), y_true[one], y_pred[one]] = 1
    heavy = counts * weights[one][:, None, None]
    squares = heavy.astype(np.float64) ** 2
    return PersonCounts(ids[one], np.arange(len(one)), heavy, n_groups, counts, squares, times)
