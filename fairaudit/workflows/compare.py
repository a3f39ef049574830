"""Compare: what changed between two models, for whom, and whether the data show it. Torch is never needed.

Images are paired by row id. Several runs of each side (seeds) are compared by what the runs scatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.tables import TableColumns, read_predictions
from fairaudit.comparison import (
    ComparisonResult,
    Design,
    GroupingChange,
    PairComparison,
    comparison_json,
)
from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UsageError
from fairaudit.metrics.change import Question, paired_changes, unpaired_changes
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.groups import cross
from fairaudit.metrics.paired import pair
from fairaudit.metrics.seeds import seed_changes, sign_test_sentence
from fairaudit.metrics.subset import parse_subset
from fairaudit.predictions import MISSING, Column, IntArray, Predictions, Task
from fairaudit.results import AuditResult, Group
from fairaudit.workflows.audit import audit
from fairaudit.workflows.prepare import with_levels

FILE = "comparison.json"


@dataclass(frozen=True)
class Side:
    """Predictions and what they are called."""

    name: str
    predictions: Predictions


def compare(
    before: Sequence[Side], after: Sequence[Side], settings: AuditSettings, *, seeds: bool = False, unpaired: bool = False
) -> ComparisonResult:
    """Compare models.

    Args:
        before: the first model; with ``seeds``, its runs.
        after: the models that are compared with it, each by itself; with ``seeds``, the runs of the second model, in the
            order of those of the first.
        settings: target, groupings, confidence, replicates and seed; rules are not judged.
        seeds: whether each side is one model trained several times.
        unpaired: treat the images as different ones even where their row ids agree.

    Raises:
        UsageError: an attribute, class or target does not exist, or the numbers of runs do not fit.
        PredictionsError: the sides disagree on labels or attributes of the same images.
    """
    sides = [Side(s.name, with_levels(_where(s.predictions, settings.where), settings)) for s in (*before, *after)]
    first = audit(
        sides[0].predictions, settings.model_copy(update={"where": None, "rules": (), "bins": {}, "missing": "exclude"})
    )
    sides = _aligned(sides, first)
    if seeds:
        pairs = [_over_seeds(sides[: len(before)], sides[len(before) :], first, settings)]
    else:
        if len(before) != 1 or not after:
            raise UsageError(
                "a comparison needs one table before and at least one after; several seeds are --before, --after"
            )
        pairs = [_pair(sides[0], other, first, settings, len(after), unpaired) for other in sides[1:]]
    record = {
        **{key: first.settings[key] for key in ("target", "classes", "positive")},
        "classes": list(sides[0].predictions.tasks[first.settings["target"]].classes),
        "where": settings.where,
        "confidence": settings.confidence,
        "min_support": settings.min_support,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
    }
    return ComparisonResult(record, tuple(pairs))


def compare_files(
    before: Sequence[Path],
    after: Sequence[Path],
    settings: AuditSettings,
    columns: TableColumns | None,
    *,
    seeds: bool = False,
    unpaired: bool = False,
    out: Path | None = None,
) -> tuple[ComparisonResult, Path | None]:
    """Compare tables of predictions.

    Args:
        before: files or run folders, see ``compare``.
        after: likewise.
        settings: what is compared.
        columns: which columns mean what; None where the files declare them.
        seeds: whether each side is one model trained several times.
        unpaired: treat the images as different ones.
        out: file to write, or folder for a ``comparison.json``; None writes nothing.

    Returns:
        What was found, and the file that was written.

    Raises:
        FairauditError: see ``compare``; also a file that cannot be read or written.
    """
    if seeds and len(before) != len(after):
        raise UsageError(
            f"{len(before)} runs before and {len(after)} after cannot be paired; give as many --after as --before, in order"
        )
    if seeds and len(before) < 2:
        raise UsageError("one run on each side has no scatter; name both tables without --before and --after")
    paths = [*before, *after]
    short = [path.name for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    sides = [Side(name, read_predictions(path, columns)) for name, path in zip(names, paths, strict=True)]
    result = compare(sides[: len(before)], sides[len(before) :], settings, seeds=seeds, unpaired=unpaired)
    if out is None:
        return result, None
    target = out if out.suffix == ".json" and not out.is_dir() else out / FILE
    write_whole(target, comparison_json(result))
    return result, target


def _where(predictions: Predictions, where: str | None) -> Predictions:
    if where is None:
        return predictions
    keep = parse_subset(where).rows(predictions.columns(), predictions.numeric)
    if not keep.any():
        raise PredictionsError(f"no images are left after --where {where!r}; all {len(predictions)} were ruled out")
    return predictions.take(keep)


def _aligned(sides: list[Side], first: AuditResult) -> list[Side]:
    """The same target, classes, attributes and levels on every side, so that codes mean the same."""
    target = first.settings["target"]
    names = list(dict.fromkeys(name for g in first.groupings for name in g.by))
    for side in sides:
        if target not in side.predictions.tasks:
            known = ", ".join(side.predictions.tasks)
            raise UsageError(f"{side.name} has no target {target!r}, only {known}; compare tables of the same target")
        for name in names:
            if name not in side.predictions.columns():
                raise UsageError(f"{side.name} has no attribute {name!r}, which {sides[0].name} is grouped by")
    tasks = [side.predictions.tasks[target] for side in sides]
    classes = tuple(dict.fromkeys(c for task in tasks for c in task.classes))
    if all(not set(tasks[0].classes) & set(task.classes) for task in tasks[1:]):
        raise UsageError(
            f"{sides[0].name} and {sides[1].name} share no class of {target!r}: {', '.join(tasks[0].classes)} and "
            f"{', '.join(tasks[1].classes)}"
        )
    levels = {
        name: tuple(dict.fromkeys(v for side in sides for v in side.predictions.columns()[name].levels)) for name in names
    }
    return [
        Side(
            side.name,
            replace(
                side.predictions,
                tasks={target: Task(classes, _recode(task.y_true, task.classes, classes),
                                    _recode(task.y_pred, task.classes, classes))},
                attributes={name: _releveled(side.predictions.columns()[name], levels[name]) for name in names},
                numeric={},
            ),
        )
        for side, task in zip(sides, tasks, strict=True)
    ]  # fmt: skip


def _recode(codes: IntArray, old: Sequence[str], new: Sequence[str]) -> IntArray:
    return np.array([*(new.index(name) for name in old), MISSING], dtype=np.int64)[codes]


def _releveled(column: Column, levels: tuple[str, ...]) -> Column:
    return Column(_recode(column.codes, column.levels, levels), levels)


def _common(first: Side, second: Side) -> tuple[IntArray, IntArray]:
    """Rows of either side that are of the same images, in the same order."""
    place = {row: i for i, row in enumerate(second.predictions.rows.tolist())}
    both = [(i, place[row]) for i, row in enumerate(first.predictions.rows.tolist()) if row in place]
    left, right = np.array(both, dtype=np.int64).reshape(-1, 2).T
    return left, right


def _pair(
    first: Side, second: Side, asked: AuditResult, settings: AuditSettings, families: int, unpaired: bool
) -> PairComparison:
    notes: list[str] = []
    a, b = first.predictions, second.predictions
    left, right = _common(first, second)
    smaller = min(len(a), len(b))
    paired = not unpaired and 2 * len(left) >= smaller
    if paired:
        if len(left) < max(len(a), len(b)):
            notes.append(
                f"paired on the {len(left):,} images that both have; {len(a) - len(left):,} of {first.name} and "
                f"{len(b) - len(left):,} of {second.name} are left out"
            )
        a, b = a.take(left), b.take(right)
        _check_same(first.name, second.name, a, b)
    elif unpaired:
        notes.append("compared as different images, as asked")
    else:
        shared = f"only {len(left):,} of their images are the same" if len(left) else "no image is in both"
        notes.append(f"the images differ ({shared}): compared as independent samples, which shows less than pairs would")
    notes += _person_note(a)

    def changes(by: tuple[str, ...]) -> GroupingChange:
        question, ids = _question(by, (a, b), asked, settings, families)
        (task_a,), (task_b,) = a.tasks.values(), b.tasks.values()
        size = len(question.groups), len(task_a.classes)
        if paired:
            counted = pair(task_a.y_true, task_a.y_pred, task_b.y_pred, ids[0], *size)
            return GroupingChange(by, tuple(paired_changes(counted, question)))
        each = [confusion(t.y_true, t.y_pred, i, *size) for t, i in zip((task_a, task_b), ids, strict=True)]
        return GroupingChange(by, tuple(unpaired_changes(each[0], each[1], question)))

    return PairComparison(
        first.name,
        second.name,
        Design.PAIRED if paired else Design.UNPAIRED,
        (len(a), len(b)),
        changes(()),
        tuple(changes(g.by) for g in asked.groupings),
        tuple(notes),
    )


def _over_seeds(
    before: Sequence[Side], after: Sequence[Side], asked: AuditResult, settings: AuditSettings
) -> PairComparison:
    runs = [side.predictions for side in (*before, *after)]

    def changes(by: tuple[str, ...]) -> GroupingChange:
        question, ids = _question(by, runs, asked, settings, 1)
        counts = np.stack([
            confusion(task.y_true, task.y_pred, i, len(question.groups), len(task.classes))
            for run, i in zip(runs, ids, strict=True) for task in run.tasks.values()
        ])  # fmt: skip
        return GroupingChange(by, tuple(seed_changes(counts[: len(before)], counts[len(before) :], question)))

    images = {tuple(sorted(run.rows.tolist())) for run in runs}
    notes = [
        f"over {len(before)} seeds, paired in the order given: mean ± standard deviation, and a paired t-test over seeds",
        sign_test_sentence(len(before), settings.confidence),
        "seeds show how training scatters; the scatter of the images is not in these intervals",
    ]
    if len(images) > 1:
        notes.append("the runs do not all have the same images")
    return PairComparison(
        _several(before),
        _several(after),
        Design.SEEDS,
        (len(runs[0]), len(runs[len(before)])),
        changes(()),
        tuple(changes(g.by) for g in asked.groupings),
        tuple(notes),
    )


def _question(
    by: tuple[str, ...], runs: Sequence[Predictions], asked: AuditResult, settings: AuditSettings, families: int
) -> tuple[Question, list[IntArray]]:
    """What is asked of one grouping (of all images, without attributes), and the groups of every run's rows."""
    (task,) = runs[0].tasks.values()
    groups: tuple[Group | None, ...] = (None,)
    if by:
        crossed = [cross(run.columns(), by) for run in runs]
        groups = tuple(crossed[0].as_mapping(i) for i in range(len(crossed[0])))
        ids = [one.ids for one in crossed]
    else:
        ids = [np.zeros(len(run), dtype=np.int64) for run in runs]
    positive = asked.settings["positive"]
    return (
        Question(
            groups,
            task.classes,
            None if positive is None else task.classes.index(positive),
            settings.confidence,
            settings.min_support,
            settings.bootstrap,
            settings.seed,
            families,
        ),
        ids,
    )


def _check_same(first: str, second: str, a: Predictions, b: Predictions) -> None:
    """Labels and attributes belong to the image: two tables that disagree are not about the same images."""
    columns: Mapping[str, Column] = b.columns()
    for name, column in a.columns().items():
        other = columns[name]
        differ = np.flatnonzero(column.codes != other.codes)
        if len(differ):
            i = int(differ[0])
            raise PredictionsError(
                f"{first} and {second} do not pair: {name!r} differs in {len(differ):,} of {len(a):,} images with the same "
                f"row id, first in {a.rows[i]!r} ({column.values()[i]} and {other.values()[i]}); name the column of image "
                "ids with --id, or compare different images with --unpaired"
            )


def _person_note(predictions: Predictions) -> list[str]:
    if predictions.identity is None:
        return []
    known = predictions.identity.codes[predictions.identity.codes != MISSING]
    people = len(np.unique(known))
    if people == len(known):
        return []
    return [f"{people:,} people are on {len(known):,} images, and tests and intervals treat the images as independent"]


def _several(sides: Sequence[Side]) -> str:
    return f"{sides[0].name} and {len(sides) - 1} more"
