"""Draw the figure and the features of its face: shoulders, head, eyes, brows, nose, mouth, lines of age."""

from __future__ import annotations

import numpy as np

from fairaudit.data.face_canvas import Canvas, Points, across, both, ellipse, mirrored, path
from fairaudit.data.face_materials import brow_colour, lip_colour, mix, rgb, shadow, skin_colour
from fairaudit.data.face_spec import Colour, Face

_FRONT = 0.16  # how far the features lie in front of the head's axis


def head_outline(face: Face) -> Points:
    """The head without ears: a round cranium above the eyes, a tapering superellipse below."""
    t = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    power = np.where(s > 0, 2 / (2.05 + 0.75 * face.jaw), 1.0)
    width = head_width(face)
    x = width * np.sign(c) * np.abs(c) ** power
    y = np.where(s > 0, (1 + face.chin - 0.03 * face.childlike) * np.abs(s) ** power, s * 1.0)
    taper = 0.24 - 0.15 * face.jaw - 0.08 * face.childlike
    return np.stack([x * (1 - taper * np.clip(y, 0, None) ** 2), y], axis=1)


def head_width(face: Face) -> float:
    """Half-width of the head at eye level."""
    return face.head_width * (1 + 0.05 * face.childlike)


def eye_centre(face: Face) -> tuple[float, float]:
    """The right-hand eye's centre."""
    return 0.315 + 0.018 * face.eye_spacing, 0.02 + 0.10 * face.childlike


def mouth_height(face: Face) -> float:
    """The height of the line between the lips."""
    return 0.61 + 0.03 * face.childlike


def draw_neck(canvas: Canvas, face: Face) -> None:
    """Neck and the skin that a neckline shows."""
    w = face.neck_width * (1 - 0.22 * face.childlike)
    side = [(w, 0.45), (w * 0.97, 1.05), (w * 1.08, 1.30), (w * 1.9, 1.46), (w * 1.9, 2.1)]
    outline = np.asarray([*side, *((-x, y) for x, y in reversed(side))])
    canvas.fill("skin", outline, "neck")


def draw_clothes(canvas: Canvas, face: Face) -> None:
    """Shoulders in one of five cuts."""
    n = face.neck_width * (1 - 0.22 * face.childlike)
    s = face.shoulder_width * (1 - 0.22 * face.childlike)
    neckline = {
        "crew": [(n * 1.12, 1.30), (n * 0.72, 1.50), (0.0, 1.58)],
        "vneck": [(n * 1.12, 1.30), (n * 0.60, 1.52), (0.0, 1.88)],
        "shirt": [(n * 1.05, 1.24), (n * 0.55, 1.42), (0.0, 1.62)],
        "hoodie": [(n * 1.30, 1.28), (n * 0.85, 1.47), (0.0, 1.60)],
        "rollneck": [(n * 1.06, 1.14), (n * 0.6, 1.20), (0.0, 1.22)],
    }[face.clothes]
    shoulder = [(n * 1.75, 1.41), (s * 0.74, 1.55), (s * 0.95, 1.72), (s * 1.04, 2.10), (s * 1.04, 2.8)]
    half = [*neckline[::-1], *shoulder]
    right = path(half)
    cloth = face.clothes_colour
    if face.clothes == "hoodie":
        canvas.fill("clothes", ellipse(0, 1.42, n * 1.95, 0.36), shadow(cloth, 0.22))
        draw_neck_patch(canvas, n)
    canvas.fill("clothes", np.concatenate([right, mirrored(right)[::-1]]), "clothes")
    edge = path([*neckline, *((-x, y) for x, y in neckline[-2::-1])])
    if face.clothes == "shirt":
        collar = np.asarray([(n * 1.16, 1.18), (n * 0.10, 1.60), (n * 0.80, 1.82), (n * 1.72, 1.42)])
        for flap in (collar, mirrored(collar)):
            canvas.fill("clothes", flap, mix(cloth, (255, 255, 255), 0.22))
            canvas.stroke(flap[1:], shadow(cloth, 0.4), 0.025, alpha=0.6)
        canvas.stroke(np.asarray([(0.0, 1.62), (0.0, 2.2)]), shadow(cloth, 0.4), 0.03, alpha=0.6)
    elif face.clothes == "rollneck":
        canvas.stroke(path([(-n * 1.2, 1.36), (0, 1.44), (n * 1.2, 1.36)]), shadow(cloth, 0.4), 0.04, alpha=0.5)
    else:
        canvas.stroke(edge, shadow(cloth, 0.35), 0.055, alpha=0.55)
    if face.clothes == "hoodie":
        for x in (-0.16, 0.16):
            canvas.stroke(path([(x, 1.56), (x * 1.2, 1.72), (x * 1.1, 1.9)]), mix(cloth, (255, 255, 255), 0.6), 0.035)


