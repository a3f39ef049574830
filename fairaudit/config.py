"""What a user may ask for, validated once: how images are prepared, how a model is run, what is audited, which rules hold.

Command-line flags and TOML files both end here. A file's keys are these models' fields; an unknown key is an error that
names the nearest known one.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fairaudit.errors import ConfigError, suggest

Precision = Literal["fp32", "bf16", "fp16"]
Resize = Literal["squash", "crop"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
MergeBy = Literal["max", "sum"]
Schedule = Literal["cosine", "step", "none"]
Balance = Literal["none", "groups"]
Augment = Literal["none", "classic"]
Select = Literal["last", "worst-group", "average"]
OnInconclusive = Literal["error", "fail", "pass"]
MissingLevels = Literal["exclude", "group"]
Aggregate = Literal["micro", "weighted", "worst"]
Severity = Literal["error", "warning"]
DecideOn = Literal["interval", "point"]
Confidence = Annotated[float, Field(gt=0.5, lt=1.0)]


class Settings(BaseModel):
    """Base of everything below: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Preprocess(Settings):
    """How a decoded image becomes the network's input.

    Attributes:
        size: height and width of the network's input, in pixels.
        resize: ``squash`` resizes both sides to ``size`` whatever the aspect ratio; ``crop`` resizes the shorter side to
            ``size / crop_pct`` and cuts the centre.
        crop_pct: share of the resized image that a centre crop keeps; only used by ``crop``.
        interpolation: always with antialiasing.
        mean: per-channel mean of RGB in [0, 1].
        std: per-channel standard deviation of RGB in [0, 1].
        source: where these values came from, in words ("fairaudit metadata", "timm's config of resnet18", "flags" …).
    """

    size: tuple[Annotated[int, Field(ge=8, le=8192)], Annotated[int, Field(ge=8, le=8192)]] = (224, 224)
    resize: Resize = "crop"
    crop_pct: Annotated[float, Field(gt=0.0, le=1.0)] = 0.875
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    source: str = "ImageNet defaults"

    @field_validator("std")
    @classmethod
    def _positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("every channel's standard deviation must be above 0")
        return std


class PreprocessOverrides(Settings):
    """The parts of ``Preprocess`` that the user set; None keeps what the checkpoint or architecture says."""

    size: tuple[int, int] | None = None
    resize: Resize | None = None
    crop_pct: float | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


class ModelSettings(Settings):
    """Which network a checkpoint holds and what its outputs mean; everything left None is found out and said.

    Attributes:
        arch: ``timm/NAME`` or ``torchvision/NAME`` (a bare name is looked up in both); None recognises it from the file.
        arch_kwargs: keyword arguments for the network's constructor.
        trust_checkpoint: accept files that run code when loaded.
        classes: class names in output order, for a head with one task.
        head: ``race:0-6,gender:7-8`` slices, a preset such as ``fairface-18``, or a kind: softmax, sigmoid, multilabel.
        merge: target class → names or indices of the outputs that count as it.
        merge_by: how merged outputs are combined.
        preprocess: the parts of the preprocessing that the user set.
    """

    arch: str | None = None
    arch_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    trust_checkpoint: bool = False
    classes: tuple[str, ...] | None = None
    head: str | None = None
    merge: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    merge_by: MergeBy = "max"
    preprocess: PreprocessOverrides = Field(default_factory=PreprocessOverrides)


