"""How often labels of groups are wrong: a rate, or an error matrix per attribute, from flags and files.

A matrix has a row per true level and a column per recorded one, in shares that sum to 1 in every row. As CSV it has the
recorded levels as header and the true level first in each row; as TOML it is a table per true level.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairaudit.config.files import read_values
from fairaudit.errors import ConfigError, UsageError

Matrix = Mapping[str, Mapping[str, float]]
"""True level → recorded level → share; what is left out is 0."""

FORM = "write a rate, 0.05, or ATTRIBUTE=RATE, or ATTRIBUTE=FILE with an error matrix as .csv or .toml"
_ROUNDING = 1e-3


def label_noise(texts: Sequence[str], attributes: Sequence[str]) -> float | dict[str, float | Matrix]:
    """What the words of ``--label-noise`` say.

    Args:
        texts: ``0.05`` alone; or any of ``race=0.05``, ``race=matrix.csv``, ``race=matrix.toml``, ``noise.toml`` (attribute
            → rate or matrix), and ``matrix.csv`` where groupings have one attribute.
        attributes: that groupings have, as far as is known.

    Raises:
        UsageError: an item cannot be understood, or a rate is not from 0 to below 0.5.
        ConfigError: a file cannot be read, or is no error matrix.
    """
    if len(texts) == 1 and (rate := _number(texts[0])) is not None:
        return checked_rate(rate, "--label-noise")
    found: dict[str, float | Matrix] = {}
    for text in texts:
        if _number(text) is not None:
            raise UsageError(
                f"--label-noise {text} is a rate for every attribute and stands alone; name attributes, race={text}"
            )
        for name, errors in _item(text, attributes).items():
            if name in found:
                raise UsageError(f"--label-noise says twice how often labels of {name} are wrong")
            found[name] = errors
    return found


def checked_rate(rate: float, where: str) -> float:
    """A rate of errors that leaves something of the labels.

    Raises:
        UsageError: it is not from 0 to below 0.5.
    """
    if not 0 <= rate < 0.5:
        raise UsageError(f"{where} {rate:g}: a share of wrong labels is from 0 to below 0.5")
    return rate


def checked_matrix(matrix: Matrix, where: str) -> Matrix:
    """An error matrix whose rows are shares.

    Raises:
        ConfigError: a share is not from 0 to 1, a row does not sum to 1, or a recorded level has no row.
    """
    if len(matrix) < 2:
        raise ConfigError(
            f"{where}: an error matrix has a row for each of two levels or more, and this one has {len(matrix)}"
        )
    for true, shares in matrix.items():
        for recorded, share in shares.items():
            if recorded not in matrix:
                raise ConfigError(
                    f"{where}: {recorded!r} is recorded and has no row of its own; an error matrix is square, with a row "
                    "and a column for every level"
                )
            if not 0 <= share <= 1:
                raise ConfigError(
                    f"{where}: the share of {true!r} recorded as {recorded!r} is {share:g}; shares are from 0 to 1"
                )
        total = math.fsum(shares.values())
        if abs(total - 1) > _ROUNDING:
            raise ConfigError(f"{where}: the row of {true!r} sums to {total:g}; the shares of a true level sum to 1")
    return matrix


def checked_errors(errors: float | Matrix, where: str) -> float | Matrix:
    """A rate or a matrix that can be used, see ``checked_rate`` and ``checked_matrix``."""
    return checked_matrix(errors, where) if isinstance(errors, Mapping) else checked_rate(errors, where)


def _item(text: str, attributes: Sequence[str]) -> dict[str, float | Matrix]:
    name, sign, value = (part.strip() for part in text.partition("="))
    if sign and not Path(text).is_file():
        if not name or not value:
            raise UsageError(f"--label-noise {text!r} cannot be read; {FORM}")
        rate = _number(value)
        return {name: checked_rate(rate, f"--label-noise {name}") if rate is not None else _matrix(Path(value))}
    path = Path(text)
    if path.suffix.lower() == ".toml":
        return {key: _errors(errors, f"{path}: {key}") for key, errors in read_values(path).items()}
    if path.suffix.lower() != ".csv":
        raise UsageError(f"--label-noise {text!r} cannot be read; {FORM}")
    if len(attributes) != 1:
        raise UsageError(f"--label-noise {text} does not say whose labels it is about; write ATTRIBUTE={text}")
    return {attributes[0]: _matrix(path)}


def _matrix(path: Path) -> Matrix:
    if path.suffix.lower() == ".toml":
        errors = _errors(read_values(path), str(path))
    elif path.suffix.lower() == ".csv":
        errors = checked_matrix(_read_csv(path), str(path))
    else:
        raise UsageError(f"--label-noise {path}: an error matrix is read from a .csv or .toml file")
    if not isinstance(errors, Mapping):
        raise ConfigError(f"{path}: there is no error matrix in it")
    return errors


def _errors(value: object, where: str) -> float | Matrix:
    """A rate or a matrix as TOML has it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return checked_rate(float(value), where)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {value!r} is neither a rate nor a table of true levels")
    matrix: dict[str, dict[str, float]] = {}
    for true, shares in value.items():
        if not isinstance(shares, Mapping):
            raise ConfigError(f"{where}: {true} = {shares!r} is no row; write a table of recorded levels and their shares")
        matrix[str(true)] = {str(r): _share(s, str(true), str(r), where) for r, s in shares.items()}
    return checked_matrix(matrix, where)


def _read_csv(path: Path) -> Matrix:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error
    recorded = rows[0][1:] if rows else []
    true = [row[0] for row in rows[1:]]
    if len(true) != len(recorded) or sorted(true) != sorted(recorded) or any(len(r) != len(rows[0]) for r in rows):
        raise ConfigError(
            f"{path} is no error matrix: it has rows for {', '.join(true) or 'nothing'} and columns for "
            f"{', '.join(recorded) or 'nothing'}; an error matrix is square, with a row and a column for every level"
        )
    if len(set(true)) < len(true):
        twice = next(level for level in true if true.count(level) > 1)
        raise ConfigError(f"{path}: the level {twice!r} has two rows")
    where = str(path)
    return {row[0]: {r: _share(s, row[0], r, where) for r, s in zip(recorded, row[1:], strict=True)} for row in rows[1:]}


def _share(value: object, true: str, recorded: str, where: str) -> float:
    number = _number(value)
    if number is None:
        raise ConfigError(f"{where}: the share of {true!r} recorded as {recorded!r} is {value!r}, which is not a number")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
