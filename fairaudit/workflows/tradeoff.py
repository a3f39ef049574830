"""Trade-off: every arm's accuracy beside its disparities, against the baseline, over seeds and over images.

Two tests answer two questions. A paired t-test over seeds asks whether training again would show the same; an interval over
images, all seeds together and each image one cluster, asks whether other images would. A change counts as shown only
where both say so; with a single seed there is only the second, and the notes say that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.tables import read_predictions
from fairaudit.comparison import Change, ComparisonResult, PairComparison, comparison_json
from fairaudit.config import Arm, AuditSettings, MitigateConfig
from fairaudit.metrics.groups import cross
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.reports.csv import render_mitigation
from fairaudit.results.mitigation import ArmResult, Loser, MitigationResult, Number, SeedRun, mitigation_json
from fairaudit.workflows.compare import Side, compare
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.labels import columns_of
from fairaudit.workflows.run_folders import COMPARISON, PREDICTIONS, RECORD, TRADEOFF, run_folder
from fairaudit.workflows.seed_runs import of_group, read_run

OVER_GROUPS = ("worst_group", "gap", "spread")
UNDECIDED = "undecided"


def summarise_arms(experiment: Experiment, out: Path) -> MitigationResult:
    """Compare every arm with the baseline on the test images, and write the records beside the runs.

    Args:
        experiment: what was run.
        out: its folder; every arm × seed is there.
    """
    config = experiment.config
    arms = config.trained
    tables = {arm.name: [_read(out, arm, seed) for seed in range(config.seeds)] for arm in arms}
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    found = []
    for arm in arms:
        # An arm is compared with itself where there is no baseline: its own numbers come out, and changes of nothing.
        against = arm if baseline is None else baseline
        seeds, images = _compared(tables[against.name], tables[arm.name], against.name, arm.name, experiment.audit)
        if arm is not against:
            write_whole(run_folder(out, arm, 0).parent / COMPARISON, comparison_json(seeds or images))
        found.append(_arm(arm, arm is against, seeds, images, out, config))
    front = pareto_front([_position(one, experiment.by) for one in found])
    result = MitigationResult(
        settings=_settings(experiment),
        images={what: len(getattr(experiment.splits, what)) for what in ("train", "validation", "test")},
        groups=_group_sizes(experiment),
        baseline=None if baseline is None else baseline.name,
        arms=tuple(_on_front(one, on) for one, on in zip(found, front, strict=True)),
        notes=(*experiment.notes, *_notes(config)),
    )
    write_whole(out / RECORD, mitigation_json(result))
    write_whole(out / TRADEOFF, render_mitigation(result))
    return result


def pareto_front(positions: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other point beats: none is at least as good in both and better in one.

    Args:
        positions: (larger is better, smaller is better) of each; a point with nan is on no front.
    """
    known = [not (math.isnan(a) or math.isnan(b)) for a, b in positions]
    return [
        here
        and not any(
            there and other[0] >= one[0] and other[1] <= one[1] and other != one
            for other, there in zip(positions, known, strict=True)
        )
        for one, here in zip(positions, known, strict=True)
    ]


def _read(out: Path, arm: Arm, seed: int) -> Predictions:
    return read_predictions(run_folder(out, arm, seed) / PREDICTIONS, None)


def _compared(
    before: Sequence[Predictions], after: Sequence[Predictions], first: str, second: str, audit: AuditSettings
) -> tuple[ComparisonResult | None, ComparisonResult]:
    """Over seeds (None with one), and over the images of all seeds together."""
    tasks = list(before[0].tasks)
    several = audit.target if audit.target in tasks else ",".join(tasks)  # of recalls at several k the first is compared
    named = {"target": several if len(tasks) > 1 else None}
    settings = audit.model_copy(update={"rules": (), "cluster": True, **named})
    over_images = compare([Side(first, pooled(before))], [Side(second, pooled(after))], settings)
    if len(before) == 1:
        return None, over_images
    sides = [[Side(f"{name} {i}", p) for i, p in enumerate(runs)] for name, runs in ((first, before), (second, after))]
    return compare(sides[0], sides[1], settings, seeds=True), over_images


