"""Sweep: every rate of every group at every threshold of the score, from the histograms that an audit stores."""

from __future__ import annotations

from typing import cast

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.metrics.counts import cells
from fairaudit.metrics.histograms import sweep
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.predictions import FloatArray, IntArray
from fairaudit.results import AuditResult, Scores, group_label, grouping_text

Columns = dict[str, list[str] | FloatArray | IntArray]


def swept(result: AuditResult) -> Columns:
    """The table: one row per group and threshold, one column per rate.

    At a threshold the class is called where its score is at least that; at the last one, infinity, never. Thresholds are
    the edges of the stored histograms, at which counts are exact.

    Args:
        result: an audit of scores.

    Returns:
        ``by``, ``group``, ``class``, ``threshold``, ``tp``, ``fp``, ``fn``, ``tn``, then the rates, nan where undefined.

    Raises:
        UsageError: the audit has no scores of one class.
    """
    blocks = [_block(grouping_text(g), [group_label(one.group) for one in g.groups], g.scores) for g in result.groupings
              if g.scores is not None]  # fmt: skip
    if not blocks:
        raise UsageError(
            "--sweep needs scores of one class: name their column with --y-score, and of more than two classes one with "
            "--positive"
        )
    return {name: _stacked([block[name] for block in blocks]) for name in blocks[0]}


def _block(by: str, groups: list[str], scores: Scores) -> Columns:
    matrix = sweep(np.array([g.negatives for g in scores.groups]), np.array([g.positives for g in scores.groups]))
    matrix = matrix.swapaxes(0, 1)  # (g, b + 1, 2, 2): a group's thresholds stand together
    steps = matrix.shape[1]
    edges = np.append(np.arange(steps - 1) / (steps - 1), np.inf)
    flat = matrix.reshape(-1, 2, 2)
    size = len(flat)
    found: Columns = {
        "by": [by] * size,
        "group": [group for group in groups for _ in range(steps)],
        "class": [scores.of] * size,
        "threshold": np.tile(edges, len(groups)),
        "tp": flat[:, 1, 1],
        "fp": flat[:, 0, 1],
        "fn": flat[:, 1, 0],
        "tn": flat[:, 0, 0],
    }
    counted = cells(flat)
    for rate in RATES.values():
        found[rate.name] = rate_values(rate, counted.of_class(1) if rate.per_class else counted)
    return found


def _stacked(parts: list[list[str] | FloatArray | IntArray]) -> list[str] | FloatArray | IntArray:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if not arrays:
        return [text for part in parts for text in part]
    return cast("FloatArray | IntArray", np.concatenate(arrays))
