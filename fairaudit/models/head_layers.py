"""Rebuild a classifier head of several layers from the names and shapes of its tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class HeadLayers:
    """A classifier head as its tensors show it.

    Attributes:
        module: takes features (b, width), gives logits (b, outputs); random weights.
        outputs: number of logits.
        assumptions: activations that were put where the tensors leave room for one.
    """

    module: nn.Sequential
    outputs: int
    assumptions: tuple[str, ...]


def rebuild_head(tensors: Mapping[str, Tensor], width: int, place: str) -> HeadLayers | None:
    """Chain the layers whose tensors these are: linear layers, batch and layer norms.

    In a numbered ``Sequential`` a number without tensors is a layer without weights. The first one behind a linear layer
    that is followed by another is taken for a ReLU, the others for dropout, which does nothing in evaluation. Two linear
    layers without a number between them have no activation between them. In a head with names the tensors leave no trace
    of activations, so one is taken to stand before each linear layer but the first.

    Args:
        tensors: name below the head → tensor, in the checkpoint's order, for example ``0.weight``.
        width: of the features that go in.
        place: the head's own name, for messages.

    Returns:
        None when the tensors are no such chain.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        layer, _, parameter = key.rpartition(".")
        layers.setdefault(layer, {})[parameter] = value
    if not layers or any("." in layer or not layer for layer in layers):
        return None
    numbered = all(layer.isdigit() for layer in layers)
    order = sorted(layers, key=int) if numbered else list(layers)
    built: dict[str, nn.Module] = {}
    linear: list[str] = []
    for layer in order:
        module = _layer(layers[layer], width)
        if module is None:
            return None
        built[layer] = module
        if isinstance(module, nn.Linear):
            width = module.out_features
            linear.append(layer)
    if not linear or linear[-1] != order[-1]:
        return None
    chain, activations = _numbered(built, linear) if numbered else _named(built, linear)
    shape = " → ".join(
        [str(next(m for m in built.values() if isinstance(m, nn.Linear)).in_features)]
        + [str(m.out_features) for m in built.values() if isinstance(m, nn.Linear)]
    )
    assumptions: tuple[str, ...] = ()
    if len(linear) > 1:
        what = f"{activations} ReLU assumed between its layers" if activations else "no activation between its layers"
        assumptions = (f"{len(linear)}-layer head {place} ({shape}): {what}",)
    return HeadLayers(nn.Sequential(chain), width, assumptions)


def _layer(parameters: Mapping[str, Tensor], width: int) -> nn.Module | None:
    names = set(parameters)
    weight = parameters.get("weight")
    if {"running_mean", "running_var"} <= names:
        size = parameters["running_mean"].numel()
        return nn.BatchNorm1d(size, affine=weight is not None) if size == width else None
    if weight is None or not names <= {"weight", "bias"}:
        return None
    if weight.ndim == 1:
        return nn.LayerNorm(width, bias="bias" in names) if weight.numel() == width else None
    if weight.ndim == 2 and weight.shape[1] == width:
        return nn.Linear(width, weight.shape[0], bias="bias" in names)
    return None


def _numbered(built: Mapping[str, nn.Module], linear: list[str]) -> tuple[OrderedDict[str, nn.Module], int]:
    chain: OrderedDict[str, nn.Module] = OrderedDict()
    waiting = False
    activations = 0
    for number in range(int(linear[-1]) + 1):
        module = built.get(str(number))
        if module is None:
            module = nn.ReLU() if waiting else nn.Identity()
            activations += waiting
            waiting = False
        elif isinstance(module, nn.Linear):
            waiting = True
        chain[str(number)] = module
    return chain, activations


def _named(built: Mapping[str, nn.Module], linear: list[str]) -> tuple[OrderedDict[str, nn.Module], int]:
    chain: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in built.items():
        if name in linear[1:]:
            chain[f"before_{name}"] = nn.ReLU()
        chain[name] = module
    return chain, len(linear) - 1
