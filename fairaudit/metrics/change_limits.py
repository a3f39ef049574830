"""Limits of a change: what lies between a number before and after, when both are uncertain.

Of one proportion of the same images, Bonett and Price's (2012); of any two numbers with limits of their own, MOVER, into
which the correlation of the two enters where the images are the same.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from fairaudit.metrics.measure import Measure
from fairaudit.predictions import FloatArray, IntArray


def bonett_price(
    gained: IntArray | FloatArray, lost: IntArray | FloatArray, n: IntArray | FloatArray, z: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of the difference of two proportions of the same images (Bonett & Price 2012): Wald with one image added each.

    Args:
        gained: (…) images counted by the second only.
        lost: (…) images counted by the first only.
        n: (…) images.
        z: quantile of each side.
    """
    size = n + 2.0
    up, down = (gained + 1) / size, (lost + 1) / size
    centre, half = up - down, z * np.sqrt((up + down - (up - down) ** 2) / size)
    return np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)


def mover_change(measures: tuple[Measure, Measure], z: float, correlation: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Limits of after − before by MOVER for correlated estimates (Zou & Donner 2008).

    Args:
        measures: before and after.
        z: quantile of each side.
        correlation: (g,) of the two estimates, 0 for other images.
    """
    first, second = measures
    (low1, high1), (low2, high2) = first.limits(z), second.limits(z)
    d = second.value - first.value
    down1, up1, down2, up2 = first.value - low1, high1 - first.value, second.value - low2, high2 - second.value
    below = np.sqrt(np.maximum(down2**2 + up1**2 - 2 * correlation * down2 * up1, 0.0))
    above = np.sqrt(np.maximum(up2**2 + down1**2 - 2 * correlation * up2 * down1, 0.0))
    widest = first.most - first.least
    return np.maximum(d - below, -widest), np.minimum(d + above, widest)


def mover_p(measures: tuple[Measure, Measure]) -> FloatArray:
    """(g,) two-sided p of no change between other images: where the MOVER interval would just reach 0.

    Args:
        measures: before and after.
    """
    d = measures[1].value - measures[0].value
    none = np.zeros(len(d))

    def facing(grid: FloatArray) -> FloatArray:
        """(z, g) how far the limit that faces 0 is from it; it moves towards it as z grows."""
        reach = [mover_change(measures, float(z), none) for z in grid]
        return np.where(d > 0, [low for low, _ in reach], -np.array([high for _, high in reach]))

    # coarse steps, and fine ones where a group's limit reaches 0
    coarse = np.linspace(0.0, 8.2, 18)
    first = np.argmax(facing(coarse) <= 0, axis=0)
    fine = [np.linspace(coarse[j - 1], coarse[j], 9)[1:-1] for j in np.unique(first[first > 0])]
    grid = np.sort(np.concatenate([coarse, *fine]))
    nearest = facing(grid)
    p = np.full(len(d), np.nan)
    for i in np.flatnonzero(~np.isnan(d)):
        inside = np.flatnonzero(nearest[:, i] <= 0)
        at = grid[-1] if len(inside) == 0 else grid[inside[0]]
        if len(inside) and inside[0] > 0:
            j = inside[0]
            outer, inner = nearest[j - 1, i], nearest[j, i]
            at = grid[j - 1] + (grid[j] - grid[j - 1]) * outer / (outer - inner)
        p[i] = 2 * float(ndtr(-at)) if d[i] != 0 else 1.0
    return p
