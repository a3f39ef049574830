"""Inspection: one pass over all images of a dataset, kept as a few numbers per image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairaudit.data.looks import SIDE, Look, Progress, looks
from fairaudit.data.manifest import Manifest
from fairaudit.data.near import flat, hashes, near_pairs, thumbnails
from fairaudit.data.ties import tied
from fairaudit.predictions import BoolArray, IntArray

_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is known of n images, in the manifest's order.

    Attributes:
        digests: (n,) digest of each file's bytes; None where it cannot be read.
        width: (n,) in pixels; 0 where it is not known.
        height: (n,) likewise.
        reasons: row → why it cannot be read or decoded.
        hashes: (n,) perceptual hashes, 0 where there is no picture.
        thumbs: (n, 256) small grey pictures.
        seen: (n,) whether the image was decoded.
        blank: (n,) whether its picture is of one colour.
    """

    digests: tuple[str | None, ...]
    width: IntArray
    height: IntArray
    reasons: dict[int, str]
    hashes: np.ndarray
    thumbs: np.ndarray
    seen: BoolArray
    blank: BoolArray

    def identical(self) -> list[list[int]]:
        """Sets of positions whose files are equal to the byte, in order of their first."""
        return _sets(self._contents(), len(self.digests))

    def near(self, distance: int) -> tuple[list[list[int]], bool]:
        """Sets of positions that look the same though not all are equal to the byte, and whether all could be found.

        Args:
            distance: see ``near_pairs``.
        """
        contents = self._contents()
        # of each content one picture is compared; pictures of one colour resemble each other without being the same
        _, first = np.unique(contents, return_index=True)
        chosen = first[self.seen[first] & ~self.blank[first]]
        pairs, whole = near_pairs(self.hashes[chosen], self.thumbs[chosen], distance)
        looked = np.unique(pairs)
        codes = np.full(len(contents), -1, dtype=np.int64)
        codes[chosen] = tied(len(chosen), map(tuple, pairs.tolist()))
        codes[np.setdiff1d(chosen, chosen[looked])] = -1
        spread = dict(zip(contents[chosen].tolist(), codes[chosen].tolist(), strict=True))
        return _sets(np.array([spread.get(c, -1) for c in contents.tolist()], dtype=np.int64), len(contents)), whole

    def _contents(self) -> IntArray:
        """(n,) code of each content; what cannot be read has one of its own."""
        known = np.array([d or f"unreadable {i}" for i, d in enumerate(self.digests)], dtype=object).astype(str)
        return np.unique(known, return_inverse=True)[1].astype(np.int64)


def inspect(manifest: Manifest, progress: Progress | None = None) -> Inspection:
    """Read and decode every image once.

    Args:
        manifest: the images.
        progress: told how many are done, and of how many.
    """
    rows = [str(row) for row in manifest.frame["row"]]
    digests: list[str | None] = []
    sizes: list[tuple[int, int]] = []
    reasons: dict[int, str] = {}
    hashed, thumbs, seen = [], [], []
    for part in _parts(looks(manifest.store, rows, progress)):
        reasons |= {len(digests) + i: one.reason for i, one in enumerate(part) if one.reason is not None}
        digests += [one.digest for one in part]
        sizes += [(one.width, one.height) for one in part]
        grey = np.stack([np.zeros((SIDE, SIDE), np.uint8) if one.grey is None else one.grey for one in part])
        hashed.append(hashes(grey))
        thumbs.append(thumbnails(grey))
        seen.append(np.array([one.grey is not None for one in part], dtype=np.bool_))
    small, known = np.concatenate(thumbs), np.concatenate(seen)
    width, height = np.array(sizes, dtype=np.int64).T
    return Inspection(tuple(digests), width, height, reasons, np.concatenate(hashed), small, known, known & flat(small))


def _parts(found: Iterator[Look]) -> Iterator[list[Look]]:
    part: list[Look] = []
    for one in found:
        part.append(one)
        if len(part) == _CHUNK:
            yield part
            part = []
    if part:
        yield part


def _sets(codes: IntArray, n: int) -> list[list[int]]:
    members: dict[int, list[int]] = {}
    for position, code in zip(range(n), codes.tolist(), strict=True):
        if code >= 0:
            members.setdefault(code, []).append(position)
    return [positions for positions in members.values() if len(positions) > 1]
