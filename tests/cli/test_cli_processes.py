"""What needs a process of its own: signals, pipes, a full disk behind stdout, what is imported."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairaudit.data.images import ImageBatch, ImageBatches
from tests.cli.conftest import SIZE, Cli, files_below, spawn

pytestmark = pytest.mark.training

LISTEN = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # ignored in the background
RUN = "from fairaudit.__main__ import main; main()"
LONG = (
    "--data",
    "synthetic",
    "--data-option",
    "n=600",
    "--data-option",
    "size=512",
    "--split",
    "all",
    "--by",
    "tone",
    "--batch-size",
    "2",
)


def test_ctrl_c_leaves_nothing(model: Path, tmp_path: Path) -> None:
    process = spawn(("evaluate", model, *LONG), tmp_path, start=("-c", f"{LISTEN}; {RUN}"))
    assert process.stderr is not None
    for line in iter(process.stderr.readline, ""):
        if line.startswith("groups"):
            break
    time.sleep(0.5)  # well into the images, of which there are minutes
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "fairaudit: interrupted"
    assert "Traceback" not in err
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals_in_the_middle_of_the_images(
    number: int, code: int, said: str, evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ImageBatches.__getitem__

    def signalling(batches: ImageBatches, index: int) -> ImageBatch:
        if index == 5:
            os.kill(os.getpid(), number)
        return read(batches, index)

    monkeypatch.setattr(ImageBatches, "__getitem__", signalling)
    before = signal.getsignal(signal.SIGTERM)
    result = cli(*evaluate, "--batch-size", 2, "--out", "run", "-q")
    assert (result.code, result.out, result.err) == (code, "", f"fairaudit: {said}\n")
    assert files_below(Path.cwd()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def shell(text: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash that fails where any part of a pipe does; ``$F`` is fairaudit."""
    line = f"set -o pipefail; F='{sys.executable} -m fairaudit'; {text}"
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (
            "$F audit {table} --y-true gender --by race --format csv",
            "by,group,n,metric,kind,value,ci_low,ci_high,support,reason,p_value,p_holm,p_bh",
        ),
        ("$F audit {table} --y-true gender --by race 2>&1", "Audit of gender (man, woman): 252 images, 95 % intervals"),
        ("$F list schema", "{"),
    ],
)
def test_a_reader_that_leaves_is_no_error(command: str, first: str, table: Path) -> None:
    done = shell(f"{command.format(table=table)} | head -1", table.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{first}\n", "")


def test_a_verdict_survives_a_reader_that_leaves(table: Path) -> None:
    rule = "--rule 'accuracy gap by race <= 0.1' --format json"
    done = shell(f"$F audit {table} --y-true gender --by race {rule} | head -1", table.parent)
    assert (done.returncode, done.stdout, done.stderr) == (1, "{\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", ["list schema", "--help"])
def test_a_result_that_cannot_be_written_is_said(command: str, tmp_path: Path) -> None:
    done = shell(f"$F {command} > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "fairaudit: the result could not be written to stdout: the disk is full\n",
    )


def test_closed_streams_are_no_error(tmp_path: Path) -> None:
    done = shell("$F list reports >&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("$F list nothing 2>&-", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


HELP = [[*c, "--help"] for c in ([], *([c] for c in ("evaluate", "audit", "gate", "report", "list", "data", "demo")))]
LIST = [["list", what] for what in ("datasets", "losses", "metrics", "intervals", "reports", "schema")]
TABLE = ["audit", "predictions.csv", "--y-true", "gender", "--by", "race"]
AUDIT = [
    [*TABLE, "--out", "run", "--no-report"],
    ["gate", "run", "--rule", "accuracy gap by race <= 0.7", "--exit-zero"],
    ["report", "run", "--format", "markdown"],
]


@pytest.mark.parametrize(
    ("commands", "unneeded"),
    [
        ([*HELP, ["data", "profile", "--help"]], ("numpy", "pandas")),
        (LIST, ("pandas",)),
        ([["list", "datasets", "fairface"]], ()),
        (AUDIT, ("pandas", "sklearn", "matplotlib")),
        ([[*TABLE, "--out", "paged"], ["report", "paged", "--format", "html"]], ("pandas", "sklearn")),
    ],
    ids=["help", "list", "card", "audit", "page"],
)
def test_what_needs_no_torch_does_not_import_it(commands: list[list[str]], unneeded: tuple[str, ...], table: Path) -> None:
    """One process for all commands of a kind: what one of them imports stays imported."""
    lines = [
        "import sys",
        "from fairaudit.cli.app import run",
        *(f"code = run({words!r}); assert code == 0, ({words!r}, code)" for words in commands),
        "print(*sys.modules, file=sys.stderr)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=table.parent, capture_output=True, text=True, timeout=60, check=True
    )
    imported = set(done.stderr.splitlines()[-1].split())
    assert "fairaudit.cli.app" in imported
    assert imported.isdisjoint({"torch", "torchvision", "timm", "accelerate", *unneeded})


def torchrun(words: tuple[object, ...], cwd: Path, processes: int = 2) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start = [sys.executable, *launcher, "-m", "fairaudit"]
    return subprocess.run([*start, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.slow
def test_several_processes_give_the_same_files_as_one(evaluate: tuple[str, ...], tmp_path: Path) -> None:
    words = (*evaluate, "--batch-size", 4, "--format", "json")
    alone = spawn((*words, "--out", "alone"), tmp_path)
    out, err = alone.communicate(timeout=120)
    assert alone.returncode == 0, err
    for attempt, processes in enumerate((2, 2, 4)):
        done = torchrun((*words, "--out", f"both{attempt}"), tmp_path, processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout == out, "one process speaks, and says the same"
        assert done.stderr.count("model   torchvision") == 1
        assert done.stderr.count("written: ") == 1
        for name in ("predictions.parquet", "audit.json", "config.toml"):
            assert (tmp_path / f"both{attempt}" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


@pytest.mark.slow
def test_errors_are_said_once_by_two_processes(
    evaluate: tuple[str, ...], model: Path, fairface: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / "val").mkdir(parents=True)
    shutil.copy(fairface / "fairface_label_val.csv", copy)
    shutil.copy(fairface / "val" / "1.jpg", copy / "val")
    for words, said in [
        (("evaluate", "nothing.pt", *evaluate[2:]), "fairaudit: nothing.pt: no such file"),
        ((*evaluate, "--rule", "acuracy gap by race <= 0.1"), "fairaudit: unknown metric in the rule"),
        (("evaluate", model, "--data", "fairface", "--root", copy, "--size", SIZE), "fairaudit: 41 of 42 images cannot"),
    ]:
        done = torchrun(words, tmp_path)
        assert done.returncode != 0
        assert done.stderr.count(said) == 1, done.stderr
        assert done.stdout == ""
        assert not (tmp_path / "runs").exists()
