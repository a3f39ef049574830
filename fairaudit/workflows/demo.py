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
from fairaudit.engine.devices import cores
from fairaudit.engine.history import Progress
from fairaudit.engine.seeding import seed_everything
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData, open_images
from fairaudit.models.classifier import save_classifier
from fairaudit.models.factory import build_network
from fairaudit.models.head import Head, Task
from fairaudit.results import AuditResult, group_label
from fairaudit.workflows.evaluate import evaluate

ARCHITECTURE = "timm/test_resnet"
SIZE = 48
TARGET, ATTRIBUTE = "gender", "Eyeglasses"
# A shortcut: nearly all drawn women of the sample wear glasses and nearly no man does; in the test half of each do.
TRAIN_FACES: Mapping[str, Any] = {"n": 4000, "size": 48, "seed": 0, "spurious": f"{ATTRIBUTE}~{TARGET}=woman:0.9"}
TEST_FACES: Mapping[str, Any] = {
    "n": 6000, "size": 48, "seed": 1, "shares": f"{ATTRIBUTE}=yes:0.5", "balanced_test": False,
}  # fmt: skip
RULE = f"accuracy worst_group by {TARGET},{ATTRIBUTE} >= 0.65"
TRAINING = TrainingSettings(epochs=8, batch_size=64, lr=3e-3, warmup=1)
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

    tell("drawing 2400 faces to train on: 90 % of the women wear glasses, 10 % of the men do")
    data = _training_data()
    tell("the test faces are new ones, of whom half of both wear glasses")
    found = []
    for loss in (BASELINE, MITIGATION):
        tell(f"training {ARCHITECTURE.removeprefix('timm/')} with {loss}")
        checkpoint = out / f"{loss}.pt"
        _train(data, loss, seed, checkpoint, progress)
        config = EvaluateConfig(
            model=checkpoint,
            data="synthetic",
            data_options=TEST_FACES,
            inference=InferenceSettings(device=TRAINING.device),
            audit=AuditSettings(target=TARGET, by=((TARGET, ATTRIBUTE),), rules=(RULE,)),
        )
        evaluation = evaluate(config, out=out / loss, command=["fairaudit", "demo"])
        assert evaluation is not None  # the demo runs in one process
        found.append(evaluation.result)
    return Demo(found[0], found[1], out)


def _training_data() -> TrainingData:
    manifest = load_dataset("synthetic", None, "train", **TRAIN_FACES)
    frame = manifest.frame
    preprocess = Preprocess(size=(SIZE, SIZE), resize="squash", source="the demo")
    targets = torch.from_numpy(frame[TARGET].cat.codes.to_numpy().astype(np.int64))
    attributes = torch.from_numpy(frame[ATTRIBUTE].cat.codes.to_numpy().astype(np.int64))
    classes, levels = manifest.levels(TARGET), manifest.levels(ATTRIBUTE)
    return TrainingData(
        images=open_images(manifest.store, [str(row) for row in frame["row"]], preprocess, workers=cores()),
        targets=targets,
        groups=targets * len(levels) + attributes,
        classes=classes,
        group_labels=tuple(group_label({TARGET: c, ATTRIBUTE: a}) for c in classes for a in levels),
        preprocess=preprocess,
    )


def _train(data: TrainingData, loss: str, seed: int, checkpoint: Path, progress: Callable[[int, int], None] | None) -> None:
    seed_everything(seed)
    model = build_network(ARCHITECTURE, len(data.classes), {})
    settings = TRAINING.model_copy(update={"seed": seed, "balance": "none" if loss == BASELINE else "groups"})
    built = plugins.load("losses", loss).build(data.counted)

    def report(now: Progress) -> None:
        if progress is not None:
            progress((now.epoch - 1) * now.batches + now.batch, now.epochs * now.batches)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers this small are slower on several, much slower where other work waits for a core
    try:
        train(model, data, built, settings, progress=report)
    finally:
        torch.set_num_threads(threads)
    head = Head(len(data.classes), (Task(TARGET, data.classes, tuple(range(len(data.classes)))),))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    save_classifier(
        checkpoint,
        model,
        architecture=ARCHITECTURE,
        arch_kwargs={},
        head=head,
        preprocess=data.preprocess,
        extra={"loss": loss, "training": settings.model_dump(mode="json"), "data": dict(TRAIN_FACES)},
    )
