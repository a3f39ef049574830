"""Label tables as datasets publish them: read as text, checked, and encoded into declared levels or numbers.

Everything is read as text first, so that ``NA`` may be a level, ``007`` keeps its zeros, and only an empty field is
missing.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairaudit.data.manifest import match_level
from fairaudit.errors import DataError, UnknownNameError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_id", "img")
MOST_LEVELS = 20
"""Whole numbers with more distinct values than this are measurements, not classes."""
_MOST_NAMED_LEVELS = 100
_EXACT = 2.0**53
"""Larger floats are no counts of anything, and not all of them are integers of 64 bits."""


def read_table(path: Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file as text.

    Args:
        path: the file; UTF-8 with or without a byte order mark, any line ends.
        required: columns that must be there.

    Returns:
        A frame of stripped strings, ``""`` where nothing was written.

    Raises:
        DataError: the file is missing, cannot be parsed or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        frame = _parquet_as_text(path) if path.suffix.casefold() == ".parquet" else _delimited_as_text(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8{_line_of(path)}; save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (
        pd.errors.ParserError,
        pd.errors.ParserWarning,
        pd.errors.EmptyDataError,
        pa.ArrowException,
        ValueError,
    ) as error:
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error
    require_columns(frame, required, path)
    return frame


def require_columns(frame: pd.DataFrame, required: Iterable[str], where: Path) -> None:
    """Check that a table has the columns that it must have.

    Raises:
        DataError: some are missing; the sentence names them and those that are there.
    """
    lacking = [c for c in required if c not in frame.columns]
    if lacking:
        raise DataError(
            f"{where} lacks the column{'s' if len(lacking) > 1 else ''} {listed(lacking)}; it has {listed(frame.columns)}"
        )


def path_column(frame: pd.DataFrame, where: Path, named: str | None = None) -> str:
    """The column that names the images: the one asked for, else the first with a usual name.

    Raises:
        DataError: there is no such column.
    """
    if named is not None:
        require_columns(frame, [named], where)
        return named
    folded = {c.casefold(): c for c in reversed([str(c) for c in frame.columns])}
    found = [folded[c] for c in PATH_COLUMNS if c in folded]
    if not found:
        raise DataError(
            f"{where} has no column that names the images ({', '.join(PATH_COLUMNS)}); it has {listed(frame.columns)}"
        )
    return found[0]


def row_ids(values: pd.Series[str], where: Path) -> pd.Series[str]:
    """Paths as row ids: forward slashes, without a leading ``./``.

    Raises:
        DataError: a row names no image.
    """
    empty = int((values == "").sum())
    if empty:
        first = int((values == "").to_numpy().argmax()) + 1
        raise DataError(f"{where}: {empty} of {len(values)} rows name no image, the first is row {first}")
    return values.str.replace("\\", "/", regex=False).str.replace(r"^(\./+)+", "", regex=True)


def encode(
    values: pd.Series[str], levels: Sequence[str], aliases: Mapping[str, str], column: str, where: Path | str
) -> pd.Categorical:
    """Turn text into declared levels; case is ignored, aliases are understood, ``""`` is missing.

    Args:
        values: (n,) labels as text.
        levels: declared levels, in the order that the column keeps.
        aliases: other spelling → level.
        column: named in the error.
        where: file named in the error.

    Raises:
        DataError: some labels are no level; the sentence lists them with counts.
    """
    codes, uniques = pd.factorize(values)
    index = {level: i for i, level in enumerate(levels)}
    lookup = np.full(len(uniques), -1, dtype=np.int64)
    unknown: list[str] = []
    for i, text in enumerate(uniques):
        if text != "":
            try:
                lookup[i] = index[match_level(text, levels, aliases, column)]
            except UnknownNameError:
                unknown.append(text)
    if unknown:
        wrong = values.isin(unknown)
        counted, first = values[wrong].value_counts(), int(wrong.to_numpy().argmax()) + 1
        raise DataError(
            f"{where}: {int(counted.sum())} labels of {column!r} are none of its levels: "
            f"{with_counts(counted)}; the levels are {', '.join(levels)} (first in row {first})"
        )
    return categorical(lookup[codes], levels)


def categorical(codes: NDArray[np.int64], levels: Sequence[str]) -> pd.Categorical:
    """A column of declared levels from (n,) codes into them; -1 is missing."""
    known = pd.Index(list(levels), dtype=object)
    column: pd.Categorical = pd.Categorical.from_codes(codes, categories=known)
    return column


def numbers(values: pd.Series[str], column: str, where: Path | str) -> pd.Series[float]:
    """Turn text into floats; ``""`` is nan.

    Raises:
        DataError: some are not finite numbers; the sentence lists them with counts.
    """
    parsed = pd.to_numeric(values.where(values != "", None), errors="coerce").astype("float64")
    wrong = values[(values != "") & ~np.isfinite(parsed)]
    if len(wrong):
        raise DataError(f"{where}: {len(wrong)} values of {column!r} are not numbers: {with_counts(wrong.value_counts())}")
    return parsed


def infer_columns(
    table: pd.DataFrame, categorical: Iterable[str], where: Path
) -> tuple[dict[str, pd.Categorical | pd.Series[float]], list[str]]:
    """Decide what the columns of a table without a card are: levels, numbers, or neither.

    A column is numeric when all its values are numbers and it is called ``age``, has a fraction, or has more than 20
    distinct values. Any other column is categorical with its distinct values as levels (numbers in numeric order, text
    in alphabetical order), unless it has more than 100 of them: free text, which is left out and noted.

    Args:
        table: text columns.
        categorical: columns that are levels whatever they look like, because the user named them.
        where: file named in notes.

    Returns:
        column → what it is, and notes about columns that were left out and labels that are empty.
    """
    forced = set(categorical)
    columns: dict[str, pd.Categorical | pd.Series[float]] = {}
    notes: list[str] = []
    for name in map(str, table.columns):
        values = table[name]
        distinct = pd.Series(values[values != ""].unique(), dtype=object)
        parsed = pd.to_numeric(distinct, errors="coerce").astype("float64")
        numeric = len(parsed) > 0 and bool(np.isfinite(parsed).all())
        measured = numeric and (
            name.casefold() == "age" or len(distinct) > MOST_LEVELS or not bool((parsed == parsed.round()).all())
        )
        if measured and name not in forced:
            columns[name] = numbers(values, name, where)
        elif len(distinct) > _MOST_NAMED_LEVELS and name not in forced:
            notes.append(f"{where.name}: column {name!r} has {len(distinct):,} distinct texts and is left out")
        else:
            order = parsed.argsort(kind="stable") if numeric else distinct.argsort(kind="stable")
            levels = [str(text) for text in distinct.iloc[order.to_numpy()]]
            columns[name] = encode(values, levels, {}, name, where)
    notes += missing_notes(columns, where.name)
    return columns, notes


def missing_notes(columns: Mapping[str, pd.Categorical | pd.Series[float]], where: str) -> list[str]:
    """One sentence per column that has empty labels."""
    counts = {name: int(np.asarray(pd.isna(values)).sum()) for name, values in columns.items()}
    return [
        f"{where}: {count:,} label{'s' if count > 1 else ''} of {name!r} {'are' if count > 1 else 'is'} empty; "
        f"the image{'s are' if count > 1 else ' is'} kept and counted as missing"
        for name, count in counts.items()
        if count
    ]


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Quoted names for a sentence, the first few and how many more."""
    known = [repr(str(n)) for n in names]
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return ", ".join(known[:limit]) + more


