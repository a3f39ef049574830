"""What a loss is: a per-sample criterion, and a way to aggregate it over groups.

A loss plug-in is one file with ``build(groups, criterion=…, *, options) -> GroupLoss``. Its keyword-only parameters are
its options, each with a default, so that ``build(groups)`` always works. What a loss must know of the training set before
the first batch is in ``TrainingGroups``; what it learns while training lives in buffers of the module, so that it moves
with the device and is part of a checkpoint; what it is told after each epoch comes through ``GroupLoss.update``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.errors import DataError, UsageError


class Criterion(Protocol):
    """How wrong each sample is, before anything is averaged."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss of each sample.

        Args:
            logits: (b, k).
            targets: (b,) class indices, or (b, k) soft targets.

        Returns:
            (b,) loss of each sample.
        """
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of the softmax, for class indices or for soft targets such as MixUp makes.

    Attributes:
        label_smoothing: share of each target that is spread evenly over all classes.
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"the label smoothing must be at least 0 and below 1, not {self.label_smoothing:g}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) −Σ target·log softmax(logits) of each sample; see ``Criterion``."""
        return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)


CROSS_ENTROPY = CrossEntropy()


@dataclass(frozen=True, eq=False)
class TrainingGroups:
    """What a loss may know of the training set: how many images each group has of each class.

    Attributes:
        labels: name of each of the g groups, in the order of the group ids.
        counts: (g, k) int64, training images per group and class; a declared group without images is a row of zeros.
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


class GroupLoss(nn.Module, ABC):
    """Base of every loss: calls with (logits, targets, groups) give one number to minimise.

    The number is that of the *global* batch: every process of a distributed run computes the same value, and its gradient
    is right after the processes' parameter gradients have been averaged, which is what DistributedDataParallel does.

    Attributes:
        criterion: loss of each sample.
        n_groups: number of declared groups g.
    """

    def __init__(self, n_groups: int, criterion: Criterion) -> None:
        super().__init__()
        self.n_groups = n_groups
        self.criterion = criterion

    @abstractmethod
    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (b, k).
            targets: (b,) class indices, or (b, k) soft targets.
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
