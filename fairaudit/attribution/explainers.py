"""The explainers by name, asked in one way."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fairaudit.attribution.gradients import grad_cam, integrated_gradients, last_feature_map
from fairaudit.attribution.lime import lime
from fairaudit.attribution.occlusion import occlusion
from fairaudit.attribution.subject import Subject
from fairaudit.predictions import FloatArray, IntArray

METHODS = ("lime", "integrated-gradients", "grad-cam", "occlusion")
DRAWN = ("lime",)
"""Those that chance has a part in, so that they are asked again with other seeds."""

WINDOWS = 100
"""Of occlusion where nothing is asked for: a tenth of the side, because a window smears by its own size."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one explainer said of one image and class.

    Attributes:
        heat: (h, w) signed: above 0 speaks for the class.
        local_r2: of LIME's line; None of others.
        incompleteness: see ``integrated_gradients``; None of others.
    """

    heat: FloatArray
    local_r2: float | None = None
    incompleteness: float | None = None


class Explainer:
    """One way to explain a subject; what it cannot explain is refused when it is made.

    Args:
        subject: the network.
        method: one of ``METHODS``.
        samples: perturbed images of LIME.
        steps: points on the way of Integrated Gradients.
        windows: of occlusion, that would cover the image side by side.

    Raises:
        UsageError: Grad-CAM of a network without feature maps.
    """

    def __init__(self, subject: Subject, method: str, samples: int, steps: int, windows: int = WINDOWS) -> None:
        self.subject = subject
        self.method = method
        self.samples = samples
        self.steps = steps
        self.windows = windows
        self._layer = last_feature_map(subject.network, subject.preprocess.size) if method == "grad-cam" else None

    @property
    def by_chance(self) -> bool:
        """Whether another seed may say something else."""
        return self.method in DRAWN

    def explain(self, inputs: Tensor, of: int, baseline: Tensor, segments: IntArray, seed: int) -> Attribution:
        """Explain one image.

        Args:
            inputs: (1, 3, h, w) normalised.
            of: index of the class.
            baseline: (1, 3, h, w) what takes the place of what is taken away.
            segments: (h, w) superpixels.
            seed: of chance, where it has a part.
        """
        if self._layer is not None:
            return Attribution(grad_cam(self.subject, inputs, of, self._layer))
        if self.method == "lime":
            heat, r2 = lime(self.subject, inputs, of, baseline, segments, self.samples, seed)
            return Attribution(heat, local_r2=r2)
        if self.method == "integrated-gradients":
            heat, missing = integrated_gradients(self.subject, inputs, of, baseline, self.steps)
            return Attribution(heat, incompleteness=missing)
        return Attribution(occlusion(self.subject, inputs, of, baseline, self.windows))
