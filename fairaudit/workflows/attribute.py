"""Attribute: fit a region classifier to any attribute of any dataset, say how far it can be believed, and keep it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fairaudit import plugins
from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.calibrate import calibration
from fairaudit.attribution.confidence import MEASURES, confidence, softmax
from fairaudit.attribution.fit import all_logits, digests, fit_regions
from fairaudit.attribution.maps import top_region
from fairaudit.attribution.overlay import heat, overlay, png, sheet
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.store import Attribution
from fairaudit.config import AttributeConfig, Preprocess
from fairaudit.data.content import content_codes
from fairaudit.data.locate import find_root, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.data.splits import divide, official_splits
from fairaudit.engine.accumulate import Say
from fairaudit.engine.devices import cores, finish, gather, is_main, place
from fairaudit.engine.image_sources import ImageSource, open_images
from fairaudit.engine.train import Report
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError
from fairaudit.reports._figures.region_calibration import region_calibration
from fairaudit.workflows.provenance import environment

QUANTILE = 0.7
"""Of the region that figures outline."""


@dataclass(frozen=True)
class Fitted:
    """A finished fit.

    Attributes:
        attribution: what was found.
        folder: where it is.
        warnings: what must be known before its maps are believed, a sentence each.
    """

    attribution: Attribution
    folder: Path
    warnings: tuple[str, ...]


def fit(
    config: AttributeConfig,
    out: Path,
    *,
    resume: bool = False,
    command: Sequence[str] = (),
    say: Say = lambda _: None,
    progress: Report | None = None,
) -> Fitted | None:
    """Fit, calibrate, map and keep.

    Args:
        config: the whole run.
        out: the attribution's folder; it appears when all is done.
        resume: go on with an interrupted fit of the same settings.
        command: the command line, for ``run.json``.
        say: told what is about to happen.
        progress: told where the training stands.

    Returns:
        What was found; None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend; see each step.
    """
    try:
        check_replaceable(out)
        positions = Positions(config.size, config.patch, config.per_side)
        placement = place(config.training.device)
        preprocess = Preprocess(
            size=(config.size, config.size), resize=config.resize, source="ImageNet's mean and deviation"
        )
        manifest = _manifest(config)
        column = manifest.column(config.attribute)
        learn, held = (_labelled(part, column) for part in _divided(config, manifest, column))
        levels = _levels(learn, column)
        held = held.take(held.frame[column].isin(levels).to_numpy())
        if len(held) < 2:
            raise DataError(f"{len(held)} of {len(manifest)} images validate; use more, or a larger --validation-share")
        sample = stratified_sample(held, [column], config.sample, config.training.seed)
        data = labelled_images(learn, column, levels, preprocess, config, out)
        validation = labelled_images(held, column, levels, preprocess, config, out)
        patches = f"{config.patch}x{config.patch} patches at {config.per_side}x{config.per_side} positions"
        say(
            f"{column}: {', '.join(levels)}; {len(learn):,} images to train, {len(held):,} to validate, {patches}, "
            f"{positions.stride} pixels apart"
        )
        work = out.with_name(f".{out.name}.fitting")
        if not resume and is_main():
            shutil.rmtree(work, ignore_errors=True)
        gather(None, placement)  # no process looks for a state before the main one has taken an old one away
        net, history = fit_regions(
            data, validation, positions, config.stem, config.training,
            width=config.width, progress=progress, say=say, resume=work,
        )  # fmt: skip
        say(f"classifying {len(positions):,} patches of each of {len(sample):,} validation images")
        sampled = labelled_images(sample, column, levels, preprocess, config, out)
        logits = all_logits(net, sampled.images, preprocess, config.training)
        if not is_main():
            return None
    finally:
        finish()
    found = calibration(logits, sampled.targets.numpy(), temperature=config.temperature)
    scores = softmax(logits, found.temperature)
    attribution = Attribution(
        column, levels, net, preprocess, config.measure, found,
        {name: confidence(scores, name).mean(axis=0) for name in MEASURES},
        average_of(sampled.images),
        plugins.canonical("datasets", config.data),
        hashlib.sha256(manifest.frame.to_csv(index=False).encode("utf-8")).hexdigest(),
        frozenset(one for part in (data, validation) for one in digests(part.images, range(len(part)))),
        {
            "images": {"train": len(learn), "validation": len(held), "sample": len(sample)},
            "epochs": [e.validation.score if e.validation else None for e in history.epochs],
            "training": config.training.model_dump(mode="json"),
        },
    )  # fmt: skip
    record = {"command": list(command), "seconds": round(history.seconds, 3), **environment()}
    write_run(
        out,
        {
            **attribution.contents(),
            **_figures(attribution),
            "run.json": lambda path: write_json(path, record),
        },
    )
    shutil.rmtree(work, ignore_errors=True)
    told = (*manifest.notes, *attribution.doubts, *_unlearnt(attribution, sampled.targets.numpy()))
    return Fitted(attribution, out, told)


def labelled_images(
    part: Manifest, column: str, levels: tuple[str, ...], preprocess: Preprocess, config: AttributeConfig, out: Path
) -> TrainingData:
    """Pictures with their level as class and group.

    Args:
        part: rows whose level is known.
        column: the attribute.
        levels: of it.
        preprocess: how pictures are prepared.
        config: workers and cache.
        out: decoded pictures are kept beside it with ``cache = "disk"``.
    """
    codes = torch.from_numpy(np.array([levels.index(str(v)) for v in part.frame[column]], dtype=np.int64))
    training = config.training
    workers = cores() if training.workers is None else training.workers
    images = open_images(
        part.store, [str(row) for row in part.frame["row"]], preprocess,
        workers=workers, cache=training.cache, folder=out.parent / "cache",
    )  # fmt: skip
    return TrainingData(images, codes, codes, levels, levels, preprocess)


def average_of(images: ImageSource) -> np.ndarray:
    """The mean of pictures.

    Args:
        images: n pictures.

    Returns:
        (h, w, 3) uint8.
    """
    total = torch.zeros(())
    for some in torch.split(torch.arange(len(images)), 64):
        total = total + images.take(some).double().sum(dim=0)
    return np.asarray((total / len(images)).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


def _manifest(config: AttributeConfig) -> Manifest:
    name = plugins.canonical("datasets", config.data)
    source = plugins.load("datasets", name)
    root = find_root(name, config.root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else config.root
    options = dict(config.data_options)
    if "target" in plugins.options("datasets", name):  # a table knows as a label what it is told is one
        options.setdefault("target", config.attribute)
    manifest = load_dataset(name, root, config.split or "all", **options)
    if config.limit is not None:
        manifest = stratified_sample(manifest, [manifest.column(config.attribute)], config.limit, config.split_seed)
    gone = manifest.store.missing([str(row) for row in manifest.frame["row"]])
    if gone:
        raise DataError(f"{len(gone)} of {len(manifest)} images are not there, the first is {gone[0]!r}")
    return manifest


def _divided(config: AttributeConfig, manifest: Manifest, column: str) -> Sequence[Manifest]:
    if config.splits == "official":
        splits = official_splits(manifest, [column], config.split_seed)
        return splits.train, splits.validation
    shares = (1 - config.validation_share, config.validation_share)
    return divide(manifest, [column], shares, config.split_seed, content_codes(manifest))


def _labelled(part: Manifest, column: str) -> Manifest:
    return part.take(part.frame[column].notna().to_numpy())


def _levels(learn: Manifest, column: str) -> tuple[str, ...]:
    held = {str(v) for v in learn.frame[column]}
    levels = tuple(level for level in learn.levels(column) if level in held)
    if len(levels) < 2:
        only = f"is {levels[0]!r} on every image" if levels else "is known of no image"
        raise DataError(f"{column} {only}, so it cannot be attributed; a region classifier needs two levels")
    return levels


def _unlearnt(attribution: Attribution, targets: np.ndarray) -> list[str]:
    """A classifier that tells nothing has a map all the same."""
    commonest = float(np.bincount(targets).max() / len(targets))
    if attribution.calibration.accuracy > commonest:
        return []
    usual = attribution.levels[int(np.bincount(targets).argmax())]
    return [
        f"the region classifier of {attribution.attribute} is right on {100 * attribution.calibration.accuracy:.0f} % of "
        f"the patches, no more than always saying {usual!r} would be; where it is surer than elsewhere may mean little: "
        "train longer, or with --balance groups"
    ]


def _figures(attribution: Attribution) -> dict[str, Callable[[Path], None]]:
    c, general = attribution.calibration, attribution.general()
    bins = [(int(n), float(x), float(y)) for n, x, y in zip(c.count, c.mean, c.right, strict=True)]
    diagram = region_calibration(attribution.attribute, bins, c.error, c.temperature, c.images)
    region = top_region(general, QUANTILE)
    faces = sheet([[attribution.average, overlay(attribution.average, general, region), heat(general)]])
    return {
        "map.png": lambda path: write_whole(path, png(faces)),
        "reliability.png": lambda path: write_whole(path, diagram.png()),
        "reliability.svg": lambda path: write_whole(path, diagram.svg()),
    }
