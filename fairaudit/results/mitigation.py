"""What an experiment with several objectives found: frozen records that mirror ``mitigation.json`` field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fairaudit.results.audit import Group
from fairaudit.results.lines import laid_out
from fairaudit.results.plain import plain

MITIGATION_VERSION = 3
READABLE = (1, 2, MITIGATION_VERSION)
"""Versions of the layout that can be read: the first has neither epochs nor numbers of each seed, the second no groups."""


@dataclass(frozen=True)
class Number:
    """One number on the test images, over seeds, and how it differs from the baseline's.

    Attributes:
        metric: ``accuracy``, ``f1[macro]``.
        kind: worst_group, gap or spread; None for all images together.
        by: the grouping; empty for all images together.
        value: mean over seeds.
        sd: standard deviation over seeds; nan with one.
        change: from the baseline; nan for the baseline itself and where there is none.
        ci_low: lower limit of the change over seeds (with one seed: over images).
        ci_high: upper limit.
        p_seeds: paired t-test over seeds; nan with one seed, or where nothing scatters.
        image_low: lower limit of the change over images, all seeds together, each image one cluster.
        image_high: upper limit.
        p_images: of the change over images.
        trend: better, worse, higher, lower or undecided: what both tests show (with one seed: the one over images).
        by_seed: the value of each run, in their order; empty where the record does not say.
        group: which one of the grouping, of a group's own number.
    """

    metric: str
    kind: str | None
    by: tuple[str, ...]
    value: float
    sd: float
    change: float
    ci_low: float
    ci_high: float
    p_seeds: float
    image_low: float
    image_high: float
    p_images: float
    trend: str
    by_seed: tuple[float, ...] = ()
    group: Group | None = None


@dataclass(frozen=True)
class Loser:
    """The group that lost most against the baseline.

    Attributes:
        by: the grouping.
        group: which one.
        before: its accuracy under the baseline, mean over seeds.
        after: under this arm.
        p: of the change, adjusted over the groups (Holm); over seeds, or over images with one seed.
        shown: whether the loss is shown at the audit's confidence.
    """

    by: tuple[str, ...]
    group: Group
    before: float
    after: float
    p: float
    shown: bool


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training, on the training images and, after it, on the validation images.

    Attributes:
        epoch: counted from 1.
        loss: mean of the loss that was minimised, over the epoch's batches.
        score: what epochs are selected by, larger is better; nan without validation.
        mean: accuracy on validation images, mean over groups, each counting once; nan without validation.
        worst: likewise, of the worst group.
        group_accuracies: of each group in the order of the experiment's ``groups``, nan where it has no validation image;
            empty without validation.
    """

    epoch: int
    loss: float
    score: float = math.nan
    mean: float = math.nan
    worst: float = math.nan
    group_accuracies: tuple[float, ...] = ()


@dataclass(frozen=True)
class SeedRun:
    """One training.

    Attributes:
        seed: of the initial weights and everything drawn.
        folder: where its checkpoint, predictions and audit are, below the run's folder.
        selected: epoch whose weights were kept, of the last stage; 0 where nothing was trained by epochs.
        seconds: wall-clock time of training.
        epochs: of the last stage; empty where nothing was trained by epochs or the record does not say.
    """

    seed: int
    folder: str
    selected: int
    seconds: float
    epochs: tuple[Epoch, ...] = ()


