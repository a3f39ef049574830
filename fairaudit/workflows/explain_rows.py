"""Which images are explained: those named, the mistakes a network was surest of, and what it was surest of and right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairaudit.config import ExplainSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.groups import Groups
from fairaudit.metrics.mistakes import worth_a_look
from fairaudit.predictions import MISSING, IntArray, StrArray, Task

WORST, RIGHT = 2, 1
"""Images of each group where nothing is asked for."""

_SHOWN = 3


def check_rows(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse row ids that do not exist.

    Raises:
        UsageError: one does not.
    """
    there = set(known)
    lacking = [row for row in wanted if row not in there]
    if lacking:
        ending = [row for row in known if row.endswith(lacking[0])][:_SHOWN]
        hint = f"did you mean {' or '.join(map(repr, ending))}?" if ending else f"the first of them is {known[0]!r}"
        raise UsageError(f"there is no image {lacking[0]!r} among the {len(known):,} that are audited; {hint}")


def chosen(task: Task, rows: StrArray, groups: Groups, settings: ExplainSettings) -> list[int]:
    """Positions of the images that are explained: group by group the mistakes, then what was right; or those named.

    Args:
        task: what was predicted.
        rows: (n,) row ids.
        groups: of the first grouping.
        settings: how many, and which.

    Raises:
        UsageError: an image that was named could not be read, or nothing is left to explain.
    """
    place = {str(row): i for i, row in enumerate(rows)}
    gone = [row for row in settings.rows if row not in place]
    if gone:
        raise UsageError(
            f"the image {gone[0]!r} has no prediction: it could not be read, or the stored run has not seen it"
        )
    found = [place[row] for row in settings.rows]
    worst = settings.worst if settings.worst is not None else 0 if settings.rows else WORST
    right = settings.right if settings.right is not None else 0 if settings.rows else RIGHT
    score = np.zeros((len(rows), len(task.classes))) if task.y_score is None else task.y_score
    sure = score[np.arange(len(rows)), task.y_pred]
    good = (task.y_true != MISSING) & (task.y_true == task.y_pred)
    looks = worth_a_look(task.y_true, task.y_pred, task.y_score, groups.ids, len(groups), worst)
    for g, worth in enumerate(looks):
        found += worth.mistakes.tolist()
        own = np.flatnonzero(good & (groups.ids == g))
        found += own[np.argsort(-sure[own], kind="stable")][:right].tolist()
    found = list(dict.fromkeys(found))
    if not found and not settings.per_group:
        raise UsageError("there is nothing to explain: no group has a mistake; name images with --rows, or ask for --right")
    return found


def drawn(ids: IntArray, groups: int, each: int, seed: int) -> list[int]:
    """Positions of a random sample of every group, all of those that have fewer.

    Args:
        ids: (n,) group or ``MISSING``.
        groups: how many there are.
        each: images of each.
        seed: of the draw.
    """
    found: list[int] = []
    for g in range(groups):
        own = np.flatnonzero(ids == g)
        found += sorted(np.random.default_rng([seed, g]).permutation(own)[:each].tolist())
    return found
