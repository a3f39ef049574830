"""Too little memory for a table: one sentence and exit 2, or the result, and never half of one.

With less than libraries need to be loaded (here between 32 and 200 MiB) some end the process themselves.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROWS = 300_000
MIB = 2**20
LIBRARIES = ("<jemalloc>", "OpenBLAS")
"""Who says something past Python while it is loaded."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("memory") / "p.csv"
    gender = rng.choice(["man", "woman"], ROWS)
    columns = {
        "gender": gender,
        "gender_pred": gender,
        "score": rng.random(ROWS).round(4),
        "race": rng.integers(0, 7, ROWS),
    }
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("mib", [32, 200, 250, 300, 400, 500, 600, 700, 900, 1500])
def test_an_audit_with_so_much_memory(mib: int, table: Path, tmp_path: Path) -> None:
    words = ["audit", str(table), "--y-true", "gender", "--y-score", "man=score", "--by", "race", "--no-report", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "fairaudit", *words, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mib * MIB, mib * MIB)),
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith(LIBRARIES)]
    assert done.returncode in (0, 2)
    assert len(said) == (1 if done.returncode else 0)
    assert not said or said[0].startswith("fairaudit: ")
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == (["audit.json", "out", "predictions.parquet", "run.json"] if done.returncode == 0 else [])
