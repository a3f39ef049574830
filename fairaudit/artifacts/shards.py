"""Parts of a table, read batch by batch: distinct combinations of values and how often each occurs, never all the rows.

What an audit needs of a row is its label, its prediction and its groups, and these take few distinct values. A hundred
million rows become a table of some hundred combinations, which is read like any other table (``tables``), so that classes,
levels and their spelling are found by one set of rules however large the table is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import text_array
from fairaudit.artifacts.cells import Cells, part_files, text_of
from fairaudit.errors import PredictionsError
from fairaudit.predictions import MISSING, IntArray

BATCH_ROWS = 1 << 19
MAX_VALUES = 10_000
"""Distinct values of one column in one batch; more of them are measurements or names, not levels."""
MAX_COMBINATIONS = 1_000_000
_DENSE = 1 << 22


@dataclass(frozen=True)
class Shards:
    """A table of one or more Parquet files that is not read as a whole.

    Attributes:
        name: the folder or file, for error sentences.
        parts: its files, in order.
        schema: columns of the first part, without rows, to ask what the table holds.
        rows: rows of all parts, by their metadata.
    """

    name: str
    parts: tuple[Path, ...]
    schema: Cells
    rows: int


@dataclass(frozen=True, eq=False)
class Counted:
    """Distinct rows of a few columns.

    Attributes:
        cells: (m,) distinct combinations, every value as text.
        times: (m,) how many rows of the whole table each stands for.
    """

    cells: Cells
    times: IntArray


def open_shards(path: Path) -> Shards:
    """The parts of a table, by their metadata alone.

    Args:
        path: a Parquet file, a folder of Parquet parts, or a folder that holds ``predictions.parquet`` or
            ``predictions/*.parquet``.

    Raises:
        PredictionsError: there are no parts, one cannot be read, or their columns differ.
    """
    parts = part_files(path)
    rows, columns, schema = 0, None, None
    for part in parts:
        with _opened(part) as file:
            found = file.schema_arrow
            rows += file.metadata.num_rows
        if schema is None:
            schema, columns = found, sorted(found.names)
        elif sorted(found.names) != columns:
            raise PredictionsError(f"{part} has other columns than {parts[0].name}; the parts of a table must agree")
    assert schema is not None  # part_files never returns an empty list
    if not rows:
        raise PredictionsError(f"{path} has a header but no rows; a table of predictions has one row per image")
    return Shards(str(path), tuple(parts), Cells(str(path), schema.empty_table(), dict(schema.metadata or {})), rows)


def count_combinations(shards: Shards, wanted: Sequence[Sequence[str]], filled: Sequence[str] = ()) -> list[Counted]:
    """Distinct combinations of columns and how often each occurs, for several sets of columns in one pass.

    Args:
        shards: the table.
        wanted: sets of columns.
        filled: columns that may not be empty in any row.

    Raises:
        PredictionsError: a part cannot be read, a column holds no levels, or has too many, or there are too many
            combinations to count; the sentence names it.
    """
    columns = list(dict.fromkeys(name for names in wanted for name in names))
    known: dict[str, dict[str | None, int]] = {name: {} for name in columns}
    totals: list[dict[tuple[int, ...], int]] = [{} for _ in wanted]
    empty = dict.fromkeys(filled, 0)
    for batch in _batches(shards, columns):
        coded = {name: _encoded(batch.column(name), name, shards.name) for name in columns}
        renumbered = {
            name: np.array([known[name].setdefault(text, len(known[name])) for text in texts], dtype=np.int64)
            for name, (_, texts) in coded.items()
        }
        for name in filled:
            codes, texts = coded[name]
            empty[name] += int(np.isin(codes, [i for i, text in enumerate(texts) if text is None]).sum())
        for names, total in zip(wanted, totals, strict=True):
            sizes = [len(coded[name][1]) for name in names]
            keys, times = _distinct([coded[name][0] for name in names], sizes, shards.name, names)
            indices = np.unravel_index(keys, sizes)
            local = np.stack([renumbered[name][i] for name, i in zip(names, indices, strict=True)], axis=1)
            for key, count in zip(map(tuple, local.tolist()), times.tolist(), strict=True):
                total[key] = total.get(key, 0) + count
            if len(total) > MAX_COMBINATIONS:
                raise _too_many(shards.name, names)
    for name, count in empty.items():
        if count:
            raise PredictionsError(
                f"column {name!r} of {shards.name} is empty in {count} rows; every image must have a prediction"
            )
    return [_counted(shards, names, total, known) for names, total in zip(wanted, totals, strict=True)]


def _counted(
    shards: Shards,
    names: Sequence[str],
    total: Mapping[tuple[int, ...], int],
    known: Mapping[str, Mapping[str | None, int]],
) -> Counted:
    keys = np.array(list(total), dtype=np.int64).reshape(len(total), len(names))
    data = {}
    for j, name in enumerate(names):
        texts = list(known[name])
        absent = known[name].get(None, MISSING)
        dictionary = text_array([text or "" for text in texts])
        taken = dictionary.take(pa.Array.from_buffers(pa.int64(), len(keys), [None, _buffer(keys[:, j])]))
        gone = pa.array((keys[:, j] == absent).tolist(), pa.bool_())
        data[name] = pc.if_else(gone, pa.scalar(None, pa.string()), taken)
    table = pa.table(data)
    times = np.fromiter(total.values(), dtype=np.int64, count=len(total))
    return Counted(Cells(shards.name, table, shards.schema.metadata), times)


def _buffer(numbers: IntArray) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(numbers).tobytes())


def _opened(part: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(part, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise PredictionsError(f"{part} cannot be read as Parquet: {str(error).partition(chr(10))[0]}") from error


def _batches(shards: Shards, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for part in shards.parts:
        texts = [f.name for f in _schema(part) if f.name in columns and _is_text(f.type)]
        try:
            # Texts stay the dictionary that the file stores: a number per row rather than a text.
            with pq.ParquetFile(part, memory_map=True, read_dictionary=texts, pre_buffer=False) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=True)
        except (pa.ArrowException, OSError) as error:
            raise PredictionsError(f"{part} cannot be read as Parquet: {str(error).partition(chr(10))[0]}") from error


def _schema(part: Path) -> pa.Schema:
    with _opened(part) as file:
        return file.schema_arrow


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _encoded(array: pa.Array, name: str, table: str) -> tuple[IntArray, list[str | None]]:
    """Codes of one batch's column, and the text of each code; None is an empty one."""
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise PredictionsError(f"column {name!r} of {table} holds {kind}, not labels")
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = array.dictionary.to_pylist() if len(array.dictionary) <= MAX_VALUES else []
    if len(array.dictionary) > MAX_VALUES:
        raise PredictionsError(
            f"column {name!r} of {table} has more than {MAX_VALUES} different values, too many to be counted in a stream; "
            "bin it into a few levels first"
        )
    indices = array.indices
    if indices.null_count:
        indices = indices.cast(pa.int64()).fill_null(len(values))
    return np.from_dlpack(indices).astype(np.int64), [*map(text_of, values), None]


def _distinct(
    codes: Sequence[IntArray], sizes: Sequence[int], table: str, names: Sequence[str]
) -> tuple[IntArray, IntArray]:
    """Distinct keys, mixed-radix numbers of the codes, and how often each occurs."""
    space = 1
    for size in sizes:
        space *= size
    if space >= 1 << 62:
        raise _too_many(table, names)
    key = np.zeros(len(codes[0]), dtype=np.int64)
    for code, size in zip(codes, sizes, strict=True):
        key *= size
        key += code
    if space > _DENSE:
        found, times = np.unique(key, return_counts=True)
        return found, times
    counts = np.bincount(key, minlength=space)
    found = np.flatnonzero(counts)
    return found, counts[found]


def _too_many(table: str, names: Sequence[Any]) -> PredictionsError:
    return PredictionsError(
        f"{table}: {', '.join(names)} together take more than {MAX_COMBINATIONS} different values, too many to be counted "
        "in a stream; cross fewer attributes, or bin them into fewer levels"
    )
