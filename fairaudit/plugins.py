"""The folder is the registry: what plug-ins exist, what they say of themselves, and how to load one.

A plug-in's file name is its name on the command line (``max_group.py`` is ``max-group``), the first line of its docstring
is its help text, and the signature of its entry function is its option schema. Packages outside fairaudit add plug-ins
through entry points in the groups ``fairaudit.datasets``, ``fairaudit.losses``, ``fairaudit.reports`` and
``fairaudit.methods``; each names a module that looks like ours. This is the only module that imports by name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from fairaudit.errors import FairauditError, UnknownNameError, UsageError, suggest

KINDS: dict[str, tuple[str, str, str]] = {
    # kind: (package below fairaudit, entry function, the word for one of them)
    "datasets": ("data/sources", "load", "dataset"),
    "losses": ("losses", "build", "loss"),
    "reports": ("reports", "render", "report format"),
    "methods": ("methods", "run", "method"),
}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NOT_PLUGINS = {"__init__", "base"}


def names(kind: str) -> list[str]:
    """Names of every plug-in of a kind, sorted, as the command line spells them.

    Args:
        kind: a key of ``KINDS``.
    """
    return sorted({*_files(kind), *_external(kind)})


def summary(kind: str, name: str) -> str:
    """First line of a plug-in's docstring, read without importing it.

    Args:
        kind: a key of ``KINDS``.
        name: a name that ``names(kind)`` lists.
    """
    return card(kind, name).partition("\n")[0].strip()


def card(kind: str, name: str) -> str:
    """The whole docstring of a plug-in, read without importing it.

    Args:
        kind: a key of ``KINDS``.
        name: a name that ``names(kind)`` lists.
    """
    path = _files(kind).get(canonical(kind, name))
    if path is not None:
        return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return inspect.getdoc(load(kind, name)) or ""


def load(kind: str, name: str) -> ModuleType:
    """Import one plug-in.

    Args:
        kind: a key of ``KINDS``.
        name: its name; ``max_group`` and ``max-group`` are the same.

    Raises:
        UnknownNameError: no plug-in has this name.
        FairauditError: a third-party plug-in cannot be imported or lacks its entry function.
    """
    name = canonical(kind, name)
    package, function, word = KINDS[kind]
    path = _files(kind).get(name)
    if path is not None:
        return importlib.import_module(f"fairaudit.{package.replace('/', '.')}.{path.stem}")
    point = _external(kind)[name]
    try:
        module = importlib.import_module(point.module)
    except ImportError as error:
        raise FairauditError(f"the {word} {name!r} of {point.value!r} cannot be imported: {error}") from error
    if not callable(getattr(module, function, None)):
        raise FairauditError(f"the {word} {name!r} of {point.value!r} has no function {function!r}")
    return module


def has(kind: str, name: str, function: str) -> bool:
    """Whether a plug-in has a further function beside its entry function.

    Args:
        kind: a key of ``KINDS``.
        name: a name that ``names(kind)`` lists.
        function: for example ``render_comparison`` of a report format.
    """
    return callable(getattr(load(kind, name), function, None))


def options(kind: str, name: str, function: str | None = None) -> dict[str, inspect.Parameter]:
    """Keyword-only parameters of a plug-in's entry function: the options that it understands.

    Args:
        kind: a key of ``KINDS``.
        name: a name that ``names(kind)`` lists.
        function: a further function that it has; None means the entry function.
    """
    called = getattr(load(kind, name), function or KINDS[kind][1])
    parameters = inspect.signature(called, eval_str=True).parameters
    return {key: p for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_options(kind: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Match options against a plug-in's signature and convert text to the annotated types.

    Args:
        kind: a key of ``KINDS``.
        name: the plug-in's canonical name.
        given: as the user gave them; dashes and underscores are the same.

    Raises:
        UsageError: an option that the plug-in does not have, or a value that cannot be understood.
    """
    known = options(kind, name)
    checked: dict[str, Any] = {}
    for written, value in given.items():
        key = written.replace("-", "_")
        if key not in known:
            has = f"it has: {', '.join(known)}" if known else "it has none"
            near = suggest(key, known) if known else ""
            hint = near if near.startswith("; did you mean") else ""
            raise UsageError(f"{name} has no option {written!r}; {has}{hint}")
        annotation = known[key].annotation
        if value is None or annotation is inspect.Parameter.empty:
            checked[key] = value
            continue
        try:
            checked[key] = _convert(value, annotation)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the option {written!r} of {name} cannot be {value!r}: {error}") from error
    return checked


def canonical(kind: str, name: str) -> str:
    """The one spelling of a plug-in's name.

    Args:
        kind: a key of ``KINDS``.
        name: as the user wrote it, any case, dashes or underscores.

    Raises:
        UnknownNameError: no plug-in has this name.
    """
    wanted = name.strip().casefold().replace("_", "-")
    if wanted not in names(kind):
        raise UnknownNameError(KINDS[kind][2], name, names(kind))
    return wanted


def _convert(value: Any, annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(annotation) if a is not types.NoneType]
        return _convert(value, inner[0]) if len(inner) == 1 else value
    if origin is typing.Literal:
        choices = typing.get_args(annotation)
        if value not in choices:
            raise ValueError(f"choose from {', '.join(map(str, choices))}")
        return value
    if origin is tuple:
        element = typing.get_args(annotation)[0]
        parts: Iterable[Any] = value.split(",") if isinstance(value, str) else value
        # a crossed grouping may come as a pair: it is one element, written with a comma
        joined = (",".join(map(str, part)) if isinstance(part, (tuple, list)) else part for part in parts)
        return tuple(_convert(part.strip() if isinstance(part, str) else part, element) for part in joined)
    if annotation is bool:
        return _as_bool(value)
    if annotation in (int, float, str, Path):
        if isinstance(value, bool):
            raise ValueError(f"expected {annotation.__name__}")
        return value if isinstance(value, annotation) else annotation(value)
    return value


def _as_bool(value: Any) -> bool:
    text = str(value).strip().casefold()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("expected true or false")


@cache
def _files(kind: str) -> dict[str, Path]:
    folder = Path(__file__).parent / KINDS[kind][0]
    found = (p for p in folder.glob("*.py") if p.stem not in _NOT_PLUGINS and not p.stem.startswith("_"))
    return {p.stem.replace("_", "-"): p for p in found}


@cache
def _external(kind: str) -> dict[str, EntryPoint]:
    return {point.name.replace("_", "-"): point for point in entry_points(group=f"fairaudit.{kind}")}
