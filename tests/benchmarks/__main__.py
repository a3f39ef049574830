"""The table of speeds: ``python -m tests.benchmarks --validate validate.py [--images 2000 --rounds 3]``.

Every figure is a ratio within one run: what is compared takes turns, a round gives one ratio, and the median is shown with
the smallest and the largest. ``validate.py`` is timm's; without it what is measured against it is left out. Statistics,
prediction, training, attribution and start-up have scripts of their own here, whose docstrings say what was tried;
so have retrieval, decoding at a fraction (``decoding``) and growth (``scaling``), which this table does not repeat.
bf16 is measured where the processor computes in it (``--bf16`` measures it anyway).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.benchmarks import attribution_speed, audit_scores, audits, inference, peer, startup, training
from tests.benchmarks.processor import computes_in_bf16, processor
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
    times, off, _ = audit_scores.measured(asked.rounds)
    rows += audit_scores.rows_of(times, off)
    print("training", file=sys.stderr)
    rows += training.rows_of(max(64, asked.images // 4), asked.rounds, lower)
    print("attribution", file=sys.stderr)
    rows += attribution_speed.whole(asked.rounds)
    rows += startup.rows_of(startup.measured(5 * asked.rounds))
    print(f"{os.cpu_count()} cores ({processor()}), torch {torch.__version__}; {asked.images:,} JPEGs of 224 pixels")
    print(f"{asked.rounds} rounds; {'bf16 too' if lower else 'bf16 left out: the processor lacks it'}\n")
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
