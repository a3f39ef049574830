"""Mitigate: a whole experiment on drawn faces, its numbers by plain loops over the predictions it left."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from fairaudit.config import Arm, AuditSettings, MitigateConfig, TrainingSettings
from fairaudit.data.faces import RenderedStore
from fairaudit.errors import UsageError
from fairaudit.predictions import Predictions
from fairaudit.workflows import experiment as experiments
from fairaudit.workflows import study as studies
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.study import Watch
from tests.cli.conftest import fairaudit, files_below

pytestmark = pytest.mark.training

FACES = {"n": "240", "size": "32"}
SEEDS = 2


def config(
    *arms: Arm, seeds: int = SEEDS, by: tuple[tuple[str, ...], ...] = (("tone",),), **training: Any
) -> MitigateConfig:
    return MitigateConfig(
        data="synthetic",
        data_options=FACES,
        splits="official",
        compare_content=False,
        arms=arms,
        seeds=seeds,
        training=TrainingSettings(**{"epochs": 2, "lr": 3e-3, "select": "worst-group", "device": "cpu", **training}),
        audit=AuditSettings(by=(("tone",),), bootstrap=100, min_support=5),
    )


THREE = config(
    Arm(loss="max-group"), Arm(method="domain-independent"), Arm(method="last-layer", method_options={"refits": 3})
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment: the baseline, a loss and two methods."""
    out = tmp_path_factory.mktemp("mitigate") / "run"
    mitigate(THREE, out)
    return out


def record(out: Path) -> dict[str, Any]:
    """``mitigation.json`` without the times."""
    found: dict[str, Any] = json.loads((out / "mitigation.json").read_text())
    for arm in found["arms"]:
        for run in arm["runs"]:
            run.pop("seconds")
    return found


def tables(out: Path, arm: str) -> list[pd.DataFrame]:
    return [pd.read_parquet(out / arm / f"seed-{seed}" / "predictions.parquet") for seed in range(SEEDS)]


def number(arm: dict[str, Any], metric: str, kind: str | None) -> dict[str, Any]:
    [found] = [n for n in arm["numbers"] if (n["metric"], n["kind"]) == (metric, kind)]
    return dict(found)


def plain(frame: pd.DataFrame) -> dict[tuple[str, str | None], float]:
    """Accuracy over all images, and its worst group and gap over tones, by loops."""
    right = []
    for tone in frame["tone"].unique():
        own = frame[frame["tone"] == tone]
        right.append(sum(a == b for a, b in zip(own["gender"], own["gender_pred"], strict=True)) / len(own))
    return {
        ("accuracy", None): float((frame["gender"].astype(str) == frame["gender_pred"].astype(str)).mean()),
        ("accuracy", "worst_group"): min(right),
        ("accuracy", "gap"): max(right) - min(right),
    }


def test_the_numbers_are_those_of_plain_loops(ran: Path) -> None:
    found = record(ran)
    assert [arm["name"] for arm in found["arms"]] == ["erm", "max-group", "domain-independent", "last-layer(refits=3)"]
    folders = ["erm", "max-group", "domain-independent", "last-layer-refits=3"]
    before = [plain(frame) for frame in tables(ran, "erm")]
    for arm, folder in zip(found["arms"], folders, strict=True):
        after = [plain(frame) for frame in tables(ran, folder)]
        for metric, kind in before[0]:
            a, b = ([run[metric, kind] for run in runs] for runs in (before, after))
            said = number(arm, metric, kind)
            assert said["value"] == pytest.approx(np.mean(b), abs=1e-9)
            assert said["sd"] == pytest.approx(np.std(b, ddof=1), abs=1e-9)
            if folder == "erm":
                assert (said["change"], said["p_seeds"], said["trend"]) == (None, None, "undecided")
                continue
            assert said["change"] == pytest.approx(np.mean(b) - np.mean(a), abs=1e-9)
            if np.std(np.subtract(b, a)) > 1e-12:
                test = stats.ttest_rel(b, a)
                assert said["p_seeds"] == pytest.approx(test.pvalue, abs=1e-8)
                limits = test.confidence_interval(0.95)
                assert (said["ci_low"], said["ci_high"]) == pytest.approx((limits.low, limits.high), abs=1e-8)


