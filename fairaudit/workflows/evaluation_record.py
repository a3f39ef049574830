"""What a run folder says of how its predictions were made: ``run.json``, and the settings that repeat them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairaudit.config import EvaluateConfig
from fairaudit.data.manifest import Manifest
from fairaudit.engine.predict import Inference
from fairaudit.models.classifier import Classifier
from fairaudit.workflows.provenance import environment


def reproducible(config: EvaluateConfig, root: Path | None) -> dict[str, Any]:
    """The configuration with absolute paths, so that it gives the same run from any folder.

    Args:
        config: as it was given.
        root: folder of the dataset; None where it needs none.
    """
    explained = {"maps": {name: path.resolve() for name, path in config.explain.maps.items()}}
    paths = {
        "model": config.model.resolve(),
        "root": None if root is None else root.resolve(),
        "explain": config.explain.model_copy(update=explained),
    }
    record: dict[str, Any] = config.model_copy(update=paths).model_dump(mode="json", exclude_defaults=True)
    return record


def provenance(
    config: EvaluateConfig,
    classifier: Classifier,
    manifest: Manifest,
    root: Path | None,
    inference: Inference,
    command: Sequence[str],
) -> dict[str, Any]:
    """What ``run.json`` holds.

    Args:
        config: the whole run.
        classifier: the network that was run.
        manifest: the images.
        root: folder of the dataset; None where it needs none.
        inference: what came of it.
        command: the command line.
    """
    table = manifest.frame.to_csv(index=False).encode("utf-8")
    return {
        "command": list(command),
        "checkpoint": {"path": str(config.model), "sha256": classifier.sha256, "keys": classifier.keys_matched},
        "architecture": {"name": classifier.architecture, "found_by": classifier.found_by},
        "assumptions": list(classifier.assumptions),
        "head": classifier.head.to_record(),
        "preprocessing": classifier.preprocess.model_dump(mode="json"),
        "data": {
            "name": config.data,
            "root": None if root is None else str(root),
            "images": len(manifest),
            "manifest_sha256": hashlib.sha256(table).hexdigest(),
            "unreadable": [{"row": row, "reason": why} for row, why in inference.unreadable],
        },
        "inference": {
            "device": inference.device,
            "precision": inference.precision,
            "batch_size": inference.batch_size,
            "workers": inference.workers,
            "exact_resize": config.inference.exact_resize,
            "scaled_decoding": config.inference.scaled_decoding,
            "compile": config.inference.compile,
            "seconds": round(inference.seconds, 3),
            "images_per_second": round(inference.images_per_second, 2),
            **({"resumed_images": inference.kept} if inference.kept else {}),
        },
        **environment(),
    }
