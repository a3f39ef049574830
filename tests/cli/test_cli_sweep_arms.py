"""``fairaudit sweep`` as a user meets it: arms of a grid, a search, interruptions, and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairaudit.cli import progress as bars
from tests.cli.conftest import Cli, Finished, files_below

pytestmark = pytest.mark.training

RUN = Path("run")
FACES = (
    "--data", "synthetic", "--data-option", "n=200", "--data-option", "size=32", "--arch", "timm/test_resnet",
    "--size", 32, "--epochs", 1, "--seeds", 1, "--target", "gender", "--by", "gender", "--min-support", 2,
)  # fmt: skip


def sweep(cli: Cli, *words: object, out: Path = RUN) -> Finished:
    return cli("sweep", *FACES, "--loss", "max-group", *words, "--out", out, "--format", "json", "--quiet")


def below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with the time it was written."""
    files = [folder / name for name in files_below(folder)]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files if path.is_file()}


def names(result: Finished) -> list[str]:
    assert result.code == 0, result.err
    return [arm["name"] for arm in result.record["arms"]]


def read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_a_grid_grows_and_leaves_finished_runs_untouched(cli: Cli) -> None:
    lone = sweep(cli, "--grid", "lr=1e-3", "--baseline", "none")
    assert names(lone) == ["max-group(lr=0.001)"]
    folder = RUN / "max-group-lr=0.001"
    before = below(folder / "seed-0")
    assert sweep(cli, "--grid", "lr=1e-3").err.startswith("fairaudit: run holds an experiment already; go on with it with")
    both = sweep(cli, "--grid", "lr=1e-3,3e-3", "--resume")
    assert names(both) == ["erm", "max-group(lr=0.001)", "max-group(lr=0.003)"]
    assert below(folder / "seed-0") == before
    assert [read(RUN / arm["runs"][0]["folder"] / "run.json")["training"]["lr"] for arm in both.record["arms"]] == [
        0.001,
        0.001,
        0.003,
    ]
    positions = [
        (n["value"], g["value"], arm["on_front"])
        for arm in both.record["arms"]
        for n in arm["numbers"]
        for g in arm["numbers"]
        if (n["metric"], n["kind"], g["metric"], g["kind"]) == ("accuracy", None, "accuracy", "gap")
    ]
    for accuracy, gap, on in positions:
        beaten = [(a, g) for a, g, _ in positions if a >= accuracy and g <= gap and (a, g) != (accuracy, gap)]
        assert on == (not beaten)
    assert any(on for *_, on in positions)


def test_interrupted_between_arms_it_goes_on_with_the_next(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def interrupting(show: bool = True) -> Iterator[tuple[Any, Any]]:
        def arm(done: int, *_: object) -> None:
            if done == 2:
                raise KeyboardInterrupt

        yield arm, lambda _: None

    words = ("--baseline", "none", "--grid", "lr=1e-3,3e-3")
    with monkeypatch.context() as patched:
        patched.setattr(bars, "training_progress", interrupting)
        assert sweep(cli, *words).code == 130
    before = below(RUN / "max-group-lr=0.001")
    assert before
    assert not (RUN / "mitigation.json").exists()
    assert names(sweep(cli, *words, "--resume")) == ["max-group(lr=0.001)", "max-group(lr=0.003)"]
    after = below(RUN / "max-group-lr=0.001")
    assert {path: after[path] for path in before} == before


def test_a_search_chooses_what_is_trained(cli: Cli) -> None:
    found = sweep(cli, "--tune", 2, "--tune-space", "lr=1e-3..1e-2,batch_size=32|64")
    assert names(found) == ["erm", "max-group"]
    assert found.record["baseline"] == "erm"
    for name in names(found):
        searched, run = read(RUN / "tuning" / f"{name}.json"), read(RUN / name / "seed-0" / "run.json")
        assert [trial["state"] for trial in searched["trials"]] == ["complete", "complete"]
        assert searched["best"]["score"] == max(trial["score"] for trial in searched["trials"])
        assert {key: run["training"][key] for key in ("lr", "batch_size")} == searched["best"]["settings"]
        assert run["arm"]["training"] == searched["best"]["settings"]
        assert read(RUN / name / "seed-0" / "history.json")["stages"]["model"]["epochs"][0]["score"] == pytest.approx(
            searched["best"]["score"]
        )
    assert any("the test images took no part" in note for note in found.record["notes"])
    before = below(RUN)
    assert sweep(cli, "--resume").err == (
        "fairaudit: run/erm/seed-0 was trained with another training.lr "
        f"({read(RUN / 'tuning' / 'erm.json')['best']['settings']['lr']}, now unset); "
        "resume it as it was, label the arm, or choose another --out\n"
    )
    assert below(RUN) == before


def test_a_file_says_the_same_as_flags(cli: Cli) -> None:
    Path("sweep.toml").write_text(
        '[[arms]]\nloss = "max-group"\n[[arms]]\nloss = "group-dro"\n[grid]\nloss.step_size = [0.1, 1]\nepoch = [1]\n'
    )
    cli("sweep", "--config", "sweep.toml").refused("unknown setting in the grid 'epoch'; did you mean 'epochs'?")


REFUSED = [
    (("--grid", "epoch=1,2"), "unknown setting in the grid 'epoch'; did you mean 'epochs'?"),
    (("--grid", "loss.stepsize=1"), "unknown setting in the grid 'loss.stepsize'; did you mean 'loss.step_size'?"),
    (("--grid", "lr"), "--grid 'lr' cannot be read; write KEY=VALUES, for example lr=1e-3,1e-4"),
    (("--grid", "lr=1", "--grid", "lr=2"), "--grid names lr twice; give all of its values at once"),
    (("--grid", "lr=fast"), "lr=fast: lr: Input should be a valid number, unable to parse string as a number"),
    (("--tune-space", "lr=1e-3..1e-2"), "--tune-space says what is searched; --tune N says how often"),
    (("--tune", "2", "--tune-space", "seed=1..2"),
     "the search cannot vary seed: every arm is trained with the seeds that --seeds asks for"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_refusals(cli: Cli, words: tuple[str, ...], message: str) -> None:
    cli("sweep", *FACES, "--loss", "group-dro", *words).refused(message)


def test_nothing_to_try(cli: Cli) -> None:
    cli("sweep", "--grid", "lr=1").refused(
        "name what is tried: --loss NAME or --method NAME; 'fairaudit list losses' and 'list methods' tell"
    )
