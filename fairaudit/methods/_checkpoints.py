"""A classifier from a file beside the one that is trained: fed with the same images, asked for its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.engine.rows import normalised
from fairaudit.errors import CheckpointError
from fairaudit.models.classifier import Classifier, load_classifier
from fairaudit.predictions import Column


@dataclass(frozen=True, eq=False)
class OtherClassifier:
    """A classifier and what it is asked.

    Attributes:
        classifier: as it was loaded; its network is moved to wherever its images are.
        column: what it predicts, one of its head's tasks.
        levels: of that column, in the order in which scores are wanted.
        order: position among the head's classes of each level.
    """

    classifier: Classifier
    column: str
    levels: tuple[str, ...]
    order: tuple[int, ...]

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """What it says of images.

        Args:
            images: (b, 3, h, w) float in [0, 1]; resized where it wants another size.

        Returns:
            (b, k) float32 scores in the order of ``levels``.
        """
        wanted = self.classifier.preprocess
        if tuple(images.shape[2:]) != tuple(wanted.size):
            images = functional.interpolate(images, wanted.size, mode="bilinear", antialias=True, align_corners=False)
        model = self.classifier.model.to(images.device).eval()
        scores = self.classifier.head.scores(model(normalised(images, wanted)))[self.column]
        return scores[:, list(self.order)]

    @property
    def notes(self) -> tuple[str, ...]:
        """What neither the file nor the user told, and what should be looked at, a clause each."""
        return (*self.classifier.assumptions, *self.classifier.warnings)


def open_other(
    path: Path,
    column: str,
    columns: Mapping[str, Column],
    *,
    wanted: tuple[str, ...] | None = None,
    settings: ModelSettings | None = None,
) -> OtherClassifier:
    """Load a classifier.

    Args:
        path: its checkpoint; a file that runs code when loaded is refused.
        column: what it is asked.
        columns: the categorical columns that are known, by name.
        wanted: levels in the order in which scores are wanted; None takes the column's, or the classifier's own where the
            column is not known.
        settings: what the user says of it.

    Raises:
        CheckpointError: it cannot be read, or predicts something else.
        ArchitectureError: its network is unknown.
    """
    known = {name: one.levels for name, one in columns.items()}
    found = load_classifier(path, settings or ModelSettings(), column, known)
    classes = found.head.tasks[column]
    levels = wanted or known.get(column, classes)
    folded = [name.casefold() for name in classes]
    if sorted(folded) != sorted(level.casefold() for level in levels):
        raise CheckpointError(
            f"{path.name} predicts {column} as {', '.join(classes)}, but its levels here are {', '.join(levels)}"
        )
    return OtherClassifier(found, column, levels, tuple(folded.index(level.casefold()) for level in levels))


def pictures(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Undo the normalisation.

    Args:
        images: (b, 3, h, w) normalised.
        preprocess: how.

    Returns:
        (b, 3, h, w) float in [0, 1], but for rounding.
    """
    mean = torch.tensor(preprocess.mean, device=images.device)[:, None, None]
    std = torch.tensor(preprocess.std, device=images.device)[:, None, None]
    return images * std + mean
