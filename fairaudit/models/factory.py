"""Build a network by name: ``timm/NAME``, ``torchvision/NAME``, ``fairaudit/NAME``, or a bare name looked up in all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import timm
import torch
import torchvision.models
from torch import nn

from fairaudit.errors import ArchitectureError, suggest
from fairaudit.models.own import OWN
from fairaudit.models.survey import construct, every_name, outline

_LIBRARIES = ("timm", "torchvision")
_ALL = (*_LIBRARIES, "fairaudit")


def full_names(architecture: str) -> list[str]:
    """Every network that a name can mean, timm's first.

    Args:
        architecture: ``timm/NAME``, ``torchvision/NAME`` or ``NAME``; timm's may end in a pretrained tag.

    Raises:
        ArchitectureError: nobody knows it.
    """
    library, slash, bare = architecture.strip().partition("/")
    if not slash:
        library, bare = "", architecture.strip()
    found = [f"{name}/{bare}" for name in _ALL if library in ("", name) and _known(name, bare)]
    if found:
        return found
    if library == "fairaudit":
        raise ArchitectureError(f"unknown architecture {architecture!r}{suggest(bare, OWN)}")
    if library and library not in _LIBRARIES:
        raise ArchitectureError(f"unknown architecture {architecture!r}: write timm/NAME, torchvision/NAME or NAME")
    choices = [
        name if slash else name.partition("/")[2] for name in every_name() if library in ("", name.partition("/")[0])
    ]
    where = f"{library} {version(library)}" if library else " and ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    raise ArchitectureError(f"unknown architecture {architecture!r} in {where}{suggest(architecture, choices, limit=4)}")


def _known(library: str, bare: str) -> bool:
    if library == "timm":
        return bool(re.fullmatch(r"\w+(\.\w+)?", bare)) and bool(timm.is_model(bare.partition(".")[0]))
    return bare in (OWN if library == "fairaudit" else torchvision.models.list_models(module=torchvision.models))


def build_network(architecture: str, num_classes: int, arch_kwargs: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a network with random weights on the CPU. The global random state is left as it was.

    Args:
        architecture: as ``full_names`` takes it; a bare name that both libraries have is timm's.
        num_classes: outputs of its classifier head.
        arch_kwargs: passed on to the library's constructor.

    Raises:
        ArchitectureError: the name is unknown, or the constructor refuses the arguments.
    """
    name = full_names(architecture)[0]
    with torch.random.fork_rng(devices=[]):
        return _built(name, arch_kwargs or {}, lambda kwargs: construct(name, num_classes, kwargs))


def build_outline(name: str, num_classes: int, arch_kwargs: Mapping[str, Any]) -> nn.Module:
    """Build a network without memory for its weights: names and shapes only.

    Args:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        num_classes: outputs of its classifier head.
        arch_kwargs: passed on to the library's constructor.

    Raises:
        ArchitectureError: the installed library does not know the name or refuses the arguments.
    """
    full_names(name)
    with torch.random.fork_rng(devices=[]):
        return _built(name, arch_kwargs, lambda kwargs: outline(name, num_classes, kwargs))


def _built(name: str, arch_kwargs: Mapping[str, Any], build: Any) -> nn.Module:
    try:
        network: nn.Module = build(dict(arch_kwargs))
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        given = ", ".join(f"{key}={value!r}" for key, value in arch_kwargs.items())
        raise ArchitectureError(f"{name} cannot be built with ({given}): {reason}; see --arch-kwargs") from error
    return network
