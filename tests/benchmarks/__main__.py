"""The table of speeds: ``python -m tests.benchmarks --validate validate.py [--images 2000 --rounds 3]``.

Every figure is a ratio within one run: what is compared takes turns, a round gives one ratio, and the median is shown with
the smallest and the largest. ``validate.py`` is timm's; without it what is measured against it is left out. Statistics,
prediction and start-up have scripts of their own in this folder, whose docstrings say what was tried; so have attribution
and retrieval, which this table does not repeat. bf16 is measured where the processor computes in it (``--bf16`` measures
it anyway).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.benchmarks import audits, inference, peer, startup
from tests.benchmarks.rows import Row, markdown

NETWORKS = ("resnet18", "tf_efficientnet_lite0")


def main(words: Sequence[str] | None = None) -> int:
    """Measure everything and print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--validate", type=Path, help="timm's validate.py")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="measure bf16 on a processor without it too")
    asked = parser.parse_args(words)
    lower = asked.bf16 or computes_in_bf16()
    rows: list[Row] = []
    for arch in NETWORKS:
        if asked.validate is not None:
            only = None if lower else ("fairaudit", "defaults", "tuned")
            rows += peer.rows_of(arch, peer.measured(asked.validate, arch, asked.images, asked.rounds, only))
        print(f"{arch}: decoding and the network alone", file=sys.stderr)
        rows += inference.rows_of(arch, max(32, asked.images // 8), asked.rounds)
    print("statistics", file=sys.stderr)
    rows += audits.rows_of(audits.statistics_only(asked.rounds, 10) | audits.commands(asked.rounds), audits.celeba_apart())
    rows += startup.rows_of(startup.measured(5 * asked.rounds))
    print(f"{os.cpu_count()} cores ({_processor()}), torch {torch.__version__}; {asked.images:,} JPEGs of 224 pixels")
    print(f"{asked.rounds} rounds; {'bf16 too' if lower else 'bf16 left out: the processor lacks it'}\n")
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


def computes_in_bf16() -> bool:
    """Whether the processor says that it has instructions for bf16; where it says nothing, no."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_told("flags").split() + _told("Features").split())


def _processor() -> str:
    return _told("model name") or platform.processor() or platform.machine()


def _told(field: str) -> str:
    """What Linux says of the first core; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


if __name__ == "__main__":
    raise SystemExit(main())
