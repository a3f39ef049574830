"""Sweep arms: which arms a grid makes of those that were named, and which settings of an arm a search may change."""

from __future__ import annotations

import inspect
import itertools
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairaudit import plugins
from fairaudit.config import Arm, MitigateConfig, Range, SweepConfig, TrainingSettings, validated
from fairaudit.errors import UnknownNameError, UsageError

_OPTIONS = {"loss": "losses", "method": "methods"}
_NOT_SWEPT = {"seed": "every arm is trained with the seeds that --seeds asks for"}
_NOT_TUNED = {**_NOT_SWEPT, "select": "scores by different rules cannot be compared"}


def sweep_arms(config: SweepConfig) -> MitigateConfig:
    """The experiment that a sweep is: every arm with every combination of the grid's values that concern it.

    An option of a loss or method concerns the arms that have it. Plain cross-entropy with the run's own settings is the
    baseline and has no other name.

    Args:
        config: the sweep.

    Raises:
        UsageError: a key of the grid or of the search concerns no arm, a value is named twice or cannot be.
        ConfigError: a value of a training setting cannot be.
    """
    check_keys("the grid", config.grid, config.arms, _NOT_SWEPT)
    check_keys("the search", config.space, config.trained, _NOT_TUNED)
    arms: dict[str, Arm] = {}
    for arm in config.arms:
        keys = [key for key in config.grid if concerns(key, arm)]
        values = [_distinct(key, [checked(key, value, arm, config.training) for value in config.grid[key]]) for key in keys]
        for combination in itertools.product(*values):
            one = _multiplied(arm, dict(zip(keys, combination, strict=True)), config.training)
            arms[one.name] = one
    for arm in arms.values():
        validated({**config.training.model_dump(), **arm.training}, TrainingSettings, f"the grid: {arm.name}")
        for key, searched in config.space.items():
            if concerns(key, arm):
                _check_searched(key, searched, arm, config.training)
    values_of = {name: getattr(config, name) for name in MitigateConfig.model_fields}
    return validated({**values_of, "arms": tuple(arms.values())}, MitigateConfig, "the grid")


def check_keys(where: str, keys: Iterable[str], arms: Sequence[Arm], refused: Mapping[str, str]) -> None:
    """Refuse a key that is no setting of any arm.

    Args:
        where: what the keys are of, for the error.
        keys: ``lr``, ``loss.step_size``, ``method.KEY``.
        arms: every arm.
        refused: key → why it cannot be varied.

    Raises:
        UsageError: one is none; the nearest that is one is named.
    """
    for key in keys:
        if key in refused:
            raise UsageError(f"{where} cannot vary {key}: {refused[key]}")
        if not any(concerns(key, arm) for arm in arms):
            known = [name for name in TrainingSettings.model_fields if name not in refused]
            known += [f"{part}.{name}" for part in _OPTIONS for arm in arms for name in _options(part, arm)]
            raise UnknownNameError(f"setting in {where}", key, dict.fromkeys(known))


def concerns(key: str, arm: Arm) -> bool:
    """Whether an arm has such a setting.

    Args:
        key: ``lr``, ``loss.step_size``, ``method.KEY``.
        arm: one.
    """
    part, dot, option = key.partition(".")
    if not dot:
        return key in TrainingSettings.model_fields
    return part in _OPTIONS and option.replace("-", "_") in _options(part, arm)


def changed(arm: Arm, values: Mapping[str, Any], label: str | None = None) -> Arm:
    """An arm with other settings.

    Args:
        arm: one.
        values: ``lr``, ``loss.step_size``, ``method.KEY`` → value.
        label: what it is called; None names it after its settings.

    Raises:
        UsageError: the arm sets one of them already.
    """
    parts: dict[str, dict[str, Any]] = {
        "training": dict(arm.training), "loss_options": dict(arm.loss_options), "method_options": dict(arm.method_options)
    }  # fmt: skip
    for key, value in values.items():
        part, dot, option = key.partition(".")
        inner, name = (parts[f"{part}_options"], option.replace("-", "_")) if dot else (parts["training"], key)
        if name in inner:
            raise UsageError(f"{key} is set for {arm.name} and varied as well; leave one out")
        inner[name] = value
    return Arm(loss=arm.loss, method=arm.method, label=label, reference=arm.reference, **parts)


def checked(key: str, value: Any, arm: Arm, training: TrainingSettings) -> Any:
    """A value as its setting holds it: text of a number becomes the number.

    Args:
        key: a setting that the arm has.
        value: as it was written.
        arm: whose setting.
        training: of the run.

    Raises:
        UsageError: an option cannot be this.
        ConfigError: a training setting cannot be this.
    """
    part, dot, option = key.partition(".")
    if not dot:
        return _plain(getattr(validated({**training.model_dump(), key: value}, TrainingSettings, f"{key}={value}"), key))
    found = plugins.check_options(_OPTIONS[part], _name(part, arm) or "", {option: value})
    return _plain(next(iter(found.values())))


def is_whole(key: str, arm: Arm) -> bool:
    """Whether a setting is a whole number.

    Args:
        key: a setting that the arm has.
        arm: whose setting.
    """
    part, dot, option = key.partition(".")
    annotation = _options(part, arm)[option.replace("-", "_")].annotation if dot else None
    if not dot:
        annotation = TrainingSettings.model_fields[key].annotation
    return annotation is int or int in typing.get_args(annotation)


def folder_label(name: str) -> str:
    """A name as a label, which may not hold what no folder's name may.

    Args:
        name: of an arm.
    """
    return "".join("-" if sign in '/\\:*?"<>|' else sign for sign in name)


def _multiplied(arm: Arm, values: Mapping[str, Any], training: TrainingSettings) -> Arm:
    if not values:
        return arm
    if arm.label is not None:
        said = ",".join(f"{key}={value}" for key, value in values.items())
        return changed(arm, values, folder_label(f"{arm.label}({said})"))
    if arm.is_baseline:
        values = {key: value for key, value in values.items() if _plain(getattr(training, key, None)) != value}
    return changed(arm, values)


def _check_searched(key: str, searched: Range | tuple[Any, ...], arm: Arm, training: TrainingSettings) -> None:
    """Every choice and both limits must be possible; a search would find out after hours."""
    changed(arm, {key: None})
    if not isinstance(searched, Range):
        _distinct(key, [checked(key, value, arm, training) for value in searched])
        return
    for limit in (searched.low, searched.high):
        if is_whole(key, arm) and not limit.is_integer():
            raise UsageError(f"the search for {key} in {searched}: {limit:g} is not a whole number")
        checked(key, int(limit) if is_whole(key, arm) else limit, arm, training)


def _distinct(key: str, values: list[Any]) -> list[Any]:
    doubled = [value for value in values if values.count(value) > 1]
    if doubled:
        raise UsageError(f"{key} is given the value {doubled[0]} twice")
    return values


def _options(part: str, arm: Arm) -> Mapping[str, inspect.Parameter]:
    name = _name(part, arm)
    return {} if name is None else plugins.options(_OPTIONS[part], name)


def _name(part: str, arm: Arm) -> str | None:
    return arm.loss if part == "loss" else arm.method


def _plain(value: Any) -> Any:
    """As a configuration file holds it; several values as the text that makes them."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
