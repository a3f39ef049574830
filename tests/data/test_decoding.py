"""Decoding against Pillow and torchvision's transforms on Pillow images, and every kind of odd file."""

from __future__ import annotations

import io
import math
import resource
import struct
import sys
import zlib
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from fairaudit.config import Interpolation, Preprocess, Resize
from fairaudit.data import decoding
from fairaudit.data.decoding import check, decode, resized_size
from fairaudit.errors import DataError

FILTERS: dict[Interpolation, InterpolationMode] = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}
SMALL = Preprocess(size=(32, 32), resize="squash")


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth shapes with some noise: edges to ring at, and colours from end to end."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / rng.uniform(3, 40) + y / rng.uniform(3, 40) + rng.uniform(0, 6)) for _ in range(3)]
    pixels = 127.5 + 110 * np.stack(waves, axis=-1) + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(data: bytes) -> NDArray[np.uint8]:
    """What Pillow shows, (h, w, 3)."""
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def whole(data: bytes) -> Preprocess:
    """A preprocessing that leaves the image's size alone."""
    width, height = Image.open(io.BytesIO(data)).size
    return Preprocess(size=(height, width), resize="squash")


def usual(image: Image.Image, preprocess: Preprocess) -> Tensor:
    """torchvision's transforms on a Pillow image, as evaluation scripts write them."""
    interpolation = FILTERS[preprocess.interpolation]
    if preprocess.resize == "squash":
        return transforms.PILToTensor()(transforms.Resize(preprocess.size, interpolation)(image))  # type: ignore[no-any-return]
    side = math.floor(preprocess.size[0] / preprocess.crop_pct)
    steps = [transforms.Resize(side, interpolation), transforms.CenterCrop(preprocess.size), transforms.PILToTensor()]
    return transforms.Compose(steps)(image)  # type: ignore[no-any-return]


def furthest(a: Tensor, b: Tensor) -> int:
    assert a.shape == b.shape
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize("resize", ["squash", "crop"])
@pytest.mark.parametrize("interpolation", list(FILTERS))
@pytest.mark.parametrize("shape", [(178, 218), (64, 40), (301, 500), (96, 96)])
def test_equals_torchvisions_transforms_on_pillow_images(
    shape: tuple[int, int], interpolation: Interpolation, resize: Resize
) -> None:
    preprocess = Preprocess(size=(96, 96), resize=resize, interpolation=interpolation)
    data = encoded(photo(*shape), "JPEG", quality=90)
    expected = usual(Image.open(io.BytesIO(data)).convert("RGB"), preprocess)
    assert furthest(decode(data, preprocess), expected) <= 2
    assert torch.equal(decode(data, preprocess, exact=True), expected)


def test_png_takes_the_same_way() -> None:
    preprocess = Preprocess(size=(48, 48), interpolation="bicubic", crop_pct=0.9)
    data = encoded(photo(90, 70), "PNG")
    assert furthest(decode(data, preprocess), usual(photo(90, 70), preprocess)) <= 2


def test_timms_transform_for_square_and_oblong_inputs() -> None:
    from timm.data.transforms_factory import transforms_imagenet_eval

    data = encoded(photo(211, 157), "PNG")
    for size, crop_pct in (((96, 96), 0.95), ((80, 112), 0.875), ((112, 80), 1.0)):
        preprocess = Preprocess(size=size, crop_pct=crop_pct, interpolation="bicubic")
        transform = transforms_imagenet_eval(size, crop_pct=crop_pct, interpolation="bicubic", use_prefetcher=True)
        expected = torch.as_tensor(transform(photo(211, 157)))
        assert torch.equal(decode(data, preprocess, exact=True), expected)
        assert furthest(decode(data, preprocess), expected) <= 2


@pytest.mark.parametrize(
    ("have", "size", "crop_pct", "want"),
    [
        ((300, 400), (224, 224), 0.875, (256, 341)),
        ((400, 300), (224, 224), 224 / 232, (309, 232)),
        ((300, 300), (224, 224), 0.95, (235, 235)),
        ((10, 10), (224, 224), 1.0, (224, 224)),
        ((300, 400), (100, 200), 1.0, (150, 200)),
    ],
)
def test_resized_size(have: tuple[int, int], size: tuple[int, int], crop_pct: float, want: tuple[int, int]) -> None:
    assert resized_size(*have, Preprocess(size=size, crop_pct=crop_pct)) == want


def test_the_resized_image_always_covers_the_crop() -> None:
    for height in range(1, 60, 7):
        for width in range(1, 60, 5):
            for size in ((24, 24), (17, 40), (33, 8)):
                for crop_pct in (0.7, 0.875, 0.9, 1.0):
                    got = resized_size(height, width, Preprocess(size=size, crop_pct=crop_pct))
                    assert got[0] >= size[0]
                    assert got[1] >= size[1]


def test_jpeg_is_decoded_by_torchvision_and_by_pillow_where_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photo(60, 44), "JPEG")
    with patch.object(decoding, "decode_jpeg", wraps=torchvision.io.decode_jpeg) as fast_decoder:
        fast = decode(data, SMALL)
    fast_decoder.assert_called_once()
    monkeypatch.setattr(decoding, "decode_jpeg", None)
    assert furthest(decode(data, SMALL), fast) <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_colour_modes_look_as_in_pillow(mode: str) -> None:
    data = encoded(photo(60, 44).convert(mode), "JPEG", quality=95)
    pixels = decode(data, whole(data))
    assert torch.equal(pixels, torch.from_numpy(plain(data)).permute(2, 0, 1))
    assert pixels.dtype == torch.uint8


