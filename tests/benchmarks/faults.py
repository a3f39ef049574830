"""Injected faults: whether outputs are whole or absent, exit codes right, and what was begun can be gone on with.

    python -m tests.benchmarks.faults [--count 1000] [--seed 0] [--only COMMAND]

Every command runs on tiny data in this process, into a new folder or over an older run, and at the n-th touch of a file
below its folder (opening, writing, renaming, listing) the disk is full or broken or read-only, the file has vanished,
memory is out, or Ctrl-C or SIGTERM arrives; a tenth of the faults are signals at random moments instead. Afterwards
every file must be as before, or as a run without a fault leaves it, with nothing half-written beside; the exit code is 2
for what the machine lacks, 130 and 143 for signals; 0, 1 and 3 are right where everything was written all the same. An
interrupted experiment is gone on with (``--resume``), which must end well. Counts are spread evenly over commands, faults
and touches. The exit code is 1 where anything fell.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.cli.app import run
from tests.hostile.injecting import CODES, FAULTS, armed
from tests.hostile.targets import make_seeds

_TABLE = ("--y-true", "gender", "--by", "race", "--min-support", "2", "-q")
_FACES = ("--data", "table", "--root", "labels.csv", "--data-option", "images=faces", "--target", "gender", "--by", "race")
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("audit", "predictions.csv", *_TABLE, "--no-report", "--out", "work/out"),
    "audit with a page": ("audit", "predictions.csv", *_TABLE, "--bootstrap", "100", "--out", "work/out"),
    "audit --sweep": ("audit", "predictions.csv", *_TABLE, "--y-score", "man=score", "--sweep", "work/sweep.csv"),
    "merge": ("merge", "plain", "again", "--no-report", "-q", "--out", "work/out"),
    "compare": ("compare", "predictions.csv", "run", "--y-true", "gender", "--by", "race", "--no-report", "-q",
    "--out", "work/out"),
    "report": ("report", "run", "--format", "markdown", "-q", "--out", "work/report.md"),
    "report of parquet": ("report", "run", "--format", "csv", "-q", "--out", "work/all.parquet"),
    "evaluate": ("evaluate", "model.pt", *_FACES, "--size", "32", "--batch-size", "4", "--min-support", "1",
    "--device", "cpu",
                 "--no-report", "-q", "--out", "work/out"),
    "embed": ("embed", "embeddings.npz", "--by", "place", "--without", "leakage,downstream,map", "--bootstrap", "100",
              "--no-report", "-q", "--out", "work/out"),
    "mitigate": ("mitigate", "--data", "synthetic", "--data-option", "n=60", "--data-option", "size=32", "--epochs", "2",
                 "--arch", "timm/test_efficientnet", "--size", "32", "--loss", "reweight", "--seeds", "1",
                 "--device", "cpu",
                 "--no-report", "-q", "--out", "work/out"),
}  # fmt: skip
HEAVY = {"mitigate": 0.06, "audit with a page": 0.06, "evaluate": 0.7, "embed": 0.3}
"""Share of the faults that a command gets, beside 1 of the others, because it takes long."""


@contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Both streams caught; stderr is given."""
    err = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(err):
        yield err


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, hidden ones too; folders end in a slash."""
    return {
        path.relative_to(folder).as_posix() + ("/" if path.is_dir() else ""): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


class Trial:
    """One command, what it leaves without a fault, and how it ends with one.

    Args:
        name: a key of ``COMMANDS``.
        place: folder of the undamaged files; ``work`` below it is the command's.
    """

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.words, self.work = name, COMMANDS[name], place / "work"
        self.kept: dict[bool, dict[str, bytes]] = {False: {}}
        self.fresh()
        began = time.perf_counter()
        with quietly() as err, armed(self.work) as trap:
            code = run(self.words)
        self.seconds = time.perf_counter() - began
        assert code in (0, 1, 3), f"{name} ends with {code} by itself: {err.getvalue()}"
        self.touches, self.whole = trap.seen, files_below(self.work)
        self.kept[True] = self.whole

    def fresh(self, again: bool = False) -> None:
        """An empty working folder, or one that holds what an earlier run left."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name, data in sorted(self.kept[again].items()) if again else ():
            if name.endswith("/"):
                (self.work / name).mkdir(parents=True, exist_ok=True)
            else:
                (self.work / name).write_bytes(data)

    def fault(self, fault: str, at: int, again: bool) -> str:
        """Inject one; what fell, empty where nothing did."""
        self.fresh(again)
        with quietly() as err:
            try:
                with armed(self.work, fault, at) as trap:
                    code = run(self.words)
            except BaseException as error:
                return f"{type(error).__name__} escaped"
        return self.judge(code, {CODES.get(fault, 2)}, err.getvalue(), trap.sprung, again)

    def moment(self, fault: str, after: float, again: bool) -> str:
        """Send a signal after a time; what fell, empty where nothing did."""
        self.fresh(again)
        number = signal.SIGINT if fault == "interrupted" else signal.SIGTERM
        before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
        waiting = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once the command is over
        with quietly() as err:
            try:
                signal.setitimer(signal.ITIMER_REAL, after)
                code = run(self.words)
            except BaseException as error:
                return f"{type(error).__name__} escaped"
            finally:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
                signal.signal(signal.SIGTERM, waiting)
        return self.judge(code, {CODES[fault]}, err.getvalue(), code in CODES.values(), again)

    def judge(self, code: int, right: set[int], err: str, sprung: bool, again: bool) -> str:
        """What must hold afterwards."""
        left = files_below(self.work)
        half = [name for name in left if ".part" in name or ".old" in name]
        if half:
            return f"half-written: {half[0]}"
        if "Traceback" in err:
            return "a traceback"
        whole = set(left) == set(self.whole)
        if code in (0, 1, 3):
            return "" if whole else "success, and yet files are missing"
        if sprung and code not in right:
            return f"exit code {code}: {err.strip()[-160:]}"
        if err.count("\n") != 1:
            return f"{err.count(chr(10))} lines were said"
        if self.name == "mitigate":
            return self.resumed()
        old = self.kept[again]
        if again and whole:
            return "" if left == old or all(left[name] for name in left if not name.endswith("/")) else "an empty file"
        return "" if left == old or whole else f"neither old nor new: {sorted(set(left) ^ set(self.whole))[:3]}"

    def resumed(self) -> str:
        """Whether an experiment that was stopped can be gone on with, and then holds everything."""
        with quietly() as err:
            code = run([*self.words, "--resume"])
        if code not in (0, 1, 3):
            return f"--resume ends with {code}: {err.getvalue().strip()[-160:]}"
        lacking = {name for name in self.whole if not name.endswith("/")} - set(files_below(self.work))
        return f"--resume leaves out {sorted(lacking)[:3]}" if lacking else ""


