"""A table of text and numbers: any CSV or Parquet file as named columns that can be asked for codes or numbers.

CSV is read as text, so that ``007``, ``True`` and ``1e5`` stay what the file says until a column is asked for numbers.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fairaudit.errors import PredictionsError, suggest
from fairaudit.predictions import MISSING, FloatArray, IntArray

MISSING_TEXTS = ["", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "#N/A"]
"""What an unquoted CSV cell says when it says nothing. ``None`` is not among them: people label glasses so."""

PARQUET_SUFFIXES = (".parquet", ".pq")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True, eq=False)
class Cells:
    """One table as it stands in a file.

    Attributes:
        name: the file, for error sentences.
        table: its columns.
        metadata: the Parquet schema's own metadata; empty for CSV.
    """

    name: str
    table: pa.Table
    metadata: dict[bytes, bytes]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the file's order."""
        return list(self.table.column_names)

    def require(self, column: str, what: str) -> str:
        """A column's name, or an error that says what it was wanted for.

        Raises:
            PredictionsError: the table has no such column, or has it twice.
        """
        count = self.columns.count(column)
        if count == 1:
            return column
        if count == 0:
            raise PredictionsError(f"{self.name} has no column {column!r} ({what}){suggest(column, self.columns)}")
        raise PredictionsError(f"{self.name} has {count} columns called {column!r} ({what}); rename all but one")

    def coded(self, column: str) -> tuple[IntArray, list[str]]:
        """A column as text.

        Returns:
            (n,) index into the distinct texts, ``MISSING`` where empty, and those texts in order of appearance.
        """
        data = self.table[self.require(column, "which is read")]
        if pa.types.is_dictionary(data.type):
            data = data.cast(data.type.value_type)
        if pa.types.is_nested(data.type) or pa.types.is_binary(data.type) or pa.types.is_large_binary(data.type):
            raise PredictionsError(f"column {column!r} of {self.name} holds {data.type}, not labels")
        encoded = data.combine_chunks().dictionary_encode(null_encoding="encode")
        texts = [text_of(value) for value in encoded.dictionary.to_pylist()]
        distinct = list(dict.fromkeys(text for text in texts if text is not None))
        index = {text: i for i, text in enumerate(distinct)}
        codes = np.array([MISSING if t is None else index[t] for t in texts], dtype=np.int64)
        return codes[np.from_dlpack(encoded.indices)], distinct

    def texts(self, column: str) -> list[str | None]:
        """A column as text, None where empty."""
        codes, distinct = self.coded(column)
        known: list[str | None] = [*distinct, None]
        return [known[code] for code in codes]

    def numbers(self, column: str) -> FloatArray | None:
        """(n,) a column as numbers, nan where empty; None if it holds anything else, or nothing at all."""
        data = self.table[self.require(column, "which is read")]
        if pa.types.is_dictionary(data.type):
            data = data.cast(data.type.value_type)
        if pa.types.is_boolean(data.type) or data.null_count == len(data):
            return None
        if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
            data = pc.utf8_trim_whitespace(data)
            if pc.min(pc.binary_length(data)).as_py() == 0:
                data = pc.if_else(pc.equal(data, ""), None, data)
        elif not (pa.types.is_integer(data.type) or pa.types.is_floating(data.type) or pa.types.is_decimal(data.type)):
            return None
        try:
            data = data.cast(pa.float64()).combine_chunks()
        except pa.ArrowInvalid:
            return None
        # By way of the buffer, because to_numpy and pa.scalar import pandas, which takes longer than the audit.
        numbers = np.frombuffer(data.buffers()[1], np.float64, len(data), data.offset * 8)
        return np.where(np.from_dlpack(pc.is_null(data).cast(pa.uint8())), np.nan, numbers)


