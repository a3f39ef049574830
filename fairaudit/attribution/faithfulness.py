"""Does an explanation say what the network does? Regions are taken away in its order, and the network is asked again.

Deletion takes regions away, those first that are said to speak most for the class, and a faithful order makes the score
fall early: a small area under the curve. Insertion puts them back onto an emptied image, and a faithful order makes the
score rise early: a large area. A single area depends on the image; what is judged is the gain, insertion − deletion. Of
orders that know nothing it is 0 on average: what is left after deleting j regions of n is as random as what is there after
inserting n − j. So the gain is compared with that of random orders of the same regions, which is an exact test.

Source: Petsiuk, Das & Saenko, "RISE" (2018), with regions in the place of pixels, which leaves no room for patterns of
single pixels that no eye can see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairaudit.attribution.subject import Subject
from fairaudit.predictions import BoolArray, FloatArray, IntArray

STEPS = 8
"""Points of a curve between its ends."""

ALPHA = 0.05
"""An explanation is doubted where random orders reach its gain more often: of those, one in twenty passes."""

LEAST_R2 = 0.5
"""A line that leaves more than half of the local behaviour unexplained speaks for the line and not for the network."""

LEAST_STABILITY = 0.5
"""Below this correlation, another seed's map has more that is different than what it shares."""

MOST_INCOMPLETE = 0.1
"""A sum of gradients that misses a tenth of what it must add up to was taken in too few steps."""


@dataclass(frozen=True, eq=False)
class Curves:
    """What the network says while regions are taken away and put back.

    Attributes:
        share: (s,) share of pixels taken away (deletion) or put back (insertion), from 0 to 1.
        deletion: (s,) score of the class.
        insertion: (s,) score of the class.
    """

    share: FloatArray
    deletion: FloatArray
    insertion: FloatArray

    @property
    def areas(self) -> tuple[float, float]:
        """Under deletion and under insertion, by trapezoids."""
        deleted, inserted = (float(np.trapezoid(y, self.share)) for y in (self.deletion, self.insertion))
        return deleted, inserted

    @property
    def gain(self) -> float:
        """Insertion − deletion; 0 on average for an order that knows nothing."""
        return self.areas[1] - self.areas[0]


@dataclass(frozen=True)
class Faithfulness:
    """How far an explanation may be believed.

    Attributes:
        deletion: area under the deletion curve, of the score; small is good.
        insertion: area under the insertion curve; large is good.
        p: share of random orders, this one counted in, whose gain is at least as large; nan where none were tried.
        local_r2: of LIME's line; None of others.
        incompleteness: of Integrated Gradients, see there; None of others.
        stability: mean correlation between maps of different seeds; None where chance has no part or one seed was used.
        doubts: why it is not to be believed, a clause each; empty where nothing speaks against it.
    """

    deletion: float
    insertion: float
    p: float
    local_r2: float | None
    incompleteness: float | None
    stability: float | None
    doubts: tuple[str, ...]

    @property
    def gain(self) -> float:
        """Insertion − deletion."""
        return self.insertion - self.deletion


def removal_order(heat: FloatArray, segments: IntArray) -> IntArray:
    """Regions, the most in favour of the class per pixel first; of equal ones the one with the smaller number.

    Args:
        heat: (h, w) signed map.
        segments: (h, w) region of each pixel.
    """
    sums = np.bincount(segments.ravel(), heat.ravel())
    return np.argsort(-sums / np.bincount(segments.ravel()), kind="stable")


def curves(
    subject: Subject,
    inputs: Tensor,
    of: int,
    baseline: Tensor,
    segments: IntArray,
    orders: list[IntArray],
    steps: int = STEPS,
) -> list[Curves]:
    """Take regions away, and put them back, in several orders.

    Args:
        subject: the network.
        inputs: (1, 3, h, w) normalised.
        of: index of the class.
        baseline: (1, 3, h, w) what takes the place of what is taken away.
        segments: (h, w) region of each pixel.
        orders: of regions, each a permutation.
        steps: points of a curve between its ends; fewer where there are fewer regions.

    Returns:
        Curves per order.
    """
    ends = subject.scores(torch.cat([inputs, baseline]))[:, of]
    areas = np.bincount(segments.ravel())
    count = len(areas)
    cuts = np.unique(np.round(np.linspace(0, count, min(steps + 1, count) + 1)).astype(np.int64))[1:-1]
    # what is inserted is what deletion in the same order has taken away: the same masks, the other way round
    asked = [(order, cut, back) for back in (False, True) for order in orders for cut in cuts]
    said = np.zeros(len(asked))
    for start in range(0, len(asked), subject.batch_size):  # masks are made as they are needed: many orders make many
        masks = np.stack(
            [_gone(segments, order, cut) ^ back for order, cut, back in asked[start : start + subject.batch_size]]
        )
        part = subject.scores(torch.where(torch.from_numpy(masks)[:, None].to(inputs.device), baseline, inputs))[:, of]
        said[start : start + len(part)] = part
    deleted, inserted = said.reshape(2, len(orders), len(cuts))
    return [
        Curves(
            np.array([0.0, *(np.cumsum(areas[order])[cuts - 1] / segments.size), 1.0]),
            np.array([ends[0], *deleted[k], ends[1]]),
            np.array([ends[1], *inserted[k], ends[0]]),
        )
        for k, order in enumerate(orders)
    ]


def _gone(segments: IntArray, order: IntArray, cut: int) -> BoolArray:
    """(h, w) where the first regions of an order are."""
    first = np.zeros(len(order), dtype=np.bool_)
    first[order[:cut]] = True
    return np.asarray(first[segments])


def judged(
    own: Curves, by_chance: list[Curves], local_r2: float | None, incompleteness: float | None, stability: float | None
) -> Faithfulness:
    """What the curves and the explainer's own numbers say together.

    Args:
        own: curves in the explanation's order.
        by_chance: curves in random orders of the same regions.
        local_r2: of LIME's line.
        incompleteness: of Integrated Gradients.
        stability: mean correlation between seeds.
    """
    gains = [one.gain for one in by_chance]
    # as good is as good: where the score never moves, every order has the gain 0
    reached = sum(gain >= own.gain - 1e-9 for gain in gains)
    p = (1 + reached) / (1 + len(gains)) if gains else float("nan")
    doubts = []
    if p > ALPHA and len(gains) >= round(1 / ALPHA) - 1:
        doubts.append(f"random orders of the regions do as well (p = {p:.2f})")
    if local_r2 is not None and local_r2 < LEAST_R2:
        doubts.append(f"the line explains {max(local_r2, 0.0):.0%} of the local behaviour")
    if incompleteness is not None and incompleteness > MOST_INCOMPLETE:
        doubts.append(f"the gradients miss {incompleteness:.0%} of the change they must add up to")
    if stability is not None and stability < LEAST_STABILITY:
        doubts.append(f"other seeds give other maps (correlation {stability:.2f})")
    deletion, insertion = own.areas
    return Faithfulness(deletion, insertion, p, local_r2, incompleteness, stability, tuple(doubts))
