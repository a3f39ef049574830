"""Evaluate: a checkpoint and a labelled dataset in, an audit and its run folder out. This is the main job."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from fairaudit import plugins
from fairaudit.artifacts.folder import check_replaceable, unwritable
from fairaudit.artifacts.records import write_audit, write_json, write_toml
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import AuditSettings, EvaluateConfig
from fairaudit.data.locate import audit_options, find_root, load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import stratified_sample
from fairaudit.engine.devices import finish, is_main, place
from fairaudit.engine.predict import predict
from fairaudit.errors import DataError, UsageError
from fairaudit.metrics.subset import parse_subset
from fairaudit.models.classifier import load_classifier
from fairaudit.predictions import Predictions
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.evaluation_record import provenance, reproducible
from fairaudit.workflows.gallery import check_gallery, gallery_of
from fairaudit.workflows.keeping import Keeping, keeping
from fairaudit.workflows.labels import assemble, column_of, columns_of, encode, first_label, level_of, spelling
from fairaudit.workflows.preflight import preflight
from fairaudit.workflows.run_reports import write_run_and_report
from fairaudit.workflows.target import label_names

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
        target: the audited target, spelt as the dataset does; empty where several labels are audited.
        audit: settings completed from the dataset's card.
        root: folder of the dataset; None where it needs none.
        available: images before a ``limit`` took its sample.
    """

    manifest: Manifest
    target: str
    audit: AuditSettings
    root: Path | None
    available: int


