"""From a file to a classifier: nests, prefixes, metadata, preprocessing, and fairaudit's own checkpoints."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from fairaudit.config import ModelSettings, Preprocess, PreprocessOverrides
from fairaudit.errors import CheckpointError, OutputError
from fairaudit.models.classifier import Classifier, build_network, load_classifier, save_classifier
from fairaudit.models.head import Head, Task

LEVELS = {"gender": ("female", "male"), "race": ("White", "Black")}
HEAD = Head(2, (Task("gender", ("female", "male"), (0, 1)),))
Tensors = dict[str, Tensor]


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


def load(path: Path, target: str = "gender", **flags: Any) -> Classifier:
    return load_classifier(path, ModelSettings.model_validate(flags), target, LEVELS)


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + key: value for key, value in tensors.items()}


def other(tensors: Tensors) -> Tensors:
    return {key: torch.zeros_like(value) for key, value in tensors.items()}


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda t: t, ""),
        (lambda t: {"state_dict": t, "epoch": 3, "optimizer": {"state": {}}}, ""),
        (lambda t: {"model": t, "optimizer": {"state": {0: torch.zeros(1)}}}, ""),
        (lambda t: {"model_state_dict": t}, ""),
        (lambda t: under("module.", t), ""),
        (lambda t: under("module._orig_mod.", t), ""),
        (
            lambda t: {"state_dict": under("model.", t), "pytorch-lightning_version": "2.0"},
            "the prefix 'model.' was removed",
        ),
        (
            lambda t: {"state_dict": t, "state_dict_ema": other(t)},
            "the plain weights (state_dict) were taken, the moving average",
        ),
        (lambda t: {"state_dict_ema": t}, "the weights are a moving average (state_dict_ema)"),
        (
            lambda t: {"model_ema": {"n_averaged": torch.tensor(3), **under("module.", t)}},
            "the weights are a moving average",
        ),
        (lambda t: {"student": t, "epoch": 1}, "the weights are the file's entry 'student'"),
    ],
)
def test_nests_and_prefixes(
    tmp_path: Path, tensors: Tensors, tiny: nn.Module, wrap: Callable[[Tensors], Any], note: str
) -> None:
    classifier = load(saved(tmp_path / "model.pt", wrap(tensors)))
    assert classifier.architecture == "timm/test_resnet"
    assert classifier.keys_matched == len(tensors)
    assert note in "; ".join(classifier.assumptions)
    assert not classifier.model.training
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(classifier.model(images), tiny(images), rtol=0, atol=0)


def refusal(path: Path, **flags: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path, **flags)
    return str(caught.value)


def test_files_without_usable_weights(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "model.pt"
    assert refusal(saved(path, {"epoch": 1, "optimizer": {"lr": 1}})) == (
        f"{path} holds no weights that fairaudit can find, only epoch, optimizer; save model.state_dict()"
    )
    assert refusal(saved(path, {**tensors, "note": "hi"})) == (
        f"{path}: 'note' among the weights is no tensor but str; save model.state_dict() alone"
    )
    broken = {**tensors, "fc.bias": torch.tensor([float("nan"), 0.0])}
    assert refusal(saved(path, broken)) == (
        f"{path}: 1 of {len(tensors)} tensors hold NaN or infinity, first fc.bias: training diverged"
    )


def test_timms_training_arguments_are_read(tmp_path: Path, tensors: Tensors) -> None:
    arguments = argparse.Namespace(
        model="test_resnet", mean=[0.5, 0.5, 0.5], std=None, img_size=96, model_kwargs={}, interpolation=""
    )
    content = {"arch": "test_resnet", "state_dict": tensors, "args": arguments, "class_to_idx": {"male": 0, "female": 1}}
    classifier = load(saved(tmp_path / "model.pth.tar", content))
    assert classifier.found_by == "named test_resnet in the checkpoint's training arguments"
    assert classifier.head.tasks == {"gender": ("male", "female")}
    assert classifier.preprocess.mean == (0.5, 0.5, 0.5)
    assert classifier.preprocess.size == (96, 96)
    assert (
        classifier.preprocess.source == "timm's config of test_resnet; size, mean from the checkpoint's training arguments"
    )


def test_a_name_in_the_file_that_does_not_fit_gives_way_to_the_tensors(tmp_path: Path, tensors: Tensors) -> None:
    for name in ("resnet50", "my_own_net"):
        classifier = load(saved(tmp_path / "model.pt", {"arch": name, "state_dict": tensors}))
        assert classifier.found_by == f"recognised from its {len(tensors)} tensors"
        assert "padding, activation and eps are those of timm/test_resnet: weights cannot tell" in classifier.assumptions


def test_a_safetensors_header_is_read_and_what_is_unreadable_is_said(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "model.safetensors"
    header = {
        "arch": "test_resnet",
        "classes": "male,female",
        "mean": "(0.1, 0.2, 0.3)",
        "std": "one",
        "resize": "squash 64x64",
    }
    safetensors.torch.save_file(tensors, path, metadata=header)
    classifier = load(path)
    assert classifier.head.tasks == {"gender": ("male", "female")}
    assert classifier.preprocess.mean == (0.1, 0.2, 0.3)
    assert classifier.preprocess.resize == "squash"
    assert classifier.warnings == ("the safetensors header has 'std' in a form that could not be read",)


def test_preprocessing_of_each_library_and_of_flags(tmp_path: Path, resnet: nn.Module) -> None:
    path = saved(tmp_path / "model.pt", resnet.state_dict())
    chosen = load(path).preprocess
    assert (chosen.source, chosen.size, chosen.interpolation, chosen.crop_pct) == (
        "timm's config of resnet18",
        (224, 224),
        "bicubic",
        0.95,
    )
    chosen = load(path, arch="torchvision/resnet18").preprocess
    assert chosen.source == "torchvision's transforms of ResNet18_Weights.IMAGENET1K_V1"
    assert (chosen.crop_pct, chosen.interpolation) == (0.875, "bilinear")
    overrides = PreprocessOverrides(size=(96, 64), resize="squash", std=(1, 1, 1))
    chosen = load(path, preprocess=overrides).preprocess
    assert (chosen.size, chosen.resize, chosen.std, chosen.mean) == ((96, 64), "squash", (1, 1, 1), (0.485, 0.456, 0.406))
    assert chosen.source == "timm's config of resnet18; size, resize, std from flags"
    assert refusal(path, preprocess=PreprocessOverrides(crop_pct=2.0)).startswith("preprocessing from flags: crop_pct: ")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_own_checkpoints_load_without_flags(tmp_path: Path, tiny: nn.Module, suffix: str) -> None:
    path = tmp_path / "new" / f"model{suffix}"
    preprocess = Preprocess(size=(64, 64), resize="squash", mean=(0.1, 0.2, 0.3), source="flags")
    save_classifier(
        path,
        tiny,
        architecture="test_resnet",
        arch_kwargs={},
        head=HEAD,
        preprocess=preprocess,
        extra={"loss": "max-group"},
    )
    classifier = load(path)
    assert classifier.found_by == "fairaudit metadata"
    assert classifier.architecture == "timm/test_resnet"
    assert classifier.head == HEAD
    assert classifier.preprocess == preprocess.model_copy(update={"source": "fairaudit metadata"})
    assert classifier.assumptions == ()
    assert classifier.metadata["extra"] == {"loss": "max-group"}
    assert len(classifier.sha256) == 64
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(classifier.model(images), tiny(images))
    assert load(path, classes=("m", "f")).head.tasks == {"gender": ("m", "f")}
    with pytest.raises(CheckpointError, match=r"^this checkpoint predicts gender, not race; audit that with --target"):
        load(path, target="race")
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_damaged_record_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "model.pt"
    record = {"architecture": "timm/test_resnet", "head": HEAD.to_record(), "preprocess": {"size": "big"}}
    assert refusal(saved(path, {"state_dict": tensors, "fairaudit": json.dumps(record)})) == (
        "the checkpoint's fairaudit metadata has no readable preprocessing; save it again"
    )
    record = {"architecture": "timm/test_resnet", "head": {"outputs": 2}}
    assert refusal(saved(path, {"state_dict": tensors, "fairaudit": json.dumps(record)})).startswith(
        "the head's record is damaged"
    )


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, tiny: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        save_classifier(path, tiny, architecture="test_resnet", arch_kwargs={}, head=HEAD, preprocess=Preprocess())
    assert str(caught.value) == f"{path} could not be written: No space left on device"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]
    assert path.read_bytes() == b"old"


def test_a_wrong_class_count_and_a_wrong_size(tmp_path: Path, tensors: Tensors) -> None:
    path = saved(tmp_path / "model.pt", tensors)
    assert refusal(path, classes=("a", "b", "c")) == (
        "the model has 2 outputs but --classes names 3 (a, b, c); name every output, in order"
    )
    path = saved(tmp_path / "vit.pt", build_network("timm/test_vit", 2).state_dict())
    text = refusal(path, preprocess=PreprocessOverrides(size=(97, 97)))
    assert text.startswith("timm/test_vit cannot take 97x97 images: ")
    assert text.endswith("with --arch timm/test_vit --arch-kwargs img_size=97 where it has positions")


def test_a_trusted_module_is_run_as_it_is(tmp_path: Path) -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    path = saved(tmp_path / "model.pt", {"model": module, "epoch": 1})
    classifier = load(path, trust_checkpoint=True)
    assert classifier.architecture == "pickled module Sequential"
    assert classifier.preprocess.source == "ImageNet defaults"
    assert classifier.head.outputs == 2
    assert classifier.keys_matched == 2
    assert "the module's outputs are read as logits" in classifier.assumptions
    assert refusal(path, trust_checkpoint=True, arch="resnet18").endswith("(pickled module); leave --arch out")
