"""Sensitivity: how far every disparity of a grouping could move if labels of its groups are wrong.

Errors of crossed attributes are taken as independent of each other: the matrix of race × gender is the Kronecker product of
theirs. Metrics are those that are a mean over images of something from 0 to 1: rates, and of what is measured on rows the
accuracies and the Brier score; what ``label_noise`` finds for a share bounds such a mean as well. Bounds of a mean over
classes are the means of the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.label_noise import Moved, check_errors, moved, symmetric, unmix
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.rates import BALANCED_ACCURACY, MACRO, rate_named
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import LabelNoise, Range

_OF_ROWS = re.compile(r"(subset|hamming|top_\d+)_accuracy|(some|none)_right|mean_f[\d.]+|brier")

Errors = float | Mapping[str, Mapping[str, float]]
"""A share of labels that are wrong, each other level equally often; or true level → recorded level → share."""


def sensitivity(grouping: Grouping, errors: Mapping[str, Errors]) -> LabelNoise | None:
    """How far the disparities of a grouping could move; None where none of its attributes has errors.

    Args:
        grouping: its counts and how its groups are compared.
        errors: attribute → how often its labels are wrong; of attributes that it does not name, never.

    Raises:
        UnknownNameError: a matrix names a level that the attribute does not have.
        UsageError: a matrix leaves a level with images out, or cannot be undone.
    """
    own = {name: errors[name] for name in grouping.by if name in errors}
    if not own:
        return None
    matrix: FloatArray = np.ones((1, 1))
    for name in grouping.by:
        matrix = np.asarray(np.kron(matrix, _of_attribute(grouping, name, own.get(name))), dtype=np.float64)
    parts = [*_shares(grouping.table)]
    counts = [pair for _, measures in parts for m in measures for pair in _counts(m)]
    unmixed = unmix(np.stack(counts, axis=1), matrix)  # all at once: the matrix is the same
    ranges: list[Range] = []
    at = 0
    for measure, measures in parts:
        each = []
        for m in measures:
            each.append(moved(*_counts(m), matrix, unmixed[:, at : at + 2]))
            at += 2
        ranges += _ranges(grouping, measure, each[0] if len(each) == 1 else _mean(each))
    return LabelNoise(own, tuple(ranges))


def _shares(table: Table) -> Iterator[tuple[Measure, list[Measure]]]:
    """Every metric that is a mean over images, with itself; a mean of such over classes, with those of each class."""
    for metric in table.catalogue():
        rate = rate_named(metric.rate)
        if not _OF_ROWS.fullmatch(metric.rate) and (rate is None or rate.beta is not None):
            continue
        if metric.of in (MACRO, BALANCED_ACCURACY):
            each = [table.measure(Metric(metric.rate, c)) for c in range(len(table.classes))]
        elif isinstance(metric.of, str):
            continue
        else:
            each = [table.measure(metric)]
        yield table.measure(metric), each


def _counts(m: Measure) -> tuple[FloatArray, FloatArray]:
    """(g,) numerators and denominators of a share."""
    n = m.support.astype(np.float64)
    return np.nan_to_num(m.value) * n, n


def _mean(each: Sequence[Moved]) -> Moved:
    columns = (np.mean([getattr(one, name) for one in each], axis=0) for name in ("observed", "corrected", "low", "high"))
    return Moved(*columns)


def _ranges(grouping: Grouping, measure: Measure, one: Moved) -> Iterator[Range]:
    among = grouping.comparison.usable(measure)
    if among.sum() >= 2:
        yield Range(measure.key, "gap", None, *one.gap(among))
    ref = grouping.comparison.privileged
    for i, group in enumerate(grouping.groups):
        if ref is not None and i != ref and not np.isnan(one.observed[[i, ref]]).any():
            yield Range(measure.key, "difference", group, *one.difference(i, ref))


def _of_attribute(grouping: Grouping, name: str, errors: Errors | None) -> FloatArray:
    """The error matrix of one attribute, over all of its levels; a level without images has no part in even errors."""
    levels = list(dict.fromkeys(group[name] for group in grouping.groups))
    n = _images(grouping, name, levels)
    matrix = np.eye(len(levels))
    if errors is None:
        return matrix
    if isinstance(errors, Mapping):
        return _filled(name, levels, n, errors)
    there = np.flatnonzero(n)
    if len(there) >= 2:
        matrix[np.ix_(there, there)] = symmetric(len(there), float(errors))
    return matrix


def _images(grouping: Grouping, name: str, levels: Sequence[str]) -> IntArray:
    at = np.array([levels.index(group[name]) for group in grouping.groups])
    return np.bincount(at, grouping.table.n, len(levels)).astype(np.int64)


def _filled(name: str, levels: Sequence[str], n: IntArray, errors: Mapping[str, Mapping[str, float]]) -> FloatArray:
    folded = {level.casefold(): i for i, level in enumerate(levels)}

    def place(level: str) -> int:
        if level not in levels and level.strip().casefold() not in folded:
            raise UnknownNameError(f"level of {name!r} in --label-noise:", level, levels)
        return levels.index(level) if level in levels else folded[level.strip().casefold()]

    matrix, given = np.eye(len(levels)), set()
    for true, shares in errors.items():
        row = place(true)
        given.add(row)
        matrix[row] = 0.0
        for recorded, share in shares.items():
            matrix[row, place(recorded)] += share
    lacking = [i for i in range(len(levels)) if n[i] and i not in given]
    if lacking:
        level = levels[lacking[0]]
        raise UsageError(f"--label-noise has no row for {level!r} of {name}, of which there are {n[lacking[0]]:,} images")
    matrix /= matrix.sum(1, keepdims=True)  # shares are rounded when they are written down
    try:
        check_errors(matrix, len(levels))
    except UsageError as error:
        raise UsageError(f"--label-noise of {name}: {error}") from error
    return matrix