@dataclass(frozen=True)
class Point:
    """One number at one epoch, over the seeds that trained so long.

    Attributes:
        epoch: counted from 1.
        mean: over seeds.
        low: the smallest.
        high: the largest.
    """

    epoch: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmResult:
    """One thing that was tried.

    Attributes:
        name: what it is called.
        loss: its loss.
        method: its method, None where it is the loss alone.
        runs: one per seed.
        numbers: on the test images.
        losers: per grouping, the group that lost most; empty for the baseline, and where no group lost.
        on_front: whether no other arm has both a higher accuracy and a smaller accuracy gap (first grouping).
        notes: what the method said, a sentence each.
        groups: accuracy of every group of every grouping; p-values are adjusted over the groups (Holm).
    """

    name: str
    loss: str
    method: str | None
    runs: tuple[SeedRun, ...]
    numbers: tuple[Number, ...]
    losers: tuple[Loser, ...]
    on_front: bool
    notes: tuple[str, ...] = ()
    groups: tuple[Number, ...] = ()

    def number(self, metric: str, kind: str | None, by: tuple[str, ...] = ()) -> Number | None:
        """The number of that name, or None."""
        found = (n for n in self.numbers if (n.metric, n.kind, n.by) == (metric, kind, by))
        return next(found, None)

    def curve(self, what: str) -> tuple[Point, ...]:
        """One number of every epoch over seeds; epochs at which no seed has it are left out.

        Args:
            what: ``loss``, ``score``, ``mean`` or ``worst``.
        """
        found: dict[int, list[float]] = {}
        for run in self.runs:
            for one in run.epochs:
                value = float(getattr(one, what))
                if math.isfinite(value):
                    found.setdefault(one.epoch, []).append(value)
        return tuple(Point(epoch, sum(v) / len(v), min(v), max(v)) for epoch, v in sorted(found.items()))


@dataclass(frozen=True)
class MitigationResult:
    """Everything that an experiment found.

    Attributes:
        settings: target, groupings, selection rule, confidence, architecture, start, seeds, in JSON's own types.
        images: how many in each split, by name.
        groups: name of each group that losses knew → its training images.
        baseline: name of the arm that the others are compared with; None without one.
        arms: in the order they were asked for, the baseline first.
        notes: sentences that a reader must know.
        schema_version: version of this record's layout.
    """

    settings: Mapping[str, Any]
    images: Mapping[str, int]
    groups: Mapping[str, int]
    baseline: str | None
    arms: tuple[ArmResult, ...]
    notes: tuple[str, ...] = ()
    schema_version: int = MITIGATION_VERSION


def mitigation_json(result: MitigationResult) -> str:
    """The text of ``mitigation.json``: numbers to ten significant digits, null where undefined."""
    record = asdict(result)
    first = {"schema_version": record.pop("schema_version")}
    return "".join(laid_out(plain({**first, **record}))) + "\n"


def mitigation_from_record(record: Mapping[str, Any]) -> MitigationResult:
    """The experiment that a record describes.

    Args:
        record: laid out as ``mitigation_json`` does, or as its first version did; a file is validated before it comes here.
    """
    return MitigationResult(
        dict(record["settings"]),
        dict(record["images"]),
        dict(record["groups"]),
        record["baseline"],
        tuple(_arm(arm) for arm in record["arms"]),
        tuple(record["notes"]),
    )


def _arm(record: Mapping[str, Any]) -> ArmResult:
    return ArmResult(
        record["name"],
        record["loss"],
        record["method"],
        tuple(SeedRun(**{**run, "epochs": tuple(map(_epoch, run.get("epochs", ())))}) for run in record["runs"]),
        tuple(_number(number) for number in record["numbers"]),
        tuple(Loser(**{**one, "by": tuple(one["by"]), "p": _real(one["p"])}) for one in record["losers"]),
        record["on_front"],
        tuple(record["notes"]),
        tuple(_number(number) for number in record.get("groups", ())),
    )


def _number(record: Mapping[str, Any]) -> Number:
    texts: dict[str, Any] = {key: record[key] for key in ("metric", "kind", "trend")}
    named = (*texts, "by", "by_seed", "group")
    values: dict[str, Any] = {key: _real(value) for key, value in record.items() if key not in named}
    by_seed = tuple(map(_real, record.get("by_seed", ())))
    return Number(**texts, **values, by=tuple(record["by"]), by_seed=by_seed, group=record.get("group"))


def _epoch(record: Mapping[str, Any]) -> Epoch:
    loss, score, mean, worst = (_real(record[name]) for name in ("loss", "score", "mean", "worst"))
    return Epoch(record["epoch"], loss, score, mean, worst, tuple(map(_real, record["group_accuracies"])))


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)
