"""Where training starts: what is kept of a checkpoint, what is new, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.errors import ArchitectureError, CheckpointError
from fairaudit.models.classifier import save_classifier
from fairaudit.models.head import Head, Task
from fairaudit.models.starting import (
    start_from_model,
    start_from_scratch,
    start_from_weights,
    start_pretrained,
)

ARCH = "timm/test_convnext"
LEVELS = {"gender": ("Male", "Female")}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "weights.pt"
    torch.save(timm.create_model("test_convnext", num_classes=1000).state_dict(), path)
    return path


def same(one: nn.Module, other: dict[str, Tensor], keys: set[str]) -> bool:
    own = one.state_dict()
    return all(torch.equal(own[key], other[key]) for key in keys)


def test_a_backbone_keeps_every_tensor_but_the_last_layer(weights: Path) -> None:
    start = start_from_weights(weights, ARCH, ModelSettings())
    stored = torch.load(weights, weights_only=True)
    network = start.network(2, seed=0)
    head = {"head.fc.weight", "head.fc.bias"}
    assert head < set(stored)
    assert "head.norm.weight" in stored  # beside the head, and not of it
    assert same(network, stored, set(stored) - head)
    assert network.state_dict()["head.fc.weight"].shape[0] == 2


def test_the_seed_decides_the_new_head_alone(weights: Path) -> None:
    start = start_from_weights(weights, ARCH, ModelSettings())
    one, again, other = (start.network(2, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert {key for key in one if not torch.equal(one[key], other[key])} == {"head.fc.weight"}


def test_a_new_head_on_a_backbone_does_not_start_with_large_weights(tmp_path: Path) -> None:
    path = tmp_path / "efficientnet.pt"
    body = timm.create_model("test_efficientnet", num_classes=10)
    torch.save(body.state_dict(), path)
    head = start_from_weights(path, "timm/test_efficientnet", ModelSettings()).network(2, 0).get_submodule("classifier")
    assert isinstance(head, nn.Linear)
    usual = (3 * head.in_features) ** -0.5
    scratch = start_from_scratch("timm/test_efficientnet", ModelSettings()).network(2, 0).get_submodule("classifier")
    assert isinstance(scratch, nn.Linear)
    assert scratch.weight.std(correction=0) > 2 * usual  # what timm draws for two classes
    assert head.weight.std(correction=0).item() == pytest.approx(usual, rel=1e-5)
    torch.testing.assert_close(head.weight / head.weight.std(), scratch.weight / scratch.weight.std())


def test_a_modest_head_stays_as_its_library_draws_it(weights: Path) -> None:
    new = start_from_weights(weights, ARCH, ModelSettings()).network(2, 0).get_submodule("head.fc")
    scratch = start_from_scratch(ARCH, ModelSettings()).network(2, 0).get_submodule("head.fc")
    torch.testing.assert_close(new.weight, scratch.weight, rtol=0, atol=0)


def test_from_scratch_the_seed_decides_everything_and_leaves_the_global_state_alone() -> None:
    start = start_from_scratch("test_resnet", ModelSettings())
    state = torch.get_rng_state()
    one, again, other = (start.network(3, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["conv1.0.weight"], other["conv1.0.weight"])


def test_a_head_of_several_layers_is_left_aside(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=2)
    width = network.fc.in_features
    network.fc = nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 2))
    torch.save(network.state_dict(), tmp_path / "m.pt")
    start = start_from_weights(tmp_path / "m.pt", "timm/test_resnet", ModelSettings())
    found = start.network(4, 0).state_dict()
    assert found["fc.weight"].shape == (4, width)
    assert torch.equal(found["conv1.0.weight"], network.state_dict()["conv1.0.weight"])


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^weights\.pt does not fit timm/test_resnet: \d+ missing: "):
        start_from_weights(weights, "timm/test_resnet", ModelSettings())


def save(path: Path, classes: tuple[str, ...], name: str = "gender", network: nn.Module | None = None) -> None:
    save_classifier(
        path,
        network or timm.create_model("test_resnet", num_classes=len(classes)),
        architecture="timm/test_resnet",
        arch_kwargs={},
        head=Head(len(classes), (Task(name, classes, tuple(range(len(classes)))),)),
        preprocess=Preprocess(size=(32, 32), resize="squash"),
    )


def test_a_classifier_is_trained_on_head_and_all(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=2)
    save(tmp_path / "m.pt", ("Female", "Male"), network=network)
    start = start_from_model(tmp_path / "m.pt", ModelSettings(), "gender", LEVELS)
    assert start.classes == ("Female", "Male")  # the model's order, not the dataset's
    assert start.preprocess.size == (32, 32)
    first = start.network(2, seed=5)
    assert same(first, network.state_dict(), set(network.state_dict()))
    with torch.no_grad():
        first.get_parameter("fc.weight").zero_()
    assert start.network(2, seed=5).get_parameter("fc.weight").abs().sum() > 0


def test_a_wider_head_on_a_classifier_keeps_its_body(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=2)
    save(tmp_path / "m.pt", ("Female", "Male"), network=network)
    start = start_from_model(tmp_path / "m.pt", ModelSettings(), "gender", LEVELS)
    wide = start.network(6, seed=0).state_dict()
    assert wide["fc.weight"].shape[0] == 6
    assert torch.equal(wide["conv1.0.weight"], network.state_dict()["conv1.0.weight"])


def test_heads_that_cannot_be_trained_on(tmp_path: Path) -> None:
    both = Head(4, (Task("gender", ("Male", "Female"), (0, 1)), Task("age", ("young", "old"), (2, 3))))
    save_classifier(
        tmp_path / "both.pt", timm.create_model("test_resnet", num_classes=4), architecture="timm/test_resnet",
        arch_kwargs={}, head=both, preprocess=Preprocess(size=(32, 32)),
    )  # fmt: skip
    with pytest.raises(
        CheckpointError, match=r"^both\.pt predicts gender, age, not gender alone; to keep its backbone and "
    ):
        start_from_model(tmp_path / "both.pt", ModelSettings(), "gender", LEVELS)
    single = timm.create_model("test_resnet", num_classes=1)
    save_classifier(
        tmp_path / "one.pt", single, architecture="timm/test_resnet", arch_kwargs={},
        head=Head(1, (Task("gender", ("Male", "Female"), (0,), "sigmoid"),)), preprocess=Preprocess(size=(32, 32)),
    )  # fmt: skip
    with pytest.raises(CheckpointError, match=r"^one\.pt has a head that cannot be trained on as it is \(single-logit "):
        start_from_model(tmp_path / "one.pt", ModelSettings(), "gender", LEVELS)


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(CheckpointError) as caught:
        start_pretrained("timm/test_resnet", ModelSettings())
    assert str(caught.value) == (
        "the pretrained weights of timm/test_resnet cannot be had: no route to host; give a local file with --weights FILE"
    )


def test_no_such_architecture() -> None:
    with pytest.raises(ArchitectureError, match="unknown architecture 'resnet1'"):
        start_from_scratch("resnet1", ModelSettings())
