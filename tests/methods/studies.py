"""Small studies: drawn images in which the attribute is easy to see and the target hard, and networks that learn fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairaudit.config import Preprocess, TrainingSettings, validated
from fairaudit.engine.batches import Batches
from fairaudit.engine.history import History
from fairaudit.engine.mixing import Mixer
from fairaudit.engine.train import Report, train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.losses import cross_entropy
from fairaudit.losses.base import Criterion, CrossEntropy, GroupLoss, MultiTaskCrossEntropy, TrainingGroups
from fairaudit.methods.base import Study
from fairaudit.metrics.groups import cross
from fairaudit.models.classifier import build_network
from fairaudit.predictions import Column
from fairaudit.results import group_label
from fairaudit.workflows.selection import retrieval_score, validation_score

SIZE = 8
PREPROCESS = Preprocess(size=(SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
LEVELS = {
    "gender": ("female", "male"),
    "glasses": ("no", "yes"),
    "service_test": ("False", "True"),
    "age": ("young", "middle", "old"),
}


@dataclass(frozen=True, eq=False)
class Part:
    """Images and what is written of them.

    Attributes:
        data: as training sees them.
        columns: all categorical columns.
    """

    data: TrainingData
    columns: Mapping[str, Column]


def labelled(gender: np.ndarray, glasses: np.ndarray, seed: int, target: str = "gender", by: str = "glasses") -> Part:
    """Draw images: men are a little redder, glasses are much greener, the old a little bluer.

    Args:
        gender: (n,) 0 or 1.
        glasses: (n,) 0 or 1.
        seed: of the noise.
        target: column that is predicted; two with a comma between them are two tasks.
        by: columns that make the groups, with commas between them; empty for none.
    """
    rng = np.random.default_rng(seed)
    n = len(gender)
    age = rng.integers(3, size=n)
    tint = np.stack([14 * gender, 60 * glasses, 30 * age], axis=1) + rng.normal(0, 8, (n, 3)) + 90
    pixels = (tint[:, :, None, None] + rng.normal(0, 5, (n, 3, SIZE, SIZE))).clip(0, 255).astype(np.uint8)
    values = {"gender": gender, "glasses": glasses, "service_test": rng.integers(2, size=n), "age": age}
    columns = {name: Column(np.asarray(codes, dtype=np.int64), LEVELS[name]) for name, codes in values.items()}
    names = target.split(",")
    codes = [torch.from_numpy(columns[name].codes) for name in names]
    crossed = cross(columns, by.split(",")) if by else None
    data = TrainingData(
        CachedImages(torch.from_numpy(pixels)),
        codes[0] if len(names) == 1 else torch.stack(codes, dim=1),
        torch.zeros(n, dtype=torch.int64) if crossed is None else torch.from_numpy(crossed.ids),
        tuple(level for name in names for level in LEVELS[name]),
        ("all",) if crossed is None else tuple(group_label(crossed.as_mapping(i)) for i in range(len(crossed))),
        PREPROCESS,
        tuple((name, LEVELS[name]) for name in names) if len(names) > 1 else None,
    )
    return Part(data, columns)


def biased(n: int, agree: float, seed: int, target: str = "gender", by: str = "glasses") -> Part:
    """Images of which a share wears glasses exactly if male.

    Args:
        n: images.
        agree: that share.
        seed: of everything.
        target: see ``labelled``.
        by: see ``labelled``.
    """
    rng = np.random.default_rng(seed)
    gender = rng.permutation(np.arange(n) % 2)
    glasses = np.where(rng.random(n) < agree, gender, 1 - gender)
    return labelled(gender, glasses, seed + 1000, target, by)


def small_network(outputs: int, seed: int) -> nn.Sequential:
    """The mean of each colour, some mixtures of them, and a linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*pool, nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, outputs))


@dataclass
class Call:
    """One training that a method asked for.

    Attributes:
        model: the network that was trained.
        data: what it learnt from.
        loss: what was minimised.
        settings: how.
        mixer: what mixed.
        name: of the training.
        batches: what drew batches.
    """

    model: nn.Module
    data: TrainingData
    loss: GroupLoss
    settings: TrainingSettings
    mixer: Mixer | None
    name: str
    batches: Batches | None = None


