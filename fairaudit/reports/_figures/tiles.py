"""Tiles: coloured cells of matrices, hatched where there is no number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairaudit.reports._figures.canvas import PAPER, RULE, SHADE, ramp

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tiles(axes: Axes, shares: Sequence[Sequence[float | None]], gap: float = 0.8) -> None:
    """Draw a matrix, row by row from the top.

    Args:
        axes: the whole of it is taken.
        shares: from 0 to 1, light to dark; None is hatched.
        gap: width of the lines between cells, in points.
    """
    from matplotlib.collections import PolyCollection

    known, unknown, colours = [], [], []
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            corners = [(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)]
            if share is None:
                unknown.append(corners)
            else:
                known.append(corners)
                colours.append(ramp(share))
    axes.add_collection(PolyCollection(known, facecolors=colours, edgecolors=PAPER, linewidths=gap))
    axes.add_collection(PolyCollection(unknown, facecolors=SHADE, edgecolors=PAPER, linewidths=gap))
    axes.add_collection(PolyCollection(unknown, facecolors="none", edgecolors=RULE, linewidths=0, hatch="////"))
    axes.set_xlim(-0.5, max(map(len, shares)) - 0.5)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
