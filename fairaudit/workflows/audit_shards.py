"""Audit a table that does not fit into memory: counted batch by batch, audited from its counts.

Every rate, interval, disparity and rule follows from counts, so the audit equals that of the table read as a whole. Of
scores that a table of ours has, histograms are kept, which give AUROC nearly as the rows do. What else needs the rows
(calibration, joint targets) is left out, intervals do not know of people, and the audit says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from fairaudit.artifacts.foreign import TableColumns
from fairaudit.artifacts.shard_columns import Part, Streamed, read_streamed
from fairaudit.artifacts.shards import Shards, open_shards
from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping, judge_all, policy_verdict, rule_notes
from fairaudit.metrics.groups import Groups, cross
from fairaudit.metrics.indices import Draws
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.rules import groupings_asked, parse_requirement
from fairaudit.metrics.score_bins import binned_areas
from fairaudit.metrics.subset import parse_subset
from fairaudit.metrics.summary import summarise, summarise_all
from fairaudit.predictions import MISSING, Column, IntArray, Task
from fairaudit.results import AuditResult, GroupingResult
from fairaudit.workflows.audit import (
    _asked_besides,
    _check_used,
    _groupings,
    _privileged,
    _remarks,
    _restrict,
    _spelled,
    _wanted,
)
from fairaudit.workflows.audit_extras import completed, given_of, label_errors, spelled_given, within
from fairaudit.workflows.matching import index_of
from fairaudit.workflows.prepare import suspicions, with_levels
from fairaudit.workflows.stored import countable, partly_named
from fairaudit.workflows.target import names_labels

MANY_ROWS = 5_000_000
"""Rows from which a folder of parts is streamed without being asked to."""


@dataclass(frozen=True, eq=False)
class _Ready:
    """One grouping's rows, restricted, and who they are."""

    columns: Mapping[str, Column]
    task: Task
    groups: Groups
    times: IntArray
    numeric: tuple[str, ...]
    scores: IntArray | None = None

    @property
    def labelled(self) -> IntArray:
        """(m,) how many images with a label each row stands for."""
        return np.where(self.task.y_true != MISSING, self.times, 0)

    def table(self, ids: IntArray, n_groups: int, positive: int | None, settings: AuditSettings) -> Table:
        table = Table(self._counts(ids, n_groups), self.task.classes, positive, settings.beta, settings.aggregate)
        return table if self.scores is None else replace(table, rows=self._areas(ids, table)[0])

    def _counts(self, ids: IntArray, n_groups: int) -> IntArray:
        return confusion(self.task.y_true, self.task.y_pred, ids, n_groups, len(self.task.classes), self.times)

    def off(self, positive: int | None) -> float:
        """The most by which an AUROC of a group is off."""
        table = Table(self._counts(self.groups.ids, len(self.groups)), self.task.classes, positive)
        return self._areas(self.groups.ids, table)[1]

    def _areas(self, ids: IntArray, table: Table) -> tuple[dict[Metric, Measure], float]:
        assert self.scores is not None  # where it is called
        return binned_areas(self.scores, self.task.y_true, ids, table)


def should_stream(path: Path) -> bool:
    """Whether a path is a folder of Parquet parts that hold too many rows to be read as a whole by default.

    Raises:
        PredictionsError: a part cannot be read, or the parts do not fit together.
    """
    if not path.is_dir() or (path / "predictions.parquet").is_file():
        return False
    return open_shards(path).rows > MANY_ROWS


