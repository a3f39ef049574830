"""Damage to trees: JSON and TOML that parse and say something else than they should."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tomli_w

HOSTILE_TEXTS = (
    "",
    " ",
    "x" * 20_000,
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "[red]bold[/red]",
    "[/]",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "a\nb",
    "a\rb",
    "\0",
    "\u202eevil",
    "../../../etc/passwd",
    "/etc/passwd",
    "nan",
    "race=White",
    "a,b",
    "1",
    "\ud7ff\U0001f600",
    "::error::x",
    "\ud800",
    "raсe",  # with a Cyrillic letter
)
HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    3,
    2**31,
    2**63,
    10**30,
    0.5,
    -0.0,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    {"": None},
    [[1, 2], [3]],
    {"a": {"b": 1}},
)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    pairs: Any = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from places(value)


def any_tree(tree: Any, rng: np.random.Generator) -> Any:
    """A copy with one to three things changed: values, types, names, lengths, what lies where."""
    changed = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, 4))):
        found = list(places(changed))
        if not found:
            return _hostile(rng)
        holder, key = found[int(rng.integers(len(found)))]
        other, there = found[int(rng.integers(len(found)))]
        which = int(rng.integers(9))
        if which == 0:
            del holder[key]
        elif which <= 3:
            holder[key] = _hostile(rng)
        elif which == 4:
            holder[key] = copy.deepcopy(other[there])
        elif which == 5 and isinstance(holder, dict):
            new = str(there) if rng.random() < 0.5 else str(rng.choice(HOSTILE_TEXTS[:-1]))
            holder[new] = holder.pop(key)
        elif which == 6 and isinstance(holder, list):
            holder.insert(int(key), copy.deepcopy(holder[key]))
        elif which == 7 and isinstance(holder[key], list):
            holder[key] = holder[key][: int(rng.integers(len(holder[key]) + 1))]
        else:
            holder[key] = _near(holder[key], rng)
    return changed


def _hostile(rng: np.random.Generator) -> Any:
    texts = rng.random() < 0.4
    known: tuple[Any, ...] = HOSTILE_TEXTS if texts else HOSTILE_VALUES
    return copy.deepcopy(known[int(rng.integers(len(known)))])


def _near(value: Any, rng: np.random.Generator) -> Any:
    """The value, a little wrong: what a schema lets pass."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return (value + 1, -value, value * 1000, float(value), str(value), value - 1)[int(rng.integers(6))]
    if isinstance(value, str):
        return (value + "x", value[:-1], value.upper(), value + "\x1b[2J", [value], value * 2)[int(rng.integers(6))]
    if isinstance(value, list):
        return (value[::-1], value + value, [value], {str(i): v for i, v in enumerate(value)})[int(rng.integers(4))]
    if isinstance(value, dict):
        return (list(value), dict(reversed(value.items())), {"x": value}, list(value.values()))[int(rng.integers(4))]
    return 0


def near_tree(tree: Any, rng: np.random.Generator) -> Any:
    """A copy in which one to three things are others of their own kind: what a schema lets pass and nothing else fits."""
    changed = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, 4))):
        found = list(places(changed))
        holder, key = found[int(rng.integers(len(found)))]
        value = holder[key]
        alike = [h[k] for h, k in found if type(h[k]) is type(value)]
        which = int(rng.integers(4))
        if isinstance(value, bool) or value is None:
            holder[key] = not value if isinstance(value, bool) else alike[0]
        elif isinstance(value, int):
            holder[key] = (value + 1, max(0, value - 1), 0, 10**15)[which]
        elif isinstance(value, float):
            holder[key] = (1 - value, 0.0, 1e300, float(rng.random()))[which]
        elif isinstance(value, str):
            texts = (str(rng.choice(HOSTILE_TEXTS[:-2])), str(alike[int(rng.integers(len(alike)))]), value + "x", "")
            holder[key] = texts[which]
        elif isinstance(value, list):
            cut = value[: int(rng.integers(len(value) + 1))]
            holder[key] = copy.deepcopy((cut, value + value[:1], value[::-1], alike[int(rng.integers(len(alike)))])[which])
        elif which == 0 or not value:
            holder[key] = copy.deepcopy(alike[int(rng.integers(len(alike)))])
        else:
            name = list(value)[int(rng.integers(len(value)))]
            moved = value.pop(name)
            if which > 1:
                value[str(rng.choice(HOSTILE_TEXTS[:-2])) if which == 2 else f"{name}x"] = moved
    return changed


def near_json(data: bytes, rng: np.random.Generator) -> bytes:
    """A JSON text of which nearly everything fits its schema."""
    return json.dumps(near_tree(json.loads(data), rng), ensure_ascii=bool(rng.random() < 0.5)).encode("utf-8", "replace")


def near_toml(data: bytes, rng: np.random.Generator) -> bytes:
    """A TOML text of which nearly everything fits its schema."""
    return tomli_w.dumps(_without_none(near_tree(tomllib.loads(data.decode()), rng))).encode("utf-8", "replace")


def any_json(data: bytes, rng: np.random.Generator) -> bytes:
    """A JSON text that still is one."""
    return json.dumps(any_tree(json.loads(data), rng), ensure_ascii=bool(rng.random() < 0.5)).encode("utf-8", "replace")


def any_toml(data: bytes, rng: np.random.Generator) -> bytes:
    """A TOML text that still is one."""
    changed = any_tree(tomllib.loads(data.decode()), rng)
    if not isinstance(changed, dict):
        changed = {"x": changed}
    return tomli_w.dumps(_without_none(changed)).encode("utf-8", "replace")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value if item is not None] if isinstance(value, list) else value
