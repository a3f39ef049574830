"""Search journal: what is kept on disk of a search while it goes on, trial by trial and epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from fairaudit.artifacts.folder import write_whole
from fairaudit.errors import ArtifactError, ConfigError, OutputError


def open_journal(path: Path, asked: Mapping[str, Any], known: Mapping[str, BaseDistribution]) -> optuna.Study:
    """A search as it was left, or a new one.

    Args:
        path: its file; the search is named after it.
        asked: what is searched, in JSON's own types: ``space``, ``startup`` (trials before any is stopped), ``seed``.
        known: setting → what its values are drawn from.

    Raises:
        ArtifactError: what is there is no search, or damaged.
        ConfigError: what is there is another search.
        OutputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=path.stem,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=asked["startup"]),
            load_if_exists=True,
        )
        before = study.user_attrs.get("asked")
        if not (before is None or isinstance(before, dict)):
            raise TypeError("what was asked is no table")
        if before in (None, asked):  # of another search others are expected
            for trial in study.trials:
                _check(trial, known)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    except Exception as error:  # what a journal says is done again, by a library, which fails in many ways
        raise ArtifactError(f"{path} is not the record of a search, or damaged; delete it to begin anew") from error
    if before is None:
        study.set_user_attr("asked", dict(asked))
    elif before != asked:
        key = next((key for key in asked if before.get(key) != asked[key]), "setting")
        raise ConfigError(
            f"{path} was searched with another {key} ({_said(before.get(key))}, now {_said(asked.get(key))}); "
            "resume it as it was, or choose another --out"
        )
    for trial in study.trials:  # whoever ran these was interrupted: a folder is one process's
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
    return study


def _check(trial: FrozenTrial, known: Mapping[str, BaseDistribution]) -> None:
    """Refuse a trial that this search cannot have had.

    Raises:
        ValueError: its settings are others, or it has no score.
    """
    whole = trial.state == TrialState.COMPLETE
    if any(known.get(key) != one for key, one in trial.distributions.items()) or (
        whole and set(trial.params) != set(known)
    ):
        raise ValueError(f"trial {trial.number} has other settings")
    if whole and not math.isfinite(trial.value or 0.0):
        raise ValueError(f"trial {trial.number} has no score")
    if not all(isinstance(epoch, int) and math.isfinite(score) for epoch, score in trial.intermediate_values.items()):
        raise ValueError(f"trial {trial.number} has epochs without a score")


def _mend(journal: Path) -> None:
    """Cut off a line that a killed process left half-written, which would spoil what is written behind it."""
    text = journal.read_bytes() if journal.exists() else b""
    if not text.endswith(b"\n") and text:
        write_whole(journal, text[: text.rfind(b"\n") + 1])


def _said(value: Any) -> str:
    return ", ".join(f"{key} {text}" for key, text in value.items()) if isinstance(value, Mapping) else str(value)
