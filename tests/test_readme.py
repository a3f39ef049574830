"""The README is true: its commands run, its layer list is the contract's, its tables name what exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from fairaudit import plugins
from fairaudit.cli.app import run
from fairaudit.data.faces import render, sample_face
from fairaudit.metrics.disparity import KINDS, NAMED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip().startswith("fairaudit")
]
RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.save(torchvision.models.shufflenet_v2_x0_5(num_classes=2).state_dict(), folder / "model.pt")
    (folder / "data" / "fairface" / "val").mkdir(parents=True)
    (folder / "faces").mkdir()
    labels, table = ["file,age,gender,race,service_test"], ["file,gender,race,gender_pred"]
    for i in range(70):
        picture = render(sample_face(rng), size=64)
        picture.save(folder / "faces" / f"{20 + i}_{i % 2}_{i // 2 % 5}_20170109.jpg")
        if i < 28:
            picture.save(folder / "data" / "fairface" / "val" / f"{i}.jpg")
            labels.append(f"val/{i}.jpg,20-29,{('Female', 'Male')[i % 2]},{RACES[i % 7]},True")
    torch.save(torchvision.models.mobilenet_v2().state_dict(), folder / "mobilenet_v2.pth")
    several = ["file,Male,Male_pred,Smiling,Smiling_pred"]
    several += [f"{i}.jpg,{','.join(map(str, rng.integers(0, 2, 4)))}" for i in range(400)]
    (folder / "labels.csv").write_text("\n".join(several))
    for i in range(1400):
        gender = ("Female", "Male")[int(rng.integers(2))]
        table.append(f"{i}.jpg,{gender},{RACES[i % 7]},{gender if rng.random() < 0.9 else 'Male'}")
    (folder / "data" / "fairface" / "fairface_label_val.csv").write_text("\n".join(labels))
    for name in ("predictions", "old", "new", "a1", "a2", "b1", "b2"):
        (folder / f"{name}.csv").write_text("\n".join(table))
    for name, rows in (("part1", table[1:701]), ("part2", table[701:])):
        (folder / f"{name}.csv").write_text("\n".join([table[0], *rows]))
    people = ["path,gender,identity"]
    for person in range(32):
        name = f"Person_{person}"
        (folder / "data" / "lfw" / name).mkdir(parents=True)
        for i in range(3):
            render(sample_face(np.random.default_rng(person)), size=32 + i).save(folder / "data/lfw" / name / f"{i}.jpg")
            people.append(f"{name}/{i}.jpg,{('female', 'male')[person % 2]},{name}")
    (folder / "data" / "lfw" / "labels.csv").write_text("\n".join(people))
    (folder / "policy.toml").write_text((ROOT / "sample_configs" / "policy.toml").read_text())
    return folder


LONG = re.compile("fairaudit (mitigate|sweep|explain|attribute|embed|report .* --gallery) ")


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=pytest.mark.training if LONG.match(c) else ()) for c in COMMANDS if "demo" not in c],
)
def test_every_command_runs(
    command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.delenv("FAIRAUDIT_DATA", raising=False)
    if "runs/example" in command and not (workplace / "runs" / "example").exists():
        words = ["--out", "runs/example", "--size", "64", "--no-report"]
        assert run(["evaluate", "model.pt", "--data", "fairface", *words]) == 0
    for part in re.findall(r"part\d", command):
        words = ["--y-true", "gender", "--by", "race", "--privileged", "race=White", "--out", f"runs/{part}", "--no-report"]
        assert run(["audit", f"{part}.csv", *words]) == 0
    small = []
    if re.match("fairaudit (mitigate|sweep) ", command):  # the same commands at sizes that a test can wait for
        small = ["--size", "32", "--seeds", "1", "--epochs", "1"]
        small += [] if "--data" in command else ["--data-option", "n=200"]
    if command.startswith("fairaudit embed"):
        small = ["--size", "32"]
    if command.startswith("fairaudit explain"):
        small = ["--method", "grad-cam", "--random-orders", "3"]
    if command.startswith("fairaudit attribute"):
        small = ["--epochs", "1", "--width", "8", "--size", "32", "--patch", "8", "--per-side", "4", "--sample", "8"]
        small += ["--data-option", "n=120"]
    capsys.readouterr()
    code = run([*shlex.split(command)[1:], *small])
    said = capsys.readouterr()
    assert code in (0, 1, 3), said.err
    assert "fairaudit:" not in said.err
    assert said.out.strip() or ("--out" in command and "written: " in said.err)


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 7
    wanted = {
        "evaluate",
        "audit",
        "gate",
        "report",
        "data",
        "list",
        "mitigate",
        "sweep",
        "compare",
        "merge",
        "plan",
        "explain",
        "embed",
        "attribute",
    }
    assert wanted <= {shlex.split(c)[1] for c in COMMANDS}


def test_the_two_set_up_commands_are_those_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install . && fairaudit demo" in README
    assert "fairaudit demo" in ci
    assert "pip install '.[test]' && pytest" in README
    assert "'.[test]'" in ci
    assert "pytest -q" in ci


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["id"] == "layers")["layers"]
    shown = re.search(r"<!-- layers -->\n```\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert shown[1].split("\n")[:-1] == [re.sub(r"[()]", "", layer) for layer in layers]


def test_the_layers_not_built_yet_are_named_as_such() -> None:
    absent = [
        name
        for name in ("methods", "attribution", "embedding")
        if not (ROOT / "fairaudit" / name).exists() and not (ROOT / "fairaudit" / f"{name}.py").exists()
    ]
    kept = re.search(r"^(.+) (?:are places|is a place) kept for", README, re.MULTILINE)
    named = re.findall(r"`(\w+)`", kept[1]) if kept else []
    assert named == absent


def test_the_tables_name_what_exists() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert set(KINDS) <= set(rows)
    sentence = re.search(r"Metrics that are disparities themselves take no kind: (.*?) and more", README, re.DOTALL)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) <= set(NAMED)
    for kind in ("datasets", "losses", "methods", "reports"):
        assert f"`fairaudit.{kind}`" in README
        assert plugins.names(kind)
