"""A table of texts and numbers as CSV or Parquet, by the file's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import number_array, text_array
from fairaudit.artifacts.cells import PARQUET_SUFFIXES
from fairaudit.artifacts.folder import write_whole
from fairaudit.errors import UsageError
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results.spreadsheet import guarded


def check_wide_table(path: Path, option: str) -> None:
    """Refuse a name that says no format; called before a long run.

    Raises:
        UsageError: it ends in neither ``.csv`` nor ``.parquet``.
    """
    if path.suffix.lower() not in (".csv", *PARQUET_SUFFIXES):
        raise UsageError(f"{option} {path}: the table is written as .csv or .parquet; end the name in one of them")


def write_wide_table(path: Path, columns: Mapping[str, Sequence[str] | FloatArray | IntArray]) -> None:
    """Write a table, whole or not at all; in a CSV, no text is one that a spreadsheet would take for a formula.

    Args:
        path: see ``check_wide_table``.
        columns: name → texts, counts, or numbers, of which nan is written as not known.

    Raises:
        OutputError: it could not be written.
    """
    arrays, as_csv = [], path.suffix.lower() == ".csv"
    for values in columns.values():
        if not isinstance(values, np.ndarray):
            arrays.append(text_array([guarded(text) for text in values] if as_csv else list(values)))
        else:
            arrays.append(pa.array(values) if values.dtype.kind == "i" else number_array(values.astype(np.float64)))
    table, sink = pa.Table.from_arrays(arrays, names=list(columns)), pa.BufferOutputStream()
    if as_csv:
        pa_csv.write_csv(table, sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
