"""Mitigate: train with several objectives on the same data, seeds and budget, audit each on the same test images.

Every arm × seed has a folder of its own, complete or absent, so that an interrupted run goes on where it stopped. What is
selected is selected on validation images; the test images are looked at once, by the audit.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit import plugins
from fairaudit.artifacts.folder import write_run
from fairaudit.artifacts.records import write_audit, write_json, write_toml
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import Arm, MitigateConfig
from fairaudit.data.manifest import Manifest
from fairaudit.engine.devices import finish, gather, is_main, one_thread, place
from fairaudit.engine.history import History
from fairaudit.engine.image_sources import ImageSource
from fairaudit.engine.seeding import seed_everything
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DivergenceError, FairauditError
from fairaudit.methods.base import Outcome, Study
from fairaudit.models.classifier import save_classifier
from fairaudit.models.treated import described
from fairaudit.results.mitigation import MitigationResult
from fairaudit.workflows.arm_audits import audits_of, check_audits
from fairaudit.workflows.arm_checks import check_arms
from fairaudit.workflows.embedding_arms import with_reference
from fairaudit.workflows.experiment import Experiment, opened, prepare_experiment, training_data
from fairaudit.workflows.provenance import environment
from fairaudit.workflows.resuming import check_runs, clear_leftovers, open_folder, reproducible, withdraw
from fairaudit.workflows.run_folders import CACHE, CHECKPOINT, CONFIG, PREDICTIONS, RUN, run_folder
from fairaudit.workflows.study import Watch, make_study, predict_test
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
        resume: go on with what is in the folder; without it nothing may be in it that would be lost.
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
        config = with_reference(config)
        open_folder(config, out, resume)
        experiment = prepare_experiment(config, out / CACHE)
        check_audits(experiment)
        check_arms(experiment)
        if settle is None:
            check_runs(config, out)
        placement = place(config.training.device)
        gather(None, placement)  # no process writes before all have looked
        started = True
        if is_main():
            clear_leftovers(out)
            if settle is None or not (out / CONFIG).exists():  # what was settled stands until it is again
                write_toml(out / CONFIG, reproducible(config, experiment.root))
            for sentence in preflight(experiment, placement.processes):
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
        diverged: dict[str, DivergenceError] = {}
        for seed in range(config.seeds):
            for arm in arms:
                done += 1
                folder = run_folder(out, arm, seed)
                if arm.name in diverged or (folder / RUN).exists():
                    continue
                told.arm(done, total, arm.name, seed)
                try:
                    with few_threads():
                        _run(experiment, data, arm, seed, folder, command, told)
                except DivergenceError as error:
                    if arm.is_baseline or len(arms) == 1:
                        raise
                    diverged[arm.name] = error
                    told.say(f"{arm.name}: {error}; the other arms go on")
        if diverged:
            raise _without(diverged, len(arms))
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


def _without(diverged: Mapping[str, DivergenceError], arms: int) -> DivergenceError:
    """What is said at the end of an experiment of which some arms have no result."""
    first = next(iter(diverged.values()))
    if len(diverged) == arms:
        return first
    whose = f"arm {next(iter(diverged))}" if len(diverged) == 1 else f"arms {', '.join(diverged)}"
    return DivergenceError(f"{whose}: {first}; the rest is trained, and goes on with --resume")


def preflight(experiment: Experiment, processes: int = 1) -> list[str]:
    """What is about to happen, in lines for people."""
    config, splits = experiment.config, experiment.splits
    one = experiment.config.training
    targets = "; ".join(f"{name}: {', '.join(classes)}" for name, classes in experiment.tasks.items())
    if experiment.embeds:
        targets = "; ".join(f"{name}, by which images are found again" for name in experiment.tasks)
    height, width = experiment.preprocess.size
    seeds = "1 seed" if config.seeds == 1 else f"{config.seeds} seeds each"
    shared = f"processes {processes}, which share each batch: batch normalisation takes its statistics from one share"
    return [
        f"network   {experiment.start.architecture} from {experiment.start.origin}, {width}x{height} pixels",
        f"target    {targets}",
        f"groups    {','.join(experiment.by)}: {len(experiment.group_labels)}",
        f"images    {len(splits.train):,} to train, {len(splits.validation):,} to select, {len(splits.test):,} to test",
        f"training  {one.epochs} epochs of {one.batch_size} by {one.optimizer}, lr {one.lr:g}; epoch kept: {one.select}",
        f"arms      {', '.join(arm.name for arm in config.trained)}; {seeds}",
        *([shared] if processes > 1 else []),
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
            self._opened[what] = training_data(self._experiment, part, opened(self._experiment, part))
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
    try:
        outcome = _trained(arm, study)
    except DivergenceError:
        if is_main():  # the same again would diverge again: its epochs are of no use to anybody
            shutil.rmtree(work, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
        raise
    predictions = predict_test(experiment, outcome, data.test_images)
    if not is_main():
        return
    audits = audits_of(experiment, predictions, outcome.label_noise)
    architecture = outcome.architecture or experiment.start.architecture
    own = architecture == experiment.start.architecture
    architecture, kwargs = described(outcome.model, architecture, experiment.start.arch_kwargs if own else {})
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
    head = None if outcome.embeds else experiment.head
    write_run(
        folder,
        {
            CHECKPOINT: lambda path: save_classifier(
                path, outcome.model, architecture=architecture, arch_kwargs=kwargs, head=head,
                preprocess=experiment.preprocess, extra={"arm": arm.name, "seed": seed},
            ),
            PREDICTIONS: partial(write_predictions, predictions),
            **{name: partial(write_audit, one) for name, one in audits.items()},
            "history.json": lambda path: write_json(path, _histories(outcome.histories, experiment.group_labels)),
            **{f"training/{path.relative_to(work)}": partial(shutil.copyfile, path) for path in _tables(work)},
            RUN: lambda path: write_json(path, record),
        },
    )  # fmt: skip
    shutil.rmtree(work, ignore_errors=True)


def _trained(arm: Arm, study: Study) -> Outcome:
    if arm.method is None:
        model = study.network()
        return Outcome(model, {"model": study.fit(model)})
    options = plugins.check_options("methods", arm.method, arm.method_options)
    outcome: Outcome = plugins.load("methods", arm.method).run(study, **options)
    return outcome


def _tables(work: Path) -> list[Path]:
    """The table of epochs of each stage, and TensorBoard's event files."""
    return sorted(p for p in work.rglob("*") if p.is_file() and (p.suffix == ".csv" or "tfevents" in p.name))


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
