"""Draw what is worn on a head: glasses, hats and earrings."""

from __future__ import annotations

import numpy as np

from fairaudit.data.face_canvas import Canvas, Points, across, both, ellipse, mirrored, path
from fairaudit.data.face_features import eye_centre, head_width
from fairaudit.data.face_materials import mix, shadow
from fairaudit.data.face_spec import Face

_CAP_DEPTH = 0.05


def draw_earrings(canvas: Canvas, face: Face) -> None:
    """A stud at each lobe."""
    if not face.earrings:
        return
    w = head_width(face) + 0.03
    for side in (-1.0, 1.0):
        canvas.fill("earrings", ellipse(side * w, 0.37, 0.058, 0.075, 16), (222, 178, 76))
        canvas.fill("earrings", ellipse(side * w - 0.012, 0.35, 0.02, 0.026, 10), (255, 240, 190))


def draw_glasses(canvas: Canvas, face: Face) -> None:
    """Frame, bridge, arms, and lenses that let the eyes through."""
    if face.glasses == "none":
        return
    (x, y), w = eye_centre(face), head_width(face) + 0.01
    x, y = x + 0.005, y + 0.02
    frame, depth = face.glasses_colour, 0.19
    arm = np.asarray([(x + 0.2, y - 0.09), (w, y - 0.04), (w, y + 0.01), (x + 0.2, y - 0.03)])
    for outline in (arm, mirrored(arm)):
        canvas.fill("glasses", outline, frame, depth=0.06)
    bridge = np.asarray([(0.12, y - 0.09), (0.12, y - 0.03), (0.05, y - 0.055)])
    canvas.fill("glasses", np.concatenate([bridge, mirrored(bridge)[::-1]]), frame, depth=depth)
    for at in (-x, x):
        if face.glasses == "round":
            outer, inner = ellipse(at, y, 0.245, 0.225), ellipse(at, y, 0.203, 0.183)
        else:
            outer, inner = _rounded(at, y, 0.255, 0.195), _rounded(at, y, 0.213, 0.150)
        canvas.fill("glasses", inner, (236, 244, 252), depth=depth, alpha=0.13)
        canvas.fill("glasses", np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), frame, depth=depth)
        glint = np.asarray([(at - 0.13, y + 0.02), (at - 0.02, y - 0.14), (at + 0.03, y - 0.14), (at - 0.10, y + 0.06)])
        canvas.fill("glasses", glint, (255, 255, 255), depth=depth, alpha=0.28)


def _rounded(x: float, y: float, rx: float, ry: float) -> Points:
    t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    return np.stack([x + rx * np.sign(c) * np.abs(c) ** 0.5, y + ry * np.sign(s) * np.abs(s) ** 0.5], axis=1)


def draw_hat(canvas: Canvas, face: Face) -> None:
    """A beanie, a cap or a brimmed hat."""
    if face.hat != "none":
        curly = face.hair_style in ("afro", "curls", "long_curly")
        {"beanie": _beanie, "cap": _cap, "brim": _brim}[face.hat](
            canvas, face, head_width(face) + (0.16 if curly else 0.09)
        )


def _beanie(canvas: Canvas, face: Face, w: float) -> None:
    dome = both([(0, -1.36), (w * 0.55, -1.24), (w * 0.96, -0.85), (w, -0.42), (0, -0.52)])
    canvas.fill("hat", dome, "hat", depth=_CAP_DEPTH)
    for k in range(-4, 5):
        rib = path([(k * w * 0.21, -0.62), (k * w * 0.17, -1.0), (k * w * 0.08, -1.30)])
        canvas.stroke(rib, shadow(face.hat_colour, 0.35), 0.02, depth=_CAP_DEPTH, alpha=0.35)
    band = both([(0, -0.77), (w * 0.5, -0.74), (w * 1.03, -0.64), (w * 1.03, -0.34), (w * 0.5, -0.46), (0, -0.50)])
    canvas.fill("hat", band, mix(face.hat_colour, (255, 255, 255), 0.22), depth=_CAP_DEPTH)


def _cap(canvas: Canvas, face: Face, w: float) -> None:
    dark = shadow(face.hat_colour, 0.35)
    dome = both([(0, -1.28), (w * 0.60, -1.18), (w * 0.98, -0.80), (w, -0.40), (0, -0.55)])
    canvas.fill("hat", dome, "hat", depth=_CAP_DEPTH)
    canvas.stroke(path([(0, -1.26), (0.02, -0.9), (0, -0.62)]), dark, 0.025, depth=_CAP_DEPTH, alpha=0.5)
    visor = both([(0, -0.70), (w * 0.45, -0.66), (w * 0.86, -0.50), (w * 0.70, -0.37), (0, -0.31)])
    canvas.fill("hat", visor, shadow(face.hat_colour, 0.20), depth=0.16)
    canvas.stroke(across([(w * 0.70, -0.385), (0, -0.33)]), dark, 0.03, depth=0.16, alpha=0.7)


def _brim(canvas: Canvas, face: Face, w: float) -> None:
    crown = both([(0, -1.30), (w * 0.45, -1.38), (w * 0.82, -1.12), (w * 0.86, -0.55), (0, -0.55)])
    canvas.fill("hat", crown, "hat", depth=_CAP_DEPTH)
    ribbon = both([(0, -0.84), (w * 0.86, -0.76), (w * 0.87, -0.58), (0, -0.64)])
    canvas.fill("hat", ribbon, shadow(face.hat_colour, 0.35), depth=_CAP_DEPTH)
    brim = both([(0, -0.68), (w * 0.9, -0.63), (w * 1.52, -0.50), (w * 0.9, -0.42), (0, -0.40)])
    canvas.fill("hat", brim, mix(face.hat_colour, (255, 255, 255), 0.22), depth=_CAP_DEPTH)
