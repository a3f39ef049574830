"""Bad input: one sentence that says what was wrong, where and what to do, exit code 2, and no file written."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any, NoReturn

import pytest
import timm
import torch

import fairaudit.workflows.evaluate as workflow
from tests.cli.conftest import Cli, files_below, shufflenet

TRUST = (
    "so it was not loaded; save the weights alone with torch.save(model.state_dict(), …), or, if you trust whoever made "
    "it, accept it with --trust-checkpoint"
)


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch exploded",))


@pytest.fixture
def words(evaluate: tuple[str, ...]) -> tuple[str, ...]:
    """``evaluate`` without its checkpoint."""
    return evaluate[2:]


# Checkpoints


def test_no_such_checkpoint(words: tuple[str, ...], cli: Cli) -> None:
    cli("evaluate", "model.pt", *words).refused("model.pt: no such file")
    Path("folder").mkdir()
    cli("evaluate", "folder", *words).refused("folder is a folder, not a checkpoint; name the file inside it")
    assert files_below(Path.cwd()) == ["folder"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_checkpoint(share: float, model: Path, words: tuple[str, ...], cli: Cli) -> None:
    content = model.read_bytes()
    Path("cut.pt").write_bytes(content[: int(len(content) * share)])
    said = "is damaged or cut short; fetch or copy it again" if share else "is empty (0 bytes); fetch or copy it again"
    cli("evaluate", "cut.pt", *words).refused(f"cut.pt {said}")
    assert files_below(Path.cwd()) == ["cut.pt"]


def test_a_pickle_that_would_run_code_does_not_run(model: Path, words: tuple[str, ...], cli: Cli) -> None:
    torch.save({"state_dict": torch.load(model, weights_only=True), "extra": Bomb()}, "beside.pt")
    torch.save(Bomb(), "alone.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("beside.pt", "alone.pt", "plain.pt"):
        cli("evaluate", name, *words).refused(
            f"{name} holds more than weights: loading it would run {os.name}.system, {TRUST}"
        )
    assert files_below(Path.cwd()) == ["alone.pt", "beside.pt", "plain.pt"], "nothing exploded"


def test_a_pickled_module_is_loaded_only_when_trusted(model: Path, words: tuple[str, ...], cli: Cli) -> None:
    network = shufflenet()
    network.load_state_dict(torch.load(model, weights_only=True))
    torch.save(network, "module.pt")
    culprit = "torchvision.models.shufflenetv2.ShuffleNetV2"
    cli("evaluate", "module.pt", *words).refused(
        f"module.pt holds more than weights: loading it would run {culprit}, {TRUST}"
    )
    trusted = cli("evaluate", "module.pt", *words, "--trust-checkpoint", "--out", "trusted", "-f", "json")
    assert trusted.code == 0, trusted.err
    assert trusted.out == cli("evaluate", model, *words, "--out", "bare", "-f", "json").out


def test_wrong_class_counts(model: Path, words: tuple[str, ...], cli: Cli) -> None:
    run = ("evaluate", model, *words)
    cli(*run, "--classes", "a,b,c").refused(
        "the model has 2 outputs but --classes names 3 (a, b, c); name every output, in order"
    )
    cli(*run, "--classes", "male,child").refused(
        "the model has no class for Female (21 images) of 'gender'; its classes are Male, child: name them with --classes, "
        "count outputs together with --merge, or restrict the audit with --where"
    )
    cli(*run, "--target", "race").refused(
        "the model has 2 outputs but race has 7 classes (Black, East Asian, Indian, Latino_Hispanic, Middle Eastern, "
        "Southeast Asian, White); name its outputs with --classes, merge them with --merge Black=… --merge 'East Asian'=…, "
        "or say what they mean with --head"
    )
    assert files_below(Path.cwd()) == []


def test_unknown_and_ambiguous_architectures(model: Path, words: tuple[str, ...], cli: Cli) -> None:
    torch.save({"a.weight": torch.zeros(3, 4), "b.weight": torch.zeros(2, 3)}, "own.pt")
    result = cli("evaluate", "own.pt", *words)
    assert result.code == 2
    start, _, end = result.err.partition(" or torchvision ")
    assert start == f"fairaudit: the checkpoint's 2 tensors fit no network of timm {timm.__version__}"
    assert end.partition(", ")[2] == (
        "and none is close (its first are a.weight and b.weight); name it with --arch and --arch-kwargs\n"
    )
    close = {**torch.load(model, weights_only=True), "conv1.0.weight": torch.zeros(12, 3, 3, 3)}
    torch.save(close, "close.pt")
    result = cli("evaluate", "close.pt", *words)
    assert result.code == 2
    assert result.err.endswith(
        "; the closest is torchvision/shufflenet_v2_x0_5, which differs in 1 tensors, first conv1.0.weight is 12x3x3x3 "
        "where 24x3x3x3 is expected; name it with --arch and --arch-kwargs\n"
    )
    torch.save(timm.create_model("test_efficientnet_gn", num_classes=2).state_dict(), "either.pt")
    cli("evaluate", "either.pt", *words).refused(
        "the weights fit timm/test_efficientnet_gn and timm/test_efficientnet_ln equally well, which compute different "
        "functions; choose with --arch"
    )
    named = cli("evaluate", "either.pt", *words, "--arch", "timm/test_efficientnet_ln", "--out", "run", "-f", "csv")
    assert named.code == 0, named.err
    assert "timm/test_efficientnet_ln (--arch)" in named.err


def test_weights_of_another_network(model: Path, words: tuple[str, ...], cli: Cli) -> None:
    run = ("evaluate", model, *words)
    cli(*run, "--arch", "torchvision/resnet18").refused(
        "model.pt does not fit torchvision/resnet18: 100 missing: conv1.weight, bn1.weight, bn1.bias and 97 more; 336 "
        "unexpected: conv1.0.weight, conv1.1.weight, conv1.1.bias and 333 more; 1 of another shape: fc.weight (2x1024 "
        "where 2x512 is expected); name the right network with --arch and --arch-kwargs"
    )
    assert "did you mean 'torchvision/shufflenet_v2_x0_5'" in cli(*run, "--arch", "torchvision/shuflenet_v2_x0_5").err
    assert files_below(Path.cwd()) == []


# Data


def test_no_images_left(evaluate: tuple[str, ...], cli: Cli) -> None:
    where = "race == 'White' and race == 'Black'"
    cli(*evaluate, "--where", where).refused(f"no images are left after --where {where!r}; all 42 were ruled out")
    assert files_below(Path.cwd()) == []


# Names


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--data", "fairfaces"), "unknown dataset 'fairfaces'; did you mean 'fairface'?"),
        (
            ("--format", "xml"),
            "unknown report format 'xml'; choose from csv, github, html, json, junit, markdown, model-card, terminal",
        ),
        (("--by", "rce"), "unknown attribute 'rce'; did you mean 'race'?"),
        (("--by", "rce", "--limit", "20"), "unknown attribute 'rce'; did you mean 'race'?"),
        (("--target", "gendr"), "unknown column 'gendr'; did you mean 'gender'?"),
        (("--positive", "woman"), "unknown class 'woman'; choose from Male, Female"),
        (("--split", "test"), "fairface has no split 'test'; choose from train, val, all"),
        (("--where", "race == 'Wite'"), "unknown level of 'race' in --where: 'Wite'; did you mean 'White'?"),
        (("--privileged", "race=Wite"), "unknown level of 'race' in --privileged: 'Wite'; did you mean 'White'?"),
        (
            ("--privileged", "gender=Male", "--by", "race"),
            "--privileged gender=Male fits no grouping; the groupings are race",
        ),
        (("--privileged", "White"), "--privileged 'White' cannot be read; write ATTRIBUTE=LEVEL, for example race=White"),
        (
            ("--rule", "accuracy gap by height <= 0.1"),
            "unknown attribute 'height'; choose from gender, age, race, service_test",
        ),
        (
            ("--rule", "acuracy gap by race <= 0.1"),
            "unknown metric in the rule 'acuracy gap by race <= 0.1': 'acuracy'; did you mean 'accuracy'?",
        ),
        (
            ("--rule", "true_positive_rate[Femal] gap by race <= 0.1"),
            "unknown class 'Femal'; did you mean 'Female' or 'Male'?",
        ),
        (
            ("--rule", "accuracy by race <= 0.1"),
            "the rule 'accuracy by race <= 0.1' does not say how groups are compared; after accuracy write one of "
            "difference, shortfall, ratio, gap, spread, worst_group, min_max_ratio, pairwise_mean",
        ),
        (("--data-option", "size=3"), "fairface has no option 'size'; it has: balanced"),
        (("--data-option", "size"), "--data-option 'size' cannot be read; write KEY=VALUE"),
        (
            ("--data-option", "split=val"),
            "'split' is no option of a dataset's source but a setting of its own: write --split",
        ),
        (("--strict",), "fairface has no option 'strict'; it has: balanced"),
        (("--device", "gpu"), "unknown device 'gpu'; did you mean 'cpu'?"),
        (("--precision", "fp8"), "--precision 'fp8': it must be 'fp32', 'bf16' or 'fp16'"),
        (("--resize", "stretch"), "--resize 'stretch': it must be 'squash' or 'crop'"),
        (("--size", "big"), "--size 'big': write a whole number of pixels, 224, or height and width, 224x192"),
        (("--size", "4"), "--size 4,4: it must be greater than or equal to 8"),
        (("--mean", "0.5,0.5"), "--mean '0.5,0.5': 2 numbers were given; write three (R,G,B), or one for all"),
        (("--std", "0"), "--std 0.0,0.0,0.0: every channel's standard deviation must be above 0"),
        (("--crop-pct", "2"), "--crop-pct 2.0: it must be less than or equal to 1"),
        (("--confidence", "95"), "--confidence 95.0: it must be less than 1"),
        (("--confidence", "0"), "--confidence 0.0: it must be greater than 0.5"),
        (("--limit", "0"), "--limit 0: it must be greater than or equal to 1"),
        (("--batch-size", "0"), "--batch-size 0: it must be greater than or equal to 1"),
        (("--on-inconclusive", "ignore"), "--on-inconclusive 'ignore': choose from error, fail, pass"),
        (("--policy", "none.toml"), "none.toml: no such file"),
        (("--config", "none.toml"), "none.toml: no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_does_not_exist_is_refused_before_the_model_runs(
    flags: tuple[str, ...], message: str, evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError("the model ran, perhaps for hours, before this was said")

    monkeypatch.setattr(workflow, "predict", never)
    cli(*evaluate, *flags).refused(message)
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate",), "name a checkpoint: fairaudit evaluate MODEL --data NAME, or --config FILE that names one"),
        (
            ("evaluate", "model.pt"),
            "name a dataset with --data; choose from celeba, fairface, image-folder, lfw, mr2, synthetic, table, utkface",
        ),
        (("audit",), "missing argument 'PREDICTIONS'"),
        (("list", "dataset"), "unknown list 'dataset'; did you mean 'datasets'?"),
        (("list", "datasets", "utkfaces"), "unknown dataset 'utkfaces'; did you mean 'utkface'?"),
        (("list", "schema", "x"), "unknown schema 'x'; choose from audit, comparison, embedding, mitigation"),
        (("gate", "none"), "none: no such file; name an audit.json or a run folder"),
        (
            ("report", "."),
            ". is not a run folder: it holds none of audit.json, mitigation.json, comparison.json, embedding.json",
        ),
    ],
)
def test_misuse_is_told_in_one_sentence(words: tuple[str, ...], message: str, cli: Cli) -> None:
    cli(*words).refused(message)


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("evaluat",), "no such command 'evaluat'"),
        (("evaluate", "--rol", "x"), "no such option: --rol"),
        (("evaluate", "model.pt", "--limit", "ten"), "invalid value for '--limit': "),
    ],
)
def test_what_typer_refuses_is_told_like_everything_else(words: tuple[str, ...], start: str, cli: Cli) -> None:
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"fairaudit: {start}"), "Typer's own words follow, which differ from version to version"
    assert result.err.count("\n") == 1


def test_nothing_at_all_prints_the_help(cli: Cli) -> None:
    for words in ((), ("data",)):
        result = cli(*words)
        assert (result.code, result.err) == (2, "")
        assert "Usage: fairaudit" in result.out


# Faults that are not the user's


def test_a_full_disk(evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, calls = Path.replace, []

    def full(path: Path, target: Path) -> Path:
        calls.append(target.name)
        if target.name == "audit.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    Path("deep").mkdir()
    cli(*evaluate, "--out", "deep/run", "-q", "--limit", 14).refused(
        "deep/run could not be written: the disk is full; free some space or write elsewhere"
    )
    assert "predictions.parquet" in calls, "one file was whole, and goes all the same"
    assert files_below(Path.cwd()) == ["deep"]


def test_a_place_that_cannot_be_written_is_refused_before_the_model_runs(
    evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "predict", None)
    Path("file").write_text("x")
    cli(*evaluate, "--out", "file").refused("file is a file, but a run is a folder; choose another name for --out")
    cli(*evaluate, "--out", "file/run").refused("file/run could not be written: a part of the path is a file, not a folder")
    if Path("/proc/self").exists():
        cli(*evaluate, "--out", "/proc/run").refused("/proc/run could not be written: No such file or directory")


def test_our_own_faults_exit_70_and_never_1(evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise KeyError("lost\nand found")

    monkeypatch.setattr(workflow, "predict", broken)
    result = cli(*evaluate, "--exit-zero", "-q")
    assert (result.code, result.out) == (70, "")
    assert result.err == (
        "fairaudit: internal error, please report it: KeyError: 'lost\\nand found' (FAIRAUDIT_DEBUG=1 shows where)\n"
    )
    monkeypatch.setenv("FAIRAUDIT_DEBUG", "1")
    assert "Traceback" in cli(*evaluate, "-q").err
    assert files_below(Path.cwd()) == []
