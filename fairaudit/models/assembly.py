"""Put a state dict into its network.

The class count and the shape of the head are read from the tensors; every tensor must find its place, and every place
its tensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.errors import CheckpointError
from fairaudit.models.architecture import listed, shape_text
from fairaudit.models.factory import build_network, build_outline
from fairaudit.models.fingerprint import Shapes, is_below, is_counter
from fairaudit.models.head_layers import HeadLayers, rebuild_head
from fairaudit.models.index import outer_of
from fairaudit.models.survey import PROBE_CLASSES, head_layers, shapes_of

# What a classifier block may be made of when it is replaced whole: had it pooled, normalised or flattened, those steps
# would be lost with it.
_REPLACEABLE = (nn.Linear, nn.Dropout, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Identity, nn.Tanh)
_LARGE = 1.5
"""Times torch's own spread; below it a head is as its library wants it."""


@dataclass(frozen=True, eq=False)
class Assembled:
    """A network with its weights.

    Attributes:
        network: in evaluation mode, on the CPU, float32; images (b,3,h,w) → logits (b,outputs).
        outputs: number of logits.
        keys_matched: tensors of the checkpoint; each one is in the network.
        assumptions: what the weights could not tell about the head.
    """

    network: nn.Module
    outputs: int
    keys_matched: int
    assumptions: tuple[str, ...]


def assemble(name: str, arch_kwargs: Mapping[str, Any], tensors: Mapping[str, Tensor], file: str) -> Assembled:
    """Build the network that a state dict belongs to, and load it.

    Args:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        arch_kwargs: constructor arguments.
        tensors: the state dict.
        file: the checkpoint's name, for messages.

    Raises:
        ArchitectureError: the network cannot be built.
        CheckpointError: a tensor is missing, unexpected or of another shape, or there is no classifier head.
    """
    outline = build_outline(name, PROBE_CLASSES, arch_kwargs)
    expected = shapes_of(outline.state_dict())
    layers = head_layers(expected)
    shapes = shapes_of(tensors)
    classes = _class_count(expected, shapes)
    replaced: tuple[str, HeadLayers] | None = None
    if classes is None or any(key not in expected and is_below(key, outer_of(layers)) for key in tensors):
        replaced = _replacement(outline, layers, tensors)
    if classes is None and replaced is None:
        if layers and not any(is_below(key, [*layers, *outer_of(layers)]) for key in tensors):
            raise CheckpointError(
                f"{file} has no classifier head: {name} keeps it in {listed(layers)}; these are features, "
                "not a classifier that can be audited"
            )
        classes = PROBE_CLASSES  # nothing can fit; the comparison below says what does not
    outputs = replaced[1].outputs if replaced else classes or PROBE_CLASSES
    _compare(expected, shapes, name, file, outputs, replaced[0] if replaced else None)
    network = build_network(name, outputs, arch_kwargs)
    if replaced is not None:
        _put(network, replaced[0], replaced[1].module)
    counters = {key: value for key, value in network.state_dict().items() if is_counter(key)}
    network.load_state_dict({**counters, **tensors}, strict=True)
    return Assembled(network.float().eval(), outputs, len(tensors), replaced[1].assumptions if replaced else ())


def load_body(
    network: nn.Module, name: str, arch_kwargs: Mapping[str, Any], tensors: Mapping[str, Tensor], file: str
) -> None:
    """Load everything but the classifier head, which keeps the network's own weights, made smaller where they are large.

    Args:
        network: built by ``name`` and ``arch_kwargs``, with any number of outputs.
        name: ``timm/NAME`` or ``torchvision/NAME``.
        arch_kwargs: constructor arguments.
        tensors: the state dict; whatever head it has, of any shape or none, is left aside.
        file: the checkpoint's name, for messages.

    Raises:
        CheckpointError: a tensor below the head is missing, unexpected or of another shape.
    """
    outline = build_outline(name, PROBE_CLASSES, arch_kwargs)
    layers = head_layers(shapes_of(outline.state_dict()))
    # A block of linear layers around the head is all head; one that also normalises keeps what it normalises with.
    head = [*layers, *(place for place in outer_of(layers) if _replaceable(outline.get_submodule(place)))]
    own = network.state_dict()
    wanted = {key: tuple(value.shape) for key, value in own.items() if not is_below(key, head)}
    body = {key: value for key, value in tensors.items() if not is_below(key, head)}
    _compare(wanted, shapes_of(body), name, file, 0, None)
    network.load_state_dict({**own, **body}, strict=True)
    for place in layers:
        _calm(network.get_submodule(place))


