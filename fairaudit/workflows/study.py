"""Study: what one arm and seed trains with, and what its network says of the test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fairaudit import plugins
from fairaudit.config import Arm, InferenceSettings, TrainingSettings
from fairaudit.engine.batches import Batches
from fairaudit.engine.features import head_of, remembered_features
from fairaudit.engine.freezing import BACKBONE
from fairaudit.engine.history import History, Progress, Validation
from fairaudit.engine.image_sources import ImageSource
from fairaudit.engine.mixing import Mixer
from fairaudit.engine.predict import predict
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import UsageError
from fairaudit.losses.base import Criterion, CrossEntropy, GroupLoss, MultiTaskCrossEntropy, TrainingGroups
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.models.classifier import Classifier
from fairaudit.predictions import FloatArray, Predictions, StrArray
from fairaudit.workflows.embedding_runs import found_again
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.labels import assemble, columns_of
from fairaudit.workflows.selection import retrieval_score, validation_score


@dataclass(frozen=True)
class Watch:
    """Who is told what while an experiment runs.

    Attributes:
        say: told a sentence at a time.
        arm: told (arm's number from 1, arms in all, arm's name, seed) before each training.
        progress: told where a training stands.
    """

    say: Callable[[str], None] = lambda _: None
    arm: Callable[[int, int, str, int], None] = lambda *_: None
    progress: Callable[[Progress], None] = lambda _: None


def make_plan(experiment: Experiment, train_data: TrainingData, validation: TrainingData, arm: Arm, seed: int) -> Plan:
    """What is known of one arm and seed before it is trained.

    Args:
        experiment: what all arms share.
        train_data: images to learn from.
        validation: images to select on.
        arm: which loss, which options, which training settings.
        seed: of everything that is drawn.
    """
    settings = experiment.config.settings_of(arm).model_copy(update={"seed": seed})
    build = plugins.load("losses", arm.loss).build
    options = plugins.check_options("losses", arm.loss, arm.loss_options)
    criterion = _criterion(experiment, settings)

    def loss(groups: TrainingGroups) -> GroupLoss:
        built: GroupLoss = build(groups, criterion, **options)
        return built

    def network(outputs: int | None = None, architecture: str | None = None) -> nn.Module:
        return experiment.start.network(outputs or experiment.outputs, seed, architecture)

    return Plan(
        train=train_data,
        validation=validation,
        columns=columns_of(experiment.splits.train)[0],
        validation_columns=columns_of(experiment.splits.validation)[0],
        by=experiment.by,
        settings=settings,
        seed=seed,
        network=network,
        loss=loss,
    )


def make_study(
    experiment: Experiment,
    train_data: TrainingData,
    validation: TrainingData,
    arm: Arm,
    seed: int,
    work: Path,
    watch: Watch,
) -> Study:
    """Everything that a method may use of one arm and seed.

    Args:
        experiment: what all arms share.
        train_data: images to learn from.
        validation: images to select on.
        arm: which loss, which options, which training settings.
        seed: of everything that is drawn.
        work: folder for the state of trainings that are not finished.
        watch: who is told what happens.
    """
    plan = make_plan(experiment, train_data, validation, arm, seed)
    judge = retrieval_score if experiment.embeds else validation_score

    def score(logits: Tensor, data: TrainingData) -> Validation:
        return judge(logits, data, plan.settings.select)

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
        learnt = train_data if data is None else data
        asked = plan.settings if settings is None else settings
        return train(
            model,
            learnt,
            plan.loss(learnt.counted) if loss is None else loss,
            asked,
            validation=validation.images,
            score=lambda _, logits: judge(logits, validation, asked.select),
            progress=watch.progress,
            say=watch.say,
            resume=work / name,
            mixer=mixer,
            batches=batches,
        )

    return Study(**{field.name: getattr(plan, field.name) for field in fields(plan)}, fit=fit, score=score)


def _criterion(experiment: Experiment, settings: TrainingSettings) -> Criterion:
    """Cross-entropy of the one target, or the mean over several."""
    if len(experiment.tasks) == 1:
        return CrossEntropy(settings.label_smoothing)
    slices, first = [], 0
    for classes in experiment.tasks.values():
        slices.append(slice(first, first + len(classes)))
        first += len(classes)
    return MultiTaskCrossEntropy(tuple(slices), label_smoothing=settings.label_smoothing)


def predict_test(experiment: Experiment, outcome: Outcome, images: Callable[[], ImageSource]) -> Predictions:
    """What a trained network says of the test images, as ``evaluate`` would find it from its checkpoint.

    Where only the last layer was trained, the features of the test images are computed once for all arms and seeds.

    Args:
        experiment: whose test images.
        outcome: the network, and how decisions are made where groups take part in them.
        images: opens the test images for that.
    """
    manifest = experiment.splits.test
    model = outcome.model.to("cpu").float().eval()
    if outcome.embeds:
        return found_again(experiment, model)
    rows, scores = _from_features(experiment, model, images) or _from_images(experiment, model, outcome)
    target = next(iter(experiment.tasks))
    predictions = assemble(rows, scores, manifest, dict(experiment.tasks), target)
    if outcome.decide is None:
        return predictions
    task = predictions.tasks[target]
    assert task.y_score is not None  # a network always gives scores
    decided = np.asarray(outcome.decide(task.y_score, predictions.columns()), dtype=np.int64)
    return replace(predictions, tasks={**predictions.tasks, target: replace(task, y_pred=decided)})


Scored = tuple[StrArray, Mapping[str, FloatArray]]


def _from_images(experiment: Experiment, model: nn.Module, outcome: Outcome) -> Scored:
    classifier = Classifier(
        model,
        experiment.head,
        experiment.preprocess,
        outcome.architecture or experiment.start.architecture,
        "training",
        len(model.state_dict()),
    )
    settings = InferenceSettings(device=experiment.config.training.device)
    inference = predict(classifier, experiment.splits.test, settings)
    return inference.rows, inference.scores


def _from_features(experiment: Experiment, model: nn.Module, images: Callable[[], ImageSource]) -> Scored | None:
    """None where more than the last layer was trained, or follows it."""
    settings = experiment.config.training
    if settings.freeze != BACKBONE or settings.precision != "fp32":
        return None
    try:
        features = remembered_features(model, images(), experiment.preprocess, settings)
    except UsageError:  # there is no last layer that takes rows of numbers
        return None
    if not features.complete:
        return None
    with torch.inference_mode():
        logits = head_of(model)[1].to("cpu")(features.values)
        scores = experiment.head.scores(logits)
    rows = np.array([str(row) for row in experiment.splits.test.frame["row"]], dtype=object)
    return rows, {name: found.double().numpy().round(6) for name, found in scores.items()}
