"""What lies where in the folder of an experiment."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from pathlib import Path

from fairaudit.config import Arm, MitigateConfig

CONFIG = "mitigate.toml"
CACHE = "cache"
RECORD = "mitigation.json"
TRADEOFF = "tradeoff.csv"
COMPARISON = "comparison.json"
CHECKPOINT = "model.pt"
PREDICTIONS = "predictions.parquet"
RUN = "run.json"
AUDIT = "audit.json"
HISTORY = "history.json"


def run_folder(out: Path, arm: Arm, seed: int) -> Path:
    """Where one arm and seed leaves its checkpoint, predictions and audit.

    Args:
        out: the experiment's folder.
        arm: which one.
        seed: which one.
    """
    return out / re.sub(r"[^A-Za-z0-9._=+-]+", "-", arm.name).strip("-.") / f"seed-{seed}"


def new_folder(config: MitigateConfig) -> Path:
    """A folder below ``runs/`` that is not there yet, named after the time, what is tried and the data.

    Args:
        config: the run.
    """
    parts = [f"{datetime.now():%Y%m%d-%H%M%S}", config.arms[0].method or config.arms[0].loss, config.data]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")
    names = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
    return next(Path("runs") / n for n in names if not (Path("runs") / n).exists())
