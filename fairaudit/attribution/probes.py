"""Counterfactual probes: the same network on the same images without a region. Whose errors vanish?

Taking pixels away always costs something. So every probe has a control: as many pixels taken away where the map is lowest.
What the probe changes and its control does not is what the network took from the region.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from fairaudit.attribution.maps import top_region
from fairaudit.attribution.removal import Masked
from fairaudit.metrics.attention import bottom_region
from fairaudit.models.classifier import Classifier
from fairaudit.predictions import BoolArray, FloatArray


def without(classifier: Classifier, region: BoolArray, how: str) -> Classifier:
    """A classifier that never sees a region.

    Args:
        classifier: the network and what it means.
        region: (h, w) what is taken away of its inputs.
        how: what takes its place, see ``removal.KINDS``.
    """
    device = next((p.device for p in classifier.model.parameters()), torch.device("cpu"))
    masked = Masked(classifier.model, torch.from_numpy(region).to(device), how)
    return replace(classifier, model=masked.eval())


def probe_regions(attribute: FloatArray, quantile: float) -> tuple[BoolArray, BoolArray]:
    """(h, w) where an attribute shows most, and as many pixels where it shows least.

    Args:
        attribute: (h, w) map of the attribute.
        quantile: the region is the map's top (1 − quantile).
    """
    region = top_region(attribute, quantile)
    return region, bottom_region(attribute, int(region.sum()))
