"""Gallery: small pictures of a run's worst mistakes and closest decisions, group by group; torch is not needed."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.artifacts.records import AUDIT, read_json
from fairaudit.artifacts.tables import read_predictions
from fairaudit.config import AuditSettings, EvaluateConfig, MitigateConfig, read_toml
from fairaudit.data.locate import find_root, load_dataset
from fairaudit.data.manifest import FolderStore, ImageStore, leaves_root
from fairaudit.errors import DataError, UsageError
from fairaudit.metrics.groups import cross
from fairaudit.metrics.mistakes import worth_a_look
from fairaudit.metrics.subset import parse_subset
from fairaudit.predictions import Predictions
from fairaudit.results.gallery import CLOSE, MISTAKE, Face, Gallery
from fairaudit.workflows.prepare import Prepared, with_levels
from fairaudit.workflows.run_folders import CONFIG
from fairaudit.workflows.target import label_names, prepared

SIDE = 96
"""Pixels of the longer side of a thumbnail."""

MOST = 50
"""Images of each kind and group: more make a page that nobody looks through and no browser opens quickly."""

TERMS = (
    "These pictures are the dataset's, of real people unless they are drawn. The dataset's terms say who may see them; "
    "leave the gallery out of a report that is passed on."
)


def gallery_of(
    predictions: Predictions, settings: AuditSettings, by: tuple[str, ...], store: ImageStore, each: int
) -> Gallery:
    """The worst mistakes and closest decisions of each group.

    Args:
        predictions: what was audited.
        settings: of the audit.
        by: the grouping.
        store: where the images are.
        each: images of each kind and group, 1 to ``MOST``.

    Raises:
        UsageError: several labels were audited side by side, or too many images are asked for.
        DataError: no image can be read.
    """
    check_gallery(each, settings)
    if settings.where is not None:
        predictions = predictions.take(parse_subset(settings.where).rows(predictions.columns(), predictions.numeric))
    predictions = with_levels(predictions, settings)
    target = prepared(predictions, settings)
    if not isinstance(target, Prepared):
        raise UsageError("--gallery shows mistakes of one target, and several labels were audited; name one with --target")
    task, groups = target.task, cross(predictions.columns(), by)
    chosen = worth_a_look(task.y_true, task.y_pred, task.y_score, groups.ids, len(groups), each)

    def faces() -> Iterator[Face]:
        for g, worth in enumerate(chosen):
            for kind, positions in ((MISTAKE, worth.mistakes), (CLOSE, worth.close)):
                for i in positions:
                    true, predicted = task.classes[task.y_true[i]], task.classes[task.y_pred[i]]
                    score = math.nan if task.y_score is None else float(task.y_score[i, task.y_pred[i]])
                    row = str(predictions.rows[i])
                    yield Face(row, groups.as_mapping(g), kind, true, predicted, score, _thumbnail(store, row))

    found = tuple(faces())
    if found and not any(face.image for face in found):
        raise DataError(
            f"--gallery: none of {len(found)} images can be read, the first is {found[0].row}; name their folder with "
            "--images"
        )
    return Gallery(by, found, TERMS)


def check_gallery(each: int, settings: AuditSettings) -> None:
    """Refuse a gallery that cannot be made; called before a long run as well as after it.

    Args:
        each: images of each kind and group.
        settings: of the audit.

    Raises:
        UsageError: several labels are audited side by side, or too many images are asked for.
    """
    if not 1 <= each <= MOST:
        raise UsageError(f"--gallery {each}: choose 1 to {MOST} images of each group")
    if label_names(settings.target) is not None:
        raise UsageError("--gallery shows mistakes of one target, and several labels were audited; name one with --target")


def stored_gallery(run: Path, by: tuple[str, ...], each: int, images: Path | None = None) -> Gallery:
    """The gallery of a stored run.

    Args:
        run: its folder.
        by: the grouping.
        each: images of each kind and group.
        images: folder that row ids are paths below; None where the run says which dataset it was.

    Raises:
        UsageError: nobody says where the images are.
        ArtifactError: the run cannot be read.
        DataError: the dataset is not there.
    """
    predictions = read_predictions(run / "predictions.parquet", None)
    evaluated, experiment = run / "config.toml", run.parent.parent / CONFIG
    if evaluated.is_file():
        config = read_toml(evaluated, EvaluateConfig)
        settings, data = config.audit, (config.data, config.root, config.split, config.data_options)
    elif experiment.is_file() and run.parent.parent in run.parents:
        trained = read_toml(experiment, MitigateConfig)
        own = trained if trained.test is None else trained.test
        settings, data = trained.audit, (own.data, own.root, None, own.data_options)
    else:
        if images is None:
            raise UsageError(
                f"{run} does not say where its images are; name the folder that row ids are paths below with --images"
            )
        record = read_json(run / "run.json")
        settings = AuditSettings.model_validate(record.get("settings") or {"by": [by]})
    target = read_json(run / AUDIT)["settings"]["target"]
    settings = settings.model_copy(update={"target": target})
    store = FolderStore(images) if images is not None else _store(*data)
    return gallery_of(predictions, settings, by, store, each)


def _store(name: str, root: Path | None, split: str | None, options: Mapping[str, Any]) -> ImageStore:
    name = plugins.canonical("datasets", name)
    source = plugins.load("datasets", name)
    found = find_root(name, root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else root
    return load_dataset(name, found, split or "all", **options).store


def _thumbnail(store: ImageStore, row: str) -> str:
    """A small JPEG as a data URI; empty where the image cannot be read, which the page says."""
    from fairaudit.data.opening import opened, rgb

    if leaves_root(row):
        return ""
    try:
        image = opened(store.read(row))
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at about the size that is wanted
        small = rgb(image)
    except Exception:  # a codec may raise anything on a broken file; the page says that there is no picture
        return ""
    small.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
