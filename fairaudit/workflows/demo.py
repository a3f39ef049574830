"""Demo: the main job on drawn faces. A biased sample trains a model, an audit finds it out, max-group retrains it.

Nothing is downloaded and nobody is shown. Both models start from the same weights and see the same images
in the same number of epochs; both are audited on the same balanced test faces, which neither saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairaudit import plugins
from fairaudit.config import AuditSettings, EvaluateConfig, InferenceSettings, Preprocess, TrainingSettings
from fairaudit.data.locate import load_dataset
from fairaudit.engine.history import Progress
from fairaudit.engine.seeding import seed_everything
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData, open_images
from fairaudit.models.classifier import save_classifier
from fairaudit.models.factory import build_network
from fairaudit.models.head import Head, Task
from fairaudit.results import AuditResult
from fairaudit.workflows.evaluate import evaluate

ARCHITECTURE = "timm/resnet10t"
SIZE = 64
FACES: Mapping[str, Any] = {"n": 3000, "size": SIZE, "seed": 0, "shares": "tone=dark:0.05,light:0.8"}
ATTRIBUTE = "tone"
RULE = "accuracy gap by tone <= 0.10"
TRAINING = TrainingSettings(epochs=8, batch_size=64, lr=2e-3)
BASELINE, MITIGATION = "cross-entropy", "max-group"


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Attributes:
        before: audit of the model trained by plain cross-entropy.
        after: audit of the model trained with max-group.
        folder: where both run folders and checkpoints are.
    """

    before: AuditResult
    after: AuditResult
    folder: Path


def demo(
    out: Path,
    *,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Demo:
    """Train, audit, retrain, audit again.

    Args:
        out: folder for the checkpoints and one run folder each.
        seed: of the initial weights and the order of the images.
        say: told what happens, a sentence at a time.
        progress: told (batches done, batches in all) while training.

    Raises:
        OutputError: a result cannot be written.
    """

    def tell(sentence: str) -> None:
        if say is not None:
            say(sentence)

    manifest = load_dataset("synthetic", None, "train", **FACES)
    shares = manifest.frame[ATTRIBUTE].value_counts(normalize=True)
    mix = ", ".join(f"{level} {shares[level]:.0%}" for level in manifest.levels(ATTRIBUTE))
    tell(f"drawing {len(manifest)} faces to train on ({ATTRIBUTE}: {mix}); the test faces are balanced")
    preprocess = Preprocess(size=(SIZE, SIZE), resize="squash", mean=(0.5,) * 3, std=(0.25,) * 3, source="the demo")
    frame = manifest.frame
    data = TrainingData(
        images=open_images(manifest.store, [str(r) for r in frame["row"]], preprocess, workers=2),
        targets=torch.from_numpy(frame["gender"].cat.codes.to_numpy().astype(np.int64)),
        groups=torch.from_numpy(frame[ATTRIBUTE].cat.codes.to_numpy().astype(np.int64)),
        classes=manifest.levels("gender"),
        group_labels=manifest.levels(ATTRIBUTE),
        preprocess=preprocess,
    )
    found = []
    for loss in (BASELINE, MITIGATION):
        tell(f"training {ARCHITECTURE.removeprefix('timm/')} with {loss}")
        checkpoint = out / f"{loss}.pt"
        _train(data, loss, seed, checkpoint, progress)
        config = EvaluateConfig(
            model=checkpoint,
            data="synthetic",
            data_options=FACES,
            inference=InferenceSettings(device=TRAINING.device),
            audit=AuditSettings(target="gender", by=((ATTRIBUTE,), (ATTRIBUTE, "gender")), rules=(RULE,)),
        )
        evaluation = evaluate(config, out=out / loss, command=["fairaudit", "demo"])
        assert evaluation is not None  # the demo runs in one process
        found.append(evaluation.result)
    return Demo(found[0], found[1], out)


def _train(data: TrainingData, loss: str, seed: int, checkpoint: Path, progress: Callable[[int, int], None] | None) -> None:
    seed_everything(seed)
    model = build_network(ARCHITECTURE, len(data.classes), {})
    settings = TRAINING.model_copy(update={"seed": seed, "balance": "none" if loss == BASELINE else "groups"})
    built = plugins.load("losses", loss).build(data.counted)

    def report(now: Progress) -> None:
        if progress is not None:
            progress((now.epoch - 1) * now.batches + now.batch, now.epochs * now.batches)

    train(model, data, built, settings, progress=report)
    head = Head(len(data.classes), (Task("gender", data.classes, tuple(range(len(data.classes)))),))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    save_classifier(
        checkpoint,
        model,
        architecture=ARCHITECTURE,
        arch_kwargs={},
        head=head,
        preprocess=data.preprocess,
        extra={"loss": loss, "training": settings.model_dump(mode="json"), "data": dict(FACES)},
    )
