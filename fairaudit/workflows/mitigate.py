"""Mitigate: train with several objectives on the same data, seeds and budget, audit each on the same test images.

Every arm × seed has a folder of its own, complete or absent, so that an interrupted run goes on where it stopped. What is
selected is selected on validation images; the test images are looked at once, by the audit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairaudit import plugins
from fairaudit.artifacts.folder import write_run
from fairaudit.artifacts.records import write_audit, write_json, write_toml
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import Arm, MitigateConfig
from fairaudit.data.manifest import Manifest
from fairaudit.engine.devices import finish, is_main, one_thread
from fairaudit.engine.history import History
from fairaudit.engine.image_sources import ImageSource
from fairaudit.engine.seeding import seed_everything
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import FairauditError, UsageError
from fairaudit.losses.base import TrainingGroups
from fairaudit.methods.base import Outcome
from fairaudit.metrics.groups import cross
from fairaudit.models.classifier import save_classifier
from fairaudit.results.mitigation import MitigationResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.experiment import Experiment, opened, prepare_experiment, training_data
from fairaudit.workflows.labels import columns_of
from fairaudit.workflows.provenance import environment
from fairaudit.workflows.resuming import check_runs, open_folder, reproducible, withdraw
from fairaudit.workflows.run_folders import CHECKPOINT, CONFIG, PREDICTIONS, RUN, run_folder
from fairaudit.workflows.study import Watch, criterion_of, make_study, predict_test
from fairaudit.workflows.tradeoff import summarise_arms

SMALL_IMAGE = 64 * 64
"""Pixels of an image whose layers are too small to be shared out among threads."""


@dataclass(frozen=True)
class Mitigation:
    """A finished experiment.

    Attributes:
        result: what it found.
        folder: where everything is.
    """

    result: MitigationResult
    folder: Path


Settle = Callable[[Experiment, Callable[[str], TrainingData], Path, Watch], Experiment]
"""Settles the arms' settings before training: (experiment, gives the images of a split, folder, who is told)."""


def mitigate(
    config: MitigateConfig,
    out: Path,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    watch: Watch | None = None,
    settle: Settle | None = None,
) -> Mitigation | None:
    """Run an experiment.

    Args:
        config: the whole run.
        out: its folder.
        resume: go on with what is in the folder; without it the folder must be new or empty.
        command: the command line, for ``run.json``.
        watch: who is told what happens.
        settle: searches settings of the arms first; None trains them as they are.

    Returns:
        What was found; None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend.
    """
    told = watch or Watch()
    started = False
    try:
        open_folder(config, out, resume)
        experiment = prepare_experiment(config, out / "cache")
        _check_arms(experiment)
        if settle is None:
            check_runs(config, out)
        started = True
        if is_main():
            if settle is None or not (out / CONFIG).exists():  # what was settled stands until it is again
                write_toml(out / CONFIG, reproducible(config, experiment.root))
            for sentence in preflight(experiment):
                told.say(sentence)
        height, width = experiment.preprocess.size
        few_threads = one_thread if height * width <= SMALL_IMAGE else nullcontext
        data = _Data(experiment)
        if settle is not None:
            with few_threads():
                experiment = settle(experiment, data.of, out, told)
            config = experiment.config
            check_runs(config, out)
            if is_main():
                write_toml(out / CONFIG, reproducible(config, experiment.root))
        arms = config.trained
        total, done = len(arms) * config.seeds, 0
        for seed in range(config.seeds):
            for arm in arms:
                done += 1
                folder = run_folder(out, arm, seed)
                if not (folder / RUN).exists():
                    told.arm(done, total, arm.name, seed)
                    with few_threads():
                        _run(experiment, data, arm, seed, folder, command, told)
        if not is_main():
            return None
    except FairauditError:
        if started and is_main():
            withdraw(out)
        raise
    finally:
        finish()
    result = summarise_arms(experiment, out)
    return Mitigation(result, out)


def preflight(experiment: Experiment) -> list[str]:
    """What is about to happen, in lines for people."""
    config, splits = experiment.config, experiment.splits
    one = experiment.config.training
    targets = "; ".join(f"{name}: {', '.join(classes)}" for name, classes in experiment.tasks.items())
    height, width = experiment.preprocess.size
    seeds = "1 seed" if config.seeds == 1 else f"{config.seeds} seeds each"
    return [
        f"network   {experiment.start.architecture} from {experiment.start.origin}, {width}x{height} pixels",
        f"target    {targets}",
        f"groups    {','.join(experiment.by)}: {len(experiment.group_labels)}",
        f"images    {len(splits.train):,} to train, {len(splits.validation):,} to select, {len(splits.test):,} to test",
        f"training  {one.epochs} epochs of {one.batch_size} by {one.optimizer}, lr {one.lr:g}; epoch kept: {one.select}",
        f"arms      {', '.join(arm.name for arm in config.trained)}; {seeds}",
    ]


