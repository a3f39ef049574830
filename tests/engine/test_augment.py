"""Random changes of images, against torchvision's and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import RandAugment, functional

from fairaudit.engine import augment
from fairaudit.engine.augment import S1_DRAWS, Augmentation

GATE, FLIP, BRIGHTNESS, CONTRAST, SATURATION, HUE, TURN, SHIFT_X, SHIFT_Y, SHEAR, CROP, CROP_X, CROP_Y = range(13)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(height: int = 40, width: int = 60) -> Tensor:
    """A picture that survives interpolation."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    return (torch.stack([x.sin(), y.cos(), (x * y).sin()]) * 0.4 + 0.5).unsqueeze(0)


def at_rest(**draws: float) -> Tensor:
    """Draws that change nothing but what is named."""
    row = torch.zeros(1, S1_DRAWS)
    row[0, GATE] = -1
    row[0, CROP] = 1
    for name, value in draws.items():
        row[0, globals()[name.upper()]] = value
    return row


def test_s1_at_rest_is_the_identity() -> None:
    images = torch.rand(1, 3, 9, 13, generator=seeded())
    torch.testing.assert_close(augment.s1(images, at_rest()), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(augment.s1(images, at_rest(flip=-1)), images.flip(3), atol=1e-5, rtol=0)


@given(seed=st.integers(0, 99), u=st.floats(-1, 1, width=32))
def test_s1s_colours_are_torchvisions(seed: int, u: float) -> None:
    image = torch.rand(1, 3, 6, 7, generator=seeded(seed))
    pairs = [
        (at_rest(brightness=u), functional.adjust_brightness(image, 1 + 0.2 * u)),
        (at_rest(contrast=u), functional.adjust_contrast(image, 1 + 0.15 * u)),
        (at_rest(saturation=u), functional.adjust_saturation(image, 1 + 0.15 * u)),
        (at_rest(hue=u), functional.adjust_hue(image, 0.05 * u)),
    ]
    for draws, expected in pairs:
        torch.testing.assert_close(augment.s1(image, draws), expected, atol=2e-4, rtol=0)


def test_grey_has_no_hue() -> None:
    grey = torch.rand(1, 1, 5, 5, generator=seeded()).expand(1, 3, 5, 5).contiguous()
    torch.testing.assert_close(augment.s1(grey, at_rest(hue=1.0)), grey, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("draws", "angle", "shift", "shear"),
    [
        ({"turn": 1.0}, 6.0, (0, 0), 0.0),
        ({"turn": -0.5}, -3.0, (0, 0), 0.0),
        ({"shear": 1.0}, 0.0, (0, 0), 5.0),
        ({"shift_x": 0.5}, 0.0, (3, 0), 0.0),
        ({"shift_y": -0.5}, 0.0, (0, -2), 0.0),
    ],
)
def test_s1_moves_as_torchvision_does(draws: dict[str, float], angle: float, shift: tuple[int, int], shear: float) -> None:
    """Either way round: which way a symmetric random number turns an image does not matter."""
    image, inner = smooth(), (slice(None), slice(None), slice(8, 32), slice(10, 50))
    moved = augment.s1(image, at_rest(**draws))[inner]
    bilinear = functional.InterpolationMode.BILINEAR
    expected = [
        functional.affine(image, sign * angle, [sign * s for s in shift], 1.0, [sign * shear, 0.0], bilinear)[inner]
        for sign in (1, -1)
    ]
    assert min(float((moved - e).abs().max()) for e in expected) < 2e-3
    assert float((moved - image[inner]).abs().max()) > 0.01


def test_s1s_crop_enlarges_a_window() -> None:
    image = smooth(56, 56)
    for x, y in ((-1.0, -1.0), (1.0, -1.0), (0.0, 1.0)):
        cropped = augment.s1(image, at_rest(crop=-1, crop_x=x, crop_y=y))
        left, top = round(3 + 3 * x), round(3 + 3 * y)
        window = image[..., top : top + 50, left : left + 50]
        expected = torch.nn.functional.interpolate(window, (56, 56), mode="bilinear", align_corners=False)
        torch.testing.assert_close(cropped[..., 3:-3, 3:-3], expected[..., 3:-3, 3:-3], atol=2e-3, rtol=0)


def test_s1_changes_half_of_the_images_and_crops_two_fifths_of_those() -> None:
    images = smooth(16, 16).expand(4000, 3, 16, 16)
    draws = augment.draw(4000, seeded(), S1_DRAWS)
    changed = (augment.s1(images, draws) != images).flatten(1).any(dim=1)
    assert abs(float(changed.float().mean()) - 0.5) < 0.03
    still = torch.zeros(4000, S1_DRAWS)
    still[:, GATE] = -1
    still[:, CROP] = draws[:, CROP]
    cropped = (augment.s1(images, still) - images).abs().flatten(1).amax(dim=1) > 0.01
    assert abs(float(cropped.float().mean()) - 0.4) < 0.03


def test_s1_keeps_the_range() -> None:
    images = torch.rand(64, 3, 16, 16, generator=seeded())
    changed = augment.s1(images, augment.draw(64, seeded(1), S1_DRAWS))
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1


def test_randaugment_is_torchvisions_image_by_image() -> None:
    pixels = torch.randint(0, 256, (6, 3, 20, 20), generator=seeded()).byte()
    chain = Augmentation(["randaugment"])
    draws = chain.draw(6, seeded(4))
    assert draws.shape == (6, 1)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    changed = chain(pixels, draws)
    assert torch.equal(torch.get_rng_state(), before), "the generator is left as it was"
    for i in range(6):
        torch.manual_seed(math.floor((float(draws[i, 0].double()) + 1) / 2 * 2**24))
        assert torch.equal(changed[i], RandAugment()(pixels[i]).float() / 255)
    alone = chain(pixels[4:5], draws[4:5])
    assert torch.equal(alone[0], changed[4]), "an image's change does not depend on its neighbours"
    assert float((changed - pixels.float() / 255).abs().max()) > 0.1


def test_changes_follow_each_other() -> None:
    pixels = torch.randint(0, 256, (5, 3, 12, 12), generator=seeded()).byte()
    chain = Augmentation(["classic", "randaugment"])
    draws = chain.draw(5, seeded(1))
    assert draws.shape == (5, 1 + augment.DRAWS)
    first = Augmentation(["randaugment"])(pixels, draws[:, :1])
    torch.testing.assert_close(chain(pixels, draws), augment.classic(first, draws[:, 1:]))


def test_without_changes_only_the_scale_is_another() -> None:
    pixels = torch.randint(0, 256, (5, 3, 12, 12), generator=seeded()).byte()
    chain = Augmentation(["mixup", "cutmix"])
    draws = chain.draw(5, seeded())
    assert draws.shape == (5, 0)
    assert torch.equal(chain(pixels, draws), pixels.float() / 255)
