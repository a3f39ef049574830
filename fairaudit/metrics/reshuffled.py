"""Chance: which other images, or which people, are called "before", and how often each is drawn anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from fairaudit.metrics.clusters import PersonCounts
from fairaudit.metrics.paired import CHUNK, Sides
from fairaudit.predictions import BoolArray, IntArray


def reshuffled(before: IntArray, after: IntArray, replicates: int, rng: np.random.Generator) -> Iterator[Sides]:
    """Images are dealt anew within each group, which keeps its size on both sides.

    Args:
        before: (g, k, k) counts of the first model.
        after: (g, k, k) counts of the second one, of other images.
        replicates: how many.
        rng: of chance.

    Yields:
        (b, g, k, k) twice, until there are as many replicates as asked for.
    """
    g, k = before.shape[:2]
    pooled, sizes = (before + after).reshape(g, -1), before.sum((-2, -1))
    for b in _batches(replicates, pooled.size):
        first = np.zeros((b, g, k * k), dtype=np.int64)
        for i in range(g):
            seen = np.flatnonzero(pooled[i])
            if len(seen):
                first[:, i, seen] = rng.multivariate_hypergeometric(pooled[i, seen], int(sizes[i]), size=b)
        yield first.reshape(b, g, k, k), (pooled - first).reshape(b, g, k, k)


def dealt(
    on_first: BoolArray, on_second: BoolArray, replicates: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Who is called "before" by chance.

    People on one side only are dealt anew, as many to each side as there were; people on both change sides or do not, with
    all of their images on either.

    Args:
        on_first: (m,) whether a person has images on the first side.
        on_second: (m,) whether on the second.
        replicates: how many.
        rng: of chance.

    Returns:
        (replicates, m) 1 where what a person has on the first side is called "before", and the same of the second side.
    """
    both = on_first & on_second
    first = np.zeros((replicates, len(both)), dtype=np.int64)
    first[:, both] = rng.integers(0, 2, (replicates, int(both.sum())))
    alone = np.flatnonzero(on_first ^ on_second)
    labels = np.broadcast_to(on_first[alone].astype(np.int64), (replicates, len(alone)))
    first[:, alone] = rng.permuted(labels, axis=1)
    return first, np.where(both, 1 - first, first)


def drawn(m: int, replicates: int, rng: np.random.Generator) -> IntArray:
    """(replicates, m) how often each of m is drawn when m are drawn with replacement.

    Args:
        m: how many there are.
        replicates: how many times they are drawn.
        rng: of chance.
    """
    places = rng.integers(0, max(m, 1), (replicates, m)) + m * np.arange(replicates)[:, None]
    return np.bincount(places.ravel(), minlength=replicates * m).astype(np.int64).reshape(replicates, m)


def reshuffled_people(people: PersonCounts, replicates: int, rng: np.random.Generator) -> Iterator[Sides]:
    """People are dealt anew with all of their images; the sizes of groups follow.

    Args:
        people: counts of 2g groups: those of the first side, then those of the second one, which are of other images.
        replicates: how many.
        rng: of chance.

    Yields:
        (b, g, k, k) twice, until there are as many replicates as asked for.
    """
    g, k = people.n_groups // 2, people.counts.shape[-1]
    m = int(people.person.max(initial=-1)) + 1
    flat = people.counts.reshape(len(people.person), k * k)
    row, cell = np.nonzero(flat)
    second, who = people.group[row] >= g, people.person[row]
    place = people.group[row] % g * k * k + cell
    each = [csr_array((flat[row, cell][on], (who[on], place[on])), shape=(m, g * k * k)) for on in (~second, second)]
    here = [np.bincount(people.person[on], minlength=m) > 0 for on in (people.group < g, people.group >= g)]
    whole = np.asarray(each[0].sum(0) + each[1].sum(0), dtype=np.int64)
    for b in _batches(replicates, max(m, g * k * k)):
        called = dealt(here[0], here[1], b, rng)
        first = np.asarray(sum((one.T @ who.T).T for one, who in zip(each, called, strict=True)), dtype=np.int64)
        yield first.reshape(b, g, k, k), (whole - first).reshape(b, g, k, k)


def _batches(replicates: int, size: int) -> Iterator[int]:
    step = max(1, CHUNK // max(1, size))
    for start in range(0, replicates, step):
        yield min(step, replicates - start)