class _Data:
    """Training and validation images, opened when the first training wants them."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._opened: dict[str, TrainingData] = {}
        self._test: ImageSource | None = None

    def of(self, what: str) -> TrainingData:
        part: Manifest = getattr(self._experiment.splits, what)
        if what not in self._opened:
            self._opened[what] = training_data(self._experiment, part)
        return self._opened[what]

    def test_images(self) -> ImageSource:
        """For features alone: their labels stay out of reach."""
        self._test = self._test or opened(self._experiment, self._experiment.splits.test)
        return self._test


def _run(
    experiment: Experiment, data: _Data, arm: Arm, seed: int, folder: Path, command: Sequence[str], watch: Watch
) -> None:
    """Train one arm with one seed, predict and audit the test images, and leave a folder that is whole."""
    work = folder.with_name(f".{folder.name}.training")
    seed_everything(seed)
    study = make_study(experiment, data.of("train"), data.of("validation"), arm, seed, work, watch)
    if arm.method is None:
        model = study.network()
        outcome = Outcome(model, {"model": study.fit(model)})
    else:
        options = plugins.check_options("methods", arm.method, arm.method_options)
        outcome = plugins.load("methods", arm.method).run(study, **options)
    if not is_main():
        return
    predictions = predict_test(experiment, outcome, data.test_images)
    settings = experiment.audit
    if outcome.label_noise is not None and settings.label_noise is None:
        settings = settings.model_copy(update={"label_noise": dict(outcome.label_noise)})
    judge = partial(audit, predictions, card_privileged=experiment.splits.test.card.privileged)
    result = judge(settings)
    by_target = {}
    for name, classes in experiment.tasks.items() if len(experiment.tasks) > 1 else ():
        positive = settings.positive if settings.positive in classes else None
        by_target[name] = judge(settings.model_copy(update={"target": name, "positive": positive, "rules": ()}))
    architecture = outcome.architecture or experiment.start.architecture
    own = architecture == experiment.start.architecture
    kwargs = experiment.start.arch_kwargs if own else {}
    record = {
        "command": list(command),
        "arm": arm.model_dump(mode="json"),
        "name": arm.name,
        "seed": seed,
        "training": study.settings.model_dump(mode="json"),
        "selected": {name: {"epoch": one.selected, "by": one.select} for name, one in outcome.histories.items()},
        "seconds": {name: round(one.seconds, 3) for name, one in outcome.histories.items()},
        "notes": list(outcome.notes),
        "start": {"architecture": experiment.start.architecture, "weights": experiment.start.origin},
        "images": {what: len(getattr(experiment.splits, what)) for what in ("train", "validation", "test")},
        **environment(),
    }
    head = experiment.head
    write_run(
        folder,
        {
            CHECKPOINT: lambda path: save_classifier(
                path, outcome.model, architecture=architecture, arch_kwargs=kwargs, head=head,
                preprocess=experiment.preprocess, extra={"arm": arm.name, "seed": seed},
            ),
            PREDICTIONS: partial(write_predictions, predictions),
            "audit.json": partial(write_audit, result),
            **{f"audit_{name}.json": partial(write_audit, one) for name, one in by_target.items()},
            "history.json": lambda path: write_json(path, _histories(outcome.histories, experiment.group_labels)),
            **{f"training/{path.relative_to(work)}": partial(shutil.copyfile, path) for path in _tables(work)},
            RUN: lambda path: write_json(path, record),
        },
    )  # fmt: skip
    shutil.rmtree(work, ignore_errors=True)


def _tables(work: Path) -> list[Path]:
    """The table of epochs of each stage, and TensorBoard's event files."""
    return sorted(p for p in work.rglob("*") if p.is_file() and (p.suffix == ".csv" or "tfevents" in p.name))


def _check_arms(experiment: Experiment) -> None:
    """Say now what a loss or method would say after the first arms have been trained for hours."""
    counted = _counted(experiment)
    for arm in experiment.config.trained:
        settings = experiment.config.settings_of(arm)
        options = plugins.check_options("losses", arm.loss, arm.loss_options)
        built = plugins.load("losses", arm.loss).build(counted, criterion_of(experiment, settings), **options)
        if built.wants == "embeddings" and arm.method is None:
            raise UsageError(f"the loss {arm.loss} trains no last layer; add --method contrastive, which fits one to it")
        if arm.method is not None:
            plugins.check_options("methods", arm.method, arm.method_options)
        if settings.balance == "groups":
            counted.require_images("balanced sampling")
    folders = [run_folder(Path(), arm, 0) for arm in experiment.config.trained]
    doubled = next((arm.name for arm in experiment.config.trained if folders.count(run_folder(Path(), arm, 0)) > 1), None)
    if doubled is not None:
        raise UsageError(f"the arm {doubled!r} would share its folder with another; give one of them a label")


def _counted(experiment: Experiment) -> TrainingGroups:
    """Training images per group and class, counted from the labels alone."""
    columns = columns_of(experiment.splits.train)[0]
    ids = torch.from_numpy(cross(columns, experiment.by).ids)
    targets, k = torch.zeros(len(ids), dtype=torch.int64), 1
    for name, classes in experiment.tasks.items():
        order = torch.tensor([classes.index(level) for level in columns[name].levels])
        targets = targets * len(classes) + order[torch.from_numpy(columns[name].codes)]
        k *= len(classes)
    return TrainingGroups.count(ids, targets, experiment.group_labels, k)


def _histories(histories: Mapping[str, History], groups: Sequence[str]) -> dict[str, Any]:
    return {
        "groups": list(groups),
        "stages": {
            name: {
                "select": one.select,
                "selected": one.selected,
                "epochs": [
                    {
                        "epoch": e.epoch,
                        "loss": _number(e.loss),
                        "group_losses": [_number(v) for v in e.group_losses],
                        "lr": e.lr,
                        "seconds": round(e.seconds, 3),
                        "score": None if e.validation is None else _number(e.validation.score),
                        "group_accuracies": None
                        if e.validation is None
                        else [_number(v) for v in e.validation.group_accuracies],
                    }
                    for e in one.epochs
                ],
            }
            for name, one in histories.items()
        },
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
