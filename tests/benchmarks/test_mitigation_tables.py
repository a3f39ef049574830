"""The figures beside the benchmark's tables, and runs with other test images counted together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairaudit.artifacts.tables import read_predictions, write_predictions
from fairaudit.config import MitigateConfig
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.workflows.run_folders import HISTORY, PREDICTIONS, RUN, run_folder
from tests.benchmarks.mitigation_tables import gap_by_chance, joined, markdown, of_groups, spread_without_noise, stacked

CONFIG = MitigateConfig.model_validate(
    {
        "data_options": {"n": 60, "size": 16},
        "splits": "official",
        "compare_content": False,
        "arms": [{"loss": "reweight"}],
        "seeds": 2,
        "audit": {"target": "gender", "by": [["tone"]], "min_support": 1},
    }
)
LEVELS = ("light", "medium", "dark")


def predicted(first: int, right: list[bool]) -> Predictions:
    """Images from number ``first`` on, light, medium and dark in turn; all are women."""
    n = len(right)
    task = Task(("woman", "man"), np.zeros(n, dtype=np.int64), np.array([0 if r else 1 for r in right]))
    tones = Column(np.arange(n, dtype=np.int64) % 3, LEVELS)
    return Predictions(np.array([f"{first + i}.png" for i in range(n)], dtype=object), {"gender": task}, {"tone": tones})


def test_equal_groups_show_the_gap_of_the_range_of_normal_numbers() -> None:
    sizes = np.full(5, 800)
    deviation = np.sqrt(0.825 * 0.175 / 800)
    assert gap_by_chance(0.825, sizes) == pytest.approx(2.326 * deviation, rel=0.02)  # the mean range of five


def test_a_spread_that_noise_explains_is_none() -> None:
    rng = np.random.default_rng(0)
    sizes, truth = np.full(10, 400), np.linspace(0.3, 0.6, 10)
    seen = [spread_without_noise(rng.binomial(sizes, truth) / sizes, sizes) for _ in range(300)]
    assert np.mean(seen) == pytest.approx(truth.std(), rel=0.02)
    assert spread_without_noise(np.array([0.5, 0.51, 0.49]), np.full(3, 100)) == 0


def test_runs_of_two_halves_are_counted_as_one(tmp_path: Path) -> None:
    # Of light, medium and dark: before 2, 1 and 1 of 2 right in the first half, 1, 1 and 0 of 1 in the second.
    halves = {
        "before": ([True, True, False, True, False, True], [True, True, False]),
        "after": ([True, True, True, True, True, True], [True, False, True]),
    }
    folders = [tmp_path / "one", tmp_path / "two"]
    for arm, name in zip(CONFIG.trained, halves, strict=True):
        for seed in range(CONFIG.seeds):
            for i, (folder, right) in enumerate(zip(folders, halves[name], strict=True)):
                to = run_folder(folder, arm, seed)
                to.mkdir(parents=True)
                write_predictions(predicted(100 * i, right), to / PREDICTIONS)
                record = {"arm": {}, "selected": {"model": {"epoch": 1}}, "seconds": {"model": 2.0}, "notes": []}
                (to / RUN).write_text(json.dumps(record))
                (to / HISTORY).write_text(json.dumps({"groups": list(LEVELS), "stages": {}}))
    result = joined(CONFIG, folders, tmp_path / "both")
    accuracies, sizes = of_groups([tmp_path / "both" / run.folder for run in result.arms[0].runs], ("tone",))
    assert sizes.tolist() == [3, 3, 3]
    assert accuracies == pytest.approx(np.array([[1, 2 / 3, 1 / 3]] * 2))
    assert result.images["test"] == 9
    assert result.arms[0].runs[0].seconds == 4
    text = markdown(result, tmp_path / "both")
    assert "| erm | .667 ±.000 | .333 ±.000 | .667 ±.000 |" in text
    assert "| reweight | .889 ±.000 (+.222) | .667 ±.000 (+.333)" in text
    assert "9 test images; 2 seeds" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_an_image_in_two_halves_is_refused() -> None:
    with pytest.raises(Exception, match="occurs more than once"):
        stacked([predicted(0, [True] * 3), predicted(2, [True] * 3)])


def test_what_is_stacked_is_read_back(tmp_path: Path) -> None:
    write_predictions(stacked([predicted(0, [True, False, True]), predicted(5, [False])]), tmp_path / "p.parquet")
    back = read_predictions(tmp_path / "p.parquet", None)
    assert back.rows.tolist() == ["0.png", "1.png", "2.png", "5.png"]
    assert back.tasks["gender"].y_pred.tolist() == [0, 1, 0, 1]
    assert back.attributes["tone"].values().tolist() == ["light", "medium", "dark", "light"]
