"""Cost grows linearly: ``python -m tests.benchmarks.scaling [--plot docs/images/scaling.png]``.

Everything is run, nothing is extrapolated but the last line of the table. Audits list every metric, interval, disparity and
p-value of a generated table: 1,000 to 1,000,000 rows in 14 groups, with and without scores, and 100,000 rows in 2 to 400
groups. Prediction takes a network of timm's that is small enough to be run on many images (``test_resnet`` at 48 pixels),
with decoding, over 1,000 to 100,000 JPEGs of 64 pixels, of which 256 differ. Folders of Parquet parts, 250,000 rows each,
are audited by ``fairaudit audit --stream``, whose seconds and memory at the peak are printed; from these two, a hundred
million rows are estimated, which is 400 such parts.

Processor seconds, because others may share the machine: sizes take turns, and medians over rounds are shown. A slope of 1
is linear growth; below it lie fixed costs, which small tables feel. The slope is that of the last step of each line.

On two 2.8 GHz Xeon cores: a million rows in 14 groups in 0.09 s, in 1.6 s with scores, 100,000 rows in 400 groups in
0.35 s; a million rows in parts in 2.4 s and four million in 3.0 s, start-up included, in 0.25 GiB either way; so a hundred
million in about half a minute. 100,000 images in 135 s, 10,000 in 12 s (slope 1.06).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import timm
from scipy.special import expit

from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings, InferenceSettings, Preprocess
from fairaudit.data.manifest import Card, Manifest
from fairaudit.engine.predict import predict
from fairaudit.predictions import Predictions
from fairaudit.workflows.audit import audit
from tests.benchmarks.audits import GENDERS, RACES, generated
from tests.benchmarks.inference import Memory, Network, Softmax, pictures

ROWS = (1_000, 10_000, 100_000, 1_000_000)
GROUPS = (2, 14, 50, 100, 200, 400)
IMAGES = (1_000, 10_000, 100_000)
STREAMED = (1_000_000, 4_000_000)
PART = 250_000
HUNDRED_MILLION = 100_000_000
SIDE, INPUT = 64, 48

LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
if status:
    sys.exit(f"the audit ended with {os.waitstatus_to_exitcode(status)}")
wall = time.perf_counter() - started
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "wall": wall, "gib": used.ru_maxrss / 2**20}))
"""
"""Linux counts the memory of whoever starts a process as its own, so one that needs none starts it."""


@dataclass(frozen=True)
class Line:
    """What something costs at several sizes.

    Attributes:
        name: of what.
        unit: of its sizes.
        sizes: rising.
        seconds: of each, the median.
    """

    name: str
    unit: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def slope(self) -> float:
        """Of ln(seconds) over ln(size), between the last two sizes."""
        (a, b), (x, y) = self.sizes[-2:], self.seconds[-2:]
        return math.log(y / x) / math.log(b / a)


def measured(name: str, unit: str, runs: Mapping[int, Callable[[int], object]], rounds: int) -> Line:
    """Run every size in turns.

    Args:
        name: of what is run.
        unit: of the sizes.
        runs: size → one run, given the round.
        rounds: how often; one round more warms caches up, with the smallest size alone.
    """
    next(iter(runs.values()))(rounds)
    times: dict[int, list[float]] = {size: [] for size in runs}
    for round_ in range(rounds):
        for size, run in runs.items():
            started = time.process_time()
            run(round_)
            times[size].append(time.process_time() - started)
    return Line(name, unit, tuple(times), tuple(statistics.median(taken) for taken in times.values()))


def scored(table: Predictions, seed: int = 0) -> Predictions:
    """The same table with scores, whose side of one half is the prediction."""
    task, rng = table.tasks["label"], np.random.default_rng(seed)
    yes = expit(np.abs(rng.normal(1.5, 1.5, len(table))) * np.where(task.y_pred == 1, 1, -1)).round(6)
    return replace(table, tasks={"label": replace(task, y_score=np.stack([1 - yes, yes], axis=1))})


def audits(rounds: int) -> list[Line]:
    """Audits over rows, with and without scores, and over groups."""
    levels = {"race": RACES, "gender": GENDERS}
    settings = AuditSettings(by=(("race", "gender"),), positive="yes")
    every = range(rounds + 1)  # a table that was audited before would find what the first audit remembers

    def run(tables: Sequence[Predictions], by: AuditSettings = settings) -> Callable[[int], object]:
        return lambda round_: audit(tables[round_], by)

    plain = {n: [generated(n, levels, seed=i) for i in every] for n in ROWS}
    with_scores = {n: [scored(generated(n, levels, seed=100 + i)) for i in every] for n in ROWS}
    crossed = {g: [generated(100_000, _groups(g), seed=i) for i in every] for g in GROUPS}
    one = AuditSettings(by=(("group",),), positive="yes")
    return [
        measured("audit, 14 groups", "rows", {n: run(tables) for n, tables in plain.items()}, rounds),
        measured("audit with scores, 14 groups", "rows", {n: run(tables) for n, tables in with_scores.items()}, rounds),
        measured("audit of 100,000 rows", "groups", {g: run(tables, one) for g, tables in crossed.items()}, rounds),
    ]


