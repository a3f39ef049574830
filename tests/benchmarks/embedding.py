"""Benchmark of embedding audits: exact kNN of many images, and what stays of gaps downstream on real faces.

``python tests/benchmarks/embedding.py knn [N] [D]`` tells time and memory of retrieval among N embeddings of D numbers.
``python tests/benchmarks/embedding.py stays SHARED KEPT [LIMIT]`` asks, on the faces and weights below SHARED, what
Dullerud et al. (2022) ask: does the gap of downstream classifiers go away when only they are trained on balanced data.
Embeddings are kept in the folder KEPT, and taken from there where they are.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.metrics.retrieval import normalised, retrieve
from fairaudit.results import Estimate
from fairaudit.results.embedding import EmbeddingResult

# dataset, its folder, class, and groups with what classifiers tell
_ASKED: tuple[tuple[str, str, str | None, tuple[tuple[str, str | None], ...]], ...] = (
    ("lfw", "lfw", None, (("gender", None),)),
    ("celeba", "celeba", "Smiling,Male", (("Young", "Smiling"), ("Male", "Blond_Hair"))),
    ("utkface", "utkface", "race,gender", (("race", "gender"),)),
    ("utkface", "utkface_wild", "race,gender", (("race", "gender"),)),
)
_BACKBONES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("MobileNetV2, ImageNet", "mobilenet_v2-b0353104.pth", {}),
    (
        "MobileNetV1, faces",
        "mobilenetv1_100_faceres_deep_gender.safetensors",
        {
            "arch": "timm/mobilenetv1_100",
            "arch_kwargs": {"pad_type": "same"},
            "preprocess": {
                "size": (224, 224),
                "resize": "squash",
                "mean": (123.68 / 255, 116.779 / 255, 103.939 / 255),
                "std": (1 / 255, 1 / 255, 1 / 255),
            },
        },
    ),
)


def knn(n: int, d: int) -> None:
    """Retrieval among random embeddings of five images a class."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(-(-n // 5)), 5)[:n].astype(np.int64)
    centres = rng.normal(size=(int(classes.max()) + 1, d)).astype(np.float32)
    unit = normalised(centres[classes] + 2 * rng.standard_normal((n, d), dtype=np.float32))
    del centres
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    found = retrieve(unit, classes, (1, 5, 10))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{n:,} x {d}: {seconds:.0f} s, peak {peak / 2**20:.2f} GiB ({(peak - before) / 2**20:+.2f} GiB over the start), "
        f"recall@1 {found.hits[1].mean():.3f}, MAP@R {np.nanmean(found.map_at_r):.3f}"
    )


def stays(shared: Path, kept: Path, limit: int | None) -> None:
    """One Markdown row per backbone, dataset, grouping and classifier."""
    from fairaudit.artifacts.embeddings import read_embeddings
    from fairaudit.config import AuditSettings, EmbedSettings
    from fairaudit.workflows.embed_audit import audit_embeddings

    columns = (
        "backbone",
        "data, groups",
        "recall@1 gap",
        "told",
        "classifier",
        "gap, original",
        "gap, rebalanced",
        "stays",
    )
    print("|", " | ".join([*columns, "balanced gap, rebalanced"]), "|")
    print("|---|---|---|---|---|---|---|---|---|")
    for backbone, weights, network in _BACKBONES:
        for data, folder, of, questions in _ASKED:
            archive = kept / f"{Path(weights).stem}-{folder}.npz"
            if not archive.is_file():
                _embed(shared, archive, weights, network, data, folder, [by for by, _ in questions], limit)
            embeddings = read_embeddings([archive])
            for by, told in questions:
                asked = EmbedSettings(
                    of=None if of is None else tuple(of.split(",")),
                    downstream=told,
                    without=("geometry", "leakage", "map", "verification"),
                    audit=AuditSettings(by=((by,),), bootstrap=200),
                )
                _rows(backbone, f"{folder}, {by}", audit_embeddings(embeddings, asked).result)


def _embed(
    shared: Path,
    archive: Path,
    weights: str,
    network: dict[str, Any],
    data: str,
    folder: str,
    by: list[str],
    limit: int | None,
) -> None:
    from fairaudit.config import AuditSettings, EmbedSettings, EvaluateConfig, ModelSettings
    from fairaudit.workflows.embed import ARCHIVE, embed_model

    config = EvaluateConfig(
        model=shared / "weights" / weights,
        data=data,
        root=shared / "data" / folder,
        split="all",
        limit=limit,
        network=ModelSettings.model_validate(network),
    )
    # what is audited here does not matter: only the embeddings are kept
    asked = EmbedSettings(
        of=(by[0],), without=("downstream", "geometry", "leakage", "map", "verification"),
        audit=AuditSettings(by=tuple((name,) for name in by), bootstrap=100),
    )  # fmt: skip
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        embed_model(config, asked, out=Path(temporary) / "run", report=False)
        shutil.copyfile(Path(temporary) / "run" / ARCHIVE, archive)


def _rows(backbone: str, what: str, result: EmbeddingResult) -> None:
    recall = result.groupings[0].gaps["recall_at_1"]
    for one in result.trained:
        if one.training != "original":
            continue
        after = next(o for o in result.trained if (o.classifier, o.training) == (one.classifier, "rebalanced"))
        print(
            f"| {backbone} | {what} | {_said(recall)} | {result.target} | {one.classifier} | {_said(one.gap)} | "
            f"{_said(after.gap)} | {_stays(one.gap, after.gap)} | {_said(after.balanced_gap)} |",
            flush=True,
        )


def _stays(before: Estimate, after: Estimate) -> str:
    """The share of a gap that is left, where there was one that the data show."""
    return f"{100 * after.value / before.value:.0f} %" if before.ci_low > 0 else ""


def _said(one: Estimate) -> str:
    return f"{one.value:.3f} [{one.ci_low:.3f}, {one.ci_high:.3f}]" if one.support else ""


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["knn"]
    if what == "knn":
        n, d, *_ = [*map(int, rest), *(100_000, 512)[len(rest) :]]
        knn(n, d)
    else:
        stays(Path(rest[0]), Path(rest[1]), int(rest[2]) if len(rest) > 2 else None)
