"""LIME: hide superpixels at random, and fit a line to what the network then says.

Perturbation and bookkeeping are captum's; the weights and the line are those of LIME's image explainer: cosine distance
between what is kept and everything, a kernel of width 0.25, ridge regression with penalty 1 and an intercept. The line
also says how much of the network's local behaviour it explains, which captum's own does not.

Source: Ribeiro, Singh & Guestrin, "Why should I trust you?" (2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from captum._utils.models.model import Model
from captum.attr import Lime
from torch import Tensor

from fairaudit.attribution.subject import Subject
from fairaudit.predictions import FloatArray, IntArray

KERNEL_WIDTH = 0.25
PENALTY = 1.0


class Ridge(Model):  # type: ignore[misc]
    """Weighted ridge regression with an intercept that is not penalised, and its R².

    Args:
        penalty: on the squared coefficients.

    Attributes:
        coefficients: (f,) of the features.
        r2: weighted R² on the samples that it was fitted to; 0 where they do not scatter.
    """

    def __init__(self, penalty: float = PENALTY) -> None:
        self.penalty = penalty
        self.coefficients: FloatArray = np.zeros(0)
        self.intercept = 0.0
        self.r2 = 0.0

    def fit(self, train_data: Any, **_: object) -> None:
        """Fit to captum's samples: batches of (kept or not, what the network said, weight)."""
        x, y, w = (torch.cat(parts).double().numpy() for parts in zip(*train_data, strict=True))
        w = w / w.sum()
        centre, mean = w @ x, float(w @ y)
        inner, outer = x - centre, y - mean
        # The penalty is on sums over samples, as in LIME; these weights add up to 1, so it is spread over them.
        gram = (inner * w[:, None]).T @ inner + np.eye(x.shape[1]) * self.penalty / len(y)
        self.coefficients = np.linalg.solve(gram, (inner * w[:, None]).T @ outer)
        self.intercept = mean - float(centre @ self.coefficients)
        scatter = float(w @ outer**2)
        left = float(w @ (outer - inner @ self.coefficients) ** 2)
        self.r2 = 1 - left / scatter if scatter > 1e-20 else 0.0

    def representation(self) -> Tensor:
        """(1, f) coefficients."""
        return torch.from_numpy(self.coefficients)[None]

    def __call__(self, x: Tensor) -> Tensor:
        """(n,) what the line says of (n, f) features."""
        return x.double() @ torch.from_numpy(self.coefficients) + self.intercept


def lime(
    subject: Subject, inputs: Tensor, of: int, baseline: Tensor, segments: IntArray, samples: int, seed: int
) -> tuple[FloatArray, float]:
    """Explain one image.

    Args:
        subject: the network.
        inputs: (1, 3, h, w) normalised.
        of: index of the class.
        baseline: (1, 3, h, w) what takes the place of what is hidden.
        segments: (h, w) superpixels.
        samples: how many perturbed images.
        seed: of which superpixels are hidden.

    Returns:
        (h, w) effect of each superpixel on the log-odds, spread evenly over its pixels, and the line's local R².
    """
    generator = torch.Generator().manual_seed(seed)
    count = int(segments.max()) + 1
    line = Ridge()

    def perturb(_: Tensor, **__: object) -> Tensor:
        return torch.randint(0, 2, (1, count), generator=generator).to(inputs.device)

    def similarity(_: Tensor, __: Tensor, kept: Tensor, **___: object) -> float:
        distance = 1 - math.sqrt(float(kept.double().mean()))  # the cosine between what is kept and everything
        return math.sqrt(math.exp(-((distance / KERNEL_WIDTH) ** 2)))

    explainer = Lime(subject.log_odds(of), line, similarity, perturb)
    mask = torch.from_numpy(segments).to(inputs.device)[None, None]
    with torch.no_grad():
        explainer.attribute(
            inputs, baselines=baseline, feature_mask=mask, n_samples=samples, perturbations_per_eval=subject.batch_size,
            return_input_shape=False,
        )  # fmt: skip
    areas = np.bincount(segments.ravel(), minlength=count)
    return np.asarray((line.coefficients / areas)[segments]), line.r2
