"""A whole run of ``fairaudit mitigate`` or ``sweep``: what is trained on what, with which objectives, judged how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairaudit.config.audit import AuditSettings
from fairaudit.config.base import Settings
from fairaudit.config.model import ModelSettings
from fairaudit.config.training import TrainingSettings

SplitKind = Literal["shares", "official"]
ExperimentSplits = Literal["shares", "official", "classes"]
Share = Annotated[float, Field(gt=0.0)]
BASELINE = "erm"
"""What plain cross-entropy without any method is called in results: empirical risk minimisation."""
PLAIN_LOSS = "cross-entropy"


class Arm(Settings):
    """One thing that is tried: a loss, a method, or a method that trains with a loss.

    Attributes:
        loss: name of a loss.
        loss_options: what is set of its options.
        method: name of a method; None trains with the loss and nothing else.
        method_options: what is set of its options.
        training: training settings in which this arm differs from the others.
        label: what it is called in results; None makes a name of the parts.
        reference: whether the other arms are compared with it although it is not plain cross-entropy.
    """

    loss: str = PLAIN_LOSS
    loss_options: Mapping[str, Any] = Field(default_factory=dict)
    method: str | None = None
    method_options: Mapping[str, Any] = Field(default_factory=dict)
    training: Mapping[str, Any] = Field(default_factory=dict)
    label: str | None = None
    reference: bool = False

    @field_validator("label")
    @classmethod
    def _a_folder_name(cls, label: str | None) -> str | None:
        if label is not None and (not label or set(label) & set('/\\:*?"<>|') or label.startswith(".")):
            raise ValueError(f"{label!r} cannot name a folder")
        return label

    @property
    def name(self) -> str:
        """The label, or the parts with what is set of them: ``group-dro(step_size=0.1)``, ``subsample+max-group``."""
        if self.label is not None:
            return self.label
        parts = []
        if self.method is not None:
            parts.append(self.method + _set(self.method_options))
        if self.method is None or self.loss != PLAIN_LOSS:
            plain = self.loss == PLAIN_LOSS and not self.loss_options
            parts.append(BASELINE if plain else self.loss + _set(self.loss_options))
        return "+".join(parts) + _set(self.training)

    @property
    def is_baseline(self) -> bool:
        """Whether this is plain cross-entropy with nothing changed, or in its place; tuned, it is so by its label."""
        plain = self.method is None and self.loss == PLAIN_LOSS and not self.loss_options
        return self.reference or (plain and (not self.training or self.label == BASELINE))


class TestSettings(Settings):
    """Images of another dataset to report on.

    Attributes:
        data: dataset name.
        root: its folder.
        split: None takes the card's.
        data_options: options of its source.
        limit: size of a seeded stratified sample.
    """

    __test__ = False  # its name makes pytest look for tests in it

    data: str
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] | None = None


class MitigateConfig(Settings):
    """A whole run.

    Attributes:
        model: a classifier that is trained on; None starts from ``weights`` or from scratch.
        weights: file with a backbone, or ``pretrained``; its head is replaced.
        network: architecture, how a checkpoint is read, and the preprocessing.
        data: dataset name.
        root: its folder, see ``EvaluateConfig``.
        split: of the dataset, before it is split here; None takes every image (official splits need every one).
        data_options: options of the dataset's source.
        limit: size of a seeded stratified sample of it.
        test: another dataset to test on; None cuts the test images from this one.
        splits: ``shares``, or the dataset's ``official`` ones; ``classes`` keeps each of the target's classes in one split,
            to find images again whose class was not trained on.
        split_shares: of training, validation and test images.
        split_seed: of the split, which all seeds share.
        imbalance: attribute, or ``attribute:level``, → share that its first or that level has among the people of the
            training images, or among the images where nobody is known; what is too much is left out.
        compare_content: keep byte-identical images on one side, which reads every file once before training.
        arms: what is tried.
        baseline: train plain cross-entropy on the same budget, seeds and data; a gain without one means nothing.
        seeds: how often everything is trained, each time from other initial weights and in another order.
        training: how all arms are trained.
        audit: what is audited on the test images. The first grouping makes the groups that losses and methods know.
    """

    model: Path | None = None
    weights: str | None = None
    network: ModelSettings = Field(default_factory=ModelSettings)
    data: str = "synthetic"
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] | None = None
    test: TestSettings | None = None
    splits: ExperimentSplits = "shares"
    split_shares: tuple[Share, Share, Share] = (0.78, 0.11, 0.11)
    split_seed: Annotated[int, Field(ge=0)] = 0
    imbalance: Mapping[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    compare_content: bool = True
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    baseline: bool = True
    seeds: Annotated[int, Field(ge=1, le=100)] = 5
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)

    @model_validator(mode="after")
    def _consistent(self) -> MitigateConfig:
        if self.model is not None and self.weights is not None:
            raise ValueError("a model that is trained on has its own weights; name the model or the weights, not both")
        if self.weights == "pretrained" and self.network.arch is None:
            raise ValueError("pretrained weights belong to an architecture; name it with --arch")
        doubled = [name for name in self.names if self.names.count(name) > 1]
        if doubled:
            raise ValueError(f"two arms are called {doubled[0]}; give one a label, or leave one out")
        for arm in self.arms:
            self.settings_of(arm)
        return self

    @property
    def trained(self) -> tuple[Arm, ...]:
        """Every arm, the baseline first where there is one."""
        rest = tuple(arm for arm in self.arms if not arm.is_baseline)
        first = tuple(arm for arm in self.arms if arm.is_baseline) or ((Arm(),) if self.baseline else ())
        return (*first, *rest)

    @property
    def names(self) -> list[str]:
        """Names of the arms that were asked for."""
        return [arm.name for arm in self.arms]

    def settings_of(self, arm: Arm) -> TrainingSettings:
        """Training settings of one arm.

        Args:
            arm: one of the run's.

        Raises:
            ValueError: a setting that an arm changes does not exist or cannot have this value.
        """
        return TrainingSettings.model_validate({**self.training.model_dump(), **arm.training})


def _set(options: Mapping[str, Any]) -> str:
    return f"({','.join(f'{key}={value}' for key, value in options.items())})" if options else ""
