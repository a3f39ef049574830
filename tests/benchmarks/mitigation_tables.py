"""The tables of ``tests.benchmarks.mitigation``: what one or several experiments found, as Markdown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fairaudit.artifacts.records import write_audit, write_json
from fairaudit.artifacts.tables import read_predictions, write_predictions
from fairaudit.config import MitigateConfig
from fairaudit.metrics.groups import cross
from fairaudit.predictions import Column, FloatArray, IntArray, Predictions, Task
from fairaudit.results.mitigation import ArmResult, MitigationResult, Number
from fairaudit.workflows.audit import audit
from fairaudit.workflows.experiment import prepare_experiment
from fairaudit.workflows.run_folders import AUDIT, HISTORY, PREDICTIONS, RUN, run_folder
from fairaudit.workflows.tradeoff import summarise_arms

DRAWS = 20_000


def joined(config: MitigateConfig, folders: Sequence[Path], out: Path) -> MitigationResult:
    """What several experiments found that differ in nothing but which images are learnt from and which tested.

    Args:
        config: of the first.
        folders: of the experiments, finished; no test image is in two.
        out: folder of the summary.
    """
    experiment = prepare_experiment(config)
    for arm in config.trained:
        for seed in range(config.seeds):
            runs = [run_folder(folder, arm, seed) for folder in folders]
            records = [json.loads((run / RUN).read_text(encoding="utf-8")) for run in runs]
            seconds = {f"{stage} {i + 1}": s for i, one in enumerate(records) for stage, s in one["seconds"].items()}
            to = run_folder(out, arm, seed)
            to.mkdir(parents=True, exist_ok=True)
            predictions = stacked([read_predictions(run / PREDICTIONS, None) for run in runs])
            write_predictions(predictions, to / PREDICTIONS)
            write_audit(audit(predictions, experiment.audit), to / AUDIT)
            shutil.copyfile(runs[0] / HISTORY, to / HISTORY)
            write_json(to / RUN, {**records[0], "seconds": seconds})
    result = summarise_arms(experiment, out)
    tested = len(read_predictions(run_folder(out, config.trained[0], 0) / PREDICTIONS, None))
    return replace(result, images={**result.images, "test": tested})


def stacked(runs: Sequence[Predictions]) -> Predictions:
    """The predictions of other images one below the other, their scores left out.

    Args:
        runs: with the same targets and attributes.
    """
    tasks = {
        name: Task(
            one.classes,
            np.concatenate([run.tasks[name].y_true for run in runs]),
            np.concatenate([run.tasks[name].y_pred for run in runs]),
        )
        for name, one in runs[0].tasks.items()
    }
    attributes = {
        name: Column(np.concatenate([run.attributes[name].codes for run in runs]), one.levels)
        for name, one in runs[0].attributes.items()
    }
    return Predictions(np.concatenate([run.rows for run in runs]), tasks, attributes)


def markdown(result: MitigationResult, folder: Path) -> str:
    """The table for the README: means over seeds, changes from the baseline, who lost most, seconds of a training.

    Args:
        result: what an experiment found.
        folder: where its runs are.
    """
    by = tuple(result.settings["by"][0])
    columns = {
        "accuracy": ("accuracy", None), "worst group": ("accuracy", "worst_group"), "gap": ("accuracy", "gap"),
        "f1 gap": ("f1[macro]", "gap"), "SD over groups": ("accuracy", "spread"),
    }  # fmt: skip
    columns = {k: v for k, v in columns.items() if result.arms[0].number(*v, by if v[1] else ()) is not None}
    lines = [f"| | {' | '.join(columns)} | without noise | lost most | seconds |", "|---" * (len(columns) + 4) + "|"]
    floors = []
    for arm in result.arms:
        numbers = [arm.number(metric, kind, by if kind else ()) for metric, kind in columns.values()]
        seconds = float(np.mean([run.seconds for run in arm.runs]))
        accuracies, sizes = of_groups([folder / run.folder for run in arm.runs], by)
        spread = float(np.mean([spread_without_noise(own, sizes) for own in accuracies]))
        floors.append(gap_by_chance(float(accuracies.mean()), sizes))
        cells = [*map(cell, numbers), f"{spread:.3f}".replace("0.", "."), loser(arm), f"{seconds:.1f}"]
        lines.append(f"| {arm.name} | {' | '.join(cells)} |")
    images, s = result.images, result.settings
    return "\n".join([
        *lines, "",
        f"{s['architecture']} at {s['size'][0]} pixels; {images['train']:,} training, {images['validation']:,} validation "
        f"and {images['test']:,} test images; {s['seeds']} seeds; ✓ better, ✗ worse than {result.baseline} at 95 %, over "
        "seeds and over images. Groups that were all equally accurate would show a gap of "
        f"{floors[0]:.3f} in so many test images, by chance.",
    ])  # fmt: skip


def of_groups(runs: Sequence[Path], by: tuple[str, ...]) -> tuple[FloatArray, IntArray]:
    """(seeds, g) accuracies, right in every target, and the groups' (g,) test images.

    Args:
        runs: folders of one arm's runs.
        by: the grouping.
    """
    found = []
    for run in runs:
        predictions = read_predictions(run / PREDICTIONS, None)
        right = np.all([task.y_true == task.y_pred for task in predictions.tasks.values()], axis=0)
        groups = cross(predictions.columns(), by)
        sizes = np.bincount(groups.ids, minlength=len(groups))
        found.append(np.bincount(groups.ids, weights=right, minlength=len(groups)) / sizes)
    return np.array(found), sizes


def spread_without_noise(accuracies: FloatArray, sizes: IntArray) -> float:
    """The standard deviation over groups less what finite test images add to it: √max(0, SD² − mean of p(1−p)/n).

    Args:
        accuracies: (g,).
        sizes: (g,) test images of each.
    """
    return float(np.sqrt(max(0.0, accuracies.var() - np.mean(accuracies * (1 - accuracies) / sizes))))


def gap_by_chance(accuracy: float, sizes: IntArray) -> float:
    """The mean gap between groups that are all equally accurate.

    Args:
        accuracy: of each.
        sizes: (g,) test images of each.
    """
    drawn = np.random.default_rng(0).binomial(sizes, accuracy, (DRAWS, len(sizes))) / sizes
    return float(np.ptp(drawn, axis=1).mean())


def cell(one: Number | None) -> str:
    """``.829 ±.001 (−.009 ✗)``."""
    if one is None or np.isnan(one.value):
        return "undefined"
    value = f"{one.value:.3f} ±{one.sd:.3f}".replace("0.", ".")
    if np.isnan(one.change):
        return value
    mark = {"better": " ✓", "worse": " ✗"}.get(one.trend, "")
    return f"{value} ({one.change:+.3f}{mark})".replace("0.", ".").replace("-", "−")


def loser(arm: ArmResult) -> str:
    """The group that lost most, in the first grouping."""
    if not arm.losers:
        return "–"
    one = arm.losers[0]
    return f"{' '.join(one.group.values())} {one.after - one.before:+.3f}{'' if one.shown else ' (not shown)'}"
