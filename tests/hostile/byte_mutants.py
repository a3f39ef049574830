"""Damage to bytes: what a bad disk, a broken copy or somebody's malice does to any file, and to pictures in particular."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]


def _place(data: bytes, rng: np.random.Generator) -> int:
    """A position; half of them near the start, where headers are."""
    end = max(1, len(data))
    return int(rng.integers(min(end, 200) if rng.random() < 0.5 else end))


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bits are wrong."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if changed:
            changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """It ends too early."""
    return data[: _place(data, rng)]


def delete(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is missing."""
    start = _place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is there twice."""
    start = _place(data, rng)
    piece = data[start : start + int(rng.integers(1, 256))]
    return data[:start] + piece + data[start:]


def splice(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is overwritten by another one of the same file."""
    start, other = _place(data, rng), _place(data, rng)
    piece = data[other : other + int(rng.integers(1, 256))]
    return data[:start] + piece + data[start + len(piece) :]


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece is random bytes."""
    start, length = _place(data, rng), int(rng.integers(1, 32))
    return data[:start] + rng.bytes(length) + data[start + length :]


def extreme_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Four or eight bytes say the largest, the smallest or a huge number: lying lengths and sizes."""
    start = _place(data, rng)
    number = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 4, b"\xff" * 7 + b"\x7f")[int(rng.integers(5))]
    return data[:start] + number + data[start + len(number) :]


def append(data: bytes, rng: np.random.Generator) -> bytes:
    """Something follows that does not belong."""
    return data + (rng.bytes(50) if rng.random() < 0.5 else data)


BYTES: tuple[Mutation, ...] = (flip_bits, truncate, delete, repeat, splice, noise, extreme_number, append)


def any_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three of these."""
    for _ in range(int(rng.integers(1, 4))):
        data = BYTES[int(rng.integers(len(BYTES)))](data, rng)
    return data


def png_chunks(data: bytes, rng: np.random.Generator) -> bytes:
    """A PNG whose chunks are removed, doubled, swapped or changed, with checksums that fit: a decoder must look closer."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    which, one = int(rng.integers(5)), int(rng.integers(len(chunks)))
    if which == 0:
        del chunks[one]
    elif which == 1:
        chunks.insert(one, chunks[one])
    elif which == 2:
        other = int(rng.integers(len(chunks)))
        chunks[one], chunks[other] = chunks[other], chunks[one]
    elif which == 3 and chunks[0][0] == b"IHDR":
        width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
        huge = (0, 1, 65_535, 100_000, 2**31 - 1, 2**32 - 1)
        if rng.random() < 0.5:
            width = int(rng.choice(huge))
        else:
            height = int(rng.choice(huge))
        rest = [int(rng.integers(20)) if rng.random() < 0.3 else part for part in rest]
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", width, height, *rest))
    else:
        chunks[one] = (chunks[one][0], any_bytes(chunks[one][1], rng))
    parts = [data[:8]]
    for name, body in chunks:
        parts += [struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(name + body))]
    return b"".join(parts)


def jpeg_segments(data: bytes, rng: np.random.Generator) -> bytes:
    """A JPEG whose segments are removed, doubled or changed, or whose frame claims another size."""
    starts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        starts.append(at)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    segments = [data[a:b] for a, b in zip(starts, [*starts[1:], at], strict=True)]
    one, which = int(rng.integers(len(segments))), int(rng.integers(4))
    if which == 0:
        del segments[one]
    elif which == 1:
        segments.insert(one, segments[one])
    elif which == 2:
        segments = [
            s[:5] + bytes(rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\1\xff\xff", b"\x20\x00\x20\x00"))) + s[9:]
            if s[1] in (0xC0, 0xC2)
            else s
            for s in segments
        ]
    else:
        segments[one] = segments[one][:4] + any_bytes(segments[one][4:], rng)
    return data[:2] + b"".join(segments) + data[at:]
