"""Occlusion: a window is slid over the image, and what it hides is worth what the network loses.

What is seen in many places, or recognised by any part of it, costs nothing where a window hides a part of it. So every
window is also shown alone, on an image that is empty elsewhere, and is worth what the network gains; the mean of both is
taken, as the first and the last term of a Shapley value are. Of a network whose log-odds add up over pixels both are equal.

Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2014), which hides alone; the loop is
captum's.
"""

from __future__ import annotations

import math

import torch
from captum.attr import Occlusion
from torch import Tensor

from fairaudit.attribution.subject import Subject
from fairaudit.predictions import FloatArray


def occlusion(subject: Subject, inputs: Tensor, of: int, baseline: Tensor, windows: int) -> FloatArray:
    """Explain one image.

    Args:
        subject: the network.
        inputs: (1, 3, h, w) normalised.
        of: index of the class.
        baseline: (1, 3, h, w) what the window shows.
        windows: how many would cover the image side by side; they overlap by half, so that four times as many are tried.

    Returns:
        (h, w) mean effect on the log-odds of the windows that hide a pixel, and of those that show it alone.
    """
    h, w = inputs.shape[-2:]
    side = max(1, round(math.sqrt(h * w / windows)))
    window, stride = (3, min(h, side), min(w, side)), max(1, side // 2)
    asked = Occlusion(subject.log_odds(of))

    def worth(seen: Tensor, instead: Tensor) -> FloatArray:
        """What is lost where a window of one image shows the other instead."""
        with torch.no_grad():
            found = asked.attribute(
                seen, window, (3, stride, stride), baselines=instead, perturbations_per_eval=subject.batch_size
            )
        lost: FloatArray = found[0, 0].double().cpu().numpy()
        return lost

    return (worth(inputs, baseline) - worth(baseline, inputs)) / 2
