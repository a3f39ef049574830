"""What is damaged, and which commands then read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.hostile.byte_mutants import Mutation, any_bytes, jpeg_segments, png_chunks
from tests.hostile.file_mutants import (
    any_archive,
    any_checkpoint,
    any_csv,
    any_parquet,
    any_safetensors,
    any_zip,
)
from tests.hostile.seeds import RULES
from tests.hostile.tree_mutants import any_json, any_toml, near_json, near_toml

REPORTS = (*("terminal", "json", "csv", "markdown", "github", "junit", "model-card") * 2, "html")
"""Of every fifteen one draws figures, which takes a second and more."""


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
        out: folder among the undamaged files that is the command's ``out`` before it begins; empty for none.
    """

    name: str
    file: str
    seeds: tuple[str, ...]
    mutations: tuple[Mutation, ...]
    words: tuple[tuple[str, ...], ...]
    share: float = 1.0
    out: str = ""


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
        "embedding.json", "embedding.json", ("embedding.json",), (any_bytes, any_json, near_json, near_json),
        _formats(("report", "embedding.json")), 0.6,
    ),
    Target(
        "part of a table", "parts/part-1.parquet", ("part.parquet",), (any_bytes, any_parquet, any_parquet),
        (("audit", "parts", *_ASKED, "--stream"), ("audit", "parts", *_ASKED), ("merge", "parts", "run", "-f",
         "json")), 0.4,
    ),
    Target(
        "embeddings .npz", "embeddings.npz", ("embeddings.npz",), (any_bytes, any_zip, any_archive, any_archive),
        (
            ("embed", "embeddings.npz", "--by", "place", "--without", "leakage,downstream,map", "--bootstrap", "100",
             "--no-report", "-q", "--out", "out"),
        ), 0.8,
    ),
)  # fmt: skip
