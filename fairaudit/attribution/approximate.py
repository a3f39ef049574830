"""A map from one pass over the whole picture instead of one per patch: hundreds of times faster, and another function.

The convolutions run over the picture, features are averaged in windows as large as a patch, and what the windows say is
interpolated to the positions. A window sees beyond the borders that a patch ends at, the places' embeddings are averaged
where patches overlap, and windows lie as far apart as the network's stride, which with the ``imagenet`` stem is 32 pixels.
``tests/benchmarks/attribution_speed.py`` measures how far such maps are from exact ones: with a classifier of hats at 48
pixels (``cifar``) the general maps of both correlate by .13 and their top regions share less than by chance, where every
second position keeps .90 at a third of the time, every third .87. Look at such a map, and build nothing on it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.attribution.patches import Positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.errors import UsageError


def approximate_logits(net: RegionNet, images: Tensor, wanted: Positions) -> Tensor:
    """What windows of whole pictures say, at positions of patches.

    Args:
        net: the region classifier, in evaluation mode.
        images: (b, 3, I, I) normalised.
        wanted: positions of the same patches, perhaps coarser ones.

    Returns:
        (b, p, k) float32.

    Raises:
        UsageError: the network's stride is too large for a map of pictures of this size.
    """
    placed = torch.cat([images, averaged_places(net).to(images).expand(len(images), -1, -1, -1)], dim=1)
    features = net.trunk.forward_features(placed.contiguous(memory_format=torch.channels_last))
    step = net.positions.image / features.shape[2]
    window = max(1, round(net.positions.patch / step))
    pooled = functional.avg_pool2d(features, window, stride=1)
    if pooled.shape[2] < 2:
        raise UsageError(
            f"the network's stride of {step:g} pixels leaves {pooled.shape[2]} window of {net.positions.patch} in a "
            f"picture of {net.positions.image}, which is no map; leave --approximate out, and try --every"
        )
    logits = net.trunk.fc(pooled.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    n = wanted.per_side
    found = functional.interpolate(logits.float(), (n, n), mode="bilinear", align_corners=True)
    return found.permute(0, 2, 3, 1).flatten(1, 2)


def averaged_places(net: RegionNet) -> Tensor:
    """(1, 1, I, I) the embeddings of all positions laid where their patches lie, averaged where they overlap."""
    p = net.positions
    columns = net.embedding.weight.T[None]  # (1, k·k, p): what ``fold`` puts back together, row by row of positions
    total = functional.fold(columns, (p.image, p.image), (p.patch, p.patch), stride=p.stride)
    often = functional.fold(torch.ones_like(columns), (p.image, p.image), (p.patch, p.patch), stride=p.stride)
    return total / often
