"""Recognition from names and shapes, near misses, and heads that were replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import ModelSettings
from fairaudit.errors import ArchitectureError, CheckpointError
from fairaudit.models.architecture import recognise
from fairaudit.models.assembly import assemble
from fairaudit.models.classifier import build_network, load_classifier
from fairaudit.models.fingerprint import fingerprint, is_counter, resemblance, sketch, tensor_hashes
from fairaudit.models.survey import outline, shapes_of

LEVELS = {"gender": ("female", "male")}
WIDTH = 96
"""Features of timm's test_resnet."""


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """The smallest network of timm that no other shares its tensors with."""
    torch.manual_seed(0)
    return build_network("timm/test_resnet", 2).eval()


@pytest.fixture
def tensors(tiny: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in tiny.state_dict().items()}


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return build_network("timm/resnet18", 2).eval()


def shapes(name: str, classes: int = 3) -> dict[str, tuple[int, ...]]:
    return shapes_of(outline(name, classes, {}).state_dict())


@pytest.mark.parametrize(
    ("name", "found", "others"),
    [
        ("timm/resnet18", "timm/resnet18", ("timm/resnetblur18",)),
        ("timm/resnetblur18", "timm/resnet18", ("timm/resnetblur18",)),
        ("torchvision/resnet18", "timm/resnet18", ("timm/resnetblur18",)),
        ("torchvision/resnet34", "timm/resnet34", ()),  # the same function under two names is no ambiguity
        ("timm/tf_efficientnet_b0", "timm/efficientnet_b0", ("timm/efficientnet_blur_b0", "timm/tf_efficientnet_b0")),
        ("torchvision/mobilenet_v2", "torchvision/mobilenet_v2", ()),
        ("timm/mobilenetv2_100", "timm/mobilenetv2_100", ()),
        ("torchvision/vgg11", "torchvision/vgg11", ()),
        ("timm/convnext_atto", "timm/convnext_atto", ()),
        ("timm/deit_tiny_patch16_224", "timm/vit_tiny_patch16_224", ()),
        ("torchvision/regnet_y_400mf", "torchvision/regnet_y_400mf", ()),
    ],
)
def test_names_are_recognised_whatever_the_class_count(name: str, found: str, others: tuple[str, ...]) -> None:
    recognition = recognise(shapes(name))
    assert recognition.entry.name == found
    assert recognition.others == others
    assert all(other in recognition.warnings[0] for other in others)


def test_none_is_plain() -> None:
    with pytest.raises(ArchitectureError) as caught:
        recognise(shapes("timm/swinv2_tiny_window8_256"))
    assert str(caught.value) == (
        "the weights fit timm/swinv2_tiny_window16_256 and timm/swinv2_tiny_window8_256 equally well, "
        "which compute different functions; choose with --arch"
    )


def test_the_closest_is_named_with_the_first_tensors_that_differ() -> None:
    changed = shapes("timm/resnet18")
    changed["layer3.0.conv1.weight"] = (256, 100, 3, 3)
    del changed["bn1.weight"]
    with pytest.raises(ArchitectureError) as caught:
        recognise(changed)
    assert "the closest is timm/resnet18, which differs in 2 tensors, first bn1.weight is missing; " in str(caught.value)
    assert "layer3.0.conv1.weight is 256x100x3x3 where 256x128x3x3 is expected; name it with --arch" in str(caught.value)


def test_a_network_beside_other_weights_is_pointed_at() -> None:
    beside = {f"net.{key}": shape for key, shape in shapes("timm/test_resnet").items()}
    with pytest.raises(ArchitectureError) as caught:
        recognise({**beside, "criterion.weight": (2,)})
    assert str(caught.value).endswith(
        f", but the {len(beside)} below 'net.' fit timm/test_resnet; the rest (criterion.weight) belongs to something "
        "else: save the network's state_dict() alone"
    )


def test_nothing_is_close() -> None:
    with pytest.raises(ArchitectureError, match=r"and none is close \(its first are a\.weight and b\.weight\); name it"):
        recognise({"a.weight": (3, 5), "b.weight": (7,)})


def test_fingerprints_add_up_and_ignore_order_and_counters() -> None:
    given = {"a.weight": (2, 3), "head.weight": (5, 2), "bn.num_batches_tracked": ()}
    hashes = tensor_hashes(given)
    assert fingerprint(hashes, ["head"]) == fingerprint(tensor_hashes({"a.weight": (2, 3)}))
    assert fingerprint(hashes) == fingerprint(tensor_hashes(dict(reversed(given.items()))))
    assert fingerprint(hashes) != fingerprint(tensor_hashes({**given, "a.weight": (3, 2)}))
    assert fingerprint(hashes, ["hea"]) == fingerprint(hashes)


def test_the_sketch_estimates_the_share_in_common() -> None:
    ones = {f"a{i}": (i,) for i in range(300)}
    twos = {f"a{i}": (i,) for i in range(150, 450)}
    estimate = resemblance(sketch(tensor_hashes(ones).values()), sketch(tensor_hashes(twos).values()))
    assert abs(estimate - 150 / 450) < 0.3
    assert resemblance(sketch(tensor_hashes(ones).values()), sketch(tensor_hashes(ones).values())) == 1.0


