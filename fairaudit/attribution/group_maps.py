"""Explanations of many images of one kind: the mean map of a group, where two groups differ, and how maps overlap.

Maps can be laid over each other only where faces are aligned: eyes at the same pixels in every image. What is averaged are
maps of which each has the same absolute mass, so that no image counts more because the network was surer of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairaudit.attribution.maps import top_region
from fairaudit.metrics.attention import concentration, correlation, mass_share, points_inside
from fairaudit.metrics.region_test import RegionTest, grid_means, region_test
from fairaudit.predictions import MISSING, FloatArray, IntArray


@dataclass(frozen=True)
class AttentionOverlap:
    """How far a network's attention lies where an attribute shows.

    Attributes:
        mass: share of the attention inside the attribute's region.
        area: share of the image that the region takes.
        times_even: mass ÷ area: 1 is what attention that knows nothing has.
        points_inside: whether the map's peak lies in it; None where there is no attention.
        correlation: of attention and the attribute's map over all pixels, without a threshold.
    """

    mass: float
    area: float
    times_even: float
    points_inside: bool | None
    correlation: float


def attention_overlap(heat: FloatArray, attribute: FloatArray, quantile: float) -> AttentionOverlap:
    """Compare an explanation with a map of an attribute.

    Args:
        heat: (h, w) signed map of the explanation, by region.
        attribute: (h, w) map of the attribute: larger where it shows.
        quantile: the attribute's region is its map's top (1 − quantile).
    """
    region = top_region(attribute, quantile)
    return AttentionOverlap(
        mass=mass_share(heat, region),
        area=float(region.mean()),
        times_even=concentration(heat, region),
        points_inside=points_inside(heat, region),
        correlation=correlation(heat, attribute),
    )


def evenly_scaled(heat: FloatArray) -> FloatArray:
    """(h, w) the map with a mean absolute value of 1; a map of zeros stays one."""
    size = float(np.abs(heat).mean())
    return np.asarray(heat / size) if size > 0 else np.zeros_like(heat)


def one_per_person(values: FloatArray, ids: IntArray, people: IntArray | None) -> tuple[FloatArray, IntArray]:
    """Means over the images of a person within a group, because those are not independent of each other.

    Args:
        values: (n, …) one entry per image.
        ids: (n,) group or ``MISSING``.
        people: (n,) who it is or ``MISSING``, which makes an image a person of its own; None where that is not known.

    Returns:
        (m, …) values and (m,) groups of those images whose group is known.
    """
    known = np.flatnonzero(ids != MISSING)
    values, ids = values[known], ids[known]
    if people is None:
        return values, ids
    who = people[known].copy()
    alone = who == MISSING
    who[alone] = people.max(initial=MISSING) + 1 + np.arange(int(alone.sum()))
    keys, inverse = np.unique(np.stack([ids, who]), axis=1, return_inverse=True)
    inverse = inverse.ravel()
    sums = np.zeros((keys.shape[1], *values.shape[1:]))
    np.add.at(sums, inverse, values)
    counts = np.bincount(inverse).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(sums / counts), np.asarray(keys[0])


def contrast(
    maps: FloatArray, ids: IntArray, group: int, reference: int, grid: tuple[int, int], permutations: int, seed: int
) -> RegionTest | None:
    """Where on the face the attention to two groups differs; None where a group has fewer than two maps.

    Args:
        maps: (n, h, w), evenly scaled, one per person.
        ids: (n,) group of each.
        group: the group.
        reference: the group it is compared with.
        grid: (rows, columns) of the cells that are tested.
        permutations: how often groups are dealt anew.
        seed: of the dealing.
    """
    first, second = maps[ids == group], maps[ids == reference]
    if min(len(first), len(second)) < 2:
        return None
    rng = np.random.default_rng([seed, group, reference])
    return region_test(grid_means(first, *grid), grid_means(second, *grid), permutations, rng)
