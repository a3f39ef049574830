"""Merge: audits of shards become the audit of their union, through the counts that each of them stores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from fairaudit.artifacts.folder import check_replaceable, write_run
from fairaudit.artifacts.records import read_audit, write_audit, write_json
from fairaudit.errors import UsageError
from fairaudit.metrics.gate import judge_all, policy_verdict, rule_notes
from fairaudit.metrics.indices import Draws
from fairaudit.metrics.measure import Table
from fairaudit.metrics.rules import parse_requirement
from fairaudit.metrics.summary import summarise, summarise_all
from fairaudit.predictions import IntArray
from fairaudit.results import AuditResult, GroupingResult, GroupResult, GroupScores, Scores
from fairaudit.workflows.audit import LARGEST, NAMED, _remarks, _suspicions, stored_groupings
from fairaudit.workflows.provenance import environment

_SUMMED = (
    re.compile(r"^(restricted to )(\d+)( images by --where .*)$", re.DOTALL),
    re.compile(r"^()(\d+)( images without a label for .* are left out)$", re.DOTALL),
)
"""Notes that count images of the whole table; in the union, the images of all shards."""

_PEOPLE = re.compile(r"^[\d,]+ images show [\d,]+ people: ")


@dataclass(frozen=True)
class Shard:
    """An audit and what it is called."""

    name: str
    audit: AuditResult


def merge_files(paths: Sequence[Path], out: Path | None = None) -> tuple[AuditResult, Path | None]:
    """Merge stored audits.

    Args:
        paths: ``audit.json`` files or run folders, at least two.
        out: run folder to write; None writes nothing.

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
    write_run(
        out,
        {"audit.json": partial(write_audit, result), "run.json": lambda target: write_json(target, record)},
    )
    return result, out


def merge(shards: Sequence[Shard]) -> AuditResult:
    """The audit of the union of images that were audited apart; the images of any two shards must be different ones.

    Args:
        shards: audits of the same target, classes, groupings, rules and settings.

    Raises:
        UsageError: they differ in one of these, or the union cannot be told from what they store.
    """
    first = shards[0]
    for other in shards[1:]:
        _check_same(first, other)
    s = first.audit.settings
    classes = tuple(s["classes"])
    everybody = [_whole(shard, classes) for shard in shards]
    united = [_united([shard.audit.groupings[i] for shard in shards], classes) for i in range(len(first.audit.groupings))]
    groupings = stored_groupings(replace(first.audit, groupings=tuple(united)))
    draws, summaries, told = Draws(s["bootstrap"], s["seed"]), [], _summed(shards)
    for grouping, one in zip(groupings, united, strict=True):
        summary = summarise(grouping, one.privileged_is, one.missing, draws)
        summaries.append(replace(summary, scores=one.scores))
        told += _remarks(grouping, one.missing)
        told += [note for note in first.audit.notes if note.startswith(_about_target(one))]
    whole = _table_of_all(first.audit, np.sum(everybody, axis=0))
    overall = summarise_all(whole, s["confidence"])
    told += _suspicions(whole)
    rules = judge_all([parse_requirement(rule.rule) for rule in first.audit.rules], groupings)
    told += _carried(shards, everybody)
    lost = [name for name in first.audit.overall.metrics if name not in overall.metrics]
    if lost:
        told.append(
            f"left out of the merged audit, because counts do not tell them: {', '.join(lost)}; audit the predictions"
        )
    told += rule_notes(rules)
    return AuditResult(
        settings=dict(s),
        overall=overall,
        groupings=tuple(summaries),
        rules=rules,
        verdict=policy_verdict(rules),
        notes=tuple(dict.fromkeys(told)),
    )


def _check_same(first: Shard, other: Shard) -> None:
    a, b = first.audit, other.audit
    for key in dict.fromkeys([*a.settings, *b.settings]):
        mine, theirs = a.settings.get(key), b.settings.get(key)
        if mine != theirs:
            raise UsageError(
                f"{first.name} and {other.name} cannot be merged: their {key} differs ({_short(mine)} and {_short(theirs)})"
            )
    if [g.by for g in a.groupings] != [g.by for g in b.groupings]:
        said = ["; ".join(",".join(g.by) for g in one.groupings) for one in (a, b)]
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
        if mine.privileged_is != theirs.privileged_is or (
            mine.privileged_is == NAMED and mine.privileged != theirs.privileged
        ):
            raise UsageError(f"{first.name} and {other.name} cannot be merged: the privileged group of {by} differs")
    if [rule.rule for rule in a.rules] != [rule.rule for rule in b.rules]:
        raise UsageError(f"{first.name} and {other.name} cannot be merged: they were judged by different rules")


