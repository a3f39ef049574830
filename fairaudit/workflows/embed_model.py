"""Embeddings of a dataset's images by one layer of a network, with the dataset's columns beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.artifacts.embeddings import Embeddings, check_values
from fairaudit.config import EmbedSettings, EvaluateConfig
from fairaudit.data.locate import audit_options, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.engine.devices import finish, is_main
from fairaudit.engine.embed import TASK, cut, embed
from fairaudit.errors import DataError
from fairaudit.models.classifier import load_classifier
from fairaudit.predictions import Column
from fairaudit.workflows.embed_audit import rehearse
from fairaudit.workflows.labels import columns_of

PERCEIVED = "labels of gender and race are as perceived by others, not as people identify themselves"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Made:
    """Embeddings of a dataset.

    Attributes:
        embeddings: of the images that could be read.
        by: the card's usual groupings, for where the user named none.
        record: what they were made with, for ``run.json``.
        warnings: what the user must know.
    """

    embeddings: Embeddings
    by: tuple[tuple[str, ...], ...]
    record: dict[str, Any]
    warnings: tuple[str, ...]


def embeddings_of(
    config: EvaluateConfig, asked: EmbedSettings, layer: str, announce: Callable[[str], None], progress: Progress | None
) -> Made | None:
    """Embed the images of a dataset.

    Args:
        config: model, data, and how the network is run; its audit is left alone.
        asked: the columns that are wanted.
        layer: of the network; empty takes the pooled features before the last layer.
        announce: told what is about to be done.
        progress: told (images done, images in all).

    Returns:
        None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend.
    """
    try:
        wants = [*asked.audit.by, *asked.audit.given, asked.of or (), (asked.downstream,) if asked.downstream else ()]
        levels = [tuple(name for name in names if name not in asked.audit.bins) for names in wants]
        options = {**audit_options(config.data, None, [names for names in levels if names]), **config.data_options}
        manifest = load_dataset(config.data, config.root, config.split, **options)
        by = asked.audit.by or tuple(g for g in manifest.card.by if set(g) <= set(manifest.attributes))
        if config.limit is not None:
            known = [name for name in dict.fromkeys(n for names in by for n in names) if name in manifest.attributes]
            manifest = stratified_sample(manifest, known, config.limit, asked.audit.seed)
        rehearse(_columns_only(manifest), asked.model_copy(update={"audit": asked.audit.model_copy(update={"by": by})}))
        classifier = load_classifier(config.model, config.network, None, {})
        embedder = cut(classifier, layer)
        announce(
            f"embedding {len(manifest):,} images: {embedder.size} numbers each, from {embedder.layer} of "
            f"{classifier.architecture}"
        )
        found = embed(embedder, manifest, config.inference, progress if is_main() else None)
        if not is_main():
            return None
    finally:
        finish()
    if not len(found.rows):
        raise DataError("no image could be read; there is nothing to audit")
    place = {str(row): i for i, row in enumerate(manifest.frame["row"])}
    read = manifest.take(np.array([place[str(row)] for row in found.rows], dtype=np.int64))
    values = check_values(found.scores[TASK].astype(np.float32), found.rows.tolist(), config.model.name)
    columns = _columns_only(read)
    table = hashlib.sha256(read.frame.to_csv(index=False).encode("utf-8")).hexdigest()
    made = {
        "model": config.model.name,
        "model_sha256": classifier.sha256,
        "architecture": classifier.architecture,
        "layer": embedder.layer,
        "preprocessing": classifier.preprocess.model_dump(mode="json"),
        "data": config.data,
        "data_sha256": table,
        "privileged": dict(manifest.card.privileged),
        "note": manifest.card.note or ("" if manifest.card.self_identified else PERCEIVED),
    }
    warnings = [*manifest.notes, *classifier.warnings, *_unreadable(found.unreadable)]
    record = {
        "checkpoint": {"path": str(config.model), "sha256": classifier.sha256},
        "architecture": {"name": classifier.architecture, "found_by": classifier.found_by},
        "layer": embedder.layer,
        "preprocessing": made["preprocessing"],
        "data": {"name": config.data, "images": len(read), "manifest_sha256": table},
        "inference": {
            "device": found.device,
            "precision": found.precision,
            "batch_size": found.batch_size,
            "workers": found.workers,
            "seconds": round(found.seconds, 3),
            "images_per_second": round(found.images_per_second, 2),
        },
    }
    embeddings = Embeddings(values, found.rows, columns.attributes, columns.identity, made, columns.numeric)
    return Made(embeddings, by, record, tuple(warnings))


def _columns_only(manifest: Manifest) -> Embeddings:
    """A dataset's columns beside numbers that mean nothing yet."""
    frame = manifest.frame
    identity = Column.of(frame["identity"].tolist()) if "identity" in frame.columns else None
    values = np.ones((len(frame), 1), dtype=np.float32)
    attributes, numeric = columns_of(manifest)
    return Embeddings(values, frame["row"].to_numpy(dtype=object), attributes, identity, numeric=numeric)


def _unreadable(rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f"{len(rows)} images could not be read and are left out: {', '.join(row for row, _ in rows[:5])}"]
