"""One explanation: an image, a class, a map, its regions for and against, and how far it may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from torch import Tensor

from fairaudit.attribution.explainers import Explainer
from fairaudit.attribution.faithfulness import Faithfulness, curves, judged, removal_order
from fairaudit.attribution.removal import removed
from fairaudit.attribution.superpixels import superpixels
from fairaudit.predictions import FloatArray, IntArray


@dataclass(frozen=True)
class Effort:
    """How an image is cut, and how much is spent on it.

    Attributes:
        superpixels: how it is cut, see there.
        segments: into how many regions.
        baseline: what takes the place of pixels that are taken away, see ``removal``.
        repeats: seeds, where chance has a part.
        random_orders: of regions, that the explanation's order must beat; 0 judges no order.
        seed: of everything drawn.
    """

    superpixels: str = "slic"
    segments: int = 50
    baseline: str = "grey"
    repeats: int = 3
    random_orders: int = 19
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a network says a class of an image.

    Attributes:
        of: index of the class.
        heat: (h, w) signed map, the mean over seeds: above 0 speaks for the class.
        segments: (h, w) region of each pixel.
        weights: (s,) sum of the map in each region.
        faithfulness: how far it may be believed.
    """

    of: int
    heat: FloatArray
    segments: IntArray
    weights: FloatArray
    faithfulness: Faithfulness

    @property
    def by_region(self) -> FloatArray:
        """(h, w) the map's mean in each region: what single pixels say for and against within one cancels, as noise does.

        Of gradients, most of what is above 0 is such noise. Source: Kapishnikov et al., "XRAI" (2019).
        """
        return np.asarray((self.weights / np.bincount(self.segments.ravel()))[self.segments])

    def in_favour(self, most: int) -> tuple[int, ...]:
        """The regions that speak most for the class, the strongest first."""
        return _strongest(self.weights, most)

    def against(self, most: int) -> tuple[int, ...]:
        """The regions that speak most against the class, the strongest first."""
        return _strongest(-self.weights, most)


def explain_image(explainer: Explainer, pixels: Tensor, of: int, effort: Effort) -> Explanation:
    """Explain what a network says of an image.

    Args:
        explainer: the network and the method.
        pixels: (3, h, w) uint8, of the network's input size.
        of: index of the class.
        effort: how it is cut, and how much is spent.

    Raises:
        UsageError: the image cannot be cut so.
    """
    subject = explainer.subject
    segments = superpixels(pixels, effort.superpixels, effort.segments, effort.seed)
    inputs = subject.inputs(pixels[None])
    baseline = removed(inputs, effort.baseline)
    repeats = effort.repeats if explainer.by_chance else 1
    said = [explainer.explain(inputs, of, baseline, segments, effort.seed + k) for k in range(repeats)]
    heat = np.mean([one.heat for one in said], axis=0)
    count = int(segments.max()) + 1
    orders = [removal_order(heat, segments)]
    rng = np.random.default_rng([effort.seed, count])
    orders += [rng.permutation(count) for _ in range(effort.random_orders)]
    own, *by_chance = curves(subject, inputs, of, baseline, segments, orders)
    r2 = [one.local_r2 for one in said if one.local_r2 is not None]
    faith = judged(
        own, by_chance, float(np.mean(r2)) if r2 else None, said[0].incompleteness, _stability([one.heat for one in said])
    )
    weights = np.bincount(segments.ravel(), heat.ravel()).astype(np.float64)
    return Explanation(of, heat, segments, weights, faith)


def _strongest(weights: FloatArray, most: int) -> tuple[int, ...]:
    order = np.argsort(-weights, kind="stable")[:most]
    return tuple(int(i) for i in order if weights[i] > 0)


def _stability(heats: list[FloatArray]) -> float | None:
    """Mean correlation over pairs of maps; a map without any structure agrees with none."""
    if len(heats) < 2:
        return None
    flat = [heat.ravel() for heat in heats]
    even = [np.ptp(one) == 0 for one in flat]
    found = [0.0 if even[a] or even[b] else float(np.corrcoef(flat[a], flat[b])[0, 1])
             for a, b in combinations(range(len(flat)), 2)]  # fmt: skip
    return float(np.mean(found))
