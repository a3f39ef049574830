"""The last layer of a network: found, replaced, and given other weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairaudit.engine.features import head_of
from fairaudit.errors import UsageError


def linear_head(model: nn.Module, method: str) -> tuple[str, nn.Linear]:
    """Name and layer of a network's last layer, which must be linear with a bias.

    Args:
        model: a network.
        method: who needs it, as the command line spells it.

    Raises:
        UsageError: it is of another kind, or has no bias.
    """
    name, head = head_of(model)
    if not isinstance(head, nn.Linear) or head.bias is None:
        kind = "has no bias" if isinstance(head, nn.Linear) else f"is a {type(head).__name__}"
        raise UsageError(
            f"the method {method} needs a network that ends in a linear layer with a bias, but {name or 'the last one'} "
            f"{kind}; choose another architecture"
        )
    return name, head


def put(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer where another is.

    Args:
        model: a network, changed in place.
        name: of the layer that goes.
        layer: the one that comes.
    """
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


@torch.no_grad()
def write_head(model: nn.Module, weight: Tensor, bias: Tensor, method: str) -> None:
    """Give a network's last layer other weights.

    Args:
        model: a network, changed in place; it ends in evaluation mode.
        weight: (k, d) any float type.
        bias: (k,).
        method: who writes, as the command line spells it.

    Raises:
        UsageError: see ``linear_head``.
    """
    _, head = linear_head(model, method)
    head.weight.copy_(weight)
    head.bias.copy_(bias)
    model.eval()


@torch.no_grad()
def copy_body(source: nn.Module, target: nn.Module, head: str) -> None:
    """Give a network the weights and statistics of another, but for its last layer.

    Args:
        source: where they come from.
        target: the same architecture, changed in place.
        head: name of the last layer in both.
    """
    prefix = f"{head}."
    own = target.state_dict()
    found = {key: value for key, value in source.state_dict().items() if not key.startswith(prefix)}
    target.load_state_dict({**{key: value for key, value in own.items() if key.startswith(prefix)}, **found})