def pooled(runs: Sequence[Predictions]) -> Predictions:
    """The predictions of all seeds as one table, in which the image is who is seen several times.

    Args:
        runs: the same images, predicted by networks of different seeds.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    rows = np.array([f"{row} (seed {s})" for s, run in enumerate(runs) for row in run.rows], dtype=object)
    tasks = {
        name: Task(
            task.classes,
            np.concatenate([run.tasks[name].y_true for run in runs]),
            np.concatenate([run.tasks[name].y_pred for run in runs]),
        )
        for name, task in first.tasks.items()
    }
    attributes = {
        name: Column(np.concatenate([run.attributes[name].codes for run in runs]), column.levels)
        for name, column in first.attributes.items()
    }
    seen = [who for run in runs for who in _who(run)]
    return Predictions(rows, tasks, attributes, identity=Column.of(seen))


def _who(run: Predictions) -> list[str]:
    """The image; where people are known the person, whose pictures stay one cluster."""
    if run.identity is None:
        return [str(row) for row in run.rows]
    people = zip(run.rows, run.identity.values(), strict=True)
    return [str(row) if who is None else f"person {who}" for row, who in people]


def _arm(
    arm: Arm, alone: bool, seeds: ComparisonResult | None, images: ComparisonResult, out: Path, config: MitigateConfig
) -> ArmResult:
    one = None if seeds is None else seeds.pairs[0]
    other = images.pairs[0]
    folders = [run_folder(out, arm, seed) for seed in range(config.seeds)]
    told = [read_run(folder) for folder in folders]
    runs = tuple(
        SeedRun(seed, folder.relative_to(out).as_posix(), run.selected, run.seconds, run.epochs)
        for seed, (folder, run) in enumerate(zip(folders, told, strict=True))
    )
    numbers = tuple(
        replace(_number(*named, one, other, alone), by_seed=tuple(run.values.get(named, math.nan) for run in told))
        for named in _asked(other)
    )
    groups = tuple(
        replace(one, by_seed=tuple(run.served.get(of_group(one.by, one.group), math.nan) for run in told))
        for one in _groups(one, other, alone)
    )
    losers = () if alone else tuple(_losers(one or other, 1 - config.audit.confidence))
    notes = tuple(_told([run.notes for run in told]))
    return ArmResult(arm.name, arm.loss, arm.method, runs, numbers, losers, False, notes, groups)


def _told(notes: Sequence[Sequence[str]]) -> Iterable[str]:
    """What every seed said once, and what only some said with the seed."""
    for seed, own in enumerate(notes):
        for note in dict.fromkeys(own):
            if not all(note in other for other in notes):
                yield f"seed {seed}: {note}"
            elif seed == 0:
                yield note


def _asked(pair: PairComparison) -> Iterable[tuple[str, str | None, tuple[str, ...]]]:
    """Accuracy and F1 over all images; of both the worst group, the gap and the spread in every grouping."""
    known = {c.metric for c in pair.overall.changes}
    metrics = [m for m in ("accuracy", "f1", "f1[macro]") if m in known]
    for metric in metrics:
        yield metric, None, ()
        for grouping in pair.groupings:
            kinds = {c.kind for c in grouping.changes if c.metric == metric}
            for kind in OVER_GROUPS:
                if kind in kinds:
                    yield metric, kind, grouping.by


def _number(
    metric: str, kind: str | None, by: tuple[str, ...], seeds: PairComparison | None, images: PairComparison, alone: bool
) -> Number:
    over_seeds = None if seeds is None else _find(seeds, metric, kind, by)
    return _told_of(over_seeds, _find(images, metric, kind, by), by, alone)


def _groups(seeds: PairComparison | None, images: PairComparison, alone: bool) -> Iterable[Number]:
    """Accuracy of every group; p-values are adjusted over the groups of a grouping."""
    for i, grouping in enumerate(images.groupings):
        for over_images in grouping.changes:
            if over_images.metric != "accuracy" or over_images.kind is not None or over_images.group is None:
                continue
            over_seeds = None
            if seeds is not None:
                own = (
                    c
                    for c in seeds.groupings[i].changes
                    if (c.metric, c.kind, c.group) == ("accuracy", None, over_images.group)
                )
                over_seeds = next(own)
            yield _told_of(over_seeds, over_images, grouping.by, alone)


def _told_of(over_seeds: Change | None, over_images: Change, by: tuple[str, ...], alone: bool) -> Number:
    told = over_images if over_seeds is None else over_seeds
    metric, kind, group, none = told.metric, told.kind, told.group, math.nan
    sd = none if told.sd is None else told.sd[1]
    if alone:
        return Number(
            metric, kind, by, told.after.value, sd, none, none, none, none, none, none, none, UNDECIDED, group=group
        )
    trends = {over_images.trend.value, told.trend.value}

    def p(one: Change) -> float:
        return one.p if group is None else one.p_adjusted

    return Number(
        metric,
        kind,
        by,
        told.after.value,
        sd,
        told.change.value,
        told.change.ci_low,
        told.change.ci_high,
        none if over_seeds is None else p(over_seeds),
        over_images.change.ci_low,
        over_images.change.ci_high,
        p(over_images),
        trends.pop() if len(trends) == 1 else UNDECIDED,
        group=group,
    )


def _find(pair: PairComparison, metric: str, kind: str | None, by: tuple[str, ...]) -> Change:
    changes = pair.overall.changes if not by else next(g.changes for g in pair.groupings if g.by == by)
    return next(c for c in changes if c.metric == metric and c.kind == kind)


def _losers(pair: PairComparison, level: float) -> Iterable[Loser]:
    """Per grouping, the group whose accuracy fell most."""
    for grouping in pair.groupings:
        own = [c for c in grouping.changes if c.metric == "accuracy" and c.kind is None and c.group is not None]
        fell = [c for c in own if c.change.value < 0]
        if fell:
            most = min(fell, key=lambda c: c.change.value)
            shown = most.p_adjusted <= level
            group = dict(most.group or {})
            yield Loser(grouping.by, group, most.before.value, most.after.value, most.p_adjusted, bool(shown))


def _position(arm: ArmResult, by: tuple[str, ...]) -> tuple[float, float]:
    accuracy, gap = arm.number("accuracy", None), arm.number("accuracy", "gap", by)
    return (math.nan if accuracy is None else accuracy.value, math.nan if gap is None else gap.value)


def _on_front(arm: ArmResult, on: bool) -> ArmResult:
    return replace(arm, on_front=on)


def _settings(experiment: Experiment) -> dict[str, Any]:
    config = experiment.config
    return {
        "target": list(experiment.tasks),
        "by": [list(grouping) for grouping in experiment.audit.by],
        "data": config.data,
        "test_data": None if config.test is None else config.test.data,
        "architecture": experiment.start.architecture,
        "start": experiment.start.origin,
        "size": list(experiment.preprocess.size),
        "select": config.training.select,
        "epochs": config.training.epochs,
        "batch_size": config.training.batch_size,
        "seeds": config.seeds,
        "confidence": config.audit.confidence,
    }


def _group_sizes(experiment: Experiment) -> dict[str, int]:
    ids = cross(columns_of(experiment.splits.train)[0], experiment.by).ids
    counted: Mapping[str, int] = {name: int((ids == i).sum()) for i, name in enumerate(experiment.group_labels)}
    return dict(counted)


def _notes(config: MitigateConfig) -> list[str]:
    told = []
    if config.seeds == 1:
        told.append(
            "one seed: whether training again would show the same is not known; changes are tested over images alone"
        )
    if not any(arm.is_baseline for arm in config.trained):
        told.append("no baseline was trained: nothing here says whether a method helped")
    return told
