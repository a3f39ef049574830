"""One row of numbers for each image: a source's images through a network, without gradients, shared by all processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fairaudit.config import Precision, Preprocess, TrainingSettings
from fairaudit.engine.devices import Placement, cores, free_memory, out_of_memory
from fairaudit.engine.image_sources import CachedFeatures, CachedImages, ImageSource, SelectedImages, ahead
from fairaudit.errors import TrainingError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@torch.no_grad()
def each_row(
    function: Callable[[Tensor], Tensor], images: ImageSource, placement: Placement, settings: TrainingSettings
) -> Tensor:
    """Apply a function to all images, some at a time; every process gets every row.

    Args:
        function: (b, 3, h, w) uint8 images → (b, d) on the device.
        images: n images, at least one.
        placement: this process's place.
        settings: ``batch_size``, halved whenever memory runs out, and ``workers``.

    Returns:
        (n, d) on the CPU, in the order of the images.

    Raises:
        TrainingError: not even one image fits into memory.
    """
    n, processes = len(images), placement.processes
    # Every process runs as many images as the others; the surplus repeats the last one and is cut off below.
    padded = torch.arange(-(-n // processes) * processes).clamp(max=n - 1)
    shares = torch.split(padded[placement.process :: processes], settings.batch_size)
    parts, most = [], settings.batch_size
    for pixels in ahead(images.take, shares, decoders(images, settings)):
        start = 0
        while start < len(pixels):
            rows = _attempt(function, pixels[start : start + most])
            if rows is not None:
                parts.append(rows)
                start += most
                continue
            if most == 1:
                raise too_large(placement.device)
            most = max(1, most // 2)
            free_memory(placement.device)
    mine = torch.cat(parts)
    if processes == 1:
        return mine.cpu()
    from accelerate.utils import gather

    gathered: Tensor = gather(mine)
    return gathered.reshape(processes, len(padded) // processes, -1).transpose(0, 1).flatten(0, 1)[:n].cpu()


def _attempt(function: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor | None:
    """Rows, or None when memory ran out; by then everything that was allocated for the attempt is free again."""
    try:
        return function(pixels)
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            return None
        raise


def network_inputs(pixels: Tensor, device: torch.device, preprocess: Preprocess) -> Tensor:
    """What a network is fed.

    Args:
        pixels: (b, 3, h, w) uint8, or (b, d) features, which are left as they are.
        device: where the network is.
        preprocess: mean and standard deviation.
    """
    moved = pixels.to(device, non_blocking=True)
    return normalised(moved.float().div_(255), preprocess) if moved.dtype == torch.uint8 else moved


def normalised(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Images less their mean, over their standard deviation, channels last in memory.

    Args:
        images: (b, 3, h, w) float in [0, 1]; or (b, d) features, which are left as they are.
        preprocess: mean and standard deviation.
    """
    if images.dim() == 2:
        return images
    mean = torch.tensor(preprocess.mean, device=images.device)[:, None, None]
    std = torch.tensor(preprocess.std, device=images.device)[:, None, None]
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def lowered(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a network runs in a precision.

    Args:
        device: where it is.
        precision: fp32 changes nothing.
    """
    return torch.autocast(device.type, _DTYPES[precision], enabled=precision != "fp32")


def decoders(images: ImageSource, settings: TrainingSettings) -> int:
    """Threads that decode ahead; none where nothing is left to decode.

    Args:
        images: what is read.
        settings: ``workers``.
    """
    source = images
    while isinstance(source, SelectedImages):
        source = source.images
    if isinstance(source, CachedImages | CachedFeatures):
        return 0
    return settings.workers if settings.workers is not None else cores()


def too_large(device: torch.device, images: int = 1) -> TrainingError:
    """The error for a network that cannot be run with the fewest images.

    Args:
        device: whose memory ran out.
        images: how many were tried.
    """
    few = "one image" if images == 1 else f"{images} images"
    return TrainingError(f"the network does not fit into the memory of {str(device)!r}, even with {few} at a time")
