"""``fairaudit mitigate`` under torchrun: a loss, and methods that refit, choose images, train twice or decide late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import files_below, spawn

ARMS = """
seeds = 1
data = "synthetic"
splits = "official"
compare_content = false
data_options = { n = 240, size = 32 }
training = { epochs = 2, lr = 3e-3, device = "cpu", select = "worst-group", freeze = "backbone" }
audit = { by = [["Eyeglasses"]], bootstrap = 100, min_support = 5 }

[[arms]]
loss = "max-group"
[[arms]]
method = "last-layer"
method_options = { refits = 3 }
[[arms]]
method = "subsample"
[[arms]]
method = "thresholds"
[[arms]]
method = "just-train-twice"
method_options = { upweight = 3 }
"""
INFERRED = """
[[arms]]
method = "infer-groups"
method_options = { checkpoint = "glasses/reweight/seed-0/model.pt" }
"""


def torchrun(words: tuple[object, ...], cwd: Path, processes: int = 2) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start = [sys.executable, *launcher, "-m", "fairaudit"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [*start, *map(str, words)]
    return subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=420, check=False)


def same_scores(alone: Path, shared: Path, runs: int) -> None:
    found = sorted(alone.rglob("predictions.parquet"))
    assert len(found) == runs
    for path in found:
        one, two = pd.read_parquet(path), pd.read_parquet(shared / path.relative_to(alone))
        assert one["row"].tolist() == two["row"].tolist()
        scores = [name for name in map(str, one) if "_score[" in name]
        np.testing.assert_allclose(two[scores].to_numpy(), one[scores].to_numpy(), atol=1e-3, err_msg=str(path))


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Everything below the last layer is frozen, because batch normalisation sees each process's share only."""
    drawn = ("--data", "synthetic", "--data-option", "n=600", "--data-option", "size=32", "--splits", "official")
    short = (
        "--epochs",
        6,
        "--lr",
        3e-3,
        "--device",
        "cpu",
        "--bootstrap",
        100,
        "--seeds",
        1,
        "--out",
        "glasses",
        "--quiet",
    )
    target = ("--loss", "reweight", "--baseline", "none", "--target", "Eyeglasses", "--by", "gender")
    second = spawn(("mitigate", *target, *drawn, *short), tmp_path)
    out, err = second.communicate(timeout=200)
    assert second.returncode == 0, err
    (tmp_path / "arms.toml").write_text(ARMS + INFERRED)
    asked = ("mitigate", "--config", "arms.toml", "--format", "csv", "--out")
    alone = spawn((*asked, "alone"), tmp_path)
    out, err = alone.communicate(timeout=300)
    assert alone.returncode == 0, err
    both = torchrun((*asked, "both"), tmp_path)
    assert both.returncode == 0, both.stderr
    assert both.stdout.splitlines()[0] == out.splitlines()[0]
    assert both.stderr.count("training 7 of 7: infer-groups") == 1, "one process speaks"
    assert both.stderr.count("written: both") == 1
    assert files_below(tmp_path / "both") == files_below(tmp_path / "alone")
    same_scores(tmp_path / "alone", tmp_path / "both", 7)
    (tmp_path / "few.toml").write_text(ARMS.split('[[arms]]\nmethod = "last-layer"')[0])
    four = torchrun(("mitigate", "--config", "few.toml", "--out", "four"), tmp_path, 4)
    assert four.returncode == 0, four.stderr
    same_scores(tmp_path / "four", tmp_path / "alone", 2)
    notes = [
        json.loads((tmp_path / name / "just-train-twice-upweight=3" / "seed-0" / "run.json").read_text())["notes"]
        for name in ("alone", "both")
    ]
    assert notes[0] == notes[1], "both were wrong about the same training images"


@pytest.mark.slow
def test_a_refusal_is_said_once_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "arms.toml").write_text(ARMS + INFERRED)
    done = torchrun(("mitigate", "--config", "arms.toml", "--out", "run"), tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("fairaudit: glasses/reweight/seed-0/model.pt: no such file") == 1
    assert files_below(tmp_path) == ["arms.toml"]
