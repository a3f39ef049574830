"""Fairaudit's own networks: the paper's layers, recognition from tensors, and checkpoints that bring their region along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.errors import ArchitectureError
from fairaudit.models.architecture import recognise
from fairaudit.models.classifier import build_network, load_classifier, save_classifier
from fairaudit.models.head import Head, Task
from fairaudit.models.survey import shapes_of
from fairaudit.models.treated import Treated, described

LEVELS = {"gender": ("female", "male")}
HEAD = Head(2, (Task("gender", ("female", "male"), (0, 1)),))


def test_the_gender_cnn_has_the_papers_layers() -> None:
    network = build_network("fairaudit/gender-cnn", 2)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size, m.padding) for m in convolutions] == [
        (3, 6, (5, 5), "same"), (6, 12, (5, 5), "same"), (12, 24, (5, 5), "same"),
    ]  # fmt: skip
    assert [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)] == [
        (6144, 1000), (1000, 100), (100, 2),
    ]  # fmt: skip
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.1, 0.1, 0.1, 0.5, 0.5]
    assert [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)] == [0.1] * 5
    network.eval()
    seen: list[torch.Tensor] = []
    network.get_submodule("pool").register_forward_hook(lambda _, before, after: seen.extend([before[0], after]))
    network(torch.randn(1, 3, 128, 128))
    assert torch.equal(seen[0], seen[1]), "at 128 pixels nothing is averaged"
    assert network(torch.zeros(2, 3, 48, 64)).shape == (2, 2)


def test_it_is_recognised_and_prepared_as_in_the_paper(tmp_path: Path) -> None:
    network = build_network("gender-cnn", 2)
    assert recognise(shapes_of(network.state_dict())).entry.name == "fairaudit/gender-cnn"
    torch.save(network.state_dict(), tmp_path / "model.pt")
    found = load_classifier(tmp_path / "model.pt", ModelSettings(), "gender", LEVELS)
    assert found.architecture == "fairaudit/gender-cnn"
    assert (found.preprocess.size, found.preprocess.resize) == ((128, 128), "squash")


def test_a_name_that_is_none_of_ours() -> None:
    with pytest.raises(ArchitectureError) as caught:
        build_network("fairaudit/gender-cn", 2)
    assert str(caught.value) == "unknown architecture 'fairaudit/gender-cn'; did you mean 'gender-cnn'?"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_treated_network_keeps_its_region_in_its_checkpoint(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    model = Treated(build_network("timm/test_resnet", 2), (32, 32)).eval()
    model.keep[0, :10] = 0
    model.noise[:, 20:] = torch.randn(3, 12, 32)
    model.low.fill_(-1.5)
    name, kwargs = described(model, "timm/test_resnet", {})
    assert (name, kwargs) == ("fairaudit/treated", {"of": "timm/test_resnet", "of_kwargs": {}, "size": [32, 32]})
    path, preprocess = tmp_path / f"model{suffix}", Preprocess(size=(32, 32), resize="squash")
    save_classifier(path, model, architecture=name, arch_kwargs=kwargs, head=HEAD, preprocess=preprocess)
    found = load_classifier(path, ModelSettings(), "gender", LEVELS)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found.model(images), model(images))
        inner = model.inner(images)
    assert not torch.allclose(found.model(images), inner)
    assert found.architecture == "fairaudit/treated"


def test_a_treated_network_that_is_trained_on_is_named_once() -> None:
    model = Treated(build_network("timm/test_resnet", 2), (32, 32))
    name, kwargs = described(model, "timm/test_resnet", {})
    assert described(model, name, kwargs) == (name, kwargs)
    again = described(Treated(model, (32, 32)), name, kwargs)
    assert again == ("fairaudit/treated", {"of": name, "of_kwargs": kwargs, "size": [32, 32]})
    assert described(model.inner, "timm/test_resnet", {"a": 1}) == ("timm/test_resnet", {"a": 1})
