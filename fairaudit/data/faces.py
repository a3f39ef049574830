"""Drawn faces: sample a figure, render its picture, say which pixels show what. No photograph and no person behind them.

Everything is computed from a ``Face`` with numpy and Pillow alone: outlines in head units are drawn three times as large
as the picture and reduced. The same ``Face`` always gives the same pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fairaudit.data.face_canvas import PARTS, SUPERSAMPLE, Canvas, PictureCanvas, Pose, RegionCanvas
from fairaudit.data.face_features import (
    draw_brows,
    draw_clothes,
    draw_eyes,
    draw_head,
    draw_lines,
    draw_mouth,
    draw_neck,
    draw_nose,
)
from fairaudit.data.face_hair import draw_back_hair, draw_beard, draw_front_hair
from fairaudit.data.face_materials import materials
from fairaudit.data.face_sampling import another_picture, sample_face
from fairaudit.data.face_spec import Face
from fairaudit.data.face_wear import draw_earrings, draw_glasses, draw_hat

__all__ = ["PARTS", "Face", "RenderedStore", "another_picture", "encode", "regions", "render", "sample_face", "write_faces"]


def render(face: Face, size: int = 96) -> Image.Image:
    """The picture of a face.

    Args:
        face: what to draw.
        size: height and width in pixels.

    Returns:
        An RGB image of ``size`` × ``size``.
    """
    pose = Pose(face, size * SUPERSAMPLE)
    canvas = PictureCanvas(pose, materials(face, pose))
    _draw(canvas, face)
    return _photograph(canvas.image.reduce(SUPERSAMPLE), face)


def regions(face: Face, size: int = 96) -> dict[str, NDArray[np.bool_]]:
    """Where the parts of a face are on its picture.

    Args:
        face: as given to ``render``.
        size: as given to ``render``.

    Returns:
        Each of ``PARTS`` → mask (size, size), true where the part is visible on at least half of the pixel; empty where it
        is absent. ``nose`` lies on ``skin`` and ``glasses`` have lenses that show what is behind, so masks may overlap.
    """
    canvas = RegionCanvas(Pose(face, size * SUPERSAMPLE))
    _draw(canvas, face)
    return canvas.regions()


def encode(image: Image.Image) -> bytes:
    """PNG bytes, compressed lightly because they are decoded at once; the same image always gives the same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


KEPT = 20_000
"""Drawn faces that a store remembers; a few kilobytes each."""


@dataclass(frozen=True)
class RenderedStore:
    """An image store whose pictures are drawn when they are read.

    Attributes:
        faces: row id → what is drawn.
        size: height and width in pixels.
    """

    faces: Mapping[str, Face]
    size: int = 96
    _drawn: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def read(self, row: str) -> bytes:
        """PNG bytes of one face; ``FileNotFoundError`` for a row that this store does not have."""
        if row not in self.faces:
            raise FileNotFoundError(f"there is no face {row!r} in this set")
        if row in self._drawn:
            return self._drawn[row]
        drawn = encode(render(self.faces[row], self.size))
        if len(self._drawn) < KEPT:  # a face is drawn in milliseconds and read again for every network that is tested
            self._drawn[row] = drawn
        return drawn

    def missing(self, rows: Sequence[str]) -> list[str]:
        """Rows that this store does not have."""
        return [row for row in rows if row not in self.faces]


def write_faces(folder: Path, n: int, seed: int = 0, size: int = 96) -> list[Face]:
    """Write ``n`` random faces as ``face-000000.png`` … into a folder, which is made if it is not there.

    Args:
        folder: where the files go.
        n: how many.
        seed: face k depends on ``seed`` and k only.
        size: height and width in pixels.

    Returns:
        The faces, in the order of the files' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faces = [sample_face(np.random.default_rng([seed, k])) for k in range(n)]
    for k, face in enumerate(faces):
        (folder / f"face-{k:06d}.png").write_bytes(encode(render(face, size)))
    return faces


def _draw(canvas: Canvas, face: Face) -> None:
    draw_back_hair(canvas, face)
    draw_neck(canvas, face)
    draw_clothes(canvas, face)
    draw_head(canvas, face)
    draw_nose(canvas, face)
    draw_lines(canvas, face)
    draw_beard(canvas, face)
    draw_mouth(canvas, face)
    draw_eyes(canvas, face)
    draw_brows(canvas, face)
    draw_earrings(canvas, face)
    draw_front_hair(canvas, face)
    draw_glasses(canvas, face)
    draw_hat(canvas, face)


def _photograph(image: Image.Image, face: Face) -> Image.Image:
    """Lens and sensor: softness, exposure, colour cast, contrast, grain."""
    if face.blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(face.blur * image.width))
    cast = np.array([1 + 0.035 * face.warmth, 1.0, 1 - 0.045 * face.warmth], dtype=np.float32)
    pixels = np.asarray(image, dtype=np.float32) * (cast * face.light * face.contrast) + 118 * (1 - face.contrast)
    grain = np.random.default_rng(face.noise_seed).standard_normal((*pixels.shape[:2], 1), dtype=np.float32)
    return Image.fromarray(np.clip(pixels + face.noise * grain, 0, 255).round().astype(np.uint8))
