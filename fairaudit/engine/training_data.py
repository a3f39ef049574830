"""What is trained on: images by position, and for each its classes and group."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.config import Preprocess
from fairaudit.engine.image_sources import CachedImages, ImageSource, SelectedImages, StoredImages, ahead, open_images
from fairaudit.errors import DataError
from fairaudit.losses.base import TrainingGroups

__all__ = ["CachedImages", "ImageSource", "StoredImages", "Tasks", "TrainingData", "ahead", "open_images"]

Tasks = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """A training set.

    Attributes:
        images: n images.
        targets: (n,) int64 class of each, below ``len(classes)``; (n, t) int64 where t ``tasks`` are predicted, below the
            number of each task's classes; (n, k) float in [0, 1] where each of k ``classes`` may apply or not.
        groups: (n,) int64 group of each, below ``len(group_labels)``; zeros with one label where there are no groups.
        classes: name of each of the network's outputs, in order; of several tasks, the classes of one after the other.
        group_labels: name of each group, in the order of the group ids.
        preprocess: mean and standard deviation that the network expects.
        tasks: name and classes of each target, in the order of the outputs; None where there is one target.
    """

    images: ImageSource
    targets: Tensor
    groups: Tensor
    classes: tuple[str, ...]
    group_labels: tuple[str, ...]
    preprocess: Preprocess
    tasks: Tasks | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.targets) == len(self.groups):
            n = f"{len(self.images)} images, {len(self.targets)} targets and {len(self.groups)} group ids"
            raise ValueError(f"{n} do not belong together")
        if self.tasks is not None and tuple(name for _, own in self.tasks for name in own) != self.classes:
            raise ValueError(f"the outputs {self.classes} are not the classes of {self.tasks}, one task after the other")
        if self.multi_label:
            if self.tasks is not None or self.targets.shape[1] != len(self.classes):
                raise ValueError(f"multi-label targets {tuple(self.targets.shape)} do not fit {len(self.classes)} classes")
            bad = int((~((self.targets >= 0) & (self.targets <= 1)).all(dim=1)).sum())
            if bad:
                raise DataError(f"{bad} training images have no known target; leave them out before training")
        else:
            codes = self.targets[:, None] if self.targets.dim() == 1 else self.targets
            if codes.dim() != 2 or codes.shape[1] != len(self._answers):
                raise ValueError(f"targets {tuple(self.targets.shape)} do not fit {len(self._answers)} targets")
            for (name, own), column in zip(self._answers, codes.T, strict=True):
                _check_known(column, len(own), name or "target")
        _check_known(self.groups, len(self.group_labels), "group")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def n_outputs(self) -> int:
        """Logits that the network must give for each image."""
        return len(self.classes)

    @property
    def multi_label(self) -> bool:
        """Whether each class may apply or not, whatever the others do."""
        return self.targets.is_floating_point()

    @property
    def _answers(self) -> Tasks:
        """Name and classes of each target of which one class applies; a single one has no name."""
        return self.tasks or (("", self.classes),)

    @cached_property
    def counted(self) -> TrainingGroups:
        """Images per group and class: what a loss is built from.

        With several tasks a class is a combination of theirs, the last task's running fastest. Labels that do not exclude
        each other are no classes: they are counted as one, so that the images of each group add up.
        """
        if self.multi_label:
            nothing = torch.zeros(len(self), dtype=torch.int64)
            return TrainingGroups.count(self.groups, nothing, self.group_labels, 1)
        codes = self.targets[:, None] if self.targets.dim() == 1 else self.targets
        joint = torch.zeros(len(self), dtype=torch.int64)
        for (_, own), column in zip(self._answers, codes.T, strict=True):
            joint = joint * len(own) + column
        return TrainingGroups.count(self.groups, joint, self.group_labels, math.prod(len(own) for _, own in self._answers))

    def require_contrast(self) -> None:
        """Refuse a training set from which nothing can be told apart.

        Raises:
            DataError: it is empty, or all of its images have the same class in some task.
        """
        if len(self) == 0:
            raise DataError("there are no training images")
        if self.multi_label:
            if bool((self.targets == self.targets[0]).all()):
                raise DataError(
                    f"all {len(self)} training images have the same labels; a classifier needs some that differ"
                )
            return
        codes = self.targets[:, None] if self.targets.dim() == 1 else self.targets
        for (name, own), column in zip(self._answers, codes.T, strict=True):
            if bool((column == column[0]).all()):
                where = f" in {name}" if name else ""
                raise DataError(
                    f"all {len(self)} training images are of the class {own[int(column[0])]!r}{where}; "
                    "a classifier needs at least two classes"
                )

    def dense(self, targets: Tensor) -> Tensor:
        """Targets as shares of the outputs: 1 at an output that applies, 0 elsewhere.

        Args:
            targets: (b, …) some of ``targets``, on any device.

        Returns:
            (b, k) float32.
        """
        if self.multi_label:
            return targets.float()
        codes = targets[:, None] if targets.dim() == 1 else targets
        heads = [functional.one_hot(codes[:, i], len(own)) for i, (_, own) in enumerate(self._answers)]
        return torch.cat(heads, dim=1).float()

    def selected(self, positions: Tensor) -> TrainingData:
        """Some of the images, in this order; one may be selected more than once.

        Args:
            positions: (m,) int64.
        """
        images: ImageSource = SelectedImages(self.images, positions)
        return replace(self, images=images, targets=self.targets[positions], groups=self.groups[positions])


def _check_known(codes: Tensor, names: int, what: str) -> None:
    bad = int(((codes < 0) | (codes >= names)).sum())
    if bad:
        raise DataError(f"{bad} training images have no known {what}; leave them out before training")
