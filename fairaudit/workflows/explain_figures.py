"""Figures of explanations: faces by group and by right or wrong with what speaks for and against, and groups' mean maps.

What speaks for a class is blue within a solid line, what speaks against it orange within a dashed one; both are told apart
in grey by the line, and a map that is doubted says so.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairaudit.predictions import BoolArray, FloatArray
from fairaudit.reports._figures.canvas import INK, MUTED, RULE, SERIES, Picture, canvas, picture
from fairaudit.reports._wording import clean, group_name
from fairaudit.results.explanation import AttentionContrast, ExplanationResult, Region, RowExplanation
from fairaudit.workflows.explain_groups import GroupFinding
from fairaudit.workflows.explain_images import ImageFinding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = SERIES[0], SERIES[1]
ACROSS, MOST = 6, 72
"""Faces in a row, and in a figure: more are too small, or too many, to look at."""

_CELL, _LABEL, _TITLE = 1.42, 1.15, 0.38
"""Inches of a face, of the groups' names beside them, and of what stands above each."""
_READ = (
    "Blue within a solid line speaks for the class named above the face, orange within a dashed line against it; the rest "
    "is paler. ✓ and ✗: whether the decision is the label's. “Doubted”: the explanation failed a test of its faithfulness."
)


def figures(
    result: ExplanationResult, images: Sequence[ImageFinding], grouped: GroupFinding, confidence: float
) -> tuple[Picture, ...]:
    """Every figure that there is something to show in.

    Args:
        result: the record.
        images: explanations, in the order of the grid.
        grouped: groups' mean maps.
        confidence: of the contrasts.
    """
    found = []
    if images:
        shown = images[:MOST]
        cut = f" The first {MOST} of {len(images)} are shown." if len(images) > MOST else ""
        wrong = sum(one.record.right is False for one in shown)
        says = f"{len(shown)} faces by group, {wrong} of them mistakes; the table lists what speaks for and against."
        found += [
            _grid("regions", "Regions for and against", says, _READ + cut, shown, regions=True),
            _grid("heat", "Maps", says, "The same maps without a cut into regions. " + _READ + cut, shown, regions=False),
        ]
    if grouped.groups:
        found.append(_groups(result, grouped, confidence))
    return tuple(found)


def _grid(name: str, title: str, alt: str, caption: str, images: Sequence[ImageFinding], *, regions: bool) -> Picture:
    lines = _lines(images)
    across = max(len(cells) for _, cells in lines)
    with canvas(_LABEL + _CELL * across, 0.1 + (_CELL + _TITLE) * len(lines)) as figure:
        figure.set_layout_engine("constrained", w_pad=0.04, h_pad=0.05, wspace=0.0, hspace=0.0)
        axes = figure.subplots(len(lines), across, squeeze=False)
        for line, (label, cells) in zip(axes, lines, strict=True):
            for i, axis in enumerate(line):
                axis.set_axis_off()
                one = cells[i] if i < len(cells) else None
                if one is not None:
                    _face(axis, one, regions)
                else:
                    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            line[0].text(
                -0.08, 0.5, textwrap.fill(label, 14), transform=line[0].transAxes, ha="right", va="center",
                fontsize=8.5, color=INK, weight="bold",
            )  # fmt: skip
    return picture(figure, name, title, alt, caption)


def _lines(images: Sequence[ImageFinding]) -> list[tuple[str, list[ImageFinding | None]]]:
    """Lines of the grid: each group's mistakes, then what was right, in columns of their own where there is room."""
    groups: dict[str, tuple[list[ImageFinding], list[ImageFinding]]] = {}
    for one in images:
        label = "" if one.record.group is None else group_name(one.record.group)
        groups.setdefault(label, ([], []))[one.record.right is not False].append(one)
    most = max(len(wrong) for wrong, _ in groups.values())
    aligned = most + max(len(right) for _, right in groups.values()) <= ACROSS
    lines: list[tuple[str, list[ImageFinding | None]]] = []
    for label, (wrong, right) in groups.items():
        gap = [None] * (most - len(wrong)) if aligned else []
        cells = [*wrong, *gap, *right]
        lines += [(label if start == 0 else "", cells[start : start + ACROSS]) for start in range(0, len(cells), ACROSS)]
    return lines


def _face(axis: Axes, one: ImageFinding, regions: bool) -> None:
    record = one.record
    paled = 255 - (255 - one.picture.astype(np.float64)) * 0.45
    grey = np.repeat(paled.mean(axis=2, keepdims=True), 3, axis=2)
    doubted = bool(record.faithful.doubts)
    if regions:
        masks = [_mask(one, part) for part in (record.for_, record.against)]
        shown = np.where((masks[0] | masks[1])[..., None], one.picture, grey)
        axis.imshow(shown.round().astype(np.uint8), interpolation="antialiased")
        for mask, colour, line in zip(masks, (FOR, AGAINST), ("-", (0, (2.5, 1.5))), strict=True):
            _outline(axis, mask, colour, line)
    else:
        axis.imshow(grey.round().astype(np.uint8), interpolation="antialiased")
        axis.imshow(_coloured(one.heat), interpolation="bilinear")
    axis.set(xlim=(-0.5, one.picture.shape[1] - 0.5), ylim=(one.picture.shape[0] - 0.5, -0.5))
    axis.set_title(_caption(record), fontsize=7.2, color=MUTED if doubted else INK, pad=3, linespacing=1.15)
    if doubted:
        axis.text(
            0.5, 0.03, "doubted", transform=axis.transAxes, ha="center", va="bottom", fontsize=7, color=INK,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": RULE, "linewidth": 0.6},
        )  # fmt: skip


