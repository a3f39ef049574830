"""What a method is: it takes a study and returns a trained network.

A method plug-in is one file with ``run(study, *, options) -> Outcome``. Its keyword-only parameters are its options, each
with a default. Whatever a method trains, it trains through ``Study.fit``, which keeps the training resumable and reports
its progress; whatever it selects, it selects on the validation images.

What a method needs it says in ``check(plan, *, options)``, with which ``run`` begins and whose result only ``run`` uses. It
is called for every method of an experiment before anything is trained. It knows labels and settings, may look at validation
images, which are few, and at no training image. A method of another package may do without.

A method that fits something to the validation images says ``LEARNS_FROM_VALIDATION = True``: a search of settings then
keeps some of them from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from fairaudit.config import TrainingSettings
from fairaudit.engine.batches import Batches
from fairaudit.engine.history import History, Validation
from fairaudit.engine.mixing import Mixer
from fairaudit.engine.training_data import TrainingData
from fairaudit.losses.base import GroupLoss, TrainingGroups
from fairaudit.predictions import Column, FloatArray, IntArray

Decide = Callable[[FloatArray, Mapping[str, Column]], IntArray]
"""Decisions that need more than the scores: (n, k) scores and the images' columns → (n,) index of the decided class."""


class Fit(Protocol):
    """Trains a network in place, with validation after every epoch, and goes on where an interrupted run stopped."""

    def __call__(
        self,
        model: nn.Module,
        data: TrainingData | None = None,
        *,
        loss: GroupLoss | None = None,
        settings: TrainingSettings | None = None,
        mixer: Mixer | None = None,
        batches: Batches | None = None,
        name: str = "model",
    ) -> History:
        """Train.

        Where the loss wants embeddings, the network's outputs say nothing of the validation images and are not judged.
        Where it wants outputs, they are judged as embeddings: by what the validation images find among each other.

        Args:
            model: what is trained; it ends in evaluation mode with the weights of the epoch that was selected.
            data: what it learns from; None is the study's training data.
            loss: None is the study's, for this data.
            settings: None is the study's.
            mixer: mixes the images of each batch; None does what the settings say.
            batches: draws the batches of an epoch; None does what the settings say.
            name: of this training among those of one run; each needs another.
        """
        ...


class Network(Protocol):
    """Makes networks at their starting weights, the same ones each time."""

    def __call__(self, outputs: int | None = None, architecture: str | None = None) -> nn.Module:
        """A network.

        Args:
            outputs: of its last layer; None is the study's.
            architecture: None is the study's.
        """
        ...


@dataclass(frozen=True, eq=False)
class Plan:
    """What is known of one seed's experiment before anything is trained. The test images are not among it.

    Attributes:
        train: images to learn from; a check knows their labels alone.
        validation: images to select on.
        columns: categorical columns of the training images, in their order.
        validation_columns: those of the validation images.
        by: attributes whose cells are the groups; none where there are no groups.
        settings: how networks are trained.
        seed: of everything that is drawn.
        network: makes networks at their starting weights.
        loss: builds the loss that the user chose.
    """

    train: TrainingData
    validation: TrainingData
    columns: Mapping[str, Column]
    validation_columns: Mapping[str, Column]
    by: tuple[str, ...]
    settings: TrainingSettings
    seed: int
    network: Network
    loss: Callable[[TrainingGroups], GroupLoss]


@dataclass(frozen=True, eq=False)
class Study(Plan):
    """A plan, and what carries it out.

    Attributes:
        fit: trains.
        score: what outputs for the validation images are worth by the rule that selects epochs.
    """

    fit: Fit
    score: Callable[[Tensor, TrainingData], Validation]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a method leaves behind.

    Attributes:
        model: images (b, 3, h, w) → logits (b, k) of the study's outputs; an ordinary network of the architecture. Where it
            ``embeds``, that network with an embedding head and normalisation, an ``EmbeddingNetwork``.
        histories: stage → its training.
        notes: what a reader of the results must know, a sentence each.
        architecture: of the model, where it is not the study's.
        decide: how decisions are made from the model's scores, where they need more than the largest score.
        label_noise: attribute → share of images whose label of it is wrong, where the method inferred labels.
        embeds: whether the model gives embeddings (b, d): test images are then judged by what they find among each other. A
            method that trains such models says so in ``EMBEDS`` too, before it is run.
    """

    model: nn.Module
    histories: Mapping[str, History]
    notes: tuple[str, ...] = ()
    architecture: str | None = None
    decide: Decide | None = None
    label_noise: Mapping[str, float] | None = None
    embeds: bool = False
