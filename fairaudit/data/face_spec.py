"""What one drawn face looks like: the specification that the renderer draws and the labels are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

GENDERS = ("woman", "man")
TONES = ("light", "medium", "dark")
YOUNG_BELOW = 40.0
# Share of the melanin scale that each tone group spans; the gaps keep the groups apart, within them tone is continuous.
TONE_RANGES = {"light": (0.02, 0.26), "medium": (0.38, 0.60), "dark": (0.72, 0.96)}
LONG_STYLES = ("long_straight", "long_wavy", "long_curly", "bob", "braids")
SHORT_STYLES = ("crop", "side_part", "quiff", "buzz", "curls", "afro", "bun", "receding", "bald")
HAIR_COLOURS = ("black", "brown", "blond", "red", "grey")
HATS = ("none", "beanie", "cap", "brim")
BEARDS = ("none", "stubble", "short", "full", "goatee")
CLOTHES = ("crew", "vneck", "shirt", "hoodie", "rollneck")
GLASSES = ("none", "round", "square")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Face:
    """Every visible property of one picture. Lengths are in head units: the chin is 1 below the centre, the crown 1 above.

    Attributes:
        gender: the presentation that the figure was drawn with, one of ``GENDERS``.
        tone: tone group, one of ``TONES``.
        age: years.
        melanin: position on the skin colour scale, 0 (lightest) to 1; ``undertone`` −1 (cool) to 1 (warm).
        head_width: half-width of the head; ``jaw``: 0 (pointed) to 1 (square); ``chin``: length below the mean.
        neck_width: half-width; ``shoulder_width``: half-width.
        hair_style: one of ``LONG_STYLES`` or ``SHORT_STYLES``; ``hair_colour``: one of ``HAIR_COLOURS``; ``hair_shade``:
            −1 (darker) to 1 (lighter); ``hair_volume``: 0 to 1; ``fringe``: 0 (none) to 1 (down to the brows);
            ``parting``: −1 (left) to 1 (right).
        brow_weight, brow_tilt, brow_height: thickness, slope and height of the eyebrows.
        eye_colour, eye_size, eye_spacing, eye_tilt, eye_open: the eyes; ``gaze``: −1 to 1; ``lashes``: 0 to 1.
        nose_width, nose_length: the nose.
        mouth_width, lips: the mouth's half-width and the fullness of its lips (0 to 1).
        smile: −0.2 (drooping corners) to 1; ``smiling`` is a smile above 0.35; ``teeth``: whether a smile shows them.
        lipstick: 0 (none) to 1; ``lipstick_colour``: its colour.
        beard: one of ``BEARDS``; ``moustache``: whether there is one.
        glasses: one of ``GLASSES``; ``glasses_colour``: the frame's colour.
        hat: one of ``HATS``; ``hat_colour``: its colour.
        earrings: whether earrings are worn.
        clothes: one of ``CLOTHES``; ``clothes_colour``: their colour.
        freckles: 0 to 1; ``texture``: seed of where they lie and of the hair's strands and curls.
        background: two colours, top and bottom; ``scenery``: seed of its soft patches.
        shift_x, shift_y: displacement as a share of the picture; ``scale``: size, 1 is normal; ``roll``: radians;
            ``yaw``: −1 to 1, how far the face is turned.
        light_x: −1 (from the left) to 1; ``light``: overall gain; ``warmth``: −1 (blue) to 1 (yellow); ``contrast``.
        blur: radius as a share of the picture's size; ``noise``: standard deviation in grey levels; ``noise_seed``.
    """

    ATTRIBUTES: ClassVar[tuple[str, ...]] = (
        "Blond_Hair", "Eyeglasses", "Wearing_Hat", "Smiling", "Young", "Beard", "Long_Hair", "Bald",
    )  # fmt: skip

    gender: str
    tone: str
    age: float
    melanin: float
    undertone: float
    head_width: float
    jaw: float
    chin: float
    neck_width: float
    shoulder_width: float
    hair_style: str
    hair_colour: str
    hair_shade: float
    hair_volume: float
    fringe: float
    parting: float
    brow_weight: float
    brow_tilt: float
    brow_height: float
    eye_colour: Colour
    eye_size: float
    eye_spacing: float
    eye_tilt: float
    eye_open: float
    gaze: float
    lashes: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lips: float
    smile: float
    teeth: bool
    lipstick: float
    lipstick_colour: Colour
    beard: str
    moustache: bool
    glasses: str
    glasses_colour: Colour
    hat: str
    hat_colour: Colour
    earrings: bool
    clothes: str
    clothes_colour: Colour
    freckles: float
    texture: int
    background: tuple[Colour, Colour]
    scenery: int
    shift_x: float
    shift_y: float
    scale: float
    roll: float
    yaw: float
    light_x: float
    light: float
    warmth: float
    contrast: float
    blur: float
    noise: float
    noise_seed: int

    @property
    def childlike(self) -> float:
        """How childlike the proportions are: 1 for a toddler, 0 from 15 years on."""
        return min(max((15.0 - self.age) / 12.0, 0.0), 1.0)

    @property
    def attributes(self) -> dict[str, bool]:
        """The yes/no labels, named as CelebA names its own where it has the same."""
        return {
            "Blond_Hair": self.hair_colour == "blond" and self.hair_style != "bald",
            "Eyeglasses": self.glasses != "none",
            "Wearing_Hat": self.hat != "none",
            "Smiling": self.smile > 0.35,
            "Young": self.age < YOUNG_BELOW,
            "Beard": self.beard in ("short", "full", "goatee"),
            "Long_Hair": self.hair_style in LONG_STYLES,
            "Bald": self.hair_style == "bald",
        }
