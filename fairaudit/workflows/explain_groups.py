"""What a network looks at in groups of images: mean maps, where they differ, and how much lies where an attribute shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fairaudit.attribution.explanations import Effort, explain_image
from fairaudit.attribution.group_maps import contrast, evenly_scaled, one_per_person
from fairaudit.attribution.maps import top_region
from fairaudit.metrics.attention import mass_share
from fairaudit.metrics.multiplicity import holm
from fairaudit.metrics.region_test import region_test
from fairaudit.predictions import MISSING, FloatArray, IntArray
from fairaudit.results.explanation import AttentionContrast, GroupAttention, Share
from fairaudit.workflows.explain_grouping import reference_group
from fairaudit.workflows.explain_scene import Scene


@dataclass(frozen=True, eq=False)
class GroupFinding:
    """Groups, as records for the file and as arrays for the figure.

    Attributes:
        groups: those that have images.
        contrasts: of each with the reference group.
        means: (g, h, w) mean map of each, evenly scaled.
        faces: (g, h, w, 3) mean image of each, in 0 to 255.
        notes: sentences that a reader must know.
    """

    groups: tuple[GroupAttention, ...] = ()
    contrasts: tuple[AttentionContrast, ...] = ()
    means: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    faces: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0, 3)))
    notes: tuple[str, ...] = ()


def explain_groups(scene: Scene, effort: Effort, sample: Sequence[int], advance: Callable[[], None]) -> GroupFinding:
    """Explain a sample of every group, each image once.

    Args:
        scene: network, images and predictions.
        effort: what is spent on each image; of LIME's seeds one is taken, because means need images and not repeats.
        sample: positions of the images, in the table of predictions.
        advance: told after each image.
    """
    at = np.array(sample, dtype=np.int64)
    ids = scene.groups.ids[at]
    heats, by_region, doubted = [], [], []
    faces = np.zeros((len(scene.groups), *scene.explainer.subject.preprocess.size, 3))
    once = replace(effort, repeats=1)
    for i, position in enumerate(sample):
        pixels = scene.pixels(position)
        of = scene.classes[0] if scene.classes else int(scene.task.y_pred[position])
        explanation = explain_image(scene.explainer, pixels, of, once)
        heats.append(evenly_scaled(explanation.heat))
        by_region.append(explanation.by_region)
        doubted.append(bool(explanation.faithfulness.doubts))
        faces[ids[i]] += pixels.permute(1, 2, 0).cpu().numpy()
        advance()
    maps, doubts = np.stack(heats), np.array(doubted)
    people = None if scene.people is None else scene.people[at]
    pooled, pooled_ids = one_per_person(maps, ids, people)
    there = [g for g in range(len(scene.groups)) if (ids == g).any()]
    reference = reference_group(scene.predictions, scene.groups, scene.plan)
    shares = _shares(scene, by_region, ids, people, there, reference)
    groups = tuple(
        GroupAttention(
            scene.groups.as_mapping(g), int((ids == g).sum()), int((pooled_ids == g).sum()),
            int(doubts[ids == g].sum()), shares[g],
        )
        for g in there
    )  # fmt: skip
    counts = np.bincount(ids, minlength=len(scene.groups))
    return GroupFinding(
        groups,
        tuple(_contrasts(scene, pooled, pooled_ids, there, reference)),
        np.stack([pooled[pooled_ids == g].mean(0) for g in there]),
        np.stack([faces[g] / counts[g] for g in there]),
        _notes(scene, pooled_ids, there),
    )


def _notes(scene: Scene, ids: IntArray, there: Sequence[int]) -> tuple[str, ...]:
    told = []
    if not scene.classes:
        told.append(
            "mean maps speak for the class that was predicted, which may be another in every group: name one --class to "
            "compare like with like"
        )
    if scene.explainer.by_chance:
        told.append(
            "explanations behind mean maps have one seed each, so that none of them is doubted for other seeds' maps"
        )
    few = [" ".join(scene.groups.labels[g]) for g in there if (ids == g).sum() < _FEW]
    if few:
        told.append(f"fewer than {_FEW} images or people stand for {', '.join(few)}: a difference can hardly show there")
    return tuple(told)


_FEW = 10
"""Of groups as small as this, only differences as large as the scatter itself come out of a permutation test."""


def _shares(
    scene: Scene, maps: Sequence[FloatArray], ids: IntArray, people: IntArray | None, there: Sequence[int], reference: int
) -> dict[int, tuple[Share, ...]]:
    """Attention inside each attribute's region, per group, against the reference group."""
    asked = scene.config.explain
    found: dict[int, list[Share]] = {g: [] for g in there}
    for name, values in scene.maps.items():
        region = top_region(values, asked.quantile)
        area = float(region.mean())
        inside = np.array([mass_share(heat, region) for heat in maps])
        known = ~np.isnan(inside)
        kept = np.where(known, ids, MISSING)
        pooled, own = one_per_person(inside, kept, people)
        raw, told = np.full(len(there), np.nan), []
        for i, g in enumerate(there):
            first, second = pooled[own == g], pooled[own == reference]
            mass = float(first.mean()) if len(first) else float("nan")
            difference = float("nan")
            if g != reference and min(len(first), len(second)) >= 2:
                rng = np.random.default_rng([scene.plan.audit.seed, g])
                test = region_test(first[:, None], second[:, None], asked.permutations, rng)
                difference, raw[i] = float(test.difference[0]), test.p[0]
            told.append((mass, difference))
        for g, (mass, difference), p in zip(there, told, holm(raw).tolist(), strict=True):
            found[g].append(Share(name, mass, mass / area, difference, p))
    return {g: tuple(shares) for g, shares in found.items()}


def _contrasts(
    scene: Scene, maps: FloatArray, ids: IntArray, there: Sequence[int], reference: int
) -> list[AttentionContrast]:
    asked = scene.config.explain
    h, w = scene.explainer.subject.preprocess.size
    grid = (min(asked.grid, h), min(asked.grid, w))
    level = 1 - scene.plan.audit.confidence
    tests = [
        (g, contrast(maps, ids, g, reference, grid, asked.permutations, scene.plan.audit.seed))
        for g in there
        if g != reference
    ]
    tested = [(g, test) for g, test in tests if test is not None]
    found = []
    for g, test in tested:
        difference = test.difference.reshape(grid)
        # Each test holds the chance of one false alarm among its cells; so many tests are judged together (Bonferroni).
        p = np.minimum(1.0, len(tested) * test.p_adjusted).reshape(grid)
        found.append(
            AttentionContrast(
                scene.groups.as_mapping(g),
                scene.groups.as_mapping(reference),
                tuple(tuple(row) for row in difference.tolist()),
                tuple(tuple(row) for row in p.tolist()),
                int((p <= level).sum()),
                test.permutations,
            )
        )
    return found
