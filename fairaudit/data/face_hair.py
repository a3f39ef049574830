"""Draw what grows on a head: hair in fourteen styles, stubble, beards and moustaches."""

from __future__ import annotations

from itertools import product

import numpy as np

from fairaudit.data.face_canvas import Canvas, Points, across, both, closed, ellipse, mirrored, path
from fairaudit.data.face_features import head_outline, head_width, mouth_height
from fairaudit.data.face_materials import hair_colour, rgb, shadow
from fairaudit.data.face_spec import LONG_STYLES, Face

_CURLY = ("curls", "afro", "long_curly")
_CAP_DEPTH = 0.05


def _bumpy(outline: Points, face: Face, height: float, count: int) -> Points:
    """Curls along an outline: scallops of a height in head units."""
    step = np.hypot(*(np.roll(outline, -1, axis=0) - outline).T)
    along = np.concatenate([[0.0], np.cumsum(step)])
    fine = np.linspace(0, along[-1], 12 * count, endpoint=False)
    ring = np.concatenate([outline, outline[:1]])
    points = np.stack([np.interp(fine, along, ring[:, k]) for k in (0, 1)], axis=1)
    outward = points - points.mean(axis=0)
    outward /= np.maximum(np.hypot(*outward.T)[:, None], 1e-6)
    wave = np.abs(np.sin(np.linspace(0, np.pi * count, len(points), endpoint=False) + face.parting))
    uneven = 0.75 + 0.25 * np.sin(np.linspace(0, 2 * np.pi * 5, len(points)) + 3 * face.hair_shade)
    return np.asarray(points + outward * (height * wave * uneven)[:, None])


def draw_back_hair(canvas: Canvas, face: Face) -> None:
    """Hair behind the neck and the head."""
    w, style, volume = head_width(face), face.hair_style, face.hair_volume
    crown = 1.12 + 0.08 * volume
    if style == "braids":
        half = [(0.0, -crown), (w * 0.72, -0.95), (w + 0.10, -0.40), (w + 0.08, 0.30), (w * 0.8, 0.85), (0.3, 0.9)]
    elif style in ("long_straight", "long_wavy"):
        wide = w + 0.10 + 0.12 * volume + (0.06 if style == "long_wavy" else 0.0)
        half = [(0.0, -crown), (w * 0.72, -0.95), (w + 0.12, -0.40), (wide, 0.30)]
        half += [(wide + 0.03, 1.0), (wide - 0.02, 1.62), (0.3, 1.74)]
    elif style == "bob":
        wide = w + 0.12 + 0.10 * volume
        half = [(0.0, -crown), (w * 0.75, -0.96), (w + 0.12, -0.40), (wide, 0.35)]
        half += [(wide - 0.02, 0.88), (w * 0.75, 1.00), (0.2, 0.9)]
    elif style == "long_curly":
        wide = w + 0.20 + 0.16 * volume
        half = [(0.0, -crown - 0.08), (w * 0.8, -0.98), (w + 0.20, -0.40), (wide, 0.35)]
        half += [(wide + 0.06, 0.95), (wide - 0.12, 1.38), (0.3, 1.40)]
    elif style == "afro":
        radius = 1.06 + 0.20 * volume
        canvas.fill("hair", _bumpy(ellipse(0, -0.32, radius, radius * 0.98), face, 0.05, 34), "hair", depth=-0.03)
        return
    elif style == "bun" and face.hat == "none":
        knot = ellipse(0.05 * face.parting, -1.16 - 0.05 * volume, 0.30 + 0.06 * volume, 0.26)
        canvas.fill("hair", _bumpy(knot, face, 0.03, 9), "hair")
        return
    else:
        return
    outline = both(half)
    canvas.fill("hair", _bumpy(outline, face, 0.10, 26) if style == "long_curly" else outline, "back hair", depth=-0.03)


