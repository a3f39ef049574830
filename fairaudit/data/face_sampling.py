"""Draw random figures: which looks are likely for which presentation, tone and age, and what changes between two pictures.

Cues of presentation overlap on purpose: long hair, lipstick, a heavy jaw or thick brows make one presentation likelier and
never certain (only a beard is drawn on one presentation alone), and ``difficulty`` pulls both towards their common mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fairaudit.data.face_spec import GENDERS, TONE_RANGES, TONES, YOUNG_BELOW, Colour, Face

_HAIR_BY_TONE = {
    "light": {"black": 0.16, "brown": 0.42, "blond": 0.30, "red": 0.12},
    "medium": {"black": 0.52, "brown": 0.34, "blond": 0.11, "red": 0.03},
    "dark": {"black": 0.68, "brown": 0.20, "blond": 0.09, "red": 0.03},
}
_LONG_BY_TONE = {
    "light": {"long_straight": 0.38, "long_wavy": 0.32, "long_curly": 0.10, "bob": 0.20, "braids": 0.00},
    "medium": {"long_straight": 0.42, "long_wavy": 0.24, "long_curly": 0.12, "bob": 0.16, "braids": 0.06},
    "dark": {"long_straight": 0.20, "long_wavy": 0.16, "long_curly": 0.30, "bob": 0.12, "braids": 0.22},
}
_SHORT_BY_TONE = {
    "light": {"crop": 0.26, "side_part": 0.26, "quiff": 0.20, "buzz": 0.10, "curls": 0.16, "afro": 0.02},
    "medium": {"crop": 0.26, "side_part": 0.24, "quiff": 0.20, "buzz": 0.12, "curls": 0.16, "afro": 0.02},
    "dark": {"crop": 0.20, "side_part": 0.08, "quiff": 0.10, "buzz": 0.22, "curls": 0.18, "afro": 0.22},
}
_EYES_BY_TONE: dict[str, dict[Colour, float]] = {
    "light": {(72, 126, 170): 0.34, (88, 132, 92): 0.22, (120, 82, 48): 0.32, (104, 118, 128): 0.12},
    "medium": {(120, 82, 48): 0.50, (78, 50, 30): 0.32, (96, 122, 78): 0.18},
    "dark": {(78, 50, 30): 0.66, (112, 74, 42): 0.34},
}
_FABRICS: tuple[Colour, ...] = (
    (54, 84, 120), (178, 70, 66), (226, 222, 212), (62, 66, 74), (92, 132, 112), (218, 168, 84),
    (122, 96, 140), (214, 140, 136), (84, 140, 160), (142, 116, 88), (36, 52, 78), (170, 186, 196),
)  # fmt: skip
_SCENES: tuple[tuple[Colour, Colour], ...] = (
    ((196, 214, 226), (160, 184, 202)), ((232, 220, 204), (206, 188, 166)), ((196, 208, 190), (150, 172, 148)),
    ((150, 162, 176), (104, 118, 136)), ((222, 204, 204), (190, 166, 170)), ((170, 206, 230), (136, 168, 120)),
    ((238, 236, 232), (208, 206, 204)), ((122, 134, 150), (78, 88, 106)), ((240, 206, 160), (204, 146, 112)),
    ((178, 176, 206), (136, 132, 172)),
)  # fmt: skip
_LIPSTICKS: tuple[Colour, ...] = ((186, 40, 56), (204, 78, 98), (150, 34, 66), (210, 98, 84), (172, 58, 100))


def sample_face(rng: np.random.Generator, *, difficulty: float = 0.3, **fixed: Any) -> Face:
    """Draw one figure in one picture.

    The same calls are made on ``rng`` whatever is fixed, so fixing one property leaves the unrelated ones as they were.

    Args:
        rng: the only source of randomness.
        difficulty: 0 keeps the cues of presentation as far apart as they are, 1 removes them all (beards excepted).
        fixed: values of fields of ``Face``, or of its yes/no attributes (``Blond_Hair=True``), that must hold. A field
            overrides an attribute; among attributes that exclude each other (a bald blond) hair goes before baldness,
            long hair before a bald head, a beard before youth below fifteen.

    Raises:
        TypeError: a name is neither a field nor an attribute.
    """
    wish = {name: fixed.pop(name, None) for name in Face.ATTRIBUTES}
    gender = str(fixed.get("gender", _pick(rng, dict.fromkeys(GENDERS, 1.0))))
    tone = str(fixed.get("tone", _pick(rng, dict.fromkeys(TONES, 1.0))))
    woman = gender == "woman"
    keep = 1.0 - difficulty

    def cue(for_woman: float, for_man: float) -> float:
        middle, half = (for_woman + for_man) / 2, (for_woman - for_man) / 2
        return middle + keep * half * (1 if woman else -1)

    def near(for_woman: float, for_man: float, spread: float, low: float = 0.0, high: float = 1.0) -> float:
        return min(max(cue(for_woman, for_man) + spread * float(rng.normal()), low), high)

    def chance(for_woman: float, for_man: float | None = None) -> bool:
        return float(rng.random()) < cue(for_woman, for_woman if for_man is None else for_man)

    age = float(fixed.get("age", _age(rng, wish["Young"], bool(wish["Beard"]))))
    adult = age >= 15
    hair_colour = _hair_colour(rng, tone, age, wish["Blond_Hair"])
    long, tied = chance(0.80, 0.10), chance(0.44, 0.04)
    hair_style = _hair_style(rng, tone, 0.0 if woman else age, long, tied, wish)
    low, high = TONE_RANGES[tone]
    beard_drawn, beard_kind = float(rng.random()) < 0.42, _pick(rng, {"short": 0.4, "full": 0.35, "goatee": 0.25})
    stubble = float(rng.random()) < 0.22
    bearded = beard_drawn and adult and not woman if wish["Beard"] is None else bool(wish["Beard"])
    beard = beard_kind if bearded else "stubble" if stubble and adult and not woman else "none"
    moustache = (float(rng.random()) < (0.75 if beard in ("short", "full", "goatee") else 0.07)) and adult and not woman
    eyeglasses, hatted, smiling = chance(0.18), chance(0.13), chance(0.50, 0.42)
    frame = _pick(rng, {"round": 0.5, "square": 0.5})
    hat = _pick(rng, {"beanie": 0.36, "cap": 0.36, "brim": 0.28})
    eyeglasses = eyeglasses if wish["Eyeglasses"] is None else bool(wish["Eyeglasses"])
    hatted = hatted if wish["Wearing_Hat"] is None else bool(wish["Wearing_Hat"])
    painted, ringed = chance(0.55, 0.02), chance(0.46, 0.05)
    grown = min(max((age - 3) / 15, 0.0), 1.0)
    values: dict[str, Any] = {
        "gender": gender, "tone": tone, "age": age,
        "melanin": low + (high - low) * float(rng.random()), "undertone": float(rng.uniform(-1, 1)),
        "head_width": near(0.715, 0.755, 0.03, 0.62, 0.84), "jaw": near(0.28, 0.68, 0.20) * grown,
        "chin": near(-0.01, 0.03, 0.025, -0.08, 0.10), "neck_width": near(0.33, 0.44, 0.04, 0.26, 0.55),
        "shoulder_width": near(1.16, 1.40, 0.09, 0.95, 1.6),
        "hair_style": hair_style, "hair_colour": hair_colour, "hair_shade": float(rng.uniform(-1, 1)),
        "hair_volume": float(rng.random()),
        "fringe": float(rng.uniform(0.55, 1)) * (float(rng.random()) < 0.28),
        "parting": float(rng.uniform(-1, 1)),
        "brow_weight": near(0.32, 0.68, 0.17, 0.05), "brow_tilt": near(0.30, -0.05, 0.35, -1, 1),
        "brow_height": near(0.6, 0.4, 0.25),
        "eye_colour": _pick(rng, _EYES_BY_TONE[tone]), "eye_size": near(0.56, 0.42, 0.15),
        "eye_spacing": float(rng.uniform(-1, 1)), "eye_tilt": float(rng.uniform(-1, 1)),
        "eye_open": float(rng.uniform(0.3, 1)), "gaze": float(rng.uniform(-1, 1)),
        "lashes": near(0.80, 0.25, 0.18) * (1 if adult else 0.6),
        "nose_width": near(0.42, 0.58, 0.17), "nose_length": near(0.45, 0.55, 0.2),
        "mouth_width": near(0.27, 0.28, 0.02, 0.21, 0.34), "lips": near(0.62, 0.42, 0.17),
        **_expression(rng, smiling if wish["Smiling"] is None else bool(wish["Smiling"])),
        "lipstick": float(rng.uniform(0.55, 1)) * (painted and adult), "lipstick_colour": _pick(rng, _even(_LIPSTICKS)),
        "beard": beard, "moustache": moustache,
        "glasses": frame if eyeglasses else "none",
        "glasses_colour": _pick(rng, _even(((34, 32, 36), (92, 54, 36), (120, 40, 48), (58, 78, 110), (150, 118, 62)))),
        "hat": hat if hatted else "none", "hat_colour": _pick(rng, _even(_FABRICS)),
        "earrings": ringed and age > 8,
        "clothes": _pick(rng, {"crew": 0.3, "vneck": 0.18, "shirt": 0.22, "hoodie": 0.16, "rollneck": 0.14}),
        "clothes_colour": _pick(rng, _even(_FABRICS)),
        "freckles": float(rng.random()) * (float(rng.random()) < (0.45 if hair_colour == "red" else 0.12)),
        "texture": int(rng.integers(2**31)),
        **_circumstances(rng),
    }  # fmt: skip
    return Face(**(values | fixed))


def another_picture(rng: np.random.Generator, face: Face, *, smiling: bool | None = None) -> Face:
    """The same figure on another day: pose, expression, light, background and clothes change, all else stays.

    Args:
        rng: the only source of randomness.
        face: a picture of the figure.
        smiling: whether it smiles; None draws it. It is the only label that may differ from ``face``'s.
    """
    chance = float(rng.random()) < 0.47
    smiling = chance if smiling is None else smiling
    changes: dict[str, Any] = {**_expression(rng, smiling), **_circumstances(rng)}
    changes["clothes_colour"] = _pick(rng, _even(_FABRICS))
    changes["eye_open"], changes["gaze"] = float(rng.uniform(0.3, 1)), float(rng.uniform(-1, 1))
    return replace(face, **changes)


def _expression(rng: np.random.Generator, smiling: bool) -> dict[str, Any]:
    broad, faint = float(rng.uniform(0.5, 1.0)), float(rng.uniform(-0.08, 0.25))
    shows = float(rng.random()) < 0.7
    return {"smile": broad if smiling else faint, "teeth": smiling and shows}


def _circumstances(rng: np.random.Generator) -> dict[str, Any]:
    def normal(spread: float, limit: float) -> float:
        return min(max(spread * float(rng.normal()), -limit), limit)

    return {
        "background": _pick(rng, _even(_SCENES)), "scenery": int(rng.integers(2**31)),
        "shift_x": normal(0.018, 0.045), "shift_y": normal(0.014, 0.035), "scale": 1 + normal(0.035, 0.08),
        "roll": normal(0.045, 0.12), "yaw": normal(0.38, 1.0),
        "light_x": float(rng.uniform(-1, 1)), "light": 1 + normal(0.05, 0.11), "warmth": normal(0.4, 1.0),
        "contrast": 1 + normal(0.05, 0.12),
        "blur": float(rng.uniform(0.0, 0.004)), "noise": float(rng.uniform(0.5, 2.5)),
        "noise_seed": int(rng.integers(2**31)),
    }  # fmt: skip


def _age(rng: np.random.Generator, young: bool | None, grown: bool) -> float:
    stage = _pick(rng, {"child": 0.09, "young": 0.55, "old": 0.36})
    if young is not None:
        stage = "old" if not young else "young" if stage == "old" else stage
    if stage == "child" and grown:
        stage = "young"
    within = float(rng.random())
    start, stop = {"child": (3.0, 15.0), "young": (15.0, YOUNG_BELOW), "old": (YOUNG_BELOW, 82.0)}[stage]
    return round(start + (stop - start - 0.1) * within, 1)


def _hair_colour(rng: np.random.Generator, tone: str, age: float, blond: bool | None) -> str:
    natural, greyed = _pick(rng, _HAIR_BY_TONE[tone]), float(rng.random())
    other = _pick(rng, {k: v for k, v in _HAIR_BY_TONE[tone].items() if k != "blond"})
    grey = greyed < 1 / (1 + math.exp(-(age - 62) / 7)) and age > 38
    if blond:
        return "blond"
    if blond is False and natural == "blond":
        natural = other
    return "grey" if grey else str(natural)


def _hair_style(
    rng: np.random.Generator, tone: str, age: float, long: bool, tied: bool, wish: Mapping[str, bool | None]
) -> str:
    flowing, cropped = _pick(rng, _LONG_BY_TONE[tone]), _pick(rng, _SHORT_BY_TONE[tone])
    thinned = float(rng.random())
    if long and not wish["Bald"] if wish["Long_Hair"] is None else wish["Long_Hair"]:
        return str(flowing)
    thinning = 0.0 if age < 20 or wish["Bald"] is False else min(0.04 + max(age - 30, 0) / 90, 0.5)
    bald = thinned < thinning * 0.5 if wish["Bald"] is None else bool(wish["Bald"])
    if bald and not wish["Blond_Hair"]:
        return "bald"
    if thinned < thinning:
        return "receding"
    return "bun" if tied else str(cropped)


def _even(options: tuple[Any, ...]) -> dict[Any, float]:
    return dict.fromkeys(options, 1.0)


def _pick(rng: np.random.Generator, weights: Mapping[Any, float]) -> Any:
    at = float(rng.random()) * sum(weights.values())
    for option, weight in weights.items():
        at -= weight
        if at < 0:
            return option
    return option
