"""Columns of numbers that must lie in a range, and the row that does not: one of a million must be found."""

from __future__ import annotations

import numpy as np

from fairaudit.artifacts.cells import Cells
from fairaudit.errors import PredictionsError
from fairaudit.predictions import FloatArray, IntArray, check_weights


def scores_in_range(cells: Cells, column: str) -> FloatArray:
    """(n,) a column of scores.

    Raises:
        PredictionsError: it is not a column of numbers, or one is missing or outside [0, 1].
    """
    scores = cells.numbers(cells.require(column, "scores"))
    if scores is None:
        raise PredictionsError(
            f"column {column!r} of {cells.name} does not hold scores: they must be numbers from 0 to 1"
            f"{_first_text(cells, column)}"
        )
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        first = scores[bad[0]]
        shown = "missing" if np.isnan(first) else f"{first:g}"
        raise PredictionsError(
            f"column {column!r} of {cells.name}: {len(bad)} of {len(scores)} scores are missing or outside 0 to 1, the "
            f"first in row {bad[0] + 1} ({shown}); scores must be probability-like, after softmax or sigmoid"
        )
    return scores


def _first_text(cells: Cells, column: str) -> str:
    """``; the first that is none is 'abc' (row 7)``, where a column has texts among its numbers."""
    codes, texts = cells.coded(column)
    for code, text in enumerate(texts):
        try:
            float(text)
        except ValueError:
            return f"; the first that is none is {text!r} (row {row_of(codes, code)})"
    return ""


def row_of(codes: IntArray, code: int) -> int:
    """The first row, from 1, that has a code.

    Args:
        codes: (n,) as ``Cells.coded`` gives them.
        code: one of these.
    """
    return int(np.flatnonzero(codes == code)[0]) + 1


def weights_of(cells: Cells, column: str) -> FloatArray:
    """(n,) a column of weights.

    Raises:
        PredictionsError: it is not a column of numbers, or one is missing or below 0.
    """
    weight = cells.numbers(cells.require(column, "--weight"))
    if weight is None:
        raise PredictionsError(
            f"column {column!r} of {cells.name} does not hold weights: they must be numbers, 0 or more, that say how many "
            f"images a row stands for{_first_text(cells, column)}"
        )
    check_weights(weight, f"weights in column {column!r} of {cells.name}")
    return weight