def with_counts(counted: pd.Series[int], limit: int = 8) -> str:
    """``'Elf' (3), 'Orc' (1)``, most frequent first, and how many more."""
    shown = ", ".join(f"{str(text)!r} ({count})" for text, count in counted.head(limit).items())
    return shown + (f" and {len(counted) - limit} more" if len(counted) > limit else "")


def _delimited_as_text(path: Path) -> pd.DataFrame:
    separator = "\t" if path.suffix.casefold() == ".tsv" else ","
    with warnings.catch_warnings():
        # fields beyond the header are dropped with a mere warning
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    frame.columns = frame.columns.str.strip()
    return pd.DataFrame({c: frame[c].fillna("").str.strip() for c in frame.columns})


def _line_of(path: Path) -> str:
    """Where a file that is no UTF-8 first is none: `` (line 7)``."""
    data = path.read_bytes()
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f" (line {line})"
    return ""


def _parquet_as_text(path: Path) -> pd.DataFrame:
    # Without pandas' own metadata: whatever a file says there would be believed, and it needs no pandas to be read.
    with pq.ParquetFile(path) as file:
        table = file.read()
    twice = [name for name, times in Counter(table.column_names).items() if times > 1]
    if twice:
        raise ValueError(f"it has several columns called {twice[0]!r}")
    unnamed = [name for name in table.column_names if name.startswith("__index_level_")]
    frame = table.drop_columns(unnamed).to_pandas(ignore_metadata=True)
    return pd.DataFrame({str(c): _as_text(frame[c]) for c in frame.columns})


def _as_text(values: pd.Series[Any]) -> pd.Series[str]:
    if pd.api.types.is_float_dtype(values.dtype):
        # a column of whole numbers with gaps is stored as floats: 1.0 means the label 1
        held = values.dropna().astype("float64")
        whole = bool(((held == held.round()) & (held.abs() < _EXACT)).all())
        values = values.astype("Int64") if whole else values
    return pd.Series(["" if pd.isna(v) else str(v).strip() for v in values.tolist()], dtype=str)
