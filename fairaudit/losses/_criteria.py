"""How wrong each sample is, before anything is averaged: for one class of several, for labels, for several targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.errors import UsageError


class Criterion(Protocol):
    """How wrong each sample is, and what logits and targets mean."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss of each sample.

        Args:
            logits: (b, k).
            targets: as the criterion understands them; for ``CrossEntropy`` (b,) class indices, or (b, k) soft targets.

        Returns:
            (b,) loss of each sample.
        """
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, k) probability that the network gives to each output.

        Args:
            logits: (b, k).
        """
        ...

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Targets in the shape of the logits: 1 at an output that is true, 0 at one that is not, or soft targets.

        Args:
            logits: (b, k), for its shape and type.
            targets: as in a call.

        Returns:
            (b, k) without label smoothing.
        """
        ...

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """Outputs that are judged together: classes that exclude each other, or one output that is a yes or no.

        Args:
            outputs: number of logits k.
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
        _check_smoothing(self.label_smoothing)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) −Σ target·log softmax(logits) of each sample; see ``Criterion``."""
        wanted = targets.to(logits.dtype) if targets.is_floating_point() else targets
        return functional.cross_entropy(logits, wanted, reduction="none", label_smoothing=self.label_smoothing)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, k) softmax."""
        return logits.softmax(dim=1)

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, k) targets; see ``Criterion``."""
        return _one_hot(logits, targets)

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """All outputs exclude each other."""
        return (slice(0, outputs),)


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross-entropy of the sigmoid of each output, averaged over the outputs: for labels that do not exclude others.

    Targets are (b, k), 0 or 1 or anything between.

    Attributes:
        label_smoothing: ε, which makes a target t be t·(1 − ε) + ε/2.
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) mean over outputs of −t·log σ(z) − (1 − t)·log(1 − σ(z)); see ``Criterion``."""
        wanted = self.shares(logits, targets) * (1 - self.label_smoothing) + self.label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, k) sigmoid."""
        return logits.sigmoid()

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, k) targets; see ``Criterion``."""
        if targets.shape != logits.shape:
            raise ValueError(f"multi-label targets {tuple(targets.shape)} must have the shape {tuple(logits.shape)}")
        return targets.to(logits.dtype)

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """Each output is a yes or no of its own."""
        return tuple(slice(i, i + 1) for i in range(outputs))


@dataclass(frozen=True)
class MultiTaskCrossEntropy:
    """Cross-entropy of several targets that one network predicts with a head each, averaged over the targets.

    Logits are (b, ΣK), one head after the other. Targets are (b, t) class indices of the t targets, or (b, ΣK) soft ones.

    Attributes:
        slices: outputs of each head; they follow each other from 0 and have at least two outputs each.
        weights: weight of each target in the mean, divided by their sum; None weighs all the same.
        form: ``softmax`` is the cross-entropy of each head's softmax. ``bce`` is the binary cross-entropy of the softmax
            probabilities against one-hot targets, averaged over the head's outputs (Oehri, Vetterli, Jarvers 2023).
        label_smoothing: share of each target that is spread evenly over its classes.
    """

    slices: tuple[slice, ...]
    weights: tuple[float, ...] | None = None
    form: Literal["softmax", "bce"] = "softmax"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)
        first = 0
        for part in self.slices:
            if part.start != first or part.stop < first + 2:
                raise ValueError(f"heads must follow each other from output 0 with two outputs or more, not {self.slices}")
            first = part.stop
        if not self.slices:
            raise ValueError("several targets need a head each, but there is none")
        weights = self.weights
        if weights is not None and not (
            len(weights) == len(self.slices) and all(0 <= w < math.inf for w in weights) and sum(weights) > 0
        ):
            raise UsageError(
                f"the targets' weights must be {len(self.slices)} numbers from 0 up, one for each target and not all 0, "
                f"not {', '.join(f'{w:g}' for w in weights)}"
            )

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) weighted mean of the targets' losses; see ``Criterion``."""
        weights = self.weights or (1.0,) * len(self.slices)
        shares = self.shares(logits, targets)
        losses = logits.new_zeros(len(logits))
        for weight, head in zip(weights, self.slices, strict=True):
            wanted = shares[:, head] * (1 - self.label_smoothing) + self.label_smoothing / (head.stop - head.start)
            of_head = _of_softmax if self.form == "softmax" else _of_outputs
            losses = losses + weight / sum(weights) * of_head(logits[:, head], wanted)
        return losses

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, ΣK) softmax of each head."""
        return torch.cat([logits[:, head].softmax(dim=1) for head in self.tasks(logits.shape[1])], dim=1)

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, ΣK) targets; see ``Criterion``."""
        if targets.is_floating_point():
            return _one_hot(logits, targets)
        codes = targets.unsqueeze(1) if targets.dim() == 1 else targets
        if codes.shape[1] != len(self.slices):
            raise ValueError(f"targets {tuple(targets.shape)} must have a column for each of {len(self.slices)} targets")
        heads = self.tasks(logits.shape[1])
        return torch.cat([_one_hot(logits[:, head], codes[:, i]) for i, head in enumerate(heads)], dim=1)

    def tasks(self, outputs: int) -> tuple[slice, ...]:
        """The outputs of each head."""
        if outputs != self.slices[-1].stop:
            raise ValueError(f"there are {outputs} outputs, but the heads have {self.slices[-1].stop}")
        return self.slices


def _of_softmax(logits: Tensor, wanted: Tensor) -> Tensor:
    """(b,) cross-entropy of the softmax."""
    return -(wanted * logits.log_softmax(dim=1)).sum(dim=1)


def _of_outputs(logits: Tensor, wanted: Tensor) -> Tensor:
    """(b,) binary cross-entropy of softmax probabilities, averaged over outputs.

    log(1 − p) is taken from the other classes' logits, because 1 − p is 0 in floating point long before it is in truth.
    """
    own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).masked_fill(own, -math.inf).logsumexp(dim=2)
    no = others - logits.logsumexp(dim=1, keepdim=True)
    return -(wanted * logits.log_softmax(dim=1) + (1 - wanted) * no).mean(dim=1)


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    """(b, k) targets in the type of the logits."""
    if targets.is_floating_point():
        if targets.shape != logits.shape:
            raise ValueError(f"soft targets {tuple(targets.shape)} must have the shape {tuple(logits.shape)}")
        return targets.to(logits.dtype)
    return functional.one_hot(targets, logits.shape[1]).to(logits.dtype)


def _check_smoothing(share: float) -> None:
    if not 0 <= share < 1:
        raise UsageError(f"the label smoothing must be at least 0 and below 1, not {share:g}")


CROSS_ENTROPY = CrossEntropy()
