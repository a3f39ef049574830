"""How the words of flags become settings, and what is said where they cannot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")


def groupings(texts: Sequence[str] | None) -> list[tuple[str, ...]] | None:
    """``["race", "race,gender"]`` as tuples; None stays None."""
    if not texts:
        return None
    return [tuple(part.strip() for part in text.split(",")) for text in texts]


def levels(texts: Iterable[str] | None) -> list[dict[str, str]] | None:
    """``["race=White,gender=Male"]`` as mappings; None stays None.

    Raises:
        UsageError: an item is not ATTRIBUTE=LEVEL.
    """
    if not texts:
        return None
    found = []
    for text in texts:
        found.append(
            dict(_pair("--privileged", part, "ATTRIBUTE=LEVEL, for example race=White") for part in text.split(","))
        )
    return found


def pairs(flag: str, texts: Iterable[str] | None) -> dict[str, str]:
    """``["rows=20"]`` as a mapping.

    Raises:
        UsageError: an item is not KEY=VALUE.
    """
    return dict(_pair(flag, text, "KEY=VALUE") for text in texts or ())


def data_options(texts: Iterable[str] | None) -> dict[str, str]:
    """``["n=100", "seed=1"]`` as a mapping.

    Raises:
        UsageError: an item is not KEY=VALUE, or its key has a flag of its own.
    """
    return dict(_pair("--data-option", text, "KEY=VALUE") for text in texts or ())


def check_data_options(options: Iterable[str]) -> None:
    """Refuse dataset options that are settings of their own.

    Raises:
        UsageError: one is.
    """
    for key in options:
        if key in ("name", "root", "split"):
            flag = "--data" if key == "name" else f"--{key}"
            raise UsageError(f"{key!r} is no option of a dataset's source but a setting of its own: write {flag}")


def merges(texts: Iterable[str] | None) -> dict[str, tuple[str, ...]] | None:
    """``["male=Man,Boy"]`` as class → outputs; None stays None."""
    if not texts:
        return None
    example = "CLASS=OUTPUT[,OUTPUT], for example male=Man,Boy"
    return {k: tuple(p.strip() for p in v.split(",")) for k, v in (_pair("--merge", t, example) for t in texts)}


def names(text: str | None) -> tuple[str, ...] | None:
    """``"female,male"`` as a tuple; None stays None."""
    return None if text is None else tuple(part.strip() for part in text.split(","))


def keywords(texts: Iterable[str] | None) -> dict[str, Any] | None:
    """``["pad_type=same", "depth=3"]``, or one JSON object, as keyword arguments; None stays None.

    Raises:
        UsageError: it is neither.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        if text.lstrip().startswith("{"):
            try:
                found |= json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"--arch-kwargs {text!r} is not JSON: {error}") from error
        else:
            for item in text.split(","):
                key, value = _pair("--arch-kwargs", item, "KEY=VALUE or a JSON object")
                try:
                    found[key] = json.loads(value)
                except (ValueError, RecursionError):
                    found[key] = value
    return found or None


def channels(flag: str, text: str | None) -> tuple[float, ...] | None:
    """``"0.485,0.456,0.406"`` as one number for each of red, green and blue; a single number stands for all three.

    Raises:
        UsageError: it is neither three numbers nor one.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text!r}: write three numbers with commas between them, or one for all") from error
    if len(values) not in (1, 3):
        raise UsageError(f"{flag} {text!r}: {len(values)} numbers were given; write three (R,G,B), or one for all")
    return values * (3 // len(values))


def pixels(text: str | None) -> tuple[int, int] | None:
    """``"224"`` or ``"224x192"`` as height and width.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:[x×,](\d+))?", text.replace(" ", ""))
    if found is None:
        raise UsageError(f"--size {text!r}: write a whole number of pixels, 224, or height and width, 224x192")
    return int(found[1]), int(found[2] or found[1])


def checked(
    flags: Mapping[str, Any], model: type[S], stored: Mapping[str, Any] | None = None, file: Path | None = None
) -> S:
    """Build settings from flags, laid over what a file says; the first problem becomes one sentence.

    Args:
        flags: what the user set on the command line, nested as the settings are.
        model: the settings.
        stored: what the file says.
        file: where ``stored`` is from.

    Raises:
        UsageError: a flag's value is not accepted.
        ConfigError: something in the file is not accepted.
    """
    from pydantic import ValidationError

    from fairaudit.config import validated

    values = layered(stored or {}, flags)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        name, value = _flag_at(flags, problem["loc"])
        said = problem["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
        if name is None and file is None:  # flags and defaults that do not go together
            raise UsageError(said) from error
        if name is None:
            return validated(values, model, str(file))
        raise UsageError(f"--{name.replace('_', '-')} {value}: {said}") from error


def _flag_at(flags: Mapping[str, Any], location: Sequence[int | str]) -> tuple[str | None, Any]:
    """The flag that a place in the settings was given by, and its value; None where it was not a flag."""
    name: str | None = None
    value: Any = flags
    for part in location:
        if not isinstance(value, Mapping) or part not in value:
            break
        name, value = str(part), value[str(part)]
    return (None, None) if isinstance(value, Mapping) else (name, _said(value))


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value) if isinstance(value, str) else str(value)


def first(*values: T | None) -> T | None:
    """The first value that is set, which 0 is as well."""
    return next((value for value in values if value is not None), None)


def given(**values: Any) -> dict[str, Any]:
    """Only what the user set: None is left out, so that a file's or a card's value stays."""
    return {key: value for key, value in values.items() if value is not None}


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over each other, the last one on top."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            merged[key] = layered(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _pair(flag: str, text: str, form: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip() or not value.strip():
        raise UsageError(f"{flag} {text!r} cannot be read; write {form}")
    return key.strip(), value.strip()
