"""Seed runs: what the folder of one finished training says of itself, for the record of the experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairaudit.results import Group
from fairaudit.results.mitigation import Epoch
from fairaudit.workflows.run_folders import AUDIT, HISTORY, RUN

Named = tuple[str, str | None, tuple[str, ...]]
"""Metric, kind and grouping of a number."""
OfGroup = tuple[tuple[str, ...], frozenset[tuple[str, str]]]
"""A grouping, and the levels of one group of it."""


@dataclass(frozen=True)
class Told:
    """What one run left.

    Attributes:
        selected: epoch whose weights were kept, of the last stage; 0 where nothing was trained by epochs.
        seconds: wall-clock time of training.
        epochs: of the last stage.
        notes: what the method said.
        values: number → its value on the test images, as the run's own audit has it.
        served: group → its accuracy, likewise.
    """

    selected: int
    seconds: float
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    values: Mapping[Named, float]
    served: Mapping[OfGroup, float]


def read_run(folder: Path) -> Told:
    """Read one finished run.

    Args:
        folder: where it is.
    """
    record, audit = _read(folder / RUN), _read(folder / AUDIT)
    selected = [stage["epoch"] for stage in record["selected"].values()]
    return Told(
        selected[-1] if selected else 0,
        float(sum(record["seconds"].values())),
        _epochs(_read(folder / HISTORY)),
        tuple(record["notes"]),
        _values(audit),
        _served(audit),
    )


def of_group(by: tuple[str, ...], group: Group | None) -> OfGroup:
    """What a group's accuracy is found by.

    Args:
        by: its grouping.
        group: its levels.
    """
    return by, frozenset((group or {}).items())


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _epochs(history: Mapping[str, Any]) -> tuple[Epoch, ...]:
    stages = list(history["stages"].values())
    return tuple(_epoch(one) for one in stages[-1]["epochs"]) if stages else ()


def _epoch(one: Mapping[str, Any]) -> Epoch:
    groups = tuple(_real(value) for value in one["group_accuracies"] or ())
    known = [value for value in groups if math.isfinite(value)]
    mean, worst = (sum(known) / len(known), min(known)) if known else (math.nan, math.nan)
    return Epoch(one["epoch"], _real(one["loss"]), _real(one["score"]), mean, worst, groups)


def _values(audit: Mapping[str, Any]) -> dict[Named, float]:
    found: dict[Named, float] = {}
    for metric, one in audit["overall"]["metrics"].items():
        found[metric, None, ()] = _real(one["value"])
    for grouping in audit["groupings"]:
        if not grouping.get("given"):
            for one in grouping["disparities"]:
                if one["kind"] in ("worst_group", "gap", "spread"):
                    found[one["metric"], one["kind"], tuple(grouping["by"])] = _real(one["value"])
    return found


def _served(audit: Mapping[str, Any]) -> dict[OfGroup, float]:
    return {
        of_group(tuple(grouping["by"]), one["group"]): _real(one["metrics"]["accuracy"]["value"])
        for grouping in audit["groupings"]
        for one in grouping["groups"]
        if not grouping.get("given") and "accuracy" in one["metrics"]
    }


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)
