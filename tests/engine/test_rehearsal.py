"""What a training would refuse is found without training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine.rehearsal import check_size, check_trainable
from fairaudit.errors import FairauditError, TrainingError
from tests.methods.studies import PREPROCESS, same, small_network

SETTINGS = TrainingSettings(device="cpu")


def test_what_can_be_trained_is_left_as_it_was() -> None:
    model, untouched = small_network(2, 0), small_network(2, 0)
    check_trainable(model, PREPROCESS, SETTINGS.model_copy(update={"freeze": "backbone"}))
    assert same(model, untouched)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'; did you mean"),
        ({"freeze": "layer9"}, "no layer of the network is called 'layer9'"),
        ({"device": "cuda:7"}, "device 'cuda:7' is not on this machine"),
        ({"freeze": "2,3,6"}, "every layer of the network is frozen, so there is nothing to train"),
    ],
)
def test_what_cannot_is_said(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(FairauditError, match=f"^{sentence}"):
        check_trainable(small_network(2, 0), PREPROCESS, SETTINGS.model_copy(update=changes))


def test_an_image_size_that_the_network_does_not_take() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    check_size(network, PREPROCESS)
    with pytest.raises(TrainingError) as caught:
        check_size(network, Preprocess(size=(9, 8)))
    assert str(caught.value) == (
        "the network fails on images of 9 × 8 pixels: mat1 and mat2 shapes cannot be multiplied (2x216 and 192x2); "
        "give another --size"
    )


def test_memory_that_is_short_is_no_refusal() -> None:
    class Large(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError(f"out of memory with {len(images)} images")

    check_size(Large(), PREPROCESS)
