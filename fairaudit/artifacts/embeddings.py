"""Embeddings as a file: a NumPy archive with one row of numbers per image and the columns that groups are made of.

``embeddings`` is (n, d); every other array of length n is a column of texts, empty where not known: ``rows`` names the
images, ``identity`` who is on them, the others are attributes; numbers are numbers (age in years, nan where not known).
``fairaudit`` is JSON: the order of levels, and what the numbers were made with. Anybody's archive with an array
``embeddings`` and columns beside it is read; nothing in it is run.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairaudit.artifacts.folder import write_whole
from fairaudit.errors import DataError
from fairaudit.predictions import Column, FloatArray, StrArray

FORMAT_VERSION = 1
VALUES, ROWS, IDENTITY, ABOUT = "embeddings", "rows", "identity", "fairaudit"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One row of numbers per image, and what is known of the image.

    Attributes:
        values: (n, d) float32, finite, no row 0 throughout.
        rows: (n,) unique row ids.
        attributes: name → column.
        identity: who is on the image, where that is known.
        made: what the numbers were made with: model, layer, digests.
        numeric: name → (n,) numbers, nan where missing, of which levels can be made.
    """

    values: NDArray[np.float32]
    rows: StrArray
    attributes: Mapping[str, Column]
    identity: Column | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    numeric: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> dict[str, Column]:
        """Every column by name, the identity among them."""
        return {**self.attributes, **({} if self.identity is None else {IDENTITY: self.identity})}


def check_values(values: NDArray[Any], rows: Sequence[object], what: str) -> NDArray[np.float32]:
    """Embeddings whose similarities can be told.

    Args:
        values: (n, d).
        rows: names of the images.
        what: where they are from, as a sentence begins.

    Raises:
        DataError: they are no table of finite numbers, or a row is 0 throughout.
    """
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise DataError(f"{what}: embeddings must be a table of numbers, one row per image, not {_shape(values)}")
    if len(values) != len(rows):
        raise DataError(f"{what}: there are {len(values):,} embeddings, but {len(rows):,} row names")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(values, dtype=np.float32)
    broken = ~np.isfinite(found).all(1)
    if broken.any():
        first = rows[int(np.flatnonzero(broken)[0])]
        raise DataError(f"{what}: {int(broken.sum()):,} embeddings are not finite, the first is that of {first!r}")
    empty = ~found.any(1)
    if empty.any():
        first = rows[int(np.flatnonzero(empty)[0])]
        raise DataError(f"{what}: {int(empty.sum()):,} embeddings are 0 throughout, the first is that of {first!r}")
    return found


