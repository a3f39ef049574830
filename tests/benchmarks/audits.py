"""Time of the statistics beside Fairlearn's and a row bootstrap: ``python -m tests.benchmarks.audits [--rounds N]``.

100,000 rows of a generated binary table, 14 groups, five metrics (accuracy, selection rate, TPR, FPR, F1), an interval on
everything. Contenders take turns within every round, so that a busy machine slows all of them, and each round gives one
ratio; medians are printed. Every round has tables of its own, so that nothing is remembered. Fairlearn's 1,000 replicates
and the row bootstrap's are extrapolated from a few. Two rows say what an audit is made of: the counts and their intervals
for the five metrics (what the others compute), and the whole of ``audit()``, which lists every metric that it knows and
every disparity between groups, with intervals and p-values; a third leaves the p-values out. At last CelebA's size, 202,599
images of 40 labels in 400 groups, audited and written by a process of its own. Exit code 1 where a target is missed. Needs
Fairlearn and scikit-learn.

Tried, beside busy neighbours, so in processor seconds, and with the same bytes written. 400 groups x 40 labels, one run
before and one after, at different loads: 29.1 s to audit became 23.9 s, of which 17.7 s are the main thread's (what
entropies draw is drawn by another one meanwhile; 0.02 GiB more), and 6.6 s to write became 3.9 s. Limits of proportions
that were met before at a quantile are looked up (of two million a tenth are different), records are filled slot by slot,
floats written by %. ``audit()`` of 14 groups took 51 ms at the least and takes 41 ms, in turns; its ratio to the row
bootstrap was 27 to 30 and is 24 to 33, which does not show that 30 is met. What remains is many small steps of numpy; beta
quantiles, draws and the roots of p-values are 9 % each. Not taken: beta quantiles by Newton's steps (one ``betainc`` takes
0.3 us, ``betaincinv`` 0.7 to 1.2, and a tenth digit may change), and binomials of own making in place of numpy's, which
would draw other numbers.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import sklearn.metrics as sk
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from numpy.typing import NDArray

from fairaudit.artifacts.records import write_audit
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings
from fairaudit.metrics import summary
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.groups import cross
from fairaudit.metrics.intervals import quantile
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.predictions import Column, FloatArray, IntArray, Predictions, Task
from fairaudit.workflows.audit import audit
from tests.benchmarks.processor import peak_gib
from tests.benchmarks.rows import Row, markdown

N = 100_000
RACES = ("Black", "East Asian", "Indian", "Latino", "Middle Eastern", "Southeast Asian", "White")
GENDERS = ("Female", "Male")
REPLICATES = 1000
FRAME_BOOT, FRAME_PLAIN = "Fairlearn MetricFrame, 1,000 bootstraps", "Fairlearn MetricFrame, no intervals"
ROWS, ROWS_AGAIN = "numpy row bootstrap, 1,000", "the same, beside audit()"
FIVE, WHOLE, WITHOUT_P = "five metrics with intervals", "audit(): everything", "audit() without p-values"
OURS, THEIRS = "command: fairaudit audit", "command: Fairlearn, no intervals"
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
    gc.collect()
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


Contender = tuple[Callable[[int], object], float]
"""What runs, given the round, and the factor by which its time is extrapolated."""


def rounds_of(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round; one round more warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, (run, factor) in contenders.items():
            taken = seconds(partial(run, round_)) * factor
            if round_:
                times[name].append(taken)
    return times


def no_p_values(measures: Sequence[Measure], _: object) -> list[FloatArray]:
    """Instead of p-values."""
    return [np.full(len(m.value), np.nan) for m in measures]


@dataclass(frozen=True, eq=False)
class Data:
    """One round's tables, and one of them in the others' forms."""

    tables: list[Predictions]

    @property
    def sensitive(self) -> dict[str, NDArray[np.str_]]:
        """Group columns as Fairlearn takes them."""
        return {name: column.values().astype(str) for name, column in self.tables[0].columns().items()}

    def frame(self, boots: int | None) -> object:
        """Fairlearn's metrics per group, differences and ratios."""
        task = self.tables[0].tasks["label"]
        more = {} if boots is None else {"n_boot": boots, "ci_quantiles": [0.025, 0.975], "random_state": 0}
        made = MetricFrame(metrics=FRAME, y_true=task.y_true, y_pred=task.y_pred, sensitive_features=self.sensitive, **more)
        return made.by_group, made.difference(), made.ratio()

    def rows(self, replicates: int) -> FloatArray:
        """The row bootstrap; that counting a row is one gather is given to it."""
        task, columns = self.tables[0].tasks["label"], self.tables[0].columns()
        key = (cross(columns, ("race", "gender")).ids * 2 + task.y_true) * 2 + task.y_pred
        return row_bootstrap(key, replicates, 14)

    def audits(self) -> None:
        """Whole audits of all tables."""
        for table in self.tables:
            audit(table, AuditSettings(by=(("race", "gender"),), positive="yes", bootstrap=REPLICATES))