def audit_shards(
    path: Path,
    settings: AuditSettings,
    columns: TableColumns | None = None,
    *,
    card_privileged: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> AuditResult:
    """Audit a table of Parquet parts in memory that does not grow with its rows.

    Args:
        path: a folder of Parquet parts, or a Parquet file.
        settings: what is compared with what.
        columns: which columns mean what, see ``read_predictions``.
        card_privileged: reference level per attribute where the user named none.
        notes: sentences to pass on to the reader.

    Raises:
        UsageError: an attribute, level, class, metric or rule does not exist, makes no sense, or needs the rows.
        PredictionsError: the table cannot be used, or no row is left to audit.
    """
    if settings.threshold is not None:
        raise UsageError("--threshold needs the scores of every row, which a stream does not keep; use --no-stream")
    rules = [parse_requirement(text) for text in settings.rules]
    told = list(notes)
    shards = open_shards(path)
    if names_labels(settings.target if columns is None else columns.y_true, shards.schema.columns):
        raise UsageError("several labels are not counted batch by batch; name one target, or read all with --no-stream")
    asked = _asked(shards, settings)
    fixed = [(by, given) for by in asked for given in given_of(by, asked, settings, rules)]
    read = [*asked, *((*by, *given) for by, given in fixed)]
    streamed = read_streamed(shards, columns, settings.target, read, _besides(settings))
    every = [
        _ready(part, streamed, settings, by)
        for part, by in zip(streamed.parts, [*asked, *(by for by, _ in fixed)], strict=True)
    ]
    ready = every[: len(asked)]
    first = ready[0]
    if settings.where is not None:
        told.append(f"restricted to {int(first.times.sum())} images by --where {settings.where}")
    classes = first.task.classes
    positive = None if settings.positive is None else index_of("class", settings.positive, classes)
    unlabelled = int(first.times[first.task.y_true == MISSING].sum())
    if unlabelled == first.times.sum():
        raise PredictionsError(f"no row has a label for {streamed.target!r}; there is nothing to audit")
    if unlabelled:
        told.append(f"{unlabelled} images without a label for {streamed.target} are left out")
    known = {name: column for one in ready for name, column in one.columns.items()}
    named = [_spelled(levels, known) for levels in settings.privileged]
    _check_used(named, [one.groups.by for one in ready])

    groupings: list[Grouping] = []
    summaries: list[GroupingResult] = []
    draws = Draws(settings.bootstrap, settings.seed)

    def listed(how: str, grouping: Grouping, _: IntArray, missing: int) -> GroupingResult:
        return summarise(grouping, how, missing, draws)

    for one in ready:
        by, groups = one.groups.by, one.groups
        table = one.table(groups.ids, len(groups), positive, settings)
        wanted = _wanted(groups, named, card_privileged or {})
        reference, how = _privileged(groups, table.n, wanted)
        cells = tuple(groups.as_mapping(i) for i in range(len(groups)))
        grouping = Grouping(by, cells, table, Comparison(settings.confidence, reference, settings.min_support), draws)
        missing = int(one.labelled[groups.ids == MISSING].sum())
        groupings.append(grouping)
        summaries.append(replace(listed(how, grouping, groups.ids, missing), named=partly_named(how, wanted)))
        told += _remarks(grouping, missing)
        if streamed.target in by:
            told.append(
                f"{','.join(by)} includes the target: selection rates differ between its groups by design, and rates of "
                "one class are undefined in groups of another; read accuracy there"
            )
    inside = []
    for (by, given), one in zip(fixed, every[len(asked) :], strict=True):
        i = asked.index(by)
        levels = cross(one.columns, spelled_given(given, one.columns, one.numeric))
        table_of = partial(one.table, positive=positive, settings=settings)
        how = summaries[i].privileged_is
        inside.append(within(groupings[i], one.groups, levels, one.labelled, table_of, partial(listed, how)))
    for part in inside:
        groupings += part.groupings
        summaries += part.summaries
        told += part.notes
    errors = label_errors(settings, [one.groups.by for one in ready], [streamed.target])
    summaries, besides = completed(summaries, groupings, errors, settings.shrink)
    told += besides
    whole = first.table(np.zeros_like(first.task.y_true), 1, positive, settings)
    told += suspicions(whole)
    if "scores" in streamed.left:
        told.append(_of_scores(ready, positive))
    if "identities" in streamed.left:
        told.append(
            "the table was streamed, and who is on its images was not read: intervals treat images as independent, and are "
            "too narrow where people are on several; audit with --no-stream, or audit a part"
        )
    judged = judge_all(rules, groupings)
    told += rule_notes(judged)
    record = {
        "target": streamed.target,
        "classes": list(classes),
        "positive": None if positive is None else classes[positive],
        "where": settings.where,
        "confidence": settings.confidence,
        "min_support": settings.min_support,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        **_asked_besides(settings),
    }
    return AuditResult(
        settings=record,
        overall=countable(summarise_all(whole, settings.confidence), whole, summaries),
        groupings=tuple(summaries),
        rules=judged,
        verdict=policy_verdict(judged),
        notes=tuple(dict.fromkeys(told)),
        conditional=tuple(part.conditional for part in inside if part.conditional is not None),
    )


def _of_scores(ready: Sequence[_Ready], positive: int | None) -> str:
    """What became of the scores."""
    mend = "audit with --no-stream, or audit a part"
    if any(one.scores is None for one in ready):
        return f"the table was streamed, and its scores were not read: what needs them is left out; {mend}"
    off = np.nanmax([0.0, *(one.off(positive) for one in ready)])
    return (
        f"the table was streamed, and AUROC is that of histograms of its scores, off by {max(off, 1e-9):.1g} at the most; "
        f"what else needs scores is left out; {mend}"
    )


def _asked(shards: Shards, settings: AuditSettings) -> list[tuple[str, ...]]:
    asked: dict[tuple[str, ...], tuple[str, ...]] = {}
    for by in groupings_asked(settings.by, [parse_requirement(text) for text in settings.rules]):
        asked.setdefault(tuple(sorted(name.casefold() for name in by)), tuple(by))
    if not asked:
        raise UsageError(f"name at least one grouping with --by; the table has {', '.join(shards.schema.columns)}")
    return list(asked.values())


def _besides(settings: AuditSettings) -> list[str]:
    where = parse_subset(settings.where).names if settings.where else ()
    return sorted({*settings.bins, *where})


def _ready(part: Part, streamed: Streamed, settings: AuditSettings, by: Sequence[str]) -> _Ready:
    predictions, times, scores = part.predictions, part.times, part.scores
    if settings.where is not None:
        keep = parse_subset(settings.where).rows(predictions.columns(), predictions.numeric)
        if not keep.any():
            raise PredictionsError(
                f"no images are left after --where {settings.where!r}; all {streamed.rows} were ruled out"
            )
        predictions, times = _restrict(predictions, settings.where, []), times[keep]
        scores = None if scores is None else scores[keep]
    predictions = with_levels(predictions, settings)
    columns = predictions.columns()
    [spelled] = _groupings([by], [], columns, predictions)
    groups = cross(columns, spelled)
    return _Ready(columns, predictions.tasks[streamed.target], groups, times, tuple(predictions.numeric), scores)
