"""Networks that provably look at one region of a picture and at nothing else."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from fairaudit.attribution.subject import Subject
from fairaudit.config import Preprocess
from fairaudit.data.faces import regions, render, sample_face
from fairaudit.models.classifier import Classifier
from fairaudit.models.head import Head, Task
from fairaudit.predictions import BoolArray

SIZE = 64
CLASSES = ("without", "with")


class Gate(nn.Module):
    """Nothing passes outside the region."""

    def __init__(self, region: BoolArray) -> None:
        super().__init__()
        self.register_buffer("region", torch.from_numpy(region).float())

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.get_buffer("region")


def looks_at(region: BoolArray, weight: float = 6.0) -> nn.Module:
    """A convolutional network whose evidence is how far the region's mean departs from grey, upwards or downwards.

    Two feature maps hold what is lighter and what is darker than grey; both speak for the second class.
    """
    signs = nn.Conv2d(3, 2, 1, bias=False)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    last = nn.Linear(2, 2)
    with torch.no_grad():
        signs.weight.copy_(torch.tensor([[1.0, 1, 1], [-1, -1, -1]])[:, :, None, None] / 3)
        last.weight.copy_(torch.tensor([[0.0, 0.0], [weight, weight]]) / float(region.mean()))
        last.bias.copy_(torch.tensor([0.0, -weight / 2]))
    return nn.Sequential(signs, nn.ReLU(), Gate(region), pooled, last).eval()


def classifier(network: nn.Module, size: int = SIZE, classes: tuple[str, ...] = CLASSES) -> Classifier:
    """That network as the rest of fairaudit knows it."""
    task = Task("hat", classes, tuple(range(len(classes))))
    half = (0.5, 0.5, 0.5)
    preprocess = Preprocess(size=(size, size), resize="squash", mean=half, std=half)
    return Classifier(network, Head(len(classes), (task,)), preprocess, "a test's own", "made", 0)


def subject(network: nn.Module, size: int = SIZE) -> Subject:
    return Subject(classifier(network, size), "hat", torch.device("cpu"), batch_size=64)


def hatted(seed: int, size: int = SIZE) -> tuple[Tensor, BoolArray]:
    """(3, h, w) pixels of a drawn face with a hat, and (h, w) where the hat is."""
    face = sample_face(np.random.default_rng(seed), Wearing_Hat=True, Eyeglasses=True)
    pixels = torch.from_numpy(np.asarray(render(face, size)).copy()).permute(2, 0, 1)
    return pixels, regions(face, size)["hat"]