def draw_front_hair(canvas: Canvas, face: Face) -> None:
    """Hair on the crown, at the temples and over the forehead."""
    style = face.hair_style
    if style == "bald":
        return
    if style == "receding":
        _sides(canvas, face)
        return
    w, volume = head_width(face), face.hair_volume
    if style == "buzz":
        outline = _cap(w + 0.012, 1.015, _hairline(face, w, -0.60), w, -0.02)
        canvas.fill("hair", outline, rgb(hair_colour(face) * 0.9), depth=_CAP_DEPTH, alpha=0.80)
        return
    long = style in LONG_STYLES
    rise = 1.10 + 0.06 * volume + {"quiff": 0.06, "curls": 0.05, "afro": 0.10, "bun": -0.04}.get(style, 0.0)
    side = {"afro": 0.12, "curls": 0.05, "bun": -0.03}.get(style, 0.0)
    low = 0.10 if long else -0.06
    outline = _cap(w + 0.05 + side + 0.02 * volume, rise, _hairline(face, w, -0.64 + 0.03 * volume), w, low)
    if style in _CURLY:
        outline = _bumpy(outline, face, 0.055, 24)
    canvas.fill("hair", outline, "hair", depth=_CAP_DEPTH)
    if style == "quiff" and face.hat == "none":
        lean = 0.25 * (1 if face.parting > 0 else -1)
        right, left = w * 0.60 + lean * 0.3, -w * 0.60 + lean * 0.3
        base = [(w * 0.72, -0.70), (w * 0.25, -0.74), (-w * 0.25, -0.74), (-w * 0.72, -0.70)]
        tuft = closed([(left, -1.08), (lean, -1.32 - 0.08 * volume), (right, -1.10), *base])
        canvas.fill("hair", tuft, "hair", depth=_CAP_DEPTH)
    if style in ("side_part", "bob", "long_straight", "long_wavy") and face.fringe == 0:
        _sweep(canvas, face, w)
    if face.fringe > 0 and style not in ("bun", "quiff"):
        _fringe(canvas, face, w)
    if long:
        _locks(canvas, face, w)


def _hairline(face: Face, w: float, top: float) -> Points:
    """From the right temple over the forehead to the left one."""
    peak = 0.03 * face.hair_shade
    return across([(w * 0.86, -0.30), (w * 0.70, -0.52), (w * 0.35, top - 0.02), (0.0, top + peak)])


def _cap(outer: float, rise: float, hairline: Points, w: float, low: float) -> Points:
    """From the left temple over the crown to the right temple, and back along the hairline."""
    t = np.linspace(np.pi, 2 * np.pi, 30)
    over = np.stack([outer * np.cos(t), rise * np.sin(t)], axis=1)
    right = np.asarray([(outer, low * 0.5), (w * 0.99, low), (w * 0.93, low - 0.10)])
    return np.concatenate([mirrored(right)[::-1], over, right, hairline])


def _sides(canvas: Canvas, face: Face) -> None:
    w = head_width(face)
    outer = [(w + 0.05, -0.02), (w + 0.06, -0.35), (w * 0.94, -0.66), (w * 0.78, -0.72)]
    half = closed([*outer, (w * 0.80, -0.48), (w * 0.90, -0.22), (w * 0.93, -0.02)])
    for outline in (half, mirrored(half)):
        canvas.fill("hair", outline, "hair", depth=_CAP_DEPTH)


def _sweep(canvas: Canvas, face: Face, w: float) -> None:
    """Hair combed from the parting across the forehead to both sides."""
    at = 0.42 * w * (face.parting if abs(face.parting) > 0.3 else 0.5)
    for edge in (-1.0, 1.0):
        reach = abs(edge * w - at)
        under = [(at, -0.98), (at + edge * 0.02, -0.72), (at + edge * reach * 0.45, -0.56), (edge * w * 0.92, -0.24)]
        outline = closed([*under, (edge * (w + 0.03), -0.10), (edge * (w + 0.04), -0.45), (edge * w * 0.8, -0.86)])
        canvas.fill("hair", outline, "hair", depth=_CAP_DEPTH)
    line = path([(at, -1.04), (at * 0.98, -0.88), (at, -0.72)])
    canvas.stroke(line, shadow(hair_colour(face), 0.5), 0.025, depth=_CAP_DEPTH, alpha=0.6)


def _fringe(canvas: Canvas, face: Face, w: float) -> None:
    reach = -0.62 + 0.30 * face.fringe
    n = 7
    teeth: list[tuple[float, float]] = []
    for k in range(n):
        x = -w * 0.84 + 2 * w * 0.84 * k / (n - 1)
        teeth += [(x, reach + 0.07 * (x / w) ** 2 + 0.02 * ((k * 7) % 3 - 1))]
        if k < n - 1:
            teeth += [(x + w * 0.14, reach - 0.035 + 0.07 * (x / w) ** 2)]
    outline = np.concatenate([across([(w * 0.93, -0.25), (w * 0.80, -0.75), (0, -0.98)]), path(teeth)])
    canvas.fill("hair", outline, "hair", depth=_CAP_DEPTH)