def write_embeddings(embeddings: Embeddings, path: Path) -> None:
    """Write embeddings, whole or not at all; the same embeddings give the same bytes.

    Args:
        embeddings: what to write.
        path: the file.

    Raises:
        OutputError: it could not be written.
        DataError: a column has the name of something else in the file.
    """
    columns = embeddings.columns()
    if taken := {VALUES, ROWS, ABOUT} & {*columns, *embeddings.numeric}:
        raise DataError(f"a column of embeddings cannot be called {taken.pop()!r}; rename it")
    about = {
        "version": FORMAT_VERSION,
        "levels": {name: list(column.levels) for name, column in columns.items()},
        "made": dict(embeddings.made),
    }
    arrays: dict[str, NDArray[Any]] = {
        VALUES: embeddings.values,
        ROWS: np.array([str(row) for row in embeddings.rows], dtype=np.str_),
        **{name: np.array([value or "" for value in one.values()], dtype=np.str_) for name, one in columns.items()},
        **{name: values.astype(np.float64) for name, values in embeddings.numeric.items()},
        ABOUT: np.array(json.dumps(about, ensure_ascii=False, default=str)),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # not numpy.savez, for which a column cannot be called "file"
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    write_whole(path, stream.getvalue())


def read_embeddings(paths: Sequence[Path]) -> Embeddings:
    """Read one file of embeddings, or several that are parts of one table.

    Args:
        paths: at least one.

    Raises:
        DataError: a file cannot be read or used, or the files do not fit together; the sentence says which and why.
    """
    parts = [_read(path) for path in paths]
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for path, part in zip(paths[1:], parts[1:], strict=True):
        if part.values.shape[1] != first.values.shape[1]:
            raise DataError(
                f"{path} has embeddings of {part.values.shape[1]} numbers and {paths[0]} of {first.values.shape[1]}: they "
                "are of different models or layers and cannot be audited together"
            )
        known, own = ({*one.columns(), *one.numeric} for one in (first, part))
        if known != own or set(part.numeric) != set(first.numeric):
            differ = sorted(known ^ own) or sorted(set(part.numeric) ^ set(first.numeric))
            raise DataError(f"{path} and {paths[0]} have different columns: {', '.join(differ)}")
    rows = np.concatenate([part.rows for part in parts])
    _check_unique(rows, "the files together")
    joined = {name: _joined([part.columns()[name] for part in parts]) for name in first.columns()}
    values = np.concatenate([part.values for part in parts])
    numeric = {name: np.concatenate([part.numeric[name] for part in parts]) for name in first.numeric}
    return Embeddings(values, rows, joined, joined.pop(IDENTITY, None), first.made, numeric)


def _read(path: Path) -> Embeddings:
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is no archive of arrays (.npz); save it with numpy.savez")
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except OSError as error:
        said = error.strerror or "it is no file of NumPy's"
        raise DataError(f"{path} cannot be read: {said}") from error
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path} cannot be read: an array in it claims more numbers than there is memory for") from error
    except Exception as error:  # numpy reads a header with Python's own parser, which says in many ways that it is none
        raise DataError(f"{path} cannot be read: it is damaged, or holds more than numbers and texts") from error
    if VALUES not in arrays:
        raise DataError(f"{path} holds no array {VALUES!r} (it has {', '.join(arrays) or 'none'})")
    values, about = arrays.pop(VALUES), _about(arrays.pop(ABOUT, None), path)
    n = len(values) if values.ndim else 0
    rows = np.array(_texts(arrays.pop(ROWS, np.arange(n)).ravel(), f"the array {ROWS!r}", path), dtype=object)
    found = check_values(values, list(rows), str(path))
    _check_unique(rows, str(path))
    columns: dict[str, Column] = {}
    numeric: dict[str, FloatArray] = {}
    for name, array in arrays.items():
        if array.shape != (n,):
            raise DataError(f"{path}: the column {name!r} is {_shape(array)}, but there are {n:,} embeddings")
        if array.dtype.kind == "f" and name != IDENTITY:
            numeric[name] = array.astype(np.float64)
            continue
        if array.dtype.kind not in "USiub":
            raise DataError(f"{path}: the column {name!r} holds {array.dtype}; columns are texts or numbers")
        texts = _texts(array, f"the column {name!r}", path)
        levels = about["levels"].get(name)
        columns[name] = Column.of(texts, levels if set(texts) - {""} <= set(levels or ()) else None)
    return Embeddings(found, rows, columns, columns.pop(IDENTITY, None), about["made"], numeric)


def _texts(array: NDArray[Any], what: str, path: Path) -> list[str]:
    try:
        texts: list[str] = array.astype(np.str_).tolist()
        "".join(texts).encode("utf-8").decode("utf-8")  # numpy makes texts of numbers that are no characters
    except (UnicodeError, SystemError, ValueError) as error:  # bytes of a damaged file are no characters of any kind
        raise DataError(f"{path}: {what} holds texts that are no Unicode") from error
    return texts


def _about(array: NDArray[Any] | None, path: Path) -> dict[str, Any]:
    if array is None:
        return {"levels": {}, "made": {}}
    damaged = DataError(f"{path}: what it says of its own columns is damaged; embed again")
    try:
        about: dict[str, Any] = {"levels": {}, "made": {}, **json.loads(_texts(array.ravel(), "its description", path)[0])}
        version = about["version"]
        plain = all(isinstance(level, str) for levels in about["levels"].values() for level in levels)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
    if not plain or not isinstance(about["made"], dict):
        raise damaged
    if version != FORMAT_VERSION:
        raise DataError(f"{path} has the format version {version!r}, and this fairaudit reads version {FORMAT_VERSION}")
    return about


def _joined(columns: Sequence[Column]) -> Column:
    levels = tuple(dict.fromkeys(level for column in columns for level in column.levels))
    return Column.of([value for column in columns for value in column.values()], levels)


def _check_unique(rows: StrArray, what: str) -> None:
    names, times = np.unique(rows.astype(np.str_), return_counts=True)
    if len(names) < len(rows):
        raise DataError(f"{what}: the image {str(names[times.argmax()])!r} occurs more than once")


def _shape(array: NDArray[Any]) -> str:
    return f"{' × '.join(map(str, array.shape)) or 'a single value'} of {array.dtype}"
