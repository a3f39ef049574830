"""Retrieval: who stands nearest to an image among others, by exact cosine similarity in blocks of bounded memory.

A query is compared with every image of a gallery but itself. Recall@k asks whether one of the k nearest is of its class
(Musgrave et al. 2020 and Dullerud et al. 2022 use it so); with R others of the class in the gallery, R-precision is the
share of them among the R nearest, MAP@R the precision averaged over the places ≤ R where one of them stands, divided by
R, and mAP@1000 the same over the 1,000 nearest, divided by min(R, 1000).

Copies of an image are equally near. They stand in an order that is shuffled for every query, the same every time: in the
order of the file, which often lists one group after another, a network that makes the same of every image would seem to
find those that are listed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray

Vectors = NDArray[np.float32]

DEPTH = 1000
"""How many neighbours mAP@1000 looks at."""

_LESS = 1e-8
"""Less than similarities of float32 differ by, near enough to matter."""

_BUDGET = 128 * 2**20
"""Bytes of one block of similarities."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What each query found.

    Attributes:
        queries: (q,) rows that were asked for.
        hits: k → (q,) whether one of the k nearest is of the query's class.
        relevant: (q,) how many others of its class the gallery holds; where it is 0 nothing can be found.
        r_precision: (q,) nan where ``relevant`` is 0.
        map_at_r: (q,) likewise.
        map_at_1000: (q,) likewise.
    """

    queries: IntArray
    hits: Mapping[int, BoolArray]
    relevant: IntArray
    r_precision: FloatArray
    map_at_r: FloatArray
    map_at_1000: FloatArray

    @property
    def means(self) -> dict[str, FloatArray]:
        """Measures that are means of numbers between 0 and 1 and no shares, by name."""
        return {"r_precision": self.r_precision, "map_at_r": self.map_at_r, "map_at_1000": self.map_at_1000}


def normalised(values: NDArray[np.floating]) -> Vectors:
    """(n, d) rows of length 1, float32.

    Args:
        values: (n, d) finite numbers, no row of which is 0 throughout.
    """
    wide = np.asarray(values, dtype=np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide, dtype=np.float64))
    return np.asarray(wide / lengths[:, None].astype(np.float32), dtype=np.float32)


def retrieve(unit: Vectors, classes: IntArray, ks: Sequence[int], rows: IntArray | None = None) -> Retrieval:
    """Let every image of a gallery ask for its class among the others.

    Args:
        unit: (n, d) rows of length 1, see ``normalised``.
        classes: (n,) class or ``MISSING``; images without one neither ask nor are found.
        ks: the k of each recall@k, at least 1.
        rows: the gallery; None takes every image.
    """
    held = np.arange(len(classes)) if rows is None else rows
    held = held[classes[held] != MISSING]
    own, gallery = classes[held], unit[held]
    m = len(held)
    sizes = np.bincount(own, minlength=int(own.max(initial=0)) + 1)
    relevant = np.asarray(sizes[own] - 1, dtype=np.int64)
    hits = {k: np.zeros(m, dtype=np.bool_) for k in ks}
    precision, at_r, at_1000 = (np.full(m, np.nan) for _ in range(3))
    depth = min(m - 1, max([*ks, DEPTH, int(relevant.max(initial=0))]))
    for start, found in _neighbours(gallery, depth):
        block = slice(start, start + len(found))
        same = own[found] == own[block, None]
        for k in ks:
            hits[k][block] = same[:, :k].any(1)
        r = relevant[block]
        place = np.arange(1, depth + 1)
        within = same & (place <= r[:, None])
        at = np.cumsum(same, axis=1, dtype=np.float32)
        at /= place.astype(np.float32)
        at *= same
        known, share = r > 0, np.maximum(r, 1)
        precision[block] = np.where(known, within.sum(1) / share, np.nan)
        at_r[block] = np.where(known, np.where(within, at, 0.0).sum(1, dtype=np.float64) / share, np.nan)
        first = at[:, :DEPTH].sum(1, dtype=np.float64) / np.minimum(share, DEPTH)
        at_1000[block] = np.where(known, first, np.nan)
    return Retrieval(np.asarray(held, dtype=np.int64), hits, relevant, precision, at_r, at_1000)


def _neighbours(gallery: Vectors, depth: int) -> Iterator[tuple[int, IntArray]]:
    """Blocks of queries: where the block starts, and (b, depth) places of the nearest others, nearest first."""
    m = len(gallery)
    if depth < 1:
        return
    copies = len({hash(row.tobytes()) for row in gallery}) < m
    # 4 bytes of similarity (20 where copies are shuffled), and 8 of place which numpy's partition returns for each
    size = max(1, _BUDGET // ((28 if copies else 12) * m + 24 * depth))
    rng, index = np.random.default_rng(1), None
    shuffling = sliding_window_view(rng.random(2 * m) * _LESS, m) if copies else np.zeros((0, m))
    if not copies and find_spec("faiss") is not None:
        import faiss

        index = faiss.IndexFlatIP(gallery.shape[1])
        index.add(gallery)
    for start in range(0, m, size):
        block = gallery[start : start + size]
        itself = np.arange(start, start + len(block))
        if index is not None:
            found = index.search(block, depth + 1)[1].astype(np.int64)
            # the query is among its nearest, but equal images may stand before it, or have pushed it out
            other = found != itself[:, None]
            other[other.all(1), -1] = False
            yield start, found[other].reshape(len(block), depth)
            continue
        similar: NDArray[np.floating] = block @ gallery.T
        if copies:
            similar = similar + shuffling[rng.integers(0, m, len(block))]
        similar[np.arange(len(block)), itself] = -np.inf
        np.negative(similar, out=similar)
        found = np.argpartition(similar, depth - 1, axis=1)[:, :depth] if depth < m - 1 else None
        if found is None:
            yield start, np.argsort(similar, axis=1, kind="stable")[:, :depth]
            continue
        order = np.argsort(np.take_along_axis(similar, found, 1), axis=1, kind="stable")
        yield start, np.take_along_axis(found, order, 1)
