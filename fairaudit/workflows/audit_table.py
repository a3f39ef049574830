"""Audit a file: read a table of predictions, audit it, write the run folder if one was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fairaudit.artifacts.folder import check_replaceable
from fairaudit.artifacts.foreign import TableColumns
from fairaudit.artifacts.records import write_audit, write_json
from fairaudit.artifacts.tables import read_predictions, write_predictions
from fairaudit.artifacts.wide_table import check_wide_table, write_wide_table
from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.rules import parse_requirement
from fairaudit.metrics.subset import parse_subset
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.audit_extras import named_columns
from fairaudit.workflows.audit_shards import audit_shards, should_stream
from fairaudit.workflows.provenance import environment
from fairaudit.workflows.run_reports import write_run_and_report
from fairaudit.workflows.sweep import swept


def audit_table(
    path: Path,
    settings: AuditSettings,
    *,
    y_true: str | None = None,
    y_pred: str | None = None,
    y_score: tuple[str, ...] = (),
    row_id: str | None = None,
    identity: str | None = None,
    weight: str | None = None,
    classes: tuple[str, ...] | None = None,
    out: Path | None = None,
    stream: bool | None = None,
    sweep: Path | None = None,
    report: bool = True,
) -> tuple[AuditResult, Path | None]:
    """Audit a table of predictions.

    Args:
        path: CSV, Parquet, a folder of Parquet parts, or a run folder.
        settings: what is compared with what.
        y_true: column of labels, or columns of a joint target, ``race,gender``, or of several labels side by side,
            ``Smiling+Young``; None where the file is ours and declares its columns.
        y_pred: column of predicted classes; None takes ``<y_true>_pred``.
        y_score: a column that scores the positive class, or ``CLASS=COLUMN`` items.
        row_id: column that names each image.
        identity: column of persons.
        weight: column that says how many images of the population a row stands for.
        classes: every class; None takes those that occur.
        out: run folder to write; None writes nothing. Of a stream it keeps the audit and not the predictions.
        stream: whether to count the table batch by batch in bounded memory, without persons, and of scores in histograms at
            most; None streams folders of Parquet parts with more than five million rows.
        sweep: CSV or Parquet file for every rate at every threshold; None writes none.
        report: whether the run folder holds a page and figures too.

    Returns:
        The audit, and the folder that was written.

    Raises:
        UsageError: columns are named without ``--y-true``.
        PredictionsError: the table cannot be used.
        OutputError: the run folder cannot be written.
    """
    if out is not None:
        check_replaceable(out)
    if sweep is not None:
        check_wide_table(sweep, "--sweep")
    columns = None
    if y_true is not None:
        sign = "+" if all(y_true.split("+")[1:]) and "+" in y_true else ","
        labels = [name.strip() for name in y_true.split(sign)]
        rules = [parse_requirement(text) for text in settings.rules]
        wanted = named_columns(settings, rules)
        columns = TableColumns(
            y_true=y_true,
            y_pred=y_pred or sign.join(f"{name}_pred" for name in labels),
            y_score=y_score,
            target=settings.target,
            by=tuple(name for name in wanted if name not in (y_true, *labels) and name not in settings.bins),
            extra=tuple(sorted({*settings.bins, *(parse_subset(settings.where).names if settings.where else ())})),
            id=row_id,
            identity=identity,
            weight=weight,
            classes=classes,
            positive=settings.positive,
        )
    elif y_pred or y_score or row_id or identity or classes:
        raise UsageError(
            "--y-pred, --y-score, --id, --identity and --classes describe a table: name its labels with --y-true"
        )
    elif weight:
        raise UsageError("--weight describes a table: name its labels with --y-true")
    files: dict[str, Callable[[Path], None]] = {}
    streamed = should_stream(path) if stream is None else stream
    if streamed and columns is not None and "," in columns.y_true:
        raise UsageError("a joint target is not counted batch by batch; name one target, or read all with --no-stream")
    if streamed and weight is not None:
        raise UsageError("weights are not counted batch by batch; read all with --no-stream")
    if streamed:
        result = audit_shards(path, settings, columns)
    else:
        predictions = read_predictions(path, columns)
        if y_true is not None and settings.target is None and len(predictions.tasks) > 1:
            settings = settings.model_copy(update={"target": sign.join(predictions.tasks)})
        if sweep is not None and predictions.weight is not None:
            raise UsageError("--sweep cannot be combined with weights yet; leave out the one or the other")
        result = audit(predictions, settings)
        files["predictions.parquet"] = partial(write_predictions, predictions)
    if sweep is not None:
        write_wide_table(sweep, swept(result))
    if out is None:
        return result, None
    record = {
        "command": "audit",
        "predictions": str(path),
        "sha256": _sha256(path),
        **({"streamed": True} if streamed else {}),
        "settings": settings.model_dump(mode="json"),
        **environment(),
    }
    contents: dict[str, Callable[[Path], None]] = {
        **files,
        "audit.json": partial(write_audit, result),
        "run.json": lambda target: write_json(target, record),
    }
    write_run_and_report(out, contents, result, record, report)
    return result, out


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
