"""Audit: a table of predictions in, everything that can be said about its groups out. Torch is never needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UnknownNameError, UsageError
from fairaudit.metrics.clusters import people_note
from fairaudit.metrics.design_effects import stored_effects
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping, judge_all, policy_verdict, rule_notes
from fairaudit.metrics.groups import Groups, cross
from fairaudit.metrics.indices import Draws
from fairaudit.metrics.intervals import quantile, wilson
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rules import Requirement, groupings_asked, parse_requirement
from fairaudit.metrics.subset import Subset, parse_subset
from fairaudit.metrics.summary import summarise, summarise_all
from fairaudit.predictions import MISSING, Column, IntArray, Predictions, Task
from fairaudit.results import AuditResult, Group, GroupingResult
from fairaudit.workflows.prepare import Prepared, at_threshold, joint_target, with_levels

LARGEST, NAMED = "largest", "named"


def audit(
    predictions: Predictions,
    settings: AuditSettings,
    *,
    card_privileged: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> AuditResult:
    """Audit predictions.

    Args:
        predictions: what was predicted, and to which groups each image belongs.
        settings: what is compared with what.
        card_privileged: reference level per attribute where the user named none.
        notes: sentences to pass on to the reader.

    Raises:
        UsageError: an attribute, level, class, metric or rule does not exist or makes no sense.
        PredictionsError: no row is left to audit.
    """
    rules = [parse_requirement(text) for text in settings.rules]
    told = list(notes)
    predictions = _restrict(predictions, settings.where, told)
    predictions = with_levels(predictions, settings)
    name, task, parts = _target(predictions, settings.target)
    positive = None if settings.positive is None else _index("class", settings.positive, task.classes)
    task = at_threshold(task, name, positive, settings.threshold)
    identity = None if predictions.identity is None else predictions.identity.codes
    prepared = Prepared(name, task, positive, parts, settings, identity if settings.cluster else None)
    draws = Draws(settings.bootstrap, settings.seed)
    labelled = task.y_true != MISSING
    if not labelled.any():
        raise PredictionsError(f"no row has a label for {name!r}; there is nothing to audit")
    if not labelled.all():
        told.append(f"{int((~labelled).sum())} images without a label for {name} are left out")
    columns = predictions.columns()
    asked = _groupings(settings.by, rules, columns, predictions)
    named = [_spelled(levels, columns) for levels in settings.privileged]
    _check_used(named, asked)

    groupings: list[Grouping] = []
    summaries: list[GroupingResult] = []
    for by in asked:
        groups = cross(columns, by)
        table = prepared.table(groups.ids, len(groups))
        reference, how = _privileged(groups, table.n, named, card_privileged or {})
        comparison = Comparison(settings.confidence, reference, settings.min_support)
        cells = tuple(groups.as_mapping(i) for i in range(len(groups)))
        grouping = Grouping(by, cells, table, comparison, draws)
        missing = int(((groups.ids == MISSING) & labelled).sum())
        groupings.append(grouping)
        summary = summarise(grouping, how, missing, draws)
        summaries.append(replace(summary, scores=prepared.scores(groups.ids, len(groups))))
        told += _remarks(grouping, missing)
        if name in by or set(parts) & set(by):
            told.append(
                f"{','.join(by)} includes the target: selection rates differ between its groups by design, and rates of "
                "one class are undefined in groups of another; read accuracy there"
            )
    whole = prepared.table(np.zeros_like(task.y_true), 1)
    overall = summarise_all(whole, settings.confidence)
    told += _suspicions(whole)
    if identity is not None and (people := people_note(identity[labelled], settings.cluster, bool(whole.rows))) is not None:
        told.append(people)
    judged = judge_all(rules, groupings)
    told += rule_notes(judged)
    record = {
        "target": name,
        "classes": list(task.classes),
        "positive": None if positive is None else task.classes[positive],
        "where": settings.where,
        "confidence": settings.confidence,
        "min_support": settings.min_support,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        **_asked_besides(settings),
    }
    return AuditResult(
        settings=record,
        overall=overall,
        groupings=tuple(summaries),
        rules=judged,
        verdict=policy_verdict(judged),
        notes=tuple(dict.fromkeys(told)),
    )


def _asked_besides(settings: AuditSettings) -> dict[str, Any]:
    """Settings that change what is counted or listed, where they were set."""
    names = ("bins", "missing", "threshold", "beta", "aggregate", "top_k", "cluster")
    asked = settings.model_dump(mode="json", include=set(names), exclude_defaults=True)
    return {name: asked[name] for name in names if name in asked}


def stored_groupings(
    result: AuditResult, confidence: float | None = None, min_support: int | None = None
) -> list[Grouping]:
    """The groupings of a stored audit, rebuilt from its counts, so that new rules can be judged.

    Args:
        result: the audit.
        confidence: overrides the audit's own.
        min_support: overrides the audit's own.
    """
    s = result.settings
    classes = tuple(s["classes"])
    listed: dict[str, Any] = {"betas": tuple(s.get("beta", ())), "aggregates": tuple(s.get("aggregate", ()))}
    positive = None if s["positive"] is None else classes.index(s["positive"])
    rebuilt = []
    for g in result.groupings:
        cells: tuple[Group, ...] = tuple(dict(group.group) for group in g.groups)
        counts = np.array(g.counts, dtype=np.int64).reshape(len(cells), len(classes), len(classes))
        reference = None if g.privileged is None else cells.index(dict(g.privileged))
        rebuilt.append(
            Grouping(
                g.by,
                cells,
                Table(
                    counts,
                    classes,
                    positive,
                    **listed,
                    effects=None if g.clusters is None else stored_effects(g.clusters),
                ),
                Comparison(confidence or s["confidence"], reference, min_support or s["min_support"]),
                Draws(s["bootstrap"], s["seed"]),
            )
        )
    return rebuilt


def _restrict(predictions: Predictions, where: str | None, told: list[str]) -> Predictions:
    if where is None:
        return predictions
    subset = parse_subset(where)
    keep = subset.rows(predictions.columns(), predictions.numeric)
    if not keep.any():
        raise PredictionsError(f"no images are left after --where {where!r}; all {len(predictions)} were ruled out")
    told.append(f"restricted to {int(keep.sum())} images by --where {where}")
    kept = predictions.take(keep)
    # A task's label may define groups as well: narrowed, it stands among the attributes; the task keeps all its classes.
    labels = {name: column for name, column in kept.columns().items() if name in kept.attributes or _about(subset, name)}
    return replace(kept, attributes={name: _narrow(name, column, subset) for name, column in labels.items()})


def _about(subset: Subset, name: str) -> bool:
    return name.casefold() in {n.casefold() for n in subset.names}


def _narrow(name: str, column: Column, subset: Subset) -> Column:
    """Of an attribute that the expression is about, only levels that are left are expected; others keep all of theirs."""
    if not _about(subset, name):
        return column
    stay = [i for i in range(len(column.levels)) if (column.codes == i).any()]
    renumber = np.full(len(column.levels) + 1, MISSING, dtype=np.int64)
    renumber[stay] = np.arange(len(stay))
    return Column(renumber[column.codes], tuple(column.levels[i] for i in stay))


def _target(predictions: Predictions, name: str | None) -> tuple[str, Task, Mapping[str, Task]]:
    """The target's name and task, and the parts of a joint one, ``race,gender``."""
    tasks = predictions.tasks
    if name is None:
        if len(tasks) != 1:
            raise UsageError(f"the predictions have {len(tasks)} targets ({', '.join(tasks)}); name one with --target")
        return *next(iter(tasks.items())), {}
    if name not in tasks and "," in name:
        parts = {found: tasks[found] for part in name.split(",") for found in [_match("target", part.strip(), tasks)]}
        if len(parts) < 2:
            raise UsageError(f"--target {name} names one target; a joint target is made of several")
        return ",".join(parts), joint_target(parts), parts
    return (found := _match("target", name, tasks)), tasks[found], {}


