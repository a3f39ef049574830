"""Drawn faces, of which it is known where glasses are: the map of Eyeglasses lies on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairaudit.attribution.confidence import MEASURES, confidence, softmax
from fairaudit.attribution.fit import all_logits, fit_regions
from fairaudit.attribution.maps import general_map, top_region
from fairaudit.attribution.patches import Positions
from fairaudit.config import REGION_TRAINING, Preprocess, TrainingSettings
from fairaudit.data.faces import Face, regions, render, sample_face
from fairaudit.engine.training_data import CachedImages, TrainingData

SIZE = 48
PREPROCESS = Preprocess(size=(SIZE, SIZE), resize="squash")


def drawn(n: int, seed: int) -> tuple[list[Face], TrainingData]:
    """Faces without hats, of which every second one wears glasses."""
    faces = [
        sample_face(np.random.default_rng([seed, k]), Eyeglasses=k % 2 == 1, Wearing_Hat=False) for k in range(n)
    ]  # fmt: skip
    pixels = np.stack([np.asarray(render(face, SIZE)) for face in faces]).transpose(0, 3, 1, 2)
    y = torch.arange(n) % 2
    images = CachedImages(torch.from_numpy(np.ascontiguousarray(pixels)))
    return faces, TrainingData(images, y, torch.zeros_like(y), ("no", "yes"), ("all",), PREPROCESS)


@pytest.mark.slow
def test_the_map_of_glasses_lies_on_the_glasses() -> None:
    positions = Positions(SIZE, 12, 13)
    settings = TrainingSettings.model_validate(
        {
            **REGION_TRAINING,
            "epochs": 60,
            "batch_size": 125,
            "lr": 3e-3,
            "schedule": "cosine",
            "device": "cpu",
            "workers": 0,
        }
    )
    net, _ = fit_regions(drawn(1000, 0)[1], None, positions, "imagenet", settings, width=16)
    faces, data = drawn(40, 1)
    scores = softmax(all_logits(net, data.images, PREPROCESS, settings))
    worn = np.mean([regions(face, SIZE)["glasses"] for face in faces if face.attributes["Eyeglasses"]], axis=0) > 0.3
    assert 0.03 < worn.mean() < 0.07
    for measure in MEASURES:
        pixels = general_map(confidence(scores, measure), positions)
        region = top_region(pixels, 0.9)
        assert (region & worn).sum() / worn.sum() > 0.7, "a tenth of the picture holds most of the glasses"
        assert (region & worn).sum() / region.sum() > 5 * worn.mean()
        assert pixels[worn].mean() > 2 * pixels[~worn].mean()