def _groups(count: int) -> dict[str, tuple[str, ...]]:
    return {"group": tuple(f"g{i:03}" for i in range(count))}


def predictions(rounds: int) -> Line:
    """Prediction with decoding, over images."""
    files = pictures(256, SIDE, SIDE)
    model = timm.create_model("test_resnet", pretrained=False, num_classes=2).eval()
    network = Network(model, Preprocess(size=(INPUT, INPUT), interpolation="bicubic"), Softmax())

    def run(n: int) -> Callable[[int], object]:
        names = [f"{i}.jpg" for i in range(n)]
        different = list(files.values())
        store = Memory({name: different[i % len(different)] for i, name in enumerate(names)})
        manifest = Manifest(pd.DataFrame({"row": names, "split": "all"}), store, Card("rendered here"))
        settings = InferenceSettings(device="cpu", batch_size=16)
        return lambda _: predict(network, manifest, settings)

    return measured("prediction, test_resnet at 48 px", "images", {n: run(n) for n in IMAGES}, rounds)


def write_shards(folder: Path, rows: int) -> None:
    """A table with scores as Parquet parts."""
    (folder / "predictions").mkdir(parents=True)
    for i in range(rows // PART):
        table = scored(generated(PART, {"race": RACES, "gender": GENDERS}, seed=i), seed=i)
        write_predictions(table, folder / "predictions" / f"part-{i:04}.parquet")


def streamed(rows: int) -> dict[str, float]:
    """Audit a folder of parts by the command: processor and wall seconds, GiB at the peak."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        write_shards(folder, rows)
        words = ["-m", "fairaudit", "audit", str(folder), "--stream", "--by", "race,gender", "--positive", "yes"]
        done = subprocess.run([sys.executable, "-c", LAUNCHER, *words], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(lines: Sequence[Line]) -> str:
    """Seconds of every size, and slopes."""
    told = []
    for line in lines:
        sizes = ", ".join(f"{n:,}: {s:.3f} s" for n, s in zip(line.sizes, line.seconds, strict=True))
        told.append(f"{line.name}; {line.unit} {sizes}; slope {line.slope:.2f}")
    return "\n".join(told)


def plot(lines: Sequence[Line], path: Path) -> None:
    """One panel for each unit, both axes logarithmic, slopes in the legend.

    Args:
        lines: what was measured.
        path: picture to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    units = list(dict.fromkeys(line.unit for line in lines))
    figure = Figure(figsize=(4 * len(units), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, unit in zip(figure.subplots(1, len(units)), units, strict=True):
        for i, line in enumerate(one for one in lines if one.unit == unit):
            marker = "osD^"[i % 4]
            axes.loglog(line.sizes, line.seconds, marker=marker, label=f"{line.name}: slope {line.slope:.2f}")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 1.5, high * (3 if unit == "rows" else 2))
        axes.set_xlabel(unit)
        axes.set_xticks(list(dict.fromkeys(n for one in lines if one.unit == unit for n in one.sizes)))
        axes.xaxis.set_major_formatter(
            lambda n, _: f"{n / 1e6:g}M" if n >= 1e6 else f"{n / 1e3:g}k" if n >= 1e3 else f"{n:g}"
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(True, which="major", alpha=0.3)
        axes.legend(fontsize=7.5, loc="upper left", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("processor seconds")
    figure.suptitle("Cost over size; the slope of the last step is 1 where growth is linear", fontsize=10)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Measure, print, and draw where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="picture to write")
    asked = parser.parse_args()
    lines = [*audits(asked.rounds), predictions(asked.rounds)]
    found = {n: streamed(n) for n in STREAMED}
    lines.append(Line("audit of parts, streamed", "rows", STREAMED, tuple(one["seconds"] for one in found.values())))
    print(table(lines))
    for n, one in found.items():
        print(
            f"{n:,} rows in parts: {one['seconds']:.1f} processor s, {one['wall']:.1f} s, {one['gib']:.2f} GiB at the peak"
        )
    (less, more), (first, last) = STREAMED, (one["seconds"] for one in found.values())
    whole = last + (last - first) / (more - less) * (HUNDRED_MILLION - more)
    print(f"{HUNDRED_MILLION:,} rows, estimated from these two: {whole:.0f} processor s")
    if asked.plot is not None:
        plot(lines, asked.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
