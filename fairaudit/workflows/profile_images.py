"""The pictures of a profile: a sample that has as many of each group as there are, and what its groups look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairaudit.data.looks import Progress, looks
from fairaudit.data.manifest import Manifest
from fairaudit.metrics.location import mean_and_sd, quantile
from fairaudit.predictions import BoolArray, Column, FloatArray, IntArray
from fairaudit.results.profile import PictureSample, PictureSummary

SEED = 0
_TRIED_FIRST = 25


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a sample of pictures tells, one entry per picture that could be read.

    Attributes:
        sample: how it was drawn.
        rows: (m,) positions in the manifest.
        weights: (m,) how many images of the dataset each stands for.
        width: (m,) in pixels.
        height: (m,) in pixels.
        brightness: (m,) mean luma, 0 to 255.
    """

    sample: PictureSample
    rows: IntArray
    weights: FloatArray
    width: FloatArray
    height: FloatArray
    brightness: FloatArray

    def summary(self, member: BoolArray) -> PictureSummary:
        """The pictures of a group.

        Args:
            member: (n,) which rows of the manifest belong to it.
        """
        mine = member[self.rows]
        weights = self.weights[mine]
        mean, sd = mean_and_sd(self.brightness[mine], weights)
        return PictureSummary(
            n=int(mine.sum()),
            width=_range(self.width[mine], weights),
            height=_range(self.height[mine], weights),
            brightness=mean,
            brightness_sd=sd,
        )


def sample_pictures(
    manifest: Manifest,
    columns: Mapping[str, Column],
    by: Sequence[str],
    images: int,
    progress: Progress | None = None,
) -> tuple[Pictures | None, tuple[str, ...]]:
    """Look at a sample of a dataset's pictures.

    As many are drawn in each cell of the crossed attributes, or all where a cell has fewer, so that small groups are
    described as well as large ones. Numbers of anything larger than a cell weigh every picture by the images it stands for.

    Args:
        manifest: the dataset.
        columns: its categorical columns.
        by: the attributes to cross.
        images: how many pictures to look at, at most; 0 for none.
        progress: told how many are done, and of how many.

    Returns:
        None where there is nothing to look at, and sentences about pictures that are not there or cannot be read.
    """
    if not images:
        return None, ()
    rows, weights = draw(_cells(len(manifest), [columns[name] for name in by]), images)
    names = [str(row) for row in manifest.frame["row"].iloc[rows]]
    # labels without a single picture are common, and three hundred failures would say no more than these
    if len(manifest.store.missing(names[:_TRIED_FIRST])) == len(names[:_TRIED_FIRST]) and (
        len(manifest.store.missing(names)) == len(names)
    ):
        return None, (f"no image was found where the labels say: none of {len(names):,} tried; sizes are not given",)
    found = [None if one.reason else one for one in looks(manifest.store, names, progress)]
    read = [one for one in found if one is not None]
    kept = np.array([one is not None for one in found], dtype=np.bool_)
    lost = len(names) - len(read)
    noted = () if not lost else (
        f"{lost:,} of the {len(names):,} pictures that were looked at cannot be read; 'fairaudit data check' names them",
    )  # fmt: skip
    sample = PictureSample(len(names), len(read), tuple(by), SEED)
    if not read:
        return None, noted
    return Pictures(
        sample,
        rows[kept],
        weights[kept],
        np.array([one.width for one in read], dtype=np.float64),
        np.array([one.height for one in read], dtype=np.float64),
        np.array([one.brightness for one in read], dtype=np.float64),
    ), noted


def draw(cells: IntArray, images: int) -> tuple[IntArray, FloatArray]:
    """Draw rows, as many of each cell as there are, in turn.

    Args:
        cells: (n,) which cell each row belongs to, from 0.
        images: how many to draw, at most.

    Returns:
        The rows in rising order, and how many rows of its cell each stands for.
    """
    n = len(cells)
    shuffled = np.random.default_rng(SEED).permutation(n)
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    sizes = np.bincount(cells, minlength=1)
    turn = np.empty(n, dtype=np.int64)
    turn[order] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # rows are drawn turn by turn; within the last one chance decides
    drawn = np.sort(shuffled[np.argsort(turn[shuffled], kind="stable")][:images]).astype(np.int64)
    stands_for = sizes / np.maximum(np.bincount(cells[drawn], minlength=len(sizes)), 1)
    return drawn, stands_for[cells[drawn]]


def _cells(n: int, columns: Sequence[Column]) -> IntArray:
    """(n,) which cell of the crossed columns each row is in, only those that occur numbered; a missing label is a level."""
    cells = np.zeros(n, dtype=np.int64)
    for column in columns:
        _, cells = np.unique(cells * (len(column.levels) + 1) + column.codes + 1, return_inverse=True)
    return cells.astype(np.int64)


def _range(values: FloatArray, weights: FloatArray) -> tuple[float, float, float]:
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    return quantile(values, weights, 0.5), float(values.min()), float(values.max())
