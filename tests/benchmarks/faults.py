"""Injected faults: whether outputs are whole or absent, exit codes right, and what was begun can be gone on with.

    python -m tests.benchmarks.faults [--count 850] [--moments 120] [--processes 30] [--seed 0] [--only COMMAND …]

Every command runs on tiny data in this process, into a new folder or over an older run that left something else, and at
the n-th touch of a file below its folder (opening, writing, renaming, listing) the disk is full or broken or read-only,
the file has vanished, memory is out, Ctrl-C or SIGTERM arrives, or a second run into the same folder begins and ends.
Other signals arrive at random moments while a command runs, and in processes of their own, start-up included, where
SIGKILL is among them. Afterwards every file must be as before, or byte for byte as a run without a fault leaves it
(records with times in them must be whole), with nothing half-written beside; the exit code is the command's own or 2 for
what the machine lacks, 130 and 143 for signals. An interrupted experiment is gone on with (``--resume``), and must end in
the very files that an uninterrupted one leaves. Faults are spread evenly over touches and kinds. The exit code is 1 where
anything fell.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fairaudit.cli.app import run
from tests.hostile.injecting import FAULTS, SECOND
from tests.hostile.seeds import make_seeds
from tests.hostile.trials import SIGNALS, Command, Trial, quietly

_OUT = ("--out", "work/out")
_BARE = ("--no-report", "-q", *_OUT)
_TABLE = ("predictions.csv", "--y-true", "gender", "--by", "race", "--min-support", "2", "-q")
_LABELS = ("--root", "labels.csv", "--data-option", "images=faces")
_FACES = ("--data", "table", *_LABELS, "--target", "gender", "--by", "race")
_DRAWN = ("--data", "synthetic", "--data-option", "n=60", "--data-option", "size=32")
_FEW = ("--data", "synthetic", "--data-option", "n=120", "--data-option", "size=32")
_CELLS = ("--target", "gender", "--confounder", "Eyeglasses", "--size", "8", "--test-per-cell", "1")
_TRAIN = (
    *_DRAWN,
    "--by",
    "Eyeglasses",
    "--bootstrap",
    "100",
    "--epochs",
    "2",
    "--arch",
    "timm/test_efficientnet",
    "--size",
    "32",
    "--seeds",
    "1",
    "--device",
    "cpu",
)
_REGIONS = ("--size", "32", "--patch", "8", "--per-side", "7", "--width", "4", "--epochs", "1", "--batch-size", "32",
            "--sample", "6", "--device", "cpu", "--workers", "0", "-q")  # fmt: skip
_OLDER = ("audit", *_TABLE, "--confidence", "0.9", *_BARE[:1], *_OUT)
_EMBED = ("embed", "embeddings.npz", "--by", "place", "--without", "leakage,downstream,map", "--bootstrap", "100", *_BARE)
_COMPARE = ("compare", "predictions.csv", "run", "--y-true", "gender", "--by", "race", *_BARE)
_SWEEP = ("audit", *_TABLE, "--y-score", "man=score", "--sweep", "work/sweep.csv")
_EVALUATE = ("evaluate", "model.pt", *_FACES, "--size", "32", "--batch-size", "4", "--min-support", "1", "--device", "cpu",
             *_BARE)  # fmt: skip
_EXPLAIN = ("explain", "model.pt", *_FACES, "--size", "32", "--device", "cpu", "--samples", "20", "--segments", "6",
            "--repeats", "1", "--random-orders", "1", "-q", *_OUT)  # fmt: skip
COMMANDS: dict[str, Command] = {
    "audit": Command(("audit", *_TABLE, *_BARE[:1], *_OUT), _OLDER),
    "audit with a page": Command(("audit", *_TABLE, "--bootstrap", "100", *_OUT), _OLDER),
    "audit --sweep": Command(_SWEEP, (*_SWEEP, "--where", "age > 30")),
    "merge": Command(("merge", "plain", "again", *_BARE), _OLDER),
    "compare": Command(_COMPARE, (*_COMPARE, "--confidence", "0.9")),
    "report": Command(
        ("report", "run", "-f", "markdown", "--out", "work/report.md", "-q"),
        ("report", "plain", "-f", "markdown", "--out", "work/report.md", "-q"),
    ),
    "report of parquet": Command(
        ("report", "run", "-f", "csv", "--out", "work/all.parquet", "-q"),
        ("report", "plain", "-f", "csv", "--out", "work/all.parquet", "-q"),
    ),
    "data subset": Command(("data", "subset", *_FEW[1:], *_CELLS, *_OUT)),
    "evaluate": Command(_EVALUATE, _OLDER),
    "embed": Command(_EMBED, (*_EMBED, "--confidence", "0.9")),
    "explain": Command(_EXPLAIN),
    "attribute fit": Command(("attribute", "fit", "Eyeglasses", *_DRAWN, *_REGIONS, *_OUT), resumes=True),
    "attribute map": Command(("attribute", "map", "glasses", *_DRAWN, "--limit", "4", "--device", "cpu", "-q", *_OUT)),
    "mitigate": Command(("mitigate", *_TRAIN, "--loss", "reweight", *_BARE), resumes=True),
    "sweep": Command(("sweep", *_TRAIN, "--loss", "max-group", "--grid", "lr=0.001", *_BARE), resumes=True),
}
HEAVY = {"audit with a page": 0.06, "evaluate": 0.7, "embed": 0.3, "explain": 0.1, "attribute fit": 0.1,
         "attribute map": 0.1, "mitigate": 0.8, "sweep": 0.1}  # fmt: skip
"""Share of the faults that a command gets, beside 1 of the others, because it takes long."""


KINDS = ("touch", "moment", "process")


def shares(count: int, names: list[str]) -> dict[str, int]:
    """How many of so many each command gets; together exactly so many."""
    weights = np.cumsum([HEAVY.get(name, 1.0) for name in names])
    ends = np.round(count * weights / weights[-1]).astype(int)
    return dict(zip(names, np.diff(ends, prepend=0).tolist(), strict=True))


def touches(trial: Trial, rng: np.random.Generator) -> Iterator[tuple[str, int, bool]]:
    """Every (fault, touch, over an older run), in an order in which any few are spread over all; then once more."""
    pairs = [
        (fault, at, again)
        for again, seen in trial.touches.items()
        for at in range(1, seen + 1)
        for fault in (*FAULTS, SECOND)
    ]
    while pairs:
        for i in rng.permutation(len(pairs)).tolist():
            yield pairs[i]


def struck(trial: Trial, counts: tuple[int, int, int], rng: np.random.Generator) -> Iterator[tuple[str, str, str]]:
    """Inject so many faults at touches, signals at moments, and signals to processes.

    Yields:
        which of the three, what it was, and what fell.
    """
    for fault, at, again in itertools.islice(touches(trial, rng), counts[0]):
        yield "touch", f"{fault} at {at}{' again' if again else ''}", trial.fault(fault, at, again)
    began = time.perf_counter()
    with contextlib.suppress(Exception):
        trial.process("killed", 600, again=False)
    alone = time.perf_counter() - began if counts[2] else 0.0
    for kind, how_many, names, longest in (
        ("moment", counts[1], ("interrupted", "terminated"), trial.seconds),
        ("process", counts[2], tuple(SIGNALS), alone),
    ):
        done = 0
        while done < how_many:
            fault, after = names[done % len(names)], float(rng.uniform(0.0005, longest))
            again = bool(trial.command.older) and done // len(names) % 2 == 1
            strike = trial.moment if kind == "moment" else trial.process
            fell = strike(fault, after, again)
            if fell is None:  # it was over before
                longest *= 0.95
                continue
            done += 1
            yield kind, f"{fault} after {after:.3f} s{' again' if again else ''}", fell


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=850)
    parser.add_argument("--moments", type=int, default=120)
    parser.add_argument("--processes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="COMMAND", choices=list(COMMANDS), default=list(COMMANDS))
    flags = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this in the background has it ignored
    names = [name for name in COMMANDS if name in flags.only]
    each = [shares(count, names) for count in (flags.count, flags.moments, flags.processes)]
    began, total = time.perf_counter(), Counter[str]()
    print(f"{'command':<20}{'touches':>8}{'faults at them':>16}{'moments':>9}{'processes':>11}{'fell':>6}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        place = Path(folder) / "place"
        with quietly():
            make_seeds(place)
            shutil.copytree(place / "plain", place / "again")
            os.chdir(place)
            run(["attribute", "fit", "Eyeglasses", *_DRAWN, *_REGIONS, "--out", "glasses"])
        for name in names:
            started, found = time.perf_counter(), Counter[str]()
            trial = Trial(COMMANDS[name], place)
            rng = np.random.default_rng([flags.seed, list(COMMANDS).index(name)])
            for kind, what, fell in struck(trial, (each[0][name], each[1][name], each[2][name]), rng):
                found[kind] += 1
                if fell:
                    found["fell"] += 1
                    print(json.dumps({"command": name, kind: what, "fell": fell}), file=sys.stderr, flush=True)
            total += found
            row(name, sum(trial.touches.values()), found, started)
        os.chdir(folder)
    row("all", "", total, began)
    return int(total["fell"] > 0)


def row(name: str, seen: object, found: Mapping[str, int], began: float) -> None:
    """Print one of the table's."""
    at, moments, processes, fell = (found[kind] for kind in (*KINDS, "fell"))
    took = time.perf_counter() - began
    print(f"{name:<20}{seen:>8}{at:>16}{moments:>9}{processes:>11}{fell:>6}{took:>9.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
