"""A compiled network says what the plain one says; what cannot be compiled is told in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import InferenceSettings
from fairaudit.engine.predict import predict
from fairaudit.errors import CheckpointError, UsageError
from tests.engine.test_predict import Classifier, manifest, network

PLAIN = InferenceSettings(device="cpu", batch_size=8, workers=2)
COMPILED = PLAIN.model_copy(update={"compile": True})


class Strict(nn.Module):
    """Stands for a compiled network: it takes the one shape that it was made with."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.shapes: set[tuple[int, ...]] = set()

    def forward(self, images: Tensor) -> Tensor:
        assert images.is_contiguous(memory_format=torch.channels_last)
        self.shapes.add(tuple(images.shape))
        found: Tensor = self.model(images)
        return found


def test_every_batch_has_the_shape_that_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Strict] = []

    def compiled(model: nn.Module, **options: Any) -> Strict:
        assert options == {"dynamic": False, "options": {"freezing": True}}
        made.append(Strict(model))
        return made[-1]

    expected = predict(Classifier(network()), manifest(), PLAIN)
    monkeypatch.setattr(torch, "compile", compiled)
    found = predict(Classifier(network()), manifest(), COMPILED)
    assert made[0].shapes == {(8, 3, 24, 24)}  # 37 images are four batches and five images
    assert list(found.rows) == list(expected.rows)
    np.testing.assert_allclose(found.scores["gender"], expected.scores["gender"], atol=2e-6)


def failing(error: Exception) -> Callable[..., nn.Module]:
    class Fails(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise error

    return lambda *_, **__: Fails()


def test_what_cannot_be_compiled_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch, "compile", failing(RuntimeError("backend='inductor' raised:\n\nNo C++ compiler found.\nmore"))
    )
    wanted = (
        r"^the network cannot be compiled here \(backend='inductor' raised: No C\+\+ compiler found\); leave --compile out$"
    )
    with pytest.raises(UsageError, match=wanted):
        predict(Classifier(network()), manifest(), COMPILED)


def test_a_network_that_does_not_take_the_images_is_told_as_ever() -> None:
    needs_more = nn.Sequential(nn.Conv2d(3, 4, 40), nn.Flatten())
    with pytest.raises(CheckpointError, match="the network fails on images of 24 × 24 pixels"):
        predict(Classifier(needs_more), manifest(), COMPILED)


@pytest.mark.slow
def test_a_network_compiled_by_torch_says_the_same() -> None:
    expected = predict(Classifier(network()), manifest(), PLAIN)
    found = predict(Classifier(network()), manifest(), COMPILED)
    np.testing.assert_allclose(found.scores["gender"], expected.scores["gender"], atol=5e-6)
