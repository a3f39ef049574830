"""What the methods that train embeddings share: what they ask, what they refuse, and the training itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from fairaudit.config import TrainingSettings
from fairaudit.engine.batches import PerClass
from fairaudit.engine.devices import place
from fairaudit.engine.freezing import BACKBONE
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError, UnknownNameError, UsageError
from fairaudit.losses import cross_entropy
from fairaudit.methods._last_layer import linear_head
from fairaudit.methods._requirements import need_groups, need_one_target, need_positive
from fairaudit.methods._target import is_target
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metric_learning.branches import Branch
from fairaudit.metric_learning.objectives import Loss, Miner, Objective
from fairaudit.metric_learning.training import Branched, EmbeddingLoss
from fairaudit.metrics.groups import cross
from fairaudit.models.embedder import EmbeddingNetwork
from fairaudit.predictions import MISSING
from fairaudit.results import group_label

Balanced = Literal["none", "groups"]
MakeBranch = Callable[[str, int, float], Branch]
"""(attribute, number of its levels, strength) → branch."""


@dataclass(frozen=True)
class Asked:
    """The options that all of them have.

    Attributes:
        method: who asks, as the command line spells it.
        loss: on pairs, triplets or classes.
        miner: what picks them.
        dimensions: numbers of an embedding, d.
        per_class: images of each class in a row.
        balanced: whether groups take turns in a batch.
        beta_lr: largest learning rate of the margin loss's β.
    """

    method: str
    loss: Loss
    miner: Miner
    dimensions: int
    per_class: int
    balanced: Balanced
    beta_lr: float


@dataclass(frozen=True, eq=False)
class Ready:
    """What a training begins with.

    Attributes:
        data: the training images; groups are the cells of the attributes that branches know.
        batches: draws them.
        strengths: attribute → strength of its branch, above 0.
        levels: attribute → its declared levels.
        level_of: attribute → (groups,) int64 its level in each of the data's groups.
    """

    data: TrainingData
    batches: PerClass
    strengths: Mapping[str, float]
    levels: Mapping[str, tuple[str, ...]]
    level_of: Mapping[str, torch.Tensor]


def ready(plan: Plan, asked: Asked, strengths: Mapping[str, float]) -> Ready:
    """Refuse what no embedding can be trained on, and lay out batches and attributes.

    Args:
        plan: what is trained on.
        asked: the common options.
        strengths: attribute → strength of its branch; those of 0 have none.

    Raises:
        UsageError: several targets, a loss of another kind, mixed images, several processes, an option out of range, no
            groups where they take turns, or a network that does not end in a linear layer.
        DataError: too few classes with two images, in a group or at all, or an attribute with one level.
    """
    method, settings, data = asked.method, plan.settings, plan.train
    need_one_target(plan, method)
    if type(plan.loss(data.counted)) is not type(cross_entropy.build(data.counted)):
        raise UsageError(
            f"the method {method} trains embeddings with a loss of its own; leave --loss out, and choose it by "
            f"--method {method}:loss=triplet"
        )
    mixing = [name for name in settings.augment if name in ("mixup", "cutmix")]
    if mixing:
        raise UsageError(f"the method {method} needs images of one class each, and {mixing[0]} mixes them; leave it out")
    if place(settings.device).processes > 1:
        raise UsageError(f"the method {method} compares the images of a batch in one process; start it without torchrun")
    need_positive(asked.beta_lr, "beta_lr", method)
    for option, value in (("dimensions", asked.dimensions), ("per_class", asked.per_class)):
        if value < 2:
            raise UsageError(f"{option} of {method} must be at least 2, not {value}")
    if settings.batch_size % asked.per_class or settings.batch_size < 2 * asked.per_class:
        raise UsageError(
            f"a batch of {method} has {asked.per_class} images of each of two classes or more, for which --batch-size "
            f"{settings.batch_size} will not do; choose a multiple of {asked.per_class} from {2 * asked.per_class} up"
        )
    if len(data) < settings.batch_size:
        raise DataError(
            f"there are {len(data)} training images, fewer than a batch of {settings.batch_size}; choose a smaller "
            "--batch-size"
        )
    linear_head(plan.network(asked.dimensions), method)
    if asked.balanced == "groups":
        need_groups(plan, method)
    _need_pairs(plan, asked)
    kept = {name: value for name, value in strengths.items() if value > 0}
    groups = _attribute_cells(plan, kept, method)
    owners = data.groups if asked.balanced == "groups" else None
    batches = PerClass(data.targets, asked.per_class, settings.batch_size, owners)
    return replace(groups, batches=batches)


def train_embedding(study: Study, asked: Asked, begun: Ready, make: MakeBranch | None = None) -> Outcome:
    """Train a network with an embedding head; its objective and its branches are thrown away.

    Args:
        study: what is trained on.
        asked: the common options.
        begun: what ``ready`` laid out.
        make: makes the branch of each attribute; None where there are none.
    """
    inner = study.network(asked.dimensions)
    objective = Objective(asked.loss, asked.miner, len(begun.data.classes), asked.dimensions, study.seed)
    branches = [] if make is None else [make(name, len(begun.levels[name]), s) for name, s in begun.strengths.items()]
    trained = Branched(EmbeddingNetwork(inner), objective, branches, asked.beta_lr, study.seed)
    criterion = study.loss(study.train.counted).criterion
    levels = [begun.level_of[name] for name in begun.strengths]
    loss = EmbeddingLoss(len(begun.data.group_labels), criterion, trained, asked.dimensions, levels)
    history = study.fit(trained, begun.data, loss=loss, settings=_renamed(study.settings), batches=begun.batches)
    notes = []
    if begun.batches.alone:
        what = "classes" if asked.balanced == "none" else "classes of a group"
        notes.append(f"{begun.batches.alone} {what} with a single training image have no pair and were not drawn")
    return Outcome(trained.network, {"model": history}, tuple(notes), embeds=True)


def strengths_of(text: str, plan: Plan, option: str, method: str) -> dict[str, float]:
    """Attribute → strength, from one number for every attribute of the groups, or one for each that is named.

    Args:
        text: ``150``, or ``race:500,gender:150``.
        plan: whose columns the attributes are.
        option: which one this is.
        method: whose it is.

    Raises:
        UsageError: it is neither, a strength is no number from 0 up, or the attribute is the target.
        UnknownNameError: there is no such attribute.
    """
    parts = [part.partition(":") for part in text.split(",")]
    if len(parts) == 1 and not parts[0][1]:
        strength = _strength(text, text, option, method)
        if strength > 0:
            need_groups(plan, method)
        found = {name: strength for name in plan.by if not is_target(plan, name)}
        if plan.by and not found:
            raise UsageError(
                f"the method {method} keeps attributes out of an embedding, and {','.join(plan.by)} is the target itself; "
                "name another attribute with --by"
            )
        return found
    found = {}
    folded = {name.casefold(): name for name in plan.columns}
    for written, colon, number in parts:
        if not colon:
            raise UsageError(f"{option} of {method}: {text!r} is neither a number nor ATTRIBUTE:NUMBER,ATTRIBUTE:NUMBER")
        name = folded.get(written.strip().casefold())
        if name is None:
            raise UnknownNameError(f"attribute for {option} of {method}", written.strip(), plan.columns)
        if name in found:
            raise UsageError(f"{option} of {method} names {name} twice")
        if is_target(plan, name):
            raise UsageError(f"{option} of {method}: {name} is the target itself, which an embedding cannot do without")
        found[name] = _strength(number, text, option, method)
    return found


def _strength(number: str, text: str, option: str, method: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(
            f"{option} of {method}: {text!r} is neither a number from 0 up nor such a number for each attribute "
            "(race:500,gender:150)"
        )
    return value


def _need_pairs(plan: Plan, asked: Asked) -> None:
    """Two classes of which there are pairs: among the training images, of each group if groups take turns; one selects."""
    data = plan.train
    sizes = torch.bincount(data.targets, minlength=len(data.classes))
    if int((sizes > 1).sum()) < 2:
        raise DataError(
            f"{int((sizes > 1).sum())} of the {int((sizes > 0).sum())} classes among the training images have two images "
            f"or more, and {asked.method} learns from pairs of two classes at least"
        )
    if asked.balanced == "groups":
        data.counted.require_images(f"the method {asked.method} with balanced=groups")
        cells = torch.bincount(data.groups * len(data.classes) + data.targets, minlength=data.counted.counts.numel())
        paired = (cells.reshape(len(data.group_labels), -1) > 1).sum(dim=1).tolist()
        for label, count in zip(data.group_labels, paired, strict=True):
            if count < 2:
                raise DataError(
                    f"the group {label!r} has {count} {'class' if count == 1 else 'classes'} with two training images or "
                    f"more; {asked.method} with balanced=groups needs two of every group"
                )
    held = torch.bincount(plan.validation.targets)
    if not bool((held > 1).any()) and plan.settings.select != "last":
        raise DataError("no two validation images are of one class, so no epoch can be selected; use more images")


def _attribute_cells(plan: Plan, strengths: Mapping[str, float], method: str) -> Ready:
    """The training data with the cells of the attributes as groups; as they are where there are no attributes."""
    data, none = plan.train, PerClass(torch.zeros(0, dtype=torch.int64), 2, 2)
    if not strengths:
        return Ready(data, none, {}, {}, {})
    levels = {name: plan.columns[name].levels for name in strengths}
    for name in strengths:
        codes = plan.columns[name].codes
        unknown = int((codes == MISSING).sum())
        if unknown:
            raise DataError(f"{unknown} training images have no known {name}, which {method} needs; leave them out")
        held = np.unique(codes)
        if len(held) < 2:
            raise DataError(
                f"all {len(codes)} training images are {levels[name][held[0]]!r} in {name}: {method} has nothing to keep "
                "out of the embedding"
            )
    cells = cross(plan.columns, tuple(strengths))
    place_of = {name: i for i, name in enumerate(cells.by)}
    level_of = {
        name: torch.tensor([levels[name].index(label[place_of[name]]) for label in cells.labels]) for name in strengths
    }
    labels = tuple(group_label(cells.as_mapping(i)) for i in range(len(cells)))
    return Ready(replace(data, groups=torch.from_numpy(cells.ids), group_labels=labels), none, strengths, levels, level_of)


def _renamed(settings: TrainingSettings) -> TrainingSettings:
    """Layers that are frozen by name, as they are called within what is trained."""
    if settings.freeze in ("none", BACKBONE):
        return settings
    return settings.model_copy(update={"freeze": ",".join(f"network.inner.{name}" for name in settings.freeze.split(","))})