def replaced(name: str, place: str, head: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(1)
    network = build_network(name, 2)
    parent, _, child = place.rpartition(".")
    setattr(network.get_submodule(parent), child, head)
    return network.eval(), dict(network.state_dict())


def two_layers(width: int, *, dropout: bool) -> nn.Sequential:
    drop = [nn.Dropout(0.5)] if dropout else []
    return nn.Sequential(*drop, nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), *drop, nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("name", "place", "head", "assumption"),
    [
        ("timm/test_resnet", "fc", two_layers(WIDTH, dropout=False), f"2-layer head fc ({WIDTH} → 8 → 3): 1 ReLU assumed"),
        (
            "torchvision/mobilenet_v2",
            "classifier",
            two_layers(1280, dropout=True),
            "2-layer head classifier (1280 → 8 → 3)",
        ),
        ("torchvision/mobilenet_v2", "classifier.1", two_layers(1280, dropout=True), "2-layer head classifier.1"),
        ("torchvision/mobilenet_v2", "classifier", nn.Linear(1280, 3), ""),
        ("timm/test_resnet", "fc", nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, 3)), ""),
        ("timm/test_resnet", "fc", nn.Sequential(nn.Linear(WIDTH, 4), nn.Linear(4, 3)), "no activation between its layers"),
    ],
)
def test_replaced_heads_are_rebuilt(name: str, place: str, head: nn.Module, assumption: str) -> None:
    network, tensors = replaced(name, place, head)
    if isinstance(head, nn.Linear):
        with pytest.raises(CheckpointError, match="does not fit"):
            assemble(name, {}, tensors, "model.pt")  # a bare layer in a block's place leaves no room for a Sequential
        return
    assert recognise(shapes_of(tensors)).entry.name == name
    assembled = assemble(name, {}, tensors, "model.pt")
    assert assembled.outputs == 3
    assert assembled.keys_matched == len(tensors)
    assert "; ".join(assembled.assumptions).find(assumption) >= 0
    assert bool(assumption) == bool(assembled.assumptions)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(assembled.network(images), network(images))


def message(tensors: Mapping[str, Tensor], name: str = "timm/test_resnet") -> str:
    with pytest.raises(CheckpointError) as caught:
        assemble(name, {}, tensors, "model.pt")
    return str(caught.value)


def test_every_weight_must_be_used(tensors: dict[str, Tensor]) -> None:
    first, *_, last = [key for key in tensors if not key.startswith("fc") and not is_counter(key)]
    changed = {key: value for key, value in tensors.items() if key != first}
    changed["extra.weight"] = torch.zeros(1)
    changed[last] = torch.zeros(7)
    shape = tensors[last].shape[0]
    assert message(changed) == (
        f"model.pt does not fit timm/test_resnet: 1 missing: {first}; 1 unexpected: extra.weight; "
        f"1 of another shape: {last} (7 where {shape} is expected); name the right network with --arch and --arch-kwargs"
    )
    headless = {key: value for key, value in tensors.items() if not key.startswith("fc.")}
    assert message(headless).startswith(
        "model.pt has no classifier head: timm/test_resnet keeps it in fc; these are features"
    )


def test_counters_may_be_missing(tensors: dict[str, Tensor], tiny: nn.Module) -> None:
    bare = {key: value for key, value in tensors.items() if not is_counter(key)}
    assert len(bare) < len(tensors)
    network = assemble("timm/test_resnet", {}, bare, "model.pt").network
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), tiny(images))


def test_half_precision_weights_become_fp32(tensors: dict[str, Tensor]) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    network = assemble("timm/test_resnet", {}, half, "model.pt").network
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_building_by_name() -> None:
    state = torch.random.get_rng_state()
    assert build_network("test_resnet", 5)(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, text in (
        ("resnet-18x", "unknown architecture 'resnet-18x' in timm "),
        ("keras/resnet18", "unknown architecture 'keras/resnet18': write timm/NAME, torchvision/NAME or NAME"),
        ("torchvision/resnet19", "; did you mean 'torchvision/resnet18' or "),
    ):
        with pytest.raises(ArchitectureError) as caught:
            build_network(name, 2)
        assert text in str(caught.value)
    with pytest.raises(
        ArchitectureError, match=r"^timm/resnet18 cannot be built with \(pad_type='same'\): .*; see --arch-kwargs$"
    ):
        build_network("timm/resnet18", 2, {"pad_type": "same"})


def test_arch_on_the_command_line_goes_before_recognition(tmp_path: Path, resnet: nn.Module) -> None:
    path = tmp_path / "model.pt"
    torch.save(resnet.state_dict(), path)
    for given, used in (("timm/resnetblur18", "timm/resnetblur18"), ("resnet18", "timm/resnet18")):
        classifier = load_classifier(path, ModelSettings(arch=given), "gender", LEVELS)
        assert (classifier.architecture, classifier.found_by, classifier.warnings) == (used, "--arch", ())
