"""Labels and decisions of images that have several labels each, and how people's images of each label depend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.metrics.clusters import PersonCounts
from fairaudit.metrics.design_effects import DesignEffects, design_effects
from fairaudit.metrics.rates import RATES, Rate, rate_named
from fairaudit.predictions import MISSING, IntArray

SUBSET, HAMMING = "subset_accuracy", "hamming_accuracy"


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Labels and decisions of every image.

    Attributes:
        cell: (n, l) 2 · label + decision: 0 true negative, 1 false positive, 2 false negative, 3 true positive;
            ``MISSING`` where the label is not known.
        ids: (n,) group of each image or ``MISSING``.
        groups: how many groups.
        identity: (n,) who is on each image or ``MISSING``; None where that is not known, or does not matter.
    """

    cell: IntArray
    ids: IntArray
    groups: int
    identity: IntArray | None = None

    def counts(self) -> IntArray:
        """(g, l, 4) images per cell."""
        found = np.zeros((self.groups, self.cell.shape[1], 4), dtype=np.int64)
        for label, cell in enumerate(self.cell.T):
            keep = (cell != MISSING) & (self.ids != MISSING)
            key = self.ids[keep] * 4 + cell[keep]
            found[:, label] = np.bincount(key, minlength=4 * self.groups).reshape(self.groups, 4)
        return found


def pooled_rates(betas: Sequence[float] = ()) -> list[Rate]:
    """Rates per label whose mean over labels, or whose pooled value, says something.

    Args:
        betas: F-scores besides F1 and F2.
    """
    extra = [rate_named(f"f{beta:g}") for beta in betas]
    known = [*RATES.values(), *(rate for rate in extra if rate is not None and rate.name not in RATES)]
    return [rate for rate in known if rate.per_class and rate.name != "false_negative_share"]


def people_of(identity: IntArray) -> IntArray:
    """(n,) persons as 0 … m − 1; who is not known is on no other image.

    Args:
        identity: (n,) who is on each image or ``MISSING``.
    """
    who = identity.copy()
    unknown = who == MISSING
    who[unknown] = who.max(initial=0) + 1 + np.arange(int(unknown.sum()))
    return np.unique(who, return_inverse=True)[1].astype(np.int64)


def label_effects(rows: LabelRows) -> tuple[DesignEffects, ...]:
    """Design effects of each label where somebody is on several images; empty where nobody is.

    Args:
        rows: labels and decisions; who is on them must be known.
    """
    if rows.identity is None:
        return ()
    keep = (rows.cell != MISSING).any(1) & (rows.ids != MISSING)
    cell, ids, person = rows.cell[keep], rows.ids[keep], people_of(rows.identity[keep])
    if person.max(initial=-1) + 1 == len(person):
        return ()
    cluster, place = np.unique(person * rows.groups + ids, return_inverse=True)
    group, person = cluster % rows.groups, cluster // rows.groups
    people = tuple(int(n) for n in np.bincount(group, minlength=rows.groups))
    found = []
    for column in cell.T:
        known = column != MISSING
        counts = np.bincount(place[known] * 4 + column[known], minlength=4 * len(cluster)).reshape(-1, 2, 2)
        some = counts.any((-2, -1))
        one = design_effects(PersonCounts(group[some], person[some], counts[some].astype(np.int64), rows.groups))
        found.append(replace(one, people=people))
    return tuple(found)
