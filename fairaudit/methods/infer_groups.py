"""A second classifier says of which group each training image is, where nobody has labelled it or instead of who did.

Formula:
    For every attribute the level with the largest score of the checkpoint; their cells are the groups that the chosen loss
    is given. The share of validation images whose known level is another one is the error rate.

Source:
    L. Colakovic, S. Karakatič, "Fostering Fairness in Image Classification through Awareness of Sensitive Data", 2024, name
    it as an outlook. The procedure is ours.

Traps:
    The second classifier is wrong more often about some groups than about others, and a mitigation that believes it helps
    whom it recognises. The error rate is measured on validation images, which are like the training images only if they
    come from the same place. Where the grouping names the target, that is known and is not inferred. The groups of
    validation and test images stay those that are known. An image is decoded at the size of the network that is trained
    and resized from there for the checkpoint.

Needs:
    A checkpoint that predicts every attribute of the grouping with the levels that it has here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fairaudit.config import ModelSettings
from fairaudit.engine.devices import place
from fairaudit.engine.rows import each_row
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError, UsageError
from fairaudit.losses.base import GroupLoss
from fairaudit.methods._checkpoints import OtherClassifier, open_other
from fairaudit.methods._requirements import need_logits
from fairaudit.methods._target import is_target
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metrics.groups import cross
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.predictions import MISSING, Column
from fairaudit.results import group_label

_NAME = "infer-groups"
_CONFIDENCE = 0.95
_TOO_WRONG = 0.5


@dataclass(frozen=True, eq=False)
class Ready:
    """A classifier that is right often enough.

    Attributes:
        asked: it, for each attribute.
        noise: attribute → share of validation images whose known level it gets wrong.
        notes: what there is to say of that.
    """

    asked: list[OtherClassifier]
    noise: Mapping[str, float]
    notes: list[str]


def run(
    study: Study, *, checkpoint: Path | None = None, head: str = "", arch: str = "", by: tuple[str, ...] = ()
) -> Outcome:
    """Infer the training images' groups and train.

    Args:
        study: what is trained on.
        checkpoint: file of the classifier that says what people are; it must not run code when loaded.
        head: what its outputs mean, as ``--head`` takes it (``fairface-18``, ``race:0-6``), unless the file says.
        arch: its architecture, unless it can be told from the file.
        by: attributes that it is asked for, where the study has no groups.

    Raises:
        DataError: the loss needs images of a group into which the checkpoint puts none.
        FairauditError: see ``check``.
    """
    ready = check(study, checkpoint=checkpoint, head=head, arch=arch, by=by)
    asked, noise, notes = ready.asked, ready.noise, list(ready.notes)
    notes += [f"the checkpoint: {note}" for note in dict.fromkeys(note for one in asked for note in one.notes)]
    inferred = {one.column: _predicted(one, study.train, study) for one in asked}
    crossed = cross({**study.columns, **inferred}, study.by or by)
    labels = tuple(group_label(crossed.as_mapping(i)) for i in range(len(crossed)))
    data = replace(study.train, groups=torch.from_numpy(crossed.ids), group_labels=labels)
    if study.by:
        changed = int((data.groups != study.train.groups).sum())
        notes.append(f"{changed:,} of {len(data):,} training images are in another group than their labels say")
    loss = _loss(study, data)
    model = study.network()
    return Outcome(model, {"model": study.fit(model, data, loss=loss)}, tuple(notes), label_noise=noise or None)


def check(plan: Plan, *, checkpoint: Path | None, head: str, arch: str, by: tuple[str, ...]) -> Ready:
    """Open the checkpoint, once for every attribute that it is asked for, and try it on the validation images.

    Args:
        plan: what is trained on.
        checkpoint: see ``run``.
        head: see ``run``.
        arch: see ``run``.
        by: see ``run``.

    Raises:
        UsageError: there is no checkpoint or nothing to ask it, it is wrong about half of the images, or the loss wants
            embeddings.
        CheckpointError: the file cannot be read, or predicts something else.
    """
    need_logits(plan, _NAME)
    if checkpoint is None:
        raise UsageError(f"the method {_NAME} needs a classifier of the groups; give one with checkpoint=FILE")
    if plan.by and by and by != plan.by:
        raise UsageError(f"{_NAME} infers the groups of --by {','.join(plan.by)}, not {','.join(by)}; leave by out")
    attributes = plan.by or by
    if not attributes:
        raise UsageError(f"{_NAME} must know which attributes to infer; name them with by, for example by=race")
    settings = ModelSettings(head=head or None, arch=arch or None)
    unknown = [name for name in attributes if not is_target(plan, name)]
    if not unknown:
        raise UsageError(
            f"{_NAME} has nothing to infer: {','.join(attributes)} is the target itself; name others with --by"
        )
    asked = [open_other(checkpoint, name, plan.columns, settings=settings) for name in unknown]
    noise, notes = _errors(plan, asked)
    return Ready(asked, noise, notes)


def _loss(study: Study, data: TrainingData) -> GroupLoss:
    """The chosen loss; where it misses a group that only the checkpoint has emptied, that is said."""
    try:
        return study.loss(data.counted)
    except DataError as error:
        counts = data.counted.group_counts.tolist()
        empty = next((label for label, n in zip(data.group_labels, counts, strict=True) if n == 0), None)
        if empty is None:
            raise
        raise DataError(
            f"{_NAME}: the checkpoint puts none of the {len(data):,} training images into the group {empty!r}, and the "
            "loss needs some of every group; give a better classifier, or choose another loss"
        ) from error


def _predicted(asked: OtherClassifier, data: TrainingData, plan: Plan) -> Column:
    """The level of each image that a classifier finds most likely."""
    placement = place(plan.settings.device)

    def scores(pixels: Tensor) -> Tensor:
        return asked.scores(pixels.to(placement.device).float().div_(255))

    levels = each_row(scores, data.images, placement, plan.settings).argmax(dim=1)
    return Column(levels.numpy().astype(np.int64), asked.levels)


def _errors(plan: Plan, asked: list[OtherClassifier]) -> tuple[Mapping[str, float], list[str]]:
    """Share of wrong levels among the validation images whose level is known, and what there is to say of it."""
    noise: dict[str, float] = {}
    notes = []
    for one in asked:
        column = plan.validation_columns.get(one.column)
        known = np.zeros(0, dtype=np.int64) if column is None else np.flatnonzero(column.codes != MISSING)
        if column is None or not len(known):
            notes.append(f"how often the inferred {one.column} is wrong is not known, because no validation image has it")
            continue
        true = column.values()[known]
        found = _predicted(one, plan.validation.selected(torch.from_numpy(known)), plan).values()
        errors, n = int((true != found).sum()), len(known)
        low, high = wilson(np.array([errors]), np.array([n]), quantile(_CONFIDENCE))
        interval = f"95 % interval {100 * low[0]:.1f} to {100 * high[0]:.1f} %"
        told = f"wrong on {errors:,} of {n:,} validation images ({100 * errors / n:.1f} %, {interval})"
        if errors / n >= _TOO_WRONG:
            raise UsageError(f"{_NAME}: the checkpoint's {one.column} is {told}; give a better classifier")
        noise[one.column] = errors / n
        notes.append(f"the inferred {one.column} is {told}")
    return noise, notes
