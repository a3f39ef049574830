"""A sweep: a run whose arms are multiplied by a grid of settings, and whose arms may be tuned on the validation images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fairaudit.config.base import Settings
from fairaudit.config.mitigate import MitigateConfig

SEARCH_SPACE: Mapping[str, Any] = {
    "lr": "1e-4..2e-3",
    "epochs": "5..15",
    "batch_size": "64|128",
    "freeze": "none|backbone",
}
"""What is tuned where nobody says: the search of Oehri, Vetterli and Jarvers; all layers are trained, or the last one."""


class Range(Settings):
    """Numbers between two limits, both included; written ``1e-4..2e-3``.

    Attributes:
        low: lower limit.
        high: upper limit.
    """

    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"{self} is empty; write the smaller limit first")
        return self

    @property
    def logarithmic(self) -> bool:
        """Whether numbers are drawn evenly by their logarithm: where the limits differ tenfold or more."""
        return self.low > 0 and self.high >= 10 * self.low

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


def _flat(value: Any) -> Any:
    """Tables as TOML makes them of ``loss.step_size = …``, with the dots back in their keys."""
    return dict(_keys(value)) if isinstance(value, Mapping) else value


def _keys(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if key in ("loss", "method") and isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key.replace("-", "_"), value


def _listed(value: Any) -> Any:
    """``a,b`` or ``a|b`` (where values have commas of their own) as values; one value is a list of one."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split("|" if "|" in value else ","))
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _searched(value: Any) -> Any:
    """``low..high`` as a range, ``a|b`` or a list as choices."""
    if isinstance(value, str) and ".." in value:
        low, _, high = value.partition("..")
        return {"low": low, "high": high}
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split("|"))
    return tuple(value) if isinstance(value, list) else value


Values = Annotated[tuple[Any, ...], BeforeValidator(_listed), Field(min_length=1)]
Searched = Annotated[Range | Annotated[tuple[Any, ...], Field(min_length=1)], BeforeValidator(_searched)]


class TuneSettings(Settings):
    """A search for the best settings of every arm, judged on the validation images alone.

    Attributes:
        trials: trainings per arm.
        space: setting → a range or choices. Keys are those of the grid.
        startup: trials that are drawn at random and never stopped early, before the search learns from them.
        seed: of what the search draws.
    """

    trials: Annotated[int, Field(ge=1)]
    space: Annotated[Mapping[str, Searched] | None, BeforeValidator(_flat)] = None
    startup: Annotated[int, Field(ge=1)] = 5
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("space")
    @classmethod
    def _something(cls, space: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if space is not None and not space:
            raise ValueError("the space is empty; name what is searched, or leave it out")
        return space


class SweepConfig(MitigateConfig):
    """A whole sweep.

    Attributes:
        grid: setting → its values; every arm is tried with every combination of those that concern it. A key is a training
            setting (``lr``), an option of the loss (``loss.step_size``) or of the method (``method.KEY``).
        tune: how every arm's settings are searched before it is trained; None trains the arms as they are.
    """

    grid: Annotated[Mapping[str, Values], BeforeValidator(_flat)] = Field(default_factory=dict)
    tune: TuneSettings | None = None

    @model_validator(mode="after")
    def _apart(self) -> SweepConfig:
        both = [key for key in self.grid if key in self.space]
        if both:
            raise ValueError(f"{both[0]} is in the grid and tuned as well; leave one out")
        return self

    @property
    def space(self) -> Mapping[str, Range | tuple[Any, ...]]:
        """What is tuned; without a pretrained backbone, not whether it is frozen; empty where nothing is."""
        if self.tune is None:
            return {}
        if self.tune.space is not None:
            return self.tune.space
        fixed = set(self.grid) | (set() if self.model or self.weights else {"freeze"})
        usual = {key: text for key, text in SEARCH_SPACE.items() if key not in fixed}
        return TuneSettings(trials=1, space=usual).space or {}
