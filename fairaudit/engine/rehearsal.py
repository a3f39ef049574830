"""What a training would refuse, found without training: said before hours of other trainings have gone by."""

from __future__ import annotations

import torch
from torch import nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine.devices import out_of_memory, place
from fairaudit.engine.features import head_of
from fairaudit.engine.freezing import frozen
from fairaudit.engine.optim import make_optimizer
from fairaudit.errors import TrainingError


def check_trainable(model: nn.Module, preprocess: Preprocess, settings: TrainingSettings, wants: str = "logits") -> None:
    """Refuse settings or images with which a network could not be trained.

    Args:
        model: images (b, 3, h, w) → logits (b, k), on the CPU; it is left in evaluation mode.
        preprocess: the size of the images.
        settings: device, optimizer and frozen layers are tried.
        wants: ``GroupLoss.wants`` of the loss that it is trained with.

    Raises:
        UsageError: there is no such device, optimizer or layer, or it cannot be used here.
        TrainingError: every layer is frozen, or the network does not take images of this size.
    """
    place(settings.device)
    if wants == "embeddings":
        head_of(model)
    with frozen(model, settings.freeze):
        make_optimizer(model, settings, steps=1)
    check_size(model, preprocess)


@torch.no_grad()
def check_size(model: nn.Module, preprocess: Preprocess) -> None:
    """Refuse images that a network does not take.

    Args:
        model: images (b, 3, h, w) → logits (b, k), on the CPU; it is left in evaluation mode.
        preprocess: the size of the images.

    Raises:
        TrainingError: it fails on two grey images of this size.
    """
    height, width = preprocess.size
    try:
        model.eval()(torch.zeros(2, 3, height, width))
    except Exception as error:  # a network is somebody else's code, and each says in its own way what it does not take
        if out_of_memory(error):
            return  # training asks for less at once, or says so itself
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrainingError(
            f"the network fails on images of {height} × {width} pixels: {reason}; give another --size"
        ) from error
