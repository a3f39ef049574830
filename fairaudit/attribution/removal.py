"""What takes the place of pixels that are taken away. There is no neutral choice, so it is named with every result.

``grey`` is the mean colour of the training set, 0 after normalisation, as it is in attribution masks: it hides everything
and puts edges where none were. ``blur`` keeps colour and light of the surroundings and hides shape and texture, so that an
attribute which is a colour, such as the hair's, is not taken away by it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

KINDS = ("grey", "blur")


def removed(inputs: Tensor, how: str) -> Tensor:
    """(b, 3, h, w) what is seen where pixels are taken away.

    Args:
        inputs: (b, 3, h, w) normalised.
        how: one of ``KINDS``.
    """
    if how == "grey":
        return torch.zeros_like(inputs)
    sigma = max(inputs.shape[-2:]) / 10
    half = [min(int(2 * sigma), side - 1) for side in inputs.shape[-2:]]
    blurred: Tensor = functional.gaussian_blur(inputs, [2 * half[1] + 1, 2 * half[0] + 1], [sigma, sigma])
    return blurred


class Masked(nn.Module):
    """A network that never sees a region of its inputs.

    Args:
        network: (b, 3, h, w) inputs → (b, outputs) logits.
        region: (h, w) bool, what is taken away.
        how: one of ``KINDS``.
    """

    def __init__(self, network: nn.Module, region: Tensor, how: str) -> None:
        super().__init__()
        self.network = network
        self.how = how
        self.register_buffer("region", region, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, outputs) logits of the inputs without the region."""
        logits: Tensor = self.network(torch.where(self.get_buffer("region"), removed(inputs, self.how), inputs))
        return logits
