"""Do two groups of maps differ, and where? A permutation test for every region, with one error rate for all of them.

Each region's statistic is Welch's t of its values in both groups. Who belongs to which group is dealt anew, and a region
counts as different where its |t| is beyond what the largest |t| of any region reaches by chance (max-T): the chance of even
one false alarm stays at the level, whatever the regions have to do with each other, and neighbours have much.

Sources: Westfall & Young, "Resampling-based multiple testing" (1993), single-step max-T; Nichols & Holmes, "Nonparametric
permutation tests for functional neuroimaging" (2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairaudit.predictions import BoolArray, FloatArray

_AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False)
class RegionTest:
    """What two groups of maps show, region by region.

    Attributes:
        difference: (r,) mean of the first group − mean of the second.
        t: (r,) Welch's statistic; 0 where nothing scatters and nothing differs.
        p: (r,) two-sided permutation p of each region alone.
        p_adjusted: (r,) the same for all regions together (max-T); never below ``p``.
        permutations: how many there were; no p is below 1 / (permutations + 1).
    """

    difference: FloatArray
    t: FloatArray
    p: FloatArray
    p_adjusted: FloatArray
    permutations: int


def region_test(first: FloatArray, second: FloatArray, permutations: int, rng: np.random.Generator) -> RegionTest:
    """Test every region of two groups of maps.

    Args:
        first: (n, r) one row per image or person, one column per region.
        second: (m, r) of the other group.
        permutations: how often groups are dealt anew.
        rng: of chance.

    Raises:
        ValueError: a group has fewer than two rows, or the regions do not agree.
    """
    if len(first) < 2 or len(second) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"two groups of two or more maps of the same regions are needed, not {first.shape}, {second.shape}"
        )
    rows = np.concatenate([first, second]).astype(np.float64)
    centre, n = rows.mean(0), len(first)
    rows = rows - centre  # the same for every dealing, and it keeps squares small
    observed = _welch(np.arange(len(rows))[None, :] < n, rows)[0]
    alone, together = np.zeros(rows.shape[1], dtype=np.int64), np.zeros(rows.shape[1], dtype=np.int64)
    bar = np.abs(observed) - 1e-9 * np.maximum(1.0, np.abs(observed))  # dealings that are equal must count as equal
    step = max(1, _AT_ONCE // rows.size)
    for start in range(0, permutations, step):
        dealt = _dealings(len(rows), n, min(step, permutations - start), rng)
        t = np.abs(_welch(dealt, rows))
        alone += (t >= bar).sum(0)
        together += (t.max(1)[:, None] >= bar).sum(0)
    return RegionTest(
        difference=first.mean(0) - second.mean(0),
        t=observed,
        p=(1 + alone) / (1 + permutations),
        p_adjusted=(1 + together) / (1 + permutations),
        permutations=permutations,
    )


def _dealings(total: int, n: int, count: int, rng: np.random.Generator) -> BoolArray:
    """(count, total) whether each row is dealt to the first group, of which there are n."""
    places = rng.permuted(np.broadcast_to(np.arange(total), (count, total)), axis=1)
    return np.asarray(places < n)


def _welch(first: BoolArray, rows: FloatArray) -> FloatArray:
    """(b, r) statistic for b dealings (b, n + m) of the rows (n + m, r), which are centred."""
    inside = first.astype(np.float64)
    squares = rows**2
    n, m = inside.sum(1, keepdims=True), (1 - inside).sum(1, keepdims=True)
    sum_a, square_a = inside @ rows, inside @ squares
    sum_b, square_b = rows.sum(0) - sum_a, squares.sum(0) - square_a
    variance_a = np.clip(square_a - sum_a**2 / n, 0.0, None) / (n - 1)
    variance_b = np.clip(square_b - sum_b**2 / m, 0.0, None) / (m - 1)
    error = np.sqrt(variance_a / n + variance_b / m)
    gap = sum_a / n - sum_b / m
    scale = np.abs(rows).max(0) + 1e-300
    with np.errstate(divide="ignore", invalid="ignore"):
        t = gap / error
    # Without scatter, a gap is beyond anything that chance deals, and no gap is none.
    flat = error <= 1e-9 * scale
    return np.asarray(np.where(flat, np.where(np.abs(gap) > 1e-9 * scale, np.copysign(1e12, gap), 0.0), t))


def grid_means(maps: FloatArray, rows: int, columns: int) -> FloatArray:
    """(n, rows × columns) mean of maps in the cells of a grid; cells are as equal as the pixels allow.

    Args:
        maps: (n, h, w).
        rows: of the grid, at most h.
        columns: of the grid, at most w.
    """
    n, h, w = maps.shape
    down, across = (np.arange(k + 1) * side // k for k, side in ((rows, h), (columns, w)))
    sums = np.add.reduceat(np.add.reduceat(maps, down[:-1], axis=1), across[:-1], axis=2)
    area = np.diff(down)[:, None] * np.diff(across)[None, :]
    return np.asarray((sums / area).reshape(n, rows * columns))
