"""Occlusion: a window is slid over the image, and what it hides is worth what the network loses.

Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2014); the loop is captum's.
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
        (h, w) mean effect on the log-odds of the windows that hide a pixel.
    """
    h, w = inputs.shape[-2:]
    side = max(1, round(math.sqrt(h * w / windows)))
    window, stride = (3, min(h, side), min(w, side)), max(1, side // 2)
    with torch.no_grad():
        found = Occlusion(subject.log_odds(of)).attribute(
            inputs, window, (3, stride, stride), baselines=baseline, perturbations_per_eval=subject.batch_size
        )
    heat: FloatArray = found[0, 0].double().cpu().numpy()
    return heat
