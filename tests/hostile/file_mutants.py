"""Damage that keeps the format: tables, archives and checkpoints that open and hold something else than they should."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tests.hostile.byte_mutants import any_bytes
from tests.hostile.tree_mutants import HOSTILE_TEXTS, any_tree


def any_csv(data: bytes, rng: np.random.Generator) -> bytes:
    """Cells, columns, rows, quoting, delimiters, line ends and encodings of a CSV go wrong."""
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(int(rng.integers(1, 4))):
        row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
        row = 0 if rng.random() < 0.2 else row
        which = int(rng.integers(7))
        if which <= 2 and column < len(rows[row]):
            rows[row][column] = str(rng.choice([*HOSTILE_TEXTS[:-1], '"', '"a', "1e999", "-5", "NA"]))
        elif which == 3:
            rows[row].insert(column, "more")
        elif which == 4:
            rows = [[cell for i, cell in enumerate(line) if i != column] or [""] for line in rows]
        elif which == 5:
            rows = [[*line, line[min(column, len(line) - 1)]] for line in rows]
        else:
            rows = [rows[i] for i in np.sort(rng.integers(len(rows), size=len(rows)))] if row else rows[:1]
    end = ("\n", "\r\n", "\r", "\n\n")[int(rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)))]
    sign = (",", ";", "\t")[int(rng.choice(3, p=(0.8, 0.1, 0.1)))]
    text = end.join(sign.join(row) for row in rows)
    encoding = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32")[int(rng.choice(5, p=(0.8, 0.05, 0.05, 0.05, 0.05)))]
    return text.encode(encoding, "replace")


def any_parquet(data: bytes, rng: np.random.Generator) -> bytes:
    """Columns change their type, name or place; what the file says of its columns is another thing."""
    table = pq.ParquetFile(pa.BufferReader(data)).read()
    for _ in range(int(rng.integers(1, 3))):
        column = int(rng.integers(table.num_columns))
        name, which = table.column_names[column], int(rng.integers(6))
        if which == 0 and table.num_columns > 1:
            table = table.remove_column(column)
        elif which == 1:
            table = table.append_column(name, table.column(column))
        elif which == 2:
            table = table.rename_columns(
                [str(rng.choice(HOSTILE_TEXTS[:-1])) if n == name else n for n in table.column_names]
            )
        elif which == 3:
            table = table.set_column(column, name, _other_column(len(table), rng))
        elif which == 4:
            table = table.slice(0, int(rng.integers(3)))
        else:
            said = dict(table.schema.metadata or {})
            if said:
                key = list(said)[int(rng.integers(len(said)))]
                try:
                    said[key] = json.dumps(any_tree(json.loads(said[key]), rng)).encode("utf-8", "replace")
                except ValueError:
                    said[key] = any_bytes(said[key], rng)
                table = table.replace_schema_metadata(said)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _other_column(n: int, rng: np.random.Generator) -> pa.Array:
    texts = [str(rng.choice(HOSTILE_TEXTS[:-1])) for _ in range(n)]
    choices: list[pa.Array] = [
        pa.array(texts),
        pa.array(texts).dictionary_encode(),
        pa.array([b"\xff\xfe"] * n),
        pa.array([None] * n, pa.null()),
        pa.array([None] * n, pa.string()),
        pa.array(np.full(n, np.nan)),
        pa.array(np.where(np.arange(n) % 2, np.inf, -1e300)),
        pa.array([[1, 2]] * n),
        pa.array([{"a": 1}] * n),
        pa.array([True] * n),
        pa.array([2**62 + i for i in range(n)]),
        pa.array(np.arange(n), pa.timestamp("s")),
        pa.array(np.arange(n, dtype=np.int32), pa.time32("s")),
        pa.array(np.arange(n), pa.duration("s")),
        pa.array(np.arange(n).astype(np.float16)),
        pa.array([1] * n, pa.decimal128(5, 2)),
    ]
    return choices[int(rng.integers(len(choices)))]


def any_archive(data: bytes, rng: np.random.Generator) -> bytes:
    """An archive of arrays (.npz) whose arrays are missing, doubled, of other types and sizes."""
    with np.load(io.BytesIO(data)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = list(arrays)[int(rng.integers(len(arrays)))]
    which = int(rng.integers(6))
    if which == 0:
        del arrays[name]
    elif which == 1 and "fairaudit" in arrays:
        arrays["fairaudit"] = np.array(json.dumps(any_tree(json.loads(str(arrays["fairaudit"])), rng)))
    elif which == 2:
        arrays[name] = arrays[name][: int(rng.integers(3))] if arrays[name].ndim else arrays[name]
    elif which == 3:
        arrays[str(rng.choice(HOSTILE_TEXTS[7:10]))] = arrays[name]
    else:
        n = len(arrays["embeddings"])
        others: list[Any] = [
            np.full(n, "\x1b[2J"), np.zeros((0, 3)), np.full((n, 3), np.nan), np.zeros((n, 0)), np.array(5.0),
            np.zeros((n, 2), complex), np.full((n, 4), 1e300), np.zeros(n, "datetime64[s]"), np.zeros((n, 3), bool),
            np.full((n, 3), "a"), np.zeros((n, 2, 2)), np.zeros(n, [("a", "f4")]), np.full((n, 3), 2**62), np.zeros((n, 3)),
            np.full(n, b"\xff\xfe"), np.array([chr(0xD800)] * n), np.zeros((n, 3), np.float16), np.full((n, 3), 1e-320),
        ]  # fmt: skip
        arrays[name] = others[int(rng.integers(len(others)))]
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return any_bytes(sink.getvalue(), rng) if rng.random() < 0.1 else sink.getvalue()


def any_safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file whose header lies about names, types, shapes, places or metadata."""
    (length,) = struct.unpack("<Q", data[:8])
    header = any_tree(json.loads(data[8 : 8 + length]), rng)
    written = json.dumps(header, ensure_ascii=bool(rng.random() < 0.5)).encode("utf-8", "replace")
    written += b" " * (-len(written) % 8)
    size = len(written) if rng.random() < 0.9 else int(rng.choice([0, 1, len(written) - 1, len(written) + 8, 10**9]))
    return struct.pack("<Q", size) + written + data[8 + length :]


