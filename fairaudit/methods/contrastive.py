"""Features drawn together by class and apart within groups, then a linear classifier on them (FSCL and its probe).

Formula:
    1. The trunk and a projection of two layers on it learn with a loss of embeddings: the chosen one if it wants them, else
    fscl. 2. The projection is thrown away; logistic regression with an L2 penalty on the standardised features of
    the training images, with the standardisation folded in, becomes the last layer.

Source:
    S. Park, J. Lee, P. Lee, S. Hwang, D. Kim, H. Byun, "Fair Contrastive Learning for Facial Attribute Classification",
    CVPR 2022: projection to 128 numbers, 100 epochs of batches of 128, then a linear classifier.

Traps:
    Contrast needs company: in small batches, or where a class hardly occurs in a group, most images find nothing to be told
    from, so use large batches and ``balance``. The paper shows each image in two random changes; here each is shown once,
    with whatever ``augment`` says. There is no accuracy to select an epoch by, so the last one is kept.

Needs:
    Groups by other attributes than the target, at least two of them with images, one target, and a network that ends in a
    linear layer.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from fairaudit.engine.features import extract_features
from fairaudit.engine.freezing import BACKBONE
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import UsageError
from fairaudit.losses import fscl
from fairaudit.losses.base import GroupLoss
from fairaudit.methods._last_layer import copy_body, linear_head, put, write_head
from fairaudit.methods._probe import Scaling, fit_logistic
from fairaudit.methods._requirements import need_every_class, need_groups, need_one_target, need_positive
from fairaudit.methods._target import attributes_of
from fairaudit.methods.base import Outcome, Plan, Study

_NAME = "contrastive"


def run(study: Study, *, projection: int = 128, c: float = 1.0) -> Outcome:
    """Train the trunk by contrast, then fit the last layer.

    Args:
        study: what is trained on.
        projection: numbers that features are projected to for the loss; 0 gives it the features themselves.
        c: inverse of the penalty's weight in the logistic regression.

    Raises:
        FairauditError: see ``check``.
    """
    data = check(study, projection=projection, c=c)
    projected = study.network()
    name, head = linear_head(projected, _NAME)
    if projection:
        put(projected, name, _projection(head, projection, study.seed))
    settings = study.settings.model_copy(update={"select": "last", "patience": None})
    history = study.fit(projected, data, loss=_loss(study, data), settings=settings, name="features")
    model = study.network()
    copy_body(projected, model, name)
    features = extract_features(model, data.images, data.preprocess, study.settings).double().numpy()
    scaling = Scaling.of(features)
    layer = fit_logistic(scaling.apply(features), data.targets.numpy(), len(data.classes), c, "l2", study.seed)
    write_head(model, *layer.unscaled(scaling).tensors(), _NAME)
    notes = () if layer.converged else ("the solver stopped before it had converged; its weights are approximate",)
    return Outcome(model, {"features": history}, notes)


def check(plan: Plan, *, projection: int, c: float) -> TrainingData:
    """Group the training images by everything but the target.

    Args:
        plan: what is trained on.
        projection: see ``run``.
        c: see ``run``.

    Raises:
        UsageError: there are no groups but the target's, or several targets, everything below the last layer is frozen, the
            network has no linear last layer, or an option is out of range.
        DataError: fewer than two groups, or not all classes, have training images.
    """
    need_groups(plan, _NAME)
    need_one_target(plan, _NAME)
    need_positive(c, "c", _NAME)
    if projection < 0:
        raise UsageError(f"projection of {_NAME} must be at least 0, not {projection}")
    if plan.settings.freeze == BACKBONE:
        raise UsageError(
            f"the method {_NAME} trains what lies below the last layer, and --freeze {BACKBONE} keeps it as it is"
        )
    need_every_class(plan.train, "training", _NAME)
    attributes = attributes_of(plan, _NAME)
    groups = torch.tensor(attributes.of_group)[plan.train.groups]
    data = replace(plan.train, groups=groups, group_labels=attributes.labels)
    _loss(plan, data)
    linear_head(plan.network(), _NAME)
    return data


def _loss(plan: Plan, data: TrainingData) -> GroupLoss:
    chosen = plan.loss(data.counted)
    if chosen.wants == "embeddings":
        return chosen
    return fscl.build(data.counted, chosen.criterion)


def _projection(head: nn.Linear, width: int, seed: int) -> nn.Sequential:
    """What stands in for the last layer: the input of its own last layer is what the loss is given."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner, outer = nn.Linear(head.in_features, head.in_features), nn.Linear(head.in_features, width)
        return nn.Sequential(inner, nn.ReLU(), outer, nn.Linear(width, head.out_features))
