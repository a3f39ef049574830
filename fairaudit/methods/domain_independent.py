"""A head for every group on one trunk, each trained on its own group's images; their logits are summed to decide.

Formula:
    The network has G heads of k outputs. The loss of an image is that of its own group's head. To classify, logits are
    summed over the heads, z = Σ_g (W_g·x + b_g), which knows no group; as the heads are linear the sum is one linear layer
    with the weights Σ_g W_g and Σ_g b_g, so the saved network is an ordinary one.

Source:
    Z. Wang, K. Qinami, I. C. Karakozis, K. Genova, P. Nair, K. Hata, O. Russakovsky, "Towards Fairness in Visual
    Recognition: Effective Strategies for Bias Mitigation", CVPR 2020 (domain-independent training, summed logits).

Traps:
    A head learns from its group's images alone: of a rare group, or of one that lacks a class, it learns little, and the
    sum carries that into every decision. Logits that are summed are larger by about G: scores crowd near 0 and 1, and need
    calibration before a threshold other than one half means anything. Mixed images belong to no single head. Where the
    grouping names the target too, heads are those of the other attributes.

Needs:
    Groups by other attributes than the target, each with training images, one target, and a network that ends in a linear
    layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import UsageError
from fairaudit.losses.base import Criterion, GroupLoss
from fairaudit.methods._last_layer import copy_body, linear_head, put, write_head
from fairaudit.methods._requirements import need_groups, need_logits, need_one_target
from fairaudit.methods._target import Attributes, attributes_of
from fairaudit.methods.base import Outcome, Plan, Study

_NAME = "domain-independent"


class GroupHeads(nn.Linear):
    """A head for every group: all their outputs while training, their sum in evaluation.

    Args:
        layer: a linear layer of groups × classes outputs, whose weights are taken.
        groups: number of heads.
    """

    def __init__(self, layer: nn.Linear, groups: int) -> None:
        super().__init__(layer.in_features, layer.out_features)
        self.groups = groups
        self.load_state_dict(layer.state_dict())

    def forward(self, features: Tensor) -> Tensor:
        """(b, d) features → (b, groups × classes) in training, (b, classes) in evaluation."""
        if self.training:
            return super().forward(features)
        return functional.linear(features, *self.summed())

    def summed(self) -> tuple[Tensor, Tensor]:
        """(k, d) weight and (k,) bias of the sum of the heads."""
        weight = self.weight.reshape(self.groups, -1, self.in_features)
        return weight.sum(dim=0), self.bias.reshape(self.groups, -1).sum(dim=0)


@dataclass(frozen=True)
class OwnHead:
    """The criterion of an image's own head; targets are head × classes + class.

    Attributes:
        inner: criterion of one head.
        classes: k.
    """

    inner: Criterion
    classes: int

    def own(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, k) logits of each image's own head, from those of all heads."""
        heads = logits.reshape(len(logits), -1, self.classes)
        return heads[torch.arange(len(logits), device=logits.device), targets // self.classes]

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) loss of each image; see ``Criterion``."""
        return self.inner(self.own(logits, targets), targets % self.classes)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, groups × k) probabilities, head by head."""
        return torch.cat([self.inner.probabilities(logits[:, head]) for head in self.tasks(logits.shape[1])], dim=1)

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, groups × k), 1 at the class in the image's own head."""
        return functional.one_hot(targets, logits.shape[1]).to(logits.dtype)

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """The outputs of each head."""
        return tuple(slice(first, first + self.classes) for first in range(0, outputs, self.classes))


class OwnHeadLoss(GroupLoss):
    """A loss over groups, of each image's own head.

    Args:
        inner: the loss, for one head of k outputs.
        classes: k.
    """

    def __init__(self, inner: GroupLoss, classes: int) -> None:
        criterion = OwnHead(inner.criterion, classes)
        super().__init__(inner.n_groups, criterion)
        self.inner, self.choice = inner, criterion
        self.whole_batch, self.uses_groups = inner.whole_batch, True

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The inner loss of own heads; see ``GroupLoss.forward``."""
        value: Tensor = self.inner(self.choice.own(logits, targets), targets % self.choice.classes, groups)
        return value

    def update(self, accuracies: Tensor) -> None:
        """Pass it on; see ``GroupLoss.update``."""
        self.inner.update(accuracies)


def run(study: Study) -> Outcome:
    """Train a head for every group and save their sum.

    Args:
        study: what is trained on.

    Raises:
        FairauditError: see ``check``.
    """
    attributes, data = check(study), study.train
    owners = torch.tensor(attributes.of_group)[data.groups]
    k, groups = len(data.classes), len(attributes.labels)
    several = study.network(k * groups)
    name, head = linear_head(several, _NAME)
    heads = GroupHeads(head, groups)
    put(several, name, heads)
    history = study.fit(several, _encoded(data, owners, attributes.labels), loss=OwnHeadLoss(study.loss(data.counted), k))
    model = study.network()
    copy_body(several, model, name)
    write_head(model, *heads.summed(), _NAME)
    return Outcome(model, {"model": history})


def check(plan: Plan) -> Attributes:
    """Find the groups that get a head.

    Args:
        plan: what is trained on.

    Raises:
        UsageError: there are no groups but the target's, or several targets, images are mixed, or the network has no linear
            last layer.
        DataError: a group has no training images.
    """
    need_groups(plan, _NAME)
    need_one_target(plan, _NAME)
    need_logits(plan, _NAME)
    mixing = [name for name in plan.settings.augment if name in ("mixup", "cutmix")]
    if mixing:
        raise UsageError(f"the method {_NAME} needs images of one group each, and {mixing[0]} mixes them; leave it out")
    attributes = attributes_of(plan, _NAME)
    owners = torch.tensor(attributes.of_group)[plan.train.groups]
    replace(plan.train, groups=owners, group_labels=attributes.labels).counted.require_images(f"the method {_NAME}")
    linear_head(plan.network(len(plan.train.classes) * len(attributes.labels)), _NAME)
    return attributes


def _encoded(data: TrainingData, owners: Tensor, heads: tuple[str, ...]) -> TrainingData:
    """The data with head × classes + class as targets, a class for every output of every head.

    Args:
        data: n images.
        owners: (n,) int64 head of each.
        heads: name of each head.
    """
    return replace(
        data,
        targets=owners * len(data.classes) + data.targets,
        classes=tuple(f"{name} ({head})" for head in heads for name in data.classes),
    )
