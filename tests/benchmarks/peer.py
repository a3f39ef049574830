"""Whole runs over a folder of images beside timm's: ``python -m tests.benchmarks.peer --validate validate.py [--help]``.

``validate.py`` is timm's own script, from a checkout of its repository; it evaluates the same checkpoint on the same JPEG
files without any groups. Both are timed as a user has them, from the start of the process to its end, in turns, so that a
machine that slows down slows both; every round gives one ratio and the medians are printed. Peers:

- ``defaults``: ``-b 64 -j 2``.
- ``tuned``: ``-b 16 -j 2 --channels-last`` and glibc's thresholds for giving memory back raised, as ``fairaudit`` does.
- ``tuned bf16``: the same with ``--amp --amp-dtype bfloat16`` and ``-j 1``, against ``--precision bf16``.

``fairaudit`` runs with its defaults but for ``--no-report``: the peer draws no page. Peak memory is the largest sum over
the processes of a run, memory they share counted once.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import timm
import torch

from tests.benchmarks.inference import pictures
from tests.benchmarks.rows import Row, markdown

CLASSES = ("female", "male")
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
PAIRS = (("fairaudit", "defaults", 1.8), ("fairaudit", "tuned", 1.15), ("fairaudit bf16", "tuned bf16", 1.2))
"""Ours, its peer, and how many times as fast it should be."""
LOOK = 0.25
"""Seconds between two looks at the memory of a run."""


@dataclass(frozen=True)
class Run:
    """One process, ended.

    Attributes:
        seconds: from its start to its end.
        peak: MiB that it and its children held at most.
        accuracy: that it told, in percent; nan where it told none.
    """

    seconds: float
    peak: float
    accuracy: float


@dataclass(frozen=True)
class Contender:
    """A command, and the environment that it wants beside the usual."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def run(contender: Contender, folder: Path) -> Run:
    """Run a command to its end.

    Args:
        contender: what is run.
        folder: where.

    Raises:
        RuntimeError: it failed; the text is what it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        child = psutil.Popen(
            list(contender.words), cwd=folder, env={**os.environ, **contender.environment}, stdout=said, stderr=said
        )
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, held(child))
            time.sleep(LOOK)
        taken = time.perf_counter() - started
        said.seek(0)
        text = said.read()
    if child.returncode not in (0, 3):  # 3: a verdict that is not settled
        raise RuntimeError(f"{contender.name} ended with {child.returncode}: {text[-2000:]}")
    found = re.search(r'"top1":\s*([\d.]+)', text) or re.search(r'"accuracy": \{"value": ([\d.]+)', text)
    accuracy = float(found.group(1)) if found else float("nan")
    return Run(taken, peak, accuracy if accuracy > 1 else 100 * accuracy)


def held(process: psutil.Process) -> float:
    """MiB that a process and its children hold, each page divided among those that share it."""
    total = 0
    for one in (process, *_children(process)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found


def contenders(validate: Path, arch: str, data: Path, checkpoint: Path) -> dict[str, Contender]:
    """Our runs and the peer's."""
    peer = [
        sys.executable, str(validate), str(data), "--model", arch, "--checkpoint", str(checkpoint), "--num-classes", "2",
        "--device", "cpu", "--img-size", "224", "--crop-pct", "0.875", "--interpolation", "bicubic", "--log-freq", "1000",
        "--mean", "0.485", "0.456", "0.406", "--std", "0.229", "0.224", "0.225",
    ]  # fmt: skip
    ours = [
        sys.executable, "-m", "fairaudit", "evaluate", str(checkpoint), "--arch", f"timm/{arch}", "--data", "image-folder",
        "--root", str(data), "--target", "class", "--by", "group", "--classes", ",".join(CLASSES), "--size", "224",
        "--resize", "crop", "--crop-pct", "0.875", "--interpolation", "bicubic", "--mean", "0.485,0.456,0.406", "--std",
        "0.229,0.224,0.225", "--no-report", "--quiet", "--format", "json",
    ]  # fmt: skip
    tuned = [*peer, "-b", "16", "--channels-last"]
    bf16 = ["--amp", "--amp-dtype", "bfloat16"]
    return {
        one.name: one
        for one in (
            Contender("fairaudit", ours),
            Contender("defaults", [*peer, "-b", "64", "-j", "2"]),
            Contender("tuned", [*tuned, "-j", "2"], ALLOCATOR),
            Contender("fairaudit bf16", [*ours, "--precision", "bf16"]),
            Contender("tuned bf16", [*tuned, "-j", "1", *bf16], ALLOCATOR),
        )
    }


def prepare(arch: str, images: int, folder: Path) -> tuple[Path, Path]:
    """A folder of images of two classes and two groups, and a checkpoint.

    Returns:
        Both paths.
    """
    data, checkpoint = folder / "images", folder / f"{arch}.pt"
    if not data.exists():
        rows = ["file,group"]
        for i, (name, content) in enumerate(pictures(images, 224, 224).items()):
            place = data / CLASSES[i % 2] / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            rows.append(f"{name},{'ab'[i // 2 % 2]}")
        (data / "attributes.csv").write_text("\n".join(rows) + "\n")
    torch.manual_seed(0)
    torch.save(timm.create_model(arch, pretrained=False, num_classes=2).state_dict(), checkpoint)
    return data, checkpoint


def rows_of(arch: str, results: Mapping[str, list[Run]]) -> list[Row]:
    """Each of our runs beside its peers: times as fast, and the peer's memory over ours."""
    rows = []
    for ours, peer, target in PAIRS:
        if ours in results and peer in results:
            pairs = list(zip(results[peer], results[ours], strict=True))
            against = f"validate.py, {peer}"
            rows.append(Row.of(f"{ours} evaluate, {arch}", against, (a.seconds / b.seconds for a, b in pairs), target))
            rows.append(Row.of(f"{ours} evaluate, {arch}, memory", against, (a.peak / b.peak for a, b in pairs), 1))
    return rows


def measured(
    validate: Path, arch: str, images: int, rounds: int, only: Sequence[str] | None = None
) -> dict[str, list[Run]]:
    """Every contender's runs, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = contenders(validate.resolve(), arch, *prepare(arch, images, folder))
        wanted = {n: c for n, c in known.items() if not only or n in only}
        results: dict[str, list[Run]] = {n: [] for n in wanted}
        for _ in range(rounds):
            for n, contender in wanted.items():
                results[n].append(run(contender, folder))
                last = results[n][-1]
                print(f"{arch} {n}: {last.seconds:.1f} s, {last.peak:.0f} MiB, {last.accuracy:.2f} %", file=sys.stderr)
    return results


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print one table per network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--validate", type=Path, required=True, help="timm's validate.py")
    parser.add_argument("--arch", nargs="+", default=["resnet18", "tf_efficientnet_lite0"], help="timm's names")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="contenders; default: all")
    asked = parser.parse_args(words)
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, torch {torch.__version__}")
    rows = []
    for arch in asked.arch:
        rows += rows_of(arch, measured(asked.validate, arch, asked.images, asked.rounds, asked.only))
    print(f"{asked.images} JPEGs of 224 pixels, {asked.rounds} rounds\n")
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