def _caption(record: RowExplanation) -> str:
    sign = {True: "✓", False: "✗", None: "?"}[record.right]
    called = clean(record.predicted)
    label = "" if record.label is None or record.right else f", is {clean(record.label)}"
    return f"{sign} called {called}{label}\nfor {clean(record.explained)} ({record.score:.2f})"


def _mask(one: ImageFinding, regions: Sequence[Region]) -> BoolArray:
    return np.isin(one.segments, [region.segment for region in regions])


def _outline(axis: Axes, mask: BoolArray, colour: str, line: Any, width: float = 1.5) -> None:
    """A line around a region, on white so that it is seen on any skin."""
    if not mask.any():
        return
    # a border of nothing closes the line where the region touches the picture's edge
    padded = np.pad(mask.astype(np.float64), 1)
    at = [np.clip(np.arange(-1, side + 1), -0.5, side - 0.5) for side in mask.shape]
    for one, thick, style in (("white", width + 1.4, "-"), (colour, width, line)):
        axis.contour(at[1], at[0], padded, levels=[0.5], colors=[one], linewidths=[thick], linestyles=[style])


def _coloured(heat: FloatArray) -> FloatArray:
    """(h, w, 4) a map in the two colours, the stronger the less transparent."""
    scale = float(np.quantile(np.abs(heat), 0.99)) or float(np.abs(heat).max()) or 1.0
    strength = np.clip(np.abs(heat) / scale, 0, 1)
    colours = np.array([_rgb(FOR), _rgb(AGAINST)])[(heat < 0).astype(int)]
    return np.concatenate([colours, 0.85 * strength[..., None] ** 0.8], axis=-1)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _groups(result: ExplanationResult, grouped: GroupFinding, confidence: float) -> Picture:
    contrasts = {group_name(one.group): one for one in result.contrasts}
    lines = 3 if contrasts else 2
    count = len(grouped.groups)
    explained = clean(result.settings["explained"])
    with canvas(0.5 + _CELL * max(2, count), 0.25 + (_CELL + 0.18) * lines) as figure:
        axes = figure.subplots(lines, count, squeeze=False)
        for i, group in enumerate(grouped.groups):
            name = group_name(group.group)
            face = grouped.faces[i]
            pale = np.repeat((255 - (255 - face) * 0.6).mean(axis=2, keepdims=True), 3, axis=2).round().astype(np.uint8)
            axes[0, i].set_title(f"{textwrap.fill(name, 18)}\n{group.n} images", fontsize=8)
            axes[0, i].imshow(face.round().astype(np.uint8))
            axes[1, i].imshow(pale)
            axes[1, i].imshow(_coloured(grouped.means[i]))
            if lines == 3:
                _difference(axes[2, i], pale, contrasts.get(name), confidence)
        for line, label in zip(axes, ("mean face", "mean map", "difference"), strict=False):
            line[0].set_ylabel(label, fontsize=8)
            for axis in line:
                axis.set_xticks([])
                axis.set_yticks([])
                for side in axis.spines.values():
                    side.set_visible(False)
    different = sum(one.different for one in result.contrasts)
    title = "What it looks at, group by group"
    alt = f"Mean faces and mean maps of {count} groups; {different} cells differ from the reference group."
    caption = (
        f"Mean maps of {explained}, each image with the same weight: blue speaks for it, orange against it. Difference: "
        "from the reference group; only outlined cells are shown to differ, the others are pale "
        f"({100 * confidence:g} %, permutations of the images, all cells together)."
    )
    return picture(figure, "groups", title, alt, caption)


def _difference(axis: Axes, face: Any, one: AttentionContrast | None, confidence: float) -> None:
    axis.imshow(face)
    if one is None:
        axis.text(0.5, 0.5, "reference", transform=axis.transAxes, ha="center", va="center", fontsize=8, color=INK)
        return
    h, w = face.shape[:2]
    cells, p = np.array(one.difference), np.array(one.p_adjusted)
    shown = _spread((p <= 1 - confidence).astype(np.float64), h, w) > 0
    colours = _coloured(_spread(cells, h, w))
    colours[..., 3] *= np.where(shown, 1.0, 0.35)  # what is not shown to differ must not look as if it did
    axis.imshow(colours)
    _outline(axis, shown, INK, "-", 1.1)


def _spread(cells: FloatArray, h: int, w: int) -> FloatArray:
    """(h, w) every pixel with the value of its cell."""
    rows, columns = cells.shape
    return np.asarray(cells[(np.arange(h) * rows // h)[:, None], (np.arange(w) * columns // w)[None, :]])
