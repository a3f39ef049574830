"""Decoding JPEGs at a fraction of their sides: only large ones, nearly the same picture, never unasked."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from fairaudit.config import InferenceSettings, Preprocess, validated
from fairaudit.data.decoding import ROOM, decode
from fairaudit.errors import ConfigError, DataError
from tests.data.test_decoding import encoded, photo

SQUASHED = Preprocess(size=(32, 32), resize="squash")


def smooth(width: int, height: int) -> Image.Image:
    """A photograph without noise, as large ones are at the scale of their pixels."""
    return photo(width // 8, height // 8).resize((width, height), Image.Resampling.BICUBIC)


def far(a: Tensor, b: Tensor) -> int:
    return int((a.int() - b.int()).abs().max())


def test_a_large_jpeg_is_decoded_smaller_and_looks_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(smooth(640, 480), "JPEG", quality=90)
    seen: list[tuple[int, int]] = []
    resize = functional.resize

    def noting(pixels: Tensor, *rest: object, **named: object) -> Tensor:
        seen.append((pixels.shape[1], pixels.shape[2]))
        found: Tensor = resize(pixels, *rest, **named)
        return found

    monkeypatch.setattr(functional, "resize", noting)
    plain, scaled = decode(data, SQUASHED), decode(data, SQUASHED, scaled=True)
    assert seen == [(480, 640), (60, 80)]  # an eighth
    assert scaled.shape == plain.shape
    assert 0 < far(plain, scaled) <= 12


@pytest.mark.parametrize(
    ("image", "kind", "options"),
    [
        (smooth(90, 72), "JPEG", {}),  # half of it is 36 pixels high, less than ROOM times 32
        (smooth(640, 480), "PNG", {}),
        (smooth(640, 480).convert("CMYK"), "JPEG", {}),
    ],
)
def test_others_keep_their_pixels(image: Image.Image, kind: str, options: dict[str, int]) -> None:
    assert ROOM * 32 > 36
    data = encoded(image, kind, **options)
    assert torch.equal(decode(data, SQUASHED, scaled=True), decode(data, SQUASHED))


def test_a_crop_is_of_the_same_place() -> None:
    data = encoded(smooth(900, 640), "JPEG", quality=95)
    crop = Preprocess(size=(40, 40), resize="crop", crop_pct=0.5)
    assert far(decode(data, crop), decode(data, crop, scaled=True)) <= 12
    grey = encoded(smooth(900, 640).convert("L"), "JPEG", quality=95)
    pixels = decode(grey, crop, scaled=True)
    assert torch.equal(pixels[0], pixels[2])


def test_it_is_not_both_exact_and_scaled() -> None:
    wrong = "exact_resize keeps every pixel as Pillow has it and scaled_decoding does not; choose one"
    with pytest.raises(ConfigError, match=wrong):
        validated({"exact_resize": True, "scaled_decoding": True}, InferenceSettings, "the flags")


def test_damaged_files_are_refused_alike() -> None:
    data = encoded(smooth(640, 480), "JPEG", quality=90)
    assert Image.open(io.BytesIO(data)).size == (640, 480)
    for cut in (data[:300], data[: len(data) // 2]):
        with pytest.raises(DataError):
            decode(cut, SQUASHED, scaled=True)
