"""The small network that S. De Coninck et al. (2024) train to tell women from men while their pictures are masked.

Three blocks of a 5 × 5 convolution, dropout of .1, batch normalisation, pooling and a leaky ReLU of .1 bring 3 channels to
24; three linear layers with dropout of .5 and leaky ReLUs in between end in the classes. On pictures of 128 pixels the
features are 24 × 16 × 16, as in the paper; those of other sizes are averaged or repeated to that.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

_SLOPE = 0.1
_SIDE = 16


class GenderCNN(nn.Module):
    """The network.

    Args:
        num_classes: outputs.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        widths = (3, 6, 12, 24)
        self.features = nn.Sequential(*(_block(a, b) for a, b in itertools.pairwise(widths)))
        self.pool = nn.AdaptiveAvgPool2d(_SIDE)
        self.hidden = nn.Sequential(*_linear(widths[-1] * _SIDE**2, 1000), *_linear(1000, 100))
        self.fc = nn.Linear(100, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) normalised → (b, classes) logits."""
        logits: Tensor = self.fc(self.hidden(self.pool(self.features(images)).flatten(1)))
        return logits


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 5, padding="same"),
        nn.Dropout(0.1),
        nn.BatchNorm2d(after),
        nn.MaxPool2d(2),
        nn.LeakyReLU(_SLOPE),
    )


def _linear(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Linear(before, after), nn.Dropout(0.5), nn.LeakyReLU(_SLOPE)
