"""What a loss is: a per-sample criterion, and a way to aggregate it over groups.

A loss plug-in is one file with ``build(groups, criterion=…, *, options) -> GroupLoss``. Its keyword-only parameters are
its options, each with a default, so that ``build(groups)`` always works. What a loss must know of the training set before
the first batch is in ``TrainingGroups``; what it learns while training lives in buffers of the module, so that it moves
with the device and is part of a checkpoint; what it is told after each epoch comes through ``GroupLoss.update``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fairaudit.errors import DataError, UsageError
from fairaudit.losses._criteria import CROSS_ENTROPY, BinaryCrossEntropy, Criterion, CrossEntropy, MultiTaskCrossEntropy
from fairaudit.losses._group_means import batch_mean

__all__ = [
    "CROSS_ENTROPY",
    "BinaryCrossEntropy",
    "Criterion",
    "CrossEntropy",
    "GroupLoss",
    "MultiTaskCrossEntropy",
    "PenalisedLoss",
    "TrainingGroups",
]


@dataclass(frozen=True, eq=False)
class TrainingGroups:
    """What a loss may know of the training set: how many images each group has of each class.

    Attributes:
        labels: name of each of the g groups, in the order of the group ids.
        counts: (g, k) int64, training images per group and class; a declared group without images is a row of zeros. Where
            several targets are predicted, a class is a combination of theirs, the last target's classes running fastest.
    """

    labels: tuple[str, ...]
    counts: Tensor

    def __post_init__(self) -> None:
        if self.counts.dim() != 2 or self.counts.shape[0] != len(self.labels):
            raise ValueError(f"counts {tuple(self.counts.shape)} must be ({len(self.labels)}, classes)")

    @classmethod
    def count(cls, groups: Tensor, targets: Tensor, labels: tuple[str, ...], n_classes: int) -> TrainingGroups:
        """Count a training set.

        Args:
            groups: (n,) int64 group ids below ``len(labels)``.
            targets: (n,) int64 class indices below ``n_classes``.
            labels: name of each group.
            n_classes: number of classes k.
        """
        cells = torch.bincount(groups * n_classes + targets, minlength=len(labels) * n_classes)
        return cls(labels, cells.reshape(len(labels), n_classes))

    @property
    def n_groups(self) -> int:
        """Number of declared groups g."""
        return len(self.labels)

    @property
    def group_counts(self) -> Tensor:
        """(g,) int64 training images of each group."""
        return self.counts.sum(dim=1)

    @property
    def class_counts(self) -> Tensor:
        """(k,) int64 training images of each class."""
        return self.counts.sum(dim=0)

    def require_images(self, wanted_by: str) -> None:
        """Refuse a training set in which a declared group has no image.

        Args:
            wanted_by: who needs them, the subject of the sentence, for example ``"the loss max-group"``.

        Raises:
            DataError: a group is empty.
        """
        empty = [label for label, n in zip(self.labels, self.group_counts.tolist(), strict=True) if n == 0]
        if empty:
            more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
            raise DataError(
                f"the group {empty[0]!r}{more} has no training images, and {wanted_by} needs some of every group; "
                "add images of it, or group by other attributes"
            )

    def require_two_groups(self, wanted_by: str) -> None:
        """Refuse a training set that is all of one group, in which nothing can be compared.

        Args:
            wanted_by: who compares, the subject of the sentence, for example ``"the loss hsic"``.

        Raises:
            DataError: fewer than two groups have images.
        """
        present = [label for label, n in zip(self.labels, self.group_counts.tolist(), strict=True) if n]
        if len(present) < 2:
            found = f"all training images are of the group {present[0]!r}" if present else "there are no training images"
            raise DataError(f"{wanted_by} compares groups, but {found}; group by attributes with several levels")


class GroupLoss(nn.Module, ABC):
    """Base of every loss: calls with (logits, targets, groups) give one number to minimise.

    The number is that of the *global* batch: every process of a distributed run computes the same value, and its gradient
    is right after the processes' parameter gradients have been averaged, which is what DistributedDataParallel does.

    Attributes:
        criterion: loss of each sample.
        n_groups: number of declared groups g.
        whole_batch: whether the value is anything but a mean over samples of terms of one sample each. The mean over parts
            of a batch is then another number: whoever computes a batch in parts must put the outputs together first.
        wants: what the network must hand over as ``logits``: its logits; (b, d) embeddings, which are what goes into its
            last layer; or ``outputs``, whatever it gives in training. The criterion of a loss that wants no logits still
            says what targets mean, but must not be called on them.
        uses_groups: whether the groups matter; a loss that needs none may be used where no attribute is known.

    The last three are declared on the class; an option may change them for one instance.
    """

    whole_batch: bool = False
    wants: Literal["logits", "embeddings", "outputs"] = "logits"
    uses_groups: bool = True

    def __init__(self, n_groups: int, criterion: Criterion) -> None:
        super().__init__()
        self.n_groups = n_groups
        self.criterion = criterion

    @abstractmethod
    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (b, k), or (b, d) embeddings where the loss ``wants`` them.
            targets: as the criterion understands them.
            groups: (b,) int64 group ids below ``n_groups``.

        Returns:
            The scalar to minimise.
        """

    def update(self, accuracies: Tensor) -> None:
        """Hear how each group fared on the validation images; called after every epoch that was validated.

        Losses that do not adapt ignore it.

        Args:
            accuracies: (g,) float64, nan for a group without validation images.
        """


class PenalisedLoss(GroupLoss):
    """The mean of the per-sample loss plus a weight times a penalty on differences between groups.

    Args:
        n_groups: number of declared groups g.
        criterion: loss of each sample.
        weight: λ ≥ 0.

    Raises:
        UsageError: the weight is out of range.
    """

    whole_batch = True

    def __init__(self, n_groups: int, criterion: Criterion, weight: float) -> None:
        super().__init__(n_groups, criterion)
        if not 0 <= weight < math.inf:
            raise UsageError(f"weight must be a number from 0 up, not {weight:g}")
        self.weight = weight

    @abstractmethod
    def penalty(self, losses: Tensor, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """What is added, over the global batch.

        Args:
            losses: (b,) loss of each of this process's samples.
            logits: (b, k) of this process's samples.
            targets: their targets.
            groups: (b,) int64 their group ids.

        Returns:
            A scalar; 0 where the batch holds nothing to compare.
        """

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """Mean loss + λ · penalty; see ``GroupLoss.forward``."""
        losses = self.criterion(logits, targets)
        return batch_mean(losses) + self.weight * self.penalty(losses, logits, targets, groups)
