"""Dyads: what is said of pairs of people is no independent sample where they share a person on either side.

Two pairs are alike in part if they have a person in common, whoever is named first. The variance of a sum over pairs is
therefore Σ over people of (their pairs' sum)², less Σ over dyads of (its pairs' sum)², which that counts twice (the
dyadic-robust variance: Fafchamps & Gubert 2007; Aronow, Samii & Assenova 2015). A pair of one person's own images belongs
to that person alone, so that of genuine pairs this is the variance between people.

What is taken off is the mean of the same pairs, which makes both sums too small where people are few. Times P(P − 1) ∕
((P − 2)(P − 3)) of P people their difference is right on average where everybody meets everybody equally often, however
much of the variance is people's and however much is the pairs' own (from the expectations of both sums). Student's quantile
has fewer degrees of freedom where a few people add most to the sum (Satterthwaite's, from the kurtosis of what each adds).
The floor of 1 and the precautions of few people are those of ``clusters``.

In simulations (12, 30 and 100 people, who hold 0, 15 or 67 % of a score's variance; false match rates of 1, 5 and 20 %; 27
cells of 1,000 trials) Wilson's limits of effective counts cover in 95.9 % of trials on average, and in 92.7 % at the least:
where one pair in a hundred matches, and few people make the matches. Limits that know the first person alone cover in 83 %
and 63 %, those of independent pairs in 64 % and 14 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from fairaudit.metrics.clusters import PersonCounts
from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

FEWEST = 7
"""Of fewer people the variance of their pairs cannot be told."""


@dataclass(frozen=True, eq=False)
class Dyads:
    """Who is in which dyad, within groups.

    Attributes:
        group: (c,) of each dyad.
        person: (c,) one of the two.
        other: (c,) the other one; the same where a pair is of one person's images.
        n_groups: number of groups, g.
    """

    group: IntArray
    person: IntArray
    other: IntArray
    n_groups: int

    def squares(self, values: FloatArray | IntArray) -> FloatArray:
        """(g, …) Σ over people of (the sum of theirs)², less Σ over dyads of two of (their sum)².

        Args:
            values: (c, …) sum of each dyad.
        """
        return self._moments(values)[0] - self._twice(values)

    def worst(self, sizes: FloatArray | IntArray) -> FloatArray:
        """(g, …) how much pairs scatter more than one, at the most.

        All pairs of one person's images may be alike; pairs that share one person of two have a correlation of ½ at the
        most, for what they share is half of what they are made of (Hoeffding 1948).

        Args:
            sizes: (c, …) pairs of each dyad.
        """
        every = self.squares(sizes)
        alone = (self.person == self.other).reshape(-1, *[1] * (sizes.ndim - 1)) & (sizes > 0)
        return np.where(self.people(alone) > 0, every, self._moments(sizes)[0] / 2)

    def variance(self, values: FloatArray, people: FloatArray) -> FloatArray:
        """(g, …) variance of a sum over pairs, right on average where everybody meets everybody; nan of too few people.

        Args:
            values: (c, …) what each dyad adds, its expectation taken off.
            people: (g, …) how many people that is of.
        """
        squares, twice = self._moments(values)[0], self._twice(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_two = people * (people - 1) / ((people - 2) * (people - 3))
            factor = np.where(twice > 0, np.where(people < FEWEST, np.nan, of_two), people / (people - 1))
            return factor * (squares - twice)

    def student(self, values: FloatArray, people: FloatArray) -> FloatArray:
        """(g, …) Student's quantile of 95 % limits; its degrees of freedom are fewer where a few people add most.

        Args:
            values: as of ``variance``.
            people: likewise.
        """
        squares, fourth = self._moments(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            curtosis = people * fourth / squares**2
            few = np.where(self._twice(values) > 0, 2 * people / (curtosis - 1), np.inf)
            freedom = np.fmin(people - 1, few)
        return np.asarray(stdtrit(np.maximum(freedom, 1), 0.975))

    def people(self, chosen: BoolArray) -> FloatArray:
        """(g, …) people in the chosen dyads.

        Args:
            chosen: (c, …) which.
        """
        columns = self._columns(chosen) > 0
        found = np.zeros((self.n_groups, columns.shape[1]))
        at, who = self._members
        for i, column in enumerate(columns.T):
            there = np.bincount(at[column[self._of]], minlength=len(who)) > 0
            found[:, i] = np.bincount(who[there] % self.n_groups, minlength=self.n_groups)
        return found.reshape(self.n_groups, *chosen.shape[1:])

    def _moments(self, values: FloatArray | IntArray) -> tuple[FloatArray, FloatArray]:
        """(g, …) twice: sums over people of the second and the fourth power of what they add."""
        columns = self._columns(values)
        second, fourth = np.zeros((2, self.n_groups, columns.shape[1]))
        at, who = self._members
        for i, column in enumerate(columns.T):
            of_each = np.bincount(at, column[self._of], len(who)) ** 2
            second[:, i] = np.bincount(who % self.n_groups, of_each, self.n_groups)
            fourth[:, i] = np.bincount(who % self.n_groups, of_each**2, self.n_groups)
        shape = (self.n_groups, *values.shape[1:])
        return second.reshape(shape), fourth.reshape(shape)

    def _twice(self, values: FloatArray | IntArray) -> FloatArray:
        """(g, …) sum of squares of dyads of two people, of which each was counted with either."""
        apart = self.person != self.other
        columns = self._columns(values)[apart]
        found = np.zeros((self.n_groups, columns.shape[1]))
        for i, column in enumerate(columns.T):
            found[:, i] = np.bincount(self.group[apart], column**2, self.n_groups)
        return found.reshape(self.n_groups, *values.shape[1:])

    def _columns(self, values: FloatArray | IntArray | BoolArray) -> FloatArray:
        return np.asarray(values, dtype=np.float64).reshape(len(self.group), math.prod(values.shape[1:]))

    @cached_property
    def _of(self) -> IntArray:
        """(c + c',) dyads, once for each of their persons."""
        return np.concatenate([np.arange(len(self.group)), np.flatnonzero(self.person != self.other)])

    @cached_property
    def _members(self) -> tuple[IntArray, IntArray]:
        """Place of each such person among those of a group, and those: person × g + group."""
        apart = self.person != self.other
        keys = np.concatenate([self.person, self.other[apart]]) * self.n_groups + self.group[self._of]
        who, at = np.unique(keys, return_inverse=True)
        return at, who


@dataclass(frozen=True, eq=False, kw_only=True)
class PairCounts(PersonCounts):
    """Confusion matrices dyad by dyad, within groups; ``person`` is one of the two.

    Attributes:
        other: (c,) the other one, numbered alike.
    """

    other: IntArray

    @property
    def people(self) -> IntArray:
        """(g,) people in each group."""
        return self.dyads.people(np.ones(len(self.group), dtype=np.bool_)).astype(np.int64)

    @property
    def repeated(self) -> bool:
        """Whether anybody is in more than one pair."""
        pairs = self.counts.sum((-2, -1))
        apart = self.person != self.other
        each = np.concatenate([self.person, self.other[apart]])
        return bool((np.bincount(each, np.concatenate([pairs, pairs[apart]])) > 1).any())

    @cached_property
    def dyads(self) -> Dyads:
        """Who is in which."""
        return Dyads(self.group, self.person, self.other, self.n_groups)

    def resampled(self, replicates: int, rng: np.random.Generator) -> Iterator[IntArray]:
        """Bootstrap of people: both persons of a pair are drawn, and it stands there as often as they meet.

        Yields:
            (g, k, k) counts, as many times as asked for.
        """
        m = int(max(self.person.max(initial=-1), self.other.max(initial=-1))) + 1
        for _ in range(replicates):
            times = np.bincount(rng.integers(0, m, m), minlength=m) if m else np.zeros(0, dtype=np.int64)
            met = np.where(self.person == self.other, times[self.person], times[self.person] * times[self.other])
            yield self._sum(self.counts * met[:, None, None]).astype(np.int64)

    def _worst(self, sizes: FloatArray | IntArray) -> FloatArray:
        return self.dyads.worst(sizes)

    def _variance(self, values: FloatArray, people: FloatArray) -> FloatArray:
        return self.dyads.variance(values, people)

    def _student(self, values: FloatArray, people: FloatArray) -> FloatArray:
        return self.dyads.student(values, people)

    def _people_with(self, chosen: BoolArray) -> FloatArray:
        return self.dyads.people(chosen)


def by_dyad(
    y_true: IntArray,
    y_pred: IntArray,
    ids: IntArray,
    persons: tuple[IntArray, IntArray],
    n_groups: int,
    n_classes: int,
) -> PairCounts:
    """Count pairs dyad by dyad; rows without a label or group are left out.

    Args:
        y_true: (n,) true class or ``MISSING``.
        y_pred: (n,) predicted class.
        ids: (n,) group or ``MISSING``.
        persons: who is on either image, (n,) each, numbered alike; ``MISSING`` is somebody who is on no other one.
        n_groups: number of groups, g.
        n_classes: number of classes, k.
    """
    keep = np.flatnonzero((ids != MISSING) & (y_true != MISSING))
    dyads, place = dyads_of(ids[keep], (persons[0][keep], persons[1][keep]), n_groups)
    counts = np.zeros((len(dyads.group), n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (place, y_true[keep], y_pred[keep]), 1)
    return PairCounts(dyads.group, dyads.person, counts, n_groups, other=dyads.other)


def dyads_of(ids: IntArray, persons: tuple[IntArray, IntArray], n_groups: int) -> tuple[Dyads, IntArray]:
    """The dyads of pairs, and which of them each pair is of.

    Args:
        ids: (n,) group of each pair.
        persons: as of ``by_dyad``.
        n_groups: number of groups, g.
    """
    both = np.concatenate(persons)
    unknown = both == MISSING
    both = np.where(unknown, both.max(initial=0) + np.cumsum(unknown), both)
    who = np.unique(both, return_inverse=True)[1].reshape(2, -1)
    least, most, m = who.min(0), who.max(0), int(who.max(initial=0)) + 1
    found, place = np.unique((least * m + most) * n_groups + ids, return_inverse=True)
    rest, group = np.divmod(found, n_groups)
    return Dyads(group, rest // m, rest % m, n_groups), place
