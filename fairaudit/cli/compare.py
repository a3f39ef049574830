"""``fairaudit compare``: what changed between two models, for whom, and whether the data show it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.audit import Classes, Identity, RowId, Target, YPred, YTrue
from fairaudit.cli.streams import say, stdout_colour, stdout_width, write_out
from fairaudit.errors import UnknownNameError, UsageError

FORMATS = ("terminal", "json")

Tables = Annotated[
    list[Path] | None,
    typer.Argument(metavar="BEFORE AFTER [AFTER2 …]", help="CSV or Parquet files, or run folders.", show_default=False),
]
Before = Annotated[
    list[Path] | None,
    typer.Option("--before", metavar="FILE", help="A run of the first model, one per seed. Repeatable.",
                 rich_help_panel=o.DATA),
]  # fmt: skip
After = Annotated[
    list[Path] | None,
    typer.Option("--after", metavar="FILE", help="A run of the second model, in the same order. Repeatable.",
                 rich_help_panel=o.DATA),
]  # fmt: skip
Unpaired = Annotated[
    bool,
    typer.Option("--unpaired", metavar="", help="Compare as different images, even where row ids agree.",
                 rich_help_panel=o.AUDIT),
]  # fmt: skip
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="METRIC", help="Metric to show. Repeatable. Default: accuracy; json has all.",
                 rich_help_panel=o.OUTPUT),
]  # fmt: skip
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="comparison.json, or a folder for it.", rich_help_panel=o.OUTPUT),
]


def compare(
    tables: Tables = None,
    before: Before = None,
    after: After = None,
    y_true: YTrue = None,
    y_pred: YPred = None,
    target: Target = None,
    row_id: RowId = None,
    identity: Identity = None,
    classes: Classes = None,
    by: o.By = None,
    positive: o.Positive = None,
    where: o.Where = None,
    confidence: o.Confidence = None,
    bootstrap: o.Bootstrap = None,
    seed: o.Seed = None,
    min_support: o.MinSupport = None,
    unpaired: Unpaired = False,
    metric: Metrics = None,
    format_: Format = "terminal",
    out: Out = None,
    quiet: o.Quiet = False,
) -> int:
    """Compare models: who got worse, who gained, and what the data do not show.

    Images are paired by row id; several seeds of each side are named with --before and --after:

    fairaudit compare old.csv new.csv --y-true gender --by race,gender

    fairaudit compare --before a1 --before a2 --after b1 --after b2 --by race
    """
    from fairaudit.artifacts.foreign import TableColumns
    from fairaudit.comparison import comparison_json
    from fairaudit.config import AuditSettings
    from fairaudit.metrics.subset import parse_subset
    from fairaudit.reports._comparison import render_comparison
    from fairaudit.workflows.compare import compare_files

    if format_ not in FORMATS:
        raise UnknownNameError("format of a comparison", format_, FORMATS)
    first, second, seeds = _sides(tables, before, after)
    settings = p.checked(
        p.given(
            target=target,
            by=p.groupings(by),
            positive=positive,
            where=where,
            confidence=confidence,
            bootstrap=bootstrap,
            seed=seed,
            min_support=min_support,
        ),
        AuditSettings,
    )
    columns = None
    if y_true is not None:
        wanted = dict.fromkeys(name for names in settings.by for name in names)
        columns = TableColumns(
            y_true=y_true,
            y_pred=y_pred or f"{y_true}_pred",
            target=settings.target,
            by=tuple(name for name in wanted if name != y_true),
            extra=() if settings.where is None else tuple(sorted(parse_subset(settings.where).names)),
            id=row_id,
            identity=identity,
            classes=p.names(classes),
            positive=settings.positive,
        )
    elif y_pred or row_id or identity or classes:
        raise UsageError("--y-pred, --id, --identity and --classes describe a table: name its labels with --y-true")
    result, written = compare_files(first, second, settings, columns, seeds=seeds, unpaired=unpaired, out=out)
    if format_ == "json":
        write_out(comparison_json(result))
    else:
        write_out(render_comparison(result, width=stdout_width(), color=stdout_colour(), metrics=tuple(metric or ())))
    if written is not None and not quiet:
        say(f"written: {written}")
    return 0


def _sides(
    tables: list[Path] | None, before: list[Path] | None, after: list[Path] | None
) -> tuple[list[Path], list[Path], bool]:
    if before or after:
        if tables:
            raise UsageError("name the tables either as BEFORE AFTER or, one per seed, with --before and --after; not both")
        if not before or not after:
            raise UsageError("--before and --after belong together: one run of each side per seed")
        return before, after, True
    if tables is None or len(tables) < 2:
        raise UsageError("a comparison needs two tables: fairaudit compare BEFORE AFTER")
    return tables[:1], tables[1:], False
