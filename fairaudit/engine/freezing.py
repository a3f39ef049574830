"""Layers that keep their weights, and run as in evaluation while the rest is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from fairaudit.engine.features import head_of
from fairaudit.errors import UsageError, suggest

BACKBONE = "backbone"


@dataclass(frozen=True, eq=False)
class Frozen:
    """The frozen part of a network.

    Attributes:
        modules: every module of it, without those below them that are trained.
    """

    modules: tuple[nn.Module, ...] = ()

    def hold(self) -> None:
        """Set it to evaluation again; called after every ``model.train()``."""
        for module in self.modules:
            module.training = False


@contextmanager
def frozen(model: nn.Module, what: str) -> Iterator[Frozen]:
    """Within the block a part of a network has no gradients; after it every weight is as trainable as it was.

    Args:
        model: the network.
        what: ``TrainingSettings.freeze``.

    Raises:
        UsageError: there are no such layers, or the last layer cannot be told.
    """
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    try:
        yield _freeze(model, what)
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before[name])


def _freeze(model: nn.Module, what: str) -> Frozen:
    if what == "none":
        return Frozen()
    if what == BACKBONE:
        ask = getattr(model, "above_backbone", None)  # a network with more than one head names them
        heads: tuple[nn.Module, ...] = (head_of(model)[1],) if ask is None else ask()
        trained = {module for head in heads for module in head.modules()}
        own = {id(parameter) for head in heads for parameter in head.parameters()}
        for parameter in model.parameters():
            if id(parameter) not in own:
                parameter.requires_grad_(False)
        return Frozen(tuple(module for module in model.modules() if module not in trained))
    modules: list[nn.Module] = []
    for name in what.split(","):
        parameters = [value for key, value in model.named_parameters() if _below(key, name)]
        if not parameters:
            raise UsageError(f"no layer of the network is called {name!r}{suggest(name, _layers(model))}")
        for parameter in parameters:
            parameter.requires_grad_(False)
        modules.extend(module for key, module in model.named_modules() if _below(key, name))
    return Frozen(tuple(modules))


def _below(key: str, name: str) -> bool:
    return key == name or key.startswith(name + ".")


def _layers(model: nn.Module) -> list[str]:
    """What could be frozen: the network's parts, and the parts of those."""
    names = [key for key, module in model.named_modules() if key and any(True for _ in module.parameters())]
    alone = [key for key, _ in model.named_parameters() if "." not in key]
    return [name for name in names if name.count(".") < 2] + alone