def shares(count: int, names: list[str]) -> dict[str, int]:
    """How many faults each command gets."""
    weights = np.array([HEAVY.get(name, 1.0) for name in names])
    return {name: max(1, round(n)) for name, n in zip(names, count * weights / weights.sum(), strict=True)}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    flags = parser.parse_args()
    names = [name for name in COMMANDS if flags.only in (None, name)]
    rng, began = np.random.default_rng(flags.seed), time.perf_counter()
    fell: list[dict[str, Any]] = []
    print(f"{'command':<22}{'touches':>8}{'faults':>8}{'signals at random':>19}{'fell':>6}{'seconds':>9}", flush=True)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        place = Path(folder) / "place"
        with quietly():
            make_seeds(place)
        shutil.copytree(place / "plain", place / "again")
        os.chdir(place)
        for name, count in shares(flags.count, names).items():
            started = time.perf_counter()
            trial, found = Trial(name, place), Counter[str]()
            random_ones = count // 10
            for k in range(count - random_ones):
                fault, at, again = FAULTS[k % len(FAULTS)], 1 + k // len(FAULTS) % trial.touches, bool(rng.random() < 0.4)
                found["faults"] += 1
                if problem := trial.fault(fault, at, again and name != "mitigate"):
                    fell.append({"command": name, "fault": fault, "at": at, "again": again, "problem": problem})
            for k in range(random_ones):
                fault, after = ("interrupted", "terminated")[k % 2], float(rng.uniform(0.001, trial.seconds))
                found["moments"] += 1
                if problem := trial.moment(fault, after, bool(k % 3 == 0) and name != "mitigate"):
                    fell.append({"command": name, "fault": fault, "after": round(after, 3), "problem": problem})
            found["fell"] = sum(one["command"] == name for one in fell)
            total += found
            took = time.perf_counter() - started
            print(
                f"{name:<22}{trial.touches:>8}{found['faults']:>8}{found['moments']:>19}{found['fell']:>6}{took:>9.0f}",
                flush=True,
            )
            for one in fell:
                if one["command"] == name:
                    print(json.dumps(one, ensure_ascii=False), file=sys.stderr, flush=True)
        os.chdir(folder)
    seconds = time.perf_counter() - began
    print(f"{'all':<22}{'':>8}{total['faults']:>8}{total['moments']:>19}{total['fell']:>6}{seconds:>9.0f}")
    return int(bool(fell))


if __name__ == "__main__":
    sys.exit(main())
