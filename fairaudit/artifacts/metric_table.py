"""The long table of a record's numbers as Parquet."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import number_array, text_array

_WHOLE = ("n", "support", "gained", "lost")
_REAL = (
    "value", "ci_low", "ci_high", "p_value", "p_holm", "p_bh", "value_before", "value_after", "change", "p_adjusted",
    "p_exact", "sd_before", "sd_after", "sd", "p_seeds", "image_low", "image_high", "p_images",
)  # fmt: skip
"""Columns of counts and of numbers, in the tables of all records."""


def metric_table_bytes(columns: Sequence[str], rows: Iterable[Sequence[str | float]]) -> bytes:
    """A Parquet file of one row per number: counts are integers, values doubles, and what is not known is null.

    Args:
        columns: names; ``n``, ``support``, ``gained`` and ``lost`` hold counts, values, limits and p-values numbers, the
            others texts.
        rows: one value per column; an empty text where a number is not known.
    """
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [_array(name, values) for name, values in zip(columns, cells, strict=True)]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), stream)
    return stream.getvalue()


def _array(name: str, values: Sequence[str | float]) -> pa.Array:
    if name not in _WHOLE + _REAL:
        return text_array([str(value) for value in values])
    numbers = number_array(np.array([math.nan if value == "" else float(value) for value in values], dtype=np.float64))
    return numbers.cast(pa.int64()) if name in _WHOLE else numbers
