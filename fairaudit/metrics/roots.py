"""Roots: where functions that rise reach what is asked of them, for many at once and with few evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairaudit.predictions import FloatArray, IntArray

_STEPS = 100


def where_reached(
    at: Callable[[IntArray, FloatArray], FloatArray],
    wanted: FloatArray,
    start: FloatArray,
    known: FloatArray,
    slope: FloatArray,
    highest: float,
    close: float,
) -> FloatArray:
    """(m,) arguments from 0 to ``highest`` at which functions that rise reach a value; the nearer end where they never do.

    Secants, kept within what is known to lie below and above; where one leads out of it, the middle is taken.

    Args:
        at: (n,) which of them, and (n,) arguments → (n,) values.
        wanted: (m,) the values.
        start: (m,) arguments to start from.
        known: (m,) values there.
        slope: (m,) what the functions are thought to rise by.
        highest: the largest argument, or inf.
        close: of two steps that follow each other, the product at which the second is the last: the error that remains is
            that product times a curvature.
    """
    found = start.copy()
    open_ = np.arange(len(wanted))
    left, right = np.where(known < wanted, start, -1.0), np.where(known < wanted, highest + 1, start)
    before, short_before = start, wanted - known
    with np.errstate(divide="ignore", invalid="ignore"):
        x = _inside(start + short_before / slope, left, right, highest)[0]
    for _ in range(_STEPS):
        short = wanted[open_] - at(open_, x)
        found[open_] = x
        left, right = np.where(short > 0, x, left), np.where(short > 0, right, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            new, straight = _inside(x - short * (x - before) / (short - short_before), left, right, highest)
            near = straight & (np.abs((new - x) * (x - before)) <= close)
        found[open_[near]] = new[near]
        at_an_end = ((x <= 0) & (short <= 0)) | ((x >= highest) & (short >= 0))
        more = ~near & ~at_an_end & (short != 0) & (right - left > 1e-14 * np.maximum(x, 1.0))
        if not more.any():
            break
        open_, before, short_before = open_[more], x[more], short[more]
        x, left, right = new[more], left[more], right[more]
    return found


def _inside(
    x: FloatArray, left: FloatArray, right: FloatArray, highest: float
) -> tuple[FloatArray, np.typing.NDArray[np.bool_]]:
    """Arguments between what is known to lie below and above, and which of them were so already."""
    x = np.minimum(np.maximum(np.where(np.isnan(x), -1.0, x), 0.0), highest)
    straight = (x > left) & (x < right)
    low = np.maximum(left, 0.0)
    middle = np.where(np.isinf(right), 2 * low + 1, (low + np.minimum(right, highest)) / 2)
    return np.where(straight, x, middle), straight
