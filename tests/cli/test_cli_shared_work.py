"""``embed``, ``attribute fit`` and ``attribute map`` under torchrun: two and four processes find what one finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cli.conftest import Cli, Finished, fairaudit, files_below, shufflenet

DRAWN = ("--data", "synthetic", "--data-option", "n=60", "--data-option", "size=32")
QUICK = ("--size", "32", "--patch", "8", "--per-side", "7", "--width", "4", "--epochs", "2", "--batch-size", "15",
         "--sample", "6", "--device", "cpu", "--workers", "0")  # fmt: skip


def together(processes: int, *words: object) -> Finished:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    line = [*start, "-m", "fairaudit", *map(str, words)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=580, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_embeddings_are_those_of_one_process(cli: Cli) -> None:
    torch.manual_seed(0)
    torch.save(shufflenet().state_dict(), "model.pt")
    words = ("embed", "model.pt", *DRAWN, "--size", 32, "--split", "all", "--class", "gender", "--by", "tone",
             "--without", "leakage,downstream,map", "--bootstrap", 100, "--no-report", "--batch-size", 8,
             "--min-support", 2, "--format", "json")  # fmt: skip
    alone = cli(*words, "--out", "alone")
    assert alone.code == 0, alone.err
    for processes in (2, 4):
        shared = together(processes, *words, "--out", f"by{processes}")
        assert shared.code == 0, shared.err
        assert shared.out == alone.out
        assert shared.err.count("embedding 60 images") == shared.err.count("written: ") == 1
        assert files_below(Path(f"by{processes}")) == files_below(Path("alone"))
        for name in ("embeddings.npz", "embedding.json"):
            assert Path(f"by{processes}", name).read_bytes() == Path("alone", name).read_bytes(), name


@pytest.mark.slow
def test_regions_are_fitted_and_mapped_as_by_one_process(cli: Cli) -> None:
    fit = ("attribute", "fit", "Eyeglasses", *DRAWN, *QUICK)
    assert cli(*fit, "--out", "glasses", "--quiet").code == 0
    alone = json.loads(Path("glasses/attribution.json").read_text())
    look = ("attribute", "map", "glasses", *DRAWN, "--limit", 21, "--every", 2, "--device", "cpu", "--format", "json")
    assert cli(*look, "--out", "alone").code == 0
    for processes in (2, 4):
        fitted = together(processes, *fit, "--out", f"glasses{processes}")
        assert fitted.code == 0, fitted.err
        assert fitted.err.count(f"written: glasses{processes}") == 1
        shared = json.loads(Path(f"glasses{processes}/attribution.json").read_text())
        assert shared["epochs"] == pytest.approx(alone["epochs"], abs=0.01)
        assert shared["calibration"]["error"] == pytest.approx(alone["calibration"]["error"], abs=1e-3)
        with np.load(f"glasses{processes}/maps.npz") as own, np.load("glasses/maps.npz") as other:
            assert set(own["seen"]) == set(other["seen"])
            np.testing.assert_allclose(own["regions_top"], other["regions_top"], atol=1e-3)
        mapped = together(processes, *look, "--out", f"by{processes}")
        assert mapped.code == 0, mapped.err
        assert mapped.err.count("looking at") == mapped.err.count("written: ") == 1
        assert files_below(Path(f"by{processes}")) == files_below(Path("alone"))
        for name in ("general", "regions", "specific"):
            np.testing.assert_allclose(np.load(f"by{processes}/{name}.npy"), np.load(f"alone/{name}.npy"), atol=1e-5)
        assert mapped.record == json.loads(Path("alone/map.json").read_text())
    assert not [path for path in Path.cwd().iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "words",
    [("explain", "model.pt", "--data", "synthetic"), ("attribute", "mask", "glasses", "--out", "masked")],
    ids=["explain", "mask"],
)
def test_what_runs_in_one_process_says_so(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = f"{' '.join(words[: 1 + (words[0] == 'attribute')])} runs in one process; start it without torchrun"
    for rank, err in (("0", f"fairaudit: {said}\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        done = fairaudit(*words)
        assert (done.code, done.out, done.err) == (2, "", err)