def read_cells(path: Path) -> Cells:
    """Read a CSV or Parquet file, or a folder of Parquet files that together are one table.

    Args:
        path: a ``.csv``, ``.tsv`` or ``.parquet`` file, or a folder holding ``predictions.parquet`` or Parquet parts.

    Raises:
        PredictionsError: there is no such file, it is empty, or cannot be read as a table.
    """
    if path.is_dir():
        return _read_folder(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PredictionsError(
            f"{path}: no such file; name a CSV or Parquet table of predictions or a run folder"
        ) from error
    except OSError as error:
        raise PredictionsError(f"{path} cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise PredictionsError(f"{path} is empty; a table of predictions has a header and one row per image")
    if path.suffix.lower() in PARQUET_SUFFIXES or data.startswith(_PARQUET_MAGIC):
        table = _parquet(data, str(path))
        return _filled(Cells(str(path), table, dict(table.schema.metadata or {})))
    if path.suffix.lower() == ".json":
        raise PredictionsError(f"{path} is no table of predictions; name a CSV or Parquet file, or a run folder")
    return _filled(Cells(str(path), _csv(data, str(path)), {}))


def natural(text: str) -> tuple[tuple[int, float, str], ...]:
    """Sort key under which ``3-9`` comes before ``10-19`` and ``-1`` before ``1``."""
    try:
        return ((0, float(text), ""),)
    except ValueError:
        parts = re.split(r"(\d+)", text)
        return tuple((0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in parts if part)


def _filled(cells: Cells) -> Cells:
    if not len(cells):
        raise PredictionsError(f"{cells.name} has a header but no rows; a table of predictions has one row per image")
    return cells


def part_files(path: Path) -> list[Path]:
    """The Parquet files that together are one table, in order; the file itself where it is one.

    Raises:
        PredictionsError: there is none.
    """
    whole = path / "predictions.parquet"
    if path.is_file() or whole.is_file():
        return [path if path.is_file() else whole]
    folder = next((f for f in (whole, path / "predictions", path) if f.is_dir() and any(f.glob("*.parquet"))), None)
    if folder is None:
        raise PredictionsError(f"{path} holds no predictions: neither predictions.parquet nor *.parquet parts")
    return sorted(folder.glob("*.parquet"))


def _read_folder(path: Path) -> Cells:
    parts = part_files(path)
    folder = parts[0].parent
    if parts == [path / "predictions.parquet"]:
        return read_cells(parts[0])
    tables = [_parquet(part.read_bytes(), str(part)) for part in parts]
    first = tables[0]
    for part, table in zip(parts, tables, strict=True):
        if Counter(table.column_names) != Counter(first.column_names):
            raise PredictionsError(f"{part} has other columns than {parts[0].name}; the parts of a table must agree")
    plain = [_decoded(table).select(first.column_names).replace_schema_metadata(None) for table in tables]
    try:
        merged = pa.concat_tables(plain, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise PredictionsError(f"the parts in {folder} do not fit together: {_first_line(error)}") from error
    return _filled(Cells(str(folder), merged, dict(first.schema.metadata or {})))


def _decoded(table: pa.Table) -> pa.Table:
    for i, kind in enumerate(table.schema.types):
        if pa.types.is_dictionary(kind):
            table = table.set_column(i, table.column_names[i], table.column(i).cast(kind.value_type))
    return table


def _parquet(data: bytes, name: str) -> pa.Table:
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()  # pq.read_table would import pandas
        table.validate(full=True)  # texts that are no UTF-8, codes beyond their levels
        "".join(table.column_names)
        return table
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise PredictionsError(f"{name} cannot be read as Parquet: {_first_line(error)}") from error


def _csv(data: bytes, name: str) -> pa.Table:
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PredictionsError(f"{name} is UTF-16 text; save it as UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PredictionsError(f"{name} is not UTF-8 text (line {line}); save it as UTF-8, or as Parquet") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise PredictionsError(f"{name} is neither CSV nor Parquet: it holds binary data (line {line})")
    delimiter = _delimiter(text)
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    options = pa_csv.ConvertOptions(
        column_types={column: pa.string() for column in header},
        null_values=MISSING_TEXTS,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parsing = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)

    def parsed(threads: bool) -> pa.Table:
        reading = pa_csv.ReadOptions(use_threads=threads)
        return pa_csv.read_csv(pa.BufferReader(data), reading, parse_options=parsing, convert_options=options)

    try:
        return parsed(True)
    except pa.ArrowInvalid:
        try:  # the rows are only counted where one thread reads them all
            return parsed(False)
        except pa.ArrowInvalid as error:
            raise PredictionsError(f"{name} cannot be read as CSV: {_parse_error(error, text)}") from error


def _parse_error(error: pa.ArrowInvalid, text: str) -> str:
    """What is wrong and where, lines counted from the header's, which is the first."""
    said = _first_line(error)
    if "straddling" in said:
        return f"a quotation mark is opened and not closed, or closed far below (line {_last_record(text)})"
    return re.sub(r"^Row #(\d+)", r"line \1", said)


def _last_record(text: str) -> int:
    """The line on which the last record begins, or the first that is too long for a record."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    begun = line = 1
    with contextlib.suppress(csv.Error):
        for _ in reader:
            begun, line = line, reader.line_num + 1
        line = begun
    return line


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].removeprefix("CSV parse error: ")


def text_of(value: Any) -> str | None:
    """How a cell is written: whole floats without their ``.0``, so that labels 1 and 1.0 are the same."""
    if value is None or value != value or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def sorted_levels(texts: Sequence[str]) -> tuple[str, ...]:
    """Distinct texts in natural order."""
    return tuple(sorted(set(texts), key=natural))
