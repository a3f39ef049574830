"""``fairaudit embed`` as a user meets it: from a network or a file to tables, a verdict, and refusals in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import shufflenet_v2_x0_5

from tests.cli.conftest import Cli

pytestmark = pytest.mark.training

QUICK = ("--without", "leakage,downstream,map", "--bootstrap", "100", "--no-report")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Eighty pictures of birds of twenty kinds: those by the sea look like each other."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(20), 4)
    sea = kind >= 10
    values = rng.normal(size=(20, 6))[kind] + np.where(sea, 2.0, 0.1)[:, None] * rng.normal(size=(80, 6))
    path = tmp_path / "birds.npz"
    rows, people = np.array([f"{i}.jpg" for i in range(80)]), np.char.add("k", kind.astype(str))
    np.savez(path, embeddings=values, rows=rows, identity=people, place=np.where(sea, "sea", "land"))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures in folders of three kinds, and where each was taken."""
    rng = np.random.default_rng(0)
    rows = ["file,place"]
    for i in range(12):
        path = tmp_path / "birds" / f"kind{i % 3}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        rows.append(f"{i}.png,{('sea', 'land')[i // 6]}")
    (tmp_path / "birds" / "attributes.csv").write_text("\n".join(rows))
    torch.manual_seed(0)
    torch.save(shufflenet_v2_x0_5(num_classes=7).state_dict(), tmp_path / "model.pt")
    return tmp_path


def test_a_file_of_embeddings_is_audited_and_judged(cli: Cli, archive: Path, tmp_path: Path) -> None:
    done = cli(
        "embed", archive, "--by", "place", "--rule", "accuracy gap by place <= 0.1", "--out", tmp_path / "run", *QUICK
    )
    assert done.code == 1
    assert "Embeddings of 80 images by identity: 20 classes, 6 numbers each" in done.out
    assert "Verification by place" in done.out
    assert "recall_at_1: the rule fails" in done.out
    assert done.err.splitlines()[-1] == f"written: {tmp_path / 'run'}"
    gated = cli("gate", tmp_path / "run" / "verification", "--rule", "false_positive_rate gap by place <= 0.9")
    assert gated.code == 0
    tables = (tmp_path / "run" / "retrieval", tmp_path / "run" / "retrieval_own")
    again = cli("compare", *tables, "--target", "recall_at_1", "--by", "place", "--no-report")
    assert again.code == 0
    rule = ("--target", "genuine", "--rule", "false_positive_rate gap by place <= 0.9")
    pairs = cli("embed", archive, "--by", "place", *rule, "--threshold", "0.9", "--format", "json", *QUICK)
    assert pairs.code == 0
    assert pairs.record["settings"]["threshold"] == 0.9


def test_levels_of_a_number_are_held_fixed_and_the_record_is_reported_again(
    cli: Cli, archive: Path, tmp_path: Path
) -> None:
    with np.load(archive) as kept:
        arrays = {**kept, "hour": np.where(np.arange(80) % 8 < 4, 9.5, 22.0)}
    np.savez(archive, **arrays)
    words = ("--by", "place", "--given", "hour", "--bins", "hour=0,12", "--out", tmp_path / "run", *QUICK)
    done = cli("embed", archive, *words)
    assert done.code == 0
    assert "By place within levels of hour" in done.out
    assert "0 to <12" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert cli("report", tmp_path / "run").out == done.out
    assert cli("report", tmp_path / "run", "-f", "json").record["settings"]["bins"] == {"hour": [0, 12]}
    assert "## Embeddings of 80 images" in cli("report", tmp_path / "run" / "embedding.json", "-f", "markdown").out
    cli("embed", archive, "--by", "place", "--given", "hour", *QUICK).refused(
        "--given hour: hour is numeric and has no levels; say where each starts, --bins hour=0,18,40,65"
    )


def test_any_folder_of_images_is_embedded_by_any_layer_and_audited_again_without_the_network(
    cli: Cli, folder: Path
) -> None:
    words = ("--data", "image-folder", "--root", folder / "birds", "--by", "place", "--class", "class", "--k", "1,2")
    first = cli("embed", folder / "model.pt", *words, "--size", "32", "--out", folder / "run", "--format", "json", *QUICK)
    assert first.code == 0
    assert "embedding 12 images: 1024 numbers each, from fc of torchvision/shufflenet_v2_x0_5" in first.err
    perceived = "labels of gender and race are as perceived by others, not as people identify themselves"
    assert perceived in first.record["notes"]
    (folder / "model.pt").rename(folder / "gone.pt")
    kept = folder / "run" / "embeddings.npz"
    second = cli("embed", kept, "--by", "place", "--class", "class", "--k", "1,2", "--format", "json", *QUICK)
    assert second.record == first.record
    run = json.loads((folder / "run" / "run.json").read_text())
    assert run["layer"] == "fc"
    assert run["data"]["images"] == 12
    early = cli("embed", folder / "gone.pt", *words, "--size", "32", "--layer", "stage3", "--format", "json", *QUICK)
    assert early.code == 0
    assert early.record["numbers"] == 96


def test_a_file_is_audited_without_torch(archive: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from fairaudit.cli.app import run; "
        f"code = run(['embed', {str(archive)!r}, '--by', 'place', '--quiet', '--bootstrap', '100', '--no-report', "
        "'--without', 'map,downstream,leakage', '--format', 'json']); print(code, 'torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == "0 False\n"
    assert json.loads(done.stdout)["n"] == 80


def test_what_is_asked_wrongly_is_refused_in_a_sentence(cli: Cli, archive: Path, folder: Path) -> None:
    cli("embed", archive, folder / "model.pt").refused("name a network or files of embeddings (.npz), not both")
    cli("embed", archive, "--data", "lfw").refused(
        "--data is for networks: a file of embeddings has the columns of its images in it"
    )
    cli("embed", folder / "model.pt").refused(
        "name a dataset with --data, whose images the network embeds; see 'fairaudit list datasets'"
    )
    cli("embed", archive, "--by", "place", "--fmr", "0.1", "--threshold", "0.5").refused(
        "--fmr sets the threshold that --threshold gives: say one of them"
    )
    cli("embed", archive, "--by", "place", "--k", "one").refused(
        "--k 'one': write whole numbers with commas between them, 1,5,10"
    )
    cli("embed", archive, "--by", "place", "--format", "html").refused(
        "--format 'html': choose from terminal, json; 'fairaudit report' shows a run folder in others"
    )
    assert "--without" in cli("embed", archive, "--by", "place", "--without", "pairs").err
    cli("embed", archive, "--by", "plce").refused("unknown attribute 'plce'; did you mean 'place'?")
    words = ("--data", "image-folder", "--root", folder / "birds", "--by", "place", "--size", "32")
    cli("embed", folder / "model.pt", *words, "--class", "class", "--layer", "stge3").refused(
        "--layer 'stge3': the network has no such layer; did you mean 'stage3' or 'stage4.3' or 'stage3.7'?"
    )
    rule = ("--class", "class", "--rule", "acuracy gap by place <= 0.1")
    early = cli("embed", folder / "model.pt", *words, *rule)
    assert early.code == 2
    assert "embedding" not in early.err
    assert "did you mean 'accuracy'" in early.err
    nobody = cli("embed", folder / "model.pt", *words, "--out", folder / "none")
    assert nobody.code == 2
    assert nobody.err.endswith(
        "the data tell no identity: say with --class which column images are to be found by (class, place)\n"
    )
    assert not (folder / "none").exists()


def test_an_output_folder_that_is_no_run_is_left_alone(cli: Cli, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    done = cli("embed", archive, "--by", "place", "--out", tmp_path / "mine", *QUICK)
    assert done.code == 2
    assert "is not a run folder" in done.err
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


@pytest.mark.real
def test_lfw_by_gender_on_an_imagenet_backbone(cli: Cli, shared: Path, tmp_path: Path) -> None:
    words = ("--data", "lfw", "--root", shared / "data" / "lfw", "--by", "gender", "--without", "map,downstream,geometry")
    done = cli("embed", shared / "weights" / "mobilenet_v2-b0353104.pth", *words, "--out", tmp_path / "run",
               "--format", "json", "--no-report", "--quiet")  # fmt: skip
    assert done.code == 0
    assert (done.record["n"], done.record["classes"], done.record["numbers"]) == (2015, 600, 1280)
    groups = {g["group"]["gender"]: g for g in done.record["groupings"][0]["groups"]}
    assert {name: (g["n"], g["verified"]["impostors"]) for name, g in groups.items()} == {
        "female": (982, 20000),
        "male": (1033, 20000),
    }
    # a network of things, not of faces, finds people again a hundred times as often as chance and gender nearly always
    for g in groups.values():
        assert 0.1 < g["full"]["recall_at_1"]["value"] < 0.3
        assert 0.2 < g["verified"]["eer"] < 0.4
    assert {leak["probe"]: leak["accuracy"]["value"] > 0.8 for leak in done.record["leaks"]} == {
        "linear": True,
        "kNN": True,
    }
