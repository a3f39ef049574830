"""Tuning: real searches of drawn images that a tiny network learns in milliseconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import pytest
import torch

from fairaudit.config import Arm, SweepConfig, validated
from fairaudit.engine import devices
from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import ArtifactError, ConfigError, TrainingError, UsageError
from fairaudit.losses import cross_entropy, group_dro, max_group
from fairaudit.methods import last_layer
from fairaudit.methods.base import Outcome, Study
from fairaudit.workflows import tuning
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.method_scores import score_of_method
from fairaudit.workflows.study import Watch
from fairaudit.workflows.sweep_arms import sweep_arms
from fairaudit.workflows.tuning import Tuner
from tests.engine.interruptions import Halt
from tests.methods.studies import PREPROCESS, bench, biased

pytestmark = pytest.mark.training

TRAIN, HELD = biased(96, 0.8, seed=1), biased(96, 0.5, seed=2)
MAX = {"loss": "max-group"}


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials train on drawn images; everything else is the real thing."""

    def study(experiment: Experiment, _: object, __: object, arm: Arm, seed: int, work: Path, watch: Watch) -> Study:
        changes = experiment.config.settings_of(arm).model_dump(exclude={"seed", "device", "workers"})
        build = {"max-group": max_group, "group-dro": group_dro, "cross-entropy": cross_entropy}[arm.loss].build
        return bench(TRAIN, HELD, build=build, seed=seed, resume=work, progress=watch.progress, **changes).study

    monkeypatch.setattr(tuning, "make_study", study)


def sweep(trials: int, space: dict[str, Any], *arms: dict[str, Any], **tune: Any) -> SweepConfig:
    values = {
        "arms": arms or (MAX,),
        "baseline": False,
        "training": {"epochs": 3, "batch_size": 16, "lr": 0.02, "select": "worst-group", "device": "cpu"},
        "tune": {"trials": trials, "space": space, "startup": 2, **tune},
    }
    return validated(values, SweepConfig, "sweep.toml")


def tuned(config: SweepConfig, out: Path, watch: Watch | None = None, asked: list[str] | None = None) -> Experiment:
    """Searches without any test images: there are no splits at all."""

    def data(what: str) -> Any:
        if asked is not None:
            asked.append(what)
        return {"train": TRAIN.data, "validation": HELD.data}[what]

    plain = sweep_arms(config)
    nothing = cast(Any, None)
    experiment = Experiment(
        plain, nothing, {}, ("glasses",), TRAIN.data.group_labels, plain.audit, nothing, PREPROCESS, None, (), out
    )
    return Tuner(config)(experiment, data, out, watch or Watch())


def record(out: Path, arm: str = "max-group") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "tuning" / f"{arm}.json").read_text())
    return found


def searched(out: Path, arm: str = "max-group") -> list[tuple[Any, ...]]:
    """What a search found, without its times."""
    return [(t["state"], t["settings"], t["score"], t["epochs"]) for t in record(out, arm)["trials"]]


def test_the_better_of_two_learning_rates_is_chosen(tmp_path: Path) -> None:
    asked: list[str] = []
    experiment = tuned(sweep(4, {"lr": "1e-9|0.1"}), tmp_path, asked=asked)
    [arm] = experiment.config.arms
    assert (arm.name, arm.loss, arm.training) == ("max-group", "max-group", {"lr": 0.1})
    assert set(asked) == {"train", "validation"}
    found = record(tmp_path)
    assert {t["settings"]["lr"] for t in found["trials"]} == {1e-9, 0.1}
    by_hand = max(t["score"] for t in found["trials"] if t["state"] == "complete")
    assert found["best"] == {"settings": {"lr": 0.1}, "score": by_hand}
    assert by_hand > 0.1 + max(max(t["epochs"].values()) for t in found["trials"] if t["settings"]["lr"] == 1e-9)
    assert "the test images took no part" in experiment.notes[-1]
    assert sorted(p.name for p in (tmp_path / "tuning").iterdir()) == ["max-group.journal", "max-group.json"]


def test_the_score_is_the_best_validation_score_of_the_trial(tmp_path: Path) -> None:
    tuned(sweep(2, {"lr": "0.01..0.2"}, startup=9), tmp_path)
    for trial in record(tmp_path)["trials"]:
        assert trial["state"] == "complete"
        assert trial["score"] == max(trial["epochs"].values())
        study = bench(TRAIN, HELD, build=max_group.build, select="worst-group", epochs=3, **trial["settings"]).study
        history = study.fit(study.network())
        again = [epoch.validation.score for epoch in history.epochs if epoch.validation is not None]
        assert list(trial["epochs"].values()) == pytest.approx(again)


