"""Damaged files: how often a command ends otherwise than it may.

    python -m tests.benchmarks.fuzz [--count 10000] [--seed 0] [--only NAME] [--start N] [--show]

Small files of every format that fairaudit reads are made on the spot and damaged: bits, pieces and lengths at random, and
with the format kept, what a decoder or a schema lets pass. Every damaged file is read by a command in this process. A
case falls where the exit code is none of 0, 1 (a rule that failed), 2, 3; where anything but one sentence is said of a
refusal, also by a library past Python; where a control character reaches the terminal; where a result is not what its
format says; where something is left half-written, written where nobody asked, or a refusal wrote anything; where it takes
longer than 20 seconds of the processor, two minutes, or a GiB of memory more; or where the process dies. Case ``i``
depends on the seed and ``i`` alone, so that ``--start i --count 1 --show`` repeats it. Memory is limited to 8 GiB of
addresses. The exit code is 1 where a case fell.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ADDRESSES = 8 * 2**30
PATIENCE = 180
"""Seconds without a word after which a worker is taken for dead: an alarm cannot interrupt compiled code."""
REMARK = re.compile(
    r"(Corrupt JPEG data: |Premature end of JPEG file|Invalid SOS parameters|Inconsistent progression sequence|"
    r"Unknown Adobe color transform|Warning: unknown JFIF revision|libpng warning: )[ -~]*\n"
)
"""What decoders say to stderr of pictures that they read all the same; torchvision does not let anybody silence them."""


def work(seed: int, start: int, stop: int, only: str | None, show: bool) -> None:
    """Run cases in this process and print a line of JSON for each.

    Args:
        seed: of every case.
        start: first case.
        stop: the one after the last.
        only: part of a target's name; None takes all in turn.
        show: whether to keep the damaged file and say where.
    """
    import faulthandler

    import numpy as np

    from tests.hostile.judging import case_folder, draw, judged
    from tests.hostile.seeds import make_seeds
    from tests.hostile.targets import TARGETS
    from tests.hostile.targets_of_training import TRAINED
    from tests.hostile.unfinished import make_unfinished

    faulthandler.enable()
    targets = [t for t in (*TARGETS, *TRAINED) if only is None or only in t.name]
    shares = np.array([t.share for t in targets])
    report = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory() as name:
        seeds = Path(name) / "seeds"
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        make_seeds(seeds)
        make_unfinished(seeds)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        for case in range(start, stop):
            rng = np.random.default_rng([seed, case])
            target = targets[int(rng.choice(len(targets), p=shares / shares.sum()))]
            data, words = draw(target, seeds, rng)
            line: dict[str, Any] = {"case": case, "target": target.name, "words": words}
            print(json.dumps({**line, "begins": True}), file=report, flush=True)
            began, silent = time.perf_counter(), os.fstat(2).st_size
            with case_folder(seeds, Path(name) / "case", target, data):
                ending = judged(words)
            past = os.pread(2, 100_000, silent).decode("utf-8", "replace")
            past, remarks = REMARK.subn("", past)
            problem = ending.problem or (past and f"said past Python: {past[:300]}")
            line |= {"code": ending.code, "problem": problem, "err": ending.err[-1500:], "remarks": remarks}
            line |= {"seconds": round(time.perf_counter() - began, 3), "pid": os.getpid()}
            line["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            if show:
                kept = Path(tempfile.mkdtemp(prefix="fuzz-")) / Path(target.file).name
                kept.write_bytes(data)
                line["kept"] = str(kept)
            print(json.dumps(line), file=report, flush=True)


def lines_of(arguments: list[str]) -> Iterator[dict[str, Any]]:
    """What a worker says of its cases, up to its end or its death."""
    command = [sys.executable, "-m", "tests.benchmarks.fuzz", "--worker", *arguments]
    environment = {**os.environ, "FAIRAUDIT_DEBUG": ""}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment) as process,
    ):
        assert process.stdout is not None
        waiting = selectors.DefaultSelector()
        waiting.register(process.stdout, selectors.EVENT_READ)
        rest = b""
        patience = 10 * PATIENCE  # undamaged files are made first
        while waiting.select(patience) and (piece := os.read(process.stdout.fileno(), 65536)):
            *whole, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, whole)
            patience = PATIENCE
        process.kill()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    start, stop = flags.start, flags.start + flags.count
    if flags.worker:
        work(flags.seed, start, stop, flags.only, flags.show)
        return 0
    common = [*(["--only", flags.only] if flags.only else []), *(["--show"] if flags.show else [])]
    done: list[dict[str, Any]] = []
    began = time.perf_counter()
    with contextlib.suppress(KeyboardInterrupt):  # the table is of what was done
        while start < stop:
            last: dict[str, Any] = {}
            for line in lines_of(["--seed", str(flags.seed), "--start", str(start), "--count", str(stop - start), *common]):
                last = line
                if "code" in line:
                    done.append(line)
                    if line["problem"] or flags.show:
                        print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)
            if not last:
                print(f"no case could be run from {start} on", file=sys.stderr)
                return 2
            if "code" not in last:
                done.append({**last, "code": None, "problem": "the process died or answered no more", "seconds": 0.0})
                print(json.dumps(done[-1], ensure_ascii=False), file=sys.stderr, flush=True)
            start = last["case"] + 1
    print(f"{'damaged':<26}{'cases':>7}{'read':>7}{'refused':>9}{'other':>7}{'fell':>6}{'slowest':>10}")
    for name in (*dict.fromkeys(line["target"] for line in sorted(done, key=lambda line: str(line["target"]))), None):
        some = [line for line in done if name in (None, line["target"])]
        codes = Counter(line["code"] for line in some)
        read, fell = codes[0] + codes[1] + codes[3], sum(bool(line["problem"]) for line in some)
        rest = len(some) - read - codes[2]
        slowest = max(line["seconds"] for line in some)
        print(f"{name or 'all':<26}{len(some):>7}{read:>7}{codes[2]:>9}{rest:>7}{fell:>6}{slowest:>8.1f} s")
    peak = max(line.get("mib", 0) for line in done)
    remarks = sum(line.get("remarks", 0) > 0 for line in done)
    took = time.perf_counter() - began
    print(f"seed {flags.seed}, {took:.0f} s in all, peak memory {peak:,} MiB; decoders remarked on {remarks} pictures")
    return int(any(line["problem"] for line in done))


if __name__ == "__main__":
    sys.exit(main())