def draw_neck_patch(canvas: Canvas, width: float) -> None:
    """The neck in front of a hood."""
    canvas.fill("skin", np.asarray([(-width, 0.9), (width, 0.9), (width * 1.1, 1.7), (-width * 1.1, 1.7)]), "neck")


def draw_head(canvas: Canvas, face: Face) -> None:
    """Ears and the head itself."""
    w = head_width(face)
    dark = shadow(skin_colour(face), 0.34)
    for side in (-1.0, 1.0):
        x = side * w - 0.05 * face.yaw
        canvas.fill("skin", ellipse(x + side * 0.015, 0.13, 0.085, 0.175), "skin")
        fold = path([(x + side * 0.045, 0.03), (x + side * 0.02, 0.12), (x + side * 0.035, 0.22)])
        canvas.stroke(fold, dark, 0.03, alpha=0.55)
    outline = head_outline(face)
    canvas.fill("skin", outline, "skin")
    if face.freckles > 0:
        rng = np.random.default_rng(face.texture)
        spots = rng.normal(0, 1, (round(10 + 26 * face.freckles), 2)) * (0.13, 0.075) + (0.30, 0.27)
        spots[::2, 0] *= -1
        for x, y in spots:
            canvas.fill(
                "skin", ellipse(x, y, 0.017, 0.017, 8), shadow(skin_colour(face), 0.4), depth=_FRONT * 0.7, alpha=0.49
            )


def draw_eyes(canvas: Canvas, face: Face) -> None:
    """Both eyes: white, iris, pupil, highlight, lids and lashes."""
    ex, ey = eye_centre(face)
    child = face.childlike
    wide = 0.142 + 0.030 * face.eye_size + 0.012 * child
    high = (0.058 + 0.026 * face.eye_size + 0.026 * child) * (0.72 + 0.28 * face.eye_open)
    high *= 1 - 0.16 * max(face.smile, 0)  # a smile narrows the eyes
    skin = skin_colour(face)
    lid = mix(shadow(skin, 0.80), (30, 22, 22), 0.55)
    for side in (-1.0, 1.0):
        tilt = 0.035 * face.eye_tilt + 0.012
        inner, outer = (-wide, 0.016), (wide, -tilt)
        top = path(
            [
                inner,
                (-wide * 0.45, -high * 0.92),
                (wide * 0.15, -high * 1.05),
                (wide * 0.68, -high * 0.72 - tilt * 0.5),
                outer,
            ]
        )
        low = path([outer, (wide * 0.45, high * 0.62), (-wide * 0.25, high * 0.74), inner])
        flip = np.array([side, 1.0])
        at = np.array([side * ex, ey])
        almond = np.concatenate([top, low[1:]]) * flip + at
        canvas.fill("eyes", almond, (243, 240, 236), depth=_FRONT)
        r = 0.078 + 0.010 * child + 0.006 * face.eye_size
        ix, iy = side * ex + 0.022 * face.gaze, ey - 0.008
        canvas.fill("eyes", ellipse(ix, iy, r, r, 22), mix(face.eye_colour, (20, 14, 12), 0.45), depth=_FRONT, clip=almond)
        canvas.fill("eyes", ellipse(ix, iy + 0.008, r * 0.76, r * 0.76, 20), face.eye_colour, depth=_FRONT, clip=almond)
        canvas.fill("eyes", ellipse(ix, iy, r * 0.44, r * 0.44, 16), (16, 12, 14), depth=_FRONT, clip=almond)
        gleam = ellipse(ix + 0.028 * (1 if face.light_x > 0 else -1), iy - 0.028, 0.020, 0.020, 12)
        canvas.fill("eyes", gleam, (255, 255, 255), depth=_FRONT, clip=almond)
        line = top * flip + at
        thick = 0.020 + 0.030 * face.lashes
        canvas.fill("eyes", np.concatenate([line, line[::-1] - (0, thick)]), lid, depth=_FRONT)
        if face.lashes > 0.45:
            wing = np.array(
                [(wide * 0.70, -high * 0.7 - tilt), (wide + 0.05 * face.lashes, -tilt - 0.055), (wide, -tilt + 0.01)]
            )
            canvas.fill("eyes", wing * flip + at, lid, depth=_FRONT)
        crease = top[2:-2] * (1.02, 1.0) * flip + at - (0, 0.052 + 0.012 * face.eye_open)
        canvas.stroke(crease, shadow(skin, 0.5), 0.022, depth=_FRONT, alpha=0.5)
        canvas.stroke(low * flip + at, shadow(skin, 0.55), 0.022, depth=_FRONT, alpha=0.45)


