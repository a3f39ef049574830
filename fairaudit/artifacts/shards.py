"""Parts of a table, read batch by batch: distinct combinations of values and how often each occurs, never all the rows.

What an audit needs of a row is its label, its prediction and its groups, and these take few distinct values. A hundred
million rows become a table of some hundred combinations, which is read like any other table (``tables``), so that classes,
levels and their spelling are found by one set of rules however large the table is.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import text_array
from fairaudit.artifacts.cells import Cells, part_files, text_of
from fairaudit.errors import PredictionsError
from fairaudit.metrics.score_bins import RANK_BINS, rank_bins
from fairaudit.predictions import MISSING, IntArray

BATCH_ROWS = 1 << 19
MAX_VALUES = 10_000
"""Distinct values of one column in one batch; more of them are measurements or names, not levels."""
MAX_COMBINATIONS = 1_000_000
MAX_HISTOGRAMS = 1024
"""Histograms of scores that are kept of one set of columns, an eighth of a megabyte each."""
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
        scores: (m, s, b) of these rows, how many have a score in each bin (``rank_bins``), for each of s columns; None
            where no scores were asked for, or there are too many combinations.
    """

    cells: Cells
    times: IntArray
    scores: IntArray | None = None


@dataclass(eq=False)
class _Total:
    """What was counted of one set of columns."""

    places: dict[tuple[int, ...], int] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    scores: list[IntArray] | None = None

    def add(self, keys: Sequence[tuple[int, ...]], times: Sequence[int], of: IntArray, bins: Sequence[IntArray]) -> None:
        """Add a batch.

        Args:
            keys: its distinct combinations.
            times: how often each occurs.
            of: (n,) which of them each row has; not looked at where there are no scores.
            bins: of each score column, (n,) the bin of each row.
        """
        for key, count in zip(keys, times, strict=True):
            place = self.places.setdefault(key, len(self.places))
            if place == len(self.times):
                self.times.append(0)
            self.times[place] += count
        if not bins:
            return
        if self.scores is None:
            self.scores = []
        if len(self.places) * len(bins) > MAX_HISTOGRAMS:
            self.scores = None
            return
        self.scores += [
            np.zeros((len(bins), RANK_BINS), dtype=np.int64) for _ in range(len(self.places) - len(self.scores))
        ]
        for column, own in enumerate(bins):
            found = np.bincount(of * RANK_BINS + own, minlength=len(keys) * RANK_BINS).reshape(len(keys), RANK_BINS)
            for key, histogram in zip(keys, found, strict=True):
                self.scores[self.places[key]][column] += histogram


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


def count_combinations(
    shards: Shards, wanted: Sequence[Sequence[str]], filled: Sequence[str] = (), scores: Sequence[str] = ()
) -> list[Counted]:
    """Distinct combinations of columns and how often each occurs, for several sets of columns in one pass.

    Args:
        shards: the table.
        wanted: sets of columns.
        filled: columns that may not be empty in any row.
        scores: columns of scores, of which histograms are kept for every combination.

    Raises:
        PredictionsError: a part cannot be read, a column holds no levels, or has too many, or there are too many
            combinations to count, or a score is none; the sentence names it.
    """
    columns = list(dict.fromkeys(name for names in wanted for name in names))
    known: dict[str, dict[str | None, int]] = {name: {} for name in columns}
    totals = [_Total() for _ in wanted]
    empty = dict.fromkeys(filled, 0)
    read = 0
    for batch in _batches(shards, [*columns, *scores]):
        coded = {name: _encoded(batch.column(name), name, shards.name) for name in columns}
        bins = [_score_bins(batch.column(name), name, shards.name, read) for name in scores]
        read += batch.num_rows
        renumbered = {
            name: np.array([known[name].setdefault(text, len(known[name])) for text in texts], dtype=np.int64)
            for name, (_, texts) in coded.items()
        }
        for name in filled:
            codes, texts = coded[name]
            empty[name] += int(np.isin(codes, [i for i, text in enumerate(texts) if text is None]).sum())
        for names, total in zip(wanted, totals, strict=True):
            sizes = [len(coded[name][1]) for name in names]
            rows = _keys([coded[name][0] for name in names], sizes, shards.name, names)
            keys, times = _distinct(rows, sizes)
            indices = np.unravel_index(keys, sizes)
            local = np.stack([renumbered[name][i] for name, i in zip(names, indices, strict=True)], axis=1)
            of = np.searchsorted(keys, rows) if scores else rows
            total.add([tuple(key) for key in local.tolist()], times.tolist(), of, bins)
            if len(total.places) > MAX_COMBINATIONS:
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
    total: _Total,
    known: Mapping[str, Mapping[str | None, int]],
) -> Counted:
    keys = np.array(list(total.places), dtype=np.int64).reshape(len(total.places), len(names))
    data = {}
    for j, name in enumerate(names):
        texts = list(known[name])
        absent = known[name].get(None, MISSING)
        dictionary = text_array([text or "" for text in texts])
        taken = dictionary.take(pa.Array.from_buffers(pa.int64(), len(keys), [None, _buffer(keys[:, j])]))
        gone = pa.array((keys[:, j] == absent).tolist(), pa.bool_())
        data[name] = pc.if_else(gone, pa.scalar(None, pa.string()), taken)
    table = pa.table(data)
    scores = None if total.scores is None else np.stack(total.scores)
    return Counted(Cells(shards.name, table, shards.schema.metadata), np.array(total.times, dtype=np.int64), scores)


def _buffer(numbers: IntArray) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(numbers).tobytes())


def _opened(part: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(part, memory_map=True)
    except PermissionError as error:
        raise PredictionsError(f"{part} cannot be read: {os.strerror(error.errno or errno.EACCES)}") from error
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


def _score_bins(array: pa.Array, name: str, table: str, before: int) -> IntArray:
    """(n,) bin of each score of one batch; ``before`` rows were read before it."""
    kind = array.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise PredictionsError(f"column {name!r} of {table} holds {kind}, not scores")
    score = np.asarray(array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    lacking = np.isnan(score)
    bad = lacking | (score < 0) | (score > 1)
    if bad.any():
        first = int(bad.argmax())
        said = "no score" if lacking[first] else "a score outside 0 to 1"
        raise PredictionsError(
            f"row {before + first + 1} of {table} has {said} in the column {name!r}; write a share of 1 for every row, or "
            "leave the column out"
        )
    return rank_bins(score).astype(np.int64)


def _keys(codes: Sequence[IntArray], sizes: Sequence[int], table: str, names: Sequence[str]) -> IntArray:
    """(n,) mixed-radix numbers of the codes."""
    if math.prod(sizes) >= 1 << 62:
        raise _too_many(table, names)
    key = np.zeros(len(codes[0]), dtype=np.int64)
    for code, size in zip(codes, sizes, strict=True):
        key *= size
        key += code
    return key


def _distinct(key: IntArray, sizes: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Distinct keys, rising, and how often each occurs."""
    space = math.prod(sizes)
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
