"""Two canvases for one drawing: one paints the picture, the other records which pixels each part of the face covers.

The drawing code speaks only ``Canvas``: closed outlines in head units, filled with a colour or a shaded material. Because
picture and regions come from the same calls under the same pose, a region is where its part was drawn, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from fairaudit.data.face_spec import Colour, Face

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Paint = str | Colour

PARTS = (
    "background", "skin", "hair", "eyes", "brows", "nose", "mouth", "beard", "glasses", "hat", "earrings", "clothes",
)  # fmt: skip
SUPERSAMPLE = 3
HEAD_UNIT = 0.325  # half a head's height as a share of the picture's


class Pose:
    """Where a point in head units lands on the supersampled picture.

    Args:
        face: its shift, scale, roll and yaw are used.
        size: height and width of the supersampled picture in pixels.
    """

    def __init__(self, face: Face, size: int) -> None:
        self.unit = HEAD_UNIT * size * face.scale * (1 - 0.06 * face.childlike)
        self.origin = (0.5 + face.shift_x) * size, (0.475 + face.shift_y + 0.03 * face.childlike) * size
        self.yaw = face.yaw
        self.cos, self.sin = math.cos(face.roll), math.sin(face.roll)
        self.size = size
        narrow = 1 - 0.03 * abs(face.yaw)
        self._turn = self.unit * np.array([[narrow * self.cos, narrow * self.sin], [-self.sin, self.cos]])

    def place(self, points: Points, depth: float = 0.0) -> Points:
        """Head units (n, 2) to pixels (n, 2); ``depth`` is how far in front of the head's axis the part lies."""
        ahead = 0.55 * depth * self.yaw * self.unit
        return np.asarray(points @ self._turn + (self.origin[0] + self.cos * ahead, self.origin[1] + self.sin * ahead))

    def grid(self, side: int) -> tuple[Field, Field]:
        """Head units (u, v) of the centres of a ``side`` × ``side`` grid laid over the picture."""
        at = ((np.arange(side) + 0.5) * (self.size / side)).astype(np.float32)
        x, y = (at[None, :] - self.origin[0]) / self.unit, (at[:, None] - self.origin[1]) / self.unit
        return (self.cos * x + self.sin * y).astype(np.float32), (self.cos * y - self.sin * x).astype(np.float32)


class Canvas(Protocol):
    """What the drawing code may do."""

    pose: Pose

    def fill(
        self,
        part: str,
        outline: Points,
        paint: Paint,
        *,
        depth: float = 0.0,
        alpha: float = 1.0,
        clip: Points | None = None,
    ) -> None:
        """Fill a closed outline (n, 2), inside ``clip`` if given; below ``alpha`` 0.5 what lies under it stays visible."""
        ...

    def stroke(self, path: Points, paint: Colour, width: float, *, depth: float = 0.0, alpha: float = 1.0) -> None:
        """Draw an open line on whatever part lies there; ``width`` in head units."""
        ...

    def mark(self, part: str, outline: Points, *, depth: float = 0.0) -> None:
        """Say that a part lies here without drawing: its picture is shading."""
        ...


class PictureCanvas:
    """Paints.

    Args:
        pose: where things land.
        materials: name of a material → a function that returns its picture, of the pose's size.
    """

    def __init__(self, pose: Pose, materials: dict[str, Callable[[], Image.Image]]) -> None:
        self.pose = pose
        self._materials = materials
        self._ready: dict[str, Image.Image] = {}
        self.image = self._material("background").copy()
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def fill(
        self,
        part: str,  # noqa: ARG002
        outline: Points,
        paint: Paint,
        *,
        depth: float = 0.0,
        alpha: float = 1.0,
        clip: Points | None = None,
    ) -> None:
        """Fill a closed outline; see ``Canvas``."""
        points = self.pose.place(outline, depth)
        if clip is None and not isinstance(paint, str):
            self._draw.polygon(points.ravel().tolist(), fill=(*paint, round(255 * alpha)))
            return
        box = _box(points, self.pose.size)
        if box is None:
            return
        mask = _mask(points, box, round(255 * alpha))
        if clip is not None:
            mask = ImageChops.darker(mask, _mask(self.pose.place(clip, depth), box, 255))
        if isinstance(paint, str):
            self.image.paste(self._material(paint).crop(box), box, mask)
        else:
            self.image.paste(paint, box, mask)

    def stroke(self, path: Points, paint: Colour, width: float, *, depth: float = 0.0, alpha: float = 1.0) -> None:
        """Draw an open line; see ``Canvas``."""
        pixels = max(1, round(width * self.pose.unit))
        points = self.pose.place(path, depth).ravel().tolist()
        self._draw.line(points, fill=(*paint, round(255 * alpha)), width=pixels, joint="curve" if alpha == 1 else None)

    def mark(self, part: str, outline: Points, *, depth: float = 0.0) -> None:
        """Nothing to paint."""

    def _material(self, name: str) -> Image.Image:
        if name not in self._ready:
            self._ready[name] = self._materials[name]()
        return self._ready[name]


