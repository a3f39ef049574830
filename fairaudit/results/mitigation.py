"""What an experiment with several objectives found: frozen records that mirror ``mitigation.json`` field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fairaudit.results.audit import Group
from fairaudit.results.plain import plain

MITIGATION_VERSION = 1


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
class SeedRun:
    """One training.

    Attributes:
        seed: of the initial weights and everything drawn.
        folder: where its checkpoint, predictions and audit are, below the run's folder.
        selected: epoch whose weights were kept, of the last stage; 0 where nothing was trained by epochs.
        seconds: wall-clock time of training.
    """

    seed: int
    folder: str
    selected: int
    seconds: float


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
    """

    name: str
    loss: str
    method: str | None
    runs: tuple[SeedRun, ...]
    numbers: tuple[Number, ...]
    losers: tuple[Loser, ...]
    on_front: bool
    notes: tuple[str, ...] = ()

    def number(self, metric: str, kind: str | None, by: tuple[str, ...] = ()) -> Number | None:
        """The number of that name, or None."""
        found = (n for n in self.numbers if (n.metric, n.kind, n.by) == (metric, kind, by))
        return next(found, None)


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
    return json.dumps(plain({**first, **record}), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
