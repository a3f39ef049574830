"""The audit of Mahadev & Chakravarti, as sample_configs/s3_audit.sh runs it, on drawn faces and with tiny networks."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from fairaudit.data.faces import render, sample_face
from fairaudit.models.factory import build_network
from tests.cli.conftest import Cli

pytestmark = pytest.mark.training

SAMPLES = Path(__file__).parents[2] / "sample_configs"
NAMES = ("Boy", "Car", "Girl", "Man", "Tree", "Woman")
CHEAP = ("--samples", 20, "--repeats", 2, "--random-orders", 2, "--worst", 1)


def drawn_mr2(root: Path) -> None:
    root.mkdir(parents=True)
    for k, (race, gender, number) in enumerate(itertools.product("abe", "fm", range(1, 4))):
        face = sample_face(np.random.default_rng(k), gender="woman" if gender == "f" else "man")
        render(face, 48).save(root / f"MR2{race}{gender}{number:02d}.png")


def stand_in(path: str, outputs: int, **also: object) -> None:
    """A tiny network of random weights in the place of the real one."""
    torch.manual_seed(outputs)
    network = build_network("timm/test_resnet", outputs, {})
    torch.save({"state_dict": network.state_dict(), **also}, path)


def test_the_whole_audit(cli: Cli) -> None:
    drawn_mr2(Path("data/mr2"))
    stand_in("recogniser.pt", len(NAMES), classes=list(NAMES))
    stand_in("baseline.pt", 2)
    for path in SAMPLES.glob("s3_*"):
        shutil.copy(path, path.name)
    script = Path("s3_audit.sh").read_text()
    steps = [shlex.split(line) for line in re.findall(r"^fairaudit (.*)$", script.replace("\\\n", ""), re.MULTILINE)]
    assert [step[0] for step in steps] == ["data", *["evaluate"] * 4, "compare", "explain", "explain"]
    for step in steps:
        tiny = {"evaluate": ("--arch", "timm/test_resnet", "--size", 32), "explain": CHEAP}.get(step[0], ())
        done = cli(*step, *tiny)
        assert done.code == 0, done.err
        assert done.out.strip()
    folders = sorted(path.name for path in Path("runs/s3").iterdir())
    assert folders == [
        "baseline", "baseline-looks", "baseline-women", "both.json", "recogniser", "recogniser-looks", "recogniser-women",
    ]  # fmt: skip
    asked = tomllib.loads(Path("s3_recogniser.toml").read_text())
    audit = json.loads(Path("runs/s3/recogniser/audit.json").read_text())
    assert [rule["rule"] for rule in audit["rules"]] == asked["audit"]["rules"]
    assert [grouping["by"] for grouping in audit["groupings"]] == asked["audit"]["by"]
    women = json.loads(Path("runs/s3/recogniser-women/audit.json").read_text())
    assert (audit["overall"]["n"], women["overall"]["n"]) == (18, 9)
    looks = json.loads(Path("runs/s3/recogniser-looks/explain.json").read_text())
    assert looks["settings"]["superpixels"] == "quickshift"
    assert {row["predicted"] for row in looks["rows"]} <= {"Female", "Male"}
    assert {row["group"]["race"] for row in looks["rows"]} == {"African", "Asian", "European"}
    compared = json.loads(Path("runs/s3/both.json").read_text())
    assert [grouping["by"] for grouping in compared["comparisons"][0]["groupings"]] == [
        ["race"], ["gender"], ["race", "gender"],
    ]  # fmt: skip


def test_both_configurations_ask_the_same() -> None:
    one, other = (tomllib.loads((SAMPLES / f"s3_{name}.toml").read_text()) for name in ("recogniser", "baseline"))
    assert one["audit"] == other["audit"]
    assert one["explain"] == other["explain"]
    assert one["network"]["merge"] == {"Female": ["Woman", "Girl"], "Male": ["Man", "Boy"]}
