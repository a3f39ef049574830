"""The last layer of a network, and what goes into it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision.models
from torch import Tensor, nn

from fairaudit.config import Preprocess
from fairaudit.engine.features import compute_features, extract_features, features_of, head_of
from fairaudit.engine.image_sources import CachedFeatures
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.errors import TrainingError, UsageError
from fairaudit.models.factory import build_network
from tests.engine.small import network, pictures, settings

DATA = pictures()


@pytest.mark.parametrize(
    ("name", "place", "width"),
    [
        ("timm/test_resnet", "fc", 96),
        ("timm/resnet18", "fc", 512),
        ("timm/mobilenetv3_small_050", "classifier", 1024),
        ("timm/convnext_atto", "head.fc", 320),
        ("timm/vit_tiny_patch16_224", "head", 192),
        ("torchvision/resnet18", "fc", 512),
        ("torchvision/mobilenet_v2", "classifier.1", 1280),
        ("torchvision/vgg11", "classifier.6", 4096),
        ("torchvision/vit_b_32", "heads.head", 768),
        ("torchvision/densenet121", "classifier", 1024),
        ("torchvision/swin_t", "head", 768),
    ],
)
def test_the_last_layer(name: str, place: str, width: int) -> None:
    library, _, bare = name.partition("/")
    with torch.device("meta"):
        make: Any = timm.create_model if library == "timm" else torchvision.models.get_model
        model = make(bare, num_classes=7)
    found, head = head_of(model)
    assert found == place
    assert model.get_submodule(place) is head
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (width, 7)


def test_a_last_layer_that_is_no_row_of_numbers() -> None:
    model = torchvision.models.squeezenet1_0(num_classes=2)
    assert head_of(model)[0] == "classifier"
    with pytest.raises(UsageError) as caught:
        extract_features(model, CachedImages(torch.zeros(2, 3, 32, 32).byte()), Preprocess(size=(32, 32)), settings())
    assert str(caught.value) == (
        "the network's last layer cannot be told: classifier does not take one row of numbers for each image; "
        "name the layers that are to be frozen instead"
    )


def test_last_layers_that_cannot_be_told() -> None:
    advice = "; name the layers that are to be frozen instead"
    for model, reason in (
        (nn.Sequential(nn.Flatten()), "it has no layer with weights"),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), "its last one is 0 (Conv2d)"),
        (timm.create_model("deit_tiny_distilled_patch16_224", img_size=32, depth=1), "it has several"),
    ):
        with pytest.raises(UsageError) as caught:
            head_of(model)
        assert str(caught.value) == f"the network's last layer cannot be told: {reason}{advice}"


@pytest.mark.parametrize("batch_size", [5, 64])
def test_features_are_what_timm_calls_them(batch_size: int) -> None:
    model = build_network("timm/test_resnet", 3, {}).train()
    data = pictures(18)
    features = extract_features(model, data.images, data.preprocess, settings(batch_size=batch_size))
    assert model.training
    assert model.fc.training  # type: ignore[union-attr]
    model.eval()
    with torch.no_grad():
        images = (data.images.take(torch.arange(18)).float() / 255 - 0.5) / 0.25
        expected = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    lower = extract_features(model, data.images, data.preprocess, settings(precision="bf16"))
    assert lower.dtype == torch.float32
    torch.testing.assert_close(lower, expected, rtol=0.1, atol=0.05)
    assert not torch.equal(lower, features)


def test_features_are_what_torchvision_pools() -> None:
    model = build_network("torchvision/mobilenet_v2", 2, {"width_mult": 0.25}).eval()
    data = pictures(4)
    with torch.no_grad():
        images = (data.images.take(torch.arange(4)).float() / 255 - 0.5) / 0.25
        expected = model.features(images).mean(dim=(2, 3))  # type: ignore[operator]
    found = compute_features(model, data.images, data.preprocess, settings())
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-5)
    assert found.complete


def test_memory_that_runs_out_only_makes_smaller_steps() -> None:
    class Scarce(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.fc = nn.Flatten(), nn.Linear(192, 2)
            self.seen: list[int] = []

        def forward(self, images: Tensor) -> Tensor:
            self.seen.append(len(images))
            if len(images) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            logits: Tensor = self.fc(self.pool(images))
            return logits

    model, data = Scarce(), pictures(21)
    features = extract_features(model, data.images, data.preprocess, settings())
    expected = ((data.images.take(torch.arange(21)).float() / 255 - 0.5) / 0.25).flatten(1)
    torch.testing.assert_close(features, expected)
    assert model.seen == [16, 8, 4, 4, 4, 4, 4, 1]


def test_broken_weights_are_one_sentence() -> None:
    model = network()
    torch.nn.init.constant_(next(model.parameters()), float("nan"))
    with pytest.raises(TrainingError, match=r"^the network's features are not finite numbers; its weights are broken, or"):
        extract_features(model, DATA.images, DATA.preprocess, settings())


def test_data_with_features_in_the_place_of_images() -> None:
    found = features_of(network(), DATA, CachedImages(DATA.images.take(torch.arange(7))), settings())
    assert found is not None
    data, validation = found
    assert isinstance(data, TrainingData)
    assert isinstance(data.images, CachedFeatures)
    assert validation is not None
    assert torch.equal(data.images.take(torch.arange(7)), validation.take(torch.arange(7)))
    assert data.counted.counts.equal(DATA.counted.counts)