class InferenceSettings(Settings):
    """How a network is run over the images.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: fp32 unless asked otherwise, because lower precision flips predictions near the threshold.
        batch_size: None chooses by device; it is halved when memory runs out.
        workers: threads (CPU) or loader processes (GPU); None chooses by device.
        max_unreadable: how many images may be unreadable; each one is listed, none is dropped in silence.
        exact_resize: decode and resize with Pillow, to the bit; the faster default differs by at most 2 of 255 per pixel.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    max_unreadable: Annotated[int, Field(ge=0)] = 0
    exact_resize: bool = False


class TrainingSettings(Settings):
    """How a network is trained; the loss is chosen apart.

    Attributes:
        epochs: passes over as many images as the training set has.
        batch_size: images per step, over all processes.
        lr: the largest learning rate.
        optimizer: one of timm's names (adamw, sgd, lamb …).
        weight_decay: not applied to biases and normalisation.
        schedule: ``cosine`` falls to 0 by the last step, ``step`` falls to a tenth after each third, ``none`` stays.
        warmup: epochs in which the learning rate rises from a hundredth.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of the forward and backward pass; weights stay fp32.
        balance: ``groups`` fills every batch with as many images of each group, repeating those of rare groups.
        augment: ``classic`` flips, turns, shifts, scales and recolours at random, as portraits allow.
        select: which epoch's weights are kept: the last, or the one with the best validation score, which is the worst
            group's or the average accuracy.
        seed: of the order of images, augmentation and dropout; the initial weights are the caller's.
        workers: threads that decode images ahead of the network; None chooses by the number of cores.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=2)] = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    optimizer: str = "adamw"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Schedule = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 0
    device: str = "auto"
    precision: Precision = "fp32"
    balance: Balance = "none"
    augment: Augment = "none"
    select: Select = "last"
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _warmup_ends(self) -> TrainingSettings:
        if self.warmup >= self.epochs:
            raise ValueError(f"a warmup of {self.warmup} epochs leaves nothing of {self.epochs}; it must be shorter")
        return self


