"""What a network makes of images just before its last layer, computed once.

Training the last layer of a frozen network, or fitting another classifier in its place, needs no image twice: a second
epoch over a thousand features takes milliseconds where one over a thousand images takes minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine.devices import place
from fairaudit.engine.image_sources import CachedFeatures, ImageSource
from fairaudit.engine.rows import each_row, lowered, network_inputs
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import TrainingError, UsageError

_USUAL_NAMES = ("fc", "classifier", "heads", "head")
"""What torchvision's networks, and most others that are not timm's, call the part that ends in the classes."""


def head_of(model: nn.Module) -> tuple[str, nn.Module]:
    """The last layer of a network, whose outputs are the logits.

    Args:
        model: timm tells of its own; of others the usual names are tried, then the last layer of all that has weights.

    Returns:
        Its name within the network, and the layer: the last linear layer, or a block whose last layer is another kind.

    Raises:
        UsageError: it cannot be told.
    """
    within, block = _block(model)
    weighted = [(name, module) for name, module in block.named_modules() if any(True for _ in module.parameters(False))]
    if not weighted:
        raise UsageError(_untold("it has no layer with weights"))
    name, last = weighted[-1]
    if not isinstance(last, nn.Linear):
        if block is model:
            raise UsageError(_untold(f"its last one is {name} ({type(last).__name__})"))
        return within, block
    return ".".join(part for part in (within, name) if part), last


def _block(model: nn.Module) -> tuple[str, nn.Module]:
    ask: Any = getattr(model, "get_classifier", None)
    told = None if ask is None else ask()
    if isinstance(told, nn.Module):
        for name, module in model.named_modules():
            if module is told:
                return name, module
    if isinstance(told, tuple | list | nn.ModuleList):
        raise UsageError(_untold("it has several"))
    for name in _USUAL_NAMES:
        found = getattr(model, name, None)
        if isinstance(found, nn.Module):
            return name, found
    return "", model


def _untold(reason: str) -> str:
    return f"the network's last layer cannot be told: {reason}; name the layers that are to be frozen instead"


class HeadInputs:
    """Notes what goes into the last layer.

    Attributes:
        latest: what went in last; None before the first time.
    """

    def __init__(self) -> None:
        self.latest: Tensor | None = None

    def note(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # noqa: ARG002 (torch passes the layer)
        """A forward pre-hook of the layer."""
        self.latest = inputs[0]


@contextmanager
def head_inputs(head: nn.Module) -> Iterator[HeadInputs]:
    """Within the block everything that goes into a layer is noted.

    Args:
        head: the layer.
    """
    seen = HeadInputs()
    handle = head.register_forward_pre_hook(seen.note)
    try:
        yield seen
    finally:
        handle.remove()


@dataclass(frozen=True, eq=False)
class Features:
    """Features of images.

    Attributes:
        values: (n, d) float32 on the CPU.
        complete: whether the last layer turns them into the network's outputs, and nothing else is done afterwards.
    """

    values: Tensor
    complete: bool


def extract_features(model: nn.Module, images: ImageSource, preprocess: Preprocess, settings: TrainingSettings) -> Tensor:
    """What goes into the last layer of a network, in evaluation and without gradients.

    In a group of processes every one of them must call this, and every one receives all rows.

    Args:
        model: images (b, 3, h, w) → logits (b, k); it is moved to the device and stays there.
        images: n images.
        preprocess: mean and standard deviation that the network expects.
        settings: ``device``, ``precision``, ``batch_size`` (fewer at once where memory runs out) and ``workers``.

    Returns:
        (n, d) float32 on the CPU, in the order of the images.

    Raises:
        UsageError: the last layer cannot be told, or does not take one row of numbers for each image.
        TrainingError: the network does not fit into memory even with one image.
    """
    return compute_features(model, images, preprocess, settings).values


def compute_features(model: nn.Module, images: ImageSource, preprocess: Preprocess, settings: TrainingSettings) -> Features:
    """As ``extract_features``, and tells whether the last layer is all that is missing; see there.

    Args:
        model: the network.
        images: n images, at least one.
        preprocess: mean and standard deviation.
        settings: see ``extract_features``.
    """
    placement = place(settings.device)
    name, head = head_of(model)
    model.to(placement.device).to(memory_format=torch.channels_last)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    complete = True
    try:
        with head_inputs(head) as seen:

            def features(pixels: Tensor) -> Tensor:
                nonlocal complete
                with lowered(placement.device, settings.precision):
                    outputs = model(network_inputs(pixels, placement.device, preprocess))
                    found = seen.latest
                    if found is None or found.dim() != 2 or len(found) != len(pixels):
                        raise UsageError(_untold(f"{name} does not take one row of numbers for each image"))
                    again = head(found)
                complete = complete and _same(again, outputs)
                return found.float()

            values = each_row(features, images, placement, settings)
    finally:
        for module, training in modes:
            module.training = training
    if not bool(values.isfinite().all()):
        raise TrainingError(
            "the network's features are not finite numbers; its weights are broken, or try --precision fp32"
        )
    return Features(values, complete)


def features_of(
    model: nn.Module, data: TrainingData, validation: ImageSource | None, settings: TrainingSettings
) -> tuple[TrainingData, ImageSource | None] | None:
    """Training and validation data with features in the place of images.

    Args:
        model: the network.
        data: the training images.
        validation: the validation images; None where there are none.
        settings: see ``extract_features``.

    Returns:
        None where the last layer cannot be trained on features alone.
    """
    found = []
    for images in (data.images, validation):
        if images is None:
            continue
        try:
            features = remembered_features(model, images, data.preprocess, settings)
        except UsageError:  # they are no rows of numbers
            return None
        if not features.complete:
            return None
        found.append(CachedFeatures(features.values))
    return replace(data, images=found[0]), found[1] if len(found) > 1 else None


_LATEST: WeakKeyDictionary[ImageSource, tuple[str, Features]] = WeakKeyDictionary()


def remembered_features(
    model: nn.Module, images: ImageSource, preprocess: Preprocess, settings: TrainingSettings
) -> Features:
    """Features that are at hand where the same frozen layers saw the same images last: many heads stand on one body.

    What is kept goes with the images; that it is of these layers is told by their kinds and every number in them.

    Args:
        model: the network.
        images: n images; the same object again is the same images.
        preprocess: mean and standard deviation.
        settings: see ``extract_features``.
    """
    name, _ = head_of(model)
    digest = hashlib.blake2b(f"{preprocess.mean}{preprocess.std}{settings.precision}{settings.device}".encode())
    for key, module in model.named_modules():  # equal weights compute other features with another activation
        if key != name and not key.startswith(f"{name}."):
            digest.update(f"{key} {type(module).__qualname__} {module.extra_repr()}".encode())
    for key, value in model.state_dict().items():
        if not key.startswith(f"{name}."):
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    body = digest.hexdigest()
    if images not in _LATEST or _LATEST[images][0] != body:
        _LATEST[images] = body, compute_features(model, images, preprocess, settings)
    return _LATEST[images][1]


def _same(again: Tensor, outputs: object) -> bool:
    if not isinstance(outputs, Tensor) or outputs.shape != again.shape:
        return False
    return torch.allclose(again.float(), outputs.float(), rtol=1e-3, atol=1e-5)
