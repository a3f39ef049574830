"""Every file in sample_configs/ is run, and so is every command that one of them names."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fairaudit.attribution.masks import KINDS
from fairaudit.data.faces import another_picture, render, sample_face
from fairaudit.data.sources.celeba import ATTRIBUTES
from tests.cli.conftest import GENDERS, RACES, Cli, Finished

pytestmark = pytest.mark.training

SAMPLES = Path(__file__).parents[2] / "sample_configs"


@pytest.fixture
def project(cli: Cli, model: Path, fairface: Path, table: Path) -> Cli:
    """A user's project: model.pt, data/fairface, predictions.csv and the sample files, as the working folder."""
    Path("data").mkdir()
    Path("data/fairface").symlink_to(fairface)
    shutil.copy(model, "model.pt")
    predictions = table.read_text().replace("woman", "Female").replace("man", "Male")
    Path("predictions.csv").write_text(predictions)
    for path in SAMPLES.iterdir():
        shutil.copy(path, path.name)
    return cli


def commands(name: str) -> list[list[str]]:
    """What follows ``fairaudit`` in a sample file, up to a redirection, in order."""
    known = "embed|evaluate|audit|gate|report|data|list|demo|mitigate|sweep|attribute"
    lines = re.findall(rf"\bfairaudit ((?:{known})\b.*)", (SAMPLES / name).read_text())
    return [shlex.split(re.split(r"\s(?:>>|>|\|)\s", line)[0]) for line in lines]


def test_there_is_nothing_else() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir()) == [
        "attribute_celeba_smiling.toml",
        "evaluate_fairface.toml",
        "github_actions.yml",
        "kubernetes_job.yml",
        "mitigate_celeba_attribution_mask.toml",
        "mitigate_celeba_last_layer.toml",
        "mitigate_fairface_val_attention.toml",
        "mitigate_lfw_parade.toml",
        "mitigate_utkface_max_group.toml",
        "policy.toml",
        "s3_audit.sh",
        "s3_baseline.toml",
        "s3_recogniser.toml",
        "slurm_evaluate.sh",
        "sweep_celeba_attribution.toml",
        "sweep_fairface.toml",
    ]


def test_the_workflow(project: Cli) -> None:
    steps = commands("github_actions.yml")
    assert [step[0] for step in steps] == ["evaluate", "gate"]
    summary = project(*steps[0])
    assert summary.code == 0, summary.err
    assert summary.out.startswith("#"), "Markdown and nothing else goes into the summary"
    judged = project(*steps[1], "--format", "json")
    assert judged.code == {"pass": 0, "fail": 1, "inconclusive": 3}[judged.record["verdict"]]
    assert [len(rule["outcomes"]) > 0 for rule in judged.record["rules"]] == [True] * 8


