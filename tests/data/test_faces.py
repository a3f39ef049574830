"""Drawn faces: the same pixels everywhere, regions that tell the truth, attributes that show where they should."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fairaudit.data.face_spec import BEARDS, CLOTHES, GLASSES, HATS, LONG_STYLES, SHORT_STYLES, TONES
from fairaudit.data.faces import (
    PARTS,
    Face,
    RenderedStore,
    another_picture,
    encode,
    regions,
    render,
    sample_face,
    write_faces,
)

SIZE = 96


def figure(seed: int = 0, **fixed: Any) -> Face:
    return sample_face(np.random.default_rng(seed), **fixed)


def plain(seed: int = 0, **fixed: Any) -> Face:
    """An adult with nothing on the head that could cover something else."""
    bare: dict[str, Any] = {
        "age": 30.0, "hair_style": "crop", "fringe": 0.0, "hat": "none", "glasses": "none", "beard": "none",
        "moustache": False, "freckles": 0.0, "earrings": False,
    }  # fmt: skip
    return figure(seed, **(bare | fixed))


def pixels(face: Face, size: int = SIZE) -> NDArray[np.float64]:
    return np.asarray(render(face, size), dtype=np.float64)


def grown(mask: NDArray[np.bool_], by: int = 5) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(2 * by + 1))) > 0


def test_a_face_is_an_rgb_picture_of_the_size_asked_for() -> None:
    for size in (16, 96, 131):
        image = render(figure(1), size)
        assert (image.mode, image.size) == ("RGB", (size, size))


def test_the_same_face_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from fairaudit.data.faces import encode, render, sample_face\n"
        "faces = [sample_face(np.random.default_rng([5, k])) for k in range(6)]\n"
        "print(hashlib.sha256(b''.join(encode(render(f, 64)) for f in faces)).hexdigest())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = b"".join(encode(render(sample_face(np.random.default_rng([5, k])), 64)) for k in range(6))
    assert elsewhere.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_the_renderer_needs_neither_torch_nor_pandas() -> None:
    code = "import sys, fairaudit.data.faces as f; print(sorted({'torch', 'pandas', 'torchvision'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_faces_differ() -> None:
    sums = {hashlib.sha256(encode(render(figure(k), 32))).hexdigest() for k in range(24)}
    assert len(sums) == 24


def test_encoded_bytes_are_the_picture() -> None:
    image = render(figure(3), 48)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(image)))), np.asarray(image))


@pytest.mark.parametrize("style", [*LONG_STYLES, *SHORT_STYLES])
def test_every_hair_style_draws(style: str) -> None:
    masks = regions(figure(2, hair_style=style, hat="none", age=30.0), SIZE)
    assert masks["hair"].any() == (style != "bald")
    below_the_ears = masks["hair"][round(0.68 * SIZE) :].sum()
    assert (below_the_ears > 60) == (style in LONG_STYLES)


@pytest.mark.parametrize("seed", range(4))
def test_regions_cover_the_picture_and_absent_parts_are_empty(seed: int) -> None:
    face = plain(seed)
    masks = regions(face, SIZE)
    assert tuple(masks) == PARTS
    assert all(mask.shape == (SIZE, SIZE) and mask.dtype == np.bool_ for mask in masks.values())
    for part in ("glasses", "hat", "beard", "earrings"):
        assert not masks[part].any()
    for part in ("background", "skin", "hair", "eyes", "brows", "nose", "mouth", "clothes"):
        assert masks[part].any(), part
    # A pixel that three parts share may belong to none of them by half; nearly all others belong to one.
    assert np.mean(np.any(list(masks.values()), axis=0)) > 0.985


def test_regions_follow_the_pose() -> None:
    face = plain(1, shift_x=0.0, shift_y=0.0, roll=0.0, yaw=0.0, scale=1.0)
    moved = replace(face, shift_x=8 / SIZE, shift_y=-4 / SIZE)
    before, after = regions(face, SIZE), regions(moved, SIZE)
    for part in ("eyes", "mouth", "brows", "nose"):
        assert np.array_equal(np.roll(before[part], (-4, 8), axis=(0, 1)), after[part]), part
    for part in ("eyes", "mouth"):  # a face that looks straight ahead is its own mirror image
        assert np.mean(before[part] != before[part][:, ::-1]) < 0.004


def test_regions_scale_with_the_size() -> None:
    face = figure(4, hat="cap", glasses="round")
    small, large = regions(face, 48), regions(face, 192)
    for part in ("skin", "hat", "background", "hair"):
        assert small[part].mean() == pytest.approx(large[part].mean(), abs=0.01)


# What is changed, from what to what, and the parts that show it: brows take the hair's colour, a smile narrows the eyes.
CHANGES: list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (("glasses",), {}, {"glasses": "round"}),
    (("glasses",), {}, {"glasses": "square"}),
    (("hat",), {}, {"hat": "beanie"}),
    (("hat",), {}, {"hat": "cap"}),
    (("hat",), {}, {"hat": "brim"}),
    (("hair", "brows"), {"hair_colour": "black"}, {"hair_colour": "blond"}),
    (("hair",), {"hair_style": "curls"}, {"hair_style": "side_part"}),
    (("hair",), {}, {"hair_style": "long_straight"}),
    (("mouth", "eyes"), {"smile": 0.0, "teeth": False}, {"smile": 0.9, "teeth": True}),
    (("mouth",), {"lipstick": 0.0}, {"lipstick": 1.0}),
    (("beard",), {}, {"beard": "full"}),
    (("beard",), {}, {"beard": "goatee"}),
    (("beard",), {}, {"moustache": True}),
    (("eyes",), {"eye_colour": (78, 50, 30)}, {"eye_colour": (72, 126, 170)}),
    (("brows",), {"brow_weight": 0.1}, {"brow_weight": 1.0}),
    (("earrings",), {}, {"earrings": True}),
    (("clothes",), {"clothes_colour": (54, 84, 120)}, {"clothes_colour": (218, 168, 84)}),
]


@pytest.mark.parametrize(("parts", "one", "other"), CHANGES)
@pytest.mark.parametrize("tone", ["light", "dark"])
def test_an_attribute_changes_the_pixels_of_its_region(
    parts: tuple[str, ...], one: dict[str, Any], other: dict[str, Any], tone: str
) -> None:
    face = plain(6, tone=tone, gender="man", noise=0.0, blur=0.0, brow_weight=0.5, hair_colour="black")
    first, second = replace(face, **one), replace(face, **(one | other))
    change = np.abs(pixels(first) - pixels(second)).sum(axis=2)
    where = np.any([regions(f, SIZE)[part] for f in (first, second) for part in parts], axis=0)
    # Two pixels of margin: shading and the edges that a part shares by less than half.
    assert change[grown(where, 2)].sum() >= 0.90 * change.sum()
    main = regions(first, SIZE)[parts[0]] | regions(second, SIZE)[parts[0]]
    assert change[main].mean() > 10 * (change[~grown(where, 5)].mean() + 0.05)


@pytest.mark.parametrize("tone", TONES)
def test_features_stand_out_in_every_tone(tone: str) -> None:
    """Luminance contrast between eyes, brows or a black beard and the skin around is well visible in all groups."""
    for seed in range(3):
        face = plain(seed, tone=tone, hair_colour="black", beard="full", light=1.0, contrast=1.0, noise=0.0, lashes=0.5)
        grey, masks = np.asarray(render(face, SIZE).convert("L"), dtype=np.float64), regions(face, SIZE)
        skin = float(np.median(grey[masks["skin"]]))
        assert skin - np.median(grey[masks["brows"]]) > 25
        assert skin - np.median(grey[masks["beard"]]) > 25
        assert grey[masks["eyes"]].max() - grey[masks["eyes"]].min() > 120


def test_tone_groups_order_the_skin_and_do_not_overlap() -> None:
    def brightness(tone: str, seed: int) -> float:
        face = plain(seed, tone=tone, light=1.0, warmth=0.0, contrast=1.0)
        return float(np.median(pixels(face)[regions(face, SIZE)["skin"]]))

    values = {tone: [brightness(tone, seed) for seed in range(6)] for tone in TONES}
    assert min(values["light"]) > max(values["medium"])
    assert min(values["medium"]) > max(values["dark"])
    assert all(np.ptp(v) > 5 for v in values.values())


@pytest.mark.parametrize("name", Face.ATTRIBUTES)
@pytest.mark.parametrize("value", [False, True])
def test_an_attribute_that_is_asked_for_holds(name: str, value: bool) -> None:
    for seed in range(40):
        assert figure(seed, **{name: value}).attributes[name] is value


def test_fixing_one_property_leaves_the_unrelated_ones() -> None:
    for seed in range(20):
        free, fixed = figure(seed), figure(seed, Eyeglasses=True, hat="cap")
        differing = {f.name for f in fields(Face) if getattr(free, f.name) != getattr(fixed, f.name)}
        assert differing <= {"glasses", "hat"}


def test_an_unknown_property_is_refused() -> None:
    with pytest.raises(TypeError, match="hat_size"):
        figure(0, hat_size=3)


def test_sampled_values_are_ones_that_the_renderer_knows() -> None:
    for seed in range(150):
        face = figure(seed)
        assert face.hair_style in (*LONG_STYLES, *SHORT_STYLES)
        assert (face.hat in HATS, face.beard in BEARDS, face.glasses in GLASSES, face.clothes in CLOTHES) == (True,) * 4
        assert 3 <= face.age <= 82
        assert not (face.age < 15 and (face.beard != "none" or face.moustache or face.lipstick))


def test_difficulty_pulls_the_presentations_together() -> None:
    def difference(difficulty: float) -> float:
        faces = {g: [figure(k, gender=g, difficulty=difficulty) for k in range(250)] for g in ("woman", "man")}
        share = {g: np.mean([f.attributes["Long_Hair"] for f in group]) for g, group in faces.items()}
        return float(share["woman"] - share["man"])

    assert difference(0.0) > difference(0.5) > difference(1.0) - 0.02
    assert abs(difference(1.0)) < 0.08


def test_another_picture_keeps_the_figure() -> None:
    face = figure(9)
    again = another_picture(np.random.default_rng(1), face, smiling=not face.attributes["Smiling"])
    kept = set(Face.ATTRIBUTES) - {"Smiling"}
    assert {k: again.attributes[k] for k in kept} == {k: face.attributes[k] for k in kept}
    assert again.attributes["Smiling"] is not face.attributes["Smiling"]
    constant = (
        "gender",
        "tone",
        "age",
        "melanin",
        "head_width",
        "jaw",
        "hair_style",
        "hair_colour",
        "eye_colour",
        "texture",
    )
    assert all(getattr(again, name) == getattr(face, name) for name in constant)
    assert (again.roll, again.background, again.noise_seed) != (face.roll, face.background, face.noise_seed)


def test_write_faces_writes_what_it_returns(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "new" / "folder", 3, seed=4, size=40)
    names = sorted(p.name for p in (tmp_path / "new" / "folder").iterdir())
    assert names == ["face-000000.png", "face-000001.png", "face-000002.png"]
    for name, face in zip(names, faces, strict=True):
        assert (tmp_path / "new" / "folder" / name).read_bytes() == encode(render(face, 40))
    assert faces[:2] == write_faces(tmp_path / "two", 2, seed=4, size=16)


def test_the_store_survives_pickling_and_knows_what_it_lacks() -> None:
    store = RenderedStore({"a.png": figure(0)}, size=24)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read("a.png") == store.read("a.png") == encode(render(figure(0), 24))
    assert store.missing(["a.png", "b.png"]) == ["b.png"]
    with pytest.raises(FileNotFoundError, match=r"^there is no face 'b\.png' in this set$"):
        store.read("b.png")
