"""What an audit adds where it was asked: groupings within levels of other columns, wrong labels, shrunken shares.

The groupings of all images come first and are judged and listed without this. It needs counts only, so that audits of rows,
of streams and of shards add the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairaudit.config import AuditSettings
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.conditional import conditional_disparities
from fairaudit.metrics.groups import Groups
from fairaudit.metrics.measure import Table
from fairaudit.metrics.numbers import Grouping
from fairaudit.metrics.rules import Requirement, Rule
from fairaudit.metrics.sensitivity import Errors, sensitivity
from fairaudit.metrics.shrinkage import FEWEST, shrunk_shares
from fairaudit.predictions import MISSING, BoolArray, Column, FloatArray, IntArray
from fairaudit.results import Conditional, GroupingResult
from fairaudit.workflows.matching import match

By = tuple[str, ...]

OF_THESE_IMAGES = re.compile(
    r"\d+ images whose .* is not known are within none of its levels$|nothing is shrunk by |people are within up to ",
    re.DOTALL,
)
"""Notes that are about the images of this audit; a merged audit has its own."""


@dataclass(frozen=True)
class Within:
    """A grouping within every level of other columns.

    Attributes:
        groupings: one per level, in declared order, levels without images included.
        summaries: what is listed of each.
        conditional: means over levels; None where no level has images.
        notes: sentences for the reader.
    """

    groupings: tuple[Grouping, ...]
    summaries: tuple[GroupingResult, ...]
    conditional: Conditional | None
    notes: tuple[str, ...]


def given_of(by: By, asked: Sequence[By], settings: AuditSettings, rules: Iterable[Requirement]) -> list[By]:
    """The columns, as they were written, within whose levels a grouping is audited: ``--given``'s, and those of its rules.

    Args:
        by: the grouping.
        asked: every grouping.
        settings: what was asked.
        rules: what is judged.

    Raises:
        UsageError: ``--given`` names a column that every grouping names as well.
    """

    def folded(names: Iterable[str]) -> list[str]:
        return sorted(name.casefold() for name in names)

    found: dict[tuple[str, ...], By] = {}
    for given in settings.given:
        if len(set(folded(given))) < len(given):
            raise UsageError(f"--given {','.join(given)} names a column twice")
        if all(set(folded(given)) & set(folded(one)) for one in asked):
            said = "; ".join(map(",".join, asked))
            raise UsageError(
                f"--given {','.join(given)}: every grouping names it already ({said}); hold another column fixed, or add a "
                "grouping without it"
            )
        if not set(folded(given)) & set(folded(by)):
            found.setdefault(tuple(folded(given)), given)
    for rule in rules:
        if isinstance(rule, Rule) and rule.given and folded(rule.by) == folded(by):
            found.setdefault(tuple(folded(rule.given)), rule.given)
    return list(found.values())


def named_columns(settings: AuditSettings, rules: Iterable[Requirement]) -> list[str]:
    """Every column that makes groups or levels, as it was written: of groupings, rules, and what is held fixed."""
    known = list(rules)
    given = [*settings.given, *(one.given for one in known if isinstance(one, Rule))]
    return list(dict.fromkeys(name for names in (*settings.by, *(one.by for one in known), *given) for name in names))


def spelled_given(given: By, columns: Mapping[str, Column], numeric: Iterable[str]) -> By:
    """The table's spelling of columns whose levels are held fixed.

    Raises:
        UsageError: a column has no levels.
        UnknownNameError: there is no such column.
    """
    known = {name.casefold() for name in columns}
    numbers = {name.casefold(): name for name in numeric}
    for name in given:
        if name.casefold() not in known and (number := numbers.get(name.casefold())) is not None:
            raise UsageError(
                f"--given {name}: {number} is numeric and has no levels; say where each starts, --bins {number}=0,18,40,65"
            )
    return tuple(match("column whose levels are held fixed (given):", name, columns) for name in given)


def within(
    plain: Grouping,
    groups: Groups,
    levels: Groups,
    times: IntArray | BoolArray,
    table: Callable[[IntArray, int], Table],
    listed: Callable[[Grouping, IntArray, int], GroupingResult],
    identity: IntArray | None = None,
) -> Within:
    """Audit a grouping within every level of other columns; the privileged group stays that of all images.

    Args:
        plain: the grouping of all images.
        groups: the group of every row.
        levels: the level of every row.
        times: (n,) how many images each row stands for; 0 where it has no label.
        table: group of each row or ``MISSING``, and how many groups there are → counts.
        listed: a grouping, group of each row, and images whose group is not known → what is listed of it.
        identity: (n,) who is on each image, where intervals take that into account.
    """
    inside: list[Grouping] = []
    summaries: list[GroupingResult] = []
    for i in range(len(levels)):
        here = levels.ids == i
        ids = np.where(here, groups.ids, MISSING)
        grouping = replace(plain, table=table(ids, len(groups)), given=levels.as_mapping(i))
        missing = int(times[here & (groups.ids == MISSING)].sum())
        inside.append(grouping)
        summaries.append(replace(listed(grouping, ids, missing), given=grouping.given))
    known = (groups.ids != MISSING) & (levels.ids != MISSING) & (times > 0)
    shared = 1 if identity is None else _most_levels(identity[known], levels.ids[known])
    notes = _unknown(int(times[levels.ids == MISSING].sum()), levels.by)
    if shared > 1:
        notes.append(
            f"people are within up to {shared} levels of {','.join(levels.by)}, which are then no independent samples: "
            "limits of means over levels hold whatever their correlation"
        )
    return Within(tuple(inside), tuple(summaries), averaged(inside, shared), tuple(notes))


def restored(
    summaries: Sequence[GroupingResult], groupings: Sequence[Grouping], settings: Mapping[str, Any]
) -> tuple[list[GroupingResult], tuple[Conditional, ...], list[str]]:
    """The same for an audit whose groupings were stored: what is listed, means over levels, and notes.

    Args:
        summaries: what is listed of each grouping.
        groupings: the same groupings.
        settings: of the audit, as it stores them.

    Raises:
        UsageError: an error matrix does not fit the levels.
    """
    asked = AuditSettings.model_validate({k: settings[k] for k in ("label_noise", "shrink") if k in settings})
    plain = {g.by: one for g, one in zip(groupings, summaries, strict=True) if g.given is None}
    means: list[Conditional] = []
    notes: list[str] = []
    for by, given in dict.fromkeys((g.by, tuple(g.given)) for g in groupings if g.given is not None):
        inside = [one for one in zip(groupings, summaries, strict=True) if (one[0].by, _columns(one[0])) == (by, given)]
        known = sum(_images(summary) for _, summary in inside)
        notes += _unknown(_images(plain[by]) - known, given)
        mean = averaged([grouping for grouping, _ in inside])
        means += [] if mean is None else [mean]
    errors = label_errors(asked, [*plain], str(settings["target"]).split(","))
    found, told = completed(summaries, groupings, errors, asked.shrink)
    return found, tuple(means), [*notes, *told]


def _columns(grouping: Grouping) -> By | None:
    return None if grouping.given is None else tuple(grouping.given)


def _images(summary: GroupingResult) -> int:
    return summary.missing + sum(group.n for group in summary.groups)


def _unknown(images: int, given: By) -> list[str]:
    return [f"{images} images whose {','.join(given)} is not known are within none of its levels"] if images else []


def averaged(levels: Sequence[Grouping], shared: int = 1) -> Conditional | None:
    """Means over levels of one grouping's disparities; None where no level has images.

    Args:
        levels: the grouping within every level.
        shared: on how many levels one person is at the most.
    """
    present = [one for one in levels if one.table.n.any()]
    if not present:
        return None
    return Conditional(present[0].by, tuple(present[0].given or ()), conditional_disparities(present, shared))


def _most_levels(identity: IntArray, levels: IntArray) -> int:
    known = identity != MISSING
    pairs = np.unique(np.stack([identity[known], levels[known]]), axis=1)
    return int(np.unique(pairs[0], return_counts=True)[1].max(initial=1))


def label_errors(settings: AuditSettings, asked: Sequence[By], targets: Iterable[str]) -> dict[str, Errors]:
    """Attribute → how often its labels are wrong, for every attribute of a grouping that was asked about.

    Args:
        settings: what was asked.
        asked: every grouping.
        targets: names of what is predicted; a wrong label of that changes what is right, which is another question.

    Raises:
        UnknownNameError: there is no such attribute in a grouping.
        UsageError: the target's own labels are asked about.
    """
    noise, own = settings.label_noise, list(targets)
    if noise is None:
        return {}
    used = list(dict.fromkeys(name for by in asked for name in by))
    groups = [name for name in used if name not in own]
    if not isinstance(noise, Mapping):
        if not groups:
            raise UsageError(f"--label-noise: {', '.join(used)} is the target itself; name a grouping by something else")
        return dict.fromkeys(groups, float(noise))
    found: dict[str, Errors] = {}
    for name, errors in noise.items():
        spelled = next((u for u in [*used, *own] if u.casefold() == name.casefold()), None)
        if spelled is None:
            raise UnknownNameError("attribute in --label-noise:", name, groups)
        if spelled in own:
            raise UsageError(
                f"--label-noise of {spelled}: it is the target, whose wrong labels change what is right; only labels of "
                "groups can be asked about"
            )
        found[spelled] = errors
    return found


def completed(
    summaries: Sequence[GroupingResult], groupings: Sequence[Grouping], errors: Mapping[str, Errors], shrink: bool
) -> tuple[list[GroupingResult], list[str]]:
    """What is listed of groupings, with what was asked besides, and notes for the reader.

    Args:
        summaries: what is listed of each.
        groupings: the same groupings.
        errors: attribute → how often its labels are wrong, see ``label_errors``.
        shrink: whether to list shares drawn towards their mean.

    Raises:
        UsageError: an error matrix does not fit the levels.
    """
    found, notes = [], []
    for summary, grouping in zip(summaries, groupings, strict=True):
        if errors and grouping.given is None:
            summary = replace(summary, label_noise=sensitivity(grouping, errors))
        if shrink:
            summary = _with_shrunk(summary, shrunk_shares(grouping.table))
            if grouping.given is None and int((grouping.table.n > 0).sum()) < FEWEST:
                notes.append(
                    f"nothing is shrunk by {','.join(grouping.by)}: fewer than {FEWEST} of its groups have images, which "
                    "says nothing of how groups scatter"
                )
        found.append(summary)
    if errors:
        notes.append(
            f"how far disparities could move if labels of {' and '.join(errors)} are wrong is listed apart: no interval "
            "and no verdict includes it"
        )
    return found, notes


def _with_shrunk(summary: GroupingResult, shares: Mapping[str, FloatArray]) -> GroupingResult:
    groups = tuple(
        replace(group, shrunk={key: float(values[i]) for key, values in shares.items() if not np.isnan(values[i])})
        for i, group in enumerate(summary.groups)
    )
    return replace(summary, groups=groups)
