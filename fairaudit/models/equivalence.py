"""Do networks with the same tensors compute the same function?

Padding, activation, anti-aliasing and eps leave no trace in a state dict, so networks that differ in them cannot be told
apart by name and shape. Neither can networks that differ in nothing but their name. This settles which is which: the
same random weights go into each and the outputs for the same two images are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from fairaudit.models.survey import construct

_CLASSES = 5
_TOLERANCE = 1e-3
_NOISE = {torch.float64: 1e-9, torch.float32: 1e-2}
"""Share of the outputs below which a difference between two images is lost in rounding."""
LARGEST = 350_000_000
"""Parameters above which a network is not tried: it would need more memory than an index is worth."""

Candidate = tuple[str, Mapping[str, Any]]
"""A network's name and the constructor arguments that differ from the defaults."""


def function_classes(candidates: Iterable[Candidate], size: int, n_parameters: int) -> list[int]:
    """Number the functions that networks with the same tensors compute.

    Args:
        candidates: networks whose tensors have the same names and shapes, classifier head aside.
        size: height and width of the images that are tried.
        n_parameters: of each of them.

    Returns:
        One number for each candidate; equal numbers computed the same outputs. A network that is too large, or rejects
        images of this size, or whose output does not depend on the image, gets a number of its own.
    """
    seen: list[Tensor] = []
    numbers: list[int] = []
    for name, kwargs in candidates:
        outputs = None if n_parameters > LARGEST else _outputs(name, kwargs, size)
        match = next((i for i, other in enumerate(seen) if outputs is not None and _equal(outputs, other)), None)
        if match is None:
            match = len(seen)
            seen.append(outputs if outputs is not None else torch.full((1,), torch.nan))
        numbers.append(match)
    return numbers


def _outputs(name: str, kwargs: Mapping[str, Any], size: int) -> Tensor | None:
    """Float64, because random weights may leave little of the image in the outputs; float32 where a network insists."""
    network = construct(name, _CLASSES, kwargs).eval()
    _fill(network)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    outputs: Any = None
    for dtype in (torch.float64, torch.float32):
        try:
            with torch.no_grad():
                outputs = network.to(dtype)(images.to(dtype))
            break
        except (AssertionError, RuntimeError, ValueError):
            continue  # a dtype of its own, or positions for another image size
    if not isinstance(outputs, Tensor) or not bool(outputs.isfinite().all()):
        return None
    visible = float((outputs[0] - outputs[1]).abs().max())
    return outputs if visible > _NOISE[outputs.dtype] * float(outputs.abs().max()) else None


def _equal(a: Tensor, b: Tensor) -> bool:
    """Measured against what tells the two images apart, so that a constant that swamps the outputs proves nothing."""
    if a.shape != b.shape:
        return False
    return bool((a - b).abs().max() <= _TOLERANCE * (a[0] - a[1]).abs().max())


def _fill(network: nn.Module) -> None:
    """Weights that depend on a tensor's name alone, and that leave no branch switched off as some initialisers do."""
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                continue
            generator = torch.Generator().manual_seed(crc32(key.encode()))
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim <= 1:
                low = -0.25 if key.endswith(("bias", "running_mean")) else 0.5
                tensor.uniform_(low, low + 0.5, generator=generator)
            else:
                fan_in = tensor[0].numel()
                tensor.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