def test_the_baseline_is_searched_as_well_and_stays_the_baseline(tmp_path: Path) -> None:
    config = sweep(2, {"lr": "0.01..0.02"}).model_copy(update={"baseline": True})
    found = tuned(config, tmp_path).config
    assert [arm.name for arm in found.trained] == ["erm", "max-group"]
    assert [arm.is_baseline for arm in found.trained] == [True, False]
    assert set(found.trained[0].training) == {"lr"}
    assert len(record(tmp_path, "erm")["trials"]) == 2


def test_an_arm_that_the_space_does_not_concern_stays_as_it_was(tmp_path: Path) -> None:
    found = tuned(sweep(2, {"loss.step_size": "0.01..0.1"}, MAX, {"loss": "group-dro"}), tmp_path).config
    assert found.arms[0] == Arm(loss="max-group")
    assert 0.01 <= found.arms[1].loss_options["step_size"] <= 0.1
    assert found.arms[1].training == {}


def test_a_trial_below_the_median_is_stopped(tmp_path: Path) -> None:
    tuned(sweep(9, {"lr": "1e-5..0.2", "epochs": "3..4"}, startup=3), tmp_path)
    trials = record(tmp_path)["trials"]
    assert {t["state"] for t in trials} == {"complete", "pruned"}
    complete: list[dict[str, Any]] = []
    for trial in trials:
        stopped = False
        if len(complete) >= 3:  # what Optuna calls the median rule
            for epoch in trial["epochs"]:
                so_far = max(score for e, score in trial["epochs"].items() if int(e) <= int(epoch))
                there = [c["epochs"][epoch] for c in complete if epoch in c["epochs"]]
                stopped |= bool(there) and so_far < median(there)
        assert (trial["state"] == "pruned") == stopped
        if not stopped:
            complete.append(trial)


def halting(trial: int, epoch: int, seen: list[tuple[int, int]] | None = None) -> Watch:
    """Stop as Ctrl-C does, in the middle of an epoch of a trial."""
    running = 0

    def arm(done: int, *_: object) -> None:
        nonlocal running
        running = done

    def progress(now: Progress) -> None:
        if seen is not None and now.finished is not None and now.finished.epoch == now.epoch:
            seen.append((running, now.epoch))
        if (running, now.epoch, now.batch) == (trial, epoch, 2):
            raise Halt

    return Watch(arm=arm, progress=progress)


@pytest.mark.parametrize(("trial", "epoch"), [pytest.param(1, 1, marks=pytest.mark.slow), (5, 3)])
def test_an_interrupted_search_goes_on_and_finds_the_same(tmp_path: Path, trial: int, epoch: int) -> None:
    config = sweep(6, {"lr": "1e-3..0.2", "epochs": "3..4", "batch_size": "16|32"}, startup=9)
    through: list[tuple[int, int]] = []
    whole = tuned(config, tmp_path / "whole", halting(0, 0, through))
    first: list[tuple[int, int]] = []
    with pytest.raises(Halt):
        tuned(config, tmp_path / "cut", halting(trial, epoch, first))
    rest: list[tuple[int, int]] = []
    resumed = tuned(config, tmp_path / "cut", halting(0, 0, rest))
    assert first + rest == through  # every epoch once: none is lost and none is trained again
    assert resumed.config.arms == whole.config.arms
    assert searched(tmp_path / "cut") == searched(tmp_path / "whole")


def test_a_finished_search_is_not_repeated_and_may_be_longer(tmp_path: Path) -> None:
    short, long = sweep(3, {"lr": "1e-4..0.05"}), sweep(5, {"lr": "1e-4..0.05"})
    tuned(short, tmp_path / "a")
    before = searched(tmp_path / "a")
    seen: list[tuple[int, int]] = []
    tuned(short, tmp_path / "a", halting(0, 0, seen))
    assert (seen, searched(tmp_path / "a")) == ([], before)
    tuned(long, tmp_path / "a", halting(0, 0, seen))
    assert {trial for trial, _ in seen} == {4, 5}
    tuned(long, tmp_path / "b")
    assert searched(tmp_path / "a") == searched(tmp_path / "b")


