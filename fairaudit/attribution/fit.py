"""Train a region classifier, and ask it about all patches of pictures.

The loop is the engine's: a region classifier in training takes whole pictures and cuts one random patch out of each, so
that devices, precision, several processes, resuming and recovery from lack of memory are those of every other training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fairaudit.attribution.approximate import approximate_logits
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.processes import trained_together
from fairaudit.attribution.region_net import WIDTH, RegionNet
from fairaudit.config import Preprocess, Stem, TrainingSettings
from fairaudit.engine.accumulate import Say
from fairaudit.engine.devices import place
from fairaudit.engine.history import History, Validation
from fairaudit.engine.image_sources import ImageSource, SelectedImages
from fairaudit.engine.rows import each_row, lowered, network_inputs
from fairaudit.engine.train import Report, train
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError
from fairaudit.losses import cross_entropy
from fairaudit.losses.base import CrossEntropy
from fairaudit.predictions import FloatArray

WATCHED = 7
"""Positions per side that each epoch's validation looks at; all of them take longer than the epoch."""
WATCHED_IMAGES = 256


def fit_regions(
    data: TrainingData,
    validation: TrainingData | None,
    positions: Positions,
    stem: Stem,
    settings: TrainingSettings,
    *,
    width: int = WIDTH,
    progress: Report | None = None,
    say: Say | None = None,
    resume: Path | None = None,
) -> tuple[RegionNet, History]:
    """Train a region classifier; one random patch of each picture in each epoch, the same in several processes as in one.

    Args:
        data: pictures and the level of each; its groups are what ``balance`` makes equally frequent.
        validation: pictures on which each epoch's accuracy over some patches is noted; None notes none.
        positions: where patches lie.
        stem: how the network begins.
        settings: how it is trained; the seed is that of its weights too.
        width: of the network, see ``RegionNet``.
        progress: told after every batch and every epoch.
        say: told what a person should read.
        resume: folder that an interrupted training goes on from.

    Returns:
        The network, in evaluation mode, and its training.

    Raises:
        DataError: there are too few pictures, or all have one level.
        TrainingError: the training cannot go on; see ``train``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = RegionNet(positions, len(data.classes), stem, width)
    net.watched = _spread(positions)
    watched = None if validation is None else _some(validation, WATCHED_IMAGES)

    def score(_: int, logits: Tensor) -> Validation:
        assert watched is not None  # nothing is scored without validation images
        found = logits.reshape(len(logits), -1, net.classes).argmax(dim=2)
        right = (found == watched.targets[:, None]).double().mean(dim=1)
        levels = range(len(watched.group_labels))
        return Validation(float(right.mean()), tuple(float(right[watched.groups == g].mean()) for g in levels))

    with trained_together(net, place(settings.device)):
        history = train(
            net,
            data,
            cross_entropy.build(data.counted, CrossEntropy(settings.label_smoothing)),
            settings,
            validation=None if watched is None else watched.images,
            score=None if watched is None else score,
            progress=progress,
            say=say,
            resume=resume,
        )
    net.watched = positions.ids()
    return net, history


def all_logits(
    net: RegionNet,
    images: ImageSource,
    preprocess: Preprocess,
    settings: TrainingSettings,
    every: int = 1,
    *,
    approximate: bool = False,
) -> FloatArray:
    """What a region classifier says of all patches of all pictures.

    Args:
        net: the classifier; it is moved to the device and stays there.
        images: n pictures.
        preprocess: mean and standard deviation that it was trained with.
        settings: ``device``, ``precision`` and ``workers``; pictures at a time are few, their patches many.
        every: n-th position of each side that is looked at, see ``Positions.coarser``.
        approximate: run the network once over each whole picture instead, see ``approximate``.

    Returns:
        (n, p, k) float32, positions in their order.

    Raises:
        UsageError: so many steps do not divide the side.
        TrainingError: not even one picture fits into memory.
    """
    coarse = net.positions.coarser(every)
    if not len(images):
        raise DataError("there are no images to attribute")
    placement = place(settings.device)
    net.to(placement.device).to(memory_format=torch.channels_last).eval()
    ids = net.positions.ids(every)

    def rows(pixels: Tensor) -> Tensor:
        with torch.inference_mode(), lowered(placement.device, settings.precision):
            inputs = network_inputs(pixels, placement.device, preprocess)
            found = approximate_logits(net, inputs, coarse) if approximate else net.region_logits(inputs, ids)
        return found.flatten(1).clone()

    few = settings.model_copy(update={"batch_size": max(2, min(settings.batch_size, 16))})
    found = each_row(rows, images, placement, few)
    return np.asarray(found.reshape(len(images), len(coarse), net.classes).numpy())


def digests(images: ImageSource, positions: Sequence[int]) -> list[str]:
    """What tells pictures apart: a digest of the decoded pixels of each.

    Args:
        images: n pictures.
        positions: which of them.
    """
    found = []
    for first in range(0, len(positions), 64):
        pixels = images.take(torch.tensor(positions[first : first + 64]))
        found += [hashlib.blake2b(one.contiguous().numpy().tobytes(), digest_size=8).hexdigest() for one in pixels]
    return found


def _spread(positions: Positions) -> Tensor:
    """(p,) ids of positions spread evenly over the picture, at most ``WATCHED`` on a side."""
    n = positions.per_side
    sides = torch.linspace(0, n - 1, min(n, WATCHED)).round().long()
    return (sides[:, None] * n + sides[None, :]).flatten()


def _some(data: TrainingData, most: int) -> TrainingData:
    """At most so many of the pictures, evenly spaced in their order."""
    if len(data) <= most:
        return data
    positions = torch.linspace(0, len(data) - 1, most).round().long()
    selected = data.selected(positions)
    assert isinstance(selected.images, SelectedImages)
    return selected
