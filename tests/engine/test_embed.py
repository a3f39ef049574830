"""Any layer's numbers, in the manifest's order, whatever the threads; and refusals in one sentence."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fairaudit.config import InferenceSettings, Preprocess
from fairaudit.data.decoding import decode
from fairaudit.data.manifest import Card, Manifest
from fairaudit.engine.embed import TASK, _AsItIs, cut, embed
from fairaudit.engine.forward import Head
from fairaudit.errors import CheckpointError, UsageError

PREPROCESS = Preprocess(size=(16, 16), resize="squash")
HEAD = _AsItIs(2)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3, stride=2)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.body(images).relu().mean((2, 3)))
        return out


@dataclass(frozen=True)
class Whole:
    model: nn.Module
    head: Head = HEAD
    preprocess: Preprocess = PREPROCESS


@dataclass(frozen=True)
class Drawn:
    """Pictures that are drawn when they are asked for."""

    def read(self, row: str) -> bytes:
        pixels = np.random.default_rng(int(row)).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()

    def missing(self, rows: object) -> list[str]:
        return []


def whole() -> Whole:
    torch.manual_seed(0)
    return Whole(Small())


def pictures(n: int) -> Manifest:
    return Manifest(pd.DataFrame({"row": [str(i) for i in range(n)], "split": "all"}), Drawn(), Card(""))


def by_hand(model: Small, layer: int, n: int) -> np.ndarray:
    """The first layers of ``Small`` image by image."""
    model.eval()
    mean, std = (torch.tensor(x)[:, None, None] for x in (PREPROCESS.mean, PREPROCESS.std))
    rows = []
    with torch.no_grad():
        for i in range(n):
            pixels = (decode(Drawn().read(str(i)), PREPROCESS).float() / 255 - mean) / std
            maps = model.body(pixels[None])
            rows.append(maps.mean((2, 3)) if layer == 0 else model.classifier[:3](maps.relu().mean((2, 3))))
    return torch.cat(rows).numpy()


@pytest.mark.parametrize(("layer", "at"), [("", 1), ("body", 0)])
@pytest.mark.parametrize(("workers", "batch"), [(1, 64), (3, 5)])
def test_every_image_once_and_in_order_whatever_the_threads(layer: str, at: int, workers: int, batch: int) -> None:
    torch.manual_seed(0)
    model = Small()
    embedder = cut(Whole(model), layer)
    settings = InferenceSettings(device="cpu", workers=workers, batch_size=batch)
    found = embed(embedder, pictures(23), settings)
    assert found.rows.tolist() == [str(i) for i in range(23)]
    assert found.scores[TASK].shape == (23, embedder.size)
    np.testing.assert_allclose(found.scores[TASK], by_hand(model, at, 23), atol=2e-5)


def test_the_default_is_what_goes_into_the_last_layer() -> None:
    embedder = cut(whole())
    assert (embedder.layer, embedder.size) == ("classifier.3", 4)


def test_a_layer_that_is_not_there_or_makes_no_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--layer 'bdy': the network has no such layer; did you mean 'body'\?"):
        cut(whole(), "bdy")
    with pytest.raises(UsageError, match="--layer 'zzz': the network has no such layer; its parts are body, classifier"):
        cut(whole(), "zzz")
    torch.manual_seed(0)
    flat = nn.Sequential(nn.Flatten(0), nn.Linear(1536, 6), nn.Unflatten(0, (2, 3)))
    with pytest.raises(UsageError, match=r"--layer '1': it makes shape \(6,\) of 2 images, not a row of numbers for each"):
        cut(Whole(flat), "1")


def test_a_network_that_fails_on_images_of_its_size_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the network fails on images of 16 × 16 pixels"):
        cut(Whole(nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Linear(4, 2))))
