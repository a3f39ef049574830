"""Everything that is settled before the first explanation, so that what is wrong is said before hours of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from fairaudit.artifacts.tables import read_predictions
from fairaudit.attribution.explainers import Explainer
from fairaudit.attribution.subject import Subject
from fairaudit.attribution.superpixels import check_segments
from fairaudit.config import EvaluateConfig
from fairaudit.data.manifest import Manifest
from fairaudit.engine.devices import place
from fairaudit.engine.predict import Inference, predict
from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics.groups import Groups
from fairaudit.models.classifier import Classifier, load_classifier
from fairaudit.predictions import FloatArray, IntArray, Predictions, Task
from fairaudit.workflows.evaluate import Plan, labels_as_predicted, prepare
from fairaudit.workflows.explain_grouping import decided, reference_group
from fairaudit.workflows.explain_maps import read_maps
from fairaudit.workflows.explain_rows import check_rows
from fairaudit.workflows.labels import assemble, column_of, level_of, spelling
from fairaudit.workflows.matching import index_of

Progress = Callable[[int, int], None]

_LEAST_QUANTILE = 0.5
"""Of a probe's region: a larger one leaves too little elsewhere for its control."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A network, images, what it said of them, and how it is going to be explained.

    Attributes:
        config: the whole run.
        plan: the images, and the audit that fits them.
        classifier: the network and what it means.
        explainer: the network, asked about the target by one method.
        spelt: column → class names as the dataset spells them, in the order of the outputs.
        classes: indices of the classes to explain; empty for the one that was predicted.
        maps: attribute → (h, w) map of the size of the network's input.
        doubts: about the maps, a sentence each.
        predictions: of every image.
        task: what was predicted of the target, decided as the audit decides; its classes are in the order of the outputs.
        groups: of the first grouping.
    """

    config: EvaluateConfig
    plan: Plan
    classifier: Classifier
    explainer: Explainer
    spelt: dict[str, tuple[str, ...]]
    classes: tuple[int, ...]
    maps: dict[str, FloatArray]
    doubts: tuple[str, ...]
    predictions: Predictions
    task: Task
    groups: Groups

    def pixels(self, at: int) -> Tensor:
        """(3, h, w) uint8 pixels of an image as the network sees them, by its position in the table of predictions.

        Raises:
            DataError: it cannot be read.
        """
        exact = self.config.inference.exact_resize
        return self.explainer.subject.read(self.plan.manifest.store, str(self.predictions.rows[at]), exact)

    @property
    def people(self) -> IntArray | None:
        """(n,) who is on each image; None where that is not known."""
        return None if self.predictions.identity is None else self.predictions.identity.codes


def settle(config: EvaluateConfig, run: Path | None, progress: Progress | None) -> Scene:
    """Read images, network, maps and predictions, and refuse what cannot be explained.

    Args:
        config: the whole run.
        run: run folder whose predictions are taken; None predicts.
        progress: told (images done, images in all) of predicting.

    Raises:
        FairauditError: anything that a user can mend; what can be checked without the network's predictions comes first.
    """
    asked = config.explain
    if asked.per_group and len(asked.classes) > 1:
        raise UsageError("mean maps are of one class: name one --class with --per-group, or none for the predicted one")
    if asked.probe and not asked.maps:
        raise UsageError("a probe takes the region of an attribute away: name its map with --map NAME=FILE")
    if asked.probe and asked.quantile < _LEAST_QUANTILE:
        raise UsageError(
            f"a probe takes as much away elsewhere, to compare: with --quantile {asked.quantile:g} the region is more than "
            "half of the image; say 0.5 or more"
        )
    device = place(config.inference.device).device
    plan = prepare(config)
    manifest, target = plan.manifest, plan.target
    if not target:
        raise UsageError(f"one label is explained at a time, not {plan.audit.target}; name one with --target")
    check_rows(asked.rows, [str(row) for row in manifest.frame["row"]])
    levels = {name: manifest.levels(name) for name in manifest.attributes}
    classifier = load_classifier(config.model, config.network, target, levels)
    spelt, _ = spelling(classifier.head.tasks, manifest, target)
    names = spelt[target]
    classes = [index_of("class", level_of(name, target, manifest), names) for name in asked.classes]
    if asked.superpixels != "quickshift":
        check_segments(asked.segments, classifier.preprocess.size)
    maps, doubts = read_maps(asked.maps, classifier.preprocess, config.data, asked.rescale, asked.quantile)
    labelled = labels_as_predicted(plan, spelt, target)
    reference_group(labelled, decided(labelled, plan)[1], plan)
    task = next(name for name in classifier.head.tasks if column_of(name, manifest) == target)
    subject = Subject(classifier, task, device, config.inference.batch_size or 16)
    explainer = Explainer(subject, asked.method, asked.samples, asked.steps, 2 * asked.segments)
    predictions = None if run is None else _stored(run, manifest, names, target)
    if predictions is None:
        predictions = joined(predict(classifier, manifest, config.inference, progress), plan, spelt)
    return Scene(
        config, plan, classifier, explainer, spelt, tuple(dict.fromkeys(classes)), maps, tuple(doubts), predictions,
        *decided(predictions, plan),
    )  # fmt: skip


def joined(inference: Inference, plan: Plan, spelt: dict[str, tuple[str, ...]]) -> Predictions:
    """What was predicted, with the labels beside it."""
    scored = {column_of(name, plan.manifest): scores for name, scores in inference.scores.items()}
    return assemble(inference.rows, scored, plan.manifest, spelt, plan.target)


def _stored(run: Path, manifest: Manifest, classes: Sequence[str], target: str) -> Predictions | None:
    """The predictions of a run, in the manifest's order; None where it holds none.

    Raises:
        PredictionsError: they are of other images or classes.
    """
    path = run / "predictions.parquet"
    if not path.is_file():
        return None
    held = read_predictions(path)
    at = {str(row): i for i, row in enumerate(held.rows)}
    wanted = [at[row] for row in map(str, manifest.frame["row"]) if row in at]
    task = held.tasks.get(target)
    if task is None or task.classes != tuple(classes) or not wanted:
        raise PredictionsError(f"the predictions in {run} are of other images or classes; evaluate the model again")
    return held.take(np.array(wanted, dtype=np.int64))
