"""What is damaged, and which commands then read it: small files in their real formats, made on the spot."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image

from fairaudit.cli.app import run
from fairaudit.comparison import comparison_json
from fairaudit.config import Preprocess
from fairaudit.models.classifier import save_classifier
from fairaudit.models.head import Head, Task
from fairaudit.results.mitigation import mitigation_json
from tests.hostile.byte_mutants import Mutation, any_bytes, jpeg_segments, png_chunks
from tests.hostile.file_mutants import (
    any_archive,
    any_checkpoint,
    any_csv,
    any_parquet,
    any_safetensors,
    any_zip,
)
from tests.hostile.tree_mutants import any_json, any_toml, near_json, near_toml
from tests.reports.records import comparison, sweep

REPORTS = (*("terminal", "json", "csv", "markdown", "github", "junit", "model-card") * 2, "html")
"""Of every fifteen one draws figures, which takes a second and more."""
RULES = (
    "accuracy gap by race <= 0.4",
    "f1 worst_group by race,gender >= 0.2",
    "disparate_impact[man] by race >= 0.1",
    "auroc difference by race <= 0.5",
    "expected race: a | b",
)


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        name: for the table.
        file: what it is called where a command looks for it, below the case's folder.
        seeds: names of undamaged files that it is made from.
        mutations: ways to damage it; one of them is drawn.
        words: command lines; one of them is drawn.
        share: how many of the cases it gets, in proportion.
    """

    name: str
    file: str
    seeds: tuple[str, ...]
    mutations: tuple[Mutation, ...]
    words: tuple[tuple[str, ...], ...]
    share: float = 1.0


