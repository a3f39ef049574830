"""Where training starts: a checkpoint that is trained on, a backbone under a new head, or random weights."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision.models
from torch import Tensor, nn

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.errors import CheckpointError
from fairaudit.models.architecture import recognise
from fairaudit.models.assembly import load_body
from fairaudit.models.checkpoint import read_checkpoint
from fairaudit.models.classifier import load_classifier
from fairaudit.models.embedder import NAME as EMBEDDER
from fairaudit.models.factory import build_network, full_names
from fairaudit.models.metadata import SelfDescription, describe
from fairaudit.models.preprocess import choose_preprocess
from fairaudit.models.state_dict import find_state_dict
from fairaudit.models.survey import shapes_of

PRETRAINED = "pretrained"
"""What ``--weights`` may say instead of a file: let the library download its own."""


@dataclass(frozen=True, eq=False)
class Start:
    """Makes networks at their starting weights; the same seed gives the same ones, however often it is asked.

    Attributes:
        architecture: ``timm/NAME`` or ``torchvision/NAME``.
        arch_kwargs: constructor arguments.
        preprocess: how images must be prepared.
        origin: where the weights come from, a clause for people.
        classes: names of the outputs where a classifier is trained on, in their order; None where the head is new.
        body: tensors below the head; None starts from random weights.
        whole: the classifier that is trained on.
    """

    architecture: str
    arch_kwargs: Mapping[str, Any]
    preprocess: Preprocess
    origin: str
    classes: tuple[str, ...] | None = None
    body: Mapping[str, Tensor] | None = field(default=None, repr=False)
    whole: nn.Module | None = field(default=None, repr=False)

    def network(self, outputs: int, seed: int, architecture: str | None = None) -> nn.Module:
        """A network to train.

        Args:
            outputs: of its head. Where a classifier is trained on, its own head stays if it has as many.
            seed: of what is random in it: a new head, or everything.
            architecture: another network than this one's; it starts from random weights.

        Raises:
            ArchitectureError: there is no such network.
        """
        if architecture is not None and full_names(architecture)[0] != self.architecture:
            return _seeded(full_names(architecture)[0], outputs, {}, seed)
        if self.whole is not None and self.classes is not None and outputs == len(self.classes):
            return copy.deepcopy(self.whole)
        network = _seeded(self.architecture, outputs, self.arch_kwargs, seed)
        tensors = self.body if self.whole is None else self.whole.state_dict()
        if tensors is not None:
            load_body(network, self.architecture, self.arch_kwargs, tensors, self.origin)
        return network


def start_from_scratch(architecture: str, settings: ModelSettings) -> Start:
    """Random weights.

    Args:
        architecture: as ``full_names`` takes it.
        settings: constructor arguments and preprocessing that the user set.

    Raises:
        ArchitectureError: there is no such network.
    """
    name = full_names(architecture)[0]
    preprocess = choose_preprocess(name, settings.arch_kwargs, SelfDescription(), settings.preprocess)
    return Start(name, settings.arch_kwargs, preprocess, "random weights")


def start_from_weights(path: Path, architecture: str | None, settings: ModelSettings) -> Start:
    """A backbone from a file; whatever head it has is replaced.

    Args:
        path: the file.
        architecture: None recognises it.
        settings: constructor arguments, preprocessing, and whether the file is trusted.

    Raises:
        CheckpointError: the file cannot be read, or its tensors are not this network's.
        ArchitectureError: the network is unknown or cannot be told from others.
    """
    raw = read_checkpoint(path, settings.trust_checkpoint)
    if raw.module is not None:
        raise CheckpointError(f"{path} carries its own network ({raw.kind}); --weights needs a state dict")
    described = describe(raw)
    tensors = find_state_dict(raw.content, path).tensors
    own = described.own
    if own.get("architecture") == EMBEDDER:  # the head goes, and what normalises its outputs with it
        own = {**own, "architecture": own["arch_kwargs"]["of"], "arch_kwargs": own["arch_kwargs"]["of_kwargs"]}
        tensors = {key.removeprefix("inner."): value for key, value in tensors.items() if key.startswith("inner.")}
    if architecture is not None:
        name, kwargs = full_names(architecture)[0], dict(settings.arch_kwargs)
        names = full_names(architecture)
        if len(names) > 1:  # both libraries have it: the one whose tensors these are
            name = next((n for n in names if _body_fits(n, kwargs, tensors, path)), name)
    elif "architecture" in own:
        name, kwargs = str(own["architecture"]), {**own.get("arch_kwargs", {}), **settings.arch_kwargs}
    else:
        entry = recognise(shapes_of(tensors)).entry
        name, kwargs = entry.name, {**entry.kwargs, **settings.arch_kwargs}
    load_body(build_network(name, 2, kwargs), name, kwargs, tensors, path.name)  # to say now what does not fit
    preprocess = choose_preprocess(name, kwargs, described, settings.preprocess)
    return Start(name, kwargs, preprocess, path.name, body=tensors)


def start_pretrained(architecture: str, settings: ModelSettings) -> Start:
    """The library's own weights, downloaded or from its cache, under a new head.

    Args:
        architecture: as ``full_names`` takes it.
        settings: constructor arguments and preprocessing that the user set.

    Raises:
        ArchitectureError: there is no such network.
        CheckpointError: the weights cannot be had.
    """
    name = full_names(architecture)[0]
    library, _, bare = name.partition("/")
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # the sentence below says what failed, once
    try:
        network = (
            timm.create_model(bare, pretrained=True, **settings.arch_kwargs)
            if library == "timm"
            else torchvision.models.get_model(bare, weights="DEFAULT", **settings.arch_kwargs)
        )
    except Exception as error:  # libraries, their hubs and the network below fail in many ways; all mean the same here
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"the pretrained weights of {name} cannot be had: {reason}; give a local file with --weights FILE"
        ) from error
    preprocess = choose_preprocess(name, settings.arch_kwargs, SelfDescription(), settings.preprocess)
    return Start(name, settings.arch_kwargs, preprocess, f"{library}'s own weights", body=network.state_dict())


def start_from_model(path: Path, settings: ModelSettings, target: str, levels: Mapping[str, tuple[str, ...]]) -> Start:
    """A classifier that is trained on, head and all.

    Args:
        path: the checkpoint.
        settings: what the user set about it.
        target: what it is trained to predict.
        levels: categorical column of the dataset → levels.

    Raises:
        CheckpointError: see ``load_classifier``; also a head that is not one softmax over the target's classes.
        ArchitectureError: the network is unknown.
    """
    again = "; to keep its backbone and train a new head, give it as --weights"
    try:
        found = load_classifier(path, settings, target, levels)
    except CheckpointError as error:
        said, _, advice = str(error).partition(";")
        if "--head" not in advice:
            raise
        raise CheckpointError(said + again) from error  # how outputs are merged or read is a matter of audits alone
    parts = [part for part in found.head.parts if part.name.casefold() == target.casefold()]
    if len(found.head.parts) != 1 or not parts:
        raise CheckpointError(f"{path.name} predicts {', '.join(found.head.tasks)}, not {target} alone{again}")
    part = parts[0]
    if part.activation != "softmax" or part.merged is not None or len(part.columns) != found.head.outputs:
        raise CheckpointError(f"{path.name} has a head that cannot be trained on as it is ({part.description}){again}")
    if found.architecture.partition("/")[0] not in ("timm", "torchvision", "fairaudit"):
        raise CheckpointError(f"{path.name} carries its own network, which cannot be saved again; give a state dict")
    return Start(
        found.architecture, found.arch_kwargs, found.preprocess, path.name,
        classes=tuple(part.classes[i] for i in sorted(range(len(part.classes)), key=lambda i: part.columns[i])),
        whole=found.model,
    )  # fmt: skip


def _seeded(name: str, outputs: int, kwargs: Mapping[str, Any], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(name, outputs, kwargs)


def _body_fits(name: str, kwargs: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> bool:
    try:
        load_body(build_network(name, 2, kwargs), name, kwargs, tensors, path.name)
    except CheckpointError:
        return False
    return True
