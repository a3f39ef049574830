"""How long a command takes to say something, beside a bare ``python -c "import typer, rich"``.

    python -m tests.benchmarks.startup [ROUNDS]

Commands and the bare import take turns, so that a busy machine slows both; medians are compared. ``--help`` must stay
within ``LIMIT`` times the bare import; the exit code is 1 where it does not.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.rows import Row

LIMIT = 3.0
BARE = ["-c", "import typer, rich"]
FAIRAUDIT = ["-m", "fairaudit"]
TABLE = "gender,gender_pred,race\n" + "man,man,a\nwoman,man,b\nwoman,woman,a\nman,man,b\n" * 50


def seconds(words: list[str], folder: Path) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def timed(commands: dict[str, list[str]], rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of each command in each round, in turns; a first round that fills the caches is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name, words in commands.items():
            taken = seconds(words, folder)
            if round_:
                times[name].append(taken)
    return times


def measured(rounds: int) -> dict[str, list[float]]:
    """Seconds of the bare import and of every command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table.csv").write_text(TABLE)
        audit = [*FAIRAUDIT, "audit", "table.csv", "--y-true", "gender", "--by", "race"]
        seconds([*audit, "--out", "run"], folder)
        return timed(
            {
                "python -c 'import typer, rich'": BARE,
                "fairaudit --help": [*FAIRAUDIT, "--help"],
                "fairaudit evaluate --help": [*FAIRAUDIT, "evaluate", "--help"],
                "fairaudit list datasets": [*FAIRAUDIT, "list", "datasets"],
                "fairaudit gate run": [*FAIRAUDIT, "gate", "run"],
                "fairaudit report run": [*FAIRAUDIT, "report", "run"],
                "fairaudit audit table.csv": audit,
            },
            rounds,
            folder,
        )


def rows_of(times: dict[str, list[float]]) -> list[Row]:
    """``LIMIT`` times the bare import over the time of ``--help``: 1 or more is within the limit."""
    bare, helped, *_ = times.values()
    ratios = [LIMIT * a / b for a, b in zip(bare, helped, strict=True)]
    return [Row.of("fairaudit --help", f"{LIMIT:g} times python -c 'import typer, rich'", ratios, 1)]


def main() -> int:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times = measured(rounds)
    found = {name: statistics.median(taken) for name, taken in times.items()}
    bare, *_ = found.values()
    print(f"{'command':<34}{'median':>8}{'× bare':>9}   ({rounds} rounds)")
    for name, median in found.items():
        print(f"{name:<34}{median:>7.3f}s{median / bare:>9.2f}")
    [row] = rows_of(times)
    print(f"fairaudit --help takes {LIMIT / row.ratio:.2f} times the bare import; the limit is {LIMIT:g}")
    return 1 if row.missed else 0


if __name__ == "__main__":
    sys.exit(main())
