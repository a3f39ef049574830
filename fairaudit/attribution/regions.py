"""Where an attribute is in given pictures: from a stored attribution, or from a coarse classifier fitted on the spot.

Whatever takes minutes is kept with the pictures that it is of, so that the arms and seeds of one run share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fairaudit.attribution.confidence import MEASURES, confidence, softmax
from fairaudit.attribution.fit import all_logits, digests, fit_regions
from fairaudit.attribution.maps import general_map, to_pixels
from fairaudit.attribution.patches import Positions, usual_positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.attribution.store import Attribution
from fairaudit.config import REGION_TRAINING, Measure, Preprocess, TrainingSettings
from fairaudit.engine.image_sources import ImageSource
from fairaudit.engine.training_data import TrainingData
from fairaudit.predictions import MISSING, FloatArray, IntArray

_THIN = 16
"""Channels of the classifier that is fitted on the spot, a quarter of a stored one's."""
_SAMPLE = 128
"""Pictures whose mean is the general map where a classifier is fitted on the spot."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A region classifier and its general map.

    Attributes:
        net: the classifier.
        preprocess: how pictures are prepared for it.
        temperature: that its logits are divided by.
        means: measure → (p,) mean confidence at every position.
        notes: what a reader must know of it, a sentence each.
    """

    net: RegionNet
    preprocess: Preprocess
    temperature: float
    means: Mapping[str, FloatArray]
    notes: tuple[str, ...]

    @property
    def positions(self) -> Positions:
        """Where its patches lie."""
        return self.net.positions

    def general(self, measure: Measure) -> FloatArray:
        """(I, I) general map in [0, 1]."""
        return general_map(self.means[measure], self.positions)

    def pixels(self, confidences: FloatArray, every: int = 1) -> FloatArray:
        """(…, I, I) maps of (…, p) confidences at every n-th position of each side."""
        return to_pixels(confidences, self.positions.coarser(every))

    def confidences(self, logits: FloatArray, measure: Measure) -> FloatArray:
        """(…, p) confidence of (…, p, k) logits."""
        return confidence(softmax(logits, self.temperature), measure)


def stored_regions(stored: Attribution, images: ImageSource, looked_at: int) -> Regions:
    """What an attribution says, if some of the pictures are of its dataset.

    Args:
        stored: the attribution.
        images: n pictures.
        looked_at: how many of them are compared with its own.

    Raises:
        UsageError: none is among its own.
    """
    places = np.unique(np.linspace(0, len(images) - 1, looked_at).round().astype(int)).tolist()
    stored.require_pictures(digests(images, places))
    return Regions(stored.net, stored.preprocess, stored.calibration.temperature, stored.regions, stored.doubts)


_FITTED: WeakKeyDictionary[ImageSource, dict[tuple[object, ...], Regions]] = WeakKeyDictionary()


def fitted_here(
    data: TrainingData, codes: IntArray, levels: tuple[str, ...], attribute: str, epochs: int, settings: TrainingSettings
) -> Regions:
    """Fit a coarse region classifier on the pictures whose level is known; once for the same pictures.

    Args:
        data: n pictures.
        codes: (n,) level of each or ``MISSING``.
        levels: of the attribute.
        attribute: its name.
        epochs: passes over the pictures.
        settings: ``device``, ``precision`` and ``workers``; the rest is as in the paper.
    """
    key = (attribute, epochs, settings.device, settings.precision)
    held = _FITTED.setdefault(data.images, {})
    if key not in held:
        held[key] = _fit(data, codes, levels, attribute, epochs, settings)
    return held[key]


def _fit(
    data: TrainingData, codes: IntArray, levels: tuple[str, ...], attribute: str, epochs: int, settings: TrainingSettings
) -> Regions:
    positions = usual_positions(data.preprocess.size[0])
    known = torch.from_numpy(np.flatnonzero(codes != MISSING))
    # few pictures make small batches, or there would be too few steps to learn anything
    own = {"epochs": epochs, "batch_size": max(16, min(256, len(known) // 16))}
    where = {"device": settings.device, "precision": settings.precision, "workers": settings.workers}
    asked = TrainingSettings.model_validate({**REGION_TRAINING, **own, **where})
    chosen = data.selected(known)
    target = torch.from_numpy(codes)[known]
    labelled = TrainingData(chosen.images, target, torch.zeros_like(target), levels, ("all",), data.preprocess)
    net, _ = fit_regions(labelled, None, positions, "imagenet", asked, width=_THIN)
    some = labelled.selected(torch.linspace(0, len(labelled) - 1, min(_SAMPLE, len(labelled))).round().long())
    logits = all_logits(net, some.images, data.preprocess, asked)
    right = float((logits.argmax(axis=2) == some.targets.numpy()[:, None]).mean())
    note = (
        f"no attribution was given: a region classifier of {attribute} was fitted on {len(labelled):,} training images "
        f"with {positions.per_side}x{positions.per_side} patches of {positions.patch} pixels for {epochs} epochs; it is "
        f"right on {100 * right:.0f} % of the patches that it learnt from; 'fairaudit attribute fit' makes a better one"
    )
    found = Regions(net, data.preprocess, 1.0, {}, (note,))
    return replace(found, means={name: found.confidences(logits, name).mean(axis=0) for name in MEASURES})


_CONFIDENCES: WeakKeyDictionary[ImageSource, tuple[tuple[object, ...], FloatArray]] = WeakKeyDictionary()


def kept_confidences(
    found: Regions, images: ImageSource, settings: TrainingSettings, measure: Measure, every: int
) -> FloatArray:
    """Confidences of every picture at every n-th position; once for the same classifier and pictures.

    Args:
        found: the classifier.
        images: n pictures.
        settings: ``device``, ``precision`` and ``workers``.
        measure: of confidence.
        every: see ``Positions.coarser``.

    Returns:
        (n, p) float32.
    """
    weights = sum(float(value.double().abs().sum()) for value in found.net.state_dict().values())
    key = (weights, found.temperature, measure, every, settings.precision, settings.device)
    if images not in _CONFIDENCES or _CONFIDENCES[images][0] != key:
        logits = all_logits(found.net, images, found.preprocess, settings, every)
        _CONFIDENCES[images] = key, found.confidences(logits, measure).astype(np.float32)
    return _CONFIDENCES[images][1]