class AuditSettings(Settings):
    """What is compared with what, and how sure the answer must be.

    Attributes:
        target: the target that is audited; None when there is only one.
        by: groupings, each one or more attributes that are crossed.
        privileged: one mapping attribute → level per reference group named.
        positive: the class that the plain metric names mean.
        confidence: of every interval.
        bootstrap: replicates where no closed-form interval exists.
        seed: of the bootstrap.
        min_support: groups whose denominator is smaller are shown and marked, left out of gaps, and cannot pass a rule.
        where: expression that restricts the audit to a subset.
        bins: numeric attribute → rising edges that make levels of it, each edge the start of one.
        missing: images whose attribute is not known are left out of its groupings, and counted (``exclude``), or make a
            level of their own (``group``).
        threshold: of two classes, call the positive one where its score reaches this; None keeps the decisions as they are.
        beta: F-scores to list besides F1 and F2.
        aggregate: what to list over classes besides their mean.
        top_k: the k of each top-k accuracy to list; none lists 3 and 5 where there are more classes.
        cluster: where people are known, let intervals take into account that a person's images are right or wrong together.
        rules: rules to judge, each ``METRIC[CLASS] KIND by A[,B] OP NUMBER``.
    """

    target: str | None = None
    by: tuple[tuple[str, ...], ...] = ()
    privileged: tuple[Mapping[str, str], ...] = ()
    positive: str | None = None
    confidence: Confidence = 0.95
    bootstrap: Annotated[int, Field(ge=100, le=1_000_000)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    min_support: Annotated[int, Field(ge=1)] = 20
    where: str | None = None
    bins: Mapping[str, Annotated[tuple[float, ...], Field(min_length=1)]] = Field(default_factory=dict)
    missing: MissingLevels = "exclude"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    beta: tuple[Annotated[float, Field(gt=0.0, lt=1000.0)], ...] = ()
    aggregate: tuple[Aggregate, ...] = ()
    top_k: tuple[Annotated[int, Field(ge=1)], ...] = ()
    cluster: bool = True
    rules: tuple[str, ...] = ()

    @field_validator("bins")
    @classmethod
    def _rising(cls, bins: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
        for name, edges in bins.items():
            if not all(a < b for a, b in pairwise(edges)) or not all(map(math.isfinite, edges)):
                raise ValueError(f"the edges of {name} must be finite and rise")
        return bins

    @field_validator("beta")
    @classmethod
    def _three_decimals(cls, beta: tuple[float, ...]) -> tuple[float, ...]:
        if any(round(b, 3) != b for b in beta):
            raise ValueError("an F-score's beta has three decimals at the most")
        return beta


class PolicyRule(Settings):
    """One rule of a policy; a string stands for a table with nothing but ``rule``.

    Attributes:
        rule: ``METRIC[CLASS] KIND by A[,B] OP NUMBER``.
        severity: a warning is shown and never changes the exit code.
        decide_on: overrides the policy's.
        min_support: overrides the smallest denominator for this rule.
    """

    rule: str
    severity: Severity = "error"
    decide_on: DecideOn | None = None
    min_support: Annotated[int, Field(ge=1)] | None = None


class Policy(Settings):
    """A policy file: what a release must meet.

    Attributes:
        name: what the policy is called in reports.
        rules: every one must hold.
        decide_on: ``interval``, or ``point`` to take estimates for the truth, which reports then say.
        confidence: overrides the audit's confidence.
        min_support: overrides the audit's smallest denominator.
        expected: attribute → levels of which there must be images; an absent one is inconclusive.
        audited: attributes that must be audited.
        on_inconclusive: what an inconclusive verdict ends with: exit code 3 (error), 1 (fail) or 0 with a warning (pass).
    """

    name: str = "policy"
    rules: Annotated[tuple[PolicyRule, ...], Field(min_length=1)] = ()
    decide_on: DecideOn = "interval"
    confidence: Confidence | None = None
    min_support: Annotated[int, Field(ge=1)] | None = None
    expected: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    audited: tuple[str, ...] = ()
    on_inconclusive: OnInconclusive = "error"

    @field_validator("rules", mode="before")
    @classmethod
    def _plain_rules(cls, rules: Any) -> Any:
        if not isinstance(rules, (list, tuple)):
            return rules
        return tuple({"rule": rule} if isinstance(rule, str) else rule for rule in rules)

    @model_validator(mode="after")
    def _asks_something(self) -> Policy:
        if not (self.rules or self.expected or self.audited):
            raise ValueError("the policy asks nothing; give it rules")
        return self

    @property
    def requirements(self) -> tuple[str, ...]:
        """Every requirement as one text that says all there is to it, as ``--rule`` takes it."""
        texts = []
        for one in self.rules:
            decide_on = one.decide_on or self.decide_on
            options = [
                *([one.severity] if one.severity != "error" else []),
                *([decide_on] if decide_on != "interval" else []),
                *([f"min_support {one.min_support}"] if one.min_support is not None else []),
            ]
            texts.append(f"{one.rule} ({', '.join(options)})" if options else one.rule)
        texts += [f"expected {attribute}: {' | '.join(levels)}" for attribute, levels in self.expected.items()]
        return (*texts, *(f"audited {attribute}" for attribute in self.audited))


class EvaluateConfig(Settings):
    """A whole run of ``fairaudit evaluate``; ``config.toml`` in a run folder is one of these.

    Attributes:
        model: checkpoint file.
        data: dataset name.
        root: dataset folder; None looks in ``$FAIRAUDIT_DATA``, ``./data`` and the user's config file.
        split: None takes the card's.
        data_options: options of this dataset's source (``balanced``, ``strict``, ``path_column`` …).
        limit: size of a seeded stratified sample; None takes every image.
        network: how the checkpoint is read.
        inference: how it is run.
        audit: what is audited.
        on_inconclusive: see ``Policy``.
    """

    model: Path
    data: str
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] | None = None
    network: ModelSettings = Field(default_factory=ModelSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    on_inconclusive: OnInconclusive = "error"

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


S = TypeVar("S", bound=BaseModel)


def read_values(path: Path) -> dict[str, Any]:
    """Plain values of a TOML file.

    Raises:
        ConfigError: the file cannot be read or parsed.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error


def read_toml(path: Path, model: type[S]) -> S:
    """Read a TOML file into one of the models above.

    Args:
        path: the file.
        model: the model whose fields are the file's keys.

    Raises:
        ConfigError: the file cannot be read or parsed, or a key or value is not accepted.
    """
    return validated(read_values(path), model, str(path))


def validated(values: Mapping[str, Any], model: type[S], where: str) -> S:
    """Build a model from plain values; the first problem becomes one sentence.

    Args:
        values: plain values, as a TOML file or flags give them.
        model: the model to build.
        where: what to name in the error (a file, or ``"the flags"``).

    Raises:
        ConfigError: a key or value is not accepted.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # A misspelt key is said before the lack of the key that was meant.
        problem = min(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "missing":
            raise ConfigError(f"{where}: {place!r} is missing") from error
        if problem["type"] == "too_short":
            raise ConfigError(f"{where}: {place!r} is empty") from error
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            known = _fields_at(model, problem["loc"][:-1])
            raise ConfigError(f"{where}: unknown key {place!r}{suggest(key, known)}") from error
        raise ConfigError(f"{where}: {place}: {problem['msg'].removeprefix('Value error, ')}") from error


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in (str(part) for part in location if not isinstance(part, int)):
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