def _match(what: str, name: str, known: Iterable[str]) -> str:
    choices = list(known)
    folded = {c.casefold(): c for c in choices}
    if name in choices:
        return name
    if name.strip().casefold() not in folded:
        raise UnknownNameError(what, name, choices)
    return folded[name.strip().casefold()]


def _index(what: str, name: str, known: Sequence[str]) -> int:
    return list(known).index(_match(what, name, known))


def _groupings(
    by: Iterable[Sequence[str]], rules: Iterable[Requirement], columns: Mapping[str, Column], predictions: Predictions
) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []
    for wanted in groupings_asked(by, rules):
        if not wanted:
            raise UsageError(f"a grouping needs at least one attribute; the table has {', '.join(columns)}")
        for name in wanted:
            if name not in columns and name in predictions.numeric:
                raise UsageError(f"{name} is numeric and makes no groups; use a column of levels ({', '.join(columns)})")
        spelled = tuple(_match("attribute", name, columns) for name in wanted)
        if len(set(spelled)) != len(spelled):
            raise UsageError(f"--by {','.join(wanted)} names an attribute twice")
        if all(sorted(spelled) != sorted(known) for known in asked):
            asked.append(spelled)
    if not asked:
        raise UsageError(f"name at least one grouping with --by; the table has {', '.join(columns)}")
    return asked