def _united(parts: Sequence[GroupingResult], classes: tuple[str, ...]) -> GroupingResult:
    """One grouping of the union, as far as it is stored: counts, reference, images left out, histograms of scores."""
    counts = np.sum([_counts(part, classes) for part in parts], axis=0)
    reference = _reference(parts, counts)
    return replace(
        parts[0],
        privileged=None if reference is None else parts[0].groups[reference].group,
        missing=sum(part.missing for part in parts),
        counts=counts.tolist(),
        scores=_united_scores([part.scores for part in parts]),
        clusters=None,
    )


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


def _table_of_all(result: AuditResult, counts: IntArray) -> Table:
    """All images as a table with the audit's classes and options.

    Args:
        result: the audit whose settings hold.
        counts: (1, k, k) of all images.
    """
    everybody = GroupingResult((), None, LARGEST, 0, counts.tolist(), (GroupResult({}, int(counts.sum()), {}),), ())
    return stored_groupings(replace(result, groupings=(everybody,)))[0].table


def _about_target(grouping: GroupingResult) -> str:
    return f"{','.join(grouping.by)} includes the target: "


def _counts(grouping: GroupingResult, classes: tuple[str, ...]) -> IntArray:
    k = len(classes)
    return np.array(grouping.counts, dtype=np.int64).reshape(len(grouping.groups), k, k)


def _whole(shard: Shard, classes: tuple[str, ...]) -> IntArray:
    """(1, k, k) counts of all images, from a grouping that leaves none of them out."""
    for g in shard.audit.groupings:
        if g.missing == 0:
            return np.asarray(_counts(g, classes).sum(0, keepdims=True))
    raise UsageError(
        f"{shard.name} cannot be merged: every grouping leaves images out whose attributes are not known, so that the "
        "counts of all images are not stored; audit the predictions of all shards together"
    )


def _reference(parts: Sequence[GroupingResult], counts: IntArray) -> int | None:
    """Index of the union's reference group.

    Where it was the largest group, the largest of the union is; but a level may have been named (``race=White`` of race ×
    gender), which the audits do not store. Every set of levels that explains all shards is tried, and all must agree.
    """
    g = parts[0]
    groups = [dict(one.group) for one in g.groups]
    known = [part for part in parts if part.privileged is not None]
    if not known:
        return None
    chosen = [dict(part.privileged or {}) for part in known]
    if g.privileged_is != LARGEST:
        return groups.index(chosen[0])
    shared = [name for name in g.by if len({one[name] for one in chosen}) == 1]
    found = set()
    for size in range(len(shared) + 1):
        for names in combinations(shared, size):
            fit = [i for i, one in enumerate(groups) if all(one[name] == chosen[0][name] for name in names)]
            if all(
                _largest(fit, [one.n for one in part.groups]) == groups.index(one)
                for part, one in zip(known, chosen, strict=True)
            ):
                found.add(_largest(fit, [int(n) for n in counts.sum((-2, -1))]))
    if len(found) != 1:
        raise UsageError(
            f"the privileged group of {','.join(g.by)} cannot be told for all shards together; name the whole group with "
            "--privileged when auditing each shard"
        )
    return found.pop()


def _largest(fit: Iterable[int], n: Sequence[int]) -> int:
    return max(fit, key=lambda i: (n[i], -i))


def _summed(shards: Sequence[Shard]) -> list[str]:
    told = []
    for pattern in _SUMMED:
        found = [match for shard in shards for note in shard.audit.notes if (match := pattern.match(note))]
        if found:
            told.append(f"{found[0][1]}{sum(int(match[2]) for match in found)}{found[0][3]}")
    return told


def _carried(shards: Sequence[Shard], everybody: Sequence[IntArray]) -> list[str]:
    """Notes that are not computed from the images of one shard."""
    carried: list[str] = []
    people = False
    for shard, counts in zip(shards, everybody, strict=True):
        own = {*_suspicions(_table_of_all(shard.audit, counts)), *rule_notes(shard.audit.rules)}
        for grouping, stored in zip(stored_groupings(shard.audit), shard.audit.groupings, strict=True):
            own |= set(_remarks(grouping, stored.missing))
            own |= {note for note in shard.audit.notes if note.startswith(_about_target(stored))}
        for note in shard.audit.notes:
            people |= _PEOPLE.match(note) is not None
            if note not in own and not any(pattern.match(note) for pattern in (*_SUMMED, _PEOPLE)):
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