class RegionCanvas:
    """Records coverage per part.

    Args:
        pose: where things land.
    """

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self._layers = {part: Image.new("L", (pose.size, pose.size), 255 * (part == "background")) for part in PARTS}

    def fill(
        self,
        part: str,
        outline: Points,
        paint: Paint,  # noqa: ARG002
        *,
        depth: float = 0.0,
        alpha: float = 1.0,
        clip: Points | None = None,
    ) -> None:
        """Give an outline to a part and, where it is opaque, take it from all the others."""
        points = self.pose.place(outline, depth)
        box = _box(points, self.pose.size)
        if box is None:
            return
        mask = _mask(points, box, 255)
        if clip is not None:
            mask = ImageChops.darker(mask, _mask(self.pose.place(clip, depth), box, 255))
        if alpha >= 0.5:
            for layer in self._layers.values():
                layer.paste(0, box, mask)
        self._layers[part].paste(255, box, mask)

    def stroke(self, path: Points, paint: Colour, width: float, *, depth: float = 0.0, alpha: float = 1.0) -> None:
        """A line belongs to the part that it is drawn on."""

    def mark(self, part: str, outline: Points, *, depth: float = 0.0) -> None:
        """Give an outline to a part besides the part that covers it."""
        points = self.pose.place(outline, depth)
        box = _box(points, self.pose.size)
        if box is not None:
            self._layers[part].paste(255, box, _mask(points, box, 255))

    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """Part → mask of the final picture's pixels of which the part covers at least half."""
        return {part: np.asarray(layer.reduce(SUPERSAMPLE)) >= 128 for part, layer in self._layers.items()}


def _box(points: Points, size: int) -> tuple[int, int, int, int] | None:
    low, high = points.min(axis=0), points.max(axis=0)
    left, top = max(int(low[0]) - 1, 0), max(int(low[1]) - 1, 0)
    right, bottom = min(int(high[0]) + 2, size), min(int(high[1]) + 2, size)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _mask(points: Points, box: tuple[int, int, int, int], value: int) -> Image.Image:
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).polygon((points - (box[0], box[1])).ravel().tolist(), fill=value)
    return mask


@cache
def _basis(steps: int) -> Points:
    t = np.arange(steps) / steps
    # Catmull-Rom: a cubic through every control point with tangents from its neighbours.
    return np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1) / 2


def closed(points: list[tuple[float, float]] | Points, steps: int = 7) -> Points:
    """A smooth closed outline through the control points."""
    p = np.asarray(points, dtype=np.float64)
    return np.asarray(_basis(steps) @ p[_neighbours(len(p), ring=True)]).reshape(-1, 2)


def path(points: list[tuple[float, float]] | Points, steps: int = 7) -> Points:
    """A smooth open line through the control points."""
    p = np.asarray(points, dtype=np.float64)
    curve = (_basis(steps) @ p[_neighbours(len(p), ring=False)]).reshape(-1, 2)
    return np.concatenate([curve, p[-1:]])


@cache
def _neighbours(n: int, *, ring: bool) -> NDArray[np.intp]:
    """The four control points that shape each segment, (segments, 4)."""
    at = np.arange(n if ring else n - 1)[:, None] + np.arange(-1, 3)
    return at % n if ring else np.clip(at, 0, n - 1)


@cache
def _circle(steps: int) -> Points:
    angle = np.arange(steps) * (2 * np.pi / steps)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, steps: int = 28) -> Points:
    """An ellipse's outline."""
    return _circle(steps) * (rx, ry) + (x, y)


def both(half: list[tuple[float, float]]) -> Points:
    """A smooth closed outline that is its own mirror image, from its right half; points at x = 0 are shared."""
    return closed([*half, *((-x, y) for x, y in reversed(half) if x != 0)])


def across(half: list[tuple[float, float]]) -> Points:
    """A smooth open line that is its own mirror image, from its right half, which ends at x = 0."""
    return path([*half, *((-x, y) for x, y in reversed(half[:-1]))])


def mirrored(points: Points) -> Points:
    """The same outline on the other side of the face."""
    return points * (-1, 1)
