"""Damage to what an interrupted run keeps: states of trainings and journals that open and hold something else."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import torch

from tests.hostile.file_mutants import other_tensor
from tests.hostile.tree_mutants import any_tree, places


def any_state(data: bytes, rng: np.random.Generator) -> bytes:
    """The state of a training that loads: tensors of other types and shapes, values, names and lengths that are others."""
    state = torch.load(io.BytesIO(data), weights_only=True)
    for _ in range(int(rng.integers(1, 4))):
        found = list(places(state))
        if not found:
            break
        # all parts alike: what holds a value is drawn before the value, or nearly all would be of the weights
        parts = list({id(holder): holder for holder, _ in found}.values())
        holder = parts[int(rng.integers(len(parts)))]
        keys = [key for one, key in found if one is holder]
        key, other = keys[int(rng.integers(len(keys)))], found[int(rng.integers(len(found)))]
        value, which = holder[key], int(rng.integers(4))
        if which == 0:
            del holder[key]
        elif which == 1:
            holder[key] = other[0][other[1]]
        elif isinstance(value, torch.Tensor):
            holder[key] = other_tensor(value, rng)
        else:
            changed: Any = any_tree({"x": value}, rng) if _plain(value) else {}
            holder[key] = changed.get("x") if isinstance(changed, dict) else changed
    sink = io.BytesIO()
    torch.save(state, sink)
    return sink.getvalue()


def _plain(value: Any) -> bool:
    return not any(isinstance(holder[key], torch.Tensor) for holder, key in places(value))


def any_journal(data: bytes, rng: np.random.Generator) -> bytes:
    """A journal of a search, a JSON text a line: lines that are missing, doubled, swapped, or say something else."""
    lines = data.decode().splitlines()
    for _ in range(int(rng.integers(1, 4))):
        one, which = int(rng.integers(len(lines))), int(rng.integers(6))
        if which == 0 and len(lines) > 1:
            del lines[one]
        elif which == 1:
            lines.insert(one, lines[one])
        elif which == 2:
            other = int(rng.integers(len(lines)))
            lines[one], lines[other] = lines[other], lines[one]
        elif which == 3:
            lines[one] = lines[one][: int(rng.integers(len(lines[one]) + 1))]
        else:
            try:
                lines[one] = json.dumps(any_tree(json.loads(lines[one]), rng))
            except ValueError:
                lines[one] = ""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _one_array(data: bytes, rng: np.random.Generator) -> tuple[dict[str, Any], str]:
    """All arrays of an archive, and the name of the one that is damaged."""
    with np.load(io.BytesIO(data)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, list(arrays)[int(rng.integers(len(arrays)))]


def any_shard(data: bytes, rng: np.random.Generator) -> bytes:
    """Predictions that an interrupted run kept: rows and scores of other lengths, types and values."""
    arrays, name = _one_array(data, rng)
    which, value = int(rng.integers(5)), arrays[name]
    if which == 0:
        del arrays[name]
    elif which == 1:
        arrays[name] = value[: int(rng.integers(len(value)))]
    elif which == 2:
        arrays[name] = np.concatenate([value, value])
    elif which == 3:
        arrays[name] = value[::-1]
    else:
        n = len(value)
        others: list[Any] = [
            np.array(5.0), np.zeros((n, 0)), np.zeros((0, 2)), np.full((n, 2), np.nan), np.full((n, 2), 7.0),
            np.full((n, 2), -1.0), np.full((n, 2), "x"), np.full(n, "../x"), np.full(n, "\x1b[2J"),
            np.zeros((n, 2), complex), np.zeros((n, 2), bool), np.zeros((n, 3)), np.zeros((n, 2), "datetime64[s]"),
            np.full(n, b"\xff"), np.zeros(n, int), np.full((n, 2), np.inf), np.zeros((n, 2, 2)),
            np.zeros(n, [("a", "f4")]), np.full((n, 2), 0.5, np.float16),
        ]  # fmt: skip
        arrays[name] = others[int(rng.integers(len(others)))]
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def any_maps(data: bytes, rng: np.random.Generator) -> bytes:
    """The arrays of an attribution: missing, cut, of other types and values."""
    arrays, name = _one_array(data, rng)
    which, value = int(rng.integers(8)), arrays[name]
    if which == 0:
        del arrays[name]
    elif which == 1:
        arrays[name] = value[:0] if value.ndim else np.array(0)
    elif which == 2:
        arrays[name] = np.concatenate([value, value]) if value.ndim else value[None]
    elif which == 3:
        arrays[name] = arrays[list(arrays)[int(rng.integers(len(arrays)))]]
    else:
        filled: list[Any] = [np.nan, np.inf, -1.0, 1e300, 2**62, "x", "\x1b[2J", True, 1j, b"\xff", 300, -5, 0.5]
        arrays[name] = np.full(value.shape, filled[int(rng.integers(len(filled)))])
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()
