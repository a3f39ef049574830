"""Time of the statistics beside Fairlearn's and a row bootstrap: ``python -m tests.benchmarks.audits [--rounds N]``.

100,000 rows of a generated binary table, 14 groups, five metrics (accuracy, selection rate, TPR, FPR, F1), an interval on
everything. Contenders take turns within every round, so that a busy machine slows all of them, and each round gives one
ratio; medians are printed. Fairlearn's 1,000 replicates and the row bootstrap's are extrapolated from a few. Three rows
say what an audit is made of: the counts and their intervals for the five metrics (what the others compute), and the whole
of ``audit()``, which lists every metric that it knows and every disparity between groups, with intervals. Exit code 1
where a target is missed. Needs Fairlearn and scikit-learn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import sklearn.metrics as sk
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.groups import cross
from fairaudit.metrics.intervals import quantile
from fairaudit.metrics.measure import Metric, Table
from fairaudit.predictions import Column, FloatArray, IntArray, Predictions, Task
from fairaudit.workflows.audit import audit

N = 100_000
RACES = ("Black", "East Asian", "Indian", "Latino", "Middle Eastern", "Southeast Asian", "White")
GENDERS = ("Female", "Male")
REPLICATES = 1000
METRICS = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate", "f1")
FRAME = {
    "accuracy": sk.accuracy_score,
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "f1": sk.f1_score,
}

FAIRLEARN_COMMAND = """
import sys
import pandas, sklearn.metrics as sk
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
table = pandas.read_parquet(sys.argv[1])
frame = MetricFrame(
    metrics={
        "a": sk.accuracy_score, "s": selection_rate, "t": true_positive_rate, "f": false_positive_rate, "f1": sk.f1_score
    },
    y_true=(table["label"] == "yes").astype(int),
    y_pred=(table["label_pred"] == "yes").astype(int),
    sensitive_features=table[["race", "gender"]].astype(str),
)
print(frame.by_group, frame.difference(), frame.ratio())
"""


def generated(n: int, levels: Mapping[str, tuple[str, ...]], seed: int = 0) -> Predictions:
    """A table of n rows whose error depends a little on the group."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    columns = {name: Column(rng.integers(0, len(names), n), names) for name, names in levels.items()}
    wrong = rng.random(n) < 0.1 + 0.05 * next(iter(columns.values())).codes / 7
    rows = np.array([f"{i}.jpg" for i in range(n)], dtype=object)
    return Predictions(rows, {"label": Task(("no", "yes"), y, np.where(wrong, 1 - y, y))}, columns)


def five_metrics(counts: IntArray) -> FloatArray:
    """(5, ...) the metrics of (..., 2, 2) counts, plainly."""
    (tn, fp), (fn, tp) = np.moveaxis(counts, (-2, -1), (0, 1)).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = tn + fp + fn + tp
        return np.stack([(tp + tn) / n, (tp + fp) / n, tp / (tp + fn), fp / (fp + tn), 2 * tp / (2 * tp + fp + fn)])


def row_bootstrap(key: IntArray, replicates: int, groups: int) -> FloatArray:
    """(2, 5, g) percentile limits from resampled rows, a gather and a bincount per replicate."""
    rng = np.random.default_rng(1)
    drawn = [
        five_metrics(np.bincount(key[rng.integers(0, len(key), len(key))], minlength=4 * groups).reshape(groups, 2, 2))
        for _ in range(replicates)
    ]
    return np.asarray(np.nanquantile(np.stack(drawn), (0.025, 0.975), axis=0))


