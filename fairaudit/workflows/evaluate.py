"""Evaluate: a checkpoint and a labelled dataset in, an audit and its run folder out. This is the main job."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairaudit.artifacts.folder import check_replaceable, write_run
from fairaudit.artifacts.records import write_audit, write_json, write_toml
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings, EvaluateConfig
from fairaudit.data.locate import audit_options, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.engine.devices import finish, is_main
from fairaudit.engine.predict import Inference, predict
from fairaudit.errors import DataError, UsageError
from fairaudit.metrics.subset import parse_subset
from fairaudit.models.classifier import Classifier, load_classifier
from fairaudit.predictions import MISSING, Column, Predictions, Task
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.preflight import preflight
from fairaudit.workflows.provenance import environment

RUNS = Path("runs")


@dataclass(frozen=True)
class Evaluation:
    """A finished run.

    Attributes:
        result: the audit.
        folder: the run folder.
        warnings: what the user must know before trusting the numbers.
        images_per_second: throughput of the run.
    """

    result: AuditResult
    folder: Path
    warnings: tuple[str, ...]
    images_per_second: float


@dataclass(frozen=True, eq=False)
class Plan:
    """A dataset, cut to what is audited, and the audit that fits it.

    Attributes:
        manifest: the images.
        target: the audited target, spelt as the dataset does.
        audit: settings completed from the dataset's card.
    """

    manifest: Manifest
    target: str
    audit: AuditSettings


def evaluate(
    config: EvaluateConfig,
    *,
    out: Path | None = None,
    command: Sequence[str] = (),
    announce: Callable[[Sequence[str]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation | None:
    """Run a checkpoint over a dataset and audit what it predicts.

    Args:
        config: the whole run.
        out: run folder; None names one below ``runs/`` after the time, the model and the data.
        command: the command line, for ``run.json``.
        announce: told the preflight's lines before the model runs.
        progress: told (images done, images in all).

    Returns:
        What was found; None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend; see each step.
    """
    try:
        folder = out or RUNS / _folder_name(config)
        check_replaceable(folder)
        plan = prepare(config)
        levels = {name: plan.manifest.levels(name) for name in plan.manifest.attributes}
        classifier = load_classifier(config.model, config.network, plan.target, levels)
        spelling = _spelling(classifier, plan)
        if announce is not None and is_main():
            announce(preflight(classifier, plan.manifest, plan.target, plan.audit, config.inference))
        inference = predict(classifier, plan.manifest, config.inference, progress if is_main() else None)
        if not is_main():
            return None
        predictions = assemble(inference, plan.manifest, spelling)
    finally:
        finish()
    warnings = [*plan.manifest.notes, *classifier.warnings]
    if inference.unreadable:
        first = ", ".join(row for row, _ in inference.unreadable[:5])
        warnings.append(f"{len(inference.unreadable)} images could not be read and are left out: {first}")
    card = plan.manifest.card
    perceived = "labels of gender and race are as perceived by others, not as people identify themselves"
    notes = [card.note] if card.note or card.self_identified else [perceived]
    if inference.unreadable:
        notes.append(warnings[-1])
    result = audit(predictions, plan.audit, card_privileged=card.privileged, notes=notes)
    warnings += [n for n in result.notes if n.startswith(("every prediction is", "accuracy "))]
    record = _provenance(config, classifier, plan, inference, command)
    write_run(
        folder,
        {
            "predictions.parquet": partial(write_predictions, predictions),
            "audit.json": partial(write_audit, result),
            "run.json": lambda path: write_json(path, record),
            "config.toml": lambda path: write_toml(path, _reproducible(config)),
        },
    )
    return Evaluation(result, folder, tuple(warnings), inference.images_per_second)


def prepare(config: EvaluateConfig) -> Plan:
    """Read the dataset, complete the audit's settings from its card, and keep the images that are audited.

    Raises:
        UsageError: neither the flags nor the card name a target or a grouping.
        DataError: no images are left.
    """
    wanted = config.audit
    options = {**audit_options(config.data, wanted.target, wanted.by), **config.data_options}
    manifest = load_dataset(config.data, config.root, config.split, **options)
    card = manifest.card
    if wanted.target is None and card.target is None:
        raise UsageError(f"{config.data} has no usual target; name one with --target ({', '.join(manifest.attributes)})")
    target = manifest.column(wanted.target or str(card.target))
    by = wanted.by or tuple(g for g in card.by if set(g) <= set(manifest.attributes))
    if not by and not wanted.rules:
        raise UsageError(f"{config.data} has no usual groupings; name one with --by ({', '.join(manifest.attributes)})")
    privileged = tuple({manifest.column(k): manifest.level(k, v) for k, v in p.items()} for p in wanted.privileged)
    if wanted.where is not None:
        manifest = _restrict(manifest, wanted.where)
    if config.limit is not None:
        crossed = dict.fromkeys([target, *(manifest.column(name) for group in by for name in group)])
        manifest = stratified_sample(manifest, tuple(crossed), config.limit, wanted.seed)
    return Plan(manifest, target, wanted.model_copy(update={"target": target, "by": by, "privileged": privileged}))


def columns_of(manifest: Manifest) -> tuple[dict[str, Column], dict[str, np.ndarray]]:
    """Categorical and numeric columns of a manifest, as the statistics want them."""
    frame = manifest.frame
    categorical = {
        name: Column(frame[name].cat.codes.to_numpy().astype(np.int64), manifest.levels(name))
        for name in manifest.attributes
    }
    numeric = {
        str(name): frame[name].to_numpy(dtype=np.float64)
        for name in frame.columns
        if pd.api.types.is_float_dtype(frame[name])
    }
    return categorical, numeric


def assemble(inference: Inference, manifest: Manifest, spelling: Mapping[str, tuple[str, ...]]) -> Predictions:
    """Join what was predicted with what is true.

    Args:
        inference: scores per task.
        manifest: the labels.
        spelling: task → its class names as the dataset spells them, in output order.

    Raises:
        DataError: labels occur that the model has no class for.
    """
    position = {str(row): i for i, row in enumerate(manifest.frame["row"])}
    read = manifest.take(np.array([position[str(row)] for row in inference.rows], dtype=np.int64))
    categorical, numeric = columns_of(read)
    tasks = {}
    for name, classes in spelling.items():
        scores = inference.scores[name]
        y_pred = scores.argmax(-1).astype(np.int64)
        y_true = np.full(len(y_pred), MISSING, dtype=np.int64)
        if name in categorical:
            y_true = _encode(categorical[name], classes, name)
        tasks[name] = Task(classes, y_true, y_pred, scores)
    identity = None
    if "identity" in read.frame.columns:
        identity = Column.of(read.frame["identity"].tolist())
    attributes = {name: column for name, column in categorical.items() if name not in tasks}
    return Predictions(np.asarray(inference.rows, dtype=object), tasks, attributes, numeric, identity)


def _encode(labels: Column, classes: tuple[str, ...], name: str) -> np.ndarray:
    index = {c: i for i, c in enumerate(classes)}
    codes = np.array([*(index.get(level, MISSING) for level in labels.levels), MISSING], dtype=np.int64)
    unknown = [i for i, level in enumerate(labels.levels) if level not in index and (labels.codes == i).any()]
    if unknown:
        counted = ", ".join(f"{labels.levels[i]} ({int((labels.codes == i).sum())} images)" for i in unknown)
        raise DataError(
            f"the model has no class for {counted} of {name!r}; its classes are {', '.join(classes)}: "
            "restrict the audit with --where, or merge outputs with --merge"
        )
    return np.asarray(codes[labels.codes])


def _spelling(classifier: Classifier, plan: Plan) -> dict[str, tuple[str, ...]]:
    """Class names of every task as the dataset spells them; classes that the dataset lacks keep their own name."""
    tasks = classifier.head.tasks
    folded = {name.casefold(): name for name in plan.manifest.attributes}
    if plan.target not in {folded.get(task.casefold(), task) for task in tasks}:
        raise UsageError(f"the model predicts {', '.join(tasks)}, not {plan.target!r}; name another --target or --head")
    spelt: dict[str, tuple[str, ...]] = {}
    for task, classes in tasks.items():
        name = folded.get(task.casefold())
        if name is None:
            spelt[task] = classes
        elif name == plan.target:
            spelt[task] = tuple(plan.manifest.level(name, c) for c in classes)
        else:
            spelt[task] = tuple(_level_or_own(plan.manifest, name, c) for c in classes)
    return spelt


def _level_or_own(manifest: Manifest, column: str, name: str) -> str:
    try:
        return manifest.level(column, name)
    except UsageError:
        return name


def _restrict(manifest: Manifest, where: str) -> Manifest:
    categorical, numeric = columns_of(manifest)
    keep = parse_subset(where).rows(categorical, numeric)
    if not keep.any():
        raise DataError(f"no images are left after --where {where!r}; all {len(manifest)} were ruled out")
    return manifest.take(keep)


def _folder_name(config: EvaluateConfig) -> str:
    def plain(text: str) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"

    return f"{datetime.now():%Y%m%d-%H%M%S}-{plain(config.model.stem)}-{plain(config.data)}"


def _reproducible(config: EvaluateConfig) -> dict[str, Any]:
    """The configuration with absolute paths, so that it gives the same run from any folder."""
    paths = {"model": config.model.resolve(), "root": None if config.root is None else config.root.resolve()}
    record: dict[str, Any] = config.model_copy(update=paths).model_dump(mode="json", exclude_defaults=True)
    return record


def _provenance(
    config: EvaluateConfig, classifier: Classifier, plan: Plan, inference: Inference, command: Sequence[str]
) -> dict[str, Any]:
    table = plan.manifest.frame.to_csv(index=False).encode("utf-8")
    return {
        "command": list(command),
        "checkpoint": {"path": str(config.model), "sha256": classifier.sha256, "keys": classifier.keys_matched},
        "architecture": {"name": classifier.architecture, "found_by": classifier.found_by},
        "assumptions": list(classifier.assumptions),
        "head": classifier.head.to_record(),
        "preprocessing": classifier.preprocess.model_dump(mode="json"),
        "data": {
            "name": config.data,
            "root": None if config.root is None else str(config.root),
            "images": len(plan.manifest),
            "manifest_sha256": hashlib.sha256(table).hexdigest(),
            "unreadable": [{"row": row, "reason": why} for row, why in inference.unreadable],
        },
        "inference": {
            "device": inference.device,
            "precision": inference.precision,
            "batch_size": inference.batch_size,
            "workers": inference.workers,
            "seconds": round(inference.seconds, 3),
            "images_per_second": round(inference.images_per_second, 2),
        },
        **environment(),
    }