@torch.no_grad()
def _calm(head: nn.Module) -> None:
    """Scale a new last layer down to the spread that torch itself starts linear layers with.

    Some libraries draw a head's weights by the number of its classes: of a thousand that is little, of two so much that
    the first epochs are spent on forgetting it (EfficientNet-Lite0, frozen, seven outputs: thirty epochs were not enough).
    """
    if not isinstance(head, nn.Linear):
        return
    usual, spread = 1 / math.sqrt(3 * head.in_features), float(head.weight.std(correction=0))
    if spread > _LARGE * usual:
        head.weight.mul_(usual / spread)


def _class_count(expected: Shapes, shapes: Shapes) -> int | None:
    """The class count on which every tensor of the head agrees; None when one is absent or built differently."""
    counts = set()
    for key, shape in expected.items():
        if PROBE_CLASSES not in shape:
            continue
        if len(shapes.get(key, ())) != len(shape):
            return None
        counts.add(shapes[key][shape.index(PROBE_CLASSES)])
    return counts.pop() if len(counts) == 1 else None


def _replacement(outline: nn.Module, layers: Sequence[str], tensors: Mapping[str, Tensor]) -> tuple[str, HeadLayers] | None:
    """The layer or block that was replaced, and what it was replaced by, rebuilt from its keys."""
    if len(layers) != 1:
        return None
    for place in (*layers, *outer_of(layers)):
        original = outline.get_submodule(place)
        if not _replaceable(original):
            continue
        below = {key.removeprefix(place + "."): value for key, value in tensors.items() if key.startswith(place + ".")}
        rebuilt = rebuild_head(below, _input_width(original), place)
        if rebuilt is not None:
            return place, rebuilt
    return None


def _replaceable(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential):
        return all(isinstance(child, _REPLACEABLE) for child in module)
    return isinstance(module, nn.Linear)


def _input_width(module: nn.Module) -> int:
    linear = next(layer for layer in module.modules() if isinstance(layer, nn.Linear))
    return int(linear.in_features)


def _put(network: nn.Module, place: str, module: nn.Module) -> None:
    parent, _, child = place.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _compare(expected: Shapes, shapes: Shapes, name: str, file: str, classes: int, replaced: str | None) -> None:
    wanted = {
        key: tuple(classes if side == PROBE_CLASSES else side for side in shape)
        for key, shape in expected.items()
        if replaced is None or not is_below(key, [replaced])
    }
    given = {key: shape for key, shape in shapes.items() if replaced is None or not is_below(key, [replaced])}
    missing = [key for key in wanted if key not in given and not is_counter(key)]
    unexpected = [key for key in given if key not in wanted]
    misshaped = [
        f"{key} ({shape_text(given[key])} where {_wanted_text(wanted[key])} is expected)"
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    if missing or unexpected or misshaped:
        parts = [
            f"{len(keys)} {what}: {listed(keys, limit=3)}"
            for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
            if keys
        ]
        raise CheckpointError(
            f"{file} does not fit {name}: {'; '.join(parts)}; name the right network with --arch and --arch-kwargs"
        )


def _wanted_text(shape: Sequence[int]) -> str:
    return "x".join("classes" if side == PROBE_CLASSES else str(side) for side in shape) or "scalar"


def outputs_of(network: nn.Module, size: tuple[int, int]) -> Tensor:
    """Logits of two grey images, which shows that a network takes images of this size and what it gives.

    Args:
        network: any network.
        size: height and width of the images.
    """
    with torch.no_grad():
        logits: Tensor = network(torch.zeros(2, 3, *size))
    return logits