def five_with_intervals(predictions: Predictions) -> list[FloatArray]:
    """The same five metrics and their intervals, from the rows, the way an audit computes them."""
    groups = cross(predictions.columns(), ("race", "gender"))
    task = predictions.tasks["label"]
    table = Table(confusion(task.y_true, task.y_pred, groups.ids, len(groups), 2), task.classes, 1)
    found = []
    for name in METRICS:
        measure = table.measure(Metric(name, None if name == "accuracy" else 1))
        found += [measure.value, *measure.interval(quantile(0.95))]
    return found


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def rounds_of(contenders: Mapping[str, tuple[Callable[[], object], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, times the factor by which it is extrapolated; one round warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, (run, factor) in contenders.items():
            taken = seconds(run) * factor
            if round_:
                times[name].append(taken)
    return times


def ratio(times: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Median over rounds of how many times longer one takes than the other."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--boots", type=int, default=3, help="Fairlearn's replicates, extrapolated to 1,000")
    asked = parser.parse_args()
    predictions = generated(N, {"race": RACES, "gender": GENDERS})
    task, columns = predictions.tasks["label"], predictions.columns()
    key = (cross(columns, ("race", "gender")).ids * 2 + task.y_true) * 2 + task.y_pred
    settings = AuditSettings(by=(("race", "gender"),), positive="yes", bootstrap=REPLICATES)
    sensitive = {name: columns[name].values().astype(str) for name in ("race", "gender")}

    def frame(boots: int | None) -> object:
        more = {} if boots is None else {"n_boot": boots, "ci_quantiles": [0.025, 0.975], "random_state": 0}
        made = MetricFrame(metrics=FRAME, y_true=task.y_true, y_pred=task.y_pred, sensitive_features=sensitive, **more)
        return made.by_group, made.difference(), made.ratio()

    few, frame_boot, frame_plain = 50, "Fairlearn MetricFrame, 1,000 bootstraps", "Fairlearn MetricFrame, no intervals"
    rows, five, whole = "numpy row bootstrap, 1,000", "five metrics with intervals", "audit(): everything"
    times = rounds_of(
        {
            frame_boot: (lambda: frame(asked.boots), REPLICATES / asked.boots),
            frame_plain: (lambda: frame(None), 1.0),
            rows: (lambda: row_bootstrap(key, few, 14), REPLICATES / few),
            five: (lambda: five_with_intervals(predictions), 1.0),
            whole: (lambda: audit(predictions, settings), 1.0),
        },
        asked.rounds,
    )
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "predictions.parquet"
        write_predictions(predictions, file)
        ours = [sys.executable, "-m", "fairaudit", "audit", str(file), "--by", "race,gender", "--positive", "yes"]
        theirs = [sys.executable, "-c", FAIRLEARN_COMMAND, str(file)]
        ours_name, theirs_name = "command: fairaudit audit", "command: Fairlearn, no intervals"
        commands = rounds_of(
            {
                label: (lambda words=words: subprocess.run(words, check=True, stdout=subprocess.DEVNULL), 1.0)  # type: ignore[misc]
                for label, words in ((ours_name, ours), (theirs_name, theirs))
            },
            asked.rounds,
        )
    times |= commands
    # CelebA's size: 400 intersectional groups, 40 attributes predicted.
    many = generated(202_599, {"gender": GENDERS, "age": tuple("abcde"), "place": tuple(map(str, range(40)))}, seed=2)
    forty = [replace_labels(many, seed) for seed in range(40)]
    wide = AuditSettings(by=(("gender", "age", "place"),), positive="yes", bootstrap=REPLICATES)
    started = time.perf_counter()
    for one in forty:
        audit(one, wide)
    celeba = time.perf_counter() - started

    print(f"{'contender':<44}{'median s':>12}")
    for label, taken in times.items():
        print(f"{label:<44}{statistics.median(taken):>12.4f}")
    print(f"{'400 groups × 40 targets, 202,599 rows each':<44}{celeba:>12.2f}\n")
    targets = [
        ("Fairlearn 1,000 / five metrics", ratio(times, frame_boot, five), 10_000),
        ("Fairlearn 1,000 / audit(), everything", ratio(times, frame_boot, whole), 10_000),
        ("row bootstrap / five metrics", ratio(times, rows, five), 30),
        ("row bootstrap / audit(), everything", ratio(times, rows, whole), 30),
        ("Fairlearn command / fairaudit command", ratio(times, theirs_name, ours_name), 1),
    ]
    print(f"{'ratio':<44}{'× faster':>12}{'target':>10}")
    for label, found, target in targets:
        print(f"{label:<44}{found:>12,.1f}{target:>10,}{'' if found >= target else '   MISSED'}")
    return 0 if all(found >= target for _, found, target in targets) else 1


def replace_labels(predictions: Predictions, seed: int) -> Predictions:
    """The same rows and groups with another target's labels and predictions."""
    rng = np.random.default_rng(seed)
    y = (rng.random(len(predictions)) < 0.02 + 0.96 * rng.random()).astype(np.int64)
    wrong = rng.random(len(predictions)) < 0.1
    return Predictions(
        predictions.rows, {"label": Task(("no", "yes"), y, np.where(wrong, 1 - y, y))}, predictions.attributes
    )


if __name__ == "__main__":
    sys.exit(main())