def test_the_cluster_script(project: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scheduler's two commands replaced: one node, which runs two processes."""
    for name, does in (("srun", 'exec "$@"'), ("scontrol", "echo localhost")):
        Path("bin", name).parent.mkdir(exist_ok=True)
        Path("bin", name).write_text(f"#!/bin/sh\n{does}\n")
        Path("bin", name).chmod(0o755)
    told = {
        "SLURM_JOB_ID": "7",
        "SLURM_NNODES": "1",
        "SLURM_JOB_NODELIST": "n1",
        "PROCESSES": "2",
        "PORT": str(free_port()),
    }
    path = os.pathsep.join([str(Path("bin").resolve()), str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["sh", "slurm_evaluate.sh"], env={**os.environ, **told, "PATH": path}, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode in (1, 3), ended.stderr
    assert "Traceback" not in ended.stderr
    assert_the_same_as_one_process(project, Path("runs/slurm"))


def test_the_job(project: Cli) -> None:
    job = yaml.safe_load((SAMPLES / "kubernetes_job.yml").read_text())["spec"]
    pod = job["template"]["spec"]
    [evaluate], [gate] = pod["initContainers"], pod["containers"]
    verdicts = {"containerName": gate["name"], "operator": "In", "values": [1, 2, 3]}
    assert job["podFailurePolicy"]["rules"][0] == {"action": "FailJob", "onExitCodes": verdicts}, "a verdict is said once"
    assert (job["backoffLimit"], pod["restartPolicy"]) == (3, "Never"), "such a policy is for pods that are not restarted"
    assert "--resume" in evaluate["command"], "what is tried again goes on"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for container, codes in ((evaluate, (0,)), (gate, (1, 3))):
        ended = subprocess.run(
            container["command"], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode in codes, ended.stderr
    assert_the_same_as_one_process(project, Path("runs/job"))


def assert_the_same_as_one_process(project: Cli, folder: Path) -> None:
    alone = project("evaluate", "model.pt", "--data", "fairface", "--exit-zero", "--out", "alone")
    assert alone.code == 0, alone.err
    assert (folder / "audit.json").read_bytes() == Path("alone/audit.json").read_bytes()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def test_the_policy(project: Cli) -> None:
    named = commands("policy.toml")
    assert [words[0] for words in named] == ["evaluate", "audit", "gate"]
    evaluated = project(*named[0], "--size", 32, "--out", "runs/mine", "--format", "json")
    assert evaluated.code == 3, evaluated.err
    judged = project(*named[2], "--format", "json")
    assert (judged.code, judged.record["rules"]) == (3, evaluated.record["rules"])
    audited = project(*named[1], "--format", "json")
    assert audited.code == 1, audited.err
    assert [g["by"] for g in audited.record["groupings"]] == [["race"], ["race", "gender"]], "a rule adds its own"


def test_the_run(project: Cli) -> None:
    [words] = commands("evaluate_fairface.toml")
    assert words[:3] == ["evaluate", "--config", "evaluate_fairface.toml"]
    result = project(*words, "--size", 32, "--out", "run", "--format", "json")
    assert result.code == 3, result.err
    assert [rule["rule"] for rule in result.record["rules"]] == ["accuracy gap by race <= 0.15"]
    assert [g["by"] for g in result.record["groupings"]] == [["race"], ["race", "gender"]]
    assert result.record["groupings"][0]["privileged"] == {"race": "White"}
    again = project("evaluate", "--config", "run/config.toml", "--out", "again", "--format", "json")
    assert again.out == result.out


def drawn(path: Path, man: bool, k: int) -> str:
    """Save a drawn face, and say its file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    render(sample_face(np.random.default_rng(k), gender="man" if man else "woman"), 36).save(path, quality=92)
    return path.name


def draw_utkface(root: Path) -> None:
    for k, (gender, race) in enumerate(list(itertools.product((0, 1), range(5))) * 8):
        drawn(root / f"{20 + k % 50}_{gender}_{race}_2017{k:013d}.jpg.chip.jpg", gender == 0, k)


def draw_fairface(root: Path) -> None:
    for part, per_cell in (("train", 8), ("val", 2)):
        cells = list(itertools.product(RACES, GENDERS)) * per_cell
        rows = [
            (
                f"{part}/{drawn(root / part / f'{k}.jpg', gender == 'Male', 1000 * per_cell + k)}",
                "20-29",
                gender,
                race,
                True,
            )
            for k, (race, gender) in enumerate(cells, start=1)
        ]
        table = pd.DataFrame(rows, columns=["file", "age", "gender", "race", "service_test"])
        table.to_csv(root / f"fairface_label_{part}.csv", index=False)


def draw_celeba(root: Path) -> None:
    attributes, parts = [str(96), " ".join(ATTRIBUTES)], []
    for k in range(96):
        name = drawn(root / "img_align_celeba" / f"{k + 1:06d}.jpg", k % 2 == 0, k)
        signs = dict.fromkeys(ATTRIBUTES, -1) | {"Male": 1 - 2 * (k % 2), "Smiling": 1 if k % 4 < 2 else -1}
        attributes.append(f"{name} {' '.join(map(str, signs.values()))}")
        parts.append(f"{name} {0 if k < 48 else 1 if k < 72 else 2}")
    (root / "list_attr_celeba.txt").write_text("\n".join(attributes) + "\n")
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")


def trained(project: Cli, name: str) -> Finished:
    """The command that a sample file names, with a tiny network on tiny pictures instead of its weights."""
    [words] = commands(name)
    assert words[:5] == ["mitigate", "--config", name, "--weights", "pretrained"]
    small = ("--arch", "timm/test_resnet", "--size", 32, "--epochs", 1, "--seeds", 1, "--batch-size", 16, "--device", "cpu")
    done = project(*words[:3], *small, *words[5:], "--format", "json")
    assert done.code == 0, done.err
    folder = Path(words[-1])
    written = tomllib.loads((folder / "mitigate.toml").read_text())
    asked = tomllib.loads(Path(name).read_text())
    for key, value in asked["training"].items():
        if key not in ("epochs", "batch_size"):
            assert written["training"].get(key, value) == value
    return done


def test_max_group_on_utkface(project: Cli) -> None:
    draw_utkface(Path("data/utkface"))
    found = trained(project, "mitigate_utkface_max_group.toml").record
    assert [arm["name"] for arm in found["arms"]] == ["erm", "max-group"]
    assert (found["settings"]["target"], found["settings"]["by"], len(found["groups"])) == (["gender"], [["race"]], 5)
    assert found["settings"]["select"] == "worst-group"


def test_val_attention_on_fairface(project: Cli) -> None:
    Path("data/fairface").unlink()
    draw_fairface(Path("data/fairface"))
    found = trained(project, "mitigate_fairface_val_attention.toml").record
    assert [arm["name"] for arm in found["arms"]] == ["erm", "val-attention"]
    assert (found["settings"]["target"], len(found["groups"])) == (["race", "gender"], 14)
    assert found["images"] == {"train": 98, "validation": 14, "test": 28}


def test_last_layer_on_celeba(project: Cli) -> None:
    draw_celeba(Path("data/celeba"))
    found = trained(project, "mitigate_celeba_last_layer.toml").record
    assert [arm["name"] for arm in found["arms"]] == ["erm", "last-layer", "reweight", "group-dro"]
    assert list(found["groups"].values()) == [12] * 4
    assert found["images"] == {"train": 48, "validation": 24, "test": 24}


def draw_lfw(root: Path) -> None:
    """Twelve women and twelve men, three pictures of each."""
    rows = []
    for i in range(24):
        face = sample_face(np.random.default_rng(i), gender="man" if i % 2 else "woman")
        for k in range(3):
            path = root / f"P_{i}" / f"P_{i}_{k:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            render(another_picture(np.random.default_rng([i, k]), face), 36).save(path, quality=92)
            rows.append((f"P_{i}/{path.name}", "male" if i % 2 else "female", f"P_{i}"))
    pd.DataFrame(rows, columns=["path", "gender", "identity"]).to_csv(root / "labels.csv", index=False)


def test_parade_on_lfw(project: Cli) -> None:
    draw_lfw(Path("data/lfw"))
    train, look = commands("mitigate_lfw_parade.toml")
    small = ("--arch", "timm/test_resnet", "--size", 32, "--epochs", 1, "--seeds", 1, "--batch-size", 16, "--device", "cpu")
    done = project(*train[:3], *small, *train[5:], "--format", "json")
    assert done.code == 0, done.err
    names = [arm["name"] for arm in done.record["arms"]]
    assert names == ["metric-learning", "parade(decorrelation=500)", "adversarial", "metric-learning(balanced=groups)"]
    assert (done.record["baseline"], done.record["settings"]["target"]) == ("metric-learning", ["identity"])
    assert sum(done.record["images"].values()) == 72
    found = project(*look, "--min-support", 5, "--format", "json")
    assert found.code == 0, found.err


def test_a_search_on_fairface(project: Cli) -> None:
    Path("data/fairface").unlink()
    draw_fairface(Path("data/fairface"))
    [words] = commands("sweep_fairface.toml")
    assert words[:5] == ["sweep", "--config", "sweep_fairface.toml", "--weights", "pretrained"]
    small = ("--arch", "timm/test_resnet", "--size", 32, "--seeds", 1, "--device", "cpu", "--tune", 1)
    space = ("--tune-space", "epochs=1..2,batch_size=16|32,freeze=none|conv1")
    done = project(*words[:3], *small, *space, *words[5:], "--format", "json")
    assert done.code == 0, done.err
    assert [arm["name"] for arm in done.record["arms"]] == ["erm", "val-attention", "class-spread", "focal"]
    assert len(list(Path(words[-1]).glob("tuning/*.json"))) == 4


def test_the_place_of_a_smile_is_masked_on_celeba(project: Cli) -> None:
    draw_celeba(Path("data/celeba"))
    subset, fit, train = commands("mitigate_celeba_attribution_mask.toml")
    cut = project(*subset)
    assert cut.code == 0, cut.err
    small = ("--size", 32, "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--workers", 0)
    coarse = ("--patch", 8, "--per-side", 7, "--width", 4, "--stem", "imagenet", "--sample", 4)
    assert commands("attribute_celeba_smiling.toml")[0] == fit
    fitted = project(*fit, *small, *coarse, "--format", "json")
    assert fitted.code == 0, fitted.err
    asked = tomllib.loads(Path("attribute_celeba_smiling.toml").read_text())
    assert (fitted.record["attribute"], fitted.record["measure"]) == (asked["attribute"], asked["measure"])
    shown = project(*commands("attribute_celeba_smiling.toml")[1])
    assert shown.code == 0, shown.err
    done = project(*train, *small, "--seeds", 1, "--format", "json")
    assert done.code == 0, done.err
    assert [arm["name"] for arm in done.record["arms"]] == [
        "erm", "general-mask", "general-noise", "specific-mask", "specific-noise",
    ]  # fmt: skip
    assert done.record["settings"]["target"] == ["Male"]
    *prepared, table, balanced = commands("sweep_celeba_attribution.toml")
    assert prepared == [subset, fit]
    assert tuple(sorted(tomllib.loads(Path(table[2]).read_text())["grid"]["method.kind"])) == tuple(sorted(KINDS))
    grid = ("--grid", "method.kind=general-mask,specific-noise", "--grid", "method.quantile=0.6,0.95")
    done = project(*table, *small, *grid, "--seeds", 1, "--format", "json")
    assert done.code == 0, done.err
    baseline, *masked = done.record["arms"]
    assert (baseline["name"], len(masked)) == ("erm", 4)
    assert [one["group"] for one in baseline["groups"] if one["by"] == ["Male"]] == [{"Male": "Female"}, {"Male": "Male"}]
    done = project(*balanced, *small, "--seeds", 1, "--format", "json")
    assert done.code == 0, done.err