def test_a_line_that_was_half_written_is_forgotten(tmp_path: Path) -> None:
    journal = tmp_path / "tuning" / "max-group.journal"
    tuned(sweep(2, {"lr": "1e-4..0.05"}), tmp_path)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"wor')
    tuned(sweep(3, {"lr": "1e-4..0.05"}), tmp_path)
    assert journal.read_bytes().startswith(whole + b"{")
    assert len(searched(tmp_path)) == 3
    journal.write_bytes(b"nonsense\nmore\n")
    with pytest.raises(ArtifactError, match=r"max-group.journal is not the record of a search, or damaged"):
        tuned(sweep(3, {"lr": "1e-4..0.05"}), tmp_path)


def test_another_space_is_another_search(tmp_path: Path) -> None:
    tuned(sweep(1, {"lr": "1e-4..0.05"}), tmp_path)
    with pytest.raises(ConfigError) as caught:
        tuned(sweep(1, {"lr": "1e-4..0.5"}), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'tuning' / 'max-group.journal'} was searched with another space (lr 0.0001..0.05, now "
        "lr 0.0001..0.5); resume it as it was, or choose another --out"
    )


def test_settings_that_diverge_fail_and_the_search_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    [arm] = tuned(sweep(4, {"lr": "1e30|0.02"}), tmp_path, Watch(say=told.append)).config.arms
    assert arm.training == {"lr": 0.02}
    failed = [t for t in record(tmp_path)["trials"] if t["settings"]["lr"] == 1e30]
    assert failed
    assert all(t["state"] == "fail" and "lower --lr" in t["reason"] and t["score"] is None for t in failed)
    assert sum("a trial failed" in sentence for sentence in told) == len(failed)


def test_where_no_trial_ends_nothing_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^no trial of max-group came to an end: .*lower --lr"):
        tuned(sweep(2, {"lr": "1e30|1e31"}), tmp_path)


def test_a_method_is_judged_by_the_network_that_it_ends_with(tmp_path: Path) -> None:
    arm = {"method": "last-layer"}
    [found] = tuned(sweep(2, {"lr": "1e-9|0.02"}, arm, startup=9), tmp_path).config.arms
    assert found.method == "last-layer"
    trials = record(tmp_path, "last-layer")["trials"]
    assert [t["state"] for t in trials] == ["complete", "complete"]
    assert record(tmp_path, "last-layer")["best"]["score"] == max(t["score"] for t in trials)


def test_a_method_that_learns_validation_images_is_judged_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(TRAIN, HELD)
    seen: dict[str, list[bytes]] = {}
    real = last_layer.run

    def run(study: Study, **options: Any) -> Outcome:
        seen["learnt"] = pictures(study.validation)
        glasses = study.validation_columns["glasses"].codes
        assert glasses.tolist() == study.validation.groups.tolist()
        return real(study, **options)

    def score(_: torch.Tensor, data: TrainingData) -> Validation:
        seen["judged"] = pictures(data)
        return Validation(0.5, ())

    monkeypatch.setattr(last_layer, "run", run)
    assert score_of_method(Arm(method="last-layer"), replace(made.study, score=score)) == 0.5
    assert len(seen["learnt"]) + len(seen["judged"]) == len(HELD.data)
    assert not set(seen["learnt"]) & set(seen["judged"])


def pictures(data: TrainingData) -> list[bytes]:
    return [picture.numpy().tobytes() for picture in data.images.take(torch.arange(len(data)))]


def test_only_the_first_of_several_trainings_is_compared(tmp_path: Path) -> None:
    arm = {"method": "just-train-twice", "method_options": {"first_epochs": 2, "same_budget": False}}
    tuned(sweep(1, {"lr": "0.01..0.02"}, {**arm, "label": "twice"}), tmp_path)
    [trial] = record(tmp_path, "twice")["trials"]
    assert (trial["state"], list(trial["epochs"])) == ("complete", ["1", "2"])  # the second training has three


def test_a_search_runs_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = devices.place
    monkeypatch.setattr("fairaudit.workflows.tuning.place", lambda device: replace(real(device), processes=2))
    with pytest.raises(UsageError, match="a search runs in one process"):
        tuned(sweep(1, {"lr": "1e-4..0.05"}), tmp_path)


def test_who_was_not_searched_is_said(tmp_path: Path) -> None:
    config = sweep(1, {"loss.step_size": "0.01..0.1"}, {"loss": "group-dro"}).model_copy(update={"baseline": True})
    assert tuned(config, tmp_path).notes[-1].endswith("took no part; not of erm, which has none of these settings")
