"""The two real networks of the shared folder, on real faces, against a plain PIL loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fairaudit.config import ModelSettings, PreprocessOverrides
from fairaudit.models.classifier import Classifier, load_classifier

pytestmark = pytest.mark.real

LEVELS = {"gender": ("male", "female"), "race": ("White", "Black", "Asian", "Indian", "Others")}
SQUASH = PreprocessOverrides(size=(224, 224), resize="squash", interpolation="bilinear")


def faces(shared: Path, n: int) -> list[Path]:
    found = sorted((shared / "data" / "utkface").glob("*.jpg"))
    return found[:: len(found) // n][:n]


def pixels(path: Path, classifier: Classifier) -> torch.Tensor:
    with Image.open(path) as image:
        small = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    array = np.asarray(small, dtype=np.float32) / 255
    array = (array - np.array(classifier.preprocess.mean, np.float32)) / np.array(classifier.preprocess.std, np.float32)
    return torch.from_numpy(array).permute(2, 0, 1)


def accuracy(classifier: Classifier, paths: list[Path]) -> float:
    """0 is male and 1 female in UTKFace's file names."""
    right = 0
    for start in range(0, len(paths), 50):
        batch = paths[start : start + 50]
        with torch.no_grad():
            scores = classifier.head.scores(classifier.model(torch.stack([pixels(p, classifier) for p in batch])))["gender"]
        for path, row in zip(batch, scores, strict=True):
            decided = classifier.head.tasks["gender"][int(row.argmax())]
            right += decided == ("male", "female")[int(path.name.split("_")[1])]
    return right / len(paths)


def test_a_torchvision_state_dict_is_recognised_and_gives_torchvisions_logits(shared: Path) -> None:
    import torchvision

    path = shared / "weights" / "gender_mobilenet_v2.pt"
    settings = ModelSettings(classes=("female", "male"), preprocess=SQUASH)
    classifier = load_classifier(path, settings, "gender", LEVELS)
    assert classifier.architecture == "torchvision/mobilenet_v2"
    assert classifier.found_by == "recognised from its 314 tensors"
    assert classifier.keys_matched == 314
    assert classifier.head.description == "softmax over 2 outputs: female, male"
    assert classifier.preprocess.mean == (0.485, 0.456, 0.406)
    assert classifier.warnings == ()
    plain = torchvision.models.mobilenet_v2(num_classes=2)
    plain.load_state_dict(torch.load(path, weights_only=True), strict=True)
    plain.eval()
    batch = torch.stack([pixels(p, classifier) for p in faces(shared, 16)])
    with torch.no_grad():
        torch.testing.assert_close(classifier.model(batch), plain(batch), rtol=0, atol=0)


def test_the_torchvision_network_is_right_more_often_than_not(shared: Path) -> None:
    settings = ModelSettings(classes=("female", "male"), preprocess=SQUASH)
    classifier = load_classifier(shared / "weights" / "gender_mobilenet_v2.pt", settings, "gender", LEVELS)
    assert accuracy(classifier, faces(shared, 300)) > 0.7


@pytest.mark.parametrize("flags", [{}, {"arch": "timm/mobilenetv1_100", "arch_kwargs": {"pad_type": "same"}}])
def test_a_two_layer_head_is_rebuilt_and_right_on_real_faces(shared: Path, flags: dict[str, object]) -> None:
    path = shared / "weights" / "mobilenetv1_100_faceres_deep_gender.safetensors"
    mean = (123.68 / 255, 116.779 / 255, 103.939 / 255)
    overrides = SQUASH.model_copy(update={"mean": mean, "std": (1 / 255, 1 / 255, 1 / 255)})
    settings = ModelSettings.model_validate({"classes": ("female", "male"), "preprocess": overrides, **flags})
    classifier = load_classifier(path, settings, "gender", LEVELS)
    assert classifier.architecture == "timm/mobilenetv1_100"
    assert classifier.arch_kwargs == {"pad_type": "same"}
    assert classifier.keys_matched == 166
    assert "2-layer head classifier (1024 → 256 → 2): 1 ReLU assumed between its layers" in classifier.assumptions
    assert accuracy(classifier, faces(shared, 600)) >= 0.85
