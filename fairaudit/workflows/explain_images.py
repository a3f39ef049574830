"""Explanations of chosen images, as records for the file and as arrays for the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fairaudit.artifacts.folder import unwritable
from fairaudit.attribution.explainers import Explainer
from fairaudit.attribution.explanations import Effort, Explanation, explain_image
from fairaudit.attribution.faithfulness import STEPS, Faithfulness
from fairaudit.attribution.group_maps import attention_overlap
from fairaudit.config import ExplainSettings
from fairaudit.predictions import MISSING, FloatArray, IntArray
from fairaudit.results.explanation import Faithful, MapOverlap, Region, RowExplanation
from fairaudit.workflows.explain_groups import GroupFinding
from fairaudit.workflows.explain_scene import Scene

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImageFinding:
    """One explanation.

    Attributes:
        record: what is written of it.
        picture: (h, w, 3) what the network saw.
        heat: (h, w) signed map.
        segments: (h, w) region of each pixel.
    """

    record: RowExplanation
    picture: Picture
    heat: FloatArray
    segments: IntArray


def explain_images(
    scene: Scene, effort: Effort, positions: Sequence[int], advance: Callable[[], None]
) -> list[ImageFinding]:
    """Explain images, one class at a time.

    Args:
        scene: network, images and predictions.
        effort: what is spent on each.
        positions: of the images, in the table of predictions.
        advance: told after each explanation.

    Raises:
        DataError: an image cannot be read.
    """
    found = []
    for at in positions:
        pixels = scene.pixels(at)
        for of in scene.classes or (int(scene.task.y_pred[at]),):
            explanation = explain_image(scene.explainer, pixels, of, effort)
            found.append(_finding(scene, at, pixels, explanation))
            advance()
    return found


def cost(explainer: Explainer, asked: ExplainSettings, repeats: int | None = None) -> int:
    """About how many images pass through the network for one explanation; gradients count as three.

    Args:
        explainer: the method.
        asked: what is spent.
        repeats: seeds; None takes the settings'.
    """
    own = {
        "lime": asked.samples * (repeats or asked.repeats),
        "integrated-gradients": 3 * asked.steps,
        "grad-cam": 3,
        "occlusion": 8 * explainer.windows,
    }[explainer.method]
    return own + 2 + 2 * (STEPS - 1) * (1 + asked.random_orders)


def _finding(scene: Scene, at: int, pixels: Tensor, explanation: Explanation) -> ImageFinding:
    task, asked = scene.task, scene.config.explain
    group = int(scene.groups.ids[at])
    label = int(task.y_true[at])
    score = scene.explainer.subject.scores(scene.explainer.subject.inputs(pixels[None]))[0, explanation.of]
    record = RowExplanation(
        row=str(scene.predictions.rows[at]),
        group=None if group == MISSING else scene.groups.as_mapping(group),
        label=None if label == MISSING else task.classes[label],
        predicted=task.classes[task.y_pred[at]],
        score=float(score),
        explained=task.classes[explanation.of],
        for_=_regions(explanation, explanation.in_favour(asked.regions)),
        against=_regions(explanation, explanation.against(asked.regions)),
        faithful=recorded(explanation.faithfulness),
        overlaps=tuple(
            MapOverlap(name, o.mass, o.area, o.times_even, o.points_inside, o.correlation)
            for name, values in scene.maps.items()
            for o in [attention_overlap(explanation.by_region, values, asked.quantile)]
        ),
    )
    picture: Picture = pixels.permute(1, 2, 0).cpu().numpy()
    return ImageFinding(record, picture, explanation.heat, explanation.segments)


def recorded(faith: Faithfulness) -> Faithful:
    """Faithfulness as it is written."""
    return Faithful(
        faith.deletion, faith.insertion, faith.gain, faith.p, faith.local_r2, faith.incompleteness, faith.stability,
        faith.doubts,
    )  # fmt: skip


def _regions(explanation: Explanation, chosen: Sequence[int]) -> tuple[Region, ...]:
    h, w = explanation.segments.shape
    found = []
    for segment in chosen:
        down, across = np.nonzero(explanation.segments == segment)
        centre = (float((down.mean() + 0.5) / h), float((across.mean() + 0.5) / w))
        found.append(Region(segment, float(explanation.weights[segment]), len(down) / (h * w), centre))
    return tuple(found)


def write_arrays(images: Sequence[ImageFinding], grouped: GroupFinding, path: Path) -> None:
    """Write maps and superpixels as ``.npz``: of every explanation, and of every group.

    Raises:
        OutputError: it could not be written.
    """
    arrays: dict[str, Any] = {
        "rows": np.array([one.record.row for one in images], dtype=str),
        "explained": np.array([one.record.explained for one in images], dtype=str),
    }
    if images:
        arrays["heat"] = np.stack([one.heat for one in images]).astype(np.float32)
        arrays["segments"] = np.stack([one.segments for one in images]).astype(np.int32)
    if len(grouped.groups):
        arrays["group_means"] = grouped.means.astype(np.float32)
        arrays["groups"] = np.array([" ".join(one.group.values()) for one in grouped.groups], dtype=str)
    try:
        with path.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
    except OSError as error:
        raise unwritable(path, error) from error
