"""Verification as a table: pairs are drawn within groups, scored, and decided at one threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.config import EmbedSettings
from fairaudit.errors import DataError
from fairaudit.metrics import verification as v
from fairaudit.metrics.groups import Groups, cross
from fairaudit.predictions import MISSING, FloatArray, Predictions
from fairaudit.results import Estimate
from fairaudit.results.embedding import Verified
from fairaudit.workflows.embed_tables import Space, pairs_table

_NONE = Estimate(float("nan"), float("nan"), float("nan"), 0)


@dataclass(frozen=True, eq=False)
class Verification:
    """Pairs of a space, and the threshold that they are decided at.

    Attributes:
        table: the pairs as predictions; None where there are no impostors within groups.
        pairs: which rows.
        scores: (p,) of the pairs.
        threshold: the score from which a pair is called genuine.
        fmr: the false match rate that it was set for, or that it has.
        record: what was drawn and decided, for the settings of the record.
        notes: what a reader must know.
    """

    table: Predictions | None
    pairs: v.Pairs
    scores: FloatArray
    threshold: float
    fmr: float
    record: Mapping[str, Any]
    notes: tuple[str, ...]

    def of(self, groups: Groups, g: int) -> Verified:
        """One group's pairs, without the rates that an audit of the table tells.

        Args:
            groups: a grouping.
            g: which group of it.
        """
        own = groups.ids[self.pairs.first] == g
        genuine, impostors = self.scores[own & self.pairs.genuine], self.scores[own & ~self.pairs.genuine]
        told = v.curve(genuine, impostors)
        needed = v.threshold_at(impostors, self.fmr) if v.can_tell(len(impostors), self.fmr) else float("nan")
        return Verified(
            len(genuine),
            len(impostors),
            _NONE,
            _NONE,
            v.equal_error(genuine, impostors)[0],
            needed if needed <= 1 else float("nan"),
            tuple(v.histogram(genuine)),
            tuple(v.histogram(impostors)),
            tuple(zip(told.thresholds.tolist(), told.fmr.tolist(), told.fnmr.tolist(), strict=True)),
        )


def verify(space: Space, grouped: Sequence[Groups], given: Sequence[str], settings: EmbedSettings) -> Verification:
    """Draw pairs within the cells of all attributes that groups are made of, and decide them.

    Both images of a pair are therefore of one group by every grouping, and of one level of what is held fixed.

    Args:
        space: embeddings and classes.
        grouped: every grouping.
        given: columns that are held fixed.
        settings: how many pairs, which false match rate or threshold, seed.

    Raises:
        DataError: a group with images has no genuine pair.
    """
    check_genuine(space, grouped, given)
    names = _within(grouped, given)
    cells = cross(space.embeddings.columns(), names)
    pairs = v.sample_pairs(space.classes, cells.ids, len(cells), settings.pairs, settings.audit.seed)
    scores = v.scores(space.unit, pairs)
    impostors = scores[~pairs.genuine]
    record: dict[str, Any] = {
        "pairs_within": list(names),
        "pairs": settings.pairs,
        "genuine": int(pairs.genuine.sum()),
        "impostors": len(impostors),
    }
    if not len(impostors):
        note = (
            f"no group by {','.join(names)} holds two of {space.name}: without impostors within groups nothing is verified"
        )
        return Verification(None, pairs, scores, float("nan"), float("nan"), record, (note,))
    notes: list[str] = []
    told = settings.audit.threshold
    if told is not None:
        threshold = told
        fmr = float((impostors >= threshold).mean())
    else:
        fmr = settings.fmr or v.usual_fmr(len(impostors))
        threshold = v.threshold_at(impostors, fmr)
        if threshold > 1:
            threshold, wanted = 1.0, fmr
            fmr = float((impostors >= threshold).mean())
            notes.append(
                f"a false match rate of {wanted:g} cannot be had: {fmr:.3g} of the impostor pairs have the highest score "
                "there is, and match at every threshold"
            )
        elif not v.can_tell(len(impostors), fmr):
            notes.append(
                f"{len(impostors):,} impostor pairs cannot tell a false match rate of {fmr:g}: no impostor matches at the "
                "threshold; draw more with --pairs"
            )
    record |= {"threshold": threshold, "fmr": fmr, "threshold_is": "set for fmr" if told is None else "given"}
    table = pairs_table(space, pairs, scores, threshold)
    return Verification(table, pairs, scores, threshold, fmr, record, tuple(notes))


def check_genuine(space: Space, grouped: Sequence[Groups], given: Sequence[str]) -> None:
    """Refuse groups none of whose people are on two images.

    Args:
        space: whose classes; its embeddings may mean nothing yet.
        grouped: every grouping.
        given: columns that are held fixed.

    Raises:
        DataError: there is such a group.
    """
    cells = cross(space.embeddings.columns(), _within(grouped, given))
    rows = np.flatnonzero((space.classes != MISSING) & (cells.ids != MISSING))
    key = cells.ids[rows] * (int(space.classes.max()) + 1) + space.classes[rows]
    _, of, times = np.unique(key, return_inverse=True, return_counts=True)
    mated = rows[times[of] > 1]
    for groups in grouped:
        held, paired = groups.ids[space.classes != MISSING], groups.ids[mated]
        lacking = [g for g in range(len(groups)) if (held == g).any() and not (paired == g).any()]
        if not lacking:
            continue
        shown = ", ".join(f"{' '.join(groups.labels[g])} ({_images(int((held == g).sum()))})" for g in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise DataError(
            f"no two images are of one {space.name} in {shown}{more} by {','.join(groups.by)}: a non-match rate needs "
            "genuine pairs; restrict the audit with --where, or leave pairs out with --without verification"
        )


def _within(grouped: Sequence[Groups], given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(name for groups in grouped for name in groups.by), *given]))


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