def draw_brows(canvas: Canvas, face: Face) -> None:
    """Two tapering strokes."""
    ex, ey = eye_centre(face)
    y = ey - 0.205 - 0.05 * face.brow_height
    thick = (0.026 + 0.052 * face.brow_weight) * (1 - 0.45 * face.childlike)
    arch, slope = 0.035 + 0.03 * max(face.brow_tilt, 0), 0.03 * face.brow_tilt
    upper = path(
        [(-0.18, -0.004 - slope), (-0.06, -arch * 0.8 - slope * 0.4), (0.09, -arch * 1.05), (0.235, 0.035 + slope * 0.5)]
    )
    lower = path(
        [
            (0.235, 0.04 + slope * 0.5),
            (0.09, -arch * 1.05 + thick),
            (-0.06, -arch * 0.8 - slope * 0.4 + thick * 1.25),
            (-0.185, -0.004 - slope + thick),
        ]
    )
    half = np.add(np.concatenate([upper, lower]), (ex, y))
    for outline in (half, mirrored(half)):
        canvas.fill("brows", outline, brow_colour(face), depth=_FRONT * 0.95, alpha=0.92)


def draw_nose(canvas: Canvas, face: Face) -> None:
    """Nostrils, wings and the shadow under the tip; the bridge is the skin material's shading."""
    child = face.childlike
    base = 0.335 + 0.05 * (face.nose_length - 0.5) + 0.02 * child
    w = (0.098 + 0.062 * face.nose_width) * (1 - 0.18 * child)
    skin = skin_colour(face)
    front = _FRONT * 1.5
    outline = both([(0, -0.10), (w * 0.45, 0.05), (w * 1.12, base - 0.04), (w * 0.8, base + 0.05), (0, base + 0.075)])
    canvas.mark("nose", outline, depth=front)
    under = both([(0, base + 0.080), (w * 0.55, base + 0.062), (w, base), (0, base + 0.035)])
    canvas.fill("nose", under, shadow(skin, 0.42), depth=front, alpha=0.45)
    for side in (-1.0, 1.0):
        canvas.fill(
            "nose", ellipse(side * w * 0.48, base + 0.034, 0.034, 0.019, 14), shadow(skin, 0.88), depth=front, alpha=0.85
        )
        wing = path([(side * w * 0.92, base - 0.085), (side * w * 1.10, base - 0.02), (side * w * 0.90, base + 0.045)])
        canvas.stroke(wing, shadow(skin, 0.60), 0.026, depth=front, alpha=0.55)
    dim = -1.0 if face.light_x > 0 else 1.0
    bridge = path([(dim * 0.075, -0.06), (dim * 0.055, 0.10), (dim * 0.085, base - 0.09)])
    canvas.stroke(bridge, shadow(skin, 0.45), 0.03, depth=front, alpha=0.30)
    tip = ellipse(-dim * 0.016, base - 0.05, 0.034, 0.030, 14)
    canvas.fill("nose", tip, mix(rgb(skin), (255, 250, 244), 0.45), depth=front, alpha=0.40)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    """Closed lips, or an open smile with teeth."""
    y = mouth_height(face)
    smile = face.smile
    w = face.mouth_width * (1 - 0.14 * face.childlike) * (1 + 0.20 * max(smile, 0))
    lift = 0.085 * smile
    full = 0.034 + 0.042 * face.lips
    lips = lip_colour(face)
    deep = mix(shadow(lips, 0.62), (60, 20, 24), 0.4)
    corner = (w, y - lift)
    opened = (0.035 + 0.075 * smile) if face.teeth else 0.0
    sag = 0.35 * lift
    upper = across([corner, (w * 0.5, y - full * 0.82 - lift * 0.45), (w * 0.16, y - full), (0.0, y - full * 0.74)])
    lower = across([corner, (w * 0.52, y + full * 1.05 + opened + sag * 0.4), (0.0, y + full * 1.35 + opened + sag)])
    canvas.fill("mouth", np.concatenate([upper, lower[::-1]]), lips, depth=_FRONT)
    if face.teeth:
        top = across([corner, (w * 0.5, y - lift * 0.5 - 0.008), (0, y - 0.004)])
        bottom = across([corner, (w * 0.52, y + opened * 0.86), (0, y + opened + sag * 0.7)])
        hole = np.concatenate([top, bottom[::-1]])
        canvas.fill("mouth", hole, (92, 30, 34), depth=_FRONT)
        teeth = across([(w * 0.9, y - lift * 0.9), (w * 0.5, y + opened * 0.52), (0, y + opened * 0.72)])
        canvas.fill("mouth", np.concatenate([top, teeth[::-1]]), (246, 242, 236), depth=_FRONT, clip=hole)
    else:
        between = across([corner, (w * 0.5, y - lift * 0.30 + 0.004), (0, y + 0.012 + sag * 0.3)])
        canvas.stroke(between, deep, 0.026, depth=_FRONT)
    gloss = mix(lips, (255, 226, 220), 0.32 + 0.16 * face.lipstick)
    shine = ellipse(0, y + full * 0.82 + opened + sag * 0.8, w * 0.34, full * 0.22, 16)
    canvas.fill("mouth", shine, gloss, depth=_FRONT, alpha=0.55)
    for x in (w, -w):
        dip = path([(x * 1.0, y - lift - 0.02), (x * 1.05, y - lift - 0.005), (x * 1.05, y - lift + 0.012)])
        canvas.stroke(dip, shadow(skin_colour(face), 0.6), 0.022, depth=_FRONT, alpha=0.5)


