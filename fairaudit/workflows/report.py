"""Report: any format again from a stored run, without torch and without the images, as text or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.records import read_audit
from fairaudit.errors import UsageError, suggest


def report(run: Path, format: str, **options: Any) -> str:  # noqa: A002 - the command's own word
    """Render a stored audit.

    Args:
        run: a run folder, or an ``audit.json``.
        format: a name that ``plugins.names("reports")`` lists.
        options: keyword arguments of that format's ``render``; None leaves its default.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option.
        ArtifactError: there is no audit, or it cannot be read.
    """
    name = plugins.canonical("reports", format)
    given = {key: value for key, value in options.items() if value is not None}
    known = plugins.options("reports", name)
    for key in given:
        if key not in known:
            raise UsageError(f"the report format {name!r} has no option {key!r}{suggest(key, known)}")
    result = read_audit(run)
    return str(plugins.load("reports", name).render(result, **given))


def write_report(run: Path, format: str, out: Path, **options: Any) -> None:  # noqa: A002
    """Render a stored audit into a file, which appears whole or not at all.

    Args:
        run: a run folder, or an ``audit.json``.
        format: a name that ``plugins.names("reports")`` lists.
        out: the file; with the suffix ``.parquet``, the table that the format ``csv`` has, with typed columns.
        options: keyword arguments of that format's ``render``.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option, or it is another than ``csv`` and the file is Parquet.
        ArtifactError: there is no audit, or it cannot be read.
        OutputError: the file cannot be written.
    """
    if out.suffix.casefold() != ".parquet":
        write_whole(out, report(run, format, **options))
        return
    if plugins.canonical("reports", format) != "csv":
        raise UsageError(f"{out}: Parquet holds the table of every number, not a report for reading; add --format csv")
    from fairaudit.artifacts.metric_table import metric_table_bytes
    from fairaudit.reports.csv import HEADER, rows

    write_whole(out, metric_table_bytes(HEADER, rows(read_audit(run))))