def test_the_f1_gap_is_that_of_scikit_learn(ran: Path) -> None:
    found = record(ran)
    runs = []
    for frame in tables(ran, "erm"):
        own = [
            f1_score(part["gender"].astype(str), part["gender_pred"].astype(str), average="macro")
            for _, part in frame.groupby("tone", observed=True)
        ]
        runs.append(max(own) - min(own))
    [arm] = [arm for arm in found["arms"] if arm["name"] == "erm"]
    assert number(arm, "f1[macro]", "gap")["value"] == pytest.approx(np.mean(runs), abs=1e-9)


def test_every_seed_and_epoch_is_in_the_record(ran: Path) -> None:
    for arm in record(ran)["arms"]:
        for metric, kind in (("accuracy", None), ("accuracy", "worst_group"), ("accuracy", "gap")):
            one = number(arm, metric, kind)
            assert len(one["by_seed"]) == SEEDS
            assert np.mean(one["by_seed"]) == pytest.approx(one["value"], abs=1e-9)
        for run in arm["runs"]:
            history = json.loads((ran / run["folder"] / "history.json").read_text())
            stages = list(history["stages"].values())
            if not stages:
                assert run["epochs"] == []
                continue
            assert [e["epoch"] for e in run["epochs"]] == [e["epoch"] for e in stages[-1]["epochs"]]
            assert run["selected"] == stages[-1]["selected"]
            for kept, told in zip(run["epochs"], stages[-1]["epochs"], strict=True):
                assert kept["loss"] == pytest.approx(told["loss"])
                known = [a for a in told["group_accuracies"] or [] if a is not None]
                if known:
                    assert (kept["mean"], kept["worst"]) == pytest.approx((np.mean(known), min(known)))


def test_a_trend_is_what_both_tests_show(ran: Path) -> None:
    for arm in record(ran)["arms"][1:]:
        for n in arm["numbers"]:
            if n["trend"] == "undecided":
                continue
            assert n["p_seeds"] <= 0.05
            assert n["ci_low"] * n["ci_high"] > 0
            assert n["image_low"] * n["image_high"] > 0
            assert math.copysign(1, n["ci_low"]) == math.copysign(1, n["image_low"])


def test_the_loser_is_the_group_that_fell_most(ran: Path) -> None:
    found = record(ran)
    folders = ["max-group", "domain-independent", "last-layer-refits=3"]

    def by_tone(folder: str) -> dict[str, float]:
        means: dict[str, list[float]] = {}
        for frame in tables(ran, folder):
            for tone, part in frame.groupby("tone", observed=True):
                right = part["gender"].astype(str) == part["gender_pred"].astype(str)
                means.setdefault(str(tone), []).append(float(right.mean()))
        return {tone: float(np.mean(values)) for tone, values in means.items()}

    before = by_tone("erm")
    assert found["arms"][0]["losers"] == []
    for arm, folder in zip(found["arms"][1:], folders, strict=True):
        after = by_tone(folder)
        change = {tone: after[tone] - before[tone] for tone in before}
        fell = {tone: value for tone, value in change.items() if value < -1e-12}
        if not fell:
            assert arm["losers"] == []
            continue
        [loser] = arm["losers"]
        assert fell[loser["group"]["tone"]] == pytest.approx(min(fell.values()))
        assert loser["before"] == pytest.approx(before[loser["group"]["tone"]], abs=1e-9)
        assert loser["after"] == pytest.approx(after[loser["group"]["tone"]], abs=1e-9)


def as_evaluated(checkpoint: Path, out: Path) -> pd.DataFrame:
    """Predictions of ``evaluate`` on the test faces, with no flag about the model."""
    options = [word for key, value in FACES.items() for word in ("--data-option", f"{key}={value}")]
    done = fairaudit("evaluate", checkpoint, "--data", "synthetic", *options, "--bootstrap", 100, "--out", out, "--quiet")
    assert done.code in (0, 3), done.err
    return pd.read_parquet(out / "predictions.parquet")


def same_predictions(found: pd.DataFrame, stored: pd.DataFrame) -> None:
    assert found["row"].tolist() == stored["row"].tolist()
    scores = [name for name in map(str, stored) if "_score[" in name]
    assert len(scores) >= 2
    np.testing.assert_allclose(found[scores].to_numpy(), stored[scores].to_numpy(), atol=1e-5)
    sure = np.abs(stored[scores[0]] - stored[scores[1]]) > 1e-4
    assert found["gender_pred"][sure].tolist() == stored["gender_pred"][sure].tolist()