def statistics_only(rounds: int, boots: int) -> dict[str, list[float]]:
    """Seconds of the statistics, from rows in memory."""
    levels, each = {"race": RACES, "gender": GENDERS}, 5
    data = [Data([generated(N, levels, seed=each * i + j) for j in range(each)]) for i in range(rounds + 1)]

    def without_p(i: int) -> None:
        with mock.patch.object(summary, "all_p_values", no_p_values):
            data[i].audits()

    few = 50
    contenders: dict[str, Contender] = {
        FRAME_BOOT: (lambda i: data[i].frame(boots), REPLICATES / boots),
        FRAME_PLAIN: (lambda i: data[i].frame(None), 1.0),
        ROWS: (lambda i: data[i].rows(few), REPLICATES / few),
        FIVE: (lambda i: [five_with_intervals(table) for table in data[i].tables], 1 / each),
        # The second one of the same tables would find what the first one remembers.
        WITHOUT_P: (without_p, 1 / each),
    }
    times = rounds_of(contenders, rounds)
    data = [Data([generated(N, levels, seed=1000 + each * i + j) for j in range(each)]) for i in range(rounds + 1)]
    again = rounds_of({ROWS: contenders[ROWS], WHOLE: (lambda i: data[i].audits(), 1 / each)}, rounds)
    return times | {WHOLE: again[WHOLE], ROWS_AGAIN: again[ROWS]}


def commands(rounds: int) -> dict[str, list[float]]:
    """Seconds of whole processes, from a file."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "predictions.parquet"
        write_predictions(generated(N, {"race": RACES, "gender": GENDERS}), file)
        words = {
            OURS: [sys.executable, "-m", "fairaudit", "audit", str(file), "--by", "race,gender", "--positive", "yes"],
            THEIRS: [sys.executable, "-c", FAIRLEARN_COMMAND, str(file)],
        }

        def run(command: list[str]) -> Callable[[int], object]:
            return lambda _: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        return rounds_of({label: (run(command), 1.0) for label, command in words.items()}, rounds)


def celeba(out: Path) -> dict[str, float]:
    """Audit and write CelebA's size in this process: seconds of both, GiB at the peak, MB of the file, numbers in it."""
    levels = {"gender": GENDERS, "age": tuple("abcde"), "place": tuple(map(str, range(40)))}
    table = generated(202_599, levels, seed=2)
    tasks = {}
    for i in range(40):
        rng = np.random.default_rng(i)
        y = (rng.random(len(table)) < 0.02 + 0.96 * rng.random()).astype(np.int64)
        tasks[f"label {i}"] = Task(("no", "yes"), y, np.where(rng.random(len(table)) < 0.1, 1 - y, y))
    labels = Predictions(table.rows, tasks, table.attributes)
    settings = AuditSettings(target="+".join(tasks), by=(tuple(levels),), bootstrap=REPLICATES)
    started = time.perf_counter()
    result = audit(labels, settings)
    audited = time.perf_counter()
    write_audit(result, out)
    written = time.perf_counter()
    groups = result.groupings[0]
    return {
        "audit": audited - started,
        "write": written - audited,
        "gib": peak_gib(),
        "mb": out.stat().st_size / 1e6,
        "numbers": len(groups.disparities) + sum(len(group.metrics) for group in groups.groups),
    }


def celeba_apart() -> dict[str, float]:
    """The same in a process of its own, whose memory nothing else has used."""
    with tempfile.TemporaryDirectory() as name:
        words = [sys.executable, "-m", "tests.benchmarks.audits", "--celeba", str(Path(name) / "audit.json")]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boots", type=int, default=10, help="Fairlearn's replicates, extrapolated to 1,000")
    parser.add_argument("--celeba", type=Path, help="only audit CelebA's size, write it here and print figures as JSON")
    asked = parser.parse_args()
    if asked.celeba is not None:
        print(json.dumps(celeba(asked.celeba)))
        return 0
    times = statistics_only(asked.rounds, asked.boots) | commands(asked.rounds)
    whole = celeba_apart()
    print(f"{'contender':<44}{'median s':>12}")
    for label, taken in times.items():
        print(f"{label:<44}{statistics.median(taken):>12.4f}")
    print(f"\n202,599 images, 400 groups × 40 labels: {whole['numbers']:,.0f} numbers audited in {whole['audit']:.1f} s, "
          f"{whole['mb']:.0f} MB written in {whole['write']:.1f} s, {whole['gib']:.2f} GiB at the peak\n")  # fmt: skip
    rows = rows_of(times, whole)
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


def rows_of(times: Mapping[str, list[float]], whole: Mapping[str, float]) -> list[Row]:
    """Ratios and their targets.

    Args:
        times: of ``statistics_only`` and ``commands``.
        whole: of ``celeba``.
    """
    pairs = [
        ("five metrics with intervals", "Fairlearn's 1,000 bootstraps", FIVE, FRAME_BOOT, 10_000),
        ("audit() of everything", "Fairlearn's 1,000 bootstraps", WHOLE, FRAME_BOOT, 10_000),
        ("five metrics with intervals", "1,000 row bootstraps in numpy", FIVE, ROWS, 30),
        ("audit() of everything", "1,000 row bootstraps in numpy of five metrics", WHOLE, ROWS_AGAIN, 30),
        ("audit() without p-values", "1,000 row bootstraps in numpy of five metrics", WITHOUT_P, ROWS, 30),
        ("fairaudit audit, the command", "Fairlearn without intervals, the same file", OURS, THEIRS, 1),
    ]
    found = [
        Row.of(what, against, [slow / fast for slow, fast in zip(times[b], times[a], strict=True)], target)
        for what, against, a, b, target in pairs
    ]
    quick, small = 15 / (whole["audit"] + whole["write"]), 1.5 / whole["gib"]
    return [
        *found,
        Row("400 groups × 40 labels, audited and written", "15 s", quick, quick, quick, 1),
        Row("the same, memory", "1.5 GiB", small, small, small, 1),
    ]


if __name__ == "__main__":
    sys.exit(main())
