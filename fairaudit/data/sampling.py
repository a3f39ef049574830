"""Subsets of a manifest that keep its groups in proportion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairaudit.data.manifest import Manifest
from fairaudit.errors import DataError, UsageError


def stratified_sample(manifest: Manifest, by: Sequence[str], n: int, seed: int) -> Manifest:
    """A seeded sample in which every cell keeps its share, and at least one image where ``n`` allows.

    Cells are the crossed levels of ``by``; a missing label makes a cell of its own. Shares are rounded by largest
    remainder.

    Args:
        manifest: what is sampled.
        by: categorical columns that are crossed; none makes one cell of everything.
        n: size of the sample; at least the manifest's length returns it unchanged.
        seed: the same seed, manifest and arguments give the same sample.

    Returns:
        ``min(n, len(manifest))`` rows in their old order.

    Raises:
        UsageError: ``n`` is below 1.
        UnknownNameError: a column does not exist.
    """
    if n < 1:
        raise UsageError(f"a sample needs at least 1 image, not {n}")
    names = list(dict.fromkeys(manifest.column(name) for name in by))
    if n >= len(manifest):
        return manifest
    cells = np.zeros(len(manifest), dtype=np.int64)
    for name in names:
        column = manifest.frame[name].cat
        # missing has the code -1: shifted by one, it is a level like the others
        cells = cells * (len(column.categories) + 1) + column.codes.to_numpy().astype(np.int64) + 1
    _, cells = np.unique(cells, return_inverse=True)
    quota = _allocate(np.bincount(cells), n)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(manifest))
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    sorted_cells = cells[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_cells, sorted_cells, side="left")
    return manifest.take(np.sort(order[rank < quota[sorted_cells]]))


def skewed_sample(manifest: Manifest, column: str, level: str, share: float, seed: int) -> Manifest:
    """As many people as can be had of whom a share is of one level; the other levels keep their proportions.

    People are left out whole; where nobody is known images are. Somebody counts as what their first image is, and images
    without a known level are left out.

    Args:
        manifest: what is sampled.
        column: categorical column.
        level: one of its levels.
        share: of the people, between 0 and 1.
        seed: the same seed and manifest give the same sample.

    Returns:
        Rows in their old order.

    Raises:
        DataError: there is nobody of that level, or of any other.
    """
    known = manifest.frame[column].notna().to_numpy()
    who = np.arange(len(manifest))
    if "identity" in manifest.frame.columns:
        codes = manifest.frame["identity"].astype("category").cat.codes.to_numpy()
        who = np.where(codes >= 0, codes, len(manifest) + who)
    people, first = np.unique(who[known], return_index=True)
    levels = manifest.frame[column].to_numpy(dtype=object)[known][first]
    of_level, others = people[levels == level], people[levels != level]
    if not len(of_level) or not len(others):
        whose = level if not len(of_level) else f"anything but {level}"
        raise DataError(
            f"no training image is {whose!r} in {column}, so it cannot be {share:g} of them; leave --imbalance out"
        )
    total = min(len(of_level) / share, len(others) / (1 - share))
    rng = np.random.default_rng(seed)
    kept = [rng.choice(of_level, max(1, round(total * share)), replace=False)]
    rest = max(1, round(total * (1 - share)))
    own = [people[levels == name] for name in manifest.levels(column) if name != level and (levels == name).any()]
    sizes = np.array([len(part) for part in own], dtype=np.int64)
    quota = _allocate(sizes, rest) if rest < sizes.sum() else sizes
    kept += [rng.choice(part, n, replace=False) for part, n in zip(own, quota.tolist(), strict=True)]
    return manifest.take(np.isin(who, np.concatenate(kept)) & known)


def _allocate(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """How many of each nonempty cell: proportional, largest remainder, at least one where there are enough.

    Args:
        sizes: (c,) rows of each cell, all above 0, summing to more than ``n``.
        n: rows wanted.

    Returns:
        (c,) rows to take, summing to ``n``, none above its cell's size.
    """
    ideal = sizes * (n / sizes.sum())
    quota: NDArray[np.int64] = np.floor(ideal).astype(np.int64)
    if n >= len(sizes):
        quota[quota == 0] = 1
    while quota.sum() < n:
        quota[np.argmax(np.where(quota < sizes, ideal - quota, -np.inf))] += 1
    floor = 1 if n >= len(sizes) else 0
    while quota.sum() > n:
        quota[np.argmax(np.where(quota > floor, quota - ideal, -np.inf))] -= 1
    return quota