@dataclass
class Bench:
    """A study, and what methods asked of it.

    Attributes:
        study: what a method is given.
        calls: trainings so far.
    """

    study: Study
    calls: list[Call] = field(default_factory=list)


def bench(
    train_part: Part | None = None,
    validation: Part | None = None,
    *,
    by: tuple[str, ...] = ("glasses",),
    seed: int = 0,
    build: Callable[..., GroupLoss] = cross_entropy.build,
    arch: str | None = None,
    resume: Path | None = None,
    progress: Report | None = None,
    **changes: Any,
) -> Bench:
    """A study of drawn images.

    Args:
        train_part: images to learn from.
        validation: images to select on.
        by: attributes that make the groups.
        seed: of the study.
        build: the chosen loss.
        arch: of the network; None takes a tiny one of its own.
        resume: folder of the states of its trainings.
        progress: told where each training stands.
        changes: training settings that differ from two short epochs.
    """
    learnt = train_part or biased(96, 0.8, seed=1)
    held = validation or biased(96, 0.5, seed=2)
    asked = {"epochs": 2, "batch_size": 16, "lr": 0.02, "device": "cpu", "workers": 0, "seed": seed, **changes}
    settings = validated(asked, TrainingSettings, "the test")
    calls: list[Call] = []

    def network(outputs: int | None = None, architecture: str | None = None) -> nn.Module:
        wanted = outputs or len(learnt.data.classes)
        name = architecture or arch
        if name is None:
            return small_network(wanted, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_network(name, wanted)

    def loss(groups: TrainingGroups) -> GroupLoss:
        return build(groups, criterion_of(learnt.data))

    def fit(
        model: nn.Module,
        data: TrainingData | None = None,
        *,
        loss: GroupLoss | None = None,
        settings: TrainingSettings | None = None,
        mixer: Mixer | None = None,
        batches: Batches | None = None,
        name: str = "model",
    ) -> History:
        data = study.train if data is None else data
        chosen = study.loss(data.counted) if loss is None else loss
        asked = study.settings if settings is None else settings
        assert name not in [call.name for call in calls], "two trainings of one run share their folder"
        calls.append(Call(model, data, chosen, asked, mixer, name, batches))
        return train(
            model,
            data,
            chosen,
            asked,
            validation=held.data.images,
            score=lambda _, found: (retrieval_score if chosen.wants == "outputs" else validation_score)(
                found, held.data, asked.select
            ),
            mixer=mixer,
            batches=batches,
            resume=None if resume is None else resume / name,
            progress=progress,
        )

    study = Study(
        train=learnt.data,
        validation=held.data,
        columns=learnt.columns,
        validation_columns=held.columns,
        by=by,
        settings=settings,
        seed=seed,
        network=network,
        loss=loss,
        fit=fit,
        score=lambda logits, data: validation_score(logits, data, settings.select),
    )
    return Bench(study, calls)


def criterion_of(data: TrainingData) -> Criterion:
    """Cross-entropy of one target or of several."""
    if data.tasks is None:
        return CrossEntropy()
    slices, first = [], 0
    for _, classes in data.tasks:
        slices.append(slice(first, first + len(classes)))
        first += len(classes)
    return MultiTaskCrossEntropy(tuple(slices))


@torch.no_grad()
def logits(model: nn.Module, data: TrainingData) -> Tensor:
    """(n, k) logits of all images, by a plain loop."""
    rows = []
    for i in range(len(data)):
        image = data.images.take(torch.tensor([i])).float() / 255
        mean, std = (torch.tensor(v)[:, None, None] for v in (data.preprocess.mean, data.preprocess.std))
        rows.append(model.eval()((image - mean) / std))
    return torch.cat(rows)


def worst_cell(model: nn.Module, data: TrainingData) -> float:
    """Accuracy in the worst target × group cell."""
    right = logits(model, data).argmax(dim=1) == data.targets
    cells = data.targets * len(data.group_labels) + data.groups
    return min(float(right[cells == cell].double().mean()) for cell in set(cells.tolist()))


def weights(model: nn.Module) -> list[Tensor]:
    """Copies of everything that a checkpoint holds."""
    return [value.clone() for value in model.state_dict().values()]


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks have the same weights, to the bit."""
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))
