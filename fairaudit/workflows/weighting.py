"""Sampling weights in an audit: which rows they leave, whether they say anything, and what they cannot go with yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rules import Requirement, Rule
from fairaudit.predictions import Predictions
from fairaudit.results import AuditResult

WEIGHTED = "weighted"
"""The setting by which a stored audit says that its images had weights."""


def with_weight(predictions: Predictions, told: list[str]) -> Predictions:
    """The rows that stand for images; without weights where all that are left stand for as many.

    Args:
        predictions: restricted to what is audited.
        told: sentences for the reader, added to.
    """
    if predictions.weight is None:
        return predictions
    keep = predictions.weight > 0
    if not keep.all():
        told.append(f"{int((~keep).sum())} images with a weight of 0 are left out")
        predictions = predictions.take(keep)
    assert predictions.weight is not None  # of the rows that were taken
    if np.ptp(predictions.weight) == 0:
        return replace(predictions, weight=None)
    return predictions


def check_weighable(settings: AuditSettings, rules: Iterable[Requirement]) -> None:
    """Refuse what would silently be unweighted.

    Args:
        settings: what is asked of an audit with weights.
        rules: what is judged.

    Raises:
        UsageError: something is asked that is not weighted yet.
    """
    given = settings.given or any(isinstance(rule, Rule) and rule.given for rule in rules)
    asked = {"--given": given, "--label-noise": settings.label_noise is not None, "--shrink": settings.shrink}
    found = [flag for flag, is_asked in asked.items() if is_asked]
    if found:
        raise UsageError(f"{' and '.join(found)} cannot be combined with weights yet; leave out the one or the other")


def weighted_counts(table: Table) -> tuple[tuple[tuple[int, ...], ...], ...] | None:
    """Weighted counts as an audit stores them; None without weights."""
    if table.weighted is None:
        return None
    return tuple(tuple(tuple(int(x) for x in row) for row in matrix) for matrix in table.weighted)


def check_unweighted(audits: Sequence[tuple[str, AuditResult]], what: str) -> None:
    """Refuse stored audits with weights where only counts are used.

    Args:
        audits: what each is called, and what was stored.
        what: what is not done with them, and what to do, as the sentence ends.

    Raises:
        UsageError: one has weights.
    """
    for name, audit in audits:
        if audit.settings.get(WEIGHTED):
            raise UsageError(f"the images of {name} have weights, which {what}")
