"""``--sweep``: every rate at every threshold, counted again from the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.training


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    score = np.round(rng.random(300) * 64) / 64  # on edges, which belong to the threshold's own side
    frame = pd.DataFrame({"y": np.where(rng.random(300) < score, "f", "m"), "g": rng.choice(["a", "b"], 300), "p_f": score})
    frame["y_pred"] = np.where(score >= 0.5, "f", "m")
    frame.to_csv(tmp_path / "scored.csv", index=False)
    return tmp_path / "scored.csv"


@pytest.mark.parametrize("name", ["sweep.csv", "deep/sweep.parquet"])
def test_every_threshold_is_that_of_a_plain_count(scored: Path, tmp_path: Path, cli: Cli, name: str) -> None:
    result = cli("audit", scored, "--y-true", "y", "--y-score", "p_f", "--positive", "f", "--by", "g", "--sweep", name)
    assert (result.code, result.err) == (0, "")
    table = pd.read_csv(name) if name.endswith("csv") else pd.read_parquet(name)
    assert len(table) == 2 * 1025
    assert set(table["by"]) == {"g"}
    assert set(table["class"]) == {"f"}
    frame = pd.read_csv(scored)
    for row in table.iloc[::41].to_dict("records"):
        rows = frame[frame["g"] == row["group"]]
        called, true = rows["p_f"] >= row["threshold"], rows["y"] == "f"
        if row["threshold"] == np.inf:
            assert not called.any()
        counts = [(called & true).sum(), (called & ~true).sum(), (~called & true).sum(), (~called & ~true).sum()]
        assert [row[name] for name in ("tp", "fp", "fn", "tn")] == counts
        assert row["accuracy"] == pytest.approx((called == true).mean())
        assert row["selection_rate"] == pytest.approx(called.mean())
        if called.any():
            assert row["precision"] == pytest.approx(true[called].mean())
        else:
            assert np.isnan(row["precision"])


def test_no_group_is_a_formula(scored: Path, cli: Cli) -> None:
    frame = pd.read_csv(scored)
    frame["g"] = np.where(frame["g"] == "a", "=1+1", "@b")
    frame.to_csv(scored, index=False)
    for name in ("sweep.csv", "sweep.parquet"):
        cli("audit", scored, "--y-true", "y", "--y-score", "p_f", "--positive", "f", "--by", "g", "--sweep", name)
    assert set(pd.read_csv("sweep.csv")["group"]) == {"'=1+1", "'@b"}
    assert set(pd.read_parquet("sweep.parquet")["group"]) == {"=1+1", "@b"}, "Parquet is no spreadsheet"


def test_what_cannot_be_swept_writes_nothing(scored: Path, tmp_path: Path, cli: Cli) -> None:
    words = ("audit", scored, "--y-true", "y", "--by", "g", "--out", "run")
    for more, message in (
        (("--sweep", "sweep.csv"), "--sweep needs scores of one class"),
        (("--y-score", "p_f", "--sweep", "sweep.txt"), "--sweep sweep.txt: the table is written as .csv or .parquet"),
    ):
        result = cli(*words, *more)
        assert result.code == 2
        assert message in result.err
        assert not list(Path().glob("sweep*"))
        assert not Path("run").exists()
