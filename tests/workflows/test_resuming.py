"""Resuming: what may be gone on with, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairaudit.artifacts.records import write_toml
from fairaudit.config import Arm, MitigateConfig
from fairaudit.errors import ConfigError, OutputError
from fairaudit.workflows.resuming import clear_leftovers, open_folder, reproducible
from fairaudit.workflows.run_folders import CONFIG, run_folder

ONE = MitigateConfig(arms=(Arm(loss="max-group"),), seeds=2)


def held(folder: Path, config: MitigateConfig) -> Path:
    """A folder in which one epoch of the baseline is finished."""
    state = folder / "erm" / ".seed-0.training" / "model" / "training.pt"
    state.parent.mkdir(parents=True)
    state.touch()
    write_toml(folder / CONFIG, reproducible(config, None))
    return folder


def test_a_new_folder_and_an_empty_one_are_taken(tmp_path: Path) -> None:
    open_folder(ONE, tmp_path / "new", False)
    (tmp_path / "empty").mkdir()
    open_folder(ONE, tmp_path / "empty", True)
    assert not (tmp_path / "new").exists()


def test_an_experiment_is_not_overwritten(tmp_path: Path) -> None:
    folder = held(tmp_path / "run", ONE)
    with pytest.raises(OutputError) as caught:
        open_folder(ONE, folder, False)
    assert str(caught.value) == (
        f"{folder} holds an experiment already; go on with it with --resume, or choose another --out"
    )


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch()
    with pytest.raises(OutputError) as caught:
        open_folder(ONE, tmp_path, True)
    assert str(caught.value) == (
        f"{tmp_path} holds a, b, c and 1 more; an experiment needs a folder of its own, choose another --out"
    )


def test_more_arms_and_more_seeds_may_join(tmp_path: Path) -> None:
    folder = held(tmp_path / "run", ONE)
    more = ONE.model_copy(update={"arms": (*ONE.arms, Arm(loss="reweight")), "seeds": 5})
    open_folder(more, folder, True)


def test_what_else_differs_is_named(tmp_path: Path) -> None:
    folder = held(tmp_path / "run", ONE)
    other = ONE.model_copy(update={"training": ONE.training.model_copy(update={"lr": 0.5})})
    with pytest.raises(ConfigError) as caught:
        open_folder(other, folder, True)
    assert str(caught.value) == (
        f"{folder / CONFIG} was run with another training.lr (0.001, now 0.5); resume it as it was, or choose another --out"
    )


@pytest.mark.parametrize("resume", [False, True])
def test_what_finished_nothing_is_in_nobodys_way(tmp_path: Path, resume: bool) -> None:
    folder = held(tmp_path / "run", ONE)
    (folder / "erm" / ".seed-0.training" / "model" / "training.pt").unlink()
    (folder / "cache").mkdir()
    (folder / "cache" / "1.images").touch()
    other = ONE.model_copy(update={"training": ONE.training.model_copy(update={"lr": 0.5})})
    open_folder(other, folder, resume)
    clear_leftovers(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["cache"], "decoded images are as good as they were"


def test_an_epoch_a_run_and_a_search_are_kept(tmp_path: Path) -> None:
    for number, name in enumerate(["erm/.seed-0.training/model/training.pt", "erm/seed-0/run.json", "tuning/erm.journal"]):
        folder = tmp_path / str(number)
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
        write_toml(folder / CONFIG, reproducible(ONE, None))
        clear_leftovers(folder)
        assert (folder / name).exists()
        with pytest.raises(OutputError, match="holds an experiment already"):
            open_folder(ONE, folder, False)


def test_what_a_finished_training_had_still_to_tidy_up_goes(tmp_path: Path) -> None:
    folder = held(tmp_path / "run", ONE)  # whose first training is under way
    begun, over = folder / "erm" / ".seed-0.training", folder / "erm" / ".seed-1.training"
    over.mkdir()
    (folder / "erm" / "seed-1").mkdir()
    (folder / "erm" / "seed-1" / "run.json").touch()
    clear_leftovers(folder)
    assert begun.exists()
    assert not over.exists()


def test_a_folder_of_something_else_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    clear_leftovers(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_paths_are_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pt").touch()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    config = ONE.model_copy(update={"weights": "w.pt"})
    folder = held(tmp_path / "run", config)
    monkeypatch.chdir(tmp_path / "deep")
    open_folder(ONE.model_copy(update={"weights": "../w.pt"}), folder, True)


def test_folder_names_are_plain() -> None:
    arm = Arm(loss="group-dro", loss_options={"step_size": "0.1"}, method="last-layer")
    assert arm.name == "last-layer+group-dro(step_size=0.1)"
    assert run_folder(Path("out"), arm, 3) == Path("out/last-layer+group-dro-step_size=0.1/seed-3")