def draw_lines(canvas: Canvas, face: Face) -> None:
    """Folds of a smile and of age."""
    skin = skin_colour(face)
    dark: Colour = shadow(skin, 0.55)
    ex, ey = eye_centre(face)
    aged = min(max((face.age - 38) / 34, 0.0), 1.0)
    fold = min(aged * 0.6 + 0.22 * max(face.smile, 0), 0.75)
    if fold > 0.1:
        right = path([(0.185, 0.37), (0.30, 0.47), (0.345 + 0.03 * max(face.smile, 0), 0.60)])
        for line in (right, mirrored(right)):
            canvas.stroke(line, dark, 0.026, depth=_FRONT * 0.9, alpha=fold)
    if aged <= 0.12:
        return
    for k, y in enumerate((-0.40, -0.48, -0.56)):
        span = 0.30 - 0.03 * k
        furrow = path([(-span, y), (-span * 0.3, y - 0.022), (span * 0.3, y - 0.018), (span, y + 0.004)])
        canvas.stroke(furrow, dark, 0.022, depth=_FRONT * 0.8, alpha=0.55 * aged)
    right_lines = [
        path([(ex + 0.20, ey - 0.01), (ex + 0.27, ey - 0.05)]),
        path([(ex + 0.20, ey + 0.02), (ex + 0.28, ey + 0.03)]),
        path([(ex - 0.13, ey + 0.12), (ex, ey + 0.155), (ex + 0.13, ey + 0.12)]),
    ]
    for line in right_lines:
        for each in (line, mirrored(line)):
            canvas.stroke(each, dark, 0.022, depth=_FRONT * 0.9, alpha=0.60 * aged)