def test_exif_orientation_is_ignored_on_both_roads() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    jpeg = encoded(photo(60, 44), "JPEG", exif=exif, quality=95)
    for exact in (False, True):
        assert torch.equal(decode(jpeg, whole(jpeg), exact), torch.from_numpy(plain(jpeg)).permute(2, 0, 1))
    png = encoded(photo(60, 44), "PNG", exif=exif)
    assert torch.equal(decode(png, whole(png)), torch.from_numpy(plain(png)).permute(2, 0, 1))


def test_sixteen_bit_grey_keeps_its_upper_bits() -> None:
    levels = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    data = encoded(Image.fromarray(levels), "PNG")
    assert np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).mean() > 250  # what Pillow alone would make of it
    for exact in (False, True):
        pixels = decode(data, whole(data), exact)
        assert np.array_equal(pixels.numpy(), np.stack([levels // 256] * 3))


def test_sixteen_bit_colour() -> None:
    rows = [b"\0" + b"".join(struct.pack(">HHH", 257 * x, 65535 - 257 * x, 0) for x in range(256)) for _ in range(8)]

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 256, 8, 16, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    )
    assert decode(data, whole(data))[:, 3, 200].tolist() == [200, 55, 0]


def test_palette_with_transparency() -> None:
    image = photo(50, 40).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    data = encoded(image, "PNG", transparency=bytes(range(64)))
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode(data, whole(data)).permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "blue", "green")]
    data = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert decode(data, whole(data))[:, 5, 5].tolist() == [255, 0, 0]


def test_alpha_is_dropped() -> None:
    data = encoded(Image.new("RGBA", (16, 16), (10, 20, 30, 0)), "PNG")
    assert decode(data, SMALL)[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_twenty_thousand_pixels_wide(kind: str) -> None:
    options = {"compress_level": 1} if kind == "PNG" else {}
    data = encoded(photo(2_000, 60).resize((20_000, 300)), kind, **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decode(data, Preprocess(size=(224, 224))).shape == (3, 224, 224)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (2**20 if sys.platform == "darwin" else 2**10)
    assert used < 250  # MiB; the pixels alone are 34


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    )


@pytest.mark.parametrize("size", [(10_000, 9_000), (50_000, 50_000)])
@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused(size: tuple[int, int], recwarn: pytest.WarningsRecorder) -> None:
    message = "it claims more than 89,478,485 pixels, the most that are decoded (a decompression bomb?)"
    with pytest.raises(DataError) as caught:
        decode(bomb(*size), SMALL)
    assert str(caught.value) == message
    with pytest.raises(DataError, match="decompression bomb"):
        check(bomb(*size))


def test_an_image_too_narrow_to_resize_is_refused() -> None:
    data = encoded(Image.new("RGB", (20_000, 2)), "PNG")
    assert decode(data, SMALL).shape == (3, 32, 32)
    with pytest.raises(DataError) as caught:
        decode(data, Preprocess(size=(224, 224)))
    assert str(caught.value) == "20000 × 2 pixels are too narrow to resize the shorter side to 256"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>404</html>", "not an image in a format that is read (AVIF, BMP, "),
        (encoded(photo(60, 44), "JPEG")[:900], "image file is truncated"),
        (encoded(photo(60, 44), "PNG")[:900], "image file is truncated"),
        (encoded(photo(60, 44), "JPEG")[:100], ""),
        (encoded(Image.new("F", (8, 8)), "TIFF"), "32 bits per channel have no fixed range from black to white"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n", "not an image in a format that is read"),
    ],
    ids=["empty", "html", "half-jpeg", "half-png", "header-only", "float-tiff", "eps"],
)
def test_what_cannot_be_decoded_says_why(data: bytes, reason: str) -> None:
    for attempt in (lambda: decode(data, SMALL), lambda: decode(data, SMALL, exact=True), lambda: check(data)):
        with pytest.raises(DataError) as caught:
            attempt()
        assert str(caught.value).startswith(reason)
        assert len(str(caught.value)) > 8
        assert "0x" not in str(caught.value)


def test_damaged_jpegs_are_accepted_and_refused_alike_on_both_roads() -> None:
    data = encoded(photo(64, 64), "JPEG", quality=85)
    rng = np.random.default_rng(5)
    outcomes = set()
    for trial in range(60):
        broken = bytearray(data)
        for place in rng.integers(160, len(data), 3):
            broken[place] = int(rng.integers(0, 256))
        if trial % 3 == 0:
            broken = broken[: int(rng.integers(len(data) // 2, len(data)))]
        results: list[Tensor | str] = []
        for exact in (False, True):
            try:
                results.append(decode(bytes(broken), SMALL, exact))
            except DataError as error:
                results.append(str(error))
        fast, exactly = results
        outcomes.add(type(fast))
        if isinstance(fast, Tensor) and isinstance(exactly, Tensor):
            assert furthest(fast, exactly) <= 2
        else:
            assert fast == exactly
    assert outcomes == {Tensor, str}
