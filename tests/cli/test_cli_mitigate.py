"""``fairaudit mitigate`` as its user meets it: output, refusals that leave nothing, interruption and resuming."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.models import shufflenet_v2_x0_5

from tests.cli.conftest import Cli, fairaudit, files_below, spawn

pytestmark = pytest.mark.training

TINY = ("--data-option", "n=150", "--data-option", "size=32", "--device", "cpu", "--bootstrap", 100, "--min-support", 5)
ONE = (*TINY, "--seeds", 1, "--epochs", 1, "--quiet")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment with two targets, so that its checkpoint has more outputs than one target."""
    out = tmp_path_factory.mktemp("cli") / "run"
    done = fairaudit("mitigate", "--loss", "val-attention", "--target", "gender,Smiling", *ONE, "--out", out)
    assert done.code == 0, done.err
    return out


def test_nothing_but_a_loss(cli: Cli) -> None:
    done = cli("mitigate", "--loss", "max-group", *TINY, "--seeds", 2, "--epochs", 1)
    assert done.code == 0, done.err
    told = done.err.splitlines()
    assert told[0] == (
        "no --data: training on drawn faces, of whom nearly all women and few men wear glasses; nobody is shown"
    )
    assert [line for line in told if re.match(r"training \d", line)] == [
        "training 1 of 4: erm, seed 0",
        "training 2 of 4: max-group, seed 0",
        "training 3 of 4: erm, seed 1",
        "training 4 of 4: max-group, seed 1",
    ]
    [folder] = Path("runs").iterdir()
    assert told[-1] == f"written: {folder}"
    assert re.fullmatch(r"\d{8}-\d{6}-max-group-synthetic", folder.name)
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert done.out.startswith("gender on 30 test images, mean ± SD of 2 seeds\n")
    assert "by gender × Eyeglasses" in done.out
    assert "by a t-test over seeds and by" in done.out


def test_its_own_file_gives_the_same_run(cli: Cli) -> None:
    asked = ("--loss", "max-group", "--data", "synthetic", "--by", "tone", *TINY, "--seeds", 1, "--epochs", 1)
    first = cli("mitigate", *asked, "--select", "last", "--size", 32, "--out", "a", "--format", "csv")
    assert first.code == 0, first.err
    again = cli("mitigate", "--config", "a/mitigate.toml", "--out", "b", "--format", "csv")
    assert again.code == 0, again.err
    assert again.out == first.out
    assert Path("b/mitigate.toml").read_text() == Path("a/mitigate.toml").read_text()
    assert files_below(Path("a")) == files_below(Path("b"))


def test_json_and_no_baseline(cli: Cli) -> None:
    done = cli("mitigate", "--loss", "reweight", "--baseline", "none", *ONE, "--out", "run", "--format", "json")
    assert done.code == 0, done.err
    assert done.record["baseline"] is None
    assert [arm["name"] for arm in done.record["arms"]] == ["reweight"]
    assert "no baseline was trained: nothing here says whether a method helped" in done.record["notes"]
    assert done.record == json.loads(Path("run/mitigation.json").read_text())


