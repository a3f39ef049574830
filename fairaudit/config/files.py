"""Settings from TOML files and plain values; the first problem becomes one sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fairaudit.errors import ConfigError, suggest

S = TypeVar("S", bound=BaseModel)


def read_values(path: Path) -> dict[str, Any]:
    """Plain values of a TOML file.

    Raises:
        ConfigError: the file cannot be read or parsed.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error


def read_toml(path: Path, model: type[S]) -> S:
    """Read a TOML file into one of the models above.

    Args:
        path: the file.
        model: the model whose fields are the file's keys.

    Raises:
        ConfigError: the file cannot be read or parsed, or a key or value is not accepted.
    """
    return validated(read_values(path), model, str(path))


def validated(values: Mapping[str, Any], model: type[S], where: str) -> S:
    """Build a model from plain values; the first problem becomes one sentence.

    Args:
        values: plain values, as a TOML file or flags give them.
        model: the model to build.
        where: what to name in the error (a file, or ``"the flags"``).

    Raises:
        ConfigError: a key or value is not accepted.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # A misspelt key is said before the lack of the key that was meant.
        problem = min(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "missing":
            raise ConfigError(f"{where}: {place!r} is missing") from error
        if problem["type"] == "too_short":
            raise ConfigError(f"{where}: {place!r} is empty") from error
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            known = _fields_at(model, problem["loc"][:-1])
            raise ConfigError(f"{where}: unknown key {place!r}{suggest(key, known)}") from error
        said = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {place}: {said}" if place else f"{where}: {said}") from error


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in (str(part) for part in location if not isinstance(part, int)):
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if get_origin(annotation) in (UnionType, Union):  # a model, or None
            annotation = get_args(annotation)[0]
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
