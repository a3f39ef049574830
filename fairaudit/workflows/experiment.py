"""Experiment: one dataset split once, one start, one set of groups; every arm and seed is trained on the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fairaudit import plugins
from fairaudit.artifacts.embeddings import IDENTITY
from fairaudit.config import AuditSettings, MitigateConfig, Preprocess
from fairaudit.data.locate import audit_options, find_root, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.data.splits import Splits, cut_validation, official_splits, stratified_splits
from fairaudit.engine.devices import cores
from fairaudit.engine.image_sources import ImageSource, open_images
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import CheckpointError, UsageError
from fairaudit.metrics.groups import Groups, cross
from fairaudit.models.head import Head, Task
from fairaudit.models.starting import (
    PRETRAINED,
    Start,
    start_from_model,
    start_from_scratch,
    start_from_weights,
    start_pretrained,
)
from fairaudit.predictions import MISSING, Column
from fairaudit.results import group_label
from fairaudit.workflows.embed_tables import HIT
from fairaudit.workflows.embedding_arms import RECALL, trains_embeddings
from fairaudit.workflows.experiment_checks import check_files, check_splits
from fairaudit.workflows.experiment_classes import classes_of, skewed, splits_by_class, target_name
from fairaudit.workflows.experiment_defaults import SCRATCH, SCRATCH_SIZE
from fairaudit.workflows.labels import column_of, columns_of, level_of


@dataclass(frozen=True, eq=False)
class Experiment:
    """What every arm and seed shares.

    Attributes:
        config: the run.
        splits: images to learn from, to select on, to report.
        tasks: target → its classes, in the order of the outputs; several for a multi-task network.
        by: the attributes whose cells are the groups that losses and methods know.
        group_labels: name of each group.
        audit: settings of the audit of the test images, completed from the dataset's card.
        start: where networks start.
        preprocess: how images are prepared.
        root: the dataset's folder.
        notes: what a reader must know, a sentence each.
        cache_folder: where decoded images are kept with ``cache = "disk"``.
        embeds: whether networks give embeddings, by which images of a class are found again.
    """

    config: MitigateConfig
    splits: Splits
    tasks: Mapping[str, tuple[str, ...]]
    by: tuple[str, ...]
    group_labels: tuple[str, ...]
    audit: AuditSettings
    start: Start
    preprocess: Preprocess
    root: Path | None
    notes: tuple[str, ...]
    cache_folder: Path
    embeds: bool = False

    @property
    def outputs(self) -> int:
        """Logits of the network: every class of every target."""
        return sum(len(classes) for classes in self.tasks.values())

    @property
    def head(self) -> Head:
        """What the outputs mean."""
        parts, first = [], 0
        for name, classes in self.tasks.items():
            parts.append(Task(name, classes, tuple(range(first, first + len(classes)))))
            first += len(classes)
        return Head(first, tuple(parts))


def prepare_experiment(config: MitigateConfig, cache: Path = Path("cache")) -> Experiment:
    """Read and split the data, settle targets, groups and the start; everything that can be refused is refused here.

    Args:
        config: the run.
        cache: where decoded images are kept with ``cache = "disk"``.

    Raises:
        FairauditError: anything that a user can mend; see each step.
    """
    manifest, root = _dataset(config)
    target = _target(config, manifest)
    by = _groupings(config, manifest)
    names = dict.fromkeys([*target, *(name for grouping in by for name in grouping)])
    strata = [name for name in names if name in manifest.attributes]
    if config.limit is not None:
        manifest = stratified_sample(manifest, strata, config.limit, config.split_seed)
    splits = skewed(config, _split(config, manifest, strata, target))
    start = _start(config, target, splits.train)
    tasks = {name: classes_of(splits.train, name).levels for name in target}
    if start.classes is not None and not trains_embeddings(config):
        tasks = {target[0]: _spelt(start.classes, target[0], splits.train, str(config.model))}
    labelled, told = zip(
        *(_labelled(part, target, by[0], what) for part, what in
          ((splits.train, "training"), (splits.validation, "validation"))), strict=True,
    )  # fmt: skip
    splits = replace(splits, train=labelled[0], validation=labelled[1])
    check_splits(splits, tasks, by[0])
    check_files(splits)
    crossed = _crossed(splits.train, by[0])
    privileged = tuple(
        {column_of(k, manifest): level_of(v, k, manifest) for k, v in levels.items()} for levels in config.audit.privileged
    )
    audit = config.audit.model_copy(update={"target": ",".join(target), "by": by, "privileged": privileged})
    notes = (*manifest.notes, *splits.notes, *(note for notes in told for note in notes))
    if trains_embeddings(config):
        audit = audit.model_copy(update={"target": RECALL, "positive": HIT})
        notes = (*notes, f"accuracy is recall@1: how often the nearest other test image is of the same {target[0]}")
    return Experiment(
        config,
        splits,
        tasks,
        by[0],
        tuple(group_label(crossed.as_mapping(i)) for i in range(len(crossed))),
        audit,
        start,
        start.preprocess,
        root,
        tuple(dict.fromkeys(notes)),
        cache,
        trains_embeddings(config),
    )


def training_data(experiment: Experiment, part: Manifest, images: ImageSource) -> TrainingData:
    """Images of one split with their classes and groups.

    Args:
        experiment: what they are of.
        part: its training or validation images.
        images: as ``opened`` gives them, or unread.
    """
    own = {name: classes_of(part, name) for name in experiment.tasks}
    # people are in one split alone, so each split has classes of its own; levels of a column are declared for all
    tasks = {name: own[name].levels if name == IDENTITY else classes for name, classes in experiment.tasks.items()}
    codes = [_encoded(own[name], classes) for name, classes in tasks.items()]  # labelled only: nothing is missing
    targets = torch.from_numpy(np.stack(codes, axis=1) if len(codes) > 1 else codes[0])
    several = {"tasks": tuple(tasks.items())} if len(codes) > 1 else {}
    return TrainingData(
        images=images,
        targets=targets,
        groups=torch.from_numpy(_crossed(part, experiment.by).ids),
        classes=tuple(name for classes in tasks.values() for name in classes),
        group_labels=experiment.group_labels,
        preprocess=experiment.preprocess,
        **several,
    )


def opened(experiment: Experiment, part: Manifest) -> ImageSource:
    """Images of one split, prepared as the network wants them.

    Args:
        experiment: what they are of.
        part: which images.
    """
    training = experiment.config.training
    return open_images(
        part.store,
        [str(row) for row in part.frame["row"]],
        experiment.preprocess,
        workers=cores() if training.workers is None else training.workers,
        cache=training.cache,
        folder=experiment.cache_folder,
    )


def _encoded(column: Column, classes: tuple[str, ...]) -> np.ndarray:
    order = np.array([classes.index(level) if level in classes else MISSING for level in column.levels], dtype=np.int64)
    return order[column.codes]


def _dataset(config: MitigateConfig) -> tuple[Manifest, Path | None]:
    name = plugins.canonical("datasets", config.data)
    source = plugins.load("datasets", name)
    root = find_root(name, config.root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else config.root
    options = {**audit_options(config.data, None, config.audit.by), **config.data_options}
    if config.audit.target is not None and config.audit.target.casefold() != IDENTITY:
        options = {**audit_options(config.data, config.audit.target.split(",")[0].strip(), config.audit.by), **options}
    return load_dataset(config.data, root, config.split or "all", **options), root


def _target(config: MitigateConfig, manifest: Manifest) -> tuple[str, ...]:
    embedded = trains_embeddings(config)
    usual = IDENTITY if embedded and IDENTITY in manifest.frame.columns else manifest.card.target
    wanted = config.audit.target or usual
    if wanted is None:
        raise UsageError(f"{config.data} has no usual target; name one with --target ({', '.join(manifest.attributes)})")
    names = tuple(target_name(name.strip(), manifest, embedded) for name in wanted.split(","))
    if len(set(names)) < len(names):
        raise UsageError(f"--target {wanted} names a target twice")
    if len(names) > 1 and config.model is not None:
        raise UsageError("several targets need a new head; give the checkpoint as --weights, which keeps its backbone")
    return names


def _groupings(config: MitigateConfig, manifest: Manifest) -> tuple[tuple[str, ...], ...]:
    by = config.audit.by or tuple(g for g in manifest.card.by if set(g) <= set(manifest.attributes))
    if not by:
        raise UsageError(f"{config.data} has no usual groupings; name one with --by ({', '.join(manifest.attributes)})")
    return tuple(tuple(manifest.column(name) for name in grouping) for grouping in by)


def _split(config: MitigateConfig, manifest: Manifest, strata: list[str], target: tuple[str, ...]) -> Splits:
    same = {"compare_content": config.compare_content}
    if config.test is not None:
        other = config.test
        source = plugins.load("datasets", other.data)
        needed = getattr(source, "NEEDS_ROOT", True)
        root = find_root(plugins.canonical("datasets", other.data), other.root, source.CARD) if needed else other.root
        options = {**audit_options(other.data, None, config.audit.by), **other.data_options}
        test = load_dataset(other.data, root, other.split, **options)
        if other.limit is not None:
            known = [name for name in strata if name in test.attributes]
            test = stratified_sample(test, known, other.limit, config.split_seed)
        train, validation, _ = config.split_shares
        return cut_validation(manifest, test, strata, validation / (train + validation), config.split_seed, **same)
    if config.splits == "classes":
        return splits_by_class(manifest, config, strata, target[0], trains_embeddings(config))
    if config.splits == "official":
        return official_splits(manifest, strata, config.split_seed, **same)
    return stratified_splits(manifest, strata, config.split_shares, config.split_seed, **same)


def _start(config: MitigateConfig, target: tuple[str, ...], train: Manifest) -> Start:
    network = config.network
    if config.model is not None:
        levels = {name: train.levels(name) for name in train.attributes}
        return start_from_model(config.model, network, target[0], levels)
    if config.weights == PRETRAINED:
        return start_pretrained(str(network.arch), network)
    if config.weights is not None:
        return start_from_weights(Path(config.weights), network.arch, network)
    if network.arch is None:
        sized = network.preprocess.model_copy(
            update={"size": network.preprocess.size or SCRATCH_SIZE, "resize": network.preprocess.resize or "squash"}
        )
        network = network.model_copy(update={"preprocess": sized})
    return start_from_scratch(network.arch or SCRATCH, network)


def _spelt(classes: tuple[str, ...], target: str, manifest: Manifest, model: str) -> tuple[str, ...]:
    spelt = tuple(level_of(name, target, manifest) for name in classes)
    if set(spelt) != set(manifest.levels(target)):
        raise CheckpointError(
            f"{model} has the {len(classes)} classes {', '.join(classes)}, but {target} has the "
            f"{len(manifest.levels(target))} levels {', '.join(manifest.levels(target))}; to keep its backbone and train a "
            "new head, give it as --weights"
        )
    return spelt


def _labelled(part: Manifest, target: tuple[str, ...], by: tuple[str, ...], what: str) -> tuple[Manifest, list[str]]:
    """The images whose targets and group are known; nothing can be learnt from the others."""
    known = np.ones(len(part), dtype=bool)
    for name in dict.fromkeys((*target, *by)):
        known &= part.frame[name].notna().to_numpy()
    lacking = int((~known).sum())
    if not lacking:
        return part, []
    return part.take(known), [f"{lacking} {what} images without a known target or group are left out"]


def _crossed(part: Manifest, by: tuple[str, ...]) -> Groups:
    return cross(columns_of(part)[0], by)