LOSSES = "--loss", "max-group"
REFUSED = {
    "no loss": ((), "name what is tried: --loss NAME or --method NAME; 'fairaudit list losses' and 'list methods' tell"),
    "unknown loss": (("--loss", "max-gruop"), "unknown loss 'max-gruop'; did you mean 'max-group'?"),
    "unknown method": (("--method", "last-lyer"), "unknown method 'last-lyer'; did you mean 'last-layer'?"),
    "unknown option": (
        ("--loss", "max-group:emma=1"),
        "max-group has no option 'emma'; it has: ema, min_count; did you mean 'ema'?",
    ),
    "share of nothing": (
        (*LOSSES, "--split-shares", "1,0,0"),
        "--split-shares 1.0,0.0,0.0: it must be greater than 0",
    ),
    "two shares": (
        (*LOSSES, "--split-shares", "1,2"),
        "--split-shares '1,2': 2 were given; write three, for training, validation, test",
    ),
    "resume nothing": ((*LOSSES, "--resume"), "--resume needs the experiment's folder: --out DIR"),
    "no weights": ((*LOSSES, "--weights", "nope.pth"), "nope.pth: no such file"),
    "no model": (("nope.pt", *LOSSES), "nope.pt: no such file"),
    "a rate below zero": ((*LOSSES, "--lr", "-1"), "--lr -1.0: it must be greater than 0"),
    "warmup": ((*LOSSES, "--warmup", 1), "a warmup of 1 epochs leaves nothing of 1; it must be shorter"),
    "a target twice": ((*LOSSES, "--target", "gender,gender"), "--target gender,gender names a target twice"),
    "a layer": (
        (*LOSSES, "--freeze", "layer9"), "no layer of the network is called 'layer9'; "
                "did you mean 'layer4' or 'layer3'?"),
    "the same twice": ((*LOSSES, *LOSSES), "two arms are called max-group; give one a label, or leave one out"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_nothing(cli: Cli, what: str) -> None:
    words, message = REFUSED[what]
    place = () if "--resume" in words else ("--out", "run")
    cli("mitigate", *ONE, *words, *place).refused(message)
    assert files_below(Path()) == []


def test_weights_of_another_network(cli: Cli, ran: Path) -> None:
    done = cli("mitigate", *ONE, *LOSSES, "--weights", ran / "erm/seed-0/model.pt", "--arch", "resnet18", "--out", "run")
    assert done.code == 2
    assert done.err.startswith("fairaudit: model.pt does not fit timm/resnet18: ")
    assert done.err.endswith("; name the right network with --arch and --arch-kwargs\n")
    assert files_below(Path()) == []


def test_a_checkpoint_of_other_classes(cli: Cli, ran: Path) -> None:
    cli("mitigate", ran / "erm/seed-0/model.pt", *ONE, *LOSSES, "--out", "run").refused(
        "model.pt predicts gender, Smiling, not gender alone; to keep its backbone and train a new head, "
        "give it as --weights"
    )
    torch.manual_seed(0)
    torch.save(shufflenet_v2_x0_5(num_classes=5).state_dict(), "five.pt")
    cli("mitigate", "five.pt", *ONE, *LOSSES, "--out", "run").refused(
        "the model has 5 outputs but gender has 2 classes (woman, man); to keep its backbone and train a new head, "
        "give it as --weights"
    )
    assert not Path("run").exists()


def test_a_rate_at_which_training_diverges(cli: Cli) -> None:
    """Nothing is left that would be in the way of the same with a lower rate."""
    asked = ("mitigate", *TINY, *LOSSES, "--seeds", 1, "--epochs", 6, "--quiet", "--out", "run")
    done = cli(*asked, "--lr", "1e9")
    assert done.code == 2
    what = "the loss became (nan|infinite)|the outputs on validation images are no finite numbers"
    assert re.fullmatch(rf"fairaudit: ({what}) in epoch \d: lower --lr \(now 1e\+09\)\n", done.err)
    assert files_below(Path()) == []


def test_an_arm_at_whose_rate_training_diverges(cli: Cli) -> None:
    """The others are trained all the same, and go on without it."""
    arms = ("sweep", *TINY, "--loss", "cross-entropy", "--seeds", 2, "--epochs", 2, "--quiet", "--out", "run")
    done = cli(*arms, "--lr", "1e-3", "--grid", "lr=1e-3,1e9,2e-3")
    assert done.code == 2
    assert done.err == (
        "fairaudit: arm erm(lr=1000000000.0): the outputs on validation images are no finite numbers in epoch 1: lower "
        "--lr (now 1e+09); the rest is trained, and goes on with --resume\n"
    )
    whole = sorted(path.parent.relative_to("run").as_posix() for path in Path("run").rglob("run.json"))
    assert [name.partition("/")[2] for name in whole] == ["seed-0", "seed-1"] * 2
    assert not [name for name in files_below(Path("run")) if "1e" in name or ".training" in name]
    again = cli(*arms, "--lr", "1e-3", "--grid", "lr=1e-3,2e-3", "--resume")
    assert again.code == 0, again.err


FORESEEN = {
    "a class": (("--method", "thresholds:positive=boy"), "thresholds has no class 'boy' to be positive"),
    "no teacher": (("--method", "distil:teacher=nobody.pt"), "nobody.pt: no such file"),
    "no second classifier": (("--method", "infer-groups:checkpoint=nobody.pt"), "nobody.pt: no such file"),
    "a student of no name": (("--method", "distil:student=resnett18"), "unknown architecture 'resnett18'"),
    "one target": (("--method", "multi-task"), "the method multi-task needs several targets"),
    "several targets": (
        ("--method", "last-layer", "--target", "gender,Smiling"), "the method last-layer works on one target"),
    "an option": (("--method", "just-train-twice:upweight=0"), "upweight of just-train-twice must be at least 1, not 0"),
    "the trunk": (("--method", "contrastive", "--freeze", "backbone"), "the method contrastive trains what lies below"),
    "mixed": (("--method", "lisa", "--augment", "mixup"), "the method lisa mixes images itself"),
    "an image size": (
        ("--method", "distil:student=squeezenet1_1", "--size", 16),
        "the network fails on images of 16 × 16 pixels: Given input size: (256x1x1). Calculated output size: (256x0x0). "
        "Output size is too small; give another --size"),
    "a class of the audit": ((*LOSSES, "--positive", "nope"), "unknown class 'nope'; choose from woman, man"),
    "a level of the audit": (
        (*LOSSES, "--privileged", "gender=nope"),
        "unknown level of 'gender' in --privileged: 'nope'; choose from woman, man"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORESEEN)
def test_what_would_be_refused_later_is_said_before_the_baseline_is_trained(cli: Cli, what: str) -> None:
    words, message = FORESEEN[what]
    done = cli("mitigate", *ONE[:-1], *words, "--out", "run")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"fairaudit: {message}")
    assert "training 1 of" not in done.err
    assert files_below(Path()) == []


def table(root: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Small pictures and a table of them: split, class and group of each."""
    root.mkdir()
    named = [(f"{k}.png", *row) for k, row in enumerate(rows)]
    pd.DataFrame(named, columns=["path", "split", "smile", "team"]).to_csv(root / "labels.csv", index=False)
    for k in range(len(rows)):
        Image.new("RGB", (32, 32), (k % 256, k // 256, 90)).save(root / f"{k}.png")
    return root


def refused_table(cli: Cli, root: Path, message: str, *more: object, by: str | None = "team") -> None:
    """Assert the refusal of an experiment on a table, before anything is written."""
    groups = () if by is None else ("--by", by)
    short = ("--seeds", 1, "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--quiet", "--out", "run")
    words = ("mitigate", *LOSSES, "--data", "table", "--root", root, "--target", "smile", *groups, *short, *more)
    before = files_below(Path())
    cli(*words).refused(message)
    assert files_below(Path()) == before


BOTH = [(smile, team) for smile in ("no", "yes") for team in ("a", "b")]


def test_a_group_without_training_images(cli: Cli) -> None:
    rows = [("train", smile, "a") for smile in ("no", "yes")] * 12
    rows += [(split, *cell) for split in ("val", "test") for cell in BOTH] * 4
    refused_table(
        cli,
        table(Path("faces"), rows),
        "the group 'b' has no training images, and the loss max-group needs some of every group; add images of it, or "
        "group by other attributes",
        "--splits",
        "official",
    )


def test_nobody_said_what_the_groups_are(cli: Cli) -> None:
    root = table(Path("faces"), [("train", *cell) for cell in BOTH] * 10)
    refused_table(cli, root, "table has no usual groupings; name one with --by (smile, team)", by=None)


def test_a_target_with_one_class(cli: Cli) -> None:
    root = table(Path("faces"), [("train", "yes", team) for team in ("a", "b")] * 20)
    refused_table(cli, root, "all 32 training images are 'yes' in smile; a classifier needs two classes or more")


def test_more_groups_than_images(cli: Cli) -> None:
    rows = [
        (split, smile, f"{smile}{k}") for split in ("train", "val", "test") for k in range(6) for smile in ("no", "yes")
    ]
    refused_table(
        cli,
        table(Path("faces"), rows),
        "team makes 12 groups, more than the 6 training images; cross fewer attributes",
        "--splits",
        "official",
        "--limit",
        10,
    )


def test_a_picture_is_gone(cli: Cli) -> None:
    root = table(Path("faces"), [("train", *cell) for cell in BOTH] * 10)
    (root / "7.png").unlink()
    refused_table(
        cli,
        root,
        "1 of 4 test images are not there, the first is '7.png'; check the dataset's folder, or leave them "
        "out of its labels",
    )


def test_going_on(cli: Cli) -> None:
    asked = ("mitigate", *LOSSES, *ONE, "--out", "run")
    first = cli(*asked, "--format", "json")
    assert first.code == 0, first.err
    held = files_below(Path())
    cli(*asked).refused("run holds an experiment already; go on with it with --resume, or choose another --out")
    cli(*asked, "--resume", "--lr", 0.5).refused(
        "run/mitigate.toml was run with another training.lr (0.003, now 0.5); resume it as it was, or choose another --out"
    )
    Path("other").mkdir()
    Path("other/x").touch()
    cli(*asked[:-1], "other").refused("other holds x; an experiment needs a folder of its own, choose another --out")
    again = cli(*asked, "--resume", "--format", "json")
    assert again.out == first.out
    assert [name for name in files_below(Path()) if not name.startswith("other")] == held


def without_times(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    for arm in found["arms"]:  # type: ignore[attr-defined]
        for run in arm["runs"]:
            run.pop("seconds")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_interrupted_and_resumed(cli: Cli, how: str) -> None:
    asked = ("mitigate", *LOSSES, *TINY, "--seeds", 2, "--epochs", 12, "--out")
    whole = cli(*asked, "whole")
    assert whole.code == 0, whole.err
    process = spawn([*asked, "run"], Path())
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training 2 of 4"):
            break
    deadline = time.monotonic() + 60
    while not list(Path("run/max-group").glob(".seed-0.training/model/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(getattr(signal, how))
    rest = process.stderr.read()
    code = process.wait()
    process.stderr.close()
    if process.stdout is not None:
        process.stdout.close()
    if how == "SIGINT":
        assert (code, rest) == (
            130,
            "what is finished is kept; go on with the same command and --resume --out run\nfairaudit: interrupted\n",
        )
    else:
        assert code == -signal.SIGKILL
    assert [path.parent.as_posix() for path in Path("run").rglob("run.json")] == ["run/erm/seed-0"]
    finished = {path: path.stat().st_mtime_ns for path in Path("run/erm/seed-0").rglob("*")}
    assert not Path("run/max-group/seed-0").exists()
    resumed = cli(*asked, "run", "--resume")
    assert resumed.code == 0, resumed.err
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert without_times(Path("run/mitigation.json")) == without_times(Path("whole/mitigation.json"))
    assert files_below(Path("run")) == files_below(Path("whole"))
