"""The long table of an audit's numbers as Parquet."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import number_array, text_array

_WHOLE = ("n", "support")
_REAL = ("value", "ci_low", "ci_high", "p_value", "p_holm", "p_bh")


def metric_table_bytes(columns: Sequence[str], rows: Iterable[Sequence[str | float]]) -> bytes:
    """A Parquet file of one row per number: counts are integers, values doubles, and what is not known is null.

    Args:
        columns: names; ``n`` and ``support`` hold counts, values, limits and p-values numbers, the others texts.
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
