"""Verification as a table: pairs are drawn within groups, scored, and decided at one threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        return Verified(
            len(genuine),
            len(impostors),
            _NONE,
            _NONE,
            v.equal_error(genuine, impostors)[0],
            v.threshold_at(impostors, self.fmr),
            tuple(v.histogram(genuine)),
            tuple(v.histogram(impostors)),
            tuple(zip(told.thresholds.tolist(), told.fmr.tolist(), told.fnmr.tolist(), strict=True)),
        )


def verify(space: Space, grouped: Sequence[Groups], settings: EmbedSettings) -> Verification:
    """Draw pairs within the cells of all attributes that groups are made of, and decide them.

    Both images of a pair are therefore of one group by every grouping.

    Args:
        space: embeddings and classes.
        grouped: every grouping.
        settings: how many pairs, which false match rate or threshold, seed.

    Raises:
        DataError: a group with images has no genuine pair.
    """
    names = tuple(dict.fromkeys(name for groups in grouped for name in groups.by))
    cells = cross(space.embeddings.attributes, names)
    seed = settings.audit.seed
    pairs = v.sample_pairs(space.classes, cells.ids, len(cells), settings.pairs, seed)
    for groups in grouped:
        _check_genuine(space, groups, pairs)
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
    if settings.audit.threshold is not None:
        threshold = settings.audit.threshold
        fmr = float((impostors >= threshold).mean())
    else:
        fmr = settings.fmr or v.usual_fmr(len(impostors))
        threshold = min(v.threshold_at(impostors, fmr), 1.0)
        if fmr * len(impostors) < 1:
            notes.append(
                f"{len(impostors):,} impostor pairs cannot tell a false match rate of {fmr:g}: no impostor matches at the "
                "threshold; draw more with --pairs"
            )
    record |= {"threshold": threshold, "fmr": fmr, "threshold_is": "given" if settings.audit.threshold else "set for fmr"}
    table = pairs_table(space, pairs, scores, threshold)
    return Verification(table, pairs, scores, threshold, fmr, record, tuple(notes))


def _check_genuine(space: Space, groups: Groups, pairs: v.Pairs) -> None:
    held = groups.ids[space.classes != MISSING]
    paired = groups.ids[pairs.first[pairs.genuine]]
    lacking = [g for g in range(len(groups)) if (held == g).any() and not (paired == g).any()]
    if lacking:
        shown = ", ".join(f"{' '.join(groups.labels[g])} ({int((held == g).sum()):,} images)" for g in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise DataError(
            f"no two images are of one {space.name} in {shown}{more} by {','.join(groups.by)}: a non-match rate needs "
            "genuine pairs; restrict the audit with --where, or leave pairs out with --without verification"
        )
