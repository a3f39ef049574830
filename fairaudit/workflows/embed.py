"""Embed: a network and its images, or a file of embeddings, to an audit of the embedding space and its run folder."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fairaudit.artifacts.embedding_audits import EMBEDDING, write_embedding_audit
from fairaudit.artifacts.embeddings import Embeddings, read_embeddings, write_embeddings
from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import AUDIT, write_audit, write_json
from fairaudit.artifacts.tables import write_predictions
from fairaudit.config import EmbedSettings, EvaluateConfig
from fairaudit.errors import UsageError
from fairaudit.results import AuditResult
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.embedding_record import embedding_from_record, embedding_record
from fairaudit.workflows import run_reports
from fairaudit.workflows.embed_audit import Audited, audit_embeddings
from fairaudit.workflows.provenance import environment
from fairaudit.workflows.run_reports import FIGURES, PAGE

ARCHIVE = "embeddings.npz"

Progress = Callable[[int, int], None]
Writer = Callable[[Path], None]


@dataclass(frozen=True)
class Embedded:
    """A finished audit of an embedding space.

    Attributes:
        result: the record.
        gated: the audit that rules were judged in.
        folder: what was written; None where nothing was.
        warnings: what the user must know before trusting the numbers.
    """

    result: EmbeddingResult
    gated: AuditResult
    folder: Path | None
    warnings: tuple[str, ...]


def embed_files(
    paths: Sequence[Path],
    settings: EmbedSettings,
    *,
    out: Path | None = None,
    command: Sequence[str] = (),
    announce: Callable[[str], None] | None = None,
    report: bool = True,
) -> Embedded:
    """Audit embeddings that are at hand; torch is not needed.

    Args:
        paths: files of embeddings that together are one table.
        settings: what is asked.
        out: run folder; None writes nothing.
        command: the command line, for ``run.json``.
        announce: told what is about to be done.
        report: whether the run folder holds pages and figures.

    Raises:
        FairauditError: anything that a user can mend; nothing is written then.
    """
    if out is not None:
        check_replaceable(out)
    embeddings = read_embeddings(paths)
    audited = audit_embeddings(embeddings, settings, announce)
    record = {"embeddings": [{"path": str(path), "sha256": _sha256(path)} for path in paths], "made": dict(embeddings.made)}
    if out is not None:
        _write(out, audited, embeddings, record, command, report, keep=False)
    return Embedded(audited.result, audited.gated, out, ())


def embed_model(
    config: EvaluateConfig,
    settings: EmbedSettings,
    *,
    layer: str = "",
    out: Path | None = None,
    command: Sequence[str] = (),
    announce: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    report: bool = True,
) -> Embedded | None:
    """Embed the images of a dataset, and audit what the network makes of them.

    Args:
        config: model, data, and how the network is run.
        settings: what is asked; without groupings the dataset's usual ones are taken.
        layer: of the network; empty takes the pooled features before the last layer.
        out: run folder; None names one below ``runs/``.
        command: the command line, for ``run.json``.
        announce: told what is about to be done.
        progress: told (images done, images in all).
        report: whether the run folder holds pages and figures.

    Returns:
        None in all but the main one of several processes.

    Raises:
        FairauditError: anything that a user can mend; nothing is written then.
    """
    from fairaudit.workflows.embed_model import embeddings_of

    folder = out or _new_folder(config)
    check_replaceable(folder)
    made = embeddings_of(config, settings, layer, announce or (lambda _: None), progress)
    if made is None:
        return None
    if not settings.audit.by:
        settings = settings.model_copy(update={"audit": settings.audit.model_copy(update={"by": made.by})})
    audited = audit_embeddings(made.embeddings, settings, announce)
    _write(folder, audited, made.embeddings, made.record, command, report, keep=True)
    return Embedded(audited.result, audited.gated, folder, made.warnings)


def check_settings(paths: Sequence[Path], data: str | None) -> bool:
    """Whether a command's words name files of embeddings; False where they name a network.

    Raises:
        UsageError: they name both, or several networks, or a network without data.
    """
    archives = [path for path in paths if path.suffix.casefold() == ".npz"]
    if archives and len(archives) < len(paths):
        raise UsageError("name a network or files of embeddings (.npz), not both")
    if archives:
        if data is not None:
            raise UsageError("--data is for networks: a file of embeddings has the columns of its images in it")
        return True
    if len(paths) != 1:
        raise UsageError("name one network with --data NAME, or files of embeddings (.npz)")
    if data is None:
        raise UsageError("name a dataset with --data, whose images the network embeds; see 'fairaudit list datasets'")
    return False


def _write(
    out: Path,
    audited: Audited,
    embeddings: Embeddings,
    record: Mapping[str, Any],
    command: Sequence[str],
    report: bool,
    keep: bool,
) -> None:
    told = {"command": list(command), **record, **environment()}
    contents: dict[str, Writer] = {
        EMBEDDING: partial(write_embedding_audit, audited.result),
        "run.json": lambda path: write_json(path, told),
    }
    if keep:
        contents[ARCHIVE] = partial(write_embeddings, embeddings)
    for name, table in audited.tables.items():
        contents[f"{name}/predictions.parquet"] = partial(write_predictions, table.predictions)
        contents[f"{name}/{AUDIT}"] = partial(write_audit, table.result)
        contents[f"{name}/run.json"] = lambda path: write_json(path, told)
        if report:
            contents |= {f"{name}/{file}": write for file, write in run_reports.report_files(table.result, told).items()}
    if report:
        from fairaudit.reports._html_embedding import embedding_page, embedding_pictures

        result = embedding_from_record(embedding_record(audited.result))  # the digits that the record keeps
        drawn = embedding_pictures(result)
        made_with = ", ".join(filter(None, run_reports.described(told)))
        contents[PAGE] = partial(write_whole, content=embedding_page(result, drawn, made_with))
        for one in drawn:
            contents[f"{FIGURES}/{one.name}.svg"] = partial(write_whole, content=one.svg())
            contents[f"{FIGURES}/{one.name}.png"] = partial(write_whole, content=one.png())
    write_run(out, contents)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new_folder(config: EvaluateConfig) -> Path:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{config.model.stem}-{config.data}").strip("-.") or "run"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-embed-{stem}"
    names = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
    return next(Path("runs") / n for n in names if not (Path("runs") / n).exists())