def _rows(n: int = 48) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    gender = np.where(np.arange(n) % 2, "man", "woman")
    score = np.clip(np.where(gender == "man", 0.6, 0.4) + rng.normal(0, 0.2, n), 0, 1).round(3)
    return pd.DataFrame(
        {
            "row": [f"im/{i}.jpg" for i in range(n)],
            "gender": gender,
            "gender_pred": np.where(score >= 0.5, "man", "woman"),
            "score": score,
            "race": np.array(["a", "b", "c"])[np.arange(n) // 2 % 3],
            "age": 20 + np.arange(n) % 40,
            "person": [f"p{i // 3}" for i in range(n)],
        }
    )


def _picture(k: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(k).integers(0, 256, (40, 40, 3), dtype=np.uint8))


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    network: torch.nn.Module = timm.create_model("test_efficientnet", num_classes=2)
    return network


def make_seeds(folder: Path) -> None:
    """Write every undamaged file.

    Args:
        folder: made; holds the files, and what commands need beside the damaged one.
    """
    folder.mkdir(parents=True)
    faces = folder / "faces"
    faces.mkdir()
    for k in range(6):
        _picture(k).save(faces / f"{k}.png")
    _picture(6).save(folder / "picture.jpg", quality=80)
    _picture(7).save(folder / "picture.png")
    _picture(8).convert("P").save(folder / "picture.gif")
    _picture(9).save(folder / "picture.webp")
    _picture(9).save(folder / "picture.tiff")
    labels = pd.DataFrame({"path": [f"{k}.png" for k in range(6)], "gender": ["man", "woman"] * 3, "race": list("aabbab")})
    labels["age"] = range(20, 26)
    labels.to_csv(folder / "labels.csv", index=False)
    labels.to_parquet(folder / "labels.parquet")
    network, head = _network(), Head(2, (Task("gender", ("man", "woman"), (0, 1)),))
    for suffix in (".pt", ".safetensors"):
        save_classifier(
            folder / f"model{suffix}", network, architecture="timm/test_efficientnet", arch_kwargs={}, head=head,
            preprocess=Preprocess(size=(32, 32)),
        )  # fmt: skip
    torch.save(
        {"arch": "test_efficientnet", "args": {"img_size": 32}, "state_dict": network.state_dict()}, folder / "bare.pt"
    )
    _rows().to_csv(folder / "predictions.csv", index=False)
    words = [
        "audit",
        str(folder / "predictions.csv"),
        "--y-true",
        "gender",
        "--y-score",
        "man=score",
        "--identity",
        "person",
    ]
    words += [
        "--by",
        "race",
        "--by",
        "race,gender",
        "--bins",
        "age=0,30",
        "--privileged",
        "race=a",
        "--label-noise",
        "0.05",
    ]
    words += ["--shrink", "--min-support", "2", "--bootstrap", "100", "--rule", RULES[0], "--rule", RULES[3], "-f", "json"]
    assert run([*words, "--out", str(folder / "run"), "--no-report", "--exit-zero"]) == 0
    (folder / "audit.json").write_bytes((folder / "run" / "audit.json").read_bytes())
    (folder / "predictions.parquet").write_bytes((folder / "run" / "predictions.parquet").read_bytes())
    (folder / "run.json").write_bytes((folder / "run" / "run.json").read_bytes())
    plain = [
        *words[:4],
        "--by",
        "race",
        "--given",
        "gender",
        "--rule",
        RULES[0],
        "--exit-zero",
        "-f",
        "json",
        "--no-report",
    ]
    assert run([*plain, "--out", str(folder / "plain")]) == 0
    (folder / "plain.json").write_bytes((folder / "plain" / "audit.json").read_bytes())
    (folder / "mitigation.json").write_text(mitigation_json(sweep()), encoding="utf-8")
    (folder / "comparison.json").write_text(comparison_json(comparison()), encoding="utf-8")
    (folder / "policy.toml").write_text(
        'name = "gate"\nrules = ["accuracy gap by race <= 0.4", {rule = "f1[man] worst_group by race >= 0.2", '
        'severity = "warning", min_support = 3}]\nexpected = {race = ["a", "b"]}\naudited = ["race"]\n'
        'decide_on = "interval"\nconfidence = 0.9\nmin_support = 2\non_inconclusive = "error"\n'
    )
    (folder / "config.toml").write_text(
        'model = "model.pt"\ndata = "table"\nroot = "labels.csv"\nlimit = 6\ndata_options = {images = "faces"}\n'
        '[network]\narch = "timm/test_efficientnet"\npreprocess = {size = [32, 32], resize = "squash"'
        ", mean = [0.5, 0.5, 0.5]}\n"
        '[inference]\ndevice = "cpu"\nbatch_size = 4\nmax_unreadable = 0\n'
        '[audit]\ntarget = "gender"\nby = [["race"]]\nrules = ["accuracy gap by race <= 0.9"]\nmin_support = 1\n'
    )
    (folder / "noise.csv").write_text("race,a,b,c\na,0.9,0.05,0.05\nb,0.1,0.8,0.1\nc,0.1,0.1,0.8\n")
    rng, kind = np.random.default_rng(0), np.repeat(np.arange(6), 4)
    sink = io.BytesIO()
    np.savez(
        sink, embeddings=rng.normal(size=(24, 4)) + kind[:, None], rows=np.array([f"{i}.jpg" for i in range(24)]),
        identity=np.char.add("k", kind.astype(str)), place=np.where(kind > 2, "sea", "land"),
        fairaudit=np.array(json.dumps({"version": 1, "levels": {"place": ["land", "sea"]}, "made": {"model": "m.pt"}})),
    )  # fmt: skip
    (folder / "embeddings.npz").write_bytes(sink.getvalue())


_DATA = ("--data", "table", "--root", "labels.csv", "--data-option", "images=faces")
_EVALUATE = (*_DATA, "--target", "gender", "--by", "race", "--size", "32", "--batch-size", "4", "--min-support", "1",
             "--device", "cpu", "--no-report", "-q", "--out", "out")  # fmt: skip
_ASKED = ("--by", "race", "--min-support", "2", "--bootstrap", "100", "--no-report", "-q", "--out", "out")
_TABLE = ("--y-true", "gender", *_ASKED)


def _formats(words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((*words, "-f", name) for name in REPORTS)


TARGETS = (
    Target(
        "checkpoint .pt", "model.pt", ("model.pt", "bare.pt"), (any_bytes, any_zip, any_checkpoint, any_checkpoint),
        (("evaluate", "model.pt", *_EVALUATE), ("evaluate", "model.pt", *_EVALUATE, "--classes", "man,woman")), 1.0,
    ),
    Target(
        "checkpoint .safetensors", "model.safetensors", ("model.safetensors",), (any_bytes, any_safetensors,
        any_safetensors),
        (("evaluate", "model.safetensors", *_EVALUATE),), 1.0,
    ),
    Target(
        "image", "faces/3.png", ("picture.jpg", "picture.png", "picture.gif", "picture.webp", "picture.tiff"),
        (any_bytes, png_chunks, jpeg_segments),
        (
            ("evaluate", "model.pt", *_EVALUATE, "--max-unreadable", "3"), ("evaluate", "model.pt", *_EVALUATE),
            ("data", "check", *_DATA[1:2], *_DATA[2:]), ("data", "profile", *_DATA[1:2], *_DATA[2:], "--target", "gender"),
        ), 1.5,
    ),
    Target(
        "labels .csv", "labels.csv", ("labels.csv",), (any_bytes, any_csv, any_csv),
        (
            ("evaluate", "model.pt", *_EVALUATE), ("data", "profile", *_DATA[1:2], *_DATA[2:], "--no-images"),
            ("data", "check", *_DATA[1:2], *_DATA[2:]),
        ), 1.0,
    ),
    Target(
        "labels .parquet", "labels.parquet", ("labels.parquet",), (any_bytes, any_parquet, any_parquet),
        (("data", "profile", "table", "--root", "labels.parquet", "--data-option", "images=faces", "--target",
        "gender"),), 0.5,
    ),
    Target(
        "predictions .csv", "predictions.csv", ("predictions.csv",), (any_bytes, any_csv, any_csv),
        (
            ("audit", "predictions.csv", *_TABLE), ("audit", "predictions.csv", "--y-score", "man=score", *_TABLE),
            ("audit", "predictions.csv", "--identity", "person", "--id", "row", "--weight", "age", *_TABLE, "-f", "csv"),
            ("audit", "predictions.csv", *_TABLE, "--where", "age > 30", "--bins", "age=0,30", "-f", "markdown"),
            ("audit", "predictions.csv", *_ASKED), ("compare", "predictions.csv", "run", "--y-true", "gender",
            "--by", "race"),
            ("gate", "predictions.csv", "--y-true", "gender", "--rule", RULES[0], "-f", "json"),
        ), 1.5,
    ),
    Target(
        "predictions .parquet", "predictions.parquet", ("predictions.parquet",), (any_bytes, any_parquet, any_parquet),
        (
            ("audit", "predictions.parquet", *_ASKED), ("audit", "predictions.parquet", *_TABLE),
            ("audit", "predictions.parquet", *_ASKED, "--stream"), ("compare", "predictions.parquet", "run", "--by",
            "race"),
        ), 1.0,
    ),
    Target(
        "policy.toml", "policy.toml", ("policy.toml",), (any_bytes, any_toml, near_toml, near_toml),
        (
            ("gate", "run", "--policy", "policy.toml"), ("gate", "run", "--policy", "policy.toml", "-f", "json"),
            ("audit", "predictions.csv", *_TABLE, "--policy", "policy.toml"),
        ), 1.0,
    ),
    Target(
        "config.toml", "config.toml", ("config.toml",), (any_bytes, any_toml, near_toml, near_toml),
        (("evaluate", "--config", "config.toml", "--no-report", "-q", "--out", "out"),), 1.0,
    ),
    Target(
        "error matrix .csv", "noise.csv", ("noise.csv",), (any_bytes, any_csv),
        (("audit", "predictions.csv", *_TABLE, "--label-noise", "race=noise.csv"),), 0.3,
    ),
    Target(
        "audit.json", "damaged/audit.json", ("audit.json", "plain.json"), (any_bytes, any_json, near_json, near_json,
        near_json, near_json),
        (
            *_formats(("report", "damaged/audit.json")), *_formats(("gate", "damaged")), ("gate", "damaged",
            "--rule", RULES[2]),
            *(("gate", "damaged", "--rule", rule, "-f", "json") for rule in RULES), ("merge", "damaged", "run", "-f",
            "json"),
            ("gate", "run", "--baseline", "damaged", "--rule", "accuracy gap by race worse_by <= 0.1"),
            ("merge", "damaged", "plain"), ("plan", "--audit", "damaged"), ("plan", "--audit", "damaged", "--rule",
            RULES[0]), ("gate", "damaged", "--confidence", "0.9"),
            ("gate", "damaged", "--min-support", "5", "-f", "terminal"),
        ), 2.0,
    ),
    Target(
        "run.json", "run/run.json", ("run.json",), (any_bytes, any_json, near_json),
        (*_formats(("report", "run")), ("report", "run", "-f", "html", "--gallery", "1")), 0.4,
    ),
    Target(
        "mitigation.json", "mitigation.json", ("mitigation.json",), (any_bytes, any_json, near_json, near_json),
        _formats(("report", "mitigation.json")), 1.0,
    ),
    Target(
        "comparison.json", "comparison.json", ("comparison.json",), (any_bytes, any_json, near_json, near_json),
        (*_formats(("report", "comparison.json")), ("compare", "comparison.json"), ("compare", "comparison.json",
        "--metric", "f1")),
        0.8,
    ),
    Target(
        "embeddings .npz", "embeddings.npz", ("embeddings.npz",), (any_bytes, any_zip, any_archive, any_archive),
        (
            ("embed", "embeddings.npz", "--by", "place", "--without", "leakage,downstream,map", "--bootstrap", "100",
             "--no-report", "-q", "--out", "out"),
        ), 0.8,
    ),
)  # fmt: skip


Seeds = Callable[[str], bytes]
