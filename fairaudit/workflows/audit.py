"""Audit: a table of predictions in, everything that can be said about its groups out. Torch is never needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics.disparity import Comparison
from fairaudit.metrics.gate import Grouping, judge_all, policy_verdict, rule_notes
from fairaudit.metrics.groups import Groups, cross
from fairaudit.metrics.indices import Draws
from fairaudit.metrics.look_alikes import look_alike_notes
from fairaudit.metrics.multilabel import together_of
from fairaudit.metrics.people_notes import pairs_note, people_note
from fairaudit.metrics.rules import Requirement, groupings_asked, parse_requirement
from fairaudit.metrics.subset import Subset, parse_subset
from fairaudit.metrics.summary import summarise, summarise_all
from fairaudit.predictions import MISSING, Column, IntArray, Predictions
from fairaudit.results import AuditResult, Group, GroupingResult
from fairaudit.workflows.audit_extras import Within, completed, given_of, label_errors, spelled_given, within
from fairaudit.workflows.matching import match
from fairaudit.workflows.prepare import with_levels
from fairaudit.workflows.stored import check_rebuildable, countable, partly_named, stored_table
from fairaudit.workflows.target import prepared
from fairaudit.workflows.weighting import WEIGHTED, check_weighable, weighted_counts, with_weight

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
    predictions = with_levels(with_weight(predictions, told), settings)
    if predictions.weight is not None:
        check_weighable(settings, rules)
    target = prepared(predictions, settings)
    identity = None if predictions.identity is None else predictions.identity.codes
    draws = Draws(settings.bootstrap, settings.seed)
    labelled = target.labelled
    if not labelled.any():
        raise PredictionsError(f"no row has a label for {target.said!r}; there is nothing to audit")
    if not labelled.all():
        told.append(f"{int((~labelled).sum())} images without a label for {target.said} are left out")
    told += target.remarks()
    for name, task in predictions.tasks.items():
        told += look_alike_notes(name, task.classes)
    columns = predictions.columns()
    asked = _groupings(settings.by, rules, columns, predictions)
    named = [_spelled(levels, columns) for levels in settings.privileged]
    _check_used(named, asked)

    def listed(how: str, grouping: Grouping, ids: IntArray, missing: int) -> GroupingResult:
        summary = summarise(grouping, how, missing, draws)
        scores, together = target.scores(ids, len(grouping.groups)), together_of(grouping.table)
        return replace(summary, scores=scores, together=together, weighted=weighted_counts(grouping.table))

    groupings: list[Grouping] = []
    summaries: list[GroupingResult] = []
    inside: list[Within] = []
    for by in asked:
        groups = cross(columns, by)
        table = target.table(groups.ids, len(groups))
        wanted = _wanted(groups, named, card_privileged or {})
        reference, how = _privileged(groups, table.n, wanted)
        comparison = Comparison(settings.confidence, reference, settings.min_support)
        cells = tuple(groups.as_mapping(i) for i in range(len(groups)))
        grouping = Grouping(by, cells, table, comparison, draws)
        missing = int(((groups.ids == MISSING) & labelled).sum())
        groupings.append(grouping)
        summaries.append(replace(listed(how, grouping, groups.ids, missing), named=partly_named(how, wanted)))
        told += _remarks(grouping, missing)
        if (about := target.about(by)) is not None:
            told.append(about)
        for given in given_of(by, asked, settings, rules):
            levels = cross(columns, spelled_given(given, columns, predictions.numeric))
            people_too = identity if settings.cluster else None
            inside.append(within(grouping, groups, levels, labelled, target.table, partial(listed, how), people_too))
    for one in inside:
        groupings += one.groupings
        summaries += one.summaries
        told += one.notes
    errors = label_errors(settings, asked, [name for name in columns if target.about((name,)) is not None])
    summaries, besides = completed(summaries, groupings, errors, settings.shrink)
    told += besides
    whole = target.table(np.zeros(len(predictions), dtype=np.int64), 1)
    overall = countable(summarise_all(whole, settings.confidence), whole, summaries)
    told += target.suspicions(whole)
    if identity is not None and predictions.second is not None:
        told.append(pairs_note((identity[labelled], predictions.second.codes[labelled]), settings.cluster))
    elif identity is not None and (people := people_note(identity[labelled], settings.cluster)) is not None:
        told.append(people)
    judged = judge_all(rules, groupings)
    told += rule_notes(judged)
    record = {
        **target.record(),
        "where": settings.where,
        "confidence": settings.confidence,
        "min_support": settings.min_support,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        **_asked_besides(settings),
        **({} if predictions.weight is None else {WEIGHTED: True}),
    }
    return AuditResult(
        settings=record,
        overall=overall,
        groupings=tuple(summaries),
        rules=judged,
        verdict=policy_verdict(judged),
        notes=tuple(dict.fromkeys(told)),
        conditional=tuple(one.conditional for one in inside if one.conditional is not None),
    )


def _asked_besides(settings: AuditSettings) -> dict[str, Any]:
    """Settings that change what is counted or listed, where they were set."""
    names = ("bins", "missing", "threshold", "beta", "aggregate", "top_k", "cluster", "given", "label_noise", "shrink")
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
    check_rebuildable(s)
    rebuilt = []
    for g in result.groupings:
        cells: tuple[Group, ...] = tuple(dict(group.group) for group in g.groups)
        reference = None if g.privileged is None else cells.index(dict(g.privileged))
        rebuilt.append(
            Grouping(
                g.by,
                cells,
                stored_table(s, g),
                Comparison(confidence or s["confidence"], reference, min_support or s["min_support"]),
                Draws(s["bootstrap"], s["seed"]),
                g.given,
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


def _groupings(
    by: Iterable[Sequence[str]], rules: Iterable[Requirement], columns: Mapping[str, Column], predictions: Predictions
) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []
    for wanted in groupings_asked(by, rules):
        for name in wanted:
            if name not in columns and name in predictions.numeric:
                raise UsageError(f"{name} is numeric and makes no groups; use a column of levels ({', '.join(columns)})")
        spelled = tuple(match("attribute", name, columns) for name in wanted)
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
        name = match("attribute in --privileged:", attribute, columns)
        spelled[name] = match(f"level of {name!r} in --privileged:", level, columns[name].levels)
    return spelled


def _check_used(named: Iterable[Mapping[str, str]], asked: Iterable[tuple[str, ...]]) -> None:
    known = list(asked)
    for levels in named:
        if not any(set(levels) <= set(by) for by in known):
            text = ",".join(f"{k}={v}" for k, v in levels.items())
            raise UsageError(f"--privileged {text} fits no grouping; the groupings are {'; '.join(map(','.join, known))}")


def _wanted(groups: Groups, named: Iterable[Mapping[str, str]], card: Mapping[str, str]) -> dict[str, str]:
    """The levels of the reference cell that were named most specifically; the card's where none were."""
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
    return wanted


def _privileged(groups: Groups, n: IntArray, wanted: Mapping[str, str]) -> tuple[int | None, str]:
    """The reference cell: what was named, completed by the largest cell that fits."""
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
    for i, name in enumerate(grouping.by):
        told += look_alike_notes(name, dict.fromkeys(list(cell.values())[i] for cell in grouping.groups))
    return told
