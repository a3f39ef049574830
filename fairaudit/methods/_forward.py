"""What a trained network says of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairaudit.config import TrainingSettings
from fairaudit.engine.devices import place
from fairaudit.engine.rows import each_row, lowered, network_inputs
from fairaudit.engine.training_data import TrainingData


def logits_of(model: nn.Module, data: TrainingData, settings: TrainingSettings) -> Tensor:
    """Run a network over images, in evaluation and without gradients; every process receives all rows.

    Args:
        model: images (b, 3, h, w) → logits (b, k); it is moved to the device and stays there, in evaluation mode.
        data: n images, at least one, and how they are normalised.
        settings: ``device``, ``precision``, ``batch_size`` and ``workers``.

    Returns:
        (n, k) float32 on the CPU, in the order of the images.
    """
    placement = place(settings.device)
    model.to(placement.device).eval()

    def logits(pixels: Tensor) -> Tensor:
        with lowered(placement.device, settings.precision):
            found: Tensor = model(network_inputs(pixels, placement.device, data.preprocess))
        return found.float()

    return each_row(logits, data.images, placement, settings)


def wrong(logits: Tensor, data: TrainingData) -> Tensor:
    """Which images a network gets wrong, of several targets in any.

    Args:
        logits: (n, k).
        data: the n images, whose classes exclude each other.

    Returns:
        (n,) bool.
    """
    if data.tasks is None:
        return logits.argmax(dim=1) != data.targets
    mistaken = torch.zeros(len(data), dtype=torch.bool)
    first = 0
    for task, (_, classes) in enumerate(data.tasks):
        mistaken |= logits[:, first : first + len(classes)].argmax(dim=1) != data.targets[:, task]
        first += len(classes)
    return mistaken
