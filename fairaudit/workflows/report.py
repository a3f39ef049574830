"""Report: any record in any format again, without torch and without the images, as text or as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.artifacts.comparisons import COMPARISON, read_comparison
from fairaudit.artifacts.embedding_audits import EMBEDDING, read_embedding_audit
from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.mitigations import MITIGATION, read_mitigation
from fairaudit.artifacts.records import AUDIT, read_audit, read_json
from fairaudit.comparison import ComparisonResult
from fairaudit.errors import ArtifactError, UsageError, suggest
from fairaudit.results import AuditResult
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult
from fairaudit.workflows.run_reports import described, provenance_of

Record = AuditResult | ComparisonResult | MitigationResult | EmbeddingResult

KINDS: Mapping[type[Record], tuple[str, str, str]] = {
    # record: (function of a format that renders it, the word for one, file in its folder)
    AuditResult: ("render", "an audit", AUDIT),
    MitigationResult: ("render_mitigation", "an experiment", MITIGATION),
    ComparisonResult: ("render_comparison", "a comparison", COMPARISON),
    EmbeddingResult: ("render_embedding", "an audit of embeddings", EMBEDDING),
}
"""Of what lies in one folder, the first is meant: an experiment's folder may hold a comparison as well."""

_READERS: Mapping[type[Record], Callable[[Path], Record]] = {
    AuditResult: read_audit,
    EmbeddingResult: read_embedding_audit,
    MitigationResult: read_mitigation,
    ComparisonResult: read_comparison,
}


def report(run: Path, format: str, **options: Any) -> str:  # noqa: A002 - the command's own word
    """Render a stored audit, of a table or of embeddings, comparison or experiment.

    Args:
        run: a run folder, the folder of a comparison or an experiment, or the record itself.
        format: a name that ``plugins.names("reports")`` lists.
        options: keyword arguments of that format's function for such a record; None leaves its default.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option, or cannot show such a record.
        ArtifactError: there is no record, or it cannot be read.
    """
    plugins.canonical("reports", format)
    return rendered(read_record(run), format, run, **options)


def rendered(result: Record, format: str, run: Path | None = None, **options: Any) -> str:  # noqa: A002
    """Render a record.

    Args:
        result: an audit, a comparison or an experiment.
        format: a name that ``plugins.names("reports")`` lists.
        run: where it came from, for refusals.
        options: keyword arguments of that format's function for such a record; None leaves its default.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option, or cannot show such a record.
    """
    name = format_for(type(result), format, _models(result, run))
    given = {key: value for key, value in options.items() if value is not None}
    known = options_of(type(result), name)
    if "model" in known and "data" in known and run is not None and run.is_dir():
        model, data = described(provenance_of(run))
        given = {"model": model, "data": data} | given
    for key in given:
        if key not in known:
            raise UsageError(f"the report format {name!r} has no option {key!r}{suggest(key, known)}")
    return str(getattr(plugins.load("reports", name), KINDS[type(result)][0])(result, **given))


def format_for(kind: type[Record], format: str, instead: str = "") -> str:  # noqa: A002
    """The one spelling of a format that can show such a record; called before a long run as well as after it.

    Args:
        kind: of the record.
        format: as the user wrote it.
        instead: what else a refusal offers.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: it cannot show such a record.
    """
    name = plugins.canonical("reports", format)
    function, word, _ = KINDS[kind]
    if not plugins.has("reports", name, function):
        fitting = ", ".join(formats_of(kind))
        raise UsageError(f"the report format {name!r} cannot show {word}; choose from {fitting}{instead}")
    return name


def formats_of(kind: type[Record]) -> list[str]:
    """Every format that can show such a record.

    Args:
        kind: of the record.
    """
    return [name for name in plugins.names("reports") if plugins.has("reports", name, KINDS[kind][0])]


def options_of(kind: type[Record], name: str) -> dict[str, Any]:
    """What a format can be told of such a record: option → its parameter; nothing where it cannot show one.

    Args:
        kind: of the record.
        name: the format's canonical name.
    """
    function = KINDS[kind][0]
    return plugins.options("reports", name, function) if plugins.has("reports", name, function) else {}


def kind_of(run: Path) -> type[Record]:
    """What kind of record a path holds.

    Args:
        run: a folder or a file.

    Raises:
        ArtifactError: a file cannot be read.
    """
    if run.is_dir():
        return next((kind for kind, (_, _, file) in KINDS.items() if (run / file).is_file()), AuditResult)
    named = next((kind for kind, (_, _, file) in KINDS.items() if run.name == file), None)
    if named is not None:
        return named
    record = read_json(run)
    keys = set(record) if isinstance(record, dict) else set()
    if "arms" in keys:
        return MitigationResult
    if "numbers" in keys:
        return EmbeddingResult
    return ComparisonResult if "comparisons" in keys else AuditResult


def read_record(run: Path) -> Record:
    """The record that a path holds, validated against its schema.

    Args:
        run: a run folder, the folder of a comparison or an experiment, or the record itself.

    Raises:
        ArtifactError: there is none, or it cannot be read.
    """
    if run.is_dir() and not any((run / file).is_file() for _, _, file in KINDS.values()):
        held = ", ".join(file for _, _, file in KINDS.values())
        raise ArtifactError(f"{run} is not a run folder: it holds none of {held}")
    return _READERS[kind_of(run)](run)


def write_report(run: Path, format: str, out: Path, **options: Any) -> None:  # noqa: A002
    """Render a stored record into a file, which appears whole or not at all.

    Args:
        run: a run folder, the folder of a comparison or an experiment, or the record itself.
        format: a name that ``plugins.names("reports")`` lists.
        out: the file; with the suffix ``.parquet``, the table that the format ``csv`` has, with typed columns.
        options: keyword arguments of that format's function for such a record.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option, cannot show such a record, or is another than ``csv`` and the file is
            Parquet.
        ArtifactError: there is no record, or it cannot be read.
        OutputError: the file cannot be written.
    """
    if out.suffix.casefold() != ".parquet":
        write_whole(out, report(run, format, **options))
        return
    if plugins.canonical("reports", format) != "csv":
        raise UsageError(f"{out}: Parquet holds the table of every number, not a report for reading; add --format csv")
    from fairaudit.artifacts.metric_table import metric_table_bytes
    from fairaudit.reports.csv import table_of

    write_whole(out, metric_table_bytes(*table_of(read_record(run))))


def _models(result: Record, run: Path | None) -> str:
    """Where audits of tables are that formats can show which show nothing else."""
    if isinstance(result, EmbeddingResult):
        tables = "retrieval" if run is None else str((run if run.is_dir() else run.parent) / "retrieval")
        return f"; or name one of its tables, {tables}"
    if not isinstance(result, MitigationResult):
        return ""
    folder = result.arms[-1].runs[0].folder
    below = folder if run is None else (run if run.is_dir() else run.parent) / folder
    return f"; or name one of its models, {below}"