def _spelled(levels: Mapping[str, str], columns: Mapping[str, Column]) -> dict[str, str]:
    spelled = {}
    for attribute, level in levels.items():
        name = _match("attribute in --privileged:", attribute, columns)
        spelled[name] = _match(f"level of {name!r} in --privileged:", level, columns[name].levels)
    return spelled


def _check_used(named: Iterable[Mapping[str, str]], asked: Iterable[tuple[str, ...]]) -> None:
    known = list(asked)
    for levels in named:
        if not any(set(levels) <= set(by) for by in known):
            text = ",".join(f"{k}={v}" for k, v in levels.items())
            raise UsageError(f"--privileged {text} fits no grouping; the groupings are {'; '.join(map(','.join, known))}")


def _privileged(
    groups: Groups, n: IntArray, named: Iterable[Mapping[str, str]], card: Mapping[str, str]
) -> tuple[int | None, str]:
    """The reference cell: what was named most specifically, completed by the largest cell that fits."""
    fitting = [levels for levels in named if set(levels) <= set(groups.by)]
    most = max((len(levels) for levels in fitting), default=0)
    wanted: dict[str, str] = {}
    for levels in (f for f in fitting if len(f) == most):
        if any(wanted.get(k, v) != v for k, v in levels.items()):
            raise UsageError(f"--privileged names several groups of {','.join(groups.by)}; name one")
        wanted |= levels
    if not wanted:
        every = [groups.as_mapping(i) for i in range(len(groups))]
        wanted = {k: v for k, v in card.items() if any(cell.get(k) == v for cell in every)}
    fit = [i for i in range(len(groups)) if all(groups.as_mapping(i)[k] == v for k, v in wanted.items())]
    if not fit or (not wanted and n.max(initial=0) == 0):
        return None, LARGEST
    return max(fit, key=lambda i: (n[i], -i)), NAMED if set(wanted) == set(groups.by) else LARGEST


def _remarks(grouping: Grouping, missing: int) -> list[str]:
    by = ",".join(grouping.by)
    told = []
    if missing:
        told.append(f"{missing} images whose {by} is not known are left out of that grouping")
    absent = [" ".join(g.values()) for g, n in zip(grouping.groups, grouping.table.n, strict=True) if n == 0]
    if absent:
        more = f" and {len(absent) - 6} more" if len(absent) > 6 else ""
        told.append(f"no images of {', '.join(absent[:6])}{more} (by {by}): expected, and absent")
    return told


def _suspicions(whole: Table) -> list[str]:
    """Signs that the model was read wrongly: one class only, or far more wrong than chance."""
    counts, n, k = whole.counts[0], int(whole.n[0]), len(whole.classes)
    predicted = np.flatnonzero(counts.sum(0))
    if n >= 20 and len(predicted) == 1 and np.count_nonzero(counts.sum(1)) > 1:
        return [f"every prediction is {whole.classes[int(predicted[0])]!r}: check preprocessing, weights and classes"]
    right = float(np.trace(counts))
    _, most = wilson(np.array([right]), np.array([float(n)]), quantile(0.95))
    if k > 1 and most[0] < 0.6 / k:  # even at the upper end of what these images allow
        return [f"accuracy {right / n:.3f} is far below chance: the classes may be listed in a wrong order"]
    return []