def _locks(canvas: Canvas, face: Face, w: float) -> None:
    """Hair in front of ears and shoulders."""
    style, volume = face.hair_style, face.hair_volume
    if style == "braids":
        strand = [
            (w + 0.08, -0.3),
            (w + 0.11, 0.3),
            (w * 0.95 + 0.06, 0.80),
            (w * 0.86, 0.72),
            (w * 0.93, 0.2),
            (w * 0.92, -0.25),
        ]
        for side in (closed(strand), mirrored(closed(strand))):
            canvas.fill("hair", side, "hair")
        for flip, k in product((1.0, -1.0), range(6)):
            x, y = flip * w * 0.92, 0.78 + 0.165 * k
            canvas.fill("hair", ellipse(x + flip * 0.03 * np.sin(k), y, 0.125 - 0.008 * k, 0.105, 16), "hair")
            notch = path([(x - 0.09, y - 0.06), (x, y + 0.06), (x + 0.09, y - 0.06)])
            canvas.stroke(notch, shadow(hair_colour(face), 0.55), 0.025, alpha=0.7)
        return
    length = {"bob": 0.90, "long_curly": 1.34}.get(style, 1.70)
    wide = w + {"bob": 0.12, "long_curly": 0.24, "long_wavy": 0.17}.get(style, 0.11) + 0.10 * volume
    wave = 0.07 if style == "long_wavy" else 0.0
    tuck = 0.90 if style != "long_curly" else 0.94
    inner = [(w * 0.90, -0.40), (w * tuck, 0.0), (w * (tuck - 0.02) + wave, 0.35), (w * 0.86 - wave, 0.70)]
    if length > 1:
        inner += [(w * 0.84 + wave * 0.6, 1.0), (w * 0.66 - wave, 1.35)]
    tip = [(w * 0.80 if length < 1 else w * 0.70, length), (wide - 0.10, length - 0.02)]
    outer = [
        (wide + 0.02 - wave, length * 0.78),
        (wide + wave, 0.45),
        (wide - 0.05, 0.0),
        (w + 0.09, -0.45),
        (w * 0.85, -0.70),
    ]
    half = closed([*inner, *tip, *outer], steps=5)
    if style == "long_curly":
        half = _bumpy(half, face, 0.055, 20)
    for outline in (half, mirrored(half)):
        canvas.fill("hair", outline, "hair", depth=0.02)


def draw_beard(canvas: Canvas, face: Face) -> None:
    """Stubble, a short or full beard, a goatee; a moustache."""
    w, y, chin = head_width(face), mouth_height(face), 1 + face.chin
    if face.beard in ("stubble", "short", "full"):
        drop, cheek = {"stubble": (0.0, 0.34), "short": (0.03, 0.36), "full": (0.20, 0.30)}[face.beard]
        jaw = head_outline(face)
        lower = jaw[(jaw[:, 1] > 0.16)]
        lower = lower[np.argsort(-np.arctan2(lower[:, 1], lower[:, 0]))]
        stretch = 1 + drop * np.clip(lower[:, 1], 0, 1) ** 4
        grown = lower * np.stack([np.full(len(lower), 1.005 + 0.10 * drop), stretch], axis=1)
        lip = (0.20, 0.50 if face.moustache else 0.55)
        top = across([(w * 0.93, 0.18), (w * 0.80, cheek), (w * 0.52, 0.50), lip, (0.0, y - 0.10)])
        outline = np.concatenate([grown, top])
        if face.beard == "stubble":
            canvas.fill("skin", outline, rgb(hair_colour(face) * 0.8), depth=0.03, alpha=0.20)
        else:
            canvas.fill("beard", outline, "beard", depth=0.03, alpha=0.94 if face.beard == "full" else 0.84)
    elif face.beard == "goatee":
        outline = both([(0.0, y + 0.13), (0.20, y + 0.10), (0.27, chin - 0.18), (0.14, chin + 0.03)])
        canvas.fill("beard", outline, "beard", depth=0.10, alpha=0.92)
    if face.moustache:
        lift = 0.04 * max(face.smile, 0)
        tip = [(0.30, y + 0.02 - lift), (0.29, y + 0.07 - lift)]
        outline = both([(0.0, y - 0.15), (0.16, y - 0.13), *tip, (0.15, y - 0.035), (0.0, y - 0.055)])
        canvas.fill("beard", outline, "beard", depth=0.16, alpha=0.93)
