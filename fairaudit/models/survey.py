"""Every classification network that timm and torchvision can build, described without allocating one weight of it.

The survey builds each network on PyTorch's meta device with a class count that is no network's width, so the tensors
whose shape carries that count are its classifier head, whatever the library calls it. It takes minutes, so one line is
written for each network and a survey that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision.models
from accelerate import init_empty_weights
from torch import Tensor, nn

from fairaudit.models.fingerprint import Shapes
from fairaudit.models.own import build_own

PROBE_CLASSES = 1237
"""A prime that is no layer's width in either library: a shape that holds it belongs to the classifier head."""

VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    # Both are usually saved without the auxiliary classifiers that only training needs.
    "torchvision/googlenet": ({"aux_logits": False},),
    "torchvision/inception_v3": ({"aux_logits": False},),
}
_QUIET: Mapping[str, Mapping[str, Any]] = {
    "torchvision/googlenet": {"init_weights": False},
    "torchvision/inception_v3": {"init_weights": False},
}
_FETCHING = frozenset(
    {
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "weights",
        "weights_backbone",
    }
)


@dataclass(frozen=True)
class Surveyed:
    """One network as the survey found it.

    Attributes:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        kwargs: constructor arguments that differ from the library's defaults.
        shapes: tensor name → shape, parameters and persistent buffers, as in its state dict.
        head: names of the layers whose shape carries the class count, for example ``("fc",)``.
        error: why it could not be built; then there are no shapes.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=dict)
    head: tuple[str, ...] = ()
    error: str = ""


def every_name() -> list[str]:
    """``timm/NAME`` and ``torchvision/NAME`` of every classification network that is installed, sorted."""
    ours = [f"timm/{name}" for name in timm.list_models()]
    theirs = [f"torchvision/{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    return sorted(ours) + sorted(theirs)


def construct(name: str, num_classes: int, kwargs: Mapping[str, Any]) -> nn.Module:
    """Build one network with random weights on the current default device.

    Args:
        name: ``timm/NAME``, ``torchvision/NAME`` or ``fairaudit/NAME``.
        num_classes: outputs of its classifier head.
        kwargs: passed on to the library's constructor.

    Raises:
        ValueError: an argument would make the library open files or fetch something, which what a checkpoint says of
            itself must not be able to do.
    """
    library, _, bare = name.partition("/")
    fetching = sorted(_FETCHING & set(kwargs))
    if fetching:
        raise ValueError(f"{fetching[0]} would fetch or open other weights than those of the checkpoint")
    if library == "fairaudit":
        return build_own(bare, num_classes, kwargs, construct)
    arguments = {**_QUIET.get(name, {}), **kwargs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation notes of the libraries' own code
        if library == "timm":
            network = timm.create_model(bare, pretrained=False, num_classes=num_classes, **arguments)
        else:
            network = torchvision.models.get_model(bare, weights=None, num_classes=num_classes, **arguments)
    assert isinstance(network, nn.Module)
    return network


def outline(name: str, num_classes: int, kwargs: Mapping[str, Any]) -> nn.Module:
    """Build one network without memory for its weights.

    Args:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        num_classes: outputs of its classifier head.
        kwargs: passed on to the library's constructor.
    """
    try:
        with torch.device("meta"):
            return construct(name, num_classes, kwargs)
    except NotImplementedError:
        # Constructors that compute their layer widths with tensors need real ones; only what they register is emptied.
        with init_empty_weights():
            return construct(name, num_classes, kwargs)


def survey(name: str, kwargs: Mapping[str, Any]) -> Surveyed:
    """Describe one network.

    Args:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        kwargs: constructor arguments.
    """
    try:
        network = outline(name, PROBE_CLASSES, kwargs)
    except Exception as error:  # any library fault ends this one network, is recorded, and is shown by the script
        return Surveyed(name, kwargs, error=f"{type(error).__name__}: {error}"[:300])
    shapes = shapes_of(network.state_dict())
    return Surveyed(name, kwargs, shapes, head_layers(shapes))


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Tensor name → shape.

    Args:
        tensors: a state dict.
    """
    return {key: tuple(value.shape) for key, value in tensors.items()}


def head_layers(shapes: Shapes) -> tuple[str, ...]:
    """Layers whose width is the class count, for example ``("fc",)``; training-only auxiliary classifiers are among them.

    Args:
        shapes: of a network that was built with ``PROBE_CLASSES`` classes.
    """
    carrying = [key for key, shape in shapes.items() if PROBE_CLASSES in shape]
    return tuple(dict.fromkeys(key.rpartition(".")[0] or key for key in carrying))


def survey_all(record: Path, say: Callable[[str], None]) -> list[Surveyed]:
    """Survey every installed network, one line of ``record`` for each; networks already in it are not built again.

    Args:
        record: JSON-lines file, made or continued.
        say: told of progress.
    """
    done = {(item.name, json.dumps(dict(item.kwargs))): item for item in _read(record)}
    todo = [(name, kwargs) for name in every_name() for kwargs in ({}, *VARIANTS.get(name, ()))]
    with record.open("a", encoding="utf-8") as lines:
        for count, (name, kwargs) in enumerate(todo):
            key = (name, json.dumps(dict(kwargs)))
            if key not in done:
                done[key] = survey(name, kwargs)
                lines.write(json.dumps(asdict(done[key])) + "\n")
                lines.flush()
            if count % 100 == 0:
                say(f"{count} of {len(todo)}")
    return [done[name, json.dumps(dict(kwargs))] for name, kwargs in todo]


def _read(record: Path) -> Iterator[Surveyed]:
    if not record.exists():
        return
    for line in record.read_text(encoding="utf-8").splitlines():
        try:
            raw = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that an interruption cut short
        raw["shapes"] = {key: tuple(shape) for key, shape in raw["shapes"].items()}
        raw["head"] = tuple(raw["head"])
        yield Surveyed(**raw)