def evaluate(
    config: EvaluateConfig,
    *,
    out: Path | None = None,
    command: Sequence[str] = (),
    announce: Callable[[Sequence[str]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: bool = True,
    gallery: int | None = None,
    resume: bool = False,
    interrupted: Callable[[str], None] | None = None,
) -> Evaluation | None:
    """Run a checkpoint over a dataset and audit what it predicts.

    Args:
        config: the whole run.
        out: run folder; None names one below ``runs/`` after the time, the model and the data.
        command: the command line, for ``run.json``.
        announce: told the preflight's lines before the model runs.
        progress: told (images done, images in all).
        report: whether the run folder holds a page and figures too.
        gallery: faces of each kind and group that the page shows; None shows none.
        resume: go on with what an interrupted run left beside ``out``.
        interrupted: told what is kept where the run does not come to its end, in one of several processes.

    Returns:
        What was found; None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend; see each step.
    """
    folder = out or _new_folder(config)
    with keeping(folder, resume, interrupted) as kept:
        found = _evaluated(config, kept, command, announce, progress, report, gallery)
        if found is not None:  # the main process, which has written the run folder
            kept.done()
    return found


def _evaluated(
    config: EvaluateConfig, kept: Keeping, command: Sequence[str], announce: Callable[[Sequence[str]], None] | None,
    progress: Callable[[int, int], None] | None, report: bool, gallery: int | None,
) -> Evaluation | None:  # fmt: skip
    folder = kept.out
    try:
        check_replaceable(folder)
        _check_writable(folder)
        placement = place(config.inference.device)
        plan = prepare(config)
        if gallery is not None:
            check_gallery(gallery, plan.audit)
        levels = {name: plan.manifest.levels(name) for name in plan.manifest.attributes}
        classifier = load_classifier(config.model, config.network, plan.target, levels)
        target = plan.target or first_label(classifier.head.tasks, plan.manifest, str(plan.audit.target))
        spelt, left_out = spelling(classifier.head.tasks, plan.manifest, target)
        _rehearse(plan, spelt, target)
        if announce is not None and is_main():
            announce(
                preflight(
                    classifier,
                    plan.manifest,
                    plan.audit,
                    available=plan.available,
                    device=str(placement.device),
                    precision=config.inference.precision,
                )
            )
        unfinished = kept.open(classifier, plan.manifest, config.inference, placement)
        if announce is not None and is_main():
            announce(unfinished.notes)
        inference = predict(classifier, plan.manifest, config.inference, progress if is_main() else None, unfinished)
        if not is_main():
            return None
        scored = {column_of(task, plan.manifest): scores for task, scores in inference.scores.items()}
        predictions = assemble(inference.rows, scored, plan.manifest, spelt, target)
    finally:
        finish()
    warnings = [*plan.manifest.notes, *classifier.warnings, *left_out]
    if inference.unreadable:
        first = ", ".join(row for row, _ in inference.unreadable[:5])
        warnings.append(f"{len(inference.unreadable)} images could not be read and are left out: {first}")
    card = plan.manifest.card
    perceived = "labels of gender and race are as perceived by others, not as people identify themselves"
    notes = [n for n in (card.note or (None if card.self_identified else perceived),) if n]
    if inference.unreadable:
        notes.append(warnings[-1])
    result = audit(predictions, plan.audit, card_privileged=card.privileged, notes=notes)
    warnings += [n for n in result.notes if n.startswith(("every prediction is", "accuracy "))]
    record = provenance(config, classifier, plan.manifest, plan.root, inference, command)
    contents: dict[str, Callable[[Path], None]] = {
        "predictions.parquet": partial(write_predictions, predictions),
        "audit.json": partial(write_audit, result),
        "run.json": lambda path: write_json(path, record),
        "config.toml": lambda path: write_toml(path, reproducible(config, plan.root)),
    }
    faces = None
    if gallery is not None and report:
        faces = gallery_of(predictions, plan.audit, result.groupings[0].by, plan.manifest.store, gallery)
    write_run_and_report(folder, contents, result, record, report, faces)
    return Evaluation(result, folder, tuple(warnings), inference.images_per_second)


def prepare(config: EvaluateConfig) -> Plan:
    """Read the dataset, complete the audit's settings from its card, and keep the images that are audited.

    Raises:
        UsageError: neither the flags nor the card name a target or a grouping.
        DataError: no images are left.
    """
    wanted = config.audit
    root = _root(config)
    # Columns with levels of their own; where no grouping is named, the card's are taken.
    levels = [tuple(n for n in names if n not in wanted.bins) for names in (*wanted.by, *wanted.given) if wanted.by]
    labels = label_names(wanted.target)
    wants = [names for names in (*levels, labels) if names]
    options = {**audit_options(config.data, wanted.target if labels is None else None, wants), **config.data_options}
    manifest = load_dataset(config.data, root, config.split, **options)
    card = manifest.card
    if wanted.target is None and card.target is None:
        raise UsageError(f"{config.data} has no usual target; name one with --target ({', '.join(manifest.attributes)})")
    target = "" if labels is not None else manifest.column(wanted.target or str(card.target))
    by = wanted.by or tuple(g for g in card.by if set(g) <= set(manifest.attributes))
    if not by and not wanted.rules:
        raise UsageError(f"{config.data} has no usual groupings; name one with --by ({', '.join(manifest.attributes)})")
    privileged = tuple(
        {column_of(k, manifest): level_of(v, k, manifest) for k, v in levels.items()} for levels in wanted.privileged
    )
    if target and manifest.frame[target].isna().all():
        raise DataError(f"no image has a label for {target!r}; there is nothing to audit")
    if wanted.where is not None:
        manifest = _restrict(manifest, wanted.where)
    available = len(manifest)
    if config.limit is not None:
        crossed = dict.fromkeys([target, *(column_of(name, manifest) for group in by for name in group)])
        known = [name for name in crossed if name in manifest.attributes]  # what is not is refused by the audit
        manifest = stratified_sample(manifest, known, config.limit, wanted.seed)
    named = "+".join(manifest.column(one) for one in labels) if labels else target or wanted.target
    completed = wanted.model_copy(update={"target": named, "by": by, "privileged": privileged})
    return Plan(manifest, target, completed, root, available)


def _root(config: EvaluateConfig) -> Path | None:
    name = plugins.canonical("datasets", config.data)
    source = plugins.load("datasets", name)
    return find_root(name, config.root, source.CARD) if getattr(source, "NEEDS_ROOT", True) else config.root


def _rehearse(plan: Plan, spelt: Mapping[str, tuple[str, ...]], target: str) -> None:
    """Audit the labels as if they had been predicted: what is wrong with a rule must not be said after hours of work.

    Raises:
        FairauditError: as the audit would.
    """
    audit(labels_as_predicted(plan, spelt, target), plan.audit, card_privileged=plan.manifest.card.privileged)


def labels_as_predicted(plan: Plan, spelt: Mapping[str, tuple[str, ...]], target: str) -> Predictions:
    """The labels as if they had been predicted.

    Args:
        plan: the images.
        spelt: column → class names.
        target: one of the columns.
    """
    n = len(plan.manifest)
    labels = columns_of(plan.manifest)[0][target]
    scores = {name: np.zeros((n, len(classes))) for name, classes in spelt.items()}
    scores[target][np.arange(n), encode(labels, spelt[target], target)] = 1.0
    rows = plan.manifest.frame["row"].to_numpy(dtype=object)
    return assemble(rows, scores, plan.manifest, spelt, target)


def _restrict(manifest: Manifest, where: str) -> Manifest:
    categorical, numeric = columns_of(manifest)
    keep = parse_subset(where).rows(categorical, numeric)
    if not keep.any():
        raise DataError(f"no images are left after --where {where!r}; all {len(manifest)} were ruled out")
    return manifest.take(keep)


def _check_writable(folder: Path) -> None:
    """A run folder that cannot be written must not be found out after hours of work.

    Raises:
        OutputError: nothing can be made where it is to be.
    """
    beside = next(parent for parent in folder.absolute().parents if parent.exists())
    try:
        Path(tempfile.mkdtemp(prefix=".fairaudit-", dir=beside)).rmdir()
    except OSError as error:
        raise unwritable(folder, error) from error


def _new_folder(config: EvaluateConfig) -> Path:
    """A folder below ``runs/`` that is not there yet, named after the time, the model and the data."""

    def plain(text: str) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"

    name = f"{datetime.now():%Y%m%d-%H%M%S}-{plain(config.model.stem)}-{plain(config.data)}"
    names = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
    return next(RUNS / n for n in names if not (RUNS / n).exists())
