"""What changed between two aligned sides, or between several runs of each, in all images and in every grouping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.comparison import Change, Design, GroupingChange, PairComparison
from fairaudit.metrics.change import paired_changes, unpaired_changes
from fairaudit.metrics.clusters import PersonCounts, by_person
from fairaudit.metrics.compared import Question
from fairaudit.metrics.groups import cross
from fairaudit.metrics.influence import row_pulls
from fairaudit.metrics.measure import Table
from fairaudit.metrics.paired import pair
from fairaudit.metrics.paired_people import numbered, pair_people, shared_groups
from fairaudit.metrics.score_change import Rows, score_changes
from fairaudit.metrics.score_clusters import repeated
from fairaudit.metrics.seeds import seed_changes, sign_test_sentence
from fairaudit.predictions import MISSING, IntArray
from fairaudit.results import Group
from fairaudit.workflows.prepare import Prepared
from fairaudit.workflows.sides import Aligned, Asked, check_same, common


@dataclass(frozen=True, eq=False)
class _Grouped:
    """One side by one grouping.

    Attributes:
        side: the side.
        ids: (n,) group of each labelled row or ``MISSING``.
        table: what is counted and measured in every group.
        top: the k of each top-k accuracy.
    """

    side: Aligned
    ids: IntArray
    table: Table
    top: Sequence[int]


def pair_sides(first: Aligned, second: Aligned, asked: Asked, families: int, unpaired: bool) -> PairComparison:
    """Compare two models: image by image where they saw the same ones, else as independent samples.

    Args:
        first: the one side.
        second: the other.
        asked: what is compared.
        families: how many models are compared with the first.
        unpaired: treat the images as different ones even where their row ids agree.

    Raises:
        PredictionsError: labels, attributes or people of the same images differ.
        UsageError: there are too many people and classes to be counted person by person.
    """
    notes: list[str] = []
    left, right = common(first, second)
    paired = not unpaired and 2 * len(left) >= min(len(first), len(second))
    names = first.name, second.name
    if paired:
        notes += _left_out(first, second, left, right)
        first, second = first.take(left), second.take(right)
        check_same(first, second, asked.target)
        who = first.identity if second.identity is None else second.identity
        first, second = replace(first, identity=who), replace(second, identity=who)
    elif unpaired:
        notes.append("compared as different images, as asked")
    else:
        shared = f"only {len(left):,} of their images are the same" if len(left) else "no image is in both"
        notes.append(f"the images differ ({shared}): compared as independent samples, which shows less than pairs would")
    clustered = _clustered(first, second, paired)
    notes += _people_note(first, second, paired, clustered)
    notes += _scores_note(first, second)
    if not clustered:
        first, second = replace(first, identity=None), replace(second, identity=None)

    def changes(by: tuple[str, ...]) -> GroupingChange:
        question, (one, other) = _question(by, (first, second), asked, families)
        return GroupingChange(by, tuple(_changes(one, other, question, paired, clustered)))

    return PairComparison(
        *names,
        Design.PAIRED if paired else Design.UNPAIRED,
        (len(first), len(second)),
        changes(()),
        tuple(changes(by) for by in asked.groupings),
        tuple(notes),
    )


def _changes(first: _Grouped, second: _Grouped, question: Question, paired: bool, clustered: bool) -> list[Change]:
    a, b, size = first.side.task, second.side.task, first.table.counts.shape[:2]
    tables, shared = (first.table, second.table), 1
    units = _units(first.side, second.side, paired)
    if clustered:
        shared = shared_groups(units, (first.ids, second.ids))
    if paired:
        counted = (
            pair_people(a.y_true, a.y_pred, b.y_pred, first.ids, units[0], *size)
            if clustered
            else pair(a.y_true, a.y_pred, b.y_pred, first.ids, *size)
        )
        found = paired_changes(counted, question, tables, shared)
    else:
        people = _people(first, second, units) if clustered else None
        found = unpaired_changes(first.table.counts, second.table.counts, question, tables, people, shared)
    before, after = (
        Rows(one.ids, own, one.table, row_pulls(one.side.task, one.ids, one.table, one.top, one.side.parts))
        for one, own in zip((first, second), units, strict=True)
    )
    return found + score_changes(before, after, question, paired, shared)


def over_seeds(before: Sequence[Aligned], after: Sequence[Aligned], asked: Asked) -> PairComparison:
    """Compare two models that were trained several times each, by how their runs scatter.

    Args:
        before: the runs of the first model.
        after: those of the second, in the same order.
        asked: what is compared.

    Raises:
        PredictionsError: labels or attributes of the same images differ.
    """
    runs = [replace(side, identity=None) for side in (*before, *after)]
    for run in runs[1:]:
        left, right = common(runs[0], run)
        check_same(runs[0].take(left), run.take(right), asked.target)

    def changes(by: tuple[str, ...]) -> GroupingChange:
        question, grouped = _question(by, runs, asked, 1)
        tables = [one.table for one in grouped]
        return GroupingChange(by, tuple(seed_changes(tables[: len(before)], tables[len(before) :], question)))

    notes = [
        f"over {len(before)} seeds, paired in the order given: mean ± standard deviation, and a paired t-test over seeds",
        sign_test_sentence(len(before), asked.settings.confidence),
        "seeds show how training scatters; the scatter of the images is not in these intervals",
        *_other_images(runs),
    ]
    return PairComparison(
        _several(before),
        _several(after),
        Design.SEEDS,
        (len(runs[0]), len(runs[len(before)])),
        changes(()),
        tuple(changes(by) for by in asked.groupings),
        tuple(notes),
    )


def _question(
    by: tuple[str, ...], sides: Sequence[Aligned], asked: Asked, families: int
) -> tuple[Question, list[_Grouped]]:
    """What is asked of one grouping (of all images, without attributes), and every side by it."""
    groups: tuple[Group | None, ...] = (None,)
    if by:
        crossed = [cross(side.columns, by) for side in sides]
        groups = tuple(crossed[0].as_mapping(i) for i in range(len(crossed[0])))
        ids = [one.ids for one in crossed]
    else:
        ids = [np.zeros(len(side), dtype=np.int64) for side in sides]
    s, grouped = asked.settings, []
    for side, own in zip(sides, ids, strict=True):
        prepared = Prepared(asked.target, side.task, asked.positive, side.parts, s, side.identity)
        labelled = np.where(side.task.y_true == MISSING, MISSING, own)
        grouped.append(_Grouped(side, labelled, prepared.table(own, len(groups)), s.top_k))
    classes = sides[0].task.classes
    return (
        Question(groups, classes, asked.positive, s.confidence, s.min_support, s.bootstrap, s.seed, families),
        grouped,
    )


def _units(first: Aligned, second: Aligned, paired: bool) -> tuple[IntArray, IntArray]:
    """What chance deals: people where they are known, numbered alike on both sides, else images."""
    n = len(first)
    if paired:
        own = np.arange(n) if first.identity is None else numbered(first.identity)
        return own, own
    who = [np.full(len(s), MISSING, dtype=np.int64) if s.identity is None else s.identity for s in (first, second)]
    every = numbered(np.concatenate(who))
    return every[:n], every[n:]


def _people(first: _Grouped, second: _Grouped, units: tuple[IntArray, IntArray]) -> PersonCounts:
    """Counts person by person, the groups of the second side after those of the first."""
    groups, classes = first.table.counts.shape[:2]
    ids = np.r_[first.ids, np.where(second.ids == MISSING, MISSING, second.ids + groups)]
    true, called = (np.r_[getattr(first.side.task, what), getattr(second.side.task, what)] for what in ("y_true", "y_pred"))
    return by_person(true, called, ids, np.concatenate(units), 2 * groups, classes)


def _clustered(first: Aligned, second: Aligned, paired: bool) -> bool:
    """Whether anybody is on several images, which then are not independent."""
    known = [side.identity for side in (first, second) if side.identity is not None]
    if not known:
        return False
    return repeated(known[0] if paired else np.concatenate(known))


def _left_out(first: Aligned, second: Aligned, left: IntArray, right: IntArray) -> list[str]:
    missing = [np.setdiff1d(np.arange(len(s)), rows) for s, rows in ((first, left), (second, right))]
    if not len(missing[0]) and not len(missing[1]):
        return []
    side, rows = next((s, rows) for s, rows in zip((first, second), missing, strict=True) if len(rows))
    return [
        f"paired on the {len(left):,} images that both have; {len(missing[0]):,} of {first.name} and "
        f"{len(missing[1]):,} of {second.name} are left out, the first is {side.rows[rows[0]]} of {side.name}"
    ]


def _people_note(first: Aligned, second: Aligned, paired: bool, clustered: bool) -> list[str]:
    if not clustered:
        return []
    sides = [first] if paired else [first, second]
    known = [s.identity[s.identity != MISSING] for s in sides if s.identity is not None]
    images, people = sum(map(len, known)), len(np.unique(np.concatenate(known)))
    told = f"{images:,} images show {people:,} people, whose images change together: chance deals people, not images"
    if paired:
        return [
            f"{told}; McNemar's test is replaced by an exact sign-flip test of what each person gained or lost, and "
            "intervals follow the design effect of people"
        ]
    both = len(np.intersect1d(*known)) if len(known) == 2 else 0
    also = f", and takes the two sides for independent although {both:,} people are on both" if both else ""
    return [f"{told}; intervals follow the design effect of people{also}"]


def _scores_note(first: Aligned, second: Aligned) -> list[str]:
    has = [side.task.y_score is not None for side in (first, second)]
    if has[0] == has[1]:
        return []
    return [f"only {(first if has[0] else second).name} has scores: metrics of scores are not compared"]


def _other_images(runs: Sequence[Aligned]) -> list[str]:
    """Which runs have other images than the first, whose change is then of models and images at once."""
    images = [set(run.rows.tolist()) for run in runs]
    other = [run.name for run, own in zip(runs, images, strict=True) if own != images[0]]
    if not other:
        return []
    shown = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
    return [
        f"the runs do not all have the same images: {shown} differ{'s' if len(other) == 1 else ''} from {runs[0].name}, "
        "and what changes with the images is not told from what changes with the model"
    ]


def _several(sides: Sequence[Aligned]) -> str:
    return f"{sides[0].name} and {len(sides) - 1} more"
