"""The region classifier: a ResNet-18 that sees one patch of a picture and, as a fourth channel, where it was cut.

Every position has an embedding of k·k learned numbers, laid out as a k × k picture beside red, green and blue. In
training a forward pass cuts one random patch out of every picture; in evaluation it classifies the same positions of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

from fairaudit.attribution.folding import folded
from fairaudit.attribution.patches import Positions, one_of_each, some_of_all
from fairaudit.attribution.products import with_products
from fairaudit.config import Stem

WIDTH = 64
AT_ONCE = 256
"""Patches in one forward pass; more do not make a processor faster."""


class RegionNet(nn.Module):
    """Classifies patches.

    Args:
        positions: where patches lie.
        classes: levels of the attribute.
        stem: ``cifar`` starts with 3 × 3 at full resolution, as the paper does; ``imagenet`` with 7 × 7 at stride 2 and a
            pooling, which classifies patches of 32 pixels about twenty times as fast. Measured with patches of 12 pixels,
            width 16 and one seed: as many epochs taught both the same (hats of drawn faces: right on 77 and, ``cifar``,
            80 % of the patches on the hat; 80 and 82 % of the surest pixels there; calibration error .02 and .05), and as
            much processor time taught ``imagenet`` more (glasses on CelebA: 70 and 60 % of the patches on the eyes; 56
            and 13 % of the surest pixels).
        width: channels of the first blocks, doubled thrice; 64 is ResNet-18, fewer are faster.
    """

    def __init__(self, positions: Positions, classes: int, stem: Stem, width: int = WIDTH) -> None:
        super().__init__()
        self.positions, self.classes, self.stem, self.width = positions, classes, stem, width
        self.embedding = nn.Embedding(len(positions), positions.patch**2)
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.trunk = ResNet(BasicBlock, (2, 2, 2, 2), num_classes=classes, in_chans=4, channels=widths)
        if stem == "cifar":
            self.trunk.conv1 = nn.Conv2d(4, 64, 3, stride=1, padding=1, bias=False)
            nn.init.kaiming_normal_(self.trunk.conv1.weight, mode="fan_out", nonlinearity="relu")
            self.trunk.maxpool = nn.Identity()
        self.watched = positions.ids()
        """Positions that a forward pass in evaluation looks at."""
        self.draw: Callable[[int, int], Tensor] = drawn_alone
        """Draws the positions that a forward pass in training cuts, from how many there are and how many are wanted."""

    def forward(self, images: Tensor) -> Tensor:
        """Classify one random patch of each picture, or in evaluation the watched positions of each.

        Args:
            images: (b, 3, I, I) normalised.

        Returns:
            (b, k) logits in training; (b, p·k) in evaluation, position by position.
        """
        if not self.training:
            return self.region_logits(images, self.watched).flatten(1)
        ids = self.draw(len(self.positions), len(images)).to(images.device)
        patches = one_of_each(images, ids, self.positions)
        placed = torch.cat([patches, self.places(ids).to(patches.dtype)], dim=1)
        logits: Tensor = self.trunk(placed.contiguous(memory_format=torch.channels_last))
        return logits

    def _prepared(self) -> nn.Module:
        k = self.positions.patch
        return with_products(folded(self.trunk), torch.zeros(1, 4, k, k, device=self.embedding.weight.device))

    def places(self, ids: Tensor) -> Tensor:
        """(p, 1, k, k) embeddings of (p,) positions, as pictures."""
        k = self.positions.patch
        found: Tensor = self.embedding(ids)
        return found.reshape(-1, 1, k, k)

    def region_logits(self, images: Tensor, ids: Tensor, at_once: int = AT_ONCE) -> Tensor:
        """Classify the same positions of all pictures, in large batches of patches.

        Args:
            images: (b, 3, I, I) normalised.
            ids: (p,) int64 positions.
            at_once: patches in one forward pass.

        Returns:
            (b, p, k) float32 logits.
        """
        ids = ids.to(images.device)
        trunk = self.trunk if self.training else self._prepared()
        found = torch.empty(len(images), len(ids), self.classes, device=images.device)
        for some, first in _slices(len(ids), at_once):
            own = ids[some]
            together = max(1, at_once // len(own))
            k = self.positions.patch
            held = torch.empty((together * len(own), 4, k, k), device=images.device, memory_format=torch.channels_last)
            # the places are written once for all pictures; a picture only replaces the colours
            held[:, 3:] = self.places(own).repeat(together, 1, 1, 1)
            for pictures, _ in _slices(len(images), together):
                patches = some_of_all(images[pictures], own, self.positions).flatten(0, 1)
                held[: len(patches), :3] = patches
                logits: Tensor = trunk(held[: len(patches)])
                found[pictures, first : first + len(own)] = logits.float().reshape(-1, len(own), self.classes)
        return found


def drawn_alone(positions: int, images: int) -> Tensor:
    """A random position for each picture, from torch's own generator on the CPU, as dropout's would be.

    A training that goes on therefore draws what it would have.

    Args:
        positions: how many there are.
        images: how many are drawn.
    """
    return torch.randint(positions, (images,))


def _slices(n: int, size: int) -> Iterator[tuple[slice, int]]:
    for first in range(0, n, size):
        yield slice(first, min(first + size, n)), first
