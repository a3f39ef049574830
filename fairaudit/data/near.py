"""Near: pictures that are the same to the eye although their bytes differ: saved again, resized, brightened.

Two steps, because aligned faces resemble each other more than pictures in general do. A perceptual hash of 64 bits (the
lowest frequencies of a discrete cosine transform, above or below their median; Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010) finds candidates; two candidates are near-identical if, besides, their pictures of
16 × 16 grey pixels correlate. Among 19,527 photographed faces of five sets, the hash alone gave 120 pairs at a distance of
4; of the 95 that the correlation keeps 88 were looked at, and all were the same photograph.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairaudit.data.looks import SIDE

DISTANCE = 4
"""Largest Hamming distance of two hashes that are taken for the same picture."""
CORRELATION = 0.96
"""Least correlation of their small grey pictures."""
MOST_PAIRS = 2_000_000
"""Where more pairs than this are near, the search stops: the pictures are frames of a film, or hardly pictures."""
_BITS, _LOW, _SMALL = 64, 8, 16
_FLAT = 2.0  # standard deviation in grey levels below which a picture is of one colour, so that its hash is noise
_BLOCK = 2048

Hashes = NDArray[np.uint64]
Codes = NDArray[np.int64]


def hashes(grey: NDArray[np.uint8]) -> Hashes:
    """Perceptual hashes.

    Args:
        grey: (n, 32, 32) grey pictures.

    Returns:
        (n,) of 63 bits each; the first, which would say how bright the picture is, is left 0.
    """
    position = np.arange(SIDE) + 0.5
    waves = np.cos(np.pi / SIDE * np.arange(_LOW)[:, None] * position).astype(np.float32)
    low = (waves @ grey.astype(np.float32) @ waves.T).reshape(len(grey), _BITS)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def thumbnails(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 256) grey pictures of 16 × 16 pixels from (n, 32, 32)."""
    step = SIDE // _SMALL
    means = grey.reshape(len(grey), _SMALL, step, _SMALL, step).mean(axis=(2, 4))
    thumbs: NDArray[np.uint8] = means.round().astype(np.uint8).reshape(len(grey), -1)
    return thumbs


def flat(thumbs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) whether a picture is of one colour: there is nothing in it to compare."""
    return np.asarray(thumbs.std(axis=1) < _FLAT, dtype=np.bool_)


def near_pairs(hashed: Hashes, thumbs: NDArray[np.uint8], distance: int = DISTANCE) -> tuple[Codes, bool]:
    """Every pair of pictures that look the same.

    Two hashes that differ in d bits agree in at least one of d + 1 bands of bits, so only pictures that share a band are
    compared: exact, and in a second for tens of thousands.

    Args:
        hashed: (n,) hashes.
        thumbs: (n, 256) their small grey pictures.
        distance: how many bits may differ.

    Returns:
        (pairs, 2) positions, the lower one first, and whether all were found: beyond ``MOST_PAIRS`` the search stops.
    """
    found = [np.empty(0, dtype=np.int64)]
    n, total = len(hashed), 0
    for start, stop in _bands(distance + 1):
        keys = (hashed >> np.uint64(start)) & np.uint64((1 << (stop - start)) - 1)
        for members in _shared(keys):
            for one, other in _alike(hashed, thumbs, members, distance):
                found.append(np.minimum(one, other) * n + np.maximum(one, other))
                total += len(one)
                if total > MOST_PAIRS:
                    return _pairs(found, n), False
    return _pairs(found, n), True


def _pairs(found: list[Codes], n: int) -> Codes:
    codes = np.unique(np.concatenate(found))
    return np.stack([codes // max(n, 1), codes % max(n, 1)], axis=1)


def _bands(count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, _BITS, min(count, _BITS) + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def _shared(keys: Hashes) -> Iterator[Codes]:
    """Positions that share a key, a set at a time; keys of one position are left out."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    yield from (part for part in np.split(order, edges) if len(part) > 1)


def _alike(hashed: Hashes, thumbs: NDArray[np.uint8], members: Codes, distance: int) -> Iterator[tuple[Codes, Codes]]:
    for start in range(0, len(members), _BLOCK):
        rows, columns = members[start : start + _BLOCK], members[start:]
        bits = np.bitwise_count(hashed[rows, None] ^ hashed[None, columns])
        i, j = np.nonzero(bits <= distance)
        below = i < j  # columns begin where rows do
        one, other = rows[i[below]], columns[j[below]]
        for k in range(0, len(one), _BLOCK):
            a, b = one[k : k + _BLOCK], other[k : k + _BLOCK]
            alike = _correlation(thumbs[a], thumbs[b]) >= CORRELATION
            yield a[alike], b[alike]


def _correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    x, y = (one.astype(np.float32) - one.mean(axis=1, keepdims=True, dtype=np.float32) for one in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        r: NDArray[np.float32] = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return r