@pytest.mark.parametrize("arm", ["erm", "domain-independent", "last-layer-refits=3"])
def test_a_checkpoint_is_evaluated_without_flags(ran: Path, tmp_path: Path, arm: str) -> None:
    folder = ran / arm / "seed-1"
    same_predictions(as_evaluated(folder / "model.pt", tmp_path / "again"), pd.read_parquet(folder / "predictions.parquet"))


def test_a_frozen_backbone_and_its_head_are_one_checkpoint(ran: Path, tmp_path: Path) -> None:
    frozen = config(Arm(loss="max-group"), seeds=1, freeze="backbone")
    frozen = frozen.model_copy(update={"weights": str(ran / "erm" / "seed-0" / "model.pt")})
    mitigate(frozen, tmp_path / "run")
    for arm in ("erm", "max-group"):
        folder = tmp_path / "run" / arm / "seed-0"
        same_predictions(as_evaluated(folder / "model.pt", tmp_path / arm), pd.read_parquet(folder / "predictions.parquet"))


def test_several_targets_are_audited_together_and_each_alone(tmp_path: Path) -> None:
    asked = config(Arm(method="multi-task"), seeds=1)
    asked = asked.model_copy(update={"audit": asked.audit.model_copy(update={"target": "gender,Smiling"})})
    mitigate(asked, tmp_path / "run")
    folder = tmp_path / "run" / "multi-task" / "seed-0"
    frame = pd.read_parquet(folder / "predictions.parquet").astype(str)
    right = {name: frame[name] == frame[f"{name}_pred"] for name in ("gender", "Smiling")}
    for file, expected in [
        ("audit.json", right["gender"] & right["Smiling"]),
        ("audit_gender.json", right["gender"]),
        ("audit_Smiling.json", right["Smiling"]),
    ]:
        audited = json.loads((folder / file).read_text())
        assert audited["overall"]["metrics"]["accuracy"]["value"] == pytest.approx(expected.mean(), abs=1e-9)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Test images can be read only while a trained network is audited."""
    seen = {"other": 0, "test": 0, "audits": 0}
    state = {"open": False, "test": frozenset[str]()}
    prepare, predict, read = experiments.prepare_experiment, studies.predict_test, RenderedStore.read

    def prepared(*args: Any, **more: Any) -> Any:
        experiment = prepare(*args, **more)
        state["test"] = frozenset(str(row) for row in experiment.splits.test.frame["row"])
        return experiment

    def predicted(*args: Any, **more: Any) -> Predictions:
        state["open"] = True
        seen["audits"] += 1
        found = predict(*args, **more)
        state["open"] = False
        return found

    def guarded_read(self: RenderedStore, row: str) -> bytes:
        held = row in state["test"]  # type: ignore[operator]
        assert state["open"] or not held, f"{row} of the test split was read before the audit"
        seen["test" if held else "other"] += 1
        return read(self, row)

    monkeypatch.setattr("fairaudit.workflows.mitigate.prepare_experiment", prepared)
    monkeypatch.setattr("fairaudit.workflows.mitigate.predict_test", predicted)
    monkeypatch.setattr(RenderedStore, "read", guarded_read)
    return seen


def test_the_test_split_is_not_looked_at_before_the_audit(guarded: dict[str, int], tmp_path: Path) -> None:
    mitigate(THREE.model_copy(update={"seeds": 1}), tmp_path / "run")
    assert guarded["audits"] == 4
    assert guarded["other"] > 0
    assert guarded["test"] > 0


class PulledPlugError(Exception):
    """Somebody pulls the plug."""


def test_the_same_again_and_interrupted_are_the_same_files(ran: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def stop(done: int, total: int, name: str, seed: int) -> None:
        assert total == 8
        if done == 4:
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        mitigate(THREE, out, watch=Watch(arm=stop))
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and "seed-" in str(path)}
    assert len({path.parent for path in finished if path.name == "run.json"}) == 3
    assert not (out / "mitigation.json").exists()
    mitigate(THREE, out, resume=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert record(out) == record(ran)
    assert (out / "tradeoff.csv").read_bytes() == (ran / "tradeoff.csv").read_bytes()
    for path in ran.rglob("predictions.parquet"):
        assert pd.read_parquet(out / path.relative_to(ran)).equals(pd.read_parquet(path))
    assert files_below(out) == files_below(ran)
    assert not [name for name in files_below(out) if ".training" in name or ".tmp" in name]


def test_what_cannot_be_trained_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown optimizer 'adamm'"):
        mitigate(config(Arm(loss="max-group"), optimizer="adamm"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
