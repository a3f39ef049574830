"""The table of predictions as a file: ours with everything declared, anybody's with a few hints.

Our columns: ``row``; for each target ``T``: ``T`` (label), ``T_pred`` and ``T_score[CLASS]``; the attributes; numbers;
``identity``, and ``second`` where rows are pairs; ``weight``. In Parquet every categorical column is dictionary-encoded
with all of its declared levels, in order, and the schema metadata ``fairaudit`` says which column is what. A CSV holds the
same columns but cannot declare absent levels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fairaudit.artifacts.arrow import level_array, number_array, text_array
from fairaudit.artifacts.cells import PARQUET_SUFFIXES, Cells, read_cells, sorted_levels
from fairaudit.artifacts.consistency import description_is_plain
from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.foreign import TableColumns, read_foreign
from fairaudit.artifacts.ranges import scores_in_range
from fairaudit.errors import PredictionsError, suggest
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray, Predictions, StrArray, Task

__all__ = ["DESCRIPTION", "TableColumns", "described", "predictions_of", "read_predictions", "write_predictions"]

FORMAT_VERSION = 1
DESCRIPTION = b"fairaudit"
SECOND = "second"
"""Column of who is on the other picture of a pair."""


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions as Parquet, or as CSV where the name ends in ``.csv``.

    Args:
        predictions: what to write.
        path: the file; appears whole or not at all.

    Raises:
        OutputError: it could not be written.
        PredictionsError: the name ends in neither ``.parquet`` nor ``.csv``, or two columns would share a name.
    """
    suffix = path.suffix.lower()
    if suffix not in (*PARQUET_SUFFIXES, ".csv"):
        raise PredictionsError(f"{path}: a table of predictions is written as .parquet or .csv")
    table, description = _to_table(predictions)
    sink = pa.BufferOutputStream()
    if suffix == ".csv":
        plain = [c.cast(pa.string()) if pa.types.is_dictionary(c.type) else c for c in table.columns]
        pa_csv.write_csv(pa.table(plain, names=table.column_names), sink)
    else:
        text = json.dumps(description, ensure_ascii=False).encode("utf-8")
        pq.write_table(table.replace_schema_metadata({DESCRIPTION: text}), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_predictions(path: Path, columns: TableColumns | None = None) -> Predictions:
    """Read predictions: a file of ours without hints, anybody's CSV or Parquet with them.

    Args:
        path: the file, a run folder, or a folder of Parquet parts that together are one table.
        columns: which columns mean what. None takes what the file declares; in a file that declares nothing, every column
            ``X`` with a column ``X_pred`` beside it is a target.

    Raises:
        PredictionsError: the file cannot be read, or its columns cannot be used; the sentence says which and why.
    """
    return predictions_of(read_cells(path), columns)


def predictions_of(cells: Cells, columns: TableColumns | None = None) -> Predictions:
    """Predictions from a table that has been read, see ``read_predictions``."""
    description = described(cells)
    if columns is not None:
        levels = {c: tuple(v) for c, v in description.get("levels", {}).items()} if description else {}
        return read_foreign(cells, columns, levels)
    if description is not None:
        return _from_description(cells, description)
    return _from_names(cells)


def _to_table(predictions: Predictions) -> tuple[pa.Table, dict[str, Any]]:
    data: dict[str, pa.Array] = {}
    levels: dict[str, list[str]] = {}

    def put(name: str, array: pa.Array) -> str:
        if name in data:
            raise PredictionsError(f"two columns of the predictions table would be called {name!r}; rename one")
        data[name] = array
        return name

    def put_codes(name: str, codes: IntArray, names: tuple[str, ...]) -> str:
        levels[name] = list(names)
        return put(name, level_array(codes, names))

    put("row", text_array([str(row) for row in predictions.rows]))
    tasks = {}
    for target, task in predictions.tasks.items():
        tasks[target] = {
            "classes": list(task.classes),
            "y_true": put_codes(target, task.y_true, task.classes),
            "y_pred": put_codes(f"{target}_pred", task.y_pred, task.classes),
            "y_score": []
            if task.y_score is None
            else [put(f"{target}_score[{name}]", number_array(task.y_score[:, i])) for i, name in enumerate(task.classes)],
        }
    attributes = {}
    for name, column in predictions.attributes.items():
        # A target is often an attribute as well; the two differ where the model has other classes than the data.
        free = f"{name} (attribute)" if name in data else name
        attributes[name] = {"column": put_codes(free, column.codes, column.levels), "levels": list(column.levels)}
    numeric = {}
    for name, numbers in predictions.numeric.items():
        numeric[name] = put(f"{name} (number)" if name in data else name, number_array(numbers))
    identity = None
    if predictions.identity is not None:
        identity = {"column": "identity", "levels": list(predictions.identity.levels)}
        put_codes("identity", predictions.identity.codes, predictions.identity.levels)
    second = None
    if predictions.second is not None:
        second = {"column": SECOND, "levels": list(predictions.second.levels)}
        put_codes(SECOND, predictions.second.codes, predictions.second.levels)
    weight = None if predictions.weight is None else put("weight", number_array(predictions.weight))
    description = {
        "version": FORMAT_VERSION,
        "tasks": tasks,
        "attributes": attributes,
        "numeric": numeric,
        "identity": identity,
        "levels": levels,
        **({} if weight is None else {"weight": weight}),
        **({} if second is None else {"second": second}),
    }
    return pa.table(data), description


def described(cells: Cells) -> dict[str, Any] | None:
    """What a table of ours says of its own columns; None where the table is somebody else's.

    Raises:
        PredictionsError: it is damaged or of another version.
    """
    if DESCRIPTION not in cells.metadata:
        return None
    try:
        description: dict[str, Any] = json.loads(cells.metadata[DESCRIPTION])
        version = description["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PredictionsError(f"{cells.name}: what it says of its own columns is damaged; write it again") from error
    if version != FORMAT_VERSION:
        raise PredictionsError(
            f"{cells.name} has the format version {version!r}, and this fairaudit reads version {FORMAT_VERSION}; "
            "predict again, or use the fairaudit that wrote it"
        )
    if not description_is_plain(description):
        raise PredictionsError(f"{cells.name}: what it says of its own columns is damaged; write it again")
    return description


def _from_description(cells: Cells, description: dict[str, Any]) -> Predictions:
    try:
        tasks = {
            target: Task(
                tuple(task["classes"]),
                _codes(cells, task["y_true"], task["classes"]),
                _codes(cells, task["y_pred"], task["classes"]),
                _scores(cells, task["y_score"]),
            )
            for target, task in description["tasks"].items()
        }
        attributes = {name: _column(cells, one) for name, one in description["attributes"].items()}
        numeric = {name: _numbers(cells, column) for name, column in description["numeric"].items()}
        identity, weight, second = description["identity"], description.get("weight"), description.get("second")
    except (KeyError, TypeError, AttributeError) as error:
        raise PredictionsError(f"{cells.name}: what it says of its own columns is damaged; write it again") from error
    return Predictions(
        _rows(cells),
        tasks,
        attributes,
        numeric,
        None if identity is None else _column(cells, identity),
        None if weight is None else _numbers(cells, weight),
        None if second is None else _column(cells, second),
    )


def _from_names(cells: Cells) -> Predictions:
    """A table that declares nothing: targets are known by their ``_pred``, class order by the order of their scores."""
    targets = [c for c in cells.columns if f"{c}_pred" in cells.columns]
    if not targets:
        raise PredictionsError(
            f"{cells.name} does not say which columns are labels and predictions; name them with --y-true and --y-pred "
            f"(its columns are {', '.join(cells.columns[:12])})"
        )
    tasks: dict[str, Task] = {}
    used = {"row", "identity"}
    for target in targets:
        prefix = f"{target}_score["
        scored = [c for c in cells.columns if c.startswith(prefix) and c.endswith("]")]
        seen = {*cells.coded(target)[1], *cells.coded(f"{target}_pred")[1]}
        classes = tuple(c[len(prefix) : -1] for c in scored) or sorted_levels(list(seen))
        y_true, y_pred = (_codes(cells, column, classes) for column in (target, f"{target}_pred"))
        tasks[target] = Task(classes, y_true, y_pred, _scores(cells, scored))
        used |= {target, f"{target}_pred", *scored}
    rest = read_foreign(
        cells,
        TableColumns(
            y_true=targets[0],
            y_pred=f"{targets[0]}_pred",
            classes=tasks[targets[0]].classes,
            id="row" if "row" in cells.columns else None,
            identity="identity" if "identity" in cells.columns else None,
        ),
        {},
    )
    return Predictions(
        rest.rows,
        tasks,
        {name: column for name, column in rest.attributes.items() if name not in used},
        {name: numbers for name, numbers in rest.numeric.items() if name not in used},
        rest.identity,
    )


def _rows(cells: Cells) -> StrArray:
    rows = cells.texts(cells.require("row", "the row ids"))
    if None in rows:
        raise PredictionsError(f"column 'row' of {cells.name} is empty in {rows.count(None)} rows")
    return np.array(rows, dtype=object)


def _column(cells: Cells, description: dict[str, Any]) -> Column:
    return Column(_codes(cells, description["column"], description["levels"]), tuple(description["levels"]))


def _codes(cells: Cells, column: str, levels: list[str] | tuple[str, ...]) -> IntArray:
    codes, texts = cells.coded(cells.require(column, "declared by the file"))
    index = {level: i for i, level in enumerate(levels)}
    unknown = [text for text in texts if text not in index]
    if unknown:
        raise PredictionsError(
            f"column {column!r} of {cells.name}: unknown level {unknown[0]!r}{suggest(unknown[0], levels)}"
        )
    return np.array([*(index[text] for text in texts), MISSING], dtype=np.int64)[codes]


def _scores(cells: Cells, columns: list[str]) -> FloatArray | None:
    if not columns:
        return None
    return np.stack([scores_in_range(cells, column) for column in columns], axis=1)


def _numbers(cells: Cells, column: str) -> FloatArray:
    numbers = cells.numbers(cells.require(column, "declared by the file"))
    return np.full(len(cells), np.nan) if numbers is None else numbers
