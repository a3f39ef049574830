"""``evaluate --resume``: what an interruption leaves, what is said, and the same files as without one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fairaudit.artifacts import unfinished
from fairaudit.artifacts.unfinished import Shards
from fairaudit.data.images import ImageBatch, ImageBatches
from fairaudit.errors import OutputError
from fairaudit.predictions import FloatArray
from fairaudit.workflows import attribute_mask
from fairaudit.workflows import evaluate as workflow
from tests.cli.conftest import Cli, Finished, files_below, spawn

pytestmark = pytest.mark.training

SMALL = ("--batch-size", 2, "--workers", 1, "--device", "cpu")
FILES = ("predictions.parquet", "audit.json", "config.toml")
LEFT = ["run.unfinished", "run.unfinished/of.json", "run.unfinished/part-0-0.npz", "run.unfinished/part-0-1.npz"]
GOES_ON = "are kept in run.unfinished; the same command with --resume --out run goes on with the others"
FULL = "run could not be written: the disk is full; free some space or write elsewhere"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of eight images."""
    monkeypatch.setattr(unfinished, "IMAGES", 8)
    monkeypatch.setattr(unfinished, "SHARE", 1e9)


@pytest.fixture
def interrupted(evaluate: tuple[str, ...], cli: Cli, small: None, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """A run that was terminated after 12 of 42 images."""
    return stopped(cli, monkeypatch, *evaluate, *SMALL, "--out", "run", "-q")


def stopped(cli: Cli, monkeypatch: pytest.MonkeyPatch, *words: object, number: int = signal.SIGTERM) -> Finished:
    """A run that gets a signal when six batches have been taken."""
    read, add = ImageBatches.__getitem__, Shards.add
    taken: list[object] = []

    def signalling(batches: ImageBatches, index: int) -> ImageBatch:
        while index == 6 and len(taken) < 6:
            time.sleep(0.01)
        if index == 6:
            os.kill(os.getpid(), number)
            time.sleep(0.5)
        return read(batches, index)

    def counting(own: Shards, rows: Sequence[str], scores: Mapping[str, FloatArray]) -> None:
        add(own, rows, scores)
        taken.append(rows)

    with monkeypatch.context() as patch:
        patch.setattr(ImageBatches, "__getitem__", signalling)
        patch.setattr(Shards, "add", counting)
        return cli(*words)


def same_files(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_what_was_interrupted_goes_on_to_the_same_files(interrupted: Finished, evaluate: tuple[str, ...], cli: Cli) -> None:
    assert (interrupted.code, interrupted.out) == (143, "")
    assert interrupted.err == f"12 of 42 images {GOES_ON}\nfairaudit: terminated\n"
    assert files_below(Path.cwd()) == LEFT
    again = cli(*evaluate, *SMALL, "--out", "run", "--resume", "--format", "json")
    assert again.code == 0, again.err
    assert "12 of 42 images were predicted before the interruption\n" in again.err
    assert not Path("run.unfinished").exists()
    whole = cli(*evaluate, *SMALL, "--out", "whole", "--format", "json")
    assert whole.out == again.out
    same_files(Path("run"), Path("whole"))
    assert json.loads(Path("run/run.json").read_text())["inference"]["resumed_images"] == 12
    assert "resumed_images" not in json.loads(Path("whole/run.json").read_text())["inference"]


def test_a_run_of_a_file_that_is_interrupted_twice(
    evaluate: tuple[str, ...],
    cli: Cli,
    small: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cli(*evaluate, *SMALL, "--out", "whole").code == 0
    words = ("evaluate", "--config", "whole/config.toml", "--out", "run", "-q")
    first = stopped(cli, monkeypatch, *words, number=signal.SIGINT)
    assert (first.code, first.err) == (130, f"12 of 42 images {GOES_ON}\nfairaudit: interrupted\n")
    read = ImageBatches.__getitem__

    def faulty(batches: ImageBatches, index: int) -> ImageBatch:
        if index < 15:
            return read(batches, index)
        time.sleep(0.3)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ImageBatches, "__getitem__", faulty)
        second = cli(*words, "--resume")
    assert second.code == 70
    images = int(second.err.split()[0])
    assert 12 < images <= 30
    assert second.err.splitlines()[0] == f"{images} of 42 images {GOES_ON}"
    last = cli(*words, "--resume", "--batch-size", 2)
    assert last.code == 0, last.err
    same_files(Path("run"), Path("whole"))


@pytest.mark.usefixtures("interrupted")
def test_what_does_not_fit_is_refused_and_kept(evaluate: tuple[str, ...], model: Path, fairface: Path, cli: Cli) -> None:
    def refused(*words: object, said: str) -> None:
        cli(*words, *SMALL, "--out", "run", "--resume", "-q").refused(
            f"run.unfinished is of a run with other settings or files: {said}; repeat that run to go on with it, "
            "or leave --resume out to begin anew"
        )
        assert set(LEFT) <= set(files_below(Path.cwd()))
        assert not Path("run").exists()

    refused(*evaluate, "--precision", "bf16", said="precision (fp32, now bf16)")
    refused(*evaluate, "--exact-resize", said="exact resize (False, now True)")
    refused(*evaluate, "--size", 40, said="preprocessing")
    refused(*evaluate, "--limit", 20, said="images, pixels")
    refused(*evaluate, "--classes", "female,male", said="head")
    shutil.copytree(fairface, "faces")
    pictures = sorted(Path("faces/val").iterdir())
    for one, other in zip(pictures, reversed(pictures), strict=True):
        one.write_bytes((fairface / "val" / other.name).read_bytes())
    other_root = [("faces" if word == str(fairface) else word) for word in evaluate]
    refused(*other_root, said="pixels")
    shutil.rmtree("faces")
    changed = bytearray(model.read_bytes())
    Path("other.pt").write_bytes(changed + b" ")
    refused("evaluate", "other.pt", *evaluate[2:], said="checkpoint")
    Path("other.pt").unlink()
    without = cli(*evaluate, *SMALL, "-q", "--resume")
    without.refused("--resume needs the run folder of the interrupted run: --out DIR")


@pytest.mark.usefixtures("interrupted")
def test_without_resume_it_begins_anew_and_with_nothing_there_it_says_so(evaluate: tuple[str, ...], cli: Cli) -> None:
    other = cli(*evaluate, *SMALL, "--precision", "bf16", "--out", "run", "-q")
    assert (other.code, other.err) == (0, "")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["run"]
    again = cli(*evaluate, *SMALL, "--out", "run", "--resume")
    assert again.code == 0, again.err
    assert "nothing of run is unfinished, so every image is predicted\n" in again.err
    assert "resumed_images" not in Path("run/run.json").read_text()


@pytest.mark.usefixtures("interrupted")
def test_a_damaged_shard_is_said_and_predicted_again(evaluate: tuple[str, ...], cli: Cli) -> None:
    shard = Path("run.unfinished/part-0-0.npz")
    shard.write_bytes(shard.read_bytes()[:-30])
    again = cli(*evaluate, *SMALL, "--out", "run", "--resume")
    assert again.code == 0, again.err
    assert "run.unfinished/part-0-0.npz is damaged and ignored: its images are predicted again\n" in again.err
    assert "4 of 42 images were predicted before the interruption\n" in again.err
    assert cli(*evaluate, *SMALL, "--out", "whole").code == 0
    same_files(Path("run"), Path("whole"))


def test_a_run_folder_that_cannot_be_written_costs_no_prediction(
    evaluate: tuple[str, ...],
    cli: Cli,
    small: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OutputError(FULL)

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "write_run_and_report", full)
        failed = cli(*evaluate, *SMALL, "--out", "run", "-q")
    assert failed.code == 2
    assert failed.err == f"42 of 42 images {GOES_ON}\nfairaudit: {FULL}\n"
    monkeypatch.setattr(ImageBatches, "__getitem__", lambda *_: pytest.fail("an image was read again"))
    again = cli(*evaluate, *SMALL, "--out", "run", "--resume")
    assert again.code == 0, again.err


def test_a_lost_process_is_no_fault_of_ours(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> bool:
        raise RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [::1]:2")

    monkeypatch.setattr(attribute_mask, "is_alone", lost)
    words = ("attribute", "mask", "nothing", "--out", "masked")
    assert cli(*words).code == 70, "a process that is alone has lost nobody"
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = cli(*words)
    assert (done.code, done.out, done.err) == (2, "", f"{LOST}\n")


# What torchrun starts: one worker is killed by SIGKILL in the middle; the others read slowly, or have nothing left to do.
WORKER = """
import os, signal, sys, time
from pathlib import Path
from fairaudit.artifacts import unfinished
from fairaudit.data.images import ImageBatches
unfinished.IMAGES, unfinished.SHARE = 4, 1e9
rank, victim, slow = os.environ.get("RANK", "0"), os.environ.get("VICTIM"), float(os.environ.get("SLOW", "0"))
read = ImageBatches.__getitem__

def reading(batches, index):
    if rank == victim and index >= 10:
        while {path.name[5] for path in Path.cwd().glob("run.unfinished/part-*")} != {"0", "1"}:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    if victim is not None and rank != victim:
        time.sleep(slow)
    return read(batches, index)

ImageBatches.__getitem__ = reading
if __name__ == "__main__":
    from fairaudit.__main__ import main
    main()
"""


def together(processes: int, words: tuple[object, ...], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in several processes."""
    (cwd / "worker.py").write_text(WORKER)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    line = [sys.executable, *start, "worker.py", *map(str, words)]
    own = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(line, cwd=cwd, env=own, capture_output=True, text=True, timeout=580, check=False)


TERMINATED = "fairaudit: terminated"
LOST = "fairaudit: another process of this run has ended, and its share of the work is missing"


def ours(text: str) -> list[str]:
    """What fairaudit said, without what torch and its launcher did."""
    return [line for line in text.splitlines() if line.startswith("fairaudit: ") or "images are kept" in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "slow", "last"),
    [("1", "1", [TERMINATED]), ("1", "0", [TERMINATED, LOST]), ("0", "1", [])],
    ids=["terminated", "waiting", "main"],
)
def test_a_killed_worker_costs_little(
    victim: str, slow: str, last: list[str], evaluate: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*evaluate, *SMALL, "--no-report")
    began = time.monotonic()
    killed = together(2, (*words, "--out", "run"), tmp_path, VICTIM=victim, SLOW=slow)
    assert killed.returncode != 0
    assert killed.stdout == ""
    said = ours(killed.stderr)
    assert said, killed.stderr
    assert said[0].startswith("at least "), killed.stderr
    assert said[0].endswith(GOES_ON)
    assert said[1:] in ([line] for line in last) if last else len(said) == 1, killed.stderr
    assert "Traceback" not in killed.stderr.split("ChildFailedError")[0].split("Sending process")[0]
    kept = sorted(path.name for path in (tmp_path / "run.unfinished").iterdir())
    assert kept[0] == "of.json"
    assert all(name.startswith("part-") for name in kept[1:]), "nothing half-written"
    assert {name[5] for name in kept[1:]} == {"0", "1"}, "both kept their shares"
    assert not (tmp_path / "run").exists()
    assert time.monotonic() - began < 300
    shutil.copytree(tmp_path / "run.unfinished", tmp_path / "both.unfinished")
    for name, processes in (("run", 1), ("both", 2)):
        done = together(processes, (*words, "--out", name, "--resume"), tmp_path)
        assert done.returncode == 0, done.stderr
        assert "images were predicted before the interruption" in done.stderr
        assert not (tmp_path / f"{name}.unfinished").exists()
    whole = spawn((*words, "--out", "whole"), tmp_path)
    _, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    for name in ("run", "both"):
        same_files(tmp_path / name, tmp_path / "whole")
