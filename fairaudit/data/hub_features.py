"""What a Parquet file exported by the Hugging Face hub says of its own columns.

The export stores classes as integers; their names stand in the schema's metadata as JSON. They are read from there, because
the order differs between exports of the same dataset.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairaudit.errors import DataError


def read_schema(path: Path) -> pa.Schema:
    """Schema of a Parquet file, with its metadata.

    Raises:
        DataError: the file is not Parquet.
    """
    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {error}") from error


def image_column(schema: pa.Schema, path: Path) -> str:
    """Name of the struct column that holds encoded images.

    Raises:
        DataError: there is none.
    """
    for column in schema:
        if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
            return str(column.name)
    raise DataError(f"{path} has no column with image bytes; it has {', '.join(map(repr, schema.names))}")


def class_names(schema: pa.Schema, path: Path) -> dict[str, list[str]]:
    """Names of the classes of every class-label column, in the order of their integers.

    Raises:
        DataError: the metadata cannot be understood.
    """
    stored = (schema.metadata or {}).get(b"huggingface")
    if stored is None:
        return {}
    try:
        features = json.loads(stored)["info"]["features"]
        return {
            str(name): [str(label) for label in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: the class names in the schema's metadata cannot be understood: {error!r}") from error


def labels_as_text(values: pa.ChunkedArray, names: list[str] | None, column: str, path: Path) -> pd.Series[str]:
    """A label column as text, class integers replaced by their names; null and -1 are ``""``.

    Raises:
        DataError: integers without names, or out of their range.
    """
    if not pa.types.is_integer(values.type):
        texts = ["" if v is None else str(v).strip() for v in values.to_pylist()]
        return pd.Series(texts, dtype=str)
    if names is None:
        raise DataError(
            f"{path}: column {column!r} holds integers, but the schema's metadata does not name its classes; "
            "export the dataset with its features"
        )
    codes = [-1 if code is None else code for code in values.to_pylist()]
    outside = [code for code in codes if not -1 <= code < len(names)]
    if outside:
        raise DataError(f"{path}: {len(outside)} labels of {column!r} have no name, the first is {outside[0]}")
    lookup = [*names, ""]
    return pd.Series([lookup[code] for code in codes], dtype=str)
