"""Resuming: whether an experiment may be run in a folder, and go on with what is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from fairaudit.artifacts.folder import check_replaceable
from fairaudit.artifacts.tables import read_predictions
from fairaudit.config import Arm, MitigateConfig, read_toml
from fairaudit.engine.state import STATE
from fairaudit.errors import ArtifactError, ConfigError, OutputError
from fairaudit.workflows.run_folders import CACHE, CONFIG, PREDICTIONS, RUN, run_folder
from fairaudit.workflows.seed_runs import read_run

_GROWS = {"arms", "seeds", "baseline"}
"""What may differ when a run is resumed: more arms or seeds are trained beside those that are there."""


_UNSET = "unset"


def open_folder(config: MitigateConfig, out: Path, resume: bool) -> None:
    """Refuse a folder that another run is in, and one that a different configuration is to be resumed in.

    An experiment of which no epoch was finished is nobody's: a run that diverged, or was interrupted at once, may be begun
    anew with other settings.

    Raises:
        OutputError: the folder holds something.
        ConfigError: what is to be resumed was asked for differently.
    """
    held = sorted(p.name for p in out.iterdir()) if out.is_dir() else []
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, but an experiment is a folder; choose another name for --out")
    if CONFIG not in held:
        if held:
            shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")
            raise OutputError(f"{out} holds {shown}; an experiment needs a folder of its own, choose another --out")
        check_replaceable(out)
        return
    if not _worth_keeping(out):
        return
    if not resume:
        raise OutputError(f"{out} holds an experiment already; go on with it with --resume, or choose another --out")
    _check_same(config, out / CONFIG)


def clear_leftovers(out: Path) -> None:
    """Empty the folder of an experiment of which no epoch was finished; decoded images stay.

    Where something was finished, what a training was still to tidy up when it was stopped goes.

    Args:
        out: a folder that ``open_folder`` let pass.
    """
    if not (out / CONFIG).exists():
        return
    if _worth_keeping(out):
        for work in out.rglob(".*.training"):
            if (work.with_name(work.name.removeprefix(".").removesuffix(".training")) / RUN).exists():
                shutil.rmtree(work, ignore_errors=True)
        return
    for path in out.iterdir():
        if path.name == CACHE:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _worth_keeping(out: Path) -> bool:
    """Whether a run, an epoch or a trial of a search is finished there."""
    finished = (RUN, STATE, "*.journal")
    return any(True for pattern in finished for _ in out.rglob(pattern))


def withdraw(out: Path) -> None:
    """Take away the folder of an experiment that was refused before anything was trained; what is in use stays.

    Args:
        out: its folder.
    """
    held = sorted(out.rglob("*"), reverse=True)  # what is inside a folder before the folder
    if any(path.name != CONFIG for path in held if not path.is_dir()):
        return
    for path in held:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    if out.is_dir():
        out.rmdir()


def check_runs(config: MitigateConfig, out: Path) -> None:
    """Refuse finished runs of arms that are called the same and were trained otherwise.

    Args:
        config: with the arms as they are wanted now.
        out: the experiment's folder.

    Raises:
        ArtifactError: the record of a run cannot be read.
        PredictionsError: its predictions cannot.
        ConfigError: a run is of another arm.
    """
    for arm in config.trained:
        for seed in range(config.seeds):
            path = run_folder(out, arm, seed) / RUN
            if path.exists():
                _check_run(path, arm)


def _check_run(path: Path, arm: Arm) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["arm"]
        known = {key: before[key] for key in ("loss", "loss_options", "method", "method_options", "training")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path} is not the record of a run; delete its folder to train it again") from error
    try:
        read_run(path.parent)  # as it will be at the end, after hours
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtifactError(f"what is in {path.parent} is damaged or not whole; delete it to train it again") from error
    read_predictions(path.with_name(PREDICTIONS), None)
    now = arm.model_dump(mode="json")
    for key, value in known.items():
        if _texts(value) != _texts(now[key]):  # 0.1 in a file and on the command line are the same
            raise ConfigError(
                f"{path.parent} was trained with another {_first_difference(key, value, now[key])}; "
                "resume it as it was, label the arm, or choose another --out"
            )


def _texts(value: Any) -> Any:
    return {key: str(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _check_same(config: MitigateConfig, path: Path) -> None:
    before = read_toml(path, MitigateConfig).model_dump(mode="json")
    now = MitigateConfig.model_validate(reproducible(config, None)).model_dump(mode="json")
    for key in before:
        if key in _GROWS or key == "root":
            continue
        if _texts(before[key]) != _texts(now[key]):
            raise ConfigError(
                f"{path} was run with another {_first_difference(key, before[key], now[key])}; "
                "resume it as it was, or choose another --out"
            )


def _first_difference(key: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for inner in {**before, **now}:
            one, other = before.get(inner, _UNSET), now.get(inner, _UNSET)
            if str(one) != str(other):
                return _first_difference(f"{key}.{inner}", one, other)
    return f"{key} ({before}, now {now})"


def reproducible(config: MitigateConfig, root: Path | None) -> dict[str, Any]:
    """The configuration with absolute paths, so that it gives the same run from any folder."""
    paths: dict[str, Any] = {}
    if config.model is not None:
        paths["model"] = config.model.resolve()
    if config.weights is not None and Path(config.weights).exists():
        paths["weights"] = str(Path(config.weights).resolve())
    if config.root is not None or root is not None:
        paths["root"] = (root or config.root or Path()).resolve()
    record: dict[str, Any] = config.model_copy(update=paths).model_dump(mode="json", exclude_defaults=True)
    # A command has defaults of its own for these; a file that left them out would be another run there.
    training = {**record.get("training", {}), "select": config.training.select}
    return {**record, "data": config.data, "training": training}
