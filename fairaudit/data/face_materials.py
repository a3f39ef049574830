"""What the parts of a drawn face are made of: shaded skin, streaked hair, cloth, and the background behind them.

A material is a picture as large as the canvas, computed on a coarse grid in head units and enlarged: shading is smooth, so
a coarse grid loses nothing and costs little.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fairaudit.data.face_canvas import SUPERSAMPLE, Field, Pose
from fairaudit.data.face_spec import Colour, Face

RGB = NDArray[np.float32]

# Skin from light to dark at equal steps of melanin; the darkest step stays well lighter than black hair, so that brows,
# beards and eyes stand out in every tone.
_SKIN = np.array(
    [(244, 214, 194), (236, 194, 165), (218, 166, 130), (192, 136, 98), (154, 101, 70), (118, 76, 54)], dtype=np.float32
)
_HAIR: dict[str, Colour] = {
    "black": (28, 24, 26), "brown": (82, 55, 40), "blond": (184, 142, 86), "red": (134, 66, 38), "grey": (142, 142, 146),
}  # fmt: skip
_HAIR_LIGHT: dict[str, Colour] = {
    "black": (50, 42, 42), "brown": (116, 80, 56), "blond": (222, 188, 130), "red": (172, 92, 52), "grey": (190, 190, 192),
}  # fmt: skip
_COARSE, _FINE = 48, 96
_DIM, _DIMMER = ([round(gain * level) for level in range(256)] * 3 for gain in (0.86, 0.74))


def rgb(colour: RGB | tuple[float, ...]) -> Colour:
    """The nearest 8-bit colour."""
    r, g, b = (round(min(max(float(c), 0.0), 255.0)) for c in colour)
    return r, g, b


def mix(a: RGB | Colour, b: RGB | Colour, share: float) -> Colour:
    """``share`` of colour b, the rest of a."""
    return rgb(tuple(x + (y - x) * share for x, y in zip(a, b, strict=True)))


def skin_colour(face: Face) -> RGB:
    """The skin's colour in even light, (3,)."""
    at = face.melanin * (len(_SKIN) - 1)
    base = np.array([np.interp(at, np.arange(len(_SKIN)), _SKIN[:, c]) for c in range(3)], dtype=np.float32)
    return base + np.array([2.0, 0.0, -6.0], dtype=np.float32) * face.undertone


def hair_colour(face: Face) -> RGB:
    """The hair's colour in even light, (3,)."""
    dark, light = (np.array(table[face.hair_colour], dtype=np.float32) for table in (_HAIR, _HAIR_LIGHT))
    return np.asarray(dark + (light - dark) * (0.5 + 0.5 * face.hair_shade))


def brow_colour(face: Face) -> Colour:
    """Eyebrows: the hair's colour, darker, and never as light as the skin."""
    hair = hair_colour(face) * (0.62 if face.hair_colour in ("blond", "red", "grey") else 0.85)
    return mix(hair, (52, 38, 32), 0.35 if face.hair_colour != "black" else 0.0)


def lip_colour(face: Face) -> Colour:
    """Lips: redder than the skin, lighter than dark skin's shadow, covered by lipstick as far as there is any."""
    skin = skin_colour(face)
    bare = mix(skin, (168, 62, 66), 0.40 if face.melanin < 0.66 else 0.46)
    return mix(bare, face.lipstick_colour, face.lipstick)


def shadow(colour: RGB | Colour, depth: float) -> Colour:
    """A colour in shadow, warmer as skin is; depth 0 to 1."""
    return rgb(tuple(c * (1 - depth * k) for c, k in zip(colour, (0.62, 0.80, 0.86), strict=True)))


def materials(face: Face, pose: Pose) -> dict[str, Callable[[], Image.Image]]:
    """Name → the function that paints this face's material."""
    hair = cache(lambda: _hair(face, pose))
    return {
        "background": lambda: _background(face, pose),
        "skin": lambda: _skin(face, pose),
        "neck": lambda: _neck(face, pose),
        "hair": hair,
        "back hair": lambda: hair().point(_DIMMER),
        "beard": lambda: hair().point(_DIM),
        "clothes": lambda: _cloth(face.clothes_colour, face, pose),
        "hat": lambda: _cloth(face.hat_colour, face, pose),
    }


def _bump(u: Field, v: Field, x: float, y: float, sx: float, sy: float) -> Field:
    return np.asarray(np.exp(-(((u - x) / sx) ** 2)) * np.exp(-(((v - y) / sy) ** 2)), dtype=np.float32)


def _image(values: RGB, size: int) -> Image.Image:
    return _enlarge(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), size)


def _enlarge(image: Image.Image, size: int) -> Image.Image:
    # Smooth up to the final picture's size; beyond it, repeated pixels are reduced to the very same ones, and much faster.
    side = size // SUPERSAMPLE
    return image.resize((side, side), Image.Resampling.BILINEAR).resize((size, size), Image.Resampling.NEAREST)