def any_checkpoint(data: bytes, rng: np.random.Generator) -> bytes:
    """A PyTorch file that loads: tensors of other types and shapes, other names, other things around them."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    tensors = content["state_dict"]
    for _ in range(int(rng.integers(1, 3))):
        key, which = list(tensors)[int(rng.integers(len(tensors)))], int(rng.integers(6))
        if which == 0:
            del tensors[key]
        elif which <= 2:
            tensors[key] = other_tensor(tensors[key], rng)
        elif which == 3:
            tensors[str(rng.choice(HOSTILE_TEXTS[:-1]))] = tensors.pop(key)
        elif which == 4:
            content = any_tree(content, rng)
            if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
                break
            tensors = content["state_dict"]
            if not tensors:
                break
        else:
            content["fairaudit"] = (
                json.dumps(any_tree(json.loads(content["fairaudit"]), rng))
                if (isinstance(content.get("fairaudit"), str))
                else int(rng.integers(9))
            )
    sink = io.BytesIO()
    torch.save(content, sink, _use_new_zipfile_serialization=bool(rng.random() < 0.8))
    return sink.getvalue()


def other_tensor(old: Any, rng: np.random.Generator) -> Any:
    """Something else in the place of a tensor: another type, shape or layout, other values, or no tensor at all."""
    if not isinstance(old, torch.Tensor) or not old.is_floating_point() or old.is_sparse or old.is_quantized:
        return torch.zeros(2)
    choices: list[Any] = [
        old.double(), old.half(), old.to(torch.complex64), old.to(torch.int64), old.bool(), old[..., :0],
        old[None], old.to_sparse(),
        torch.full_like(old, torch.nan), torch.full_like(old, 3e38), torch.zeros(1).expand(1_000_000, 1_000_000),
        torch.quantize_per_tensor(old.contiguous(), 0.1, 0, torch.qint8), torch.empty(0), torch.tensor(1.0),
        torch.as_strided(torch.zeros(8), tuple(old.shape), (0,) * old.ndim), torch.nn.Parameter(old),
        old.to(torch.float8_e4m3fn),
        old.flatten().tolist()[:3], "text", None, {}, old.to("meta"), old.conj(), -old.T if old.ndim == 2 else -old,
    ]  # fmt: skip
    return choices[int(rng.integers(len(choices)))]


def any_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """A zip archive whose members are missing, renamed, changed or compressed, with a directory that fits."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    one, which = int(rng.integers(len(members))), int(rng.integers(5))
    name, body = members[one]
    if which == 0:
        del members[one]
    elif which == 1:
        members[one] = (name.replace("data", str(rng.choice(["code", "..", "constants"]))), body)
    elif which == 2:
        members[one] = (name, b"")
    else:
        members[one] = (name, any_bytes(body, rng))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return sink.getvalue()
