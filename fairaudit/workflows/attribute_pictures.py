"""The pictures that an attribution is asked about: of its dataset, prepared as it knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.attribution.fit import digests
from fairaudit.attribution.store import Attribution
from fairaudit.config import Measure, TrainingSettings
from fairaudit.data.locate import find_root, load_dataset
from fairaudit.data.manifest import FolderStore, Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.engine.devices import cores
from fairaudit.engine.image_sources import ImageSource, open_images
from fairaudit.errors import DataError

_LOOKED_AT = 256


@dataclass(frozen=True)
class Wanted:
    """Which pictures, and how they are looked at.

    Attributes:
        data: dataset name; None is the attribution's own.
        root: its folder.
        split: None takes every image.
        data_options: options of the dataset's source.
        limit: size of a seeded stratified sample by the attribute; None takes all.
        seed: of the sample, and of noise.
        measure: of confidence; None is the attribution's own.
        every: n-th position of each side that is looked at.
        approximate: one pass over whole pictures instead of one per patch.
        training: ``device``, ``precision`` and ``workers``.
    """

    data: str | None = None
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    measure: Measure | None = None
    every: int = 1
    approximate: bool = False
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures and their labels.

    Attributes:
        manifest: their rows.
        images: decoded as the attribution wants them.
        root: the dataset's folder, None where it has none or its images are no files.
    """

    manifest: Manifest
    images: ImageSource
    root: Path | None


def pictures(attribution: Attribution, wanted: Wanted) -> Pictures:
    """Read them.

    Args:
        attribution: for which.
        wanted: which.

    Raises:
        UsageError: they are of another dataset than the attribution, or there is no such column.
        DataError: they are not there.
    """
    name = plugins.canonical("datasets", wanted.data or attribution.data)
    source = plugins.load("datasets", name)
    root = find_root(name, wanted.root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else wanted.root
    options = dict(wanted.data_options)
    if "target" in plugins.options("datasets", name):
        options.setdefault("target", attribution.attribute)
    manifest = load_dataset(name, root, wanted.split or "all", **options)
    column = manifest.column(attribution.attribute)
    if wanted.limit is not None:
        manifest = stratified_sample(manifest, [column], wanted.limit, wanted.seed)
    rows = [str(row) for row in manifest.frame["row"]]
    gone = manifest.store.missing(rows)
    if gone:
        raise DataError(f"{len(gone)} of {len(manifest)} images are not there, the first is {gone[0]!r}")
    workers = cores() if wanted.training.workers is None else wanted.training.workers
    images = open_images(manifest.store, rows, attribution.preprocess, workers=workers)
    attribution.require_pictures(digests(images, range(min(len(rows), _LOOKED_AT))), name)
    return Pictures(manifest, images, manifest.store.root if isinstance(manifest.store, FolderStore) else None)
