"""Tuning: search the best settings of every arm on the validation images, before anything is trained for the record.

One search per arm, of as many trials for the baseline as for the others, all with the first seed. Each is kept on disk
trial by trial and epoch by epoch: an interrupted one goes on with the epoch and the trials that are missing, and finds what
it would have found. The test images are never looked at.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.config import Arm, Range, SweepConfig, TrainingSettings, TuneSettings, validated
from fairaudit.engine.devices import place
from fairaudit.engine.history import Progress
from fairaudit.engine.seeding import seed_everything
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import ConfigError, FairauditError, TrainingError, UsageError
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.method_scores import score_of_method
from fairaudit.workflows.run_folders import run_folder
from fairaudit.workflows.search_journal import open_journal
from fairaudit.workflows.study import Watch, make_study
from fairaudit.workflows.sweep_arms import changed, checked, concerns, folder_label, is_whole

TUNING = "tuning"
SEED = 0
"""Of the trainings of all trials: the first of those that every arm is trained with afterwards."""
Space = Mapping[str, Range | tuple[Any, ...]]
DataOf = Callable[[str], TrainingData]


class Tuner:
    """Finds the settings of every arm of an experiment; ``mitigate`` calls it before it trains.

    Args:
        config: the sweep, whose search is wanted.
    """

    def __init__(self, config: SweepConfig) -> None:
        if config.tune is None:
            raise UsageError("nothing says how many trials are wanted: --tune N")
        self._settings, self._space = config.tune, config.space

    def __call__(self, experiment: Experiment, data: DataOf, out: Path, watch: Watch) -> Experiment:
        """Search every arm that the space concerns.

        Args:
            experiment: with the arms as they were asked for.
            data: gives the ``train`` and ``validation`` images.
            out: the experiment's folder.
            watch: who is told what happens.

        Returns:
            The experiment with the best settings in its arms, which keep their names.

        Raises:
            UsageError: several processes are asked to search.
            ConfigError: the folder holds a search of another space.
            TrainingError: no trial of an arm came to an end.
            ArtifactError: the folder holds what is no search, or a damaged one.
            OutputError: a result cannot be written.
        """
        if place(experiment.config.training.device).processes > 1:
            raise UsageError("a search runs in one process; start it without torchrun")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        watch.say(f"tuning    {_told(self._space)}: {self._settings.trials} trials per arm on the validation images")
        trained = experiment.config.trained
        searches = [_Search(experiment, data, arm, self._space, self._settings, out / TUNING, watch) for arm in trained]
        journals = [search.journal for search in searches if search.space]
        before = {path: path.read_bytes() for path in journals if path.exists()}
        try:
            studies = [search.opened() if search.space else None for search in searches]
        except FairauditError:
            for path, held in before.items():  # nothing was searched yet
                write_whole(path, held)
            raise
        arms = tuple(search.best(study) for search, study in zip(searches, studies, strict=True))
        others = [arm.name for arm in experiment.config.trained if not any(concerns(key, arm) for key in self._space)]
        note = (
            f"the settings of every arm were searched in {self._settings.trials} trials on the validation images "
            f"({_told(self._space)}); the test images took no part"
        )
        if others:
            note += f"; not of {', '.join(others)}, which has none of these settings"
        config = experiment.config.model_copy(update={"arms": arms})
        return replace(experiment, config=config, notes=(*experiment.notes, note))


class _Search:
    """The search of one arm."""

    def __init__(
        self, experiment: Experiment, data: DataOf, arm: Arm, space: Space, settings: TuneSettings, out: Path, watch: Watch
    ) -> None:
        self.experiment, self.data, self.arm, self.settings, self.watch = experiment, data, arm, settings, watch
        self.space = {key: searched for key, searched in space.items() if concerns(key, arm)}
        self.record = out / f"{run_folder(Path(), arm, SEED).parent.name}.json"
        self.work = out / f".{self.record.stem}.training"

    @property
    def journal(self) -> Path:
        """What is kept of the search while it goes on."""
        return self.record.with_suffix(".journal")

    def best(self, study: optuna.Study | None) -> Arm:
        """The arm with the settings of its best trial; as it was where the space does not concern it.

        Args:
            study: what ``opened`` gave; None where the space does not concern the arm.
        """
        if study is None:
            return self.arm
        while len(done := _finished(study)) < self.settings.trials:
            # A sampler of its own for each trial: a search that goes on draws what it would have drawn.
            study.sampler = optuna.samplers.TPESampler(
                seed=self.settings.seed + len(done), n_startup_trials=self.settings.startup
            )
            self._one(study, len(done))
        trials = _finished(study)
        shutil.rmtree(self.work, ignore_errors=True)
        ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        found = max(ended, key=lambda trial: (trial.value, -trial.number), default=None)
        self._write(trials, found)
        if found is None:
            reasons = [str(trial.user_attrs["reason"]) for trial in trials if "reason" in trial.user_attrs]
            raise TrainingError(f"no trial of {self.arm.name} came to an end: {reasons[-1]}")
        stopped = sum(trial.state == TrialState.PRUNED for trial in trials)
        self.watch.say(
            f"{self.arm.name}: best of {len(trials)} trials ({stopped} stopped early, "
            f"{len(trials) - stopped - len(ended)} failed): {_settings_text(found.params)}; "
            f"validation score {found.value:.4f}"
        )
        return changed(self.arm, self._values(found.params), folder_label(self.arm.name))

    def opened(self) -> optuna.Study:
        """The search as it was left, or a new one.

        Raises:
            ArtifactError, ConfigError, OutputError: see ``open_journal``.
        """
        asked = {
            "space": {key: _searched_text(searched) for key, searched in self.space.items()},
            "startup": self.settings.startup,
            "seed": self.settings.seed,
        }
        known = {key: self._distribution(key) for key in self.space}
        return open_journal(self.journal, asked, known)

    def _distribution(self, key: str) -> BaseDistribution:
        """What ``_suggested`` draws from."""
        searched = self.space[key]
        if not isinstance(searched, Range):
            return CategoricalDistribution([self._checked(key, value) for value in searched])
        if is_whole(key, self.arm):
            return IntDistribution(int(searched.low), int(searched.high))
        return FloatDistribution(searched.low, searched.high, log=searched.logarithmic)

    def _one(self, study: optuna.Study, place_in_search: int) -> None:
        """Train with settings that the search proposes, and tell it what they are worth."""
        trial = study.ask()
        params = {key: self._suggested(trial, key, searched) for key, searched in self.space.items()}
        interrupted = [
            one
            for one in study.trials
            if one.state == TrialState.FAIL and "reason" not in one.user_attrs and one.params == params
        ]
        epochs = _Epochs(trial, interrupted[-1] if interrupted else None)
        digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]
        work = self.work / f"{place_in_search + 1}-{digest}"
        try:
            name = f"{self.arm.name} with {_settings_text(params)}"
            self.watch.arm(place_in_search + 1, self.settings.trials, name, SEED)
            score = self._trained(params, work, epochs)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except (TrainingError, ConfigError, UsageError) as error:  # settings that cannot be trained with
            self._failed(study, trial, str(error))
        else:
            if math.isnan(score):
                self._failed(study, trial, "the validation score is undefined")
            else:
                study.tell(trial, score)
        shutil.rmtree(work, ignore_errors=True)

    def _failed(self, study: optuna.Study, trial: Trial, reason: str) -> None:
        trial.set_user_attr("reason", reason)
        study.tell(trial, state=TrialState.FAIL)
        self.watch.say(f"{self.arm.name}: a trial failed: {reason}")

    def _suggested(self, trial: Trial, key: str, searched: Range | tuple[Any, ...]) -> Any:
        if not isinstance(searched, Range):
            return trial.suggest_categorical(key, [self._checked(key, value) for value in searched])
        if is_whole(key, self.arm):
            return trial.suggest_int(key, int(searched.low), int(searched.high))
        return trial.suggest_float(key, searched.low, searched.high, log=searched.logarithmic)

    def _checked(self, key: str, value: Any) -> Any:
        return checked(key, value, self.arm, self.experiment.config.training)

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {key: params[key] for key in self.space}

    def _trained(self, params: Mapping[str, Any], work: Path, epochs: _Epochs) -> float:
        """Validation score, by the rule that selects epochs, of the network that one trial ends with."""
        arm = changed(self.arm, self._values(params))
        own = {**self.experiment.config.training.model_dump(), **arm.training}
        validated(own, TrainingSettings, arm.name)
        seed_everything(SEED)

        def progress(state: Progress) -> None:
            self.watch.progress(state)
            epochs.see(state)

        watch = replace(self.watch, progress=progress)
        validation = self.data("validation")
        study = make_study(self.experiment, self.data("train"), validation, arm, SEED, work, watch)
        if arm.method is None:
            model = study.network()
            history = study.fit(model)
            kept = history.epochs[history.selected - 1].validation
            return math.nan if kept is None else kept.score
        return score_of_method(arm, study)

    def _write(self, trials: list[FrozenTrial], best: FrozenTrial | None) -> None:
        record = {
            "arm": self.arm.name,
            "select": self.experiment.config.settings_of(self.arm).select,
            "seed": SEED,
            "space": {key: _searched_text(searched) for key, searched in self.space.items()},
            "best": None if best is None else {"settings": best.params, "score": best.value},
            "trials": [
                {
                    "state": trial.state.name.lower(),
                    "settings": trial.params,
                    "score": trial.value if trial.state == TrialState.COMPLETE else None,
                    "epochs": {str(epoch): score for epoch, score in sorted(trial.intermediate_values.items())},
                    "seconds": None if trial.duration is None else round(trial.duration.total_seconds(), 3),
                    **({"reason": trial.user_attrs["reason"]} if "reason" in trial.user_attrs else {}),
                }
                for trial in trials
            ],
        }
        write_json(self.record, record)


class _Epochs:
    """Tells a search the score of every epoch of a trial's first training, and ends a trial that the median beats.

    Later trainings of a method have epochs of another kind, which are not compared.
    """

    def __init__(self, trial: Trial, interrupted: FrozenTrial | None) -> None:
        self._trial = trial
        self._last = 0
        before = {} if interrupted is None else interrupted.intermediate_values
        for epoch, score in sorted(before.items()):
            trial.report(score, epoch)
            self._last = epoch
        self._over = interrupted is not None and bool(interrupted.user_attrs.get("first training over"))
        if self._over:
            trial.set_user_attr("first training over", True)

    def see(self, state: Progress) -> None:
        """Called after every batch and every epoch."""
        ended = state.finished
        if ended is None or ended.epoch != state.epoch or ended.validation is None or self._over:
            return
        if ended.epoch <= self._last:
            self._over = True
            self._trial.set_user_attr("first training over", True)
            return
        self._last = ended.epoch
        if not math.isnan(ended.validation.score):
            self._trial.report(ended.validation.score, ended.epoch)
            if self._trial.should_prune():
                raise optuna.TrialPruned


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that came to an end, or cannot; not those that were interrupted."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [trial for trial in study.trials if trial.state in ended or "reason" in trial.user_attrs]


def _told(space: Space) -> str:
    return ", ".join(f"{key} {_searched_text(searched)}" for key, searched in space.items())


def _searched_text(searched: Range | tuple[Any, ...]) -> str:
    return str(searched) if isinstance(searched, Range) else "|".join(map(str, searched))


def _settings_text(params: Mapping[str, Any]) -> str:
    rounded = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in params.items()}
    return ", ".join(f"{key}={value}" for key, value in rounded.items())
