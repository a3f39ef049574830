"""Undamaged files: small ones of every format that fairaudit reads, made on the spot."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import timm
import torch
from PIL import Image

from fairaudit.cli.app import run
from fairaudit.comparison import comparison_json
from fairaudit.config import Preprocess
from fairaudit.models.classifier import save_classifier
from fairaudit.models.head import Head, Task
from fairaudit.results.mitigation import mitigation_json
from tests.reports.records import comparison, sweep

RULES = (
    "accuracy gap by race <= 0.4",
    "f1 worst_group by race,gender >= 0.2",
    "disparate_impact[man] by race >= 0.1",
    "auroc difference by race <= 0.5",
    "expected race: a | b",
)


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
    asked = ("--by", "place", "--without", "leakage,downstream,map", "--bootstrap", "100", "--no-report", "-q")
    assert run(["embed", str(folder / "embeddings.npz"), *asked, "--out", str(folder / "embedded")]) == 0
    (folder / "embedding.json").write_bytes((folder / "embedded" / "embedding.json").read_bytes())
    shutil.rmtree(folder / "embedded")
    (folder / "parts").mkdir()
    table = pq.read_table(folder / "predictions.parquet")
    for i in range(2):
        pq.write_table(table.slice(24 * i, 24), folder / "parts" / f"part-{i}.parquet")
    (folder / "part.parquet").write_bytes((folder / "parts" / "part-1.parquet").read_bytes())
