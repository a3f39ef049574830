"""Only the training images that the dataset itself marks as its balanced part.

Formula:
    Rows in which ``column`` is true.

Source:
    M. Oehri, G. Vetterli, S. Jarvers, "Exploring Fairness in the Classification of Faces", KTH 2023, trained on the rows of
    FairFace with ``service_test`` true.

Traps:
    The part is balanced as its makers meant it: FairFace's is only nearly equal over race and gender, and says nothing of
    age. It has fewer images (45,414 of 97,698 in FairFace), so that a loss of accuracy may come from their number. Only
    training images are chosen; what is selected and tested on stays as it is for all methods.

Needs:
    A column of two levels, one of which says yes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError, UsageError, suggest
from fairaudit.methods._requirements import need_logits
from fairaudit.methods.base import Outcome, Plan, Study

_YES = ("true", "yes", "1", "t", "y")


@dataclass(frozen=True, eq=False)
class Marked:
    """The images that are kept.

    Attributes:
        data: they.
        column: what marks them, as the table spells it.
        level: that says yes.
    """

    data: TrainingData
    column: str
    level: str


def run(study: Study, *, column: str = "service_test") -> Outcome:
    """Keep the marked images and train.

    Args:
        study: what is trained on.
        column: the column that marks them.

    Raises:
        FairauditError: see ``check``.
    """
    marked = check(study, column=column)
    model = study.network()
    history = study.fit(model, marked.data)
    kept, whole = len(marked.data), len(study.train)
    note = f"keeps the {kept:,} of {whole:,} training images in which {marked.column} is {marked.level}"
    return Outcome(model, {"model": history}, (note,))


def check(plan: Plan, *, column: str) -> Marked:
    """Find the marked images.

    Args:
        plan: what is trained on.
        column: see ``run``.

    Raises:
        UsageError: there is no such column, none of its levels says yes, or the loss wants embeddings.
        DataError: no image is marked, or the loss cannot do with those that are.
    """
    need_logits(plan, "balanced")
    known = {name.casefold(): name for name in plan.columns}
    name = known.get(column.casefold())
    if name is None:
        raise UsageError(
            f"the method balanced keeps rows in which {column!r} is true, a column that is not there"
            f"{suggest(column, plan.columns)}"
        )
    levels = plan.columns[name].levels
    yes = [i for i, level in enumerate(levels) if level.casefold() in _YES]
    if not yes:
        raise UsageError(
            f"the method balanced keeps rows in which {name!r} is true, but its levels are {', '.join(levels)}"
        )
    kept = np.flatnonzero(np.isin(plan.columns[name].codes, yes))
    if not len(kept):
        raise DataError(f"{name} is true in none of the {len(plan.train)} training images")
    data = plan.train.selected(torch.from_numpy(kept))
    data.require_contrast()
    plan.loss(data.counted)
    if plan.settings.balance == "groups":
        data.counted.require_images("balanced sampling")
    return Marked(data, name, levels[yes[0]])