def _skin(face: Face, pose: Pose) -> Image.Image:
    u, v = pose.grid(_COARSE)
    u = u - 0.10 * face.yaw  # the shading of the front turns with the head
    sides, child = np.abs(u), face.childlike
    a, b = u / (face.head_width * 1.06), v / 1.12
    front = np.sqrt(np.clip(1 - a * a - b * b, 0.0, 1.0))
    shade = 0.70 + 0.36 * np.clip(0.42 * face.light_x * a - 0.36 * b + 0.86 * front, -0.2, 1.2)
    eye_y = 0.02 + 0.10 * child
    shade -= 0.085 * _bump(sides, v, 0.30, eye_y - 0.07, 0.19, 0.11) * (1 - 0.5 * child)
    shade += 0.055 * _bump(u, v, 0, 0.16, 0.055, 0.22) + 0.05 * _bump(sides, v, 0.40, 0.22, 0.15, 0.13)
    shade += 0.04 * _bump(u, v, -0.12 * face.light_x, -0.52, 0.30, 0.20)
    shade -= 0.05 * _bump(sides, v, 0.125, 0.20, 0.05, 0.16) + 0.07 * _bump(u, v, 0, 0.45, 0.10, 0.05)
    shade -= 0.06 * _bump(u, v, 0, 0.79, 0.15, 0.05)
    aged = max(face.age - 35, 0) / 45
    if aged > 0:
        bags, folds = _bump(sides, v, 0.28, eye_y + 0.15, 0.13, 0.05), _bump(sides, v, 0.36, 0.50, 0.10, 0.14)
        shade -= 0.05 * aged * (bags + folds)
    if face.hair_style in ("bald", "receding", "buzz"):
        shade += 0.10 * _bump(u, v, 0.22 * face.light_x, -0.74, 0.20, 0.12)
    colour = _lit(face, shade)
    cheeks, nose_tip = _bump(sides, v, 0.43, 0.29, 0.17, 0.13), _bump(u, v, 0, 0.32, 0.09, 0.08)
    flush = (0.30 if child > 0.3 else 0.20) * cheeks + 0.10 * nose_tip
    colour += (np.array([206.0, 84.0, 76.0], dtype=np.float32) - colour) * flush[..., None]
    return _image(colour, pose.size)


def _neck(face: Face, pose: Pose) -> Image.Image:
    u, v = pose.grid(_COARSE)
    return _image(_lit(face, 0.80 + 0.10 * face.light_x * u - 0.20 * _bump(u, v, 0, 1.02, 0.8, 0.24)), pose.size)


def _lit(face: Face, shade: Field) -> RGB:
    # Shadows keep their red longest: exponents above 1 darken green and blue faster.
    falloff = np.power(np.clip(shade, 0.42, 1.12)[..., None], np.array([0.86, 1.04, 1.12], dtype=np.float32))
    return np.asarray(skin_colour(face) * falloff, dtype=np.float32)


def _hair(face: Face, pose: Pose) -> Image.Image:
    u, v = pose.grid(_FINE)
    rng = np.random.default_rng(face.texture)
    across = u - 0.25 * face.parting
    curly = face.hair_style in ("curls", "afro", "long_curly")
    if curly:
        coarse = rng.random((34, 34)).astype(np.float32)
        patch = Image.fromarray((255 * coarse).astype(np.uint8)).resize((_FINE, _FINE), Image.Resampling.BICUBIC)
        depth = 0.60 if face.hair_colour == "black" else 0.30
        streak = np.asarray(depth * (np.asarray(patch) / 255 - 0.5), dtype=np.float32)
    else:
        # Strands run from the parting over the crown and hang at the sides: lines of equal angle above, of equal u below.
        angle = np.asarray(np.where(v < 0, np.arctan2(across, 1.15 - v), across / 1.15), dtype=np.float32)
        if face.hair_style == "long_wavy":
            angle += 0.035 * np.sin(7.5 * v + 2 * across)
        knots = rng.standard_normal(160).astype(np.float32)
        streak = np.asarray(0.085 * np.interp(angle, np.linspace(-1.6, 1.6, 160), knots), dtype=np.float32)
    rise = np.exp(-(((np.hypot(u - 0.18 * face.light_x, v + 0.05) - 0.86) / 0.16) ** 2)) * (v < -0.2)
    lit = 0.92 + streak + 0.20 * rise + 0.10 * face.light_x * u - 0.07 * np.clip(v, -1, 1.8)
    shade = np.minimum(lit, 1.10)
    shine = np.clip(rise * (12 if curly else 24) * (1 + 3 * streak), 0, 60)[..., None]
    return _image((hair_colour(face) * shade[..., None] + shine).astype(np.float32), pose.size)


def _cloth(colour: Colour, face: Face, pose: Pose) -> Image.Image:
    u, v = pose.grid(_COARSE)
    shade = 0.96 + 0.12 * face.light_x * u - 0.10 * np.abs(u) ** 2 * 0.5 + 0.03 * np.sin(9 * u + 2 * v)
    shade = shade - 0.14 * _bump(u, v, 0, 1.30, 0.42, 0.20)
    return _image((np.array(colour, dtype=np.float32) * np.clip(shade, 0.5, 1.15)[..., None]).astype(np.float32), pose.size)


def _background(face: Face, pose: Pose) -> Image.Image:
    top, bottom = (np.array(c, dtype=np.float32) for c in face.background)
    rng = np.random.default_rng(face.scenery)
    ramp = np.linspace(0, 1, _COARSE, dtype=np.float32)[:, None, None] * np.ones((1, _COARSE, 1), dtype=np.float32)
    image = Image.fromarray(np.clip(top + (bottom - top) * ramp, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(2, 6))):  # out-of-focus things behind the figure
        x, y, r = (float(k) for k in rng.random(3) * (_COARSE, _COARSE, 11) + (0, 0, 4))
        tint = mix(rgb(top), (255, 255, 255) if rng.random() < 0.55 else (70, 74, 84), 0.5)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape((x - r, y - r * 1.2, x + r, y + r * 1.2), fill=(*tint, int(rng.integers(50, 130))))
    image = image.filter(ImageFilter.GaussianBlur(3.2))
    return _enlarge(image, pose.size)
