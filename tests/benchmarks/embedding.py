"""Benchmark of embedding audits: exact kNN of many images, and what stays of gaps downstream on real faces.

``python tests/benchmarks/embedding.py knn [N] [D]`` tells time and memory of retrieval among N embeddings of D numbers.
``python tests/benchmarks/embedding.py stays SHARED [LIMIT]`` asks, on the faces and weights below SHARED, what Dullerud et
al. (2022) ask: does the gap of downstream classifiers go away when only they are trained on balanced data.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit.metrics.retrieval import normalised, retrieve
from fairaudit.results import Estimate

# dataset, its folder, class, groups, what classifiers tell, which images
_ASKED = (
    ("lfw", "lfw", None, "gender", None, None),
    ("celeba", "celeba", "Smiling,Male", "Young", "Smiling", None),
    ("celeba", "celeba", "Smiling,Male", "Male", "Blond_Hair", None),
    ("utkface", "utkface", "race,gender", "race", "gender", None),
    ("utkface", "utkface_wild", "race,gender", "race", "gender", "race != 'Others'"),
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


def stays(shared: Path, limit: int | None) -> None:
    """One Markdown row per backbone, dataset and classifier."""
    from fairaudit.config import AuditSettings, EmbedSettings, EvaluateConfig, ModelSettings
    from fairaudit.workflows.embed import embed_model

    print("| backbone | data, groups | recall@1 gap | told | classifier | gap, original | gap, rebalanced |")
    print("|---|---|---|---|---|---|---|")
    for backbone, weights, network in _BACKBONES:
        for data, folder, of, by, told, where in _ASKED:
            asked = EmbedSettings(
                of=None if of is None else tuple(of.split(",")),
                downstream=told,
                without=("geometry", "map", "verification"),
                audit=AuditSettings(by=((by,),), where=where, bootstrap=200),
            )
            config = EvaluateConfig(
                model=shared / "weights" / weights,
                data=data,
                root=shared / "data" / folder,
                split="all",
                limit=limit,
                network=ModelSettings.model_validate(network),
            )
            with tempfile.TemporaryDirectory() as temporary:
                made = embed_model(config, asked, out=Path(temporary) / "run", report=False)
            assert made is not None
            recall = made.result.groupings[0].gaps["recall_at_1"]
            for one in made.result.trained:
                if one.training != "original":
                    continue
                after = next(o for o in made.result.trained if (o.classifier, o.training) == (one.classifier, "rebalanced"))
                print(
                    f"| {backbone} | {folder}, {by} | {_said(recall)} | {made.result.target} | {one.classifier} | "
                    f"{_said(one.gap)} | {_said(after.gap)} |",
                    flush=True,
                )


def _said(one: Estimate) -> str:
    return f"{one.value:.3f} [{one.ci_low:.3f}, {one.ci_high:.3f}]"


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["knn"]
    if what == "knn":
        n, d, *_ = [*map(int, rest), *(100_000, 512)[len(rest) :]]
        knn(n, d)
    else:
        stays(Path(rest[0]), int(rest[1]) if len(rest) > 1 else None)
