"""Explain: a model and labelled images in, what it looked at out: maps, figures, and how far they may be believed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.explanations import Effort
from fairaudit.attribution.faithfulness import ALPHA, LEAST_STABILITY
from fairaudit.config import EvaluateConfig
from fairaudit.engine.devices import is_alone
from fairaudit.errors import UsageError
from fairaudit.reports._html_explain import explanation_page
from fairaudit.results.explanation import ExplanationResult, explanation_json
from fairaudit.workflows.explain_figures import figures
from fairaudit.workflows.explain_groups import GroupFinding, explain_groups
from fairaudit.workflows.explain_images import ImageFinding, cost, explain_images, write_arrays
from fairaudit.workflows.explain_probes import probe
from fairaudit.workflows.explain_rows import chosen, drawn
from fairaudit.workflows.explain_scene import Progress, Scene, settle
from fairaudit.workflows.provenance import environment

RUNS = Path("runs")
RECORD, PAGE, ARRAYS = "explain.json", "explain.html", "explanations.npz"
ALIGNED = "mean maps and maps of attributes are of pixels: they mean something only where faces are aligned to each other"

TERMS = (
    "the figures show pictures of the dataset, of real people unless they are drawn: its terms say who may see them, "
    "so keep this folder where the dataset may be"
)


@dataclass(frozen=True, eq=False)
class Explained:
    """A finished run.

    Attributes:
        result: what was found.
        folder: where it is.
        warnings: what the user must know before trusting it.
    """

    result: ExplanationResult
    folder: Path
    warnings: tuple[str, ...]


def explain(
    config: EvaluateConfig,
    *,
    run: Path | None = None,
    out: Path | None = None,
    command: Sequence[str] = (),
    announce: Callable[[Sequence[str]], None] | None = None,
    progress: Progress | None = None,
) -> Explained:
    """Explain what a model says of images.

    Args:
        config: model, data and what is explained; the parts that ``evaluate`` knows mean what they mean there.
        run: run folder of an evaluation with the same model and images, whose predictions are taken; None predicts.
        out: folder for what is found; None names one below ``runs/``.
        command: the command line, for ``run.json``.
        announce: told what is about to be done.
        progress: told (done, in all): first images that are predicted, then those that are explained.

    Raises:
        FairauditError: anything that a user can mend; see each step. Nothing is written then.
    """
    if not is_alone():
        raise UsageError("explain runs in one process; start it without torchrun")
    folder = out or _new_folder(config)
    _check_apart(folder, [*([] if run is None else [run]), config.model, *config.explain.maps.values()])
    check_replaceable(folder)
    scene = settle(config, run, progress)
    asked, seed = config.explain, scene.plan.audit.seed
    positions = chosen(scene.task, scene.predictions.rows, scene.groups, asked)
    sample = drawn(scene.groups.ids, len(scene.groups), asked.per_group, seed) if asked.per_group else []
    effort = Effort(asked.superpixels, asked.segments, asked.baseline, asked.repeats, asked.random_orders, seed)
    if announce is not None:
        announce(_announced(scene, len(positions), len(sample)))
    counted, total = itertools.count(1), len(positions) * max(1, len(scene.classes)) + len(sample)

    def advance() -> None:
        done = next(counted)
        if progress is not None:
            progress(done, total)

    images = explain_images(scene, effort, positions, advance)
    grouped = explain_groups(scene, effort, sample, advance) if sample else GroupFinding()
    probes = probe(scene, progress) if asked.probe else ()
    notes = [
        *_doubted(images, asked.random_orders), *scene.plan.manifest.notes, *scene.classifier.warnings, *scene.doubts,
        *grouped.notes,
        *([ALIGNED] if sample or scene.maps else []),
    ]  # fmt: skip
    records = tuple(one.record for one in images)
    result = ExplanationResult(_settings(scene), records, grouped.groups, grouped.contrasts, probes, (*notes, TERMS))
    _write(folder, scene, result, images, grouped, command)
    return Explained(result, folder, tuple(notes))


def _announced(scene: Scene, images: int, sampled: int) -> list[str]:
    asked, explainer = scene.config.explain, scene.explainer
    passes = cost(explainer, asked) * images * max(1, len(scene.classes)) + cost(explainer, asked, repeats=1) * sampled
    means = f" and {sampled:,} for the means of groups" if sampled else ""
    return [f"explaining {images:,} images{means} by {asked.method}: about {passes:,} images pass through the network"]


def _doubted(images: Sequence[ImageFinding], orders: int) -> list[str]:
    doubted = sum(bool(one.record.faithful.doubts) for one in images)
    told = [f"{doubted} of {len(images)} explanations are doubted: do not build on them"] if doubted else []
    if any(s is not None and s < LEAST_STABILITY for s in (one.record.faithful.stability for one in images)):
        told.append("other seeds give other maps: more --samples or fewer --segments make LIME steadier")
    if orders < round(1 / ALPHA) - 1:
        told.append(
            f"{orders} random orders cannot show that an explanation is better than chance, so none is doubted for that; "
            "--random-orders 19 can"
        )
    return told


def _settings(scene: Scene) -> dict[str, Any]:
    asked, audit = scene.config.explain, scene.plan.audit
    return {
        "target": scene.plan.target,
        "classes": list(scene.task.classes),
        "by": list(scene.groups.by),
        "seed": audit.seed,
        "confidence": audit.confidence,
        "explained": " and ".join(scene.task.classes[i] for i in scene.classes) or "the class that was predicted",
        "quantity": "log-odds of the class that is explained",
        "size": list(scene.explainer.subject.preprocess.size),
        **asked.model_dump(mode="json", exclude={"maps", "rows", "worst", "right", "classes"}),
        "maps": list(asked.maps),
    }


def _write(
    folder: Path, scene: Scene, result: ExplanationResult, images: Sequence[ImageFinding], grouped: GroupFinding,
    command: Sequence[str],
) -> None:  # fmt: skip
    config, classifier = scene.config, scene.classifier
    drawn_now = figures(result, images, grouped, scene.plan.audit.confidence)
    record = {
        "command": list(command),
        "checkpoint": {"path": str(config.model), "sha256": classifier.sha256},
        "architecture": {"name": classifier.architecture, "found_by": classifier.found_by},
        "head": classifier.head.to_record(),
        "preprocessing": classifier.preprocess.model_dump(mode="json"),
        "data": {"name": config.data, "images": len(scene.plan.manifest)},
        "maps": {name: str(path) for name, path in config.explain.maps.items()},
        **environment(),
    }
    pngs = {one.name: one.png() for one in drawn_now}  # before a page makes them SVG, which leaves fewer dots per inch
    page = explanation_page(result, drawn_now, f"{config.model.stem} on {config.data}")

    def write_png(png: bytes, path: Path) -> None:
        write_whole(path, png)

    write_run(
        folder,
        {
            RECORD: lambda path: write_whole(path, explanation_json(result)),
            ARRAYS: partial(write_arrays, images, grouped),
            **{f"{name}.png": partial(write_png, png) for name, png in pngs.items()},
            PAGE: lambda path: write_whole(path, page),
            "run.json": lambda path: write_json(path, record),
        },
    )


def _check_apart(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to replace what is explained, or what a map comes from.

    Raises:
        UsageError: the folder is or holds one of the inputs.
    """
    target = out.resolve()
    held = next((path for path in inputs if path.resolve().is_relative_to(target)), None)
    if held is not None:
        raise UsageError(f"{out} is or holds {held}, which is read, and would be replaced; choose another folder for --out")


def _new_folder(config: EvaluateConfig) -> Path:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.model.stem}-{config.explain.method}").strip("-.") or "run"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-explain-{stem}"
    names = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
    return next(RUNS / n for n in names if not (RUNS / n).exists())
