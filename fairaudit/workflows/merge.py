"""Merge: audits of shards become the audit of their union, through the counts that each of them stores."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.artifacts.folder import check_replaceable
from fairaudit.artifacts.records import read_audit, write_audit, write_json
from fairaudit.errors import UsageError
from fairaudit.metrics.gate import judge_all, policy_verdict, rule_notes
from fairaudit.metrics.indices import Draws
from fairaudit.metrics.measure import Table
from fairaudit.metrics.over_labels import added_together
from fairaudit.metrics.rules import parse_requirement
from fairaudit.metrics.summary import summarise, summarise_all
from fairaudit.results import AuditResult, GroupingResult, GroupResult, GroupScores, Scores, grouping_text
from fairaudit.workflows.audit import LARGEST, NAMED, _remarks, stored_groupings
from fairaudit.workflows.audit_extras import OF_THESE_IMAGES, restored
from fairaudit.workflows.provenance import environment
from fairaudit.workflows.run_reports import write_run_and_report
from fairaudit.workflows.stored import countable, stored_counts, stored_table
from fairaudit.workflows.target import suspicions_of
from fairaudit.workflows.weighting import check_unweighted

_SUMMED = (
    re.compile(r"^(restricted to )(\d+)( images by --where .*)$", re.DOTALL),
    re.compile(r"^()(\d+)( images without a label for .* are left out)$", re.DOTALL),
    re.compile(r"^()(\d+)( images have a label for some of the \d+ labels only: they count for these)$"),
)
"""Notes that count images of the whole table; in the union, the images of all shards."""

_PEOPLE = re.compile(r"^[\d,]+ images show [\d,]+ people: ")


@dataclass(frozen=True)
class Shard:
    """An audit and what it is called."""

    name: str
    audit: AuditResult


def merge_files(paths: Sequence[Path], out: Path | None = None, report: bool = True) -> tuple[AuditResult, Path | None]:
    """Merge stored audits.

    Args:
        paths: ``audit.json`` files or run folders, at least two.
        out: run folder to write; None writes nothing.
        report: whether it holds a page and figures too.

    Raises:
        ArtifactError: an audit cannot be read, or has another schema version.
        UsageError: the audits cannot be merged.
        OutputError: the run folder cannot be written.
    """
    if out is not None:
        check_replaceable(out)
    if len(paths) < 2:
        raise UsageError("merging needs at least two audits: fairaudit merge a/audit.json b/audit.json")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("an audit is named twice; its images would count twice")
    result = merge([Shard(str(path), read_audit(path)) for path in paths])
    if out is None:
        return result, None
    record = {"command": "merge", "audits": [str(path) for path in paths], **environment()}
    contents: dict[str, Callable[[Path], None]] = {
        "audit.json": partial(write_audit, result),
        "run.json": lambda target: write_json(target, record),
    }
    write_run_and_report(out, contents, result, record, report)
    return result, out


def merge(shards: Sequence[Shard]) -> AuditResult:
    """The audit of the union of images that were audited apart; the images of any two shards must be different ones.

    Args:
        shards: audits of the same target, classes, groupings, rules and settings.

    Raises:
        UsageError: they differ in one of these, or the union cannot be told from what they store.
    """
    first = shards[0]
    what = "are not merged yet; audit the predictions of all of them together"
    check_unweighted([(shard.name, shard.audit) for shard in shards], what)
    for other in shards[1:]:
        _check_same(first, other)
    s = first.audit.settings
    everybody = [_whole(shard) for shard in shards]
    united: list[GroupingResult] = []
    for i in range(len(first.audit.groupings)):
        united.append(_united(s, [shard.audit.groupings[i] for shard in shards], united))
    groupings = stored_groupings(replace(first.audit, groupings=tuple(united)))
    draws, summaries, told = Draws(s["bootstrap"], s["seed"]), [], _summed(shards)
    for grouping, one in zip(groupings, united, strict=True):
        summary = summarise(grouping, one.privileged_is, one.missing, draws)
        summaries.append(replace(summary, scores=one.scores, together=one.together, given=one.given, named=one.named))
        told += [] if one.given is not None else _remarks(grouping, one.missing)
        told += [note for note in first.audit.notes if note.startswith(_about_target(one))]
    summaries, conditional, besides = restored(summaries, groupings, s)
    told += besides
    whole = stored_table(s, _added(s, everybody))
    overall = countable(summarise_all(whole, s["confidence"]), whole, summaries)
    told += suspicions_of(whole)
    rules = judge_all([parse_requirement(rule.rule) for rule in first.audit.rules], groupings)
    told += _carried(shards, everybody)
    lost = [name for name in first.audit.overall.metrics if name not in overall.metrics]
    if lost:
        told.append(
            f"left out of the merged audit, because counts do not tell them: {_named(lost, whole)}; audit the predictions"
        )
    told += rule_notes(rules)
    return AuditResult(
        settings=dict(s),
        overall=overall,
        groupings=tuple(summaries),
        rules=rules,
        verdict=policy_verdict(rules),
        notes=tuple(dict.fromkeys(told)),
        conditional=conditional,
    )


def _check_same(first: Shard, other: Shard) -> None:
    a, b = first.audit, other.audit
    for key in dict.fromkeys([*a.settings, *b.settings]):
        mine, theirs = a.settings.get(key), b.settings.get(key)
        if mine != theirs:
            raise UsageError(
                f"{first.name} and {other.name} cannot be merged: their {key} differs ({_short(mine)} and {_short(theirs)})"
            )
    if [(g.by, g.given) for g in a.groupings] != [(g.by, g.given) for g in b.groupings]:
        said = ["; ".join(map(grouping_text, one.groupings)) for one in (a, b)]
        raise UsageError(
            f"{first.name} and {other.name} cannot be merged: their groupings differ ({said[0]} and {said[1]})"
        )
    for mine, theirs in zip(a.groupings, b.groupings, strict=True):
        by = ",".join(mine.by)
        if [dict(g.group) for g in mine.groups] != [dict(g.group) for g in theirs.groups]:
            raise UsageError(
                f"{first.name} and {other.name} cannot be merged: the groups of {by} differ; audit shards that declare the "
                "same levels, such as Parquet files that fairaudit wrote"
            )
        if (mine.privileged_is, mine.named) != (theirs.privileged_is, theirs.named) or (
            mine.privileged_is == NAMED and mine.privileged != theirs.privileged
        ):
            raise UsageError(f"{first.name} and {other.name} cannot be merged: the privileged group of {by} differs")
    if [rule.rule for rule in a.rules] != [rule.rule for rule in b.rules]:
        raise UsageError(f"{first.name} and {other.name} cannot be merged: they were judged by different rules")


def _united(
    settings: Mapping[str, Any], parts: Sequence[GroupingResult], known: Sequence[GroupingResult]
) -> GroupingResult:
    """One grouping of the union, as far as it is stored: counts, reference, images left out, histograms of scores.

    Within a level of other columns the reference is that of all images, which is among the groupings ``known`` by then.
    """
    union = _added(settings, parts)
    if union.given is None:
        reference = _reference(parts, [one.n for one in union.groups])
        privileged = None if reference is None else parts[0].groups[reference].group
    else:
        privileged = next(one.privileged for one in known if one.by == union.by)
    return replace(
        union,
        privileged=privileged,
        missing=sum(part.missing for part in parts),
        scores=_united_scores([part.scores for part in parts]),
    )


def _added(settings: Mapping[str, Any], parts: Sequence[GroupingResult]) -> GroupingResult:
    """The same groups of all parts, as far as they add up: counts, images, exact matches of several labels."""
    counts = np.sum([stored_counts(settings, part) for part in parts], axis=0)
    groups = tuple(
        replace(same[0], n=sum(one.n for one in same)) for same in zip(*(part.groups for part in parts), strict=True)
    )
    known = [part.together for part in parts if part.together is not None]
    together = added_together(known) if known else None
    return replace(parts[0], counts=counts.tolist(), groups=groups, clusters=None, together=together)


def _united_scores(parts: Sequence[Scores | None]) -> Scores | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    groups = []
    for same in zip(*(part.groups for part in known), strict=True):
        negatives, positives = (
            tuple(int(n) for n in np.sum([getattr(one, side) for one in same], axis=0))
            for side in ("negatives", "positives")
        )
        bins = np.array([one.reliability for one in same], dtype=np.float64)  # (shards, bins, [n, mean score, share])
        n = bins[:, :, 0].sum(0)
        with np.errstate(invalid="ignore"):
            means = np.nansum(bins[:, :, :1] * bins[:, :, 1:], axis=0) / n[:, None]
        reliability = tuple((int(k), float(score), float(share)) for k, (score, share) in zip(n, means, strict=True))
        groups.append(GroupScores(negatives, positives, reliability))
    return Scores(known[0].of, tuple(groups))


def _about_target(grouping: GroupingResult) -> str:
    return f"{','.join(grouping.by)} includes the target: "


def _named(lost: Sequence[str], whole: Table) -> str:
    """Metrics as a sentence names them; of many labels not each."""
    if not whole.several:
        return ", ".join(lost)
    said = []
    for name, bracket, of in (metric.partition("[") for metric in lost):
        said.append(name if not bracket or of[:-1] in whole.classes else f"every [{of}")
    return ", ".join(dict.fromkeys(said))


def _whole(shard: Shard) -> GroupingResult:
    """All images as one group, as they are stored, or from a grouping that leaves none of them out."""
    overall = shard.audit.overall
    if overall.counts is not None:
        everybody = GroupResult({}, overall.n, {})
        return GroupingResult((), None, LARGEST, 0, (overall.counts,), (everybody,), (), together=overall.together)
    for g in shard.audit.groupings:
        if g.missing == 0 and g.given is None:
            counts = stored_counts(shard.audit.settings, g).sum(0, keepdims=True)
            together = None if g.together is None else added_together([g.together], over_groups=True)
            everybody = GroupResult({}, sum(one.n for one in g.groups), {})
            return GroupingResult((), None, LARGEST, 0, counts.tolist(), (everybody,), (), together=together)
    raise UsageError(
        f"{shard.name} cannot be merged: every grouping leaves images out whose attributes are not known, and the counts "
        "of all images are not stored; audit its predictions again, which stores them"
    )


def _reference(parts: Sequence[GroupingResult], sizes: Sequence[int]) -> int | None:
    """Index of the union's reference group: the one named, or the largest in the union of those that have what was named.

    Args:
        parts: the grouping in every shard; they were named the same.
        sizes: images of each group in the union.
    """
    groups = [dict(one.group) for one in parts[0].groups]
    known = [part.privileged for part in parts if part.privileged is not None]
    if not known:
        return None
    if parts[0].privileged_is == NAMED:
        return groups.index(dict(known[0]))
    wanted = parts[0].named or {}
    fit = [i for i, one in enumerate(groups) if all(one[name] == level for name, level in wanted.items())]
    return max(fit, key=lambda i: (sizes[i], -i))


def _summed(shards: Sequence[Shard]) -> list[str]:
    told = []
    for pattern in _SUMMED:
        found = [match for shard in shards for note in shard.audit.notes if (match := pattern.match(note))]
        if found:
            told.append(f"{found[0][1]}{sum(int(match[2]) for match in found)}{found[0][3]}")
    return told


def _carried(shards: Sequence[Shard], everybody: Sequence[GroupingResult]) -> list[str]:
    """Notes that are not computed from the images of one shard."""
    carried: list[str] = []
    people = False
    for shard, everyone in zip(shards, everybody, strict=True):
        own = {*suspicions_of(stored_table(shard.audit.settings, everyone)), *rule_notes(shard.audit.rules)}
        for grouping, stored in zip(stored_groupings(shard.audit), shard.audit.groupings, strict=True):
            own |= set(_remarks(grouping, stored.missing))
            own |= {note for note in shard.audit.notes if note.startswith(_about_target(stored))}
        for note in shard.audit.notes:
            people |= _PEOPLE.match(note) is not None
            if note not in own and not any(pattern.match(note) for pattern in (*_SUMMED, _PEOPLE, OF_THESE_IMAGES)):
                carried.append(note)
    if people:
        carried.append(
            "people are on several images, and intervals of the merged audit treat images as independent, which makes them "
            "too narrow; only the predictions tell who is on images of several shards: audit them together"
        )
    return carried


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
