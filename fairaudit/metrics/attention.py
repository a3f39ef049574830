"""Where the weight of a map lies: how much of it in a region, whether its peak is there, how two maps go together.

A map is signed: above 0 speaks for a class, below 0 against it. Attention is what is above 0, and where a map has nothing
above 0 there is none, which is nan here and never 0.

Sources: the pointing game, Zhang et al., "Top-down neural attention by excitation backprop" (2018); energy in a region,
Wang et al., "Score-CAM" (2020).
"""

from __future__ import annotations

import numpy as np

from fairaudit.predictions import BoolArray, FloatArray


def mass_share(heat: FloatArray, region: BoolArray) -> float:
    """Share of the attention that lies in a region; nan where there is no attention.

    Args:
        heat: (h, w) signed map.
        region: (h, w) where.
    """
    positive = np.clip(heat, 0.0, None)
    total = float(positive.sum())
    return float(positive[region].sum()) / total if total > 0 else float("nan")


def concentration(heat: FloatArray, region: BoolArray) -> float:
    """How many times as much attention lies in a region as an even map would have there; nan where there is none.

    Args:
        heat: (h, w) signed map.
        region: (h, w) where.
    """
    area = float(region.mean())
    return mass_share(heat, region) / area if area > 0 else float("nan")


def points_inside(heat: FloatArray, region: BoolArray) -> bool | None:
    """Whether a map's peak lies in a region (the pointing game); None where there is no attention.

    Of several equal peaks, such as the pixels of one superpixel, the majority decides.

    Args:
        heat: (h, w) signed map.
        region: (h, w) where.
    """
    top = float(heat.max())
    return bool(region[heat == top].mean() > 0.5) if top > 0 else None


def correlation(heat: FloatArray, other: FloatArray) -> float:
    """Pearson's correlation of the attention with another map, over pixels; nan where one of them is even.

    Args:
        heat: (h, w) signed map.
        other: (h, w) any map.
    """
    a, b = np.clip(heat, 0.0, None).ravel(), np.asarray(other, dtype=np.float64).ravel()
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def bottom_region(values: FloatArray, area: int) -> BoolArray:
    """(h, w) as many pixels with the lowest values of a map: what a region of the same size elsewhere is.

    Args:
        values: (h, w) any map.
        area: how many pixels; ties are broken from the top left.
    """
    region = np.zeros(values.size, dtype=np.bool_)
    region[np.argsort(values, axis=None, kind="stable")[:area]] = True
    return region.reshape(values.shape)
